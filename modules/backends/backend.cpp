// Calls: from the cache, or as flights through queue, wire and back. Equal calls share a flight; a flight ends when its
// answer comes, its time is up, the process dies, or nobody waits for it any more.
#include "modules/backends/backend.h"

#include "ipc/base/log.h"
#include "modules/backends/backend_json.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::size_t abandoned_max = 1024;
constexpr std::int64_t refresh_pause_ns = 1'000'000'000;
constexpr std::int64_t ns_per_ms = 1'000'000;

// Members of `_meta` that are Pillion's own; foreign ones have a '/' or '.' in their name (MCP's convention).
bool is_foreign(std::string_view name) { return name.find_first_of("/.") != std::string_view::npos; }

void give_up(const std::vector<BackendFlight::Waiter>& waiters, const Error& error) {
    for (const auto& waiter : waiters) waiter.caller->answered(std::unexpected(error));
}

} // namespace

Backend::Backend(std::string name, BackendSpec spec, Host host)
    : name_(std::move(name)), spec_(std::move(spec)), host_(std::move(host)), rules_(spec_),
      cache_(static_cast<std::size_t>(spec_.cacheEntriesMax), static_cast<std::size_t>(spec_.cacheBytesMax)),
      breaker_(spec_.breakerFailures, spec_.breakerOpenMs, spec_.breakerOpenMsMax),
      restarts_({.rule = spec_.restart ? RestartRule::always : RestartRule::never,
                 .crashes_max = static_cast<std::uint32_t>(spec_.restartsMax),
                 .window_ms = spec_.restartWindowMs},
                host_.clock, host_.random) {}

void BackendTicket::cancel(CancelReason reason) const {
    const auto backend = backend_.lock();
    const auto flight = flight_.lock();
    if (backend && flight) backend->cancel(flight, number_, reason);
}

Error Backend::unavailable(std::string message) const {
    return {ErrorCode::unavailable, "backend \"" + name_ + "\" " + std::move(message), {}, {}};
}

Error Backend::full() const {
    return {ErrorCode::exhausted,
            "backend \"" + name_ + "\" has " + std::to_string(queue_.size()) +
                " messages waiting already, as many as its queueMax allows",
            {},
            {}};
}

Backend::Freshness Backend::freshness(const KeptAnswer* kept, const BackendRequest& request) const {
    if (kept == nullptr || request.cache == CacheMode::bypass || request.cache == CacheMode::refresh)
        return Freshness::absent;
    const std::int64_t age_ms = (host_.clock.now_ns() - kept->stored_ns) / ns_per_ms;
    if (request.max_age_ms && age_ms >= *request.max_age_ms + request.stale_ok_ms) return Freshness::absent;
    if (request.max_age_ms && age_ms >= *request.max_age_ms) return Freshness::stale;
    if (kept->is_suspect) return Freshness::stale;
    if (!kept->ttl_ms || age_ms < *kept->ttl_ms) return Freshness::fresh;
    const std::int64_t grace_ms = std::max(kept->rule->staleWhileRevalidateMs, request.stale_ok_ms);
    return age_ms < *kept->ttl_ms + grace_ms ? Freshness::stale : Freshness::absent;
}

const BackendCacheRule* Backend::find_rule(std::string_view method, std::string_view params) const {
    if (const BackendCacheRule* const declared = rules_.find(method, params)) return declared;
    if (tuning_.kept_ms.empty()) return nullptr;
    const auto tuned = tuned_rules_.find(method);
    return tuned != tuned_rules_.end() && tuning_.kept_ms.contains(tuned->first) ? &tuned->second : nullptr;
}

// Looks the request up; key_ is its key, empty if it has none.
KeptAnswer* Backend::find_kept(const BackendRequest& request, const BackendCacheRule*& rule) {
    key_.clear();
    rule = find_rule(request.method, request.params);
    if (rule == nullptr) return nullptr;
    if (BackendRules::make_key(key_, request.method, request.params, rule)) return cache_.find(key_);
    key_.clear();
    rule = nullptr;
    return nullptr;
}

