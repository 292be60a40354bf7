// Who is kept quiet: what a silence names; what another alert explains, as its rule declares (inhibitedBy); and what a
// critical alert of another rule says already of the same metric and labels. A suppressed alert lives on and is listed,
// but its coming and changing is not published. Once nothing keeps it quiet any more it is, if it still stands.
//
// An alert that is inhibited inhibits nobody itself. Alerts are gone through from the oldest on, so that of two that
// name each other the older one is inhibited and the newer one is not.
#include "modules/alerts/alert_engine.h"

#include <algorithm>
#include <utility>

namespace pillion {

namespace {

bool matches(const AlertSilence& silence, const Alert& alert) {
    if (!silence.rule.empty() && !alert_name_matches(silence.rule, alert.rule)) return false;
    return std::ranges::all_of(silence.labels, [&alert](const auto& pair) {
        const auto at = alert.labels.find(pair.first);
        return at != alert.labels.end() && alert_name_matches(pair.second, at->second);
    });
}

bool are_equal_in(const std::vector<std::string>& names, const SeriesLabels& a, const SeriesLabels& b) {
    return std::ranges::all_of(names, [&](const std::string& name) {
        const auto in_a = a.find(name), in_b = b.find(name);
        return in_a == a.end() || in_b == b.end() ? in_a == a.end() && in_b == b.end() : in_a->second == in_b->second;
    });
}

} // namespace

// Greedy with one place to come back to: linear in practice, and never worse than the product of the lengths.
bool alert_name_matches(std::string_view pattern, std::string_view text) {
    std::size_t at = 0, in = 0, star = std::string_view::npos, from = 0;
    while (in < text.size()) {
        if (at < pattern.size() && pattern[at] == '*') {
            star = at++;
            from = in;
        } else if (at < pattern.size() && pattern[at] == text[in]) {
            ++at, ++in;
        } else if (star != std::string_view::npos) {
            at = star + 1;
            in = ++from;
        } else {
            return false;
        }
    }
    while (at < pattern.size() && pattern[at] == '*') ++at;
    return at == pattern.size();
}

std::optional<std::string> Alerts::Engine::find_silence(const Alert& alert) const {
    const std::int64_t now_ms = host.clock.wall_ms();
    for (const auto& [id, silence] : silences)
        if (silence.until > now_ms && matches(silence, alert)) return id;
    return {};
}

void Alerts::Engine::end_silences() {
    const std::int64_t now_ms = host.clock.wall_ms();
    std::erase_if(silences, [&](const auto& pair) {
        if (pair.second.until > now_ms) return false;
        if (host.store != nullptr) writes.silences[pair.first] = std::nullopt;
        is_suppression_stale = true;
        return true;
    });
}

void Alerts::Engine::apply_suppression() {
    is_suppression_stale = false;
    std::vector<ActiveAlert*> oldest_first;
    std::unordered_map<std::string_view, std::vector<ActiveAlert*>> of_inhibitor;
    std::unordered_map<std::string_view, std::vector<ActiveAlert*>> criticals; // by subject
    for (auto& [id, entry] : active) {
        oldest_first.push_back(&entry);
        if (inhibitors.contains(entry.alert.rule)) of_inhibitor[entry.alert.rule].push_back(&entry);
        if (!entry.subject.empty() && entry.alert.level == AlertLevel::critical)
            criticals[entry.subject].push_back(&entry);
    }
    std::ranges::sort(oldest_first, [](const ActiveAlert* a, const ActiveAlert* b) {
        return std::pair(a->alert.raisedAt, std::string_view(a->alert.id)) <
               std::pair(b->alert.raisedAt, std::string_view(b->alert.id));
    });
    std::unordered_set<const ActiveAlert*> inhibited;
    const auto find_inhibitor = [&](const ActiveAlert& entry) -> std::optional<std::string> {
        const auto rule = rules.find(entry.alert.rule);
        if (entry.is_direct() || rule == rules.end()) return {};
        for (const std::string& name : rule->second.rule.inhibitedBy)
            if (const auto found = of_inhibitor.find(name); found != of_inhibitor.end())
                for (const ActiveAlert* const other : found->second)
                    if (!inhibited.contains(other) &&
                        are_equal_in(rule->second.rule.inhibitedByEqual, entry.alert.labels, other->alert.labels))
                        return other->alert.rule;
        if (entry.alert.level == AlertLevel::critical) return {};
        if (const auto found = criticals.find(entry.subject); found != criticals.end())
            for (const ActiveAlert* const other : found->second)
                if (!inhibited.contains(other)) return other->alert.rule;
        return {};
    };
    for (ActiveAlert* const entry : oldest_first) {
        auto inhibitor = find_inhibitor(*entry);
        if (inhibitor) inhibited.insert(entry);
        set_suppression(*entry, find_silence(entry->alert), std::move(inhibitor));
    }
}

void Alerts::Engine::set_suppression(ActiveAlert& entry, std::optional<std::string> silence,
                                     std::optional<std::string> inhibitor) {
    Alert& alert = entry.alert;
    if (alert.silencedBy == silence && alert.inhibitedBy == inhibitor) return;
    alert.silencedBy = std::move(silence);
    alert.inhibitedBy = std::move(inhibitor);
    entry.is_changed = true;
    touch(entry);
}

// Of an alert that is suppressed only the beginning of that is told.
void Alerts::Engine::announce() {
    for (const std::string& id : std::exchange(touched, {})) {
        const auto found = active.find(id);
        if (found == active.end()) continue;
        ActiveAlert& entry = found->second;
        Alert& alert = entry.alert;
        const bool is_suppressed = alert.silencedBy || alert.inhibitedBy;
        const bool was_suppressed = std::exchange(entry.is_suppressed, is_suppressed);
        const bool is_changed = std::exchange(entry.is_changed, false);
        alert.durationMs = duration_ms(entry);
        keep(alert);
        if (!entry.is_announced) {
            if (is_suppressed) continue;
            entry.is_announced = true;
            events.emplace_back(AlertChange::raised, alert);
        } else if (is_changed && !(is_suppressed && was_suppressed)) {
            events.emplace_back(AlertChange::changed, alert);
        }
    }
}

Result<AlertSilence> Alerts::silence(AlertSilence silence, std::int64_t duration_ms) {
    constexpr std::int64_t duration_ms_max = 366LL * 86'400'000;
    if (duration_ms <= 0 || duration_ms > duration_ms_max)
        return fail(ErrorCode::invalid_params,
                    "a silence lasts from 1 to " + std::to_string(duration_ms_max) + " ms, not " +
                        std::to_string(duration_ms),
                    "/durationMs");
    if (silence.rule.empty() && silence.labels.empty())
        return fail(ErrorCode::invalid_params, "a silence names a rule, labels or both", "/rule",
                    "rule = \"*\" silences everything");
    load();
    std::unique_lock lock(engine_->mutex);
    if (engine_->silences.size() >= silences_max)
        return fail(ErrorCode::exhausted,
                    "there are " + std::to_string(silences_max) + " silences, and no more may be added", {},
                    "alerts.unsilence ends one");
    silence.createdAt = engine_->host.clock.wall_ms();
    silence.until = silence.createdAt + duration_ms;
    do silence.id = "s" + std::to_string(silence.createdAt) + "-" + std::to_string(++engine_->silences_made);
    while (engine_->silences.contains(silence.id));
    engine_->silences[silence.id] = silence;
    if (engine_->host.store != nullptr) engine_->writes.silences[silence.id] = silence;
    engine_->is_suppression_stale = true;
    engine_->finish(lock);
    return silence;
}

Result<void> Alerts::unsilence(std::string_view id) {
    load();
    std::unique_lock lock(engine_->mutex);
    if (engine_->silences.erase(std::string(id)) == 0)
        return fail(ErrorCode::not_found, "there is no silence \"" + std::string(id.substr(0, 80)) + "\"", "/id",
                    "alerts.silences lists them");
    if (engine_->host.store != nullptr) engine_->writes.silences[std::string(id)] = std::nullopt;
    engine_->is_suppression_stale = true;
    engine_->finish(lock);
    return {};
}

std::vector<AlertSilence> Alerts::silences() {
    load();
    const std::lock_guard lock(engine_->mutex);
    std::vector<AlertSilence> silences;
    for (const auto& [id, silence] : engine_->silences)
        if (silence.until > engine_->host.clock.wall_ms()) silences.push_back(silence);
    return silences;
}

} // namespace pillion
