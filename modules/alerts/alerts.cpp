#include "modules/alerts/alerts.h"

#include "modules/alerts/alert_engine.h"

#include <algorithm>
#include <utility>

namespace pillion {

namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t silence_look_ms_max = 60'000; // the wall clock may be set meanwhile

void sort_active(std::vector<Alert>& alerts) {
    std::ranges::sort(alerts, [](const Alert& a, const Alert& b) {
        if (a.level != b.level) return a.level > b.level;
        return a.raisedAt != b.raisedAt ? a.raisedAt > b.raisedAt : a.id < b.id;
    });
}

} // namespace

Alerts::Alerts(Host host, const AlertsConfig& config) : engine_(std::make_shared<Engine>(std::move(host))) {
    engine_->config = config;
    engine_->is_loaded = engine_->host.store == nullptr;
    engine_->apply_rules();
}

Alerts::~Alerts() { stop(); }

void Alerts::add_schema(Store& store) { store.add_schema("alerts", alerts_schema()); }

void Alerts::set_sampled(bool is_sampled) {
    std::unique_lock lock(engine_->mutex);
    if (engine_->is_stopped || std::exchange(engine_->is_sampled, is_sampled) == is_sampled) return;
    if (!is_sampled) return;
    engine_->want_load();
    engine_->begin_anew(engine_->host.clock.now_ns());
    engine_->ticked_ns.reset();
    engine_->finish(lock);
}

bool Alerts::has_own_rules() const {
    const std::lock_guard lock(engine_->mutex);
    return std::ranges::any_of(engine_->rules, [](const auto& rule) {
        return rule.second.rule.enabled && rule.second.origin != AlertRuleOrigin::builtIn;
    });
}

void Alerts::raise(AlertNotice notice) {
    std::unique_lock lock(engine_->mutex);
    if (engine_->is_stopped || notice.key.empty()) return;
    engine_->want_load();
    if (engine_->is_loaded)
        engine_->raise_now(std::move(notice));
    else if (engine_->early.size() < static_cast<std::size_t>(engine_->config.activeMax))
        engine_->early.emplace_back(std::move(notice));
    engine_->finish(lock);
}

void Alerts::resolve(std::string_view key) {
    std::unique_lock lock(engine_->mutex);
    if (engine_->is_stopped) return;
    engine_->want_load();
    if (engine_->is_loaded)
        engine_->resolve_now(key);
    else if (engine_->early.size() < static_cast<std::size_t>(engine_->config.activeMax))
        engine_->early.emplace_back(std::string(key));
    engine_->finish(lock);
}

void Alerts::load() { engine_->load(); }

std::vector<Alert> Alerts::list(AlertsOf which) {
    load();
    const std::lock_guard lock(engine_->mutex);
    std::vector<Alert> alerts;
    if (which != AlertsOf::resolved) {
        for (const auto& [id, entry] : engine_->active) {
            Alert& alert = alerts.emplace_back(entry.alert);
            alert.durationMs = engine_->duration_ms(entry);
        }
        sort_active(alerts);
    }
    if (which != AlertsOf::active) alerts.insert(alerts.end(), engine_->history.rbegin(), engine_->history.rend());
    return alerts;
}

Result<Alert> Alerts::acknowledge(std::string_view id, std::string by, std::string comment) {
    load();
    std::unique_lock lock(engine_->mutex);
    const auto found = engine_->active.find(std::string(id));
    if (found == engine_->active.end())
        return fail(ErrorCode::not_found, "no alert \"" + std::string(id.substr(0, 160)) + "\" is active", "/id",
                    "alerts.list gives the ids");
    found->second.alert.acknowledged = {std::move(by), std::move(comment), engine_->host.clock.wall_ms()};
    found->second.is_changed = true;
    engine_->touch(found->second);
    Alert alert = found->second.alert;
    engine_->finish(lock);
    return alert;
}

void Alerts::stop() {
    bool has_early = false;
    {
        const std::lock_guard lock(engine_->mutex);
        has_early = !engine_->is_stopped && !engine_->early.empty();
    }
    if (has_early) load(); // so that what was raised at the last moment is kept
    {
        std::unique_lock lock(engine_->mutex);
        if (std::exchange(engine_->is_stopped, true)) return;
        if (engine_->armed_for_ns) engine_->host.timers.cancel(engine_->timer);
        engine_->changed.notify_all();
        engine_->changed.wait(
            lock, [this] { return !engine_->is_publishing && !engine_->is_writing && !engine_->is_loading; });
        engine_->write_from_ns = 0;
    }
    engine_->write_now();
}

void Alerts::Engine::tick() {
    std::unique_lock lock(mutex);
    armed_for_ns.reset();
    if (is_stopped) return;
    const std::int64_t now_ns = host.clock.now_ns();
    if (is_sampled) look_for_gap(now_ns);
    if (is_sampled && is_loaded && host.source)
        for (auto& [name, state] : rules)
            if (state.rule.enabled && now_ns >= state.next_ns) evaluate(name, state, now_ns);
    end_overdue(now_ns);
    end_silences();
    finish(lock);
}

void Alerts::Engine::arm() {
    if (is_stopped) return;
    const std::int64_t now_ns = host.clock.now_ns();
    std::optional<std::int64_t> due_ns;
    const auto consider = [&due_ns](std::int64_t at_ns) { due_ns = std::min(due_ns.value_or(at_ns), at_ns); };
    if (is_sampled && has_enabled_rules && host.source) consider(now_ns + interval_ms * ns_per_ms);
    if (!overdue.empty()) consider(overdue.begin()->first);
    for (const auto& [id, silence] : silences)
        consider(now_ns + ns_per_ms * std::clamp<std::int64_t>(silence.until - host.clock.wall_ms(), interval_ms,
                                                               silence_look_ms_max));
    if (!due_ns || (armed_for_ns && *armed_for_ns <= *due_ns)) return;
    if (armed_for_ns) host.timers.cancel(timer);
    armed_for_ns = due_ns;
    const std::int64_t delay_ms = std::max<std::int64_t>(1, (*due_ns - now_ns + ns_per_ms - 1) / ns_per_ms);
    timer = host.timers.after_ms(delay_ms, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->tick();
    });
}

// Whoever holds the mutex and has changed something ends with this; the mutex is released and taken again while events
// are published. Who comes meanwhile leaves his events to the one who publishes already.
void Alerts::Engine::finish(std::unique_lock<std::mutex>& lock) {
    if (is_suppression_stale) apply_suppression();
    announce();
    ask_for_store_work();
    arm();
    if (is_publishing) return;
    is_publishing = true;
    while ((!events.empty() || is_rules_news) && !is_stopped) {
        const auto has_rules = has_rules_to_tell();
        const auto batch = std::exchange(events, {});
        lock.unlock();
        if (host.publish)
            for (const auto& [change, alert] : batch) host.publish(change, alert);
        if (has_rules && host.on_runtime_rules) host.on_runtime_rules(*has_rules);
        lock.lock();
    }
    is_publishing = false;
    changed.notify_all();
}

} // namespace pillion