Result<bool> Backend::answer_from_cache(const BackendRequest& request, Buffer& out) {
    Turn turn(*this);
    if (spec_.kind != BackendKind::plain && request.method == handshake_method && !handshake_result_.empty()) {
        ++counts_.calls;
        ++counts_.hits;
        out.append(handshake_result_);
        return true;
    }
    const BackendCacheRule* rule = nullptr;
    const KeptAnswer* const kept = find_kept(request, rule);
    const Freshness found = freshness(kept, request);
    if (found == Freshness::absent) return false;
    ++counts_.calls;
    ++counts_.hits;
    out.append(*kept->json);
    if (found == Freshness::fresh) return true;
    ++counts_.staleServed;
    // What an earlier process said is asked again when one runs, and does not wake it.
    if (!kept->is_suspect || is_running()) refresh(turn, kept->method, kept->params, rule, key_);
    return true;
}

// Calls that are not for the backend: its handshake is Pillion's business.
bool Backend::answer_own(Turn& turn, const BackendRequest& request, const BackendCallerPtr& caller) {
    if (spec_.kind == BackendKind::plain) return false;
    if (spec_.kind == BackendKind::lsp && request.method == "shutdown") {
        turn.after([caller] { caller->answered("null"); });
        return true;
    }
    if (request.method != handshake_method) return false;
    if (!handshake_result_.empty()) {
        ++counts_.hits;
        turn.after([caller, result = handshake_result_] { caller->answered(result); });
    } else if (state_ == BackendState::stopped) {
        turn.after([caller, error = unavailable("is stopped")] { caller->answered(std::unexpected(error)); });
    } else {
        handshake_waiters_.push_back(caller);
        want_running(turn);
    }
    return true;
}

// Why a new flight may not begin; nothing if it may. The probe is the call that the open breaker lets through.
std::optional<Error> Backend::refusal(const BackendRequest& request, bool& is_probe) {
    if (request.cache == CacheMode::onlyIfCached)
        return Error{ErrorCode::not_found, "no answer to this is in the cache", "/_meta/cache",
                     "leave onlyIfCached out to have it made"};
    if (state_ == BackendState::stopped) {
        Error error = unavailable("is stopped");
        error.hint = "start it first";
        return error;
    }
    if (is_full()) return full();
    const bool was_closed = breaker_.state() == BreakerState::closed;
    const std::int64_t now_ns = host_.clock.now_ns();
    if (breaker_.allow(now_ns)) {
        is_probe = !was_closed;
        return std::nullopt;
    }
    const std::int64_t wait_ms = breaker_.wait_ms(now_ns);
    return unavailable("failed " + std::to_string(breaker_.failures()) + " times in a row" +
                       (reason_.empty() ? "" : " (" + reason_ + ")") + "; " +
                       (wait_ms == 0 ? std::string("one call is trying it now")
                                     : "the next try is in " + std::to_string(wait_ms) + " ms"));
}

