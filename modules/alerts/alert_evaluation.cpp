// Once a second each rule that is due reads one value for each set of labels, and the machine of that set takes it.
// What is raised then is gathered by the labels of groupBy, and each group is one alert. A rule with a long window is
// looked at less often, as its value moves less: every tenth of the window, at most 30 s apart.
//
// A gap (the machine slept, the process was stopped, the wall clock was set) shows as two clocks that no longer agree,
// or a tick that comes far too late. What was measured before it says nothing about now.
#include "modules/alerts/alert_engine.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace pillion {

namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t drift_ms_max = 5'000;  // between the clocks from tick to tick
constexpr std::int64_t late_ms_max = 30'000;  // a tick; as the series, which take no counter over a longer pause
constexpr std::int64_t anew_ms_max = 600'000; // of a window that must lie behind a gap
constexpr std::int64_t evaluation_ms_max = 30'000;

AlertQuery query_of(const AlertRule& rule, const std::string& metric) {
    return {.metric = metric,
            .labels = rule.labels,
            .function = rule.function,
            .percentile = rule.percentile,
            .window_ms = rule.windowMs,
            .aggregate = rule.aggregate,
            .by = rule.by};
}

// Nothing measured yet is no data, not an error.
Result<AlertReading> read_one(const AlertSource& source, const AlertQuery& query) {
    auto reading = source(query);
    if (!reading && reading.error().code == ErrorCode::not_found) return AlertReading{};
    return reading;
}

SeriesLabels picked(const SeriesLabels& labels, const std::vector<std::string>& names) {
    SeriesLabels group;
    for (const std::string& name : names)
        if (const auto at = labels.find(name); at != labels.end()) group.insert(*at);
    return group;
}

} // namespace

// The members of one alert.
struct Alerts::Engine::Group {
    SeriesLabels labels;
    std::vector<std::pair<const SeriesLabels*, const AlertMachine*>> raised;
};

void Alerts::Engine::look_for_gap(std::int64_t now_ns) {
    const std::int64_t difference_ms = host.clock.wall_ms() - now_ns / ns_per_ms;
    const std::int64_t drift_ms = difference_ms - std::exchange(wall_less_monotonic_ms, difference_ms);
    const auto before_ns = std::exchange(ticked_ns, now_ns);
    if (before_ns && (std::abs(drift_ms) > drift_ms_max || now_ns - *before_ns > late_ms_max * ns_per_ms))
        begin_anew(now_ns);
}

void Alerts::Engine::begin_anew(std::int64_t now_ns) {
    anew_from_ns = now_ns;
    for (auto& [name, state] : rules)
        for (auto& [labels, watched] : state.watched) watched.machine.begin_anew(now_ns);
    for (auto& [id, entry] : active)
        if (!entry.is_direct()) entry.unconfirmed_until_ns.reset();
}

// A ratio has a value wherever its divisor has one: what was not counted yet is 0.
Result<AlertReading> Alerts::Engine::read(const RuleState& state) const {
    const AlertRule& rule = state.rule;
    AlertReading reading = PILLION_TRY(read_one(host.source, query_of(rule, rule.metric)));
    if (rule.dividedBy.empty()) return reading;
    std::map<SeriesLabels, double> dividends, divisors;
    for (const AlertSample& sample : reading.samples) dividends[sample.labels] += sample.value;
    for (const std::string& metric : rule.dividedBy) {
        const AlertReading part = PILLION_TRY(read_one(host.source, query_of(rule, metric)));
        for (const AlertSample& sample : part.samples) divisors[sample.labels] += sample.value;
    }
    AlertReading ratios{.unit = "1"};
    for (const auto& [labels, divisor] : divisors)
        if (divisor != 0 && std::isfinite(divisor) && divisor >= rule.dividedByMin)
            ratios.samples.push_back({labels, dividends[labels] / divisor});
    return ratios;
}

