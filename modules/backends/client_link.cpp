#include "modules/backends/client_link.h"

#include "modules/backends/backend_json.h"

namespace pillion {

namespace {

// Ours are strings, so that they are no client's own numbers to anybody who reads a log.
constexpr std::string_view id_prefix = "\"pillion:";

std::string id_of(std::uint64_t number) { return std::string(id_prefix) + std::to_string(number) + "\""; }

} // namespace

void ClientLink::send(std::string_view text) {
    Buffer out(buffers_);
    const std::size_t mark = frames_.begin(out);
    out.append(text);
    frames_.end(out, mark);
    outbox_.send(std::move(out));
}

Result<std::uint64_t> ClientLink::ask(std::string_view method, std::string_view params,
                                      std::function<void(const Result<std::string_view>&)> done) {
    if (outbox_.is_broken()) return fail(ErrorCode::unavailable, "the client is gone");
    std::uint64_t number = 0;
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= waiting_max)
            return fail(ErrorCode::exhausted, "the client has too many requests to answer");
        number = ++last_;
        waiting_.emplace(number, std::move(done));
    }
    std::string text = "{\"jsonrpc\":\"2.0\",\"id\":" + id_of(number) + ",\"method\":" + backend_json::quoted(method);
    if (!params.empty()) text.append(",\"params\":").append(params);
    send(text += '}');
    return number;
}

void ClientLink::forget(std::uint64_t number) {
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.erase(number) == 0) return;
    }
    notify("$/cancelRequest", "{\"id\":" + id_of(number) + "}");
}

void ClientLink::notify(std::string_view method, std::string_view params) {
    send(backend_json::notification(method, params));
}

bool ClientLink::take(const Message& message) {
    if (!message.id.starts_with(id_prefix)) return false;
    const auto number =
        backend_json::read_integer(message.id.substr(id_prefix.size(), message.id.size() - id_prefix.size() - 1));
    std::function<void(const Result<std::string_view>&)> done;
    {
        const std::lock_guard lock(mutex_);
        const auto at = number ? waiting_.find(static_cast<std::uint64_t>(*number)) : waiting_.end();
        if (at == waiting_.end()) return false;
        done = std::move(at->second);
        waiting_.erase(at);
    }
    if (!message.result.empty()) {
        done(message.result);
        return true;
    }
    Error error{ErrorCode::internal_error, "the client answered with an error", {}, {}};
    error.raw = message.error;
    done(std::unexpected(std::move(error)));
    return true;
}

} // namespace pillion