BackendTicket Backend::call(const BackendRequest& request, BackendCallerPtr caller) {
    Turn turn(*this);
    ++counts_.calls;
    if (answer_own(turn, request, caller)) return {};
    const BackendCacheRule* rule = nullptr;
    KeptAnswer* kept = request.cache == CacheMode::bypass ? nullptr : find_kept(request, rule);
    if (request.cache == CacheMode::bypass) key_.clear();
    if (const Freshness found = freshness(kept, request); found != Freshness::absent) {
        ++counts_.hits;
        turn.after([caller, json = kept->json] { caller->answered(std::string_view(*json)); });
        if (found == Freshness::fresh) return {};
        ++counts_.staleServed;
        if (!kept->is_suspect || is_running()) refresh(turn, kept->method, kept->params, rule, key_);
        return {};
    }
    const bool is_shared = rule != nullptr || (request.cache != CacheMode::bypass && rules_.is_shared(request.method));
    if (is_shared && key_.empty() && !BackendRules::make_key(key_, request.method, request.params, nullptr))
        key_.clear();
    const std::uint64_t number = ++last_waiter_;
    BackendFlight::Waiter waiter{number, std::move(caller), request.wants_progress};
    if (!key_.empty() && request.cache != CacheMode::onlyIfCached) {
        if (const auto running = shared_.find(key_); running != shared_.end()) {
            ++counts_.coalesced;
            running->second->waiters.push_back(std::move(waiter));
            return {weak_from_this(), running->second, number};
        }
    }
    if (!is_shared) close_shared_runs();
    bool is_probe = false;
    if (auto error = refusal(request, is_probe)) {
        if (error->code == ErrorCode::exhausted) ++counts_.refused;
        if (error->code == ErrorCode::unavailable) ++counts_.failures;
        const auto flight = std::make_shared<BackendFlight>();
        flight->key = key_;
        flight->waiters.push_back(std::move(waiter));
        fail(turn, flight, *error);
        return {};
    }
    const FlightPtr flight = make_flight(request, rule);
    flight->is_probe = is_probe;
    flight->waiters.push_back(std::move(waiter));
    enqueue(turn, flight);
    return {weak_from_this(), flight, number};
}

FlightPtr Backend::make_flight(const BackendRequest& request, const BackendCacheRule* rule) {
    auto flight = std::make_shared<BackendFlight>();
    flight->id = ++last_id_;
    flight->method = request.method;
    flight->key = key_;
    flight->rule = rule;
    flight->generation = cache_.generation();
    flight->asked_ns = host_.clock.now_ns();
    if (rule != nullptr)
        flight->params = request.params;
    else
        flight->asked = BackendRepeats::hash(request.method, request.params);
    if (!key_.empty()) shared_[key_] = flight;
    const std::string params = outgoing_params(*flight, request.params, request.wants_progress);
    flight->text = backend_json::request(flight->id, request.method, params);
    return flight;
}

// The params as the backend gets them: without what is Pillion's own, tokens replaced by ours, on one line.
std::string Backend::outgoing_params(BackendFlight& flight, std::string_view params, bool wants_progress) const {
    std::vector<std::pair<std::string_view, std::string>> changes;
    const std::string number = std::to_string(flight.id);
    if (params.empty() || params.front() == '{') {
        const auto meta =
            params.find("_meta") == std::string_view::npos ? std::nullopt : backend_json::find_member(params, "_meta");
        if (meta || (wants_progress && spec_.kind == BackendKind::mcp)) {
            std::vector<std::pair<std::string_view, std::string>> meta_changes;
            bool keeps_any = false;
            for (const auto& [name, value] : backend_json::members(meta.value_or("{}"))) {
                if (name == "progressToken" && !wants_progress) flight.progress_token = value;
                keeps_any = keeps_any || is_foreign(name);
                if (!is_foreign(name)) meta_changes.emplace_back(name, "");
            }
            if (spec_.kind == BackendKind::mcp && (wants_progress || !flight.progress_token.empty())) {
                meta_changes.erase(std::remove_if(meta_changes.begin(), meta_changes.end(),
                                                  [](const auto& change) { return change.first == "progressToken"; }),
                                   meta_changes.end());
                meta_changes.emplace_back("progressToken", number);
                keeps_any = true;
            }
            changes.emplace_back("_meta", keeps_any ? backend_json::with_members(meta.value_or("{}"), meta_changes)
                                                    : std::string{});
        }
    }
    const auto replace_token = [&](std::string_view member, std::string& kept, const char* prefix) {
        if (spec_.kind != BackendKind::lsp || params.find(member) == std::string_view::npos) return;
        const auto token = backend_json::find_member(params, member);
        if (!token) return;
        kept = *token;
        changes.emplace_back(member, backend_json::quoted(prefix + number));
    };
    replace_token("workDoneToken", flight.work_token, "w");
    replace_token("partialResultToken", flight.partial_token, "p");
    std::string out = changes.empty() ? std::string(params) : backend_json::with_members(params, changes);
    if (out == "{}" && params.empty()) out.clear();
    return backend_json::has_line_ends(out) ? backend_json::on_one_line(out) : out;
}

