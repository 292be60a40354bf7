// What a backend writes. Nothing of it is believed: what is no message is counted and passed over, an answer counts
// only under an id that is on its way, and what a process of an earlier start left behind is dropped.
#include "ipc/base/log.h"
#include "modules/backends/backend.h"
#include "modules/backends/backend_json.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::size_t client_requests_max = 64; // of one backend at once
constexpr int method_not_found = -32601;
constexpr int exhausted = -32004;

std::string method_of(const Message& message) {
    if (message.method.find('\\') == std::string_view::npos) return std::string(message.method);
    // The scanner has accepted it: at worst it is no UTF-8 string.
    return backend_json::find_text("{\"m\":\"" + std::string(message.method) + "\"}", "m")
        .value_or(std::string(message.method));
}

// The backend's error as it is, and in our terms for who reads those.
Error error_of(std::string_view object) {
    Error error{ErrorCode::internal_error, backend_json::find_text(object, "message").value_or(""), {}, {}};
    if (const auto code = backend_json::find_integer(object, "code"))
        error.code = static_cast<ErrorCode>(static_cast<int>(*code));
    error.raw = object;
    return error;
}

} // namespace

// Each fault is counted; each kind of fault stands in the log once for each start.
void Backend::complain(std::uint64_t& counter, const char* what, std::string_view text) {
    ++counter;
    if (!complained_.emplace(what).second) return;
    log(LogLevel::warning, "backends",
        name_ + ": " + what + (text.empty() ? "" : ": " + backend_json::quoted(text.substr(0, 100))) +
            " (said once; backends.stats counts)");
}

void Backend::on_output(std::uint64_t run, std::string_view bytes) {
    {
        const std::lock_guard lock(mutex_);
        if (run != run_ || !framer_) return;
    }
    while (!bytes.empty()) {
        const std::span<char> space = framer_->space();
        const std::size_t taken = std::min(space.size(), bytes.size());
        std::copy_n(bytes.data(), taken, space.data());
        framer_->commit(taken);
        bytes.remove_prefix(taken);
        while (const auto frame = framer_->next()) take_frame(*frame);
    }
}

void Backend::take_frame(const Frame& frame) {
    if (frame.fault) {
        Turn turn(*this);
        if (frame.fault->code == ErrorCode::invalid_request)
            return complain(counts_.oversized, "a message over its messageBytesMax was passed over", {});
        complain(counts_.garbage, "its output cannot be followed", frame.fault->message);
        if (frame.fatal) break_off("wrote what cannot be followed: " + frame.fault->message);
        return;
    }
    std::string on_one_line; // a client that is spoken to by lines gets no line ends
    std::string_view text = frame.text;
    if (speaks_headers(spec_) && backend_json::has_line_ends(text)) {
        on_one_line = backend_json::on_one_line(text);
        text = on_one_line;
    }
    if (const auto read = reader_.read(text); !read) {
        Turn turn(*this);
        return complain(counts_.garbage, "it wrote what is no message", text);
    }
    for (const Message& message : reader_.messages()) take_message(message);
}

void Backend::take_message(const Message& message) {
    Turn turn(*this);
    switch (message.kind) {
    case Message::Kind::invalid:
        return complain(counts_.garbage, "it wrote what is no message", message.fault->message);
    case Message::Kind::response:
        return on_response(turn, message);
    case Message::Kind::notification:
        return on_notification(turn, message, method_of(message));
    case Message::Kind::request:
        return on_request(turn, message, method_of(message));
    }
}

void Backend::on_response(Turn& turn, const Message& message) {
    last_activity_ns_ = host_.clock.now_ns();
    const auto id = backend_json::read_integer(message.id);
    const auto at = id ? sent_.find(*id) : sent_.end();
    if (at != sent_.end()) return finish(turn, FlightPtr(at->second), message);
    if (!id || *id <= 0 || *id > last_id_)
        complain(counts_.unknownIds, "it answered a request that was never made, id", message.id);
    else if (abandoned_.erase(*id) != 0)
        ++counts_.lateAnswers;
    else
        complain(counts_.duplicateAnswers, "it answered a second time, id", message.id);
}

// The answer of a flight. The texts of `message` are valid until the turn has ended.
void Backend::finish(Turn& turn, const FlightPtr& flight, const Message& message) {
    if (flight->kind == FlightKind::handshake) {
        release(flight);
        return on_handshake(turn, message);
    }
    if (flight->kind == FlightKind::shutdown) {
        release(flight);
        return close_down(turn);
    }
    latency_ns_.record(static_cast<std::uint64_t>(host_.clock.now_ns() - flight->asked_ns));
    breaker_.succeeded(); // also by an error of the application: it works
    flight->is_probe = false;
    if (message.result.empty()) {
        ++counts_.errors;
        release(flight);
        turn.after([waiters = std::exchange(flight->waiters, {}), error = error_of(message.error)] {
            for (const auto& waiter : waiters) waiter.caller->answered(std::unexpected(error));
        });
    } else {
        if (flight->rule != nullptr && !flight->key.empty()) keep(turn, flight, message.result);
        if (flight->rule == nullptr)
            repeats_.saw(flight->method, flight->asked, message.result, host_.clock.now_ns() - flight->asked_ns);
        release(flight);
        turn.after([waiters = std::exchange(flight->waiters, {}), result = message.result] {
            for (const auto& waiter : waiters) waiter.caller->answered(result);
        });
    }
    pump(turn);
}

