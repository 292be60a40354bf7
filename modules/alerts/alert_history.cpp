// What outlives the process. Changes gather, and one write at a time takes them all: a storm of alerts costs one
// transaction. When a write fails (a full disk), what it had is kept and tried again 10 s later; memory stays bounded,
// as only the newest state of each alert waits, and the oldest history goes first.
#include "ipc/base/log.h"
#include "modules/alerts/alert_engine.h"

#include <algorithm>
#include <utility>

namespace pillion {

namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t day_ms = 86'400'000;
constexpr std::int64_t retry_ns = 10'000 * ns_per_ms;

} // namespace

AlertBounds Alerts::Engine::bounds() const {
    return {.history_max = config.historyMax,
            .resolved_after_ms = host.clock.wall_ms() - config.historyDays * day_ms,
            .active_max = config.activeMax};
}

void Alerts::Engine::keep(const Alert& alert) {
    if (host.store == nullptr) return;
    Alert& row = writes.alerts[{alert.id, alert.raisedAt}];
    row = alert;
    row.members.clear();
}

void Alerts::Engine::keep_resolved(Alert alert) {
    keep(alert);
    history.push_back(std::move(alert));
    const std::int64_t after_ms = bounds().resolved_after_ms;
    while (!history.empty() && (history.size() > static_cast<std::size_t>(config.historyMax) ||
                                history.front().resolvedAt.value_or(0) < after_ms))
        history.pop_front();
    // Where nothing can be written, what waits to be is no more than what there is.
    const auto waiting_max = static_cast<std::size_t>(2 * config.historyMax + 2 * config.activeMax);
    if (writes.alerts.size() <= waiting_max) return;
    const auto oldest = std::ranges::min_element(writes.alerts, {}, [](const auto& pair) { return pair.first.second; });
    writes.alerts.erase(oldest);
}

void Alerts::Engine::want_load() {
    if (!is_loaded) is_load_wanted = true;
}

void Alerts::Engine::ask_for_store_work() {
    if (host.store == nullptr || is_stopped || is_store_work_due || is_writing) return;
    const bool has_to_load = is_load_wanted && !is_loading && !is_loaded;
    const bool has_to_write = is_loaded && !writes.is_empty() && host.clock.now_ns() >= write_from_ns;
    if (!has_to_load && !has_to_write) return;
    is_store_work_due = true;
    host.timers.after_ms(0, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->work_with_store();
    });
}

void Alerts::Engine::work_with_store() {
    bool has_to_load = false;
    {
        const std::lock_guard lock(mutex);
        is_store_work_due = false;
        if (is_stopped) return;
        has_to_load = !is_loaded;
    }
    if (has_to_load)
        begin_load();
    else
        write_now();
}

void Alerts::Engine::begin_load() {
    AlertBounds its_bounds;
    {
        const std::lock_guard lock(mutex);
        if (is_loaded || std::exchange(is_loading, true)) return;
        its_bounds = bounds();
    }
    const auto kept = std::make_shared<AlertsKept>();
    host.store->write(
        [kept, its_bounds, owner = host.owner, is_alive = host.is_alive](Database& database) -> Result<void> {
            const auto others = PILLION_TRY(find_alert_owners(database, owner, is_alive));
            *kept = PILLION_TRY(read_alerts(database, its_bounds, others));
            return take_over_alerts(database, owner, others);
        },
        [weak = weak_from_this(), kept](Result<void> done) {
            if (const auto self = weak.lock()) self->loaded(std::move(done), std::move(*kept));
        });
}

void Alerts::Engine::loaded(Result<void> done, AlertsKept kept) {
    std::unique_lock lock(mutex);
    is_loading = false;
    if (done || kept.is_read) // a full disk keeps what was read from being taken over, no more
        take_kept(std::move(kept));
    else
        log(LogLevel::warning, "alerts", "earlier alerts cannot be read: " + done.error().message);
    is_loaded = true;
    is_rules_news = true;
    for (Early& one : std::exchange(early, {})) {
        if (auto* const notice = std::get_if<AlertNotice>(&one))
            raise_now(std::move(*notice));
        else
            resolve_now(std::get<std::string>(one));
    }
    changed.notify_all();
    finish(lock);
}

void Alerts::Engine::take_kept(AlertsKept kept) {
    const std::int64_t now_ns = host.clock.now_ns();
    for (const auto& [name, text] : kept.rules) {
        if (!host.read_rule) break;
        const auto rule = host.read_rule(text);
        if (rule && check_alert_rule(name, *rule) && runtime_rules.size() < rules_max)
            runtime_rules.emplace(name, *rule);
        else
            ++kept.unreadable;
    }
    apply_rules();
    for (AlertSilence& silence : kept.silences)
        if (silences.size() < silences_max) silences.emplace(silence.id, std::move(silence));
    for (Alert& alert : kept.resolved) history.push_back(std::move(alert));
    for (Alert& alert : kept.active) {
        const std::string id = alert.id;
        if (active.contains(id)) continue; // the same of several processes that have ended: the newest counts
        ActiveAlert& entry = active[id];
        entry.is_announced = true;
        entry.is_unconfirmed = true;
        entry.alert = std::move(alert);
        entry.raised_ns = now_ns;
        const auto rule = rules.find(entry.alert.rule);
        if (entry.is_direct()) {
            entry.unconfirmed_until_ns = now_ns + confirm_ms * ns_per_ms;
            overdue.emplace(*entry.unconfirmed_until_ns, id);
            // It stood until the end: it may flap on.
            entry.alert.flapping = false;
        } else if (rule == rules.end() || !rule->second.rule.enabled) {
            entry.resolves_at_ns = now_ns;
            overdue.emplace(now_ns, id);
        } else {
            entry.subject = alert_subject(rule->second.rule, entry.alert.labels);
            rule->second.active.insert(id);
        }
    }
    is_suppression_stale = true;
    if (kept.unreadable > 0)
        log(LogLevel::warning, "alerts",
            std::to_string(kept.unreadable) + " rows of the alerts' history make no sense and are left out");
}

void Alerts::Engine::write_now() {
    if (host.store == nullptr) return;
    const auto batch = std::make_shared<AlertWrites>();
    AlertBounds its_bounds;
    {
        const std::lock_guard lock(mutex);
        if (is_writing || writes.is_empty() || host.clock.now_ns() < write_from_ns) return;
        is_writing = true;
        *batch = std::exchange(writes, {});
        batch->owner = host.owner;
        its_bounds = bounds();
    }
    host.store->write([batch, its_bounds](Database& database) { return write_alerts(database, *batch, its_bounds); },
                      [weak = weak_from_this(), batch](Result<void> done) {
                          const auto self = weak.lock();
                          if (!self) return;
                          std::unique_lock lock(self->mutex);
                          self->is_writing = false;
                          if (!done) {
                              self->writes.add_older(std::move(*batch));
                              self->write_from_ns = self->host.clock.now_ns() + retry_ns;
                              if (!std::exchange(self->has_write_failed, true))
                                  log(LogLevel::warning, "alerts", "alerts cannot be kept: " + done.error().message);
                          } else {
                              self->has_write_failed = false;
                          }
                          self->changed.notify_all();
                          if (!self->is_stopped) self->finish(lock);
                      });
}

// Who waited for history has also seen published what came of reading it.
void Alerts::Engine::load() {
    if (host.store == nullptr) return;
    {
        const std::lock_guard lock(mutex);
        if (is_loaded) return;
    }
    begin_load();
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return (is_loaded && !is_publishing) || is_stopped; });
}

} // namespace pillion
