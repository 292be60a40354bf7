// Anomalies and changes of level on courses shaped after what an app's metrics do: counts, shares, latencies by their
// 95th percentile, rates with a day's rhythm, values that mostly stand still, bursts that come in clusters.
#include "modules/analysis/analysis.h"
#include "modules/statistics/statistics.h"
#include "rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

namespace pillion::bench {

namespace {

enum class Metric {
    counts,       // Poisson, few
    utilization,  // a share between 0 and 1, beta distributed
    latency,      // log-normal, correlated
    student,      // t with 3 degrees of freedom
    gamma_noise,  // skewed
    calm,         // stands still but for the last digit
    quantised,    // five values
    daily,        // a day's rhythm over four days of 15 min
    uneven,       // values missing
    volatile_time // noise whose own size drifts
};
constexpr std::array metric_names = {
    "few counts", "utilization",  "correlated latency", "student t, 3 degrees of freedom", "gamma", "nearly still",
    "quantised",  "daily rhythm", "values missing",     "noise of drifting size"};

struct Series {
    std::vector<SeriesPoint> points{};
    double unit = 1; // an anomaly is ten of these high, over what its kind reaches by itself
};

double value_of(Metric metric, std::size_t index, double& state, std::mt19937_64& random) {
    const auto normal = [&] { return std::normal_distribution<double>()(random); };
    const auto gamma = [&](double shape) { return std::gamma_distribution<double>(shape, 1)(random); };
    switch (metric) {
    case Metric::counts:
        return std::poisson_distribution<int>(6)(random);
    case Metric::utilization: {
        const double part = gamma(3);
        return part / (part + gamma(12));
    }
    case Metric::latency:
        state = 0.7 * state + 0.15 * normal();
        return 20 * std::exp(state);
    case Metric::student:
        return 100 + 5 * std::student_t_distribution<double>(3)(random);
    case Metric::gamma_noise:
        return 10 * gamma(2);
    case Metric::calm:
        return 512 + (normal() > 2 ? 1 : 0);
    case Metric::quantised:
        return std::clamp(std::round(3 + normal()), 1.0, 5.0);
    case Metric::daily:
        return 200 + 120 * std::sin(static_cast<double>(index) * 2 * 3.141592653589793 / 96) + 10 * normal();
    case Metric::uneven:
        return 50 + 4 * normal();
    case Metric::volatile_time:
        state = std::clamp(0.99 * state + 0.05 * normal(), -1.0, 1.0);
        return 100 + 4 * std::exp(state) * normal();
    }
    return 0;
}

Series series_of(Metric metric, std::mt19937_64& random) {
    constexpr std::array units = {2.5, 0.1, 6.0, 25.0, 25.0, 4.0, 1.0, 15.0, 4.0, 10.0};
    Series series{.unit = units[static_cast<std::size_t>(metric)]};
    const std::int64_t step_ms = metric == Metric::daily ? 900'000 : 60'000;
    double state = 0;
    for (std::size_t index = 0; index < 384; ++index) {
        const double value = value_of(metric, index, state, random);
        if (metric == Metric::uneven && std::uniform_real_distribution<double>()(random) < 0.2) continue;
        series.points.push_back({1'700'000'000'000 + static_cast<std::int64_t>(index) * step_ms, value});
    }
    return series;
}

std::vector<std::size_t> anomalies_in(const std::vector<SeriesPoint>& points) {
    std::vector<std::size_t> found;
    for (const AnomalyPoint& point : find_anomalies(points).value_or(std::vector<AnomalyPoint>{}))
        found.push_back(point.index);
    return found;
}

} // namespace

void measure_app_anomalies(const Effort& effort, Report& report) {
    double all_alarms = 0;
    double all_weeks = 0;
    for (std::size_t kind = 0; kind < metric_names.size(); ++kind) {
        double alarms = 0;
        double weeks = 0;
        double truths = 0;
        double hits = 0;
        double changed = 0;
        for (int trial = 0; trial < effort.series; ++trial) {
            std::mt19937_64 random(effort.seed + 8'000'000 + 10'000 * kind + static_cast<unsigned>(trial));
            Series series = series_of(Metric(kind), random);
            alarms += static_cast<double>(anomalies_in(series.points).size());
            weeks += static_cast<double>(series.points.back().at_ms - series.points.front().at_ms) / (7 * 86'400'000.0);
            std::vector<double> values;
            for (const SeriesPoint& point : series.points) values.push_back(point.value);
            const auto changes = statistics::change_points(values, {.minimum_effect = 0.1});
            changed += changes && !changes->empty();
            const std::array<std::size_t, 3> at{40 + random() % 20, 130 + random() % 40, 240 + random() % 40};
            for (const std::size_t index : at) series.points[index].value += 15 * series.unit;
            const auto found = anomalies_in(series.points);
            truths += static_cast<double>(at.size());
            for (const std::size_t index : at) hits += std::ranges::find(found, index) != found.end();
        }
        all_alarms += alarms;
        all_weeks += weeks;
        const std::string name = metric_names[kind];
        const std::string key = "app_anomaly_" + std::to_string(kind);
        report.add({.key = key + "_false",
                    .title = "false anomalies a week: " + name,
                    .unit = "",
                    .reference = "",
                    .goal = {.figure_max = 1},
                    .figures = {{"pillion", {alarms / weeks}}}});
        report.add({.key = key + "_recall",
                    .title = "anomalies found: " + name,
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_min = 90},
                    .figures = {{"pillion", {100 * hits / truths}}}});
        if (Metric(kind) == Metric::daily) continue; // its rhythm is a change of level
        report.add({.key = key + "_change",
                    .title = "series without a change that show one: " + name,
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_max = 5},
                    .figures = {{"pillion", {100 * changed / effort.series}}}});
    }
    report.add({.key = "app_anomaly_false",
                .title = "false anomalies a week: all of these",
                .unit = "",
                .reference = "",
                .goal = {.figure_max = 1},
                .figures = {{"pillion", {all_alarms / all_weeks}}}});
}

} // namespace pillion::bench
