// Requests that outlive their message: calls on workers and timers, flights, batches that end later.
#include "ipc/base/log.h"
#include "ipc/batch_bound.h"
#include "ipc/dispatcher.h"
#include "ipc/dispatcher_metrics.h"
#include "ipc/json_text.h"

namespace pillion {

// One run of a cached method. Its own call belongs to no client; those who want its answer wait here.
struct Dispatcher::Flight final : CallSink, std::enable_shared_from_this<Flight> {
    Dispatcher& dispatcher;
    const std::string key;
    const std::uint64_t generation;
    std::vector<CallPtr> waiters; // guarded by flights_mutex_
    CallPtr runner;

    Flight(Dispatcher& owner, std::string flight_key, std::uint64_t cache_generation)
        : dispatcher(owner), key(std::move(flight_key)), generation(cache_generation) {}

    void answered(Call& call, const Result<std::string_view>& result) override {
        const auto keep = shared_from_this(); // finish_flight takes it out of the table
        dispatcher.finish_flight(key, call.method(), generation, result);
    }
    void progressed(Call&, double percentage, std::string_view message) override {
        std::vector<CallPtr> copy;
        {
            const std::lock_guard lock(dispatcher.flights_mutex_);
            copy = waiters;
        }
        for (const CallPtr& waiter : copy) waiter->report_progress(percentage, message);
    }
    // A flight that nobody waits for any more is not worth finishing.
    void on_waiter_gone() {
        CallPtr stop;
        {
            const std::lock_guard lock(dispatcher.flights_mutex_);
            for (const CallPtr& waiter : waiters)
                if (!waiter->is_cancelled()) return;
            stop = runner;
        }
        if (stop) stop->cancel({ErrorCode::cancelled, "nobody waits for this any more", {}, {}});
    }
};

// A call whose answer stays in the house.
struct Dispatcher::OwnCall final : CallSink, Call {
    std::function<void(const Result<std::string_view>&)> done;
    OwnCall(const Method& method, BufferPool& pool, std::function<void(const Result<std::string_view>&)> when_done)
        : Call(method, pool, *this), done(std::move(when_done)) {}
    void answered(Call&, const Result<std::string_view>& result) override { done(result); }
    void progressed(Call&, double, std::string_view) override {}
};

void Dispatcher::run_own(std::string_view name, std::string_view params,
                         std::function<void(const Result<std::string_view>&)> done) {
    const Method* const method = host_.methods.resolve(name);
    if (method == nullptr) {
        const std::string_view near = host_.methods.nearest(name);
        return done(fail(ErrorCode::method_not_found, "there is no method \"" + std::string(name.substr(0, 100)) + "\"",
                         {}, std::string(near)));
    }
    const auto call = std::make_shared<OwnCall>(*method, host_.pools.buffers, std::move(done));
    Buffer& text = call->text_.emplace(host_.pools.buffers);
    text.prepare(name.size() + params.size() + 1);
    text.append(name);
    text.append(params);
    call->id_ = "0"; // without one it would be a notification, which nobody answers
    call->name_ = text.view().substr(0, name.size());
    call->params_ = text.view().substr(name.size());
    call->received_ns_ = host_.clock.now_ns();
    dispatch(call);
}

CallPtr Dispatcher::make_call(const Method& method, const Message& message, const std::shared_ptr<BatchReply>& batch) {
    auto call = std::make_shared<Call>(method, host_.pools.buffers, *this);
    Buffer& text = call->text_.emplace(host_.pools.buffers);
    text.prepare(message.id.size() + message.method.size() + message.params.size() + 1);
    const auto keep = [&text](std::string_view view) {
        const std::size_t start = text.size();
        text.append(view);
        return text.view().substr(start);
    };
    call->id_ = keep(message.id);
    call->name_ = keep(message.method);
    call->params_ = keep(message.params);
    // `_meta` lies inside params: the same place in the copy.
    if (!message.meta.empty()) {
        call->scratch_.reserve(message.params.size()); // views into it must outlive what the handler's params add
        const auto meta_at = static_cast<std::size_t>(message.meta.data() - message.params.data());
        if (auto meta = read_request_meta(call->params_.substr(meta_at, message.meta.size()), call->scratch_))
            call->meta_ = *meta;
    }
    call->received_ns_ = direct_call_.received_ns_;
    if (message.kind == Message::Kind::request) call->batch_ = batch;
    return call;
}

void Dispatcher::start_call(const Method& method, const Message& message, const RequestMeta& meta,
                            const std::shared_ptr<BatchReply>& batch) {
    const CacheMode mode = meta.cache.value_or(CacheMode::standard);
    const bool cached = method.cacheable.ttl_ms > 0 && mode != CacheMode::bypass &&
                        ResponseCache::make_key(key_, method, message.params, meta);
    if (cached && mode != CacheMode::refresh) {
        // A hit is answered here and now, without a call of its own.
        Call& call = direct_call_;
        call.method_ = &method;
        call.id_ = message.id;
        call.name_ = message.method;
        call.params_ = message.params;
        call.meta_ = meta;
        call.batch_ = batch;
        bool refresh = false;
        const bool served = serve_from_cache(method, call, key_, refresh);
        call.batch_.reset();
        call.meta_ = {};
        if (served && refresh) {
            const Message silent{.kind = Message::Kind::notification,
                                 .method = message.method,
                                 .params = message.params,
                                 .meta = message.meta};
            join_flight(make_call(method, silent, nullptr), key_, FlightFor::refresh);
        }
        if (served) return;
        if (mode == CacheMode::onlyIfCached)
            return answer_error(message,
                                {ErrorCode::not_found, "no answer to this is in the cache", "/_meta/cache",
                                 "leave onlyIfCached out to have it made"},
                                batch, nullptr);
    }
    const std::int64_t begun_ns = trace_begin();
    const CallPtr call = make_call(method, message, batch);
    track(call);
    if (cached)
        join_flight(call, key_, mode == CacheMode::refresh ? FlightFor::refresh : FlightFor::miss);
    else
        dispatch(call);
    if (begun_ns != 0) trace(TraceStep::received, *call, begun_ns, 0, false);
}

namespace {

bool is_fresh(const CachedAnswer& kept, std::int64_t age_ms, const RequestMeta& meta) {
    return age_ms < kept.ttl_ms && (!meta.maxAgeMs || age_ms < *meta.maxAgeMs);
}

} // namespace

bool Dispatcher::serve_from_cache(const Method& method, Call& call, const std::string& key, bool& refresh) {
    const auto kept = cache_.find(key);
    const std::int64_t now_ns = host_.clock.now_ns();
    const std::int64_t age_ms = kept ? (now_ns - kept->stored_ns) / 1'000'000 : 0;
    const bool fresh = kept && is_fresh(*kept, age_ms, call.meta());
    const bool stale = kept && !fresh && age_ms < kept->ttl_ms + call.meta().staleOkMs &&
                       (!call.meta().maxAgeMs || age_ms < *call.meta().maxAgeMs + call.meta().staleOkMs);
    if (!fresh && !stale) {
        cache_.count_miss();
        method.stats->cache_misses.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    cache_.count_hit();
    method.stats->cache_hits.fetch_add(1, std::memory_order_relaxed);
    refresh = stale;
    const AnswerOrigin origin{.cached = true, .stale = stale, .age_ms = age_ms};
    if (call.batch_) {
        Buffer response(host_.pools.buffers);
        append_response(call, std::string_view(kept->json), origin, response);
        if (!call.id().empty()) deliver(call.batch_, response);
    } else {
        append_response(call, std::string_view(kept->json), origin, out_);
    }
    method.stats->latency_ns.record(static_cast<std::uint64_t>(host_.clock.now_ns() - call.received_ns()));
    if (trace_.load(std::memory_order_acquire) != nullptr) [[unlikely]]
        trace(TraceStep::direct, call, call.received_ns(), kept->json.size(), false);
    return true;
}

// A run for all who want the same: the request's params, and of its `_meta` what shapes the answer itself.
void Dispatcher::prepare_runner(Call& runner, const Call& wanted) {
    const std::string_view sort_by = wanted.meta().sortBy.value_or(std::string_view{});
    Buffer& text = runner.text_.emplace(host_.pools.buffers);
    text.prepare(wanted.params().size() + sort_by.size() + 1);
    text.append(wanted.params());
    text.append(sort_by);
    runner.params_ = text.view().substr(0, wanted.params().size());
    runner.meta_.priority = wanted.meta().priority;
    runner.meta_.page = wanted.meta().page;
    runner.meta_.limit = wanted.meta().limit;
    runner.meta_.sortOrder = wanted.meta().sortOrder;
    if (wanted.meta().sortBy) runner.meta_.sortBy = text.view().substr(wanted.params().size());
    runner.received_ns_ = wanted.received_ns();
}

void Dispatcher::join_flight(const CallPtr& call, std::string key, FlightFor purpose) {
    std::shared_ptr<Flight> flight;
    bool first = false;
    {
        const std::lock_guard lock(flights_mutex_);
        auto& slot = flights_[key];
        first = !slot;
        if (first) slot = std::make_shared<Flight>(*this, key, cache_.generation());
        flight = slot;
        flight->waiters.push_back(call);
        if (first) {
            flight->runner = std::make_shared<Call>(call->method(), host_.pools.buffers, *flight);
            prepare_runner(*flight->runner, *call);
        }
    }
    call->on_cancel([weak = std::weak_ptr(flight)] {
        if (const auto joined = weak.lock()) joined->on_waiter_gone();
    });
    if (first && purpose == FlightFor::miss) {
        // Another flight may have landed since we looked: its answer was kept before it made way for this one.
        const auto kept = cache_.find(flight->key);
        if (kept && is_fresh(*kept, (host_.clock.now_ns() - kept->stored_ns) / 1'000'000, call->meta())) {
            cache_.count_hit();
            call->method().stats->cache_hits.fetch_add(1, std::memory_order_relaxed);
            return land_flight(flight->key, std::string_view(kept->json));
        }
    }
    if (first) return dispatch(flight->runner);
    cache_.count_coalesced();
    call->method().stats->coalesced.fetch_add(1, std::memory_order_relaxed);
}

void Dispatcher::finish_flight(const std::string& key, const Method& method, std::uint64_t generation,
                               const Result<std::string_view>& result) {
    if (result) cache_.store(key, *result, method, host_.clock.now_ns(), generation);
    land_flight(key, result);
}

void Dispatcher::land_flight(const std::string& key, const Result<std::string_view>& result) {
    std::shared_ptr<Flight> flight;
    {
        const std::lock_guard lock(flights_mutex_);
        if (const auto at = flights_.find(key); at != flights_.end()) {
            flight = std::move(at->second);
            flights_.erase(at);
        }
    }
    if (!flight) return;
    for (const CallPtr& waiter : flight->waiters) {
        if (result)
            waiter->answer(*result);
        else
            waiter->answer(result.error());
    }
}

void Dispatcher::dispatch(const CallPtr& call) {
    if (call->method().lane == Lane::async || call->method().lane == Lane::hybrid) return call->method().start(call);
    if (call->method().lane == Lane::pooled) return workers_.submit(call->meta().priority, call);
    run_pooled(call); // a direct method that is cached: quick enough to run here
}

void Dispatcher::run_pooled(const CallPtr& call) {
    if (call->is_answered()) return; // cancelled while it waited
    const std::int64_t begun_ns = trace_begin();
    Buffer result(host_.pools.buffers);
    auto done = run_into(call->method(), *call, result);
    if (begun_ns != 0) trace(TraceStep::run, *call, begun_ns, result.size(), !done);
    if (!done)
        call->answer(std::move(done).error());
    else
        call->answer(result.view());
}

void Dispatcher::append_response(const Call& call, const Result<std::string_view>& result, const AnswerOrigin& origin,
                                 Buffer& out) {
    if (call.id().empty()) return;
    const std::size_t start = out.size();
    Result<void> appended{};
    if (result) {
        out.append("{\"jsonrpc\":\"2.0\",\"id\":");
        out.append(call.id());
        out.append(",\"result\":");
        if (needs_pipeline(call.meta()))
            appended = append_result(call, *result, origin, host_.clock.now_ns(), host_.pools, out);
        else
            out.append(*result);
        out.append('}');
    } else {
        appended = std::unexpected(result.error());
    }
    if (appended) return;
    metrics::errors.add();
    call.method().stats->errors.fetch_add(1, std::memory_order_relaxed);
    out.truncate(start);
    append_error(call.id(), appended.error(), out);
}

void Dispatcher::trace(TraceStep step, const Call& call, std::int64_t begun_ns, std::size_t result_bytes,
                       bool failed) const {
    TraceSink* const sink = trace_.load(std::memory_order_acquire);
    if (sink == nullptr) return;
    sink->record({.step = step,
                  .call = &call,
                  .method = call.name().empty() ? call.method().name : call.name(),
                  .received_ns = call.received_ns(),
                  .begun_ns = begun_ns,
                  .ended_ns = host_.clock.now_ns(),
                  .params_bytes = call.params().size(),
                  .result_bytes = result_bytes,
                  .failed = failed});
}

void Dispatcher::answered(Call& call, const Result<std::string_view>& result) {
    const std::int64_t begun_ns = trace_begin();
    TimerId deadline;
    {
        const std::lock_guard lock(call.mutex_);
        deadline = call.deadline_;
    }
    if (deadline != TimerId{}) host_.timers.cancel(deadline);
    if (call.id().empty()) {
        if (!result)
            log(LogLevel::info, "ipc",
                "notification " + std::string(call.method().name) + " failed: " + result.error().message);
    } else {
        if (call.progress_begun_.load(std::memory_order_acquire)) {
            Buffer end(host_.pools.buffers);
            const std::size_t mark = host_.frames.begin(end);
            end.append("{\"jsonrpc\":\"2.0\",\"method\":\"$/progress\",\"params\":{\"token\":");
            end.append(call.meta().progressToken->text);
            end.append(",\"value\":{\"kind\":\"end\"}}}");
            host_.frames.end(end, mark);
            host_.outbox.send(std::move(end));
        }
        Buffer response(host_.pools.buffers);
        if (call.batch_) {
            append_response(call, result, {}, response);
            leave_batch(call.batch_, &response);
        } else {
            const std::size_t mark = host_.frames.begin(response);
            append_response(call, result, {}, response);
            host_.frames.end(response, mark);
            host_.outbox.send(std::move(response));
        }
    }
    call.method().stats->latency_ns.record(static_cast<std::uint64_t>(host_.clock.now_ns() - call.received_ns()));
    if (begun_ns != 0) trace(TraceStep::answered, call, begun_ns, result ? result->size() : 0, !result);
    untrack(call);
}

void Dispatcher::progressed(Call& call, double percentage, std::string_view message) {
    if (!call.meta().progressToken || call.id().empty()) return;
    Buffer out(host_.pools.buffers);
    const auto notify = [&](std::string_view kind) {
        const std::size_t mark = host_.frames.begin(out);
        out.append("{\"jsonrpc\":\"2.0\",\"method\":\"$/progress\",\"params\":{\"token\":");
        out.append(call.meta().progressToken->text);
        out.append(",\"value\":{\"kind\":");
        append_quoted(out, kind);
        if (kind == "begin") {
            out.append(",\"title\":");
            append_quoted(out, call.name().empty() ? call.method().name : call.name());
            out.append(",\"cancellable\":true");
        }
        if (percentage >= 0) {
            out.append(",\"percentage\":");
            append_number(out, percentage);
        }
        if (!message.empty()) {
            out.append(",\"message\":");
            append_quoted(out, message);
        }
        out.append("}}}");
        host_.frames.end(out, mark);
    };
    notify(call.progress_begun_.exchange(true, std::memory_order_acq_rel) ? "report" : "begin");
    // Progress is a reading, not an answer: a reader that lags gets the next one.
    if (host_.outbox.backlog_bytes() < limits::outbox_event_bytes ||
        out.view().find("\"begin\"") != std::string_view::npos)
        host_.outbox.send(std::move(out));
}

void Dispatcher::deliver(const std::shared_ptr<BatchReply>& batch, Buffer& response) {
    if (batch) return leave_batch(batch, &response);
    Buffer framed(host_.pools.buffers);
    framed.prepare(response.size() + 64);
    const std::size_t mark = host_.frames.begin(framed);
    framed.append(response.view());
    host_.frames.end(framed, mark);
    host_.outbox.send(std::move(framed));
}

void Dispatcher::leave_batch(const std::shared_ptr<BatchReply>& batch, Buffer* response) {
    const std::lock_guard lock(batch->mutex);
    if (response != nullptr) {
        batch->out.append(batch->any ? ',' : '[');
        if (!is_batch_full(batch->out.size() - batch->mark, response->size())) {
            batch->out.append(response->view());
        } else {
            metrics::errors.add();
            append_error(id_of(response->view()), batch_is_full(), batch->out);
        }
        batch->any = true;
    }
    if (--batch->remaining != 0 || !batch->any) return;
    batch->out.append(']');
    host_.frames.end(batch->out, batch->mark);
    host_.outbox.send(std::move(batch->out));
}

void Dispatcher::track(const CallPtr& call) {
    in_flight_calls_.fetch_add(1, std::memory_order_relaxed);
    in_flight_bytes_.fetch_add(call->params().size(), std::memory_order_relaxed);
    {
        const std::lock_guard lock(calls_mutex_);
        calls_.emplace(call->id(), call);
    }
    if (!call->meta().timeoutMs) return;
    const std::lock_guard lock(call->mutex_); // the deadline may pass before its name is known
    call->deadline_ = host_.timers.after_ms(*call->meta().timeoutMs, [weak = std::weak_ptr(call)] {
        if (const CallPtr late = weak.lock())
            late->cancel(
                {ErrorCode::timeout, "no answer within " + std::to_string(*late->meta().timeoutMs) + " ms", {}, {}});
    });
}

void Dispatcher::untrack(const Call& call) {
    CallPtr last; // let go outside the lock
    const std::lock_guard lock(calls_mutex_);
    const auto [first, end] = calls_.equal_range(call.id());
    for (auto at = first; at != end; ++at) {
        if (at->second.get() != &call) continue;
        last = std::move(at->second);
        calls_.erase(at);
        in_flight_bytes_.fetch_sub(call.params().size(), std::memory_order_relaxed);
        in_flight_calls_.fetch_sub(1, std::memory_order_relaxed);
        calls_changed_.notify_all();
        return;
    }
}

bool Dispatcher::drain(std::int64_t wait_ms_max) {
    std::vector<CallPtr> left;
    {
        std::unique_lock lock(calls_mutex_);
        calls_changed_.wait_for(lock, std::chrono::milliseconds(wait_ms_max), [this] { return calls_.empty(); });
        for (const auto& [id, call] : calls_) left.push_back(call);
    }
    for (const CallPtr& call : left)
        call->cancel({ErrorCode::unavailable, "Pillion ended before this was done", {}, {}});
    return left.empty();
}

} // namespace pillion
