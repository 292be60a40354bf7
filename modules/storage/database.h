// One connection to an SQLite database, its statements and transactions. The library is opened at the first use
// (sqlite_library.h). A Database belongs to one thread at a time; its statements must end before it does.
//
// Errors: -32005 unavailable (no library, no permission, locked past the wait), -32004 exhausted (disk full), -32008
// corrupt (not a database, malformed), -32603 for a wrong statement, which is a bug.
#pragma once

#include "ipc/base/error.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace pillion {

enum class Durability : std::uint8_t {
    full,    // a commit is on the disk when it returns
    relaxed, // a commit survives our crash; after a power failure the last ones may be gone, the file stays whole
};
enum class Vacuum : std::uint8_t {
    none,        // a file keeps the size it once had
    incremental, // PRAGMA incremental_vacuum gives pages back; only for a file that is made with it
};
enum class OpenMode : std::uint8_t { read_write, read_only };

struct DatabaseOptions {
    std::string path{};
    OpenMode mode = OpenMode::read_write;
    Durability durability = Durability::full;
    std::int64_t busy_wait_ms = 5000; // how long to wait for another process's lock
    std::int64_t mmap_bytes = 0;      // of the file, mapped for reading
    std::int64_t page_cache_bytes = 2 * 1024 * 1024;
    std::int64_t checkpoint_pages = 1000; // the journal goes into the file when it has grown to this
    Vacuum vacuum = Vacuum::none;
};

// Bytes for a BLOB column; text is std::string_view. The bytes must live until the statement is reset or run again.
struct Blob {
    std::string_view bytes;
};

class Statement {
  public:
    Statement() = default;
    Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Statement& operator=(Statement&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Statement();

    // Parameters and columns count from 1 and 0, as SQLite has it.
    void bind(int parameter, std::int64_t value);
    void bind(int parameter, double value);
    void bind(int parameter, std::string_view text);
    void bind(int parameter, Blob blob);
    void bind_null(int parameter);
    template <class Value>
    void bind(int parameter, const std::optional<Value>& value) {
        value ? bind(parameter, *value) : bind_null(parameter);
    }
    // Binds all parameters in order.
    template <class... Values>
    Statement& with(const Values&... values) {
        reset();
        int parameter = 0;
        (bind_one(++parameter, values), ...);
        return *this;
    }

    // True: a row is there to be read. False: done (and reset).
    Result<bool> step();
    // Steps to the end and resets.
    Result<void> run();
    void reset();

    std::int64_t integer(int column) const;
    double number(int column) const;
    // Valid until the next step or reset. Serves TEXT and BLOB.
    std::string_view text(int column) const;
    bool is_null(int column) const;

  private:
    friend class Database;
    explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
    void bind_one(int parameter, std::int64_t value) { bind(parameter, value); }
    void bind_one(int parameter, int value) { bind(parameter, static_cast<std::int64_t>(value)); }
    void bind_one(int parameter, double value) { bind(parameter, value); }
    void bind_one(int parameter, std::string_view text) { bind(parameter, text); }
    void bind_one(int parameter, Blob blob) { bind(parameter, blob); }
    template <class Value>
    void bind_one(int parameter, const std::optional<Value>& value) {
        bind(parameter, value);
    }
    sqlite3_stmt* handle_ = nullptr;
};

class Database {
  public:
    // Opens in WAL mode, makes the file (and its folder) if the mode allows.
    static Result<Database> open(const DatabaseOptions& options);
    Database(Database&& other) noexcept
        : handle_(std::exchange(other.handle_, nullptr)), prepared_(std::move(other.prepared_)) {}
    Database& operator=(Database&& other) noexcept {
        std::swap(handle_, other.handle_);
        std::swap(prepared_, other.prepared_);
        return *this;
    }
    ~Database();

    // One or more statements that give no rows.
    Result<void> execute(const char* sql);
    Result<Statement> prepare(std::string_view sql);
    // The statement of `sql`, a literal, prepared at its first use here and kept as long as the connection. Whoever
    // uses it resets it, or steps to the end.
    Result<Statement*> prepared(const char* sql);
    // Rows changed by the last INSERT, UPDATE or DELETE.
    std::int64_t changes() const;
    std::int64_t last_row_id() const;
    // A quick look for damage; -32008 with SQLite's words.
    Result<void> check();
    // The one value of a query that gives one integer.
    Result<std::int64_t> integer(std::string_view sql);

    // For a file that several modules share: brings `module`'s tables to the newest version by running, in one
    // transaction each, the migrations it has not seen. Forward only: a newer version than we know is -32007.
    Result<void> migrate(std::string_view module, std::span<const char* const> migrations);

  private:
    explicit Database(sqlite3* handle) : handle_(handle) {}
    sqlite3* handle_ = nullptr;
    std::vector<std::pair<const char*, std::unique_ptr<Statement>>> prepared_; // few: searched in order
};

// BEGIN IMMEDIATE until commit(); rolled back if that does not come.
class Transaction {
  public:
    static Result<Transaction> begin(Database& database);
    Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
    ~Transaction();
    Result<void> commit();

  private:
    explicit Transaction(Database& database) : database_(&database) {}
    Database* database_;
};

} // namespace pillion