// Asks again for what is kept; those who ask meanwhile wait for it too.
void Backend::refresh(Turn& turn, const std::string& method, const std::string& params, const BackendCacheRule* rule,
                      std::string key) {
    if (shared_.contains(key)) return;
    bool is_probe = false;
    if (refusal({.method = method}, is_probe)) return;
    // Copies: `method` and `params` may lie in the cache, which changes before they are read for the last time.
    const std::string kept_method = method, kept_params = params;
    key_ = std::move(key);
    const FlightPtr flight = make_flight({.method = kept_method, .params = kept_params}, rule);
    flight->kind = FlightKind::refresh;
    flight->is_probe = is_probe;
    enqueue(turn, flight);
}

void Backend::enqueue(Turn& turn, FlightPtr flight) {
    last_activity_ns_ = host_.clock.now_ns();
    const bool may_be_recalled = flight->rule != nullptr && rules_.is_capability_list(flight->method);
    queue_.push_back(std::move(flight));
    counts_.queueHighWater = std::max(counts_.queueHighWater, static_cast<std::int64_t>(queue_.size()));
    arm_deadline(turn);
    if (may_be_recalled && !is_running()) {
        recall(turn);
        if (recall_ == Recall::loading) return; // its end wakes the backend if there is still need
    }
    want_running(turn);
    pump(turn);
}

void Backend::pump(Turn& turn) {
    if (state_ != BackendState::ready || queue_.empty()) return;
    if (spec_.acceptsBatches) {
        if (!std::exchange(flush_due_, true))
            turn.after([self = shared_from_this()] {
                self->later(0, [](Backend& backend) {
                    Turn flush(backend);
                    backend.flush_due_ = false;
                    if (backend.state_ == BackendState::ready) backend.pump_batch(flush);
                });
            });
        return;
    }
    while (!queue_.empty()) {
        const FlightPtr next = queue_.front();
        if (next->kind != FlightKind::notification && sends_enough(calls_sent())) return;
        queue_.pop_front();
        send(turn, next);
    }
}

// As pump(), with what has gathered in one array.
void Backend::pump_batch(Turn& turn) {
    std::vector<FlightPtr> together;
    std::size_t calls = calls_sent();
    while (!queue_.empty()) {
        const FlightPtr next = queue_.front();
        if (next->kind != FlightKind::notification && sends_enough(calls++)) break;
        queue_.pop_front();
        together.push_back(next);
    }
    if (together.empty()) return;
    if (together.size() == 1) {
        send(turn, together.front());
        return;
    }
    std::string text;
    for (const FlightPtr& flight : together) text.append(text.empty() ? "[" : ",").append(flight->text);
    text += ']';
    if (const auto written = write(text); !written) return fail_all(turn, std::move(together), written.error());
    ++counts_.batches;
    for (const FlightPtr& flight : together) {
        flight->sent_ns = host_.clock.now_ns();
        flight->text = {};
        if (flight->kind == FlightKind::notification) continue;
        ++counts_.sent;
        sent_.emplace(flight->id, flight);
    }
}

bool Backend::send(Turn& turn, const FlightPtr& flight) {
    if (const auto written = write(flight->text); !written) {
        if (flight->kind == FlightKind::notification)
            log(LogLevel::info, "backends", name_ + ": a notification was dropped: " + written.error().message);
        else
            fail(turn, flight, written.error());
        return false;
    }
    flight->text = {};
    flight->sent_ns = host_.clock.now_ns();
    if (flight->kind == FlightKind::notification) return true;
    ++counts_.sent;
    sent_.emplace(flight->id, flight);
    if (flight->kind == FlightKind::handshake || flight->kind == FlightKind::shutdown) ++own_sent_;
    return true;
}

