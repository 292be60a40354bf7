// The way of a message on the reader thread. What happens after that, on other threads, is in dispatcher_calls.cpp.
#include "ipc/dispatcher.h"

#include "ipc/base/log.h"
#include "ipc/batch_bound.h"
#include "ipc/dispatcher_metrics.h"
#include "ipc/json_scanner.h"
#include "ipc/json_text.h"

namespace pillion {

namespace {

// Stands in for a method while a message has none.
const Method& no_method() {
    static const Method method{.name = "", .summary = ""};
    return method;
}

bool is_tried_here(const Method& method) {
    return (method.lane == Lane::direct || method.lane == Lane::hybrid) && method.cacheable.ttl_ms == 0;
}

} // namespace

Dispatcher::Dispatcher(const Host& host, const DispatcherOptions& options)
    : host_(host), options_(options), reader_(options.message), out_(host.pools.buffers), result_(host.pools.buffers),
      direct_call_(no_method(), host.pools.buffers, *this), cache_(options.cache_entries_max, options.cache_bytes_max),
      workers_(host.clock, options.workers, [this](const CallPtr& call) { run_pooled(call); }) {}

Dispatcher::~Dispatcher() { workers_.stop(); }

void Dispatcher::begin_read() { direct_call_.received_ns_ = host_.clock.now_ns(); }

void Dispatcher::receive(std::string_view text) {
    if (const auto read = reader_.read(text); !read) return refuse(read.error());
    if (reader_.is_batch()) return handle_batch();
    const std::size_t mark = host_.frames.begin(out_);
    const std::size_t start = out_.size();
    const Message& message = reader_.messages().front();
    handle(message, nullptr, &out_);
    if (declined_ != nullptr) start_call(*std::exchange(declined_, nullptr), message, {}, nullptr);
    if (out_.size() == start)
        host_.frames.abandon(out_, mark);
    else
        host_.frames.end(out_, mark);
}

void Dispatcher::refuse(const Error& error) {
    metrics::errors.add();
    const std::size_t mark = host_.frames.begin(out_);
    append_error("null", error, out_);
    host_.frames.end(out_, mark);
}

bool Dispatcher::runs_inline(const Message& message) const {
    if (message.kind != Message::Kind::request) return true;
    const Method* const method = host_.methods.resolve(message.method);
    return method == nullptr || is_tried_here(*method);
}

void Dispatcher::handle_batch() {
    metrics::batches.add();
    const auto& messages = reader_.messages();
    batch_sizes_.record(messages.size());
    bool all_inline = true;
    for (const Message& message : messages) all_inline = all_inline && runs_inline(message);
    if (!all_inline) return handle_shared(messages, nullptr);
    // Nothing is shared: straight into the reader's buffer.
    const std::size_t mark = host_.frames.begin(out_);
    const std::size_t content = out_.size();
    out_.append('[');
    inline_any_ = false;
    for (std::size_t index = 0; index < messages.size(); ++index) {
        if (inline_any_) out_.append(',');
        const std::size_t start = out_.size();
        handle(messages[index], nullptr, &out_);
        if (is_batch_full(start - mark, out_.size() - start)) [[unlikely]] {
            metrics::errors.add();
            out_.truncate(start);
            append_error(messages[index].id, batch_is_full(), out_);
        }
        if (out_.size() != start)
            inline_any_ = true;
        else if (inline_any_)
            out_.truncate(start - 1);
        if (declined_ != nullptr) return leave_inline(index, content, mark);
    }
    if (!inline_any_) return host_.frames.abandon(out_, mark);
    out_.append(']');
    host_.frames.end(out_, mark);
}

// The member at `index` cannot be answered at once: what stands in the reader's buffer moves to a batch that is shared.
void Dispatcher::leave_inline(std::size_t index, std::size_t content, std::size_t mark) {
    const std::span<const Message> messages = reader_.messages();
    const auto batch = std::make_shared<BatchReply>(host_.pools.buffers);
    batch->mark = host_.frames.begin(batch->out);
    batch->any = inline_any_;
    if (inline_any_) batch->out.append(out_.view().substr(content));
    host_.frames.abandon(out_, mark);
    if (messages[index].kind == Message::Kind::request) ++batch->remaining;
    start_call(*std::exchange(declined_, nullptr), messages[index], {}, batch);
    handle_shared(messages.subspan(index + 1), batch);
}

// Members that may be answered on other threads; `batch` is null if this is the first of them.
void Dispatcher::handle_shared(std::span<const Message> messages, const std::shared_ptr<BatchReply>& begun) {
    auto batch = begun;
    if (!batch) {
        batch = std::make_shared<BatchReply>(host_.pools.buffers);
        batch->mark = host_.frames.begin(batch->out);
    }
    {
        const std::lock_guard lock(batch->mutex);
        for (const Message& message : messages)
            if (message.kind == Message::Kind::request || message.kind == Message::Kind::invalid) ++batch->remaining;
    }
    for (const Message& message : messages) handle(message, batch, nullptr);
    leave_batch(batch, nullptr);
}

void Dispatcher::handle(const Message& message, const std::shared_ptr<BatchReply>& batch, Buffer* inline_out) {
    switch (message.kind) {
    case Message::Kind::invalid:
        metrics::errors.add();
        return answer_error(message, *message.fault, batch, inline_out);
    case Message::Kind::response:
        if (!response_handler_ || !response_handler_(message))
            log(LogLevel::info, "ipc",
                "response to nothing that was asked, id " + std::string(message.id.substr(0, 60)));
        return;
    case Message::Kind::notification:
        metrics::notifications.add();
        if (message.method == "$/cancelRequest") return cancel_by_id(message, "id");
        if (message.method == "notifications/cancelled") return cancel_by_id(message, "requestId");
        if (message.method.starts_with("$/")) return; // LSP: optional ones may be ignored
        break;
    case Message::Kind::request:
        metrics::requests.add();
    }
    const Method* method = host_.methods.resolve(message.method);
    if (method == nullptr && message.method.find('\\') != std::string_view::npos)
        if (const auto name = unescaped(message.method)) method = host_.methods.find(*name);
    if (method != nullptr) return call_method(*method, message, batch, inline_out);
    metrics::errors.add();
    const std::string_view near = host_.methods.nearest(message.method);
    std::string text = "there is no method \"" + std::string(message.method.substr(0, 100)) + "\"";
    if (!near.empty()) text += "; did you mean \"" + std::string(near) + "\"?";
    answer_error(message, {ErrorCode::method_not_found, std::move(text), {}, std::string(near)}, batch, inline_out);
}

void Dispatcher::call_method(const Method& method, const Message& message, const std::shared_ptr<BatchReply>& batch,
                             Buffer* inline_out) {
    if (is_tried_here(method)) {
        if (inline_out != nullptr) {
            if (!run_direct(method, message, *inline_out)) declined_ = &method;
            return;
        }
        Buffer response(host_.pools.buffers);
        if (!run_direct(method, message, response)) return start_call(method, message, {}, batch);
        if (message.kind == Message::Kind::request) deliver(batch, response);
        return;
    }
    RequestMeta meta;
    std::string scratch; // decoded text of `_meta`
    if (!message.meta.empty()) {
        auto read = read_request_meta(message.meta, scratch);
        if (!read) {
            metrics::errors.add();
            method.stats->errors.fetch_add(1, std::memory_order_relaxed);
            return answer_error(message, read.error(), batch, inline_out);
        }
        meta = *read;
    }
    start_call(method, message, meta, batch);
}

// Runs the handler; whatever it throws is its own bug and stays in the log.
Result<bool> Dispatcher::run_into(const Method& method, Call& call, Buffer& out) {
    try {
        if (method.lane == Lane::hybrid) return method.attempt(call, out);
        PILLION_TRY(method.run(call, out));
        return true;
    } catch (const std::bad_alloc&) {
        return fail(ErrorCode::exhausted, "there is not enough memory for this request");
    } catch (const std::exception& exception) {
        log(LogLevel::error, "ipc", std::string(method.name) + " threw: " + exception.what());
        return fail(ErrorCode::internal_error, "the method failed; the log says why");
    }
}

bool Dispatcher::run_direct(const Method& method, const Message& message, Buffer& out) {
    Call& call = direct_call_;
    const std::size_t start = out.size();
    call.method_ = &method;
    call.id_ = message.id;
    call.name_ = message.method;
    call.params_ = message.params;
    if (!call.scratch_.empty()) call.scratch_.clear();
    const bool has_meta = !message.meta.empty();
    Result<bool> done = true;
    if (has_meta) {
        // Room for all text of the params at once: views into it must outlive what the handler's params add.
        call.scratch_.reserve(message.params.size());
        auto meta = read_request_meta(message.meta, call.scratch_);
        if (meta)
            call.meta_ = *meta;
        else
            done = std::unexpected(std::move(meta).error());
    }
    if (done) {
        out.append("{\"jsonrpc\":\"2.0\",\"id\":");
        out.append(call.id_);
        out.append(",\"result\":");
        if (has_meta && needs_pipeline(call.meta_)) {
            result_.clear();
            done = run_into(method, call, result_);
            if (done && *done)
                if (auto appended = append_result(call, result_.view(), {}, host_.clock.now_ns(), host_.pools, out);
                    !appended)
                    done = std::unexpected(std::move(appended).error());
        } else {
            done = run_into(method, call, out);
        }
        out.append('}');
    }
    if (has_meta) call.meta_ = {};
    if (done && !*done) {
        out.truncate(start);
        return false;
    }
    if (!done) {
        metrics::errors.add();
        method.stats->errors.fetch_add(1, std::memory_order_relaxed);
        out.truncate(start);
        if (!call.id_.empty())
            append_error(call.id_, done.error(), out);
        else
            log(LogLevel::info, "ipc", "notification " + std::string(method.name) + " failed: " + done.error().message);
    } else if (call.id_.empty()) {
        out.truncate(start);
    }
    if (trace_.load(std::memory_order_acquire) != nullptr) [[unlikely]]
        trace(TraceStep::direct, call, call.received_ns_, out.size() - start, !done);
    // The next call begins where this one ended: one look at the clock for both.
    const std::int64_t now_ns = host_.clock.now_ns();
    method.stats->latency_ns.record_as_only_writer(static_cast<std::uint64_t>(now_ns - call.received_ns_));
    call.received_ns_ = now_ns;
    return true;
}

void Dispatcher::answer_error(const Message& message, const Error& error, const std::shared_ptr<BatchReply>& batch,
                              Buffer* inline_out) {
    if (message.kind == Message::Kind::notification) {
        log(LogLevel::info, "ipc",
            "notification " + std::string(message.method.substr(0, 100)) + " failed: " + error.message);
        return;
    }
    const std::string_view id = message.id.empty() ? "null" : message.id;
    if (inline_out != nullptr) return append_error(id, error, *inline_out);
    Buffer response(host_.pools.buffers);
    append_error(id, error, response);
    deliver(batch, response);
}

void Dispatcher::append_error(std::string_view id, const Error& error, Buffer& out) {
    out.append("{\"jsonrpc\":\"2.0\",\"id\":");
    out.append(id);
    if (!error.raw.empty()) {
        out.append(",\"error\":");
        out.append(error.raw);
        return out.append('}');
    }
    out.append(",\"error\":{\"code\":");
    append_integer(out, static_cast<int>(error.code));
    out.append(",\"message\":");
    append_quoted(out, error.message);
    out.append(",\"data\":{\"kind\":");
    append_quoted(out, error_kind(error.code));
    out.append(error_is_retryable(error.code) ? ",\"retryable\":true" : ",\"retryable\":false");
    if (!error.field.empty()) {
        out.append(",\"field\":");
        append_quoted(out, error.field);
    }
    if (!error.hint.empty()) {
        out.append(",\"hint\":");
        append_quoted(out, error.hint);
    }
    out.append("}}}");
}

void Dispatcher::cancel_by_id(const Message& message, std::string_view member) {
    std::string_view key, id;
    JsonScanner scanner(message.params);
    if (scanner.peek() != JsonKind::object) return;
    scanner.enter('{');
    while (scanner.next_member(key)) {
        std::string_view value;
        scanner.read_value(value);
        if (key == member) id = value;
    }
    if (id.empty()) return; // that is what the calls of notifications are kept under
    std::vector<CallPtr> found;
    {
        const std::lock_guard lock(calls_mutex_);
        const auto [first, last] = calls_.equal_range(id);
        for (auto at = first; at != last; ++at) found.push_back(at->second);
    }
    for (const CallPtr& call : found) call->cancel({ErrorCode::cancelled, "the request was cancelled", {}, {}});
}

void Dispatcher::flush(const std::function<bool()>& go_on) {
    host_.outbox.flush_own(out_);
    if (flushed_handler_) flushed_handler_();
    constexpr std::int64_t slice_ms = 50; // how late the end is noticed by a reader that waits
    while (host_.outbox.backlog_bytes() >= limits::outbox_bytes && !host_.outbox.wait_for_room(slice_ms))
        if (!go_on()) return;
    const auto has_room = [this] {
        return in_flight_calls_ < options_.in_flight_calls_max && in_flight_bytes_ < options_.in_flight_bytes_max;
    };
    while (!has_room()) {
        std::unique_lock lock(calls_mutex_);
        if (!calls_changed_.wait_for(lock, std::chrono::milliseconds(slice_ms), has_room) && !go_on()) return;
    }
}

} // namespace pillion
