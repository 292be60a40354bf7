// hiredis connects by its blocking call, which tries all addresses of a host within the timeout; from then on the
// socket does not block, and waiting is poll()'s. Versions of hiredis differ in the layout of their structs, so the
// library that is opened must be the one whose header this was compiled with.
#include "modules/remote_store/redis_connection.h"

#include "ipc/base/shared_library.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <string>
#include <vector>

namespace pillion {

namespace {

#define PILLION_HIREDIS(X)                                                                                             \
    X(redisConnectWithTimeout)                                                                                         \
    X(redisConnectUnixWithTimeout)                                                                                     \
    X(redisEnableKeepAlive)                                                                                            \
    X(redisFree)                                                                                                       \
    X(redisBufferRead)                                                                                                 \
    X(redisBufferWrite)                                                                                                \
    X(redisGetReplyFromReader)                                                                                         \
    X(redisAppendCommandArgv)                                                                                          \
    X(freeReplyObject)

struct Hiredis {
    PILLION_HIREDIS(PILLION_LIBRARY_MEMBER)
};

#define PILLION_TEXT_OF(token) #token
#define PILLION_TEXT(token) PILLION_TEXT_OF(token)

Result<const Hiredis*> hiredis() {
    static const Result<Hiredis> opened = []() -> Result<Hiredis> {
        const auto library = PILLION_TRY(SharedLibrary::open({"libhiredis.so." PILLION_TEXT(HIREDIS_SONAME)},
                                                             "libhiredis" PILLION_TEXT(HIREDIS_SONAME)));
        Hiredis functions;
        PILLION_HIREDIS(PILLION_LIBRARY_BIND)
        return functions;
    }();
    if (!opened) return std::unexpected(opened.error());
    return &*opened;
}

struct ReplyMeaning {
    std::string_view begins_with;
    ErrorCode code;
    std::string_view meaning;
};

// What Redis says first, by what can be done about it.
constexpr std::array reply_meanings{
    ReplyMeaning{"WRONGPASS", ErrorCode::denied, "refuses the user or the password"},
    ReplyMeaning{"NOAUTH", ErrorCode::denied, "wants a password, and the address has none"},
    ReplyMeaning{"ERR invalid password", ErrorCode::denied, "refuses the password"},
    ReplyMeaning{"ERR AUTH", ErrorCode::denied, "does not take the user and password of the address"},
    ReplyMeaning{"ERR Client sent AUTH", ErrorCode::denied, "has no password, and the address has one"},
    ReplyMeaning{"DENIED", ErrorCode::denied, "accepts no connection from here"},
    ReplyMeaning{"NOPERM", ErrorCode::denied, "does not permit this user"},
    ReplyMeaning{"OOM", ErrorCode::exhausted, "has reached its maxmemory and takes no writes"},
    ReplyMeaning{"LOADING", ErrorCode::unavailable, "is still loading its data"},
    ReplyMeaning{"READONLY", ErrorCode::unavailable, "is a read-only replica; writes need its primary"},
    ReplyMeaning{"MASTERDOWN", ErrorCode::unavailable, "is a replica that lost its primary"},
    ReplyMeaning{"MISCONF", ErrorCode::unavailable, "takes no writes because it cannot save them to its disk"},
    ReplyMeaning{"NOREPLICAS", ErrorCode::unavailable, "takes no writes because too few replicas follow it"},
    ReplyMeaning{"BUSY", ErrorCode::unavailable, "is busy with a script"},
    ReplyMeaning{"ERR max number of clients", ErrorCode::unavailable, "has as many clients as it takes"},
    ReplyMeaning{"CLUSTERDOWN", ErrorCode::unavailable, "belongs to a cluster that is down"},
    ReplyMeaning{"MOVED", ErrorCode::failed_precondition, "is one of a cluster; a single server is needed"},
    ReplyMeaning{"WRONGTYPE", ErrorCode::corrupt, "holds something else than a string there; another program wrote it"},
    ReplyMeaning{"ERR DB index", ErrorCode::failed_precondition, "has no database of this number"},
};

timeval to_timeval(std::int64_t ms) { return {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}; }

} // namespace

void RedisReplyEnd::operator()(redisReply* reply) const {
    if (const auto library = hiredis()) (*library)->freeReplyObject(reply);
}

RedisConnection::RedisConnection(RedisAddress address, std::int64_t connect_ms, std::int64_t command_ms)
    : address_(std::move(address)), connect_ms_(connect_ms), command_ms_(command_ms) {}

int RedisConnection::socket() const { return context_ == nullptr ? -1 : context_->fd; }

void RedisConnection::close() {
    if (context_ == nullptr) return;
    if (const auto library = hiredis()) (*library)->redisFree(context_);
    context_ = nullptr;
    is_all_sent_ = true;
}

Result<void> RedisConnection::connect() {
    close();
    const Hiredis* const library = PILLION_TRY(hiredis());
    const timeval timeout = to_timeval(connect_ms_);
    context_ = address_.socket_path.empty()
                   ? library->redisConnectWithTimeout(address_.host.c_str(), address_.port, timeout)
                   : library->redisConnectUnixWithTimeout(address_.socket_path.c_str(), timeout);
    if (context_ == nullptr) return fail(ErrorCode::exhausted, where() + " cannot be reached: out of memory");
    if (context_->err != 0) {
        const std::string reason = context_->errstr;
        close();
        return fail(ErrorCode::unavailable, where() + " cannot be reached: " + reason);
    }
    if (address_.socket_path.empty()) library->redisEnableKeepAlive(context_);
    fcntl(context_->fd, F_SETFL, fcntl(context_->fd, F_GETFL) | O_NONBLOCK);
    context_->flags &= ~REDIS_BLOCK;
    return {};
}

Result<void> RedisConnection::open() {
    PILLION_TRY(connect());
    // The three go out together: one round trip.
    std::vector<std::string_view> asked;
    if (!address_.password.empty()) {
        std::vector<std::string_view> words{"AUTH"};
        if (!address_.user.empty()) words.push_back(address_.user);
        words.push_back(address_.password);
        append(words);
        asked.push_back("AUTH");
    }
    const std::string database = std::to_string(address_.database);
    if (address_.database != 0) {
        append({"SELECT", database});
        asked.push_back("SELECT");
    }
    append({"PING"});
    asked.push_back("PING");
    Patience patience(connect_ms_);
    for (const std::string_view command : asked) {
        const RedisReply reply = PILLION_TRY(next(patience));
        if (reply->type != REDIS_REPLY_ERROR) continue;
        Error error = error_of(*reply, command);
        if (command == "SELECT" && error.code == ErrorCode::failed_precondition) {
            error.message += " (" + database + ")";
        }
        close();
        return std::unexpected(std::move(error));
    }
    return {};
}

void RedisConnection::append(std::initializer_list<std::string_view> words) {
    append(std::span(words.begin(), words.size()));
}

void RedisConnection::append(std::span<const std::string_view> words) {
    constexpr std::size_t words_few = 16;
    std::array<const char*, words_few> few_texts{};
    std::array<std::size_t, words_few> few_sizes{};
    std::vector<const char*> many_texts;
    std::vector<std::size_t> many_sizes;
    const char** texts = few_texts.data();
    std::size_t* sizes = few_sizes.data();
    if (words.size() > words_few) {
        many_texts.resize(words.size());
        many_sizes.resize(words.size());
        texts = many_texts.data();
        sizes = many_sizes.data();
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
        texts[i] = words[i].data() == nullptr ? "" : words[i].data();
        sizes[i] = words[i].size();
    }
    (*hiredis())->redisAppendCommandArgv(context_, static_cast<int>(words.size()), texts, sizes);
    is_all_sent_ = false;
}

Error RedisConnection::lost() {
    const std::string reason = context_->errstr;
    close();
    return {ErrorCode::unavailable, where() + " closed the connection" + (reason.empty() ? "" : ": " + reason)};
}

Result<RedisReply> RedisConnection::next(Patience& patience) {
    const Hiredis* const library = PILLION_TRY(hiredis());
    if (context_ == nullptr) return fail(ErrorCode::unavailable, where() + " is not connected");
    while (true) {
        void* reply = nullptr;
        if (library->redisGetReplyFromReader(context_, &reply) != REDIS_OK) return std::unexpected(lost());
        if (reply != nullptr) return RedisReply(static_cast<redisReply*>(reply));
        if (!is_all_sent_) {
            int done = 0;
            if (library->redisBufferWrite(context_, &done) != REDIS_OK) return std::unexpected(lost());
            is_all_sent_ = done != 0;
        }
        const auto wish = is_all_sent_ ? SocketWish::read : SocketWish::read_or_write;
        if (wait_for_socket(context_->fd, wish, patience.left_ms()) != SocketWait::ready) {
            close();
            return fail(ErrorCode::timeout, where() + " did not answer within " + std::to_string(command_ms_) + " ms");
        }
        patience.progress();
        if (library->redisBufferRead(context_) != REDIS_OK) return std::unexpected(lost());
    }
}

Result<RedisReply> RedisConnection::take() {
    const Hiredis* const library = PILLION_TRY(hiredis());
    void* reply = nullptr;
    if (library->redisGetReplyFromReader(context_, &reply) != REDIS_OK) return std::unexpected(lost());
    if (reply == nullptr && wait_for_socket(context_->fd, SocketWish::read, 0) == SocketWait::ready) {
        if (library->redisBufferRead(context_) != REDIS_OK) return std::unexpected(lost());
        if (library->redisGetReplyFromReader(context_, &reply) != REDIS_OK) return std::unexpected(lost());
    }
    return RedisReply(static_cast<redisReply*>(reply));
}

Result<RedisReply> RedisConnection::ask(std::initializer_list<std::string_view> words) {
    if (context_ == nullptr) return fail(ErrorCode::unavailable, where() + " is not connected");
    append(words);
    Patience patience(command_ms_);
    RedisReply reply = PILLION_TRY(next(patience));
    if (reply->type == REDIS_REPLY_ERROR) return std::unexpected(error_of(*reply, *words.begin()));
    return reply;
}

Error RedisConnection::error_of(const redisReply& reply, std::string_view what) const {
    const std::string_view said(reply.str, reply.len);
    for (const ReplyMeaning& known : reply_meanings) {
        if (said.starts_with(known.begins_with)) {
            return {known.code, where() + " " + std::string(known.meaning) + " (" + std::string(what) +
                                    " was answered " + std::string(said.substr(0, said.find(' '))) + ")"};
        }
    }
    return {ErrorCode::internal_error, where() + " answered " + std::string(what) + " with: " + std::string(said)};
}

} // namespace pillion
