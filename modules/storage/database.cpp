// SQLite's own rules are followed (sqlite.org/c3ref, sqlite.org/wal.html): WAL with synchronous=FULL makes a commit
// durable, NORMAL leaves the file whole but may lose the last commits with the power.
#include "modules/storage/database.h"

#include "modules/storage/sqlite_library.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <thread>

namespace pillion {

namespace {

// A handle exists only after the library was opened.
const Sqlite& api() { return **sqlite(); }

ErrorCode code_of(int extended) {
    switch (extended & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
        return ErrorCode::exhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ErrorCode::corrupt;
    case SQLITE_CONSTRAINT:
        return ErrorCode::conflict;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return ErrorCode::unavailable;
    case SQLITE_IOERR:
        // What a full disk or a quota looks like from below.
        return extended == SQLITE_IOERR_WRITE || extended == SQLITE_IOERR_FSYNC ? ErrorCode::exhausted
                                                                                : ErrorCode::unavailable;
    default:
        return ErrorCode::internal_error;
    }
}

std::unexpected<Error> failure(sqlite3* handle) {
    const int extended = api().sqlite3_extended_errcode(handle);
    const std::string what = (extended & 0xff) == SQLITE_BUSY   ? "another process holds its lock"
                             : (extended & 0xff) == SQLITE_FULL ? "the disk is full"
                                                                : std::string(api().sqlite3_errmsg(handle));
    return fail(code_of(extended), "database: " + what);
}

std::string setup(const DatabaseOptions& options) {
    // Only an empty file can be told how to vacuum, and journal_mode makes it one that is not.
    const bool vacuums = options.mode == OpenMode::read_write && options.vacuum == Vacuum::incremental;
    std::string sql = vacuums ? "PRAGMA auto_vacuum=INCREMENTAL;" : "";
    sql += "PRAGMA temp_store=MEMORY;PRAGMA cache_size=-" + std::to_string(options.page_cache_bytes / 1024) +
           ";PRAGMA mmap_size=" + std::to_string(options.mmap_bytes) + ";";
    if (options.mode == OpenMode::read_only) return sql + "PRAGMA query_only=1;";
    sql += "PRAGMA journal_mode=WAL;PRAGMA foreign_keys=1;";
    sql += "PRAGMA wal_autocheckpoint=" + std::to_string(options.checkpoint_pages) + ";";
    sql += options.durability == Durability::full ? "PRAGMA synchronous=FULL;" : "PRAGMA synchronous=NORMAL;";
    return sql;
}

// Where two processes turn a fresh file to WAL at once, one is refused without SQLite having waited for the other.
Result<void> set_up(Database& database, sqlite3* handle, const DatabaseOptions& options) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(options.busy_wait_ms);
    while (true) {
        auto done = database.execute(setup(options).c_str());
        const bool is_locked = !done && (api().sqlite3_extended_errcode(handle) & 0xff) == SQLITE_BUSY;
        if (!is_locked || std::chrono::steady_clock::now() >= give_up) return done;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

} // namespace

Statement::~Statement() {
    if (handle_ != nullptr) api().sqlite3_finalize(handle_);
}

// A refused binding (out of range, too big) comes to light as an error of step().
void Statement::bind(int parameter, std::int64_t value) { api().sqlite3_bind_int64(handle_, parameter, value); }
void Statement::bind(int parameter, double value) { api().sqlite3_bind_double(handle_, parameter, value); }
void Statement::bind(int parameter, std::string_view text) {
    api().sqlite3_bind_text(handle_, parameter, text.data() != nullptr ? text.data() : "",
                            static_cast<int>(text.size()), SQLITE_STATIC);
}
void Statement::bind(int parameter, Blob blob) {
    // A null pointer would bind NULL.
    api().sqlite3_bind_blob(handle_, parameter, blob.bytes.data() != nullptr ? blob.bytes.data() : "",
                            static_cast<int>(blob.bytes.size()), SQLITE_STATIC);
}
void Statement::bind_null(int parameter) { api().sqlite3_bind_null(handle_, parameter); }

Result<bool> Statement::step() {
    const int status = api().sqlite3_step(handle_);
    if (status == SQLITE_ROW) return true;
    // The reason is kept by reset(): it gives the code of the step once more.
    const int again = api().sqlite3_reset(handle_);
    if (status == SQLITE_DONE) return false;
    return fail(code_of(again), "database: " + std::string(api().sqlite3_errstr(again)));
}

Result<void> Statement::run() {
    while (PILLION_TRY(step())) continue;
    return {};
}

void Statement::reset() { api().sqlite3_reset(handle_); }

std::int64_t Statement::integer(int column) const { return api().sqlite3_column_int64(handle_, column); }
double Statement::number(int column) const { return api().sqlite3_column_double(handle_, column); }
std::string_view Statement::text(int column) const {
    const auto* const bytes = static_cast<const char*>(api().sqlite3_column_blob(handle_, column));
    if (bytes == nullptr) return {};
    return {bytes, static_cast<std::size_t>(api().sqlite3_column_bytes(handle_, column))};
}
bool Statement::is_null(int column) const { return api().sqlite3_column_type(handle_, column) == SQLITE_NULL; }

Result<Database> Database::open(const DatabaseOptions& options) {
    const Sqlite& library = *PILLION_TRY(sqlite());
    const bool reads = options.mode == OpenMode::read_only;
    if (const auto folder = std::filesystem::path(options.path).parent_path(); !reads && !folder.empty()) {
        std::error_code trouble;
        std::filesystem::create_directories(folder, trouble);
        if (trouble)
            return fail(ErrorCode::unavailable,
                        "the folder " + folder.string() + " cannot be made: " + trouble.message());
    }
    sqlite3* handle = nullptr;
    // A reader is opened for writing too, with query_only, so that it may make the WAL's index where nobody else has.
    const int flags = SQLITE_OPEN_READWRITE | (reads ? 0 : SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX;
    const int status = library.sqlite3_open_v2(options.path.c_str(), &handle, flags, nullptr);
    Database database(handle);
    const auto named = [&options](Error error) {
        error.message = options.path + ": " + error.message;
        return std::unexpected(std::move(error));
    };
    if (handle == nullptr) return fail(ErrorCode::exhausted, options.path + ": not enough memory to open it");
    if (status != SQLITE_OK) return named(failure(handle).error());
    library.sqlite3_busy_timeout(handle, static_cast<int>(options.busy_wait_ms));
    if (auto done = set_up(database, handle, options); !done) return named(std::move(done).error());
    return database;
}

Database::~Database() {
    prepared_.clear();
    if (handle_ != nullptr) api().sqlite3_close_v2(handle_);
}

Result<void> Database::execute(const char* sql) {
    if (api().sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure(handle_);
    return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    const int status = api().sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                                SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (status != SQLITE_OK) return failure(handle_);
    return Statement(statement);
}

Result<Statement*> Database::prepared(const char* sql) {
    for (const auto& [known, statement] : prepared_)
        if (known == sql) return statement.get();
    prepared_.emplace_back(sql, std::make_unique<Statement>(PILLION_TRY(prepare(sql))));
    return prepared_.back().second.get();
}

std::int64_t Database::changes() const { return api().sqlite3_changes64(handle_); }
std::int64_t Database::last_row_id() const { return api().sqlite3_last_insert_rowid(handle_); }

Result<std::int64_t> Database::integer(std::string_view sql) {
    Statement statement = PILLION_TRY(prepare(sql));
    if (!PILLION_TRY(statement.step()))
        return fail(ErrorCode::internal_error, "database: no row from " + std::string(sql));
    return statement.integer(0);
}

Result<void> Database::check() {
    Statement statement = PILLION_TRY(prepare("PRAGMA quick_check(1)"));
    if (!PILLION_TRY(statement.step())) return {};
    if (statement.text(0) == "ok") return {};
    return fail(ErrorCode::corrupt, "database: " + std::string(statement.text(0)));
}

Result<void> Database::migrate(std::string_view module, std::span<const char* const> migrations) {
    PILLION_TRY(execute("CREATE TABLE IF NOT EXISTS schema_versions (module TEXT PRIMARY KEY, version INTEGER NOT "
                        "NULL) WITHOUT ROWID"));
    const auto newest = static_cast<std::int64_t>(migrations.size());
    while (true) {
        // Another process may be doing the same: the version is read under the lock.
        std::optional<Transaction> transaction;
        if (api().sqlite3_get_autocommit(handle_) != 0) transaction.emplace(PILLION_TRY(Transaction::begin(*this)));
        Statement read = PILLION_TRY(prepare("SELECT version FROM schema_versions WHERE module = ?1"));
        const std::int64_t version = PILLION_TRY(read.with(module).step()) ? read.integer(0) : 0;
        read.reset();
        if (version > newest)
            return fail(ErrorCode::failed_precondition,
                        "database: the tables of " + std::string(module) + " have version " + std::to_string(version) +
                            ", this program knows " + std::to_string(newest),
                        {}, "update Pillion, or use another data directory");
        if (version == newest) return {};
        PILLION_TRY(execute(migrations[static_cast<std::size_t>(version)]));
        Statement write = PILLION_TRY(prepare("INSERT OR REPLACE INTO schema_versions VALUES (?1, ?2)"));
        PILLION_TRY(write.with(module, version + 1).run());
        if (transaction) PILLION_TRY(transaction->commit());
    }
}

Result<Transaction> Transaction::begin(Database& database) {
    PILLION_TRY(database.execute("BEGIN IMMEDIATE"));
    return Transaction(database);
}

Transaction::~Transaction() {
    if (database_ != nullptr) static_cast<void>(database_->execute("ROLLBACK"));
}

Result<void> Transaction::commit() {
    PILLION_TRY(database_->execute("COMMIT"));
    database_ = nullptr;
    return {};
}

} // namespace pillion
