#include "modules/components/component_start.h"

#include "ipc/base/log.h"
#include "modules/components/component_engine.h"

#include <algorithm>
#include <set>

namespace pillion {

void ComponentStart::run(StartupHost::Progress progress, StartupHost::Done done) {
    listeners_.push_back({std::move(progress), std::move(done)});
    if (std::exchange(is_running_, true)) return;
    auto nodes = plan();
    if (!nodes) return refuse(nodes.error());
    StartupHistory* const history = engine_.host().history;
    if (history == nullptr) return begin(std::move(*nodes));
    engine_.run_blocking([this, weak = engine_.weak_from_this(), history, nodes = std::move(*nodes)]() mutable {
        if (const auto loaded = history->load(); !loaded)
            log(LogLevel::warning, "startup", "earlier starts are not known: " + loaded.error().message);
        history->fill(nodes);
        if (const auto engine = weak.lock()) engine->post([this, nodes = std::move(nodes)] { begin(nodes); });
    });
}

bool ComponentStart::has_work() {
    return std::ranges::any_of(engine_.entries(), [this](const ComponentEntry* entry) {
        return engine_.declared(*entry)->load == LoadRule::eager;
    });
}

// What is eager, and what that depends on.
Result<std::vector<StartupNode>> ComponentStart::plan() {
    std::vector<StartupNode> nodes;
    std::set<std::string> seen;
    std::vector<ComponentEntry*> open;
    for (ComponentEntry* const entry : engine_.entries())
        if (engine_.declared(*entry)->load == LoadRule::eager && seen.insert(entry->name).second) open.push_back(entry);
    while (!open.empty()) {
        const ComponentEntry& entry = *open.back();
        open.pop_back();
        const auto spec = engine_.declared(entry);
        nodes.push_back({.name = entry.name, .dependencies = spec->dependsOn, .is_critical = spec->critical});
        for (const std::string& needed : spec->dependsOn)
            if (seen.insert(needed).second) open.push_back(engine_.find(needed));
    }
    if (nodes.empty())
        return fail(ErrorCode::failed_precondition, "there is nothing to start: no component is declared as eager", {},
                    "declare components in the configuration or by components.register");
    std::ranges::sort(nodes, {}, &StartupNode::name);
    return nodes;
}

void ComponentStart::begin(std::vector<StartupNode> nodes) {
    if (engine_.is_stopping()) return refuse({.code = ErrorCode::unavailable, .message = "Pillion is ending"});
    auto graph = StartupGraph::create(std::move(nodes));
    if (!graph) return refuse(graph.error());
    ++generation_;
    {
        const std::lock_guard lock(mutex_);
        scheduler_.reset();
        graph_ = std::make_unique<StartupGraph>(std::move(*graph));
        tickets_.assign(graph_->size(), 0);
        scheduler_ = std::make_unique<StartupScheduler>(
            *graph_,
            StartupOptions{.lanes = static_cast<std::uint32_t>(config_.lanes), .timeout_ms = config_.timeoutMs},
            engine_.host().clock);
    }
    drive();
}

void ComponentStart::drive() {
    for (;;) {
        std::optional<Index> next;
        {
            const std::lock_guard lock(mutex_);
            next = scheduler_->next_ready();
        }
        if (!next) break;
        step(*next);
        load(*next);
    }
    arm();
    if (scheduler_->is_done()) end();
}

void ComponentStart::load(Index index) {
    const Components::Ticket ticket = engine_.new_ticket();
    tickets_[index] = ticket;
    engine_.demand(ticket, graph_->node(index).name, LoadCause::startup,
                   [this, index, generation = generation_](const Result<ComponentLoad>& load) {
                       if (generation != generation_ || !is_running_) return;
                       if (scheduler_->timeline().entries[index].state != StartupState::running) return; // timed out
                       StartupFinish finished;
                       if (!load || load->state != ComponentState::ready) {
                           finished.outcome = StartupOutcome::failed;
                           const ComponentEntry* const entry = engine_.find(graph_->node(index).name);
                           finished.error = entry->info.reason.value_or(load ? "it failed" : load.error().message);
                       } else {
                           finished.was_cached = load->cached;
                       }
                       finish(index, std::move(finished));
                   });
}

void ComponentStart::finish(Index index, StartupFinish finished) {
    std::vector<Index> skipped;
    {
        const std::lock_guard lock(mutex_);
        skipped = scheduler_->finished(index, std::move(finished));
    }
    step(index);
    skip(skipped);
    drive();
}

void ComponentStart::skip(const std::vector<Index>& skipped) {
    for (const Index index : skipped) {
        engine_.skip(graph_->node(index).name, scheduler_->timeline().entries[index].error);
        step(index);
    }
}

void ComponentStart::arm() {
    if (timer_) engine_.host().timers.cancel(*timer_);
    timer_.reset();
    const auto deadline_ns = scheduler_->next_deadline_ns();
    if (!deadline_ns || scheduler_->is_done()) return;
    const std::int64_t wait_ns = *deadline_ns - engine_.host().clock.now_ns();
    timer_ =
        engine_.later(std::max<std::int64_t>(0, (wait_ns + 999'999) / 1'000'000), [this, generation = generation_] {
            if (generation == generation_ && is_running_) expire();
        });
}

void ComponentStart::expire() {
    timer_.reset();
    StartupExpiry expiry;
    {
        const std::lock_guard lock(mutex_);
        expiry = scheduler_->expire();
    }
    for (const Index index : expiry.timed_out) {
        engine_.leave(tickets_[index]);
        step(index);
    }
    skip(expiry.skipped);
    drive();
}

void ComponentStart::step(Index index) {
    const StartupEntry& entry = scheduler_->timeline().entries[index];
    const ComponentStartStep told{.name = entry.name,
                                  .state = entry.state,
                                  .done = scheduler_->settled(),
                                  .total = graph_->size(),
                                  .error = entry.error};
    const double percentage = 100.0 * static_cast<double>(told.done) / static_cast<double>(told.total);
    engine_.enqueue([this, told, percentage, listeners = listeners_] {
        if (engine_.host().on_start_step) engine_.host().on_start_step(told);
        for (const Listener& listener : listeners)
            if (listener.progress) listener.progress(percentage, told.name);
    });
}

void ComponentStart::end() {
    if (!std::exchange(is_running_, false)) return;
    if (timer_) engine_.host().timers.cancel(*timer_);
    timer_.reset();
    const auto ended = timeline();
    if (StartupHistory* const history = engine_.host().history; history != nullptr) history->record(*ended);
    for (Listener& listener : std::exchange(listeners_, {}))
        engine_.enqueue([done = std::move(listener.done), ended] {
            if (done) done(ended);
        });
}

void ComponentStart::refuse(const Error& error) {
    is_running_ = false;
    for (Listener& listener : std::exchange(listeners_, {}))
        engine_.enqueue([done = std::move(listener.done), error] {
            if (done) done(std::unexpected(error));
        });
}

void ComponentStart::stop() {
    if (!is_running_) return;
    ++generation_; // what was demanded is answered to nobody
    {
        const std::lock_guard lock(mutex_);
        if (scheduler_) {
            (void)scheduler_->abandon("Pillion is ending");
            for (const Index index : scheduler_->running())
                (void)scheduler_->finished(index, {.outcome = StartupOutcome::failed, .error = "Pillion is ending"});
        }
    }
    refuse({.code = ErrorCode::unavailable, .message = "the start was broken off: Pillion is ending"});
}

std::shared_ptr<const StartupTimeline> ComponentStart::timeline() const {
    const std::lock_guard lock(mutex_);
    return scheduler_ ? std::make_shared<const StartupTimeline>(scheduler_->timeline()) : nullptr;
}

Result<bool> ComponentStart::mark(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (!scheduler_)
        return fail(ErrorCode::failed_precondition,
                    "there has been no start yet that \"" + name + "\" could be marked on");
    return scheduler_->mark(name);
}

} // namespace pillion