void Backend::keep(Turn& turn, const FlightPtr& flight, std::string_view result) {
    KeptAnswer kept{.method = flight->method,
                    .params = flight->params,
                    .rule = flight->rule,
                    .stored_ns = host_.clock.now_ns(),
                    .ttl_ms = flight->rule->ttlMs,
                    .is_refreshed = flight->kind == FlightKind::refresh};
    bool is_private = false;
    if (spec_.kind == BackendKind::mcp) {
        if (backend_json::find_member(result, "isError") == "true") return;
        if (const auto ttl_ms = backend_json::find_integer(result, "ttlMs")) kept.ttl_ms = *ttl_ms;
        is_private = backend_json::find_text(result, "cacheScope") == "private";
        if (flight->method.starts_with("resources/"))
            kept.uri = backend_json::find_text(flight->params, "uri").value_or("");
    }
    if (kept.ttl_ms && *kept.ttl_ms <= 0) return;
    kept.json = std::make_shared<const std::string>(result);
    if (!cache_.store(flight->key, std::move(kept), flight->generation)) {
        // A list that may have changed on its way is asked again, so that there is one to give while it sleeps. Once:
        // some servers call their lists changed whenever they are asked.
        if (flight->generation != cache_.generation() && flight->kind == FlightKind::call &&
            state_ == BackendState::ready && rules_.is_capability_list(flight->method))
            refresh(turn, flight->method, flight->params, flight->rule, flight->key);
        return;
    }
    if (host_.memory == nullptr || is_private || !rules_.is_capability_list(flight->method)) return;
    turn.after(
        [self = shared_from_this(), item = BackendMemory::Item{flight->method, flight->params, std::string(result)}] {
            self->host_.memory->save(self->name_, self->fingerprint(), item);
        });
}

void Backend::on_notification(Turn& turn, const Message& message, const std::string& method) {
    last_activity_ns_ = host_.clock.now_ns();
    ++counts_.notificationsIn;
    if (on_progress(turn, message, method)) return;
    if (method == "notifications/cancelled" || method == "$/cancelRequest") {
        const auto id = backend_json::find_member(message.params, method.front() == '$' ? "id" : "requestId");
        const auto at = id ? client_requests_.find(std::string(*id)) : client_requests_.end();
        if (at == client_requests_.end()) return;
        turn.after([client = host_.client, number = at->second] { client->forget(number); });
        client_requests_.erase(at);
        return;
    }
    void_by(turn, method, message.params);
    if (host_.notified)
        turn.after([self = shared_from_this(), method, params = message.params] {
            self->host_.notified({self->name_, method, params});
        });
}

// The flight that one of our tokens stands for: a number for MCP, "w7" and "p7" for language servers.
FlightPtr Backend::find_by_token(std::string_view token, char& kind) const {
    kind = 'n';
    if (token.size() > 3 && token.front() == '"') {
        kind = token[1];
        token = token.substr(2, token.size() - 3);
    }
    const auto id = backend_json::read_integer(token);
    const auto at = id ? sent_.find(*id) : sent_.end();
    return at == sent_.end() ? nullptr : at->second;
}

// Progress of a call goes to those who wait for it, under their own tokens. False if it is of none.
bool Backend::on_progress(Turn& turn, const Message& message, const std::string& method) {
    const bool is_mcp = method == "notifications/progress";
    if (!is_mcp && method != "$/progress") return false;
    const auto token = backend_json::find_member(message.params, is_mcp ? "progressToken" : "token");
    char kind = 'n';
    const FlightPtr flight = token ? find_by_token(*token, kind) : nullptr;
    if (!flight) return is_mcp; // a language server makes tokens of its own: those are events
    if (is_mcp) {
        report(turn, flight, message.params);
        return true;
    }
    const std::string& own = kind == 'w' ? flight->work_token : flight->partial_token;
    if (own.empty() || host_.client == nullptr) return true;
    turn.after([client = host_.client, params = backend_json::with_members(message.params, {{"token", own}})] {
        client->notify("$/progress", params);
    });
    return true;
}

