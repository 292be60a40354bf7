#include "plain_sqlite.h"

#include <stdexcept>

namespace pillion::bench {

PlainSqlite::PlainSqlite(const std::string& path) {
    check(sqlite3_open(path.c_str(), &database_), SQLITE_OK);
    execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA mmap_size=8589934592;"
            "CREATE TABLE IF NOT EXISTS cache (key TEXT PRIMARY KEY, value BLOB)");
    put_ = prepare("INSERT OR REPLACE INTO cache VALUES (?1, ?2)");
    get_ = prepare("SELECT value FROM cache WHERE key = ?1");
}

PlainSqlite::~PlainSqlite() {
    sqlite3_finalize(put_);
    sqlite3_finalize(get_);
    sqlite3_close(database_);
}

void PlainSqlite::put(std::string_view key, std::string_view value) {
    sqlite3_bind_text(put_, 1, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
    sqlite3_bind_blob(put_, 2, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
    check(sqlite3_step(put_), SQLITE_DONE);
    sqlite3_reset(put_);
}

bool PlainSqlite::get(std::string_view key, std::string& value) {
    sqlite3_bind_text(get_, 1, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
    const bool found = sqlite3_step(get_) == SQLITE_ROW;
    if (found)
        value.assign(static_cast<const char*>(sqlite3_column_blob(get_, 0)),
                     static_cast<std::size_t>(sqlite3_column_bytes(get_, 0)));
    sqlite3_reset(get_);
    return found;
}

void PlainSqlite::execute(const char* sql) {
    check(sqlite3_exec(database_, sql, nullptr, nullptr, nullptr), SQLITE_OK);
}

sqlite3_stmt* PlainSqlite::prepare(const char* sql) {
    sqlite3_stmt* statement = nullptr;
    check(sqlite3_prepare_v3(database_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr), SQLITE_OK);
    return statement;
}

void PlainSqlite::check(int status, int expected) {
    if (status != expected) throw std::runtime_error(std::string("plain SQLite: ") + sqlite3_errmsg(database_));
}

} // namespace pillion::bench