// Frames one message and hands it to the process.
Result<void> Backend::write(std::string_view text) {
    if (!transport_) return std::unexpected(unavailable("is not running"));
    std::string framed;
    framed.reserve(text.size() + 40);
    if (speaks_headers(spec_))
        framed.append("Content-Length: ").append(std::to_string(text.size())).append("\r\n\r\n").append(text);
    else
        framed.append(text).push_back('\n');
    return transport_->write(std::move(framed));
}

// One timer for all: calls are asked in the order of their ids, so the oldest is due first.
void Backend::arm_deadline(Turn& turn) {
    if (spec_.timeoutMs == 0 || deadline_armed_) return;
    std::int64_t oldest_ns = INT64_MAX;
    for (const auto& [id, flight] : sent_)
        if (flight->kind == FlightKind::call || flight->kind == FlightKind::refresh) {
            oldest_ns = flight->asked_ns;
            break;
        }
    for (const FlightPtr& flight : queue_)
        if (flight->kind != FlightKind::notification) {
            oldest_ns = std::min(oldest_ns, flight->asked_ns);
            break;
        }
    if (oldest_ns == INT64_MAX) return;
    deadline_armed_ = true;
    const std::int64_t left_ns = oldest_ns + spec_.timeoutMs * ns_per_ms - host_.clock.now_ns();
    turn.after(
        [self = shared_from_this(), delay_ms = std::max<std::int64_t>(0, (left_ns + ns_per_ms - 1) / ns_per_ms)] {
            self->later(delay_ms, [](Backend& backend) { backend.on_deadline(); });
        });
}

void Backend::on_deadline() {
    Turn turn(*this);
    deadline_armed_ = false;
    const std::int64_t now_ns = host_.clock.now_ns();
    std::vector<FlightPtr> due;
    const auto consider = [&](const FlightPtr& flight) {
        const bool counts = flight->kind == FlightKind::call || flight->kind == FlightKind::refresh;
        if (counts && now_ns - flight->asked_ns >= spec_.timeoutMs * ns_per_ms) due.push_back(flight);
    };
    for (const auto& [id, flight] : sent_) consider(flight);
    for (const FlightPtr& flight : queue_) consider(flight);
    for (const FlightPtr& flight : due) expire(turn, flight);
    arm_deadline(turn);
    pump(turn);
}

void Backend::expire(Turn& turn, const FlightPtr& flight) {
    ++counts_.timeouts;
    tell_cancelled(*flight, "no answer within " + std::to_string(spec_.timeoutMs) + " ms");
    abandon(flight);
    note_failure();
    flight->is_probe = false;
    fail(turn, flight,
         {ErrorCode::timeout,
          "backend \"" + name_ + "\" gave no answer to " + flight->method + " within " +
              std::to_string(spec_.timeoutMs) + " ms",
          {},
          {}});
}

void Backend::cancel(const FlightPtr& flight, std::uint64_t number, CancelReason reason) {
    Turn turn(*this);
    auto& waiters = flight->waiters;
    const auto at = std::find_if(waiters.begin(), waiters.end(),
                                 [number](const BackendFlight::Waiter& waiter) { return waiter.number == number; });
    if (at == waiters.end()) return;
    turn.after([caller = std::move(at->caller)] {}); // let go without the lock
    waiters.erase(at);
    ++(reason == CancelReason::timeout ? counts_.timeouts : counts_.cancelled);
    if (reason == CancelReason::timeout) {
        note_failure();
        flight->is_probe = false;
    }
    if (!waiters.empty() || flight->kind != FlightKind::call) return;
    tell_cancelled(*flight, reason == CancelReason::timeout ? "its time is up" : "nobody waits for it any more");
    abandon(flight);
    pump(turn);
}

