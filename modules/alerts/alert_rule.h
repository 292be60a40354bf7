// What an alert rule says: which metric, beyond which thresholds, for how long. Plain values with the wire's member
// names, described for the wire in alerts_rpc.h; the same struct stands in the configuration. Any thread.
#pragma once

#include "ipc/base/error.h"
#include "modules/series/series.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

enum class AlertLevel : std::uint8_t { info, warning, critical };
inline constexpr std::size_t alert_levels_count = 3;
std::string_view alert_level_name(AlertLevel level);

enum class AlertComparison : std::uint8_t { above, below };
enum class AlertNoData : std::uint8_t {
    ignore, // an alert that has had no data for the time resolves
    raise,  // having no data for the time is an alert
};

struct AlertRule {
    bool enabled = true;
    std::string metric{};
    SeriesLabels labels{};
    SeriesFunction function = SeriesFunction::avg; // of a counter: its rate
    double percentile = 95;
    std::int64_t windowMs = 60'000;
    SeriesAggregate aggregate = SeriesAggregate::none;
    std::vector<std::string> by{};
    std::vector<std::string> dividedBy{}; // metrics whose sum is the divisor
    double dividedByMin = 0;
    AlertComparison comparison = AlertComparison::above;
    std::optional<double> info{};
    std::optional<double> warning{};
    std::optional<double> critical{};
    std::optional<double> margin{};
    std::int64_t forMs = 60'000;
    std::int64_t holdMs = 60'000;
    std::int64_t cooldownMs = 300'000;
    std::int64_t flapsMax = 3;
    std::int64_t flapWindowMs = 3'600'000;
    AlertNoData noData = AlertNoData::ignore;
    std::int64_t noDataMs = 300'000;
    std::optional<std::vector<std::string>> groupBy{};
    std::vector<std::string> inhibitedBy{};      // rules, or keys of direct alerts
    std::vector<std::string> inhibitedByEqual{}; // labels that must be the same in both
    std::optional<std::string> title{};
    std::optional<std::string> advice{};

    friend bool operator==(const AlertRule&, const AlertRule&) = default;
};

// What bounds on single members cannot say; and the bounds, for rules that did not come over the wire.
Result<void> check_alert_rule(std::string_view name, const AlertRule& rule);

// The thresholds by level. Where the rule gives none: 75 % and 90 % for what is a share or percent, else nothing.
using AlertThresholds = std::array<std::optional<double>, alert_levels_count>;
AlertThresholds alert_thresholds(const AlertRule& rule, std::string_view unit);

// The rules there are without being declared, by name.
std::map<std::string, AlertRule> builtin_alert_rules();

} // namespace pillion
