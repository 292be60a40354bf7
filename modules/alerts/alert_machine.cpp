// A level is reached when the value has been beyond its threshold for `for`, and kept until the value has been clear of
// it, by a margin, for `hold`. So an alert lives at least as long as `hold`, and noise narrower than the margin or
// shorter than `for` is not seen. After it resolved it does not rise again to the level it had within `cooldown`; a
// higher one does not wait. Raised more than `flapsMax` times within the window it flaps: then it holds longer, and
// there is one long alert in place of many.
//
// The shape is that of Prometheus' `for` and `keep_firing_for` and of Nagios' flap detection, the latter by count.
#include "modules/alerts/alert_machine.h"

#include <algorithm>
#include <cmath>

namespace pillion {

namespace {

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr double margin_share = 0.05;

bool is_beyond(AlertComparison comparison, double value, double threshold) {
    return comparison == AlertComparison::above ? value > threshold : value < threshold;
}

// Whether it is not clear of the threshold.
bool is_kept(const AlertConditions& conditions, double value, double threshold) {
    const double margin = conditions.margin.value_or(std::abs(threshold) * margin_share);
    return is_beyond(conditions.comparison, value,
                     conditions.comparison == AlertComparison::above ? threshold - margin : threshold + margin);
}

} // namespace

AlertConditions alert_conditions(const AlertRule& rule, std::string_view unit) {
    return {.thresholds = alert_thresholds(rule, unit),
            .margin = rule.margin,
            .comparison = rule.comparison,
            .for_ns = rule.forMs * ns_per_ms,
            .hold_ns = rule.holdMs * ns_per_ms,
            .cooldown_ns = rule.cooldownMs * ns_per_ms,
            .flap_window_ns = rule.flapWindowMs * ns_per_ms,
            .flaps_max = rule.flapsMax,
            .no_data = rule.noData,
            .no_data_ns = rule.noDataMs * ns_per_ms};
}

void FlapCounter::raised(std::int64_t now_ns, std::int64_t window_ns, std::int64_t flaps_max) {
    std::erase_if(raised_ns_, [&](std::int64_t at_ns) { return now_ns - at_ns >= window_ns; });
    raised_ns_.push_back(now_ns);
    if (static_cast<std::int64_t>(raised_ns_.size()) <= flaps_max) return;
    is_flapping_ = true;
    raised_ns_.erase(raised_ns_.begin());
}

void AlertMachine::step(const AlertConditions& conditions, std::optional<double> value, std::int64_t now_ns) {
    if (value && std::isfinite(*value))
        step_with(conditions, *value, now_ns);
    else
        step_without(conditions, now_ns);
}

void AlertMachine::step_with(const AlertConditions& conditions, double value, std::int64_t now_ns) {
    value_ = value;
    if (no_data_since_ns_) { // it has not been clear while there was no data
        no_data_since_ns_.reset();
        kept_at_ns_.fill(now_ns);
    }
    is_without_data_ = false;
    const std::int64_t hold_ns =
        flaps_.is_flapping()
            ? std::max(conditions.hold_ns, FlapCounter::calm_ns(conditions.flap_window_ns, conditions.flaps_max))
            : conditions.hold_ns;
    std::optional<AlertLevel> reached, kept;
    for (std::size_t index = 0; index < alert_levels_count; ++index) {
        std::optional<std::int64_t>& since_ns = beyond_since_ns_[index];
        const std::optional<double> threshold = conditions.thresholds[index];
        if (!threshold) {
            since_ns.reset();
            continue;
        }
        const auto level = static_cast<AlertLevel>(index);
        if (!is_beyond(conditions.comparison, value, *threshold))
            since_ns.reset();
        else if (now_ns - since_ns.emplace(since_ns.value_or(now_ns)) >= conditions.for_ns)
            reached = level;
        if (!level_ || level > *level_) continue;
        const bool is_kept_now = is_kept(conditions, value, *threshold);
        if (is_kept_now) kept_at_ns_[index] = now_ns;
        if (is_kept_now || now_ns - kept_at_ns_[index] < hold_ns) kept = level;
    }
    if (!is_raised_) {
        if (reached && may_rise(conditions, reached, now_ns)) rise(conditions, reached, now_ns);
    } else if (reached && (!level_ || *reached > *level_)) {
        set_level(*reached, now_ns);
    } else if (kept) {
        level_ = kept;
    } else if (level_ || now_ns - no_data_at_ns_ >= hold_ns) {
        resolve(now_ns);
    }
}

void AlertMachine::step_without(const AlertConditions& conditions, std::int64_t now_ns) {
    beyond_since_ns_.fill({});
    if (now_ns - no_data_since_ns_.emplace(no_data_since_ns_.value_or(now_ns)) < conditions.no_data_ns) return;
    if (conditions.no_data == AlertNoData::ignore) {
        if (is_raised_) resolve(now_ns);
        return;
    }
    if (!is_raised_ && !may_rise(conditions, {}, now_ns)) return;
    no_data_at_ns_ = now_ns;
    if (!is_raised_) rise(conditions, {}, now_ns);
    is_without_data_ = true;
}

void AlertMachine::begin_anew(std::int64_t now_ns) {
    beyond_since_ns_.fill({});
    kept_at_ns_.fill(now_ns);
    no_data_at_ns_ = now_ns;
    no_data_since_ns_.reset();
}

bool AlertMachine::may_rise(const AlertConditions& conditions, std::optional<AlertLevel> level,
                            std::int64_t now_ns) const {
    return !resolved_ns_ || now_ns - *resolved_ns_ >= conditions.cooldown_ns || level > worst_;
}

void AlertMachine::rise(const AlertConditions& conditions, std::optional<AlertLevel> level, std::int64_t now_ns) {
    is_raised_ = true;
    worst_.reset();
    flaps_.raised(now_ns, conditions.flap_window_ns, conditions.flaps_max);
    if (level) set_level(*level, now_ns);
}

void AlertMachine::set_level(AlertLevel level, std::int64_t now_ns) {
    level_ = level;
    worst_ = std::max(worst_, level_);
    kept_at_ns_.fill(now_ns);
}

void AlertMachine::resolve(std::int64_t now_ns) {
    is_raised_ = false;
    is_without_data_ = false;
    level_.reset();
    resolved_ns_ = now_ns;
    flaps_.resolved();
}

bool AlertMachine::is_forgettable(const AlertConditions& conditions, std::int64_t now_ns) const {
    return !is_raised_ && no_data_since_ns_ && now_ns - *no_data_since_ns_ >= conditions.no_data_ns &&
           (!resolved_ns_ || now_ns - *resolved_ns_ >= conditions.cooldown_ns) &&
           flaps_.is_forgotten(now_ns, conditions.flap_window_ns);
}

} // namespace pillion
