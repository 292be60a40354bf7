// A connection to PostgreSQL through libpq, in pipeline mode throughout and never waiting longer than told. Private to
// this module. One thread.
#pragma once

#include "ipc/base/error.h"
#include "modules/remote_store/remote_wait.h"

#include <array>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;
struct pg_result;

namespace pillion {

// A parameter in PostgreSQL's binary format. Views must live until the query is sent.
class PostgresParam {
  public:
    static PostgresParam null() { return {}; }
    static PostgresParam bytes(std::string_view bytes); // bytea, text
    static PostgresParam number(std::int64_t number);   // int8
    static PostgresParam time(std::int64_t wall_ms);    // timestamptz; beyond the year 9999: null
    const char* data() const { return is_number_ ? number_.data() : view_.data(); }
    int size() const { return is_number_ ? 8 : static_cast<int>(view_.size()); }

  private:
    std::string_view view_{};
    std::array<char, 8> number_{};
    bool is_number_ = false;
};

struct PostgresQuery {
    std::string_view name{}; // of the statement, prepared at its first use; empty: not prepared
    const char* sql = "";
    std::vector<PostgresParam> params{};
};

struct PostgresResultEnd {
    void operator()(pg_result* result) const;
};

// Rows in binary format.
class PostgresResult {
  public:
    explicit PostgresResult(pg_result* result) : result_(result) {}
    int rows() const;
    std::uint64_t changed() const; // rows that an INSERT, UPDATE or DELETE touched
    bool is_null(int row, int column) const;
    std::string_view bytes(int row, int column) const;
    std::int64_t number(int row, int column) const;  // int8
    std::int64_t time_ms(int row, int column) const; // timestamptz; never_ms for null

  private:
    friend class PostgresConnection;
    std::unique_ptr<pg_result, PostgresResultEnd> result_;
};

class PostgresConnection {
  public:
    PostgresConnection(std::string url, std::string where, std::int64_t connect_ms, std::int64_t command_ms);
    ~PostgresConnection() { close(); }
    PostgresConnection(const PostgresConnection&) = delete;

    Result<void> open();
    bool is_open() const { return connection_ != nullptr; }
    void close();
    int socket() const;
    const std::string& where() const { return where_; }

    // Sends all queries, each a transaction of its own unless one was begun, and hands over each answer. An error
    // closes the connection; queries may be left without an answer.
    using Answered = std::function<void(std::size_t index, Result<PostgresResult> answer)>;
    Result<void> exchange(std::span<const PostgresQuery> queries, const Answered& answered);
    // The same as one transaction, which costs a fraction. False where a query failed: then nothing was changed, and
    // the answers up to it are those of the queries before it.
    Result<bool> exchange_together(std::span<const PostgresQuery> queries, const Answered& answered);
    Result<PostgresResult> ask(const PostgresQuery& query);
    // Reads what has come, and takes the notifications among it.
    Result<std::vector<std::string>> take_notifications();

  private:
    Result<void> connect();
    enum class Sent : std::uint8_t { query, preparation_and_query };
    Result<Sent> send(const PostgresQuery& query);
    Result<void> sync();
    Result<void> check_alive(const pg_result& result);
    Result<pg_result*> next(Patience& patience);
    Error lost();
    Error connection_error() const;
    Error error_of(const pg_result& result) const;
    std::string without_secrets(std::string text) const;

    const std::string url_;
    const std::string where_;
    const std::int64_t connect_ms_;
    const std::int64_t command_ms_;
    std::string password_;
    pg_conn* connection_ = nullptr;
    std::set<std::string, std::less<>> prepared_;
};

} // namespace pillion