void Alerts::Engine::take(RuleState& state, const AlertReading& reading, std::int64_t now_ns) {
    for (auto& [labels, watched] : state.watched) watched.is_seen = false;
    for (const AlertSample& sample : reading.samples) {
        if (!std::isfinite(sample.value)) continue;
        auto at = state.watched.find(sample.labels);
        if (at == state.watched.end()) {
            if (state.watched.size() >= watched_max) {
                state.trouble = "more than " + std::to_string(watched_max) +
                                " sets of labels; those past it are not looked at: name labels, or aggregate";
                continue;
            }
            at = state.watched.try_emplace(sample.labels).first;
        }
        at->second.is_seen = true;
        at->second.is_placeholder = false;
        at->second.machine.step(state.conditions, sample.value, now_ns);
    }
    if (state.watched.empty() && state.rule.noData == AlertNoData::raise)
        state.watched[state.rule.labels] = {.machine = {}, .is_seen = false, .is_placeholder = true};
    const bool has_data = std::ranges::any_of(state.watched, [](const auto& pair) { return pair.second.is_seen; });
    for (auto at = state.watched.begin(); at != state.watched.end();) {
        WatchedSeries& watched = at->second;
        const bool is_replaced = watched.is_placeholder && has_data;
        if (!watched.is_seen && !is_replaced) watched.machine.step(state.conditions, {}, now_ns);
        const bool is_over = !watched.is_seen && state.rule.noData == AlertNoData::ignore &&
                             watched.machine.is_forgettable(state.conditions, now_ns);
        at = is_replaced || is_over ? state.watched.erase(at) : std::next(at);
    }
}

void Alerts::Engine::evaluate(const std::string& name, RuleState& state, std::int64_t now_ns) {
    const AlertRule& rule = state.rule;
    state.next_ns = now_ns + std::clamp(rule.windowMs / 10, interval_ms, evaluation_ms_max) * ns_per_ms;
    const std::int64_t from_ns = anew_from_ns + std::min(rule.windowMs, anew_ms_max) * ns_per_ms;
    if (now_ns < from_ns) {
        state.next_ns = std::min(state.next_ns, from_ns);
        return;
    }
    state.trouble.clear();
    auto reading = read(state);
    if (!reading) {
        state.trouble = reading.error().message;
        reading = AlertReading{};
    }
    if (!reading->samples.empty()) {
        state.unit = reading->unit;
        state.conditions = alert_conditions(rule, state.unit);
        if (std::ranges::none_of(state.conditions.thresholds,
                                 [](const auto& threshold) { return threshold.has_value(); }))
            state.trouble = "no threshold is given, and 75 % and 90 % fit only shares, not the unit \"" + state.unit +
                            "\": set warning or critical";
    }
    take(state, *reading, now_ns);
    settle_groups(name, state, now_ns);
}

void Alerts::Engine::settle_groups(const std::string& name, RuleState& state, std::int64_t now_ns) {
    std::map<std::string, Group> groups; // by id
    for (const auto& [labels, watched] : state.watched) {
        if (!watched.machine.is_raised()) continue;
        SeriesLabels its = state.rule.groupBy ? picked(labels, *state.rule.groupBy) : labels;
        Group& group = groups[alert_fingerprint(name, its)];
        group.labels = std::move(its);
        group.raised.emplace_back(&labels, &watched.machine);
    }
    std::set<std::string> raised;
    for (const auto& [id, group] : groups) {
        settle_group(name, state, id, group);
        raised.insert(id);
    }
    end_others(state, raised, now_ns);
}

namespace {

// Of two members, whether `a` is the one to be shown: the higher level, then the value further beyond.
bool is_worse(const AlertMachine& a, const AlertMachine& b, AlertComparison comparison) {
    if (a.level() != b.level()) return a.level() > b.level();
    if (!a.value() || !b.value()) return a.value().has_value();
    return comparison == AlertComparison::above ? *a.value() > *b.value() : *a.value() < *b.value();
}

bool have_same_members(const Alert& a, const Alert& b) {
    return a.membersCount == b.membersCount &&
           std::ranges::equal(a.members, b.members, [](const AlertMember& one, const AlertMember& other) {
               return one.level == other.level && one.labels == other.labels;
           });
}

} // namespace

