// A connection to a Redis server through hiredis, never waiting longer than told. Private to this module. One thread.
#pragma once

#include "modules/remote_store/redis_address.h"
#include "modules/remote_store/remote_wait.h"

#include <functional>
#include <memory>
#include <span>

struct redisContext;
struct redisReply;

namespace pillion {

struct RedisReplyEnd {
    void operator()(redisReply* reply) const;
};
using RedisReply = std::unique_ptr<redisReply, RedisReplyEnd>;

class RedisConnection {
  public:
    RedisConnection(RedisAddress address, std::int64_t connect_ms, std::int64_t command_ms);
    ~RedisConnection() { close(); }
    RedisConnection(const RedisConnection&) = delete;

    // Connects, authenticates, selects the database and sees that the server answers.
    Result<void> open();
    bool is_open() const { return context_ != nullptr; }
    void close();
    int socket() const;
    std::string where() const { return address_.where(); }
    std::int64_t command_ms() const { return command_ms_; }

    void append(std::initializer_list<std::string_view> words);
    void append(std::span<const std::string_view> words);
    // The next reply; also sends what was appended. An error closes the connection.
    Result<RedisReply> next(Patience& patience);
    // A reply that is there already, after one look at the socket; null if there is none.
    Result<RedisReply> take();
    // One command: its reply, or the error that it is.
    Result<RedisReply> ask(std::initializer_list<std::string_view> words);
    // What an error reply means; `what` says of which command.
    Error error_of(const redisReply& reply, std::string_view what) const;

  private:
    Result<void> connect();
    Error lost();

    const RedisAddress address_;
    const std::int64_t connect_ms_;
    const std::int64_t command_ms_;
    redisContext* context_ = nullptr;
    bool is_all_sent_ = true;
};

} // namespace pillion
