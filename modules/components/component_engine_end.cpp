// Ends: what is asked for, what happens by itself, and what comes after. What depends on a component is taken down
// before it; what went down by itself leaves its dependents alone, since it is likely to come back.
#include "ipc/base/log.h"
#include "modules/components/background_loader.h"
#include "modules/components/component_engine.h"
#include "modules/components/component_runners.h"
#include "modules/components/component_start.h"

#include <algorithm>
#include <chrono>
#include <random>

namespace pillion {

namespace {

double random_share() {
    thread_local std::minstd_rand generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(generator);
}

bool depends_on(const ComponentEntry& entry, const std::string& name) {
    return entry.spec && std::ranges::find(entry.spec->dependsOn, name) != entry.spec->dependsOn.end();
}

} // namespace

bool ComponentEngine::is_needed(const ComponentEntry& entry) {
    return std::ranges::any_of(
        entries(), [&](const ComponentEntry* other) { return !other->is_down() && depends_on(*other, entry.name); });
}

void ComponentEngine::take_down(ComponentEntry& entry, ComponentTakedown takedown, bool with_dependents) {
    if (entry.takedown) {
        for (auto& done : takedown.done) entry.takedown->done.push_back(std::move(done));
        return;
    }
    cancel(entry.timer);
    cancel(entry.health);
    ++entry.generation;
    const std::string reason = takedown.reason;
    takedown.dependents_left = 1; // for this function itself
    entry.takedown = std::move(takedown);
    set_state(entry, ComponentState::stopping, reason);
    release_needs(entry); // may take down what it waited for, which waits for its end
    if (with_dependents)
        for (ComponentEntry* const other : entries()) {
            if (other->is_down() || !depends_on(*other, entry.name)) continue;
            ++entry.takedown->dependents_left;
            const Error error{.code = ErrorCode::cancelled,
                              .message = "was taken back: \"" + entry.name + "\", on which it depends, is unloaded"};
            answer(*other, error);
            take_down(*other, {.reason = "\"" + entry.name + "\", on which it depends, is unloaded",
                               .done = {[this, &entry] {
                                   if (--entry.takedown->dependents_left == 0) stop_run(entry);
                               }}});
        }
    if (--entry.takedown->dependents_left == 0) stop_run(entry);
}

void ComponentEngine::stop_run(ComponentEntry& entry) {
    if (!entry.run) return enqueue([this, &entry] { on_down(entry); });
    entry.run->stop([weak = weak_from_this(), &entry, generation = entry.generation] {
        if (const auto self = weak.lock())
            self->post([self = self.get(), &entry, generation] {
                if (entry.generation == generation && entry.takedown) self->on_down(entry);
            });
    });
}

void ComponentEngine::on_down(ComponentEntry& entry) {
    ComponentTakedown takedown = std::move(*entry.takedown);
    entry.takedown.reset();
    {
        const std::lock_guard lock(mutex_);
        entry.run.reset();
    }
    entry.was_used = false;
    background_->on_gone(entry);
    if (takedown.after == ComponentState::restarting && !is_stopping())
        return restart_or_fail(entry, {.code = ErrorCode::unavailable, .message = takedown.reason}, 0);
    if (takedown.after != ComponentState::idle && takedown.after != ComponentState::failed)
        takedown.after = ComponentState::idle;
    entry.is_restart = false;
    set_state(entry, takedown.after, takedown.reason);
    for (auto& done : takedown.done) enqueue(std::move(done));
    if (!entry.waiters.empty() && !is_stopping()) begin(entry, LoadCause::demand);
    if (is_stopping()) tell_if_all_down();
}

void ComponentEngine::unload(const std::string& name, Components::Done done) {
    ComponentEntry* const entry = find(name);
    if (entry == nullptr) return enqueue([done, error = unknown(name)] { done(std::unexpected(error)); });
    background_->forget(name);
    if (entry->is_down()) {
        if (entry->state() != ComponentState::idle) set_state(*entry, ComponentState::idle);
        return enqueue([done] { done({}); });
    }
    answer(*entry, {.code = ErrorCode::cancelled, .message = "was unloaded before it was ready"});
    take_down(*entry, {.done = {[done] { done({}); }}});
}

void ComponentEngine::restart(const std::string& name, Ticket ticket, LoadDone done) {
    ComponentEntry* const entry = find(name);
    if (entry == nullptr) return enqueue([done, error = unknown(name)] { done(std::unexpected(error)); });
    if (entry->policy) entry->policy->reset();
    if (entry->state() == ComponentState::ready || entry->is_coming())
        take_down(*entry, {.reason = "it is restarted"}, false);
    demand(ticket, name, LoadCause::restart, std::move(done)); // begins when it is down
}

void ComponentEngine::on_ended(ComponentEntry& entry, ComponentEnd end, const std::string& why) {
    if (entry.state() != ComponentState::ready) return;
    cancel(entry.health);
    ++entry.generation;
    {
        const std::lock_guard lock(mutex_);
        entry.run.reset();
    }
    entry.was_used = false;
    background_->on_gone(entry);
    if (end == ComponentEnd::slept) return set_state(entry, ComponentState::idle, "it sleeps: " + why);
    const std::int64_t ran_ms = (host_.clock.now_ns() - entry.ready_ns) / 1'000'000;
    if (end == ComponentEnd::finished && restart_rule_of(*entry.spec) != RestartRule::always)
        return set_state(entry, ComponentState::idle, why);
    restart_or_fail(entry, {.code = ErrorCode::unavailable, .message = why}, ran_ms);
}

void ComponentEngine::restart_or_fail(ComponentEntry& entry, Error error, std::int64_t ran_ms) {
    const ComponentRestart& rule = entry.spec->restart;
    if (!entry.policy)
        entry.policy =
            std::make_unique<RestartPolicy>(RestartOptions{.rule = restart_rule_of(*entry.spec),
                                                           .initial_ms = rule.delayMs,
                                                           .max_ms = rule.delayMsMax,
                                                           .crashes_max = static_cast<std::uint32_t>(rule.crashesMax),
                                                           .window_ms = rule.windowMs,
                                                           .healthy_ms = rule.windowMs / 2},
                                            host_.clock, random_share);
    // The rule was consulted for an end in good order already: here it counts as one that is to be repaired.
    const RestartDecision decision =
        entry.policy->ended({.code = 1, .was_requested = is_stopping(), .ran_ms = ran_ms, .last_lines = {}});
    if (decision.action != RestartDecision::Action::restart) {
        if (decision.action == RestartDecision::Action::give_up) {
            error.message = "it went down " + std::to_string(rule.crashesMax + 1) + " times within " +
                            std::to_string(rule.windowMs) + " ms and is given up: " + error.message;
            entry.policy->reset(); // a demand is a new beginning
        }
        return fail(entry, std::move(error));
    }
    log(LogLevel::warning, "components", entry.name + " is restarted: " + error.message);
    entry.is_restart = true;
    cancel(entry.timer);
    set_state(entry, ComponentState::restarting, error.message);
    entry.timer = later(decision.delay_ms, [this, &entry, generation = entry.generation] {
        if (entry.generation != generation || entry.state() != ComponentState::restarting) return;
        entry.timer.reset();
        begin(entry, LoadCause::restart);
    });
}

void ComponentEngine::arm_health(ComponentEntry& entry) {
    const ComponentHealth& health = entry.spec->health;
    entry.health_failures = 0;
    if (health.intervalMs == 0) return;
    const auto arm = [this, &entry, generation = entry.generation](const auto& again) -> void {
        entry.health = later(entry.spec->health.intervalMs, [this, &entry, generation, again] {
            if (entry.generation != generation || entry.state() != ComponentState::ready) return;
            entry.health.reset();
            entry.run->check(entry.spec->health.timeoutMs, [weak = weak_from_this(), &entry, generation,
                                                            again](Result<void> checked) {
                if (const auto self = weak.lock())
                    self->post([self = self.get(), &entry, generation, again, checked = std::move(checked)] {
                        if (entry.generation != generation || entry.state() != ComponentState::ready) return;
                        self->on_health(entry, checked);
                        if (entry.generation == generation) again(again);
                    });
            });
        });
    };
    arm(arm);
}

void ComponentEngine::on_health(ComponentEntry& entry, const Result<void>& checked) {
    if (checked) {
        entry.health_failures = 0;
        return;
    }
    if (++entry.health_failures < entry.spec->health.failuresMax) return;
    take_down(
        entry,
        {.after = ComponentState::restarting,
         .reason = "it failed " + std::to_string(entry.health_failures) + " health checks: " + checked.error().message},
        false);
}

void ComponentEngine::tell_if_all_down() {
    if (std::ranges::any_of(entries(), [](const ComponentEntry* entry) { return !entry->is_down(); })) return;
    const std::lock_guard lock(down_mutex_);
    is_down_ = true;
    down_.notify_all();
}

void ComponentEngine::stop(std::int64_t wait_ms_max) {
    if (stopping_.exchange(true) || !touched_.load(std::memory_order_relaxed)) return;
    post([this] {
        background_->stop();
        start_->stop();
        for (ComponentEntry* const entry : entries()) {
            if (entry->is_down()) continue;
            answer(*entry, {.code = ErrorCode::unavailable, .message = "is not loaded any more: Pillion is ending"});
            take_down(*entry, {.reason = "Pillion is ending"});
        }
        tell_if_all_down();
    });
    std::unique_lock lock(down_mutex_);
    down_.wait_for(lock, std::chrono::milliseconds(wait_ms_max), [this] { return is_down_; });
}

} // namespace pillion