// Takes a flight out of everything; an answer that still comes is passed over.
void Backend::abandon(const FlightPtr& flight) {
    if (sent_.contains(flight->id)) {
        abandoned_.insert(flight->id);
        if (abandoned_.size() > abandoned_max) abandoned_.erase(abandoned_.begin());
    }
    release(flight);
    queue_.erase(std::remove(queue_.begin(), queue_.end(), flight), queue_.end());
}

void Backend::release(const FlightPtr& flight) {
    if (sent_.erase(flight->id) != 0 && (flight->kind == FlightKind::handshake || flight->kind == FlightKind::shutdown))
        --own_sent_;
    if (const auto at = shared_.find(flight->key); at != shared_.end() && at->second == flight) shared_.erase(at);
    if (std::exchange(flight->is_probe, false)) breaker_.abandoned();
}

void Backend::tell_cancelled(const BackendFlight& flight, std::string_view reason) {
    if (flight.sent_ns == 0 || !transport_) return;
    const std::string id = std::to_string(flight.id);
    const std::string text =
        spec_.kind == BackendKind::mcp
            ? backend_json::notification("notifications/cancelled",
                                         "{\"requestId\":" + id + ",\"reason\":" + backend_json::quoted(reason) + "}")
            : backend_json::notification("$/cancelRequest", "{\"id\":" + id + "}");
    if (const auto written = write(text); written) ++counts_.notificationsOut;
}

// Answers all who wait with the error, or with what is kept where the rule would rather have that.
void Backend::fail(Turn& turn, const FlightPtr& flight, const Error& error) {
    release(flight);
    const KeptAnswer* const kept = flight->key.empty() ? nullptr : cache_.find(flight->key);
    if (kept != nullptr && kept->rule->staleIfErrorMs > 0 && error.code != ErrorCode::not_found) {
        const std::int64_t age_ms = (host_.clock.now_ns() - kept->stored_ns) / ns_per_ms;
        if (!kept->ttl_ms || age_ms < *kept->ttl_ms + kept->rule->staleIfErrorMs) {
            ++counts_.staleServed;
            turn.after([waiters = std::exchange(flight->waiters, {}), json = kept->json] {
                for (const auto& waiter : waiters) waiter.caller->answered(std::string_view(*json));
            });
            return;
        }
    }
    turn.after([waiters = std::exchange(flight->waiters, {}), error] { give_up(waiters, error); });
}

void Backend::fail_all(Turn& turn, std::vector<FlightPtr> flights, const Error& error) {
    for (const FlightPtr& flight : flights) {
        if (flight->kind == FlightKind::notification) continue;
        if (error.code == ErrorCode::unavailable) counts_.failures += flight->waiters.size();
        fail(turn, flight, error);
    }
}

void Backend::note_failure() {
    if (breaker_.failed(host_.clock.now_ns()))
        log(LogLevel::warning, "backends",
            name_ + ": failed " + std::to_string(breaker_.failures()) + " times in a row; calls are refused for " +
                std::to_string(breaker_.wait_ms(host_.clock.now_ns())) + " ms");
}

std::vector<FlightPtr> Backend::take_sent() {
    std::vector<FlightPtr> flights;
    for (const auto& [id, flight] : sent_) flights.push_back(flight);
    sent_.clear();
    own_sent_ = 0;
    return flights;
}

std::vector<FlightPtr> Backend::take_queued() {
    std::vector<FlightPtr> flights(queue_.begin(), queue_.end());
    queue_.clear();
    return flights;
}

// Something that may change what the backend would answer goes out: reads that run now are not joined any more, unless
// a rule says that their answers may be old anyway.
void Backend::close_shared_runs() {
    std::erase_if(shared_, [](const auto& entry) { return entry.second->rule == nullptr; });
}

