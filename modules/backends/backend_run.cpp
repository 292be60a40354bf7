// A backend's life:
//
//   cold ──> starting ──> ready ──> stopping ──> asleep ──> starting ...      (idle)
//                │          │           └──────> stopped                      (by request)
//                └──────────┴──> waiting ──> starting ...                     (crashed; after a delay)
//                           └──> failed  ──> starting ...                     (crash loop; when the breaker lets a
//                           call)
//
// What belongs to a start carries its number, so that what comes late is passed over. The handshake of the kind is made
// at each start, before anything that waits is sent.
#include "ipc/base/log.h"
#include "modules/backends/backend.h"
#include "modules/backends/backend_json.h"

#include <unistd.h>

namespace pillion {

namespace {

constexpr std::int64_t shutdown_answer_ms = 1000; // for a language server's answer to `shutdown`
constexpr std::int64_t end_of_input_ms = 500;     // from the end of its input until it is asked by signal
constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::size_t checks_max = 32; // of kept answers behind one start

std::string named_list(const std::vector<BackendRoot>& roots) {
    std::string list = "[";
    for (const BackendRoot& root : roots) {
        if (list.size() > 1) list += ',';
        list.append("{\"uri\":").append(backend_json::quoted(root.uri)).append(",\"name\":");
        const std::string last = root.uri.substr(root.uri.find_last_of('/') + 1);
        list.append(backend_json::quoted(root.name.value_or(last))).append("}");
    }
    return list += ']';
}

std::string json_of(const std::optional<Json>& value) { return value ? value->text : "null"; }

} // namespace

void Backend::later(std::int64_t delay_ms, std::function<void(Backend&)> task) {
    host_.timers.after_ms(delay_ms, [weak = weak_from_this(), task = std::move(task)] {
        if (const auto self = weak.lock()) task(*self);
    });
}

void Backend::set_state(Turn& turn, BackendState state, std::string reason) {
    if (state == state_ && reason == reason_) return;
    state_ = state;
    reason_ = std::move(reason);
    if (host_.changed)
        turn.after([self = shared_from_this(), change = BackendChange{name_, state_, reason_}] {
            self->host_.changed(change);
        });
}

// Something waits for the backend: brings it up from where it rests.
void Backend::want_running(Turn& turn) {
    switch (state_) {
    case BackendState::cold:
    case BackendState::asleep:
    case BackendState::failed:
        return wake(turn);
    case BackendState::stopping:
        wake_after_end_ = end_target_ == BackendState::asleep;
        return;
    default:
        return; // is coming up, or will when the restart is due
    }
}

void Backend::wake(Turn& turn) {
    if (state_ == BackendState::asleep) ++counts_.wakes;
    set_state(turn, BackendState::starting);
    ++run_;
    turn.after(
        [self = shared_from_this(), run = run_] { self->later(0, [run](Backend& backend) { backend.launch(run); }); });
}

// Asks for what an earlier process of Pillion kept of the capability lists; once.
void Backend::recall(Turn& turn) {
    if (host_.memory == nullptr || recall_ != Recall::untouched) return;
    recall_ = Recall::loading;
    turn.after([self = shared_from_this()] {
        self->host_.memory->load(self->name_, self->fingerprint(), [weak = self->weak_from_this()](auto items) {
            if (const auto backend = weak.lock()) backend->on_recalled(std::move(items));
        });
    });
}

void Backend::on_recalled(std::vector<BackendMemory::Item> items) {
    Turn turn(*this);
    recall_ = Recall::done;
    for (BackendMemory::Item& item : items) {
        if (item.method == handshake_method) {
            if (handshake_result_.empty()) handshake_result_ = std::move(item.json);
            continue;
        }
        std::string key;
        const BackendCacheRule* const rule = rules_.find(item.method, item.params);
        if (rule == nullptr || !BackendRules::make_key(key, item.method, item.params, rule) || cache_.find(key))
            continue;
        KeptAnswer kept{.method = std::move(item.method),
                        .params = std::move(item.params),
                        .json = std::make_shared<const std::string>(std::move(item.json)),
                        .rule = rule,
                        .stored_ns = host_.clock.now_ns(),
                        .ttl_ms = rule->ttlMs,
                        .is_suspect = true};
        cache_.store(std::move(key), std::move(kept), cache_.generation());
    }
    for (const FlightPtr& flight : take_queued()) {
        const KeptAnswer* const kept = flight->key.empty() ? nullptr : cache_.find(flight->key);
        if (kept == nullptr || !kept->is_suspect || flight->kind != FlightKind::call) {
            queue_.push_back(flight);
            continue;
        }
        release(flight);
        counts_.hits += flight->waiters.size();
        counts_.staleServed += flight->waiters.size();
        turn.after([waiters = std::exchange(flight->waiters, {}), json = kept->json] {
            for (const auto& waiter : waiters) waiter.caller->answered(std::string_view(*json));
        });
    }
    if (!handshake_result_.empty() && !handshake_waiters_.empty() && state_ != BackendState::ready)
        turn.after([waiters = std::exchange(handshake_waiters_, {}), result = handshake_result_] {
            for (const auto& waiter : waiters) waiter->answered(std::string_view(result));
        });
    if (state_ == BackendState::ready) return check_suspects(turn);
    if (!queue_.empty() || !handshake_waiters_.empty()) want_running(turn);
}

// On the timers' thread. Starting a process takes a while: not under the lock.
void Backend::launch(std::uint64_t run) {
    {
        Turn turn(*this);
        if (run != run_ || state_ != BackendState::starting) return;
        recall(turn);
        ++counts_.starts;
        complained_.clear();
        break_reason_.clear();
    }
    auto started = host_.transports.start(name_, spec_,
                                          {.on_output =
                                               [weak = weak_from_this(), run](std::string_view bytes) {
                                                   if (const auto self = weak.lock()) self->on_output(run, bytes);
                                               },
                                           .on_end =
                                               [weak = weak_from_this(), run](const ProcessExit& exit) {
                                                   if (const auto self = weak.lock()) self->on_end(run, exit);
                                               }});
    Turn turn(*this);
    if (run != run_ || state_ != BackendState::starting) { // stopped, or ended, in between
        if (started) turn.after([transport = *started] { transport->kill(); });
        return;
    }
    if (!started) {
        note_failure();
        // Nothing is there to be restarted; a later call may find it mended.
        set_state(turn, BackendState::failed, started.error().message);
        return start_failed(turn, started.error());
    }
    transport_ = *started;
    framer_.emplace(host_.buffers, speaks_headers(spec_) ? Framing::headers : Framing::lines,
                    static_cast<std::size_t>(spec_.messageBytesMax));
    if (spec_.kind == BackendKind::plain) return become_ready(turn);
    send_handshake(turn);
}

std::string Backend::handshake_params() const {
    const std::string client = "{\"name\":\"pillion\",\"version\":" + backend_json::quoted(host_.version) + "}";
    if (spec_.kind == BackendKind::mcp) {
        const std::string capabilities = spec_.capabilities    ? spec_.capabilities->text
                                         : spec_.roots.empty() ? "{}"
                                                               : "{\"roots\":{\"listChanged\":false}}";
        return "{\"protocolVersion\":" + backend_json::quoted(spec_.protocolVersion) +
               ",\"capabilities\":" + capabilities + ",\"clientInfo\":" + client + "}";
    }
    std::string capabilities = "{\"workspace\":{\"workspaceFolders\":true";
    if (spec_.settings) capabilities += ",\"configuration\":true";
    capabilities += "}}";
    if (spec_.capabilities) capabilities = spec_.capabilities->text;
    const std::optional<std::string> root =
        spec_.rootUri || spec_.roots.empty() ? spec_.rootUri : std::optional(spec_.roots.front().uri);
    std::string params = "{\"processId\":" + std::to_string(getpid()) + ",\"clientInfo\":" + client +
                         ",\"rootUri\":" + (root ? backend_json::quoted(*root) : "null") +
                         ",\"capabilities\":" + capabilities;
    if (spec_.initializationOptions) params += ",\"initializationOptions\":" + json_of(spec_.initializationOptions);
    std::vector<BackendRoot> folders = spec_.roots;
    if (folders.empty() && root) folders.push_back({*root, {}});
    params += ",\"workspaceFolders\":" + (folders.empty() ? "null" : named_list(folders)) + "}";
    return backend_json::has_line_ends(params) ? backend_json::on_one_line(params) : params;
}

void Backend::send_handshake(Turn& turn) {
    auto flight = std::make_shared<BackendFlight>();
    flight->kind = FlightKind::handshake;
    flight->id = ++last_id_;
    flight->method = handshake_method;
    flight->asked_ns = host_.clock.now_ns();
    flight->text = backend_json::request(flight->id, handshake_method, handshake_params());
    send(turn, flight); // where it fails the process has ended already, and says so itself
    turn.after([self = shared_from_this(), run = run_] {
        self->later(self->spec_.handshakeMs, [run](Backend& backend) {
            Turn late(backend);
            if (run == backend.run_ && backend.state_ == BackendState::starting)
                backend.break_off("gave no answer to its handshake within " +
                                  std::to_string(backend.spec_.handshakeMs) + " ms");
        });
    });
}

void Backend::on_handshake(Turn& turn, const Message& message) {
    if (state_ != BackendState::starting) return;
    if (message.result.empty()) {
        const std::string why = backend_json::find_text(message.error, "message").value_or("no reason given");
        return break_off("refused its handshake: " + why.substr(0, 300));
    }
    handshake_result_ = message.result;
    if (host_.memory != nullptr)
        turn.after([self = shared_from_this(),
                    item = BackendMemory::Item{std::string(handshake_method), "", handshake_result_}] {
            self->host_.memory->save(self->name_, self->fingerprint(), item);
        });
    const bool is_mcp = spec_.kind == BackendKind::mcp;
    if (const auto written = write(is_mcp ? backend_json::notification("notifications/initialized", {})
                                          : backend_json::notification("initialized", "{}"));
        !written)
        return; // it has ended; that is told in a moment
    become_ready(turn);
}

void Backend::become_ready(Turn& turn) {
    last_activity_ns_ = host_.clock.now_ns();
    if (!std::exchange(is_first_start_, false)) {
        // A new process may be a newer program: what holds until it says otherwise is asked again.
        cache_.visit([](const std::string&, KeptAnswer& kept) {
            if (!kept.ttl_ms) kept.is_suspect = true;
        });
    }
    set_state(turn, BackendState::ready);
    turn.after([ready = std::exchange(start_waiters_, {}), handshakes = std::exchange(handshake_waiters_, {}),
                result = handshake_result_] {
        for (const Done& done : ready) done({});
        for (const BackendCallerPtr& caller : handshakes) caller->answered(std::string_view(result));
    });
    pump(turn);
    check_suspects(turn);
    if (idle_ms(spec_) > 0) arm_idle(turn, idle_ms(spec_));
}

// Asks again for what was kept from an earlier process.
void Backend::check_suspects(Turn& turn) {
    struct Check {
        std::string key, method, params;
        const BackendCacheRule* rule;
    };
    std::vector<Check> checks;
    cache_.visit([&checks](const std::string& key, const KeptAnswer& kept) {
        if (kept.is_suspect && checks.size() < checks_max) checks.push_back({key, kept.method, kept.params, kept.rule});
    });
    for (Check& check : checks) refresh(turn, check.method, check.params, check.rule, std::move(check.key));
}

// All who wait for it hear why it did not come up.
void Backend::start_failed(Turn& turn, const Error& error) {
    const auto sent = take_sent();
    fail_all(turn, sent, error);
    fail_all(turn, take_queued(), error);
    turn.after([starts = std::exchange(start_waiters_, {}), handshakes = std::exchange(handshake_waiters_, {}), error] {
        for (const Done& done : starts) done(std::unexpected(error));
        for (const BackendCallerPtr& caller : handshakes) caller->answered(std::unexpected(error));
    });
}

// Ends a process that cannot be talked to; on_end() does the rest.
void Backend::break_off(std::string reason) {
    if (!transport_ || !break_reason_.empty()) return;
    break_reason_ = std::move(reason);
    transport_->kill();
}

void Backend::begin_end(Turn& turn, BackendState target) {
    end_target_ = target;
    wake_after_end_ = false;
    if (!transport_) { // nothing runs: a start that is under way finds that its number is over
        ++run_;
        return after_requested_end(turn);
    }
    const bool was_ready = state_ == BackendState::ready;
    set_state(turn, BackendState::stopping);
    if (spec_.kind != BackendKind::lsp || !was_ready) return close_down(turn);
    auto flight = std::make_shared<BackendFlight>();
    flight->kind = FlightKind::shutdown;
    flight->id = ++last_id_;
    flight->method = "shutdown";
    flight->asked_ns = host_.clock.now_ns();
    flight->text = backend_json::request(flight->id, "shutdown", {});
    if (!send(turn, flight)) return close_down(turn);
    turn.after([self = shared_from_this(), id = flight->id] {
        self->later(shutdown_answer_ms, [id](Backend& backend) {
            Turn late(backend);
            if (backend.sent_.contains(id)) backend.close_down(late);
        });
    });
}

// The end of its input is what a good backend ends by; the others are asked by signal.
void Backend::close_down(Turn& turn) {
    if (!transport_) return;
    std::erase_if(sent_, [](const auto& entry) { return entry.second->kind == FlightKind::shutdown; });
    own_sent_ = 0;
    if (spec_.kind == BackendKind::lsp)
        if (const auto written = write(backend_json::notification("exit", {})); !written)
            log(LogLevel::debug, "backends", name_ + ": " + written.error().message);
    transport_->close_input();
    turn.after([self = shared_from_this(), run = run_] {
        self->later(end_of_input_ms, [run](Backend& backend) {
            Turn late(backend);
            if (run == backend.run_ && backend.transport_) backend.transport_->stop();
        });
    });
}

void Backend::on_end(std::uint64_t run, const ProcessExit& exit) {
    if (framer_ && framer_->inside_message())
        if (const auto last = framer_->finish()) take_frame(*last);
    Turn turn(*this);
    if (run != run_) return;
    ++run_;
    turn.after([gone = std::exchange(transport_, nullptr)] {}); // let go without the lock
    drop_client_requests(turn);
    if (state_ == BackendState::stopping) return after_requested_end(turn);
    after_crash(turn, exit);
}

void Backend::after_requested_end(Turn& turn) {
    if (end_target_ == BackendState::asleep) ++counts_.sleeps;
    set_state(turn, end_target_);
    turn.after([done = std::exchange(end_waiters_, {})] {
        for (const Done& each : done) each({});
    });
    if (end_target_ == BackendState::stopped)
        return start_failed(turn, unavailable("was stopped before it could answer"));
    fail_all(turn, take_sent(), unavailable("ended before it answered"));
    if (wake_after_end_ || !queue_.empty() || !start_waiters_.empty()) wake(turn);
}

void Backend::after_crash(Turn& turn, const ProcessExit& exit) {
    ++counts_.crashes;
    const bool was_ready = state_ == BackendState::ready;
    std::string what = break_reason_.empty() ? exit.describe() : break_reason_;
    Error error = unavailable(std::move(what));
    if (!exit.last_lines.empty()) error.hint = "its last lines: " + exit.last_lines;
    log(LogLevel::warning, "backends", error.message);
    note_failure();
    for (const FlightPtr& flight : take_queued())
        if (flight->kind != FlightKind::notification) queue_.push_back(flight); // it was for the process that is gone
    if (was_ready)
        fail_all(turn, take_sent(), error);
    else
        start_failed(turn, error);
    ProcessExit ended = exit;
    if (!break_reason_.empty()) ended.was_requested = false; // by us, since it was of no use
    const RestartDecision decision = restarts_.ended(ended);
    if (decision.action == RestartDecision::Action::give_up)
        log(LogLevel::error, "backends", name_ + ": " + decision.reason);
    if (decision.action != RestartDecision::Action::restart) {
        set_state(turn, BackendState::failed, error.message);
        if (!queue_.empty()) start_failed(turn, error);
        return;
    }
    set_state(turn, BackendState::waiting, error.message);
    turn.after([self = shared_from_this(), run = run_, delay_ms = decision.delay_ms] {
        self->later(delay_ms, [run](Backend& backend) {
            Turn due(backend);
            if (run != backend.run_ || backend.state_ != BackendState::waiting) return;
            ++backend.counts_.restarts;
            backend.wake(due);
        });
    });
}

void Backend::start(Done done) {
    Turn turn(*this);
    if (state_ == BackendState::ready) return turn.after([done = std::move(done)] { done({}); });
    start_waiters_.push_back(std::move(done));
    if (state_ == BackendState::stopping) {
        end_target_ = BackendState::asleep; // then it is woken
        wake_after_end_ = true;
    }
    if (state_ != BackendState::starting && state_ != BackendState::stopping) {
        restarts_.reset();
        wake(turn);
    }
}

void Backend::stop(Done done) {
    Turn turn(*this);
    if (state_ == BackendState::stopped) return turn.after([done = std::move(done)] { done({}); });
    end_waiters_.push_back(std::move(done));
    fail_all(turn, take_queued(), unavailable("is being stopped"));
    if (state_ == BackendState::stopping) {
        end_target_ = BackendState::stopped;
        wake_after_end_ = false;
        return;
    }
    fail_all(turn, take_sent(), unavailable("is being stopped"));
    begin_end(turn, BackendState::stopped);
}

void Backend::sleep(Done done) {
    Turn turn(*this);
    if (state_ == BackendState::cold || state_ == BackendState::asleep || state_ == BackendState::stopped)
        return turn.after([done = std::move(done)] { done({}); });
    if (!sent_.empty() || !queue_.empty()) {
        return turn.after([done = std::move(done), name = name_] {
            done(std::unexpected(
                Error{ErrorCode::failed_precondition, "backend \"" + name + "\" has calls in flight", {}, {}}));
        });
    }
    end_waiters_.push_back(std::move(done));
    if (state_ != BackendState::stopping) begin_end(turn, BackendState::asleep);
}

void Backend::arm_idle(Turn& turn, std::int64_t delay_ms) {
    turn.after([self = shared_from_this(), run = run_, delay_ms] {
        self->later(delay_ms, [run](Backend& backend) { backend.on_idle(run); });
    });
}

void Backend::on_idle(std::uint64_t run) {
    Turn turn(*this);
    if (run != run_ || state_ != BackendState::ready) return;
    const std::int64_t idle_for_ms = (host_.clock.now_ns() - last_activity_ns_) / ns_per_ms;
    const bool is_busy = !sent_.empty() || !queue_.empty() || !client_requests_.empty();
    if (!is_busy && idle_for_ms >= idle_ms(spec_)) return begin_end(turn, BackendState::asleep);
    arm_idle(turn, is_busy ? idle_ms(spec_) : idle_ms(spec_) - idle_for_ms);
}

std::string Backend::root_list() const { return named_list(spec_.roots); }

// What tells one program from another: kept lists of another one are not believed.
std::string Backend::fingerprint() const {
    std::string text = std::to_string(static_cast<int>(spec_.kind)) + "\n" + spec_.version + "\n" +
                       spec_.workingDirectory + "\n" + spec_.protocolVersion + "\n";
    for (const std::string& argument : spec_.command) text.append(argument).push_back('\0');
    for (const auto& [name, value] : spec_.environment) text.append(name).append("=").append(value).push_back('\0');
    for (const BackendRoot& root : spec_.roots) text.append(root.uri).push_back('\0');
    return json_of(spec_.capabilities) + json_of(spec_.initializationOptions) + text;
}

} // namespace pillion
