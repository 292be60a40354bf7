#include "modules/alerts/alerts.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pillion {

namespace {

constexpr std::int64_t day_ms = 86'400'000;

bool is_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
               c == '-';
    });
}

std::unexpected<Error> refuse(std::string_view name, const std::string& message, std::string_view member,
                              std::string hint = {}) {
    return fail(ErrorCode::invalid_params, "rule \"" + std::string(name.substr(0, 80)) + "\": " + message,
                "/" + std::string(member), std::move(hint));
}

Result<void> check_times(std::string_view name, const AlertRule& rule) {
    struct Time {
        std::string_view member;
        std::int64_t value, low, high;
    };
    for (const auto& [member, value, low, high] : {Time{"windowMs", rule.windowMs, 1000, 30 * day_ms},
                                                   {"forMs", rule.forMs, 0, day_ms},
                                                   {"holdMs", rule.holdMs, 0, day_ms},
                                                   {"cooldownMs", rule.cooldownMs, 0, day_ms},
                                                   {"flapsMax", rule.flapsMax, 1, 1000},
                                                   {"flapWindowMs", rule.flapWindowMs, 1000, day_ms},
                                                   {"noDataMs", rule.noDataMs, 1000, 30 * day_ms}})
        if (value < low || value > high)
            return refuse(name,
                          std::string(member) + " is from " + std::to_string(low) + " to " + std::to_string(high) +
                              ", not " + std::to_string(value),
                          member);
    return {};
}

Result<void> check_thresholds(std::string_view name, const AlertRule& rule) {
    using Member = std::pair<std::string_view, const std::optional<double>*>;
    const Member members[] = {{"info", &rule.info}, {"warning", &rule.warning}, {"critical", &rule.critical}};
    std::optional<double> before;
    for (const auto& [member, threshold] : members) {
        if (!*threshold) continue;
        if (!std::isfinite(**threshold)) return refuse(name, std::string(member) + " must be a finite number", member);
        const bool is_ordered =
            !before || (rule.comparison == AlertComparison::above ? *before <= **threshold : *before >= **threshold);
        if (!is_ordered)
            return refuse(name,
                          std::string(member) + " (" + alert_value_text(**threshold, "") +
                              ") is met before the level below it (" + alert_value_text(*before, "") + ")",
                          member,
                          rule.comparison == AlertComparison::above ? "thresholds rise from info to critical"
                                                                    : "thresholds fall from info to critical");
        before = **threshold;
    }
    if (!before && rule.comparison == AlertComparison::below)
        return refuse(name, "a comparison with `below` needs a threshold", "warning");
    if (rule.margin && !(std::isfinite(*rule.margin) && *rule.margin >= 0))
        return refuse(name, "margin must be a number from 0", "margin");
    return {};
}

} // namespace

std::string_view alert_level_name(AlertLevel level) {
    constexpr std::string_view names[] = {"info", "warning", "critical"};
    return names[static_cast<std::size_t>(level)];
}

Result<void> check_alert_rule(std::string_view name, const AlertRule& rule) {
    if (!is_name(name))
        return refuse(name, "a rule's name has 1 to 64 letters, digits, dots, dashes and underscores", "name");
    if (rule.metric.empty() || rule.metric.size() > 128)
        return refuse(name, "metric must name a metric in 1 to 128 characters", "metric", "metrics.list names them");
    PILLION_TRY(check_times(name, rule));
    PILLION_TRY(check_thresholds(name, rule));
    if (!(rule.percentile >= 0 && rule.percentile <= 100))
        return refuse(name, "percentile is from 0 to 100, not " + std::to_string(rule.percentile), "percentile");
    if (!(std::isfinite(rule.dividedByMin) && rule.dividedByMin >= 0))
        return refuse(name, "dividedByMin must be a number from 0", "dividedByMin");
    if (rule.aggregate == SeriesAggregate::none && !rule.by.empty())
        return refuse(name, "`by` says what an aggregate keeps apart; there is no aggregate", "by",
                      "groupBy makes one alert of several");
    if (rule.groupBy && rule.aggregate != SeriesAggregate::none)
        for (const std::string& label : *rule.groupBy)
            if (std::ranges::find(rule.by, label) == rule.by.end())
                return refuse(name, "groupBy names the label \"" + label + "\", which the aggregate does not keep",
                              "groupBy", "name it in `by` too");
    if (std::ranges::find(rule.inhibitedBy, name) != rule.inhibitedBy.end())
        return refuse(name, "a rule cannot inhibit itself", "inhibitedBy");
    return {};
}

AlertThresholds alert_thresholds(const AlertRule& rule, std::string_view unit) {
    constexpr double warning_share = 0.75, critical_share = 0.90;
    if (rule.info || rule.warning || rule.critical) return {rule.info, rule.warning, rule.critical};
    if (rule.comparison == AlertComparison::below) return {};
    if (unit == "1" || !rule.dividedBy.empty()) return {std::nullopt, warning_share, critical_share};
    if (unit == "%") return {std::nullopt, warning_share * 100, critical_share * 100};
    return {};
}

} // namespace pillion