Result<void> Backend::notify(std::string_view method, std::string_view params) {
    Turn turn(*this);
    if (spec_.kind != BackendKind::plain &&
        (method == "initialized" || method == "notifications/initialized" || method == "exit"))
        return {}; // Pillion's business
    if (method == "$/cancelRequest" || method == "notifications/cancelled")
        return {}; // the ids are the client's: it cancels its own request with Pillion
    if (state_ == BackendState::stopped) return std::unexpected(unavailable("is stopped"));
    if (spec_.kind == BackendKind::mcp && !is_running()) return {}; // says nothing to a process yet to come
    if (is_full()) return std::unexpected(full());
    close_shared_runs();
    void_by(turn, method, params);
    ++counts_.notificationsOut;
    auto flight = std::make_shared<BackendFlight>();
    flight->kind = FlightKind::notification;
    flight->text = backend_json::notification(
        method, backend_json::has_line_ends(params) ? backend_json::on_one_line(params) : std::string(params));
    enqueue(turn, std::move(flight));
    return {};
}

// Drops what a notification, in either direction, makes void. Capability lists are asked again at once, so that they
// can be given while it sleeps.
void Backend::void_by(Turn& turn, std::string_view notification, std::string_view params) {
    if (!rules_.invalidates(notification)) return;
    const auto uri =
        notification == "notifications/resources/updated" ? backend_json::find_text(params, "uri") : std::nullopt;
    struct List {
        std::string key, method, params;
        const BackendCacheRule* rule;
    };
    std::vector<List> lists;
    std::set<std::string> methods;
    const std::int64_t now_ns = host_.clock.now_ns();
    cache_.visit([&](const std::string& key, const KeptAnswer& kept) {
        // One that calls its lists changed whenever they are asked is not asked for ever.
        const bool is_echo = kept.is_refreshed && now_ns - kept.stored_ns < refresh_pause_ns;
        if (rules_.is_capability_list(kept.method) && BackendRules::is_invalidated(*kept.rule, notification) &&
            !is_echo)
            lists.push_back({key, kept.method, kept.params, kept.rule});
    });
    counts_.invalidations += cache_.erase_if([&](const KeptAnswer& kept) {
        if (!BackendRules::is_invalidated(*kept.rule, notification)) return false;
        if (uri && !kept.uri.empty() && kept.uri != *uri) return false;
        methods.insert(kept.method);
        return true;
    });
    for (const std::string& method : methods)
        if (host_.memory != nullptr && rules_.is_capability_list(method))
            turn.after([self = shared_from_this(), method] { self->host_.memory->forget(self->name_, method); });
    if (state_ != BackendState::ready) return;
    // A run that began before the change is not joined.
    std::erase_if(shared_, [&](const auto& entry) {
        return entry.second->rule != nullptr && BackendRules::is_invalidated(*entry.second->rule, notification);
    });
    for (List& list : lists) refresh(turn, list.method, list.params, list.rule, std::move(list.key));
}

std::size_t Backend::invalidate(std::string_view method, std::string_view tag) {
    Turn turn(*this);
    const std::size_t dropped = cache_.erase_if([&](const KeptAnswer& kept) {
        if (!method.empty() && !glob_matches(method, kept.method)) return false;
        const auto& tags = kept.rule->tags;
        return tag.empty() || std::find(tags.begin(), tags.end(), tag) != tags.end();
    });
    counts_.invalidations += dropped;
    return dropped;
}

std::pair<std::size_t, std::size_t> Backend::cache_size() const {
    const std::lock_guard lock(mutex_);
    return {cache_.bytes(), cache_.entries()};
}

std::size_t Backend::clear_cache() {
    const std::lock_guard lock(mutex_);
    const std::size_t bytes = cache_.bytes();
    cache_.erase_if([](const KeptAnswer&) { return true; });
    return bytes;
}

} // namespace pillion