void Alerts::Engine::settle_group(const std::string& name, RuleState& state, const std::string& id,
                                  const Group& group) {
    const AlertRule& rule = state.rule;
    const std::int64_t now_ms = host.clock.wall_ms();
    const AlertMachine* worst = group.raised.front().second;
    Alert now{.id = id, .rule = name, .state = AlertState::noData};
    for (const auto& [labels, machine] : group.raised) {
        if (is_worse(*machine, *worst, rule.comparison)) worst = machine;
        if (machine->level() && !machine->is_without_data()) now.state = AlertState::raised;
        now.flapping = now.flapping || machine->is_flapping();
        if (rule.groupBy && now.members.size() < members_max)
            now.members.push_back({*labels, machine->level().value_or(AlertLevel::warning), machine->value()});
    }
    now.membersCount = static_cast<std::int64_t>(now.members.empty() ? 0 : group.raised.size());
    now.level = now.worst = worst->level().value_or(AlertLevel::warning);
    now.title = rule.title.value_or(name);
    now.advice = rule.advice.value_or("");
    now.labels = group.labels;
    now.metric = rule.metric;
    now.unit = state.unit;
    if (now.state == AlertState::raised) now.value = worst->value();
    now.threshold = worst->level() ? state.conditions.thresholds[static_cast<std::size_t>(now.level)] : std::nullopt;
    now.raisedAt = now.changedAt = now_ms;
    now.detail = alert_detail(rule, now);

    const auto found = active.find(id);
    if (found == active.end()) {
        if (ActiveAlert* const entry = add_active(std::move(now))) {
            entry->subject = alert_subject(rule, group.labels);
            state.active.insert(id);
            is_suppression_stale = true;
        }
        return;
    }
    ActiveAlert& entry = found->second;
    Alert& alert = entry.alert;
    entry.is_unconfirmed = false;
    const bool is_level_new = alert.level != now.level;
    const bool is_changed =
        is_level_new || alert.state != now.state || alert.flapping != now.flapping || !have_same_members(alert, now);
    now.worst = std::max(alert.worst, now.level);
    now.raisedAt = alert.raisedAt;
    now.changedAt = is_changed ? now_ms : alert.changedAt;
    now.acknowledged = std::move(alert.acknowledged);
    now.silencedBy = std::move(alert.silencedBy);
    now.inhibitedBy = std::move(alert.inhibitedBy);
    alert = std::move(now);
    if (!is_changed) return;
    is_suppression_stale = is_suppression_stale || is_level_new;
    entry.is_changed = true;
    touch(entry);
}

void Alerts::Engine::end_others(RuleState& state, const std::set<std::string>& raised, std::int64_t now_ns) {
    const AlertRule& rule = state.rule;
    const auto has_data = [&](const Alert& alert) {
        return std::ranges::any_of(state.watched, [&](const auto& pair) {
            return pair.second.is_seen &&
                   (rule.groupBy ? picked(pair.first, *rule.groupBy) : pair.first) == alert.labels;
        });
    };
    for (const std::string& id : std::set(state.active)) {
        if (raised.contains(id)) continue;
        ActiveAlert& entry = active.at(id);
        const bool is_seen = has_data(entry.alert);
        if (entry.is_unconfirmed) {
            const std::int64_t wait_ms = rule.forMs + rule.holdMs + (is_seen ? 0 : rule.noDataMs);
            if (!entry.unconfirmed_until_ns) entry.unconfirmed_until_ns = now_ns + wait_ms * ns_per_ms;
            if (now_ns < *entry.unconfirmed_until_ns) continue;
        }
        end_alert(id, is_seen || entry.alert.state == AlertState::noData ? AlertEnd::cleared : AlertEnd::noData);
    }
}

} // namespace pillion
