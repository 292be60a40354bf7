// Demands and loads. A demand on a component that is down begins a load: first a demand on everything it depends on,
// then, when all of that is there, its own start. Whoever asks meanwhile waits for the same load.
#include "modules/components/component_engine.h"

#include "ipc/base/log.h"
#include "ipc/nearest.h"
#include "modules/components/background_loader.h"
#include "modules/components/component_runners.h"
#include "modules/components/component_start.h"

#include <algorithm>

namespace pillion {

namespace {

std::string quoted(std::string_view name) { return "\"" + std::string(name) + "\""; }

// An error of a component says which one; those of a process or of a check say so already.
Error named(const ComponentEntry& entry, Error error) {
    if (error.message.find(quoted(entry.name)) == std::string::npos &&
        !error.message.starts_with("'" + entry.name + "'"))
        error.message = "component " + quoted(entry.name) + ": " + error.message;
    return error;
}

std::string port_variable(std::string_view name) {
    std::string variable = "PILLION_PORT_";
    for (const char c : name) {
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool is_digit = c >= '0' && c <= '9';
        variable += !is_letter && !is_digit ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c;
    }
    return variable;
}

double ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

Result<ComponentLoad> no_load(ErrorCode code, std::string message) { return fail(code, std::move(message)); }

} // namespace

ComponentEngine::ComponentEngine(Components::Host host) : host_(std::move(host)) {}

ComponentEngine::~ComponentEngine() = default;

void ComponentEngine::open() {
    const auto post_task = [weak = weak_from_this()](std::function<void()> task) {
        if (const auto self = weak.lock()) self->post(std::move(task));
    };
    const auto work = [weak = weak_from_this()](std::function<void()> task) {
        if (const auto self = weak.lock()) self->run_blocking(std::move(task));
    };
    const RunnerHost runner_host{.io = host_.io,
                                 .clock = host_.clock,
                                 .processes = host_.processes,
                                 .state = host_.state,
                                 .post = post_task,
                                 .run_blocking = work,
                                 .check_json = host_.check_json,
                                 .on_wanted = host_.on_wanted};
    clients_ = std::make_shared<ClientRunner>(runner_host);
    set_runner(ComponentKind::task, make_task_runner(runner_host));
    set_runner(ComponentKind::service, make_service_runner(runner_host));
    set_runner(ComponentKind::library, make_library_runner(runner_host));
    set_runner(ComponentKind::builtin, make_builtin_runner(runner_host, builtins_));
    set_runner(ComponentKind::client, clients_);
    background_ = std::make_unique<BackgroundLoader>(*this);
    start_ = std::make_unique<ComponentStart>(*this);
}

TimerId ComponentEngine::later(std::int64_t delay_ms, std::function<void()> task) {
    touched_.store(true, std::memory_order_relaxed);
    return host_.timers.after_ms(delay_ms, [weak = weak_from_this(), task = std::move(task)] {
        const auto self = weak.lock();
        if (!self) return;
        task();
        self->drain();
    });
}

void ComponentEngine::drain() {
    while (!queue_.empty()) {
        const std::function<void()> call = std::move(queue_.front());
        queue_.pop_front();
        call();
    }
}

void ComponentEngine::run_blocking(std::function<void()> work) {
    if (host_.run_blocking) return host_.run_blocking(std::move(work));
    blocking_.run(std::move(work));
}

void ComponentEngine::cancel(std::optional<TimerId>& timer) {
    if (timer) host_.timers.cancel(*timer);
    timer.reset();
}

Error ComponentEngine::unknown(std::string_view name) const {
    NearestName nearest(name);
    const std::lock_guard lock(mutex_);
    for (const auto& entry : entries_) nearest.consider(entry.first);
    const std::string near(nearest.best());
    return {.code = ErrorCode::not_found,
            .message = "no component is named " + quoted(name) +
                       (near.empty() ? entries_.empty() ? "; none is declared" : "; components.list has their names"
                                     : "; the nearest is " + quoted(near)),
            .field = "/name"};
}

void ComponentEngine::set_state(ComponentEntry& entry, ComponentState state, std::string reason) {
    ComponentChange told{.name = entry.name, .state = state, .previous = entry.state()};
    if (!reason.empty()) told.reason = reason;
    if (state == ComponentState::ready) told.loadMs = ms(entry.load_ns);
    const bool is_down =
        state == ComponentState::idle || state == ComponentState::failed || state == ComponentState::skipped;
    change(entry, [&](ComponentInfo& info) {
        told.kind = info.kind;
        info.state = state;
        info.reason = told.reason;
        info.cause = entry.cause;
        info.waiters = static_cast<std::int64_t>(entry.waiters.size());
        info.readySince = state == ComponentState::ready ? std::optional(host_.clock.wall_ms()) : std::nullopt;
        if (is_down) info.pid = std::nullopt, info.port = std::nullopt, info.memoryBytes = std::nullopt;
        if (state == ComponentState::ready) info.loadMs = told.loadMs;
    });
    if (host_.on_changed) enqueue([this, told] { host_.on_changed(told); });
}

void ComponentEngine::demand(Ticket ticket, const std::string& name, LoadCause cause, LoadDone done) {
    ComponentEntry* const entry = find(name);
    if (entry == nullptr) return enqueue([done, error = unknown(name)] { done(std::unexpected(error)); });
    if (is_stopping())
        return enqueue([done, name] {
            done(no_load(ErrorCode::unavailable,
                         "component " + quoted(name) + " is not loaded any more: Pillion is ending"));
        });
    if (cause == LoadCause::demand || cause == LoadCause::signal)
        note_use(name, entry->state() == ComponentState::ready ? PreloadUse::was_there : PreloadUse::was_loaded);
    if (entry->state() == ComponentState::ready) return enqueue([done, load = load_of(*entry, true)] { done(load); });
    entry->waiters.push_back({.ticket = ticket, .done = std::move(done), .is_shared = !entry->is_down()});
    tickets_[ticket] = entry;
    if (entry->is_down()) return begin(*entry, cause);
    change(*entry, [&](ComponentInfo& info) { info.waiters = static_cast<std::int64_t>(entry->waiters.size()); });
}

void ComponentEngine::leave(Ticket ticket) {
    const auto at = tickets_.find(ticket);
    if (at == tickets_.end()) return; // it has had its answer
    ComponentEntry& entry = *at->second;
    tickets_.erase(at);
    const auto waiter = std::ranges::find(entry.waiters, ticket, &ComponentWaiter::ticket);
    enqueue([done = std::move(waiter->done), name = entry.name] {
        done(no_load(ErrorCode::cancelled, "the load of component " + quoted(name) + " is not waited for any more"));
    });
    entry.waiters.erase(waiter);
    change(entry, [&](ComponentInfo& info) { info.waiters = static_cast<std::int64_t>(entry.waiters.size()); });
    if (!entry.waiters.empty() || entry.is_restart) return;
    if (entry.state() == ComponentState::waiting || entry.state() == ComponentState::loading)
        take_down(entry, {.reason = "nobody waits for it any more"});
}

void ComponentEngine::begin(ComponentEntry& entry, LoadCause cause) {
    {
        const std::lock_guard lock(mutex_);
        if (entry.spec != entry.declared) entry.policy.reset();
        entry.spec = entry.declared;
    }
    ++entry.generation;
    entry.cause = cause;
    entry.result.clear();
    entry.missing = 1; // for this function itself
    set_state(entry, ComponentState::waiting);
    for (const std::string& needed : entry.spec->dependsOn) {
        ++entry.missing;
        const Ticket ticket = new_ticket();
        entry.needs.push_back(ticket);
        demand(ticket, needed, LoadCause::dependency,
               [this, &entry, generation = entry.generation, needed](const Result<ComponentLoad>& load) {
                   if (entry.generation != generation || entry.state() != ComponentState::waiting) return;
                   if (!load) return need_failed(entry, needed, load.error().message);
                   if (load->state != ComponentState::ready)
                       return need_failed(entry, needed, load->reason.value_or("it failed"));
                   arrive(entry);
               });
    }
    arrive(entry);
}

void ComponentEngine::arrive(ComponentEntry& entry) {
    if (--entry.missing == 0) launch(entry);
}

void ComponentEngine::need_failed(ComponentEntry& entry, const std::string& needed, const std::string& why) {
    release_needs(entry);
    const std::string reason = "it depends on " + quoted(needed) + ", which failed: " + why;
    if (entry.is_restart) return restart_or_fail(entry, {.code = ErrorCode::unavailable, .message = reason}, 0);
    fail(entry, {.code = ErrorCode::unavailable, .message = reason}, ComponentState::skipped);
}

void ComponentEngine::release_needs(ComponentEntry& entry) {
    for (const Ticket ticket : std::exchange(entry.needs, {})) leave(ticket);
}

Result<void> ComponentEngine::give_port(ComponentEntry& entry) {
    if (!entry.spec->portWanted)
        entry.port = 0;
    else if (!entry.is_restart || entry.port == 0) // after a restart others must find it where it was
        entry.port = PILLION_TRY(find_free_port());
    return {};
}

ComponentLaunch ComponentEngine::launch_of(const ComponentEntry& entry) {
    ComponentLaunch launch{.name = entry.name, .spec = *entry.spec, .port = entry.port};
    for (const auto& [variable, value] : entry.spec->environment) launch.environment.emplace_back(variable, value);
    if (entry.port != 0) launch.environment.emplace_back(entry.spec->portVariable, std::to_string(entry.port));
    for (const std::string& needed : entry.spec->dependsOn)
        if (const ComponentEntry* const other = find(needed); other != nullptr && other->port != 0)
            launch.environment.emplace_back(port_variable(needed), std::to_string(other->port));
    return launch;
}

void ComponentEngine::launch(ComponentEntry& entry) {
    entry.needs.clear();
    entry.started_ns = host_.clock.now_ns();
    set_state(entry, ComponentState::loading);
    const std::uint64_t generation = entry.generation;
    const auto start = [&]() -> Result<std::shared_ptr<ComponentRun>> {
        const std::shared_ptr<ComponentRunner>& runner = runners_[static_cast<std::size_t>(entry.spec->kind)];
        if (!runner)
            return pillion::fail(ErrorCode::unavailable, "components of kind " +
                                                             std::string(component_kind_name(entry.spec->kind)) +
                                                             " cannot be run here");
        PILLION_TRY(give_port(entry));
        const auto guarded = [weak = weak_from_this(), &entry, generation](auto act) {
            const auto self = weak.lock();
            if (self)
                self->post([self = self.get(), &entry, generation, act = std::move(act)] {
                    if (entry.generation == generation) act(*self);
                });
        };
        return runner->start(
            launch_of(entry),
            {.ready =
                 [guarded, &entry](Result<ComponentReady> ready) {
                     guarded(
                         [&entry, ready = std::move(ready)](ComponentEngine& self) { self.on_ready(entry, ready); });
                 },
             .ended =
                 [guarded, &entry](ComponentEnd end, std::string why) {
                     guarded([&entry, end, why](ComponentEngine& self) { self.on_ended(entry, end, why); });
                 }});
    };
    auto run = start();
    if (!run) return on_ready(entry, std::unexpected(std::move(run).error()));
    {
        const std::lock_guard lock(mutex_);
        entry.run = std::move(*run);
        entry.info.port = entry.port != 0 ? std::optional<std::int64_t>(entry.port) : std::nullopt;
    }
    if (entry.run->keeps_time()) return;
    entry.timer = later(entry.spec->timeoutMs, [this, &entry, generation] {
        if (entry.generation != generation || entry.state() != ComponentState::loading) return;
        entry.timer.reset();
        const std::string words = entry.run->last_words();
        const Error error{.code = ErrorCode::timeout,
                          .message = "was not ready within " + std::to_string(entry.spec->timeoutMs) + " ms" +
                                     (words.empty() ? "" : ": " + words)};
        give_up(entry, error);
    });
}

// It failed to start, but something of it is running.
void ComponentEngine::give_up(ComponentEntry& entry, const Error& error) {
    if (entry.is_restart)
        return take_down(entry, {.after = ComponentState::restarting, .reason = error.message}, false);
    change(entry, [&](ComponentInfo&) { ++entry.failures; });
    answer(entry, error);
    take_down(entry, {.after = ComponentState::failed, .reason = error.message}, false);
}

void ComponentEngine::on_ready(ComponentEntry& entry, Result<ComponentReady> ready) {
    if (entry.state() != ComponentState::loading) return;
    cancel(entry.timer);
    const std::int64_t now_ns = host_.clock.now_ns();
    if (!ready) {
        if (entry.run && entry.run->needs_stop()) return give_up(entry, ready.error());
        {
            const std::lock_guard lock(mutex_);
            entry.run.reset();
        }
        if (entry.is_restart)
            return restart_or_fail(entry, std::move(ready).error(), (now_ns - entry.started_ns) / 1'000'000);
        return fail(entry, std::move(ready).error());
    }
    entry.load_ns = now_ns - entry.started_ns;
    entry.ready_ns = entry.used_ns = now_ns;
    entry.result = std::move(ready->result);
    const bool came_back = std::exchange(entry.is_restart, false);
    change(entry, [&](ComponentInfo& info) {
        entry.saved_ns += ready->saved_ns;
        info.cached = ready->is_cached;
        ++info.loads;
        if (came_back) ++info.restarts;
        info.pid = entry.run->pid() > 0 ? std::optional(entry.run->pid()) : std::nullopt;
        if (ready->memory_bytes != 0) info.memoryBytes = static_cast<std::int64_t>(ready->memory_bytes);
    });
    set_state(entry, ComponentState::ready);
    answer(entry);
    arm_health(entry);
    measure(entry);
    background_->on_ready(entry);
}

// What it costs in memory is read away from the strand, and belongs to the preload that it may have been.
void ComponentEngine::measure(ComponentEntry& entry) {
    if (entry.info.pid == std::nullopt) return;
    run_blocking([weak = weak_from_this(), run = entry.run, &entry, generation = entry.generation] {
        const ProcessUsage usage = run->usage();
        if (const auto self = weak.lock())
            self->post([self = self.get(), &entry, generation, usage] {
                if (entry.generation != generation || usage.processes == 0) return;
                self->change(entry, [&](ComponentInfo& info) {
                    info.memoryBytes = static_cast<std::int64_t>(usage.memory_bytes);
                });
                self->background_->on_measured(entry, usage);
            });
    });
}

void ComponentEngine::fail(ComponentEntry& entry, Error error, ComponentState state) {
    cancel(entry.timer);
    release_needs(entry);
    entry.is_restart = false;
    ++entry.generation;
    change(entry, [&](ComponentInfo&) { ++entry.failures; });
    set_state(entry, state, error.message);
    answer(entry, error);
}

ComponentLoad ComponentEngine::load_of(const ComponentEntry& entry, bool is_shared) const {
    ComponentLoad load{.name = entry.name,
                       .state = ComponentState::ready,
                       .cached = entry.info.cached,
                       .shared = is_shared,
                       .loadMs = ms(entry.load_ns)};
    if (!entry.result.empty()) load.result = Json{entry.result};
    if (entry.port != 0) load.port = entry.port;
    return load;
}

void ComponentEngine::answer(ComponentEntry& entry) {
    for (ComponentWaiter& waiter : std::exchange(entry.waiters, {})) {
        tickets_.erase(waiter.ticket);
        enqueue([done = std::move(waiter.done), load = load_of(entry, waiter.is_shared)] { done(load); });
    }
    change(entry, [](ComponentInfo& info) { info.waiters = 0; });
}

void ComponentEngine::answer(ComponentEntry& entry, const Error& error) {
    const Error told = named(entry, error);
    for (ComponentWaiter& waiter : std::exchange(entry.waiters, {})) {
        tickets_.erase(waiter.ticket);
        if (entry.spec && entry.spec->fallback && error.code != ErrorCode::cancelled) {
            ComponentLoad load{.name = entry.name,
                               .state = ComponentState::failed,
                               .reason = told.message,
                               .fallback = entry.spec->fallback,
                               .shared = waiter.is_shared};
            enqueue([done = std::move(waiter.done), load = std::move(load)] { done(load); });
        } else {
            enqueue([done = std::move(waiter.done), told] { done(std::unexpected(told)); });
        }
    }
    change(entry, [](ComponentInfo& info) { info.waiters = 0; });
}

void ComponentEngine::skip(const std::string& name, const std::string& reason) {
    ComponentEntry* const entry = find(name);
    if (entry != nullptr && entry->is_down()) set_state(*entry, ComponentState::skipped, reason);
}

void ComponentEngine::note_use(const std::string& name, PreloadUse use) {
    ComponentEntry* const entry = find(name);
    if (entry == nullptr) return;
    entry->used_ns = host_.clock.now_ns();
    entry->was_used = true;
    change(*entry, [&](ComponentInfo& info) {
        ++info.uses;
        info.lastUsedAt = host_.clock.wall_ms();
    });
    background_->on_use(*entry, use);
}

} // namespace pillion
