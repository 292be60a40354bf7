// The reference: SQLite as one would use it in an afternoon, which is WAL, synchronous=NORMAL, the file mapped, kept
// statements, a key and a value. No checksum, no expiry, no quota. One thread.
#pragma once

#include <sqlite3.h>
#include <string>
#include <string_view>

namespace pillion::bench {

class PlainSqlite {
  public:
    explicit PlainSqlite(const std::string& path);
    PlainSqlite(const PlainSqlite&) = delete;
    ~PlainSqlite();

    void begin() { execute("BEGIN IMMEDIATE"); }
    void commit() { execute("COMMIT"); }
    void put(std::string_view key, std::string_view value);
    // False if there is none.
    bool get(std::string_view key, std::string& value);
    void execute(const char* sql);

  private:
    sqlite3_stmt* prepare(const char* sql);
    void check(int status, int expected);

    sqlite3* database_ = nullptr;
    sqlite3_stmt* put_ = nullptr;
    sqlite3_stmt* get_ = nullptr;
};

} // namespace pillion::bench