void Backend::report(Turn& turn, const FlightPtr& flight, std::string_view params) {
    const auto done = backend_json::find_number(params, "progress");
    const auto total = backend_json::find_number(params, "total");
    const double percentage = done && total && *total > 0 ? std::clamp(100.0 * *done / *total, 0.0, 100.0) : -1.0;
    const std::string text = backend_json::find_text(params, "message").value_or("");
    std::vector<BackendCallerPtr> callers;
    for (const auto& waiter : flight->waiters)
        if (waiter.wants_progress) callers.push_back(waiter.caller);
    turn.after([callers = std::move(callers), percentage, text] {
        for (const BackendCallerPtr& caller : callers) caller->progressed(percentage, text);
    });
    if (flight->progress_token.empty() || host_.client == nullptr) return;
    std::string value = "{\"kind\":\"report\"";
    if (percentage >= 0) value += ",\"percentage\":" + std::to_string(percentage);
    if (!text.empty()) value += ",\"message\":" + backend_json::quoted(text);
    turn.after([client = host_.client, body = "{\"token\":" + flight->progress_token + ",\"value\":" + value + "}}"] {
        client->notify("$/progress", body);
    });
}

std::optional<std::string> Backend::declared_answer(const std::string& method, std::string_view params) const {
    if (const auto at = spec_.answers.find(method); at != spec_.answers.end()) return at->second.text;
    if (spec_.kind == BackendKind::mcp && method == "ping") return "{}";
    if (method == "roots/list" && !spec_.roots.empty()) return "{\"roots\":" + root_list() + "}";
    if (method == "workspace/workspaceFolders" && !spec_.roots.empty()) return root_list();
    if (method != "workspace/configuration" || !spec_.settings) return std::nullopt;
    std::string values = "[";
    for (const std::string_view item :
         backend_json::elements(backend_json::find_member(params, "items").value_or(""))) {
        const std::string section = backend_json::find_text(item, "section").value_or("");
        if (values.size() > 1) values += ',';
        values.append(backend_json::find_path(spec_.settings->text, section).value_or("null"));
    }
    return values += ']';
}

void Backend::on_request(Turn& turn, const Message& message, const std::string& method) {
    ++counts_.clientRequests;
    last_activity_ns_ = host_.clock.now_ns();
    const std::string id(message.id);
    std::string answer;
    if (const auto declared = declared_answer(method, message.params))
        answer = backend_json::response(id, backend_json::on_one_line(*declared));
    else if (host_.client == nullptr)
        answer = backend_json::error_response(id, method_not_found, "nobody answers \"" + method + "\" here");
    else if (client_requests_.size() >= client_requests_max)
        answer = backend_json::error_response(id, exhausted, "too many requests are waiting for the client");
    else if (client_requests_.contains(id))
        answer = backend_json::error_response(id, -32600, "a request with this id is waiting already");
    else
        return ask_client(turn, id, method, message.params);
    if (const auto written = write(answer); !written) log(LogLevel::info, "backends", written.error().message);
}

void Backend::ask_client(Turn& turn, const std::string& id, const std::string& method, std::string_view params) {
    const auto number =
        host_.client->ask(name_ + "/" + method, params, [weak = weak_from_this(), run = run_, id](const auto& answer) {
            if (const auto self = weak.lock()) self->on_client_answer(run, id, answer);
        });
    if (!number) {
        if (const auto written = write(backend_json::error_response(id, method_not_found, number.error().message));
            !written)
            log(LogLevel::info, "backends", written.error().message);
        return;
    }
    client_requests_[id] = *number;
    turn.after([self = shared_from_this(), run = run_, id, asked = *number] {
        self->later(self->spec_.clientRequestMs,
                    [run, id, asked](Backend& backend) { backend.on_client_late(run, id, asked); });
    });
}

void Backend::on_client_late(std::uint64_t run, const std::string& id, std::uint64_t number) {
    Turn turn(*this);
    const auto at = client_requests_.find(id);
    if (run != run_ || at == client_requests_.end() || at->second != number) return;
    client_requests_.erase(at);
    turn.after([client = host_.client, number] { client->forget(number); });
    const std::string why = "nobody answered within " + std::to_string(spec_.clientRequestMs) + " ms";
    if (const auto written = write(backend_json::error_response(id, method_not_found, why)); !written)
        log(LogLevel::info, "backends", written.error().message);
}

void Backend::on_client_answer(std::uint64_t run, const std::string& id, const Result<std::string_view>& answer) {
    Turn turn(*this);
    if (run != run_ || client_requests_.erase(id) == 0) return;
    last_activity_ns_ = host_.clock.now_ns();
    std::string text;
    if (answer)
        text = backend_json::response(id, *answer);
    else if (!answer.error().raw.empty())
        text = backend_json::raw_error_response(id, answer.error().raw);
    else
        text = backend_json::error_response(id, static_cast<int>(answer.error().code), answer.error().message);
    const auto written = write(backend_json::has_line_ends(text) ? backend_json::on_one_line(text) : text);
    if (!written) log(LogLevel::info, "backends", written.error().message);
}

// Its process is gone: nobody is there to hear.
void Backend::drop_client_requests(Turn& turn) {
    for (const auto& [id, number] : client_requests_)
        turn.after([client = host_.client, forgotten = number] { client->forget(forgotten); });
    client_requests_.clear();
}

} // namespace pillion
