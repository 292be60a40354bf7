// What stands, is raised directly, and ends. Direct alerts have no machine: their owner says when they begin and end,
// and only flapping is counted for him.
#include "ipc/base/number_text.h"
#include "modules/alerts/alert_engine.h"

#define XXH_INLINE_ALL
#include <algorithm>
#include <utility>
#include <xxhash.h>

namespace pillion {

namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t second_ms = 1000;
constexpr std::int64_t direct_flap_window_ns = 3'600'000 * ns_per_ms;
constexpr std::int64_t direct_flaps_max = 3;
constexpr std::size_t direct_keys_max = 2000; // whose raising is counted
constexpr std::int64_t refused_calm_ns = 60'000 * ns_per_ms;
constexpr std::size_t refused_counted_max = 10'000;

std::string hexadecimal_hash(std::string_view text) { return hex_digits(XXH3_64bits(text.data(), text.size())); }

} // namespace

std::string alert_fingerprint(std::string_view rule, const SeriesLabels& labels) {
    std::string text = "rule\n" + std::string(rule);
    for (const auto& [name, value] : labels)
        text += '\n' + std::to_string(name.size()) + ':' + name + std::to_string(value.size()) + ':' + value;
    return hexadecimal_hash(text);
}

std::string alert_key_fingerprint(std::string_view key) { return hexadecimal_hash("key\n" + std::string(key)); }

std::string alert_subject(const AlertRule& rule, const SeriesLabels& labels) {
    return alert_fingerprint(rule.comparison == AlertComparison::above ? ">" : "<", labels) + rule.metric;
}

void Alerts::Engine::touch(ActiveAlert& entry) { touched.push_back(entry.alert.id); }

ActiveAlert* Alerts::Engine::add_active(Alert alert) {
    const std::string id = alert.id;
    if (active.size() >= static_cast<std::size_t>(config.activeMax) && alert.rule != overflow_key) {
        refuse(id);
        return nullptr;
    }
    ActiveAlert& entry = active[id];
    entry.alert = std::move(alert);
    entry.raised_ns = host.clock.now_ns();
    entry.alert.silencedBy = find_silence(entry.alert);
    entry.is_suppressed = entry.alert.silencedBy.has_value();
    if (inhibitors.contains(entry.alert.rule)) is_suppression_stale = true;
    touch(entry);
    return &entry;
}

// By the wall clock, which counts sleep too, unless that was set back.
std::int64_t Alerts::Engine::duration_ms(const ActiveAlert& entry) const {
    const std::int64_t by_wall_ms = host.clock.wall_ms() - entry.alert.raisedAt;
    const std::int64_t awake_ms = (host.clock.now_ns() - entry.raised_ns) / ns_per_ms;
    return by_wall_ms < awake_ms - second_ms ? awake_ms : std::max<std::int64_t>(0, by_wall_ms);
}

void Alerts::Engine::end_alert(const std::string& id, AlertEnd end) {
    const auto found = active.find(id);
    if (found == active.end()) return;
    const std::int64_t lasted_ms = duration_ms(found->second);
    Alert alert = std::move(found->second.alert);
    const bool is_announced = found->second.is_announced;
    active.erase(found);
    if (const auto rule = rules.find(alert.rule); rule != rules.end()) rule->second.active.erase(id);
    if (!alert.metric.empty() || inhibitors.contains(alert.rule)) is_suppression_stale = true;
    if (const auto flaps = direct_flaps.find(id); flaps != direct_flaps.end()) flaps->second.resolved();
    const std::int64_t now_ms = host.clock.wall_ms();
    alert.state = AlertState::resolved;
    alert.resolvedAt = alert.changedAt = now_ms;
    alert.durationMs = lasted_ms;
    alert.end = end;
    alert.members.clear();
    if (is_announced) events.emplace_back(AlertChange::resolved, alert);
    keep_resolved(std::move(alert));
}

void Alerts::Engine::raise_now(AlertNotice notice) {
    const std::string id = alert_key_fingerprint(notice.key);
    const std::int64_t now_ns = host.clock.now_ns(), now_ms = host.clock.wall_ms();
    if (const auto found = active.find(id); found != active.end()) {
        ActiveAlert& entry = found->second;
        Alert& alert = entry.alert;
        ++alert.occurrences;
        entry.resolves_at_ns.reset();
        entry.is_unconfirmed = false;
        alert.detail = std::move(notice.detail);
        alert.advice = std::move(notice.advice);
        if (alert.level == notice.level && alert.title == notice.title && alert.labels == notice.labels) return;
        alert.level = notice.level;
        alert.worst = std::max(alert.worst, notice.level);
        alert.title = std::move(notice.title);
        alert.labels = std::move(notice.labels);
        alert.changedAt = now_ms;
        entry.is_changed = true;
        touch(entry);
        return;
    }
    Alert alert{.id = id, .rule = std::move(notice.key), .state = AlertState::raised, .level = notice.level};
    alert.worst = notice.level;
    alert.title = std::move(notice.title);
    alert.detail = std::move(notice.detail);
    alert.advice = std::move(notice.advice);
    alert.labels = std::move(notice.labels);
    alert.raisedAt = alert.changedAt = now_ms;
    ActiveAlert* const entry = add_active(std::move(alert));
    if (entry == nullptr) return;
    if (direct_flaps.size() >= direct_keys_max)
        std::erase_if(direct_flaps, [&](const auto& pair) {
            return pair.second.is_forgotten(now_ns, direct_flap_window_ns) || !active.contains(pair.first);
        });
    FlapCounter& flaps = direct_flaps[id];
    flaps.raised(now_ns, direct_flap_window_ns, direct_flaps_max);
    entry->alert.flapping = flaps.is_flapping();
}

void Alerts::Engine::resolve_now(std::string_view key) {
    const std::string id = alert_key_fingerprint(key);
    const auto found = active.find(id);
    if (found == active.end()) return;
    if (!found->second.alert.flapping) return end_alert(id, AlertEnd::cleared);
    const std::int64_t at_ns = host.clock.now_ns() + FlapCounter::calm_ns(direct_flap_window_ns, direct_flaps_max);
    found->second.resolves_at_ns = at_ns;
    overdue.emplace(at_ns, id);
}

// One summary stands for all that are too many.
void Alerts::Engine::refuse(const std::string& id) {
    refused_at_ns = host.clock.now_ns();
    if (refused.size() < refused_counted_max) refused.insert(id);
    const std::string summary = alert_key_fingerprint(overflow_key);
    const std::string detail = std::to_string(refused.size()) +
                               (refused.size() < refused_counted_max ? "" : " or more") +
                               " alerts are not shown beside the " + std::to_string(config.activeMax) + " that are";
    if (const auto found = active.find(summary); found != active.end()) {
        found->second.alert.detail = detail;
        return;
    }
    overdue.emplace(refused_at_ns + refused_calm_ns, summary);
    raise_now({.key = std::string(overflow_key),
               .level = AlertLevel::critical,
               .title = "Too many alerts",
               .detail = detail,
               .labels = {},
               .advice = "Group them with groupBy, or narrow the rules that raise them."});
}

std::optional<AlertEnd> Alerts::Engine::overdue_end(const ActiveAlert& entry, std::int64_t now_ns) const {
    if (!entry.is_direct()) // only those whose rule is gone are looked at here
        return entry.resolves_at_ns && *entry.resolves_at_ns <= now_ns ? std::optional(AlertEnd::ruleGone)
                                                                       : std::nullopt;
    if (entry.alert.rule == overflow_key)
        return refused_at_ns + refused_calm_ns <= now_ns ? std::optional(AlertEnd::cleared) : std::nullopt;
    if (entry.resolves_at_ns && *entry.resolves_at_ns <= now_ns) return AlertEnd::cleared;
    if (entry.is_unconfirmed && entry.unconfirmed_until_ns && *entry.unconfirmed_until_ns <= now_ns)
        return AlertEnd::notConfirmed;
    return {};
}

void Alerts::Engine::end_overdue(std::int64_t now_ns) {
    while (!overdue.empty() && overdue.begin()->first <= now_ns) {
        const std::string id = overdue.begin()->second;
        overdue.erase(overdue.begin());
        const auto found = active.find(id);
        if (found == active.end()) continue;
        const bool is_summary = found->second.alert.rule == overflow_key;
        if (const auto end = overdue_end(found->second, now_ns)) {
            end_alert(id, *end);
            if (is_summary) refused.clear();
        } else if (is_summary) {
            overdue.emplace(refused_at_ns + refused_calm_ns, id);
        }
    }
}

} // namespace pillion
