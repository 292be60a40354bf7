// Regressions between two sets of runs, changes of level in a history, anomalies in a course. Each beside what one
// would write in an afternoon: the test of Welch, a running mean, three standard deviations.
#include "modules/analysis/analysis.h"
#include "modules/statistics/statistics.h"
#include "rows.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>

namespace pillion::bench {

namespace {

using Draw = std::function<double(std::mt19937_64&)>;

struct Latency {
    std::string name;
    Draw draw;
};

// Latencies around 100: quiet, skewed, with slow runs now and then, with two modes.
std::vector<Latency> latencies() {
    const auto normal = [](std::mt19937_64& random) { return std::normal_distribution<double>()(random); };
    const auto uniform = [](std::mt19937_64& random) { return std::uniform_real_distribution<double>()(random); };
    return {
        {"normal, 8 %", [=](auto& random) { return 100 + 8 * normal(random); }},
        {"log-normal, 10 %", [=](auto& random) { return 100 * std::exp(0.1 * normal(random)); }},
        {"Pareto tail from a floor", [=](auto& random) { return 95 + 5 * std::pow(1 - uniform(random), -1 / 1.5); }},
        {"one in ten up to 5 times as slow",
         [=](auto& random) {
             const double value = 100 * std::exp(0.06 * normal(random));
             return uniform(random) < 0.1 ? value * (1 + 4 * uniform(random)) : value;
         }},
        {"student t, 2 degrees of freedom",
         [](auto& random) { return 100 + 4 * std::student_t_distribution<double>(2)(random); }},
    };
}

std::vector<double> draws(const Draw& draw, std::size_t count, double factor, std::mt19937_64& random) {
    std::vector<double> values(count);
    for (double& value : values) value = factor * draw(random);
    return values;
}

// Welch's test at 5 %, with the normal quantile that many runs allow.
bool welch_says_slower(const std::vector<double>& before, const std::vector<double>& after) {
    const auto moments = [](const std::vector<double>& values) {
        double mean = 0;
        for (const double value : values) mean += value / static_cast<double>(values.size());
        double square = 0;
        for (const double value : values) square += (value - mean) * (value - mean);
        return std::pair(mean, square / static_cast<double>((values.size() - 1) * values.size()));
    };
    const auto [mean_before, error_before] = moments(before);
    const auto [mean_after, error_after] = moments(after);
    return (mean_after - mean_before) / std::sqrt(error_before + error_after) > 2.0;
}

} // namespace

void measure_regressions(const Effort& effort, Report& report) {
    for (std::size_t kind = 0; const Latency& latency : latencies()) {
        double found = 0;
        double found_welch = 0;
        double wrong = 0;
        double wrong_welch = 0;
        for (int trial = 0; trial < effort.comparisons; ++trial) {
            std::mt19937_64 random(1000 + static_cast<unsigned>(trial));
            const auto before = draws(latency.draw, 30, 1, random);
            const auto same = draws(latency.draw, 30, 1, random);
            const auto slower = draws(latency.draw, 30, 1.1, random);
            found += statistics::compare(before, slower)->change == statistics::Change::higher;
            const auto none = statistics::compare(before, same)->change;
            wrong += none == statistics::Change::higher;
            found_welch += welch_says_slower(before, slower);
            wrong_welch += welch_says_slower(before, same);
        }
        const std::string key = "regression_" + std::to_string(kind++);
        report.add({.key = key + "_found",
                    .title = "10 % slower found with 30 runs: " + latency.name,
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_min = 95},
                    .figures = {{"pillion", {100 * found / effort.comparisons}},
                                {"Welch's t", {100 * found_welch / effort.comparisons}}}});
        report.add({.key = key + "_false",
                    .title = "a regression seen where there is none: " + latency.name,
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_max = 5},
                    .figures = {{"pillion", {100 * wrong / effort.comparisons}},
                                {"Welch's t", {100 * wrong_welch / effort.comparisons}}}});
    }
}

namespace {

// Values around 100 of which each keeps `memory` of the one before, with heavy tails.
std::vector<double> noisy(std::size_t count, double memory, double deviation, std::mt19937_64& random) {
    std::student_t_distribution<double> draw(4);
    std::vector<double> values(count);
    double rest = 0;
    for (double& value : values) {
        rest = memory * rest + std::sqrt(1 - memory * memory) * draw(random) / std::sqrt(2.0);
        value = 100 + deviation * rest;
    }
    return values;
}

struct Quality {
    double truths = 0;
    double hits = 0;
    double findings = 0;
    double right = 0;

    // Each finding within `reach` of a truth is right, each truth with a finding is hit.
    void count(const std::vector<std::size_t>& truth, const std::vector<std::size_t>& found, std::size_t reach) {
        const auto near = [&](std::size_t a, std::size_t b) { return a > b ? a - b <= reach : b - a <= reach; };
        truths += static_cast<double>(truth.size());
        findings += static_cast<double>(found.size());
        for (const std::size_t each : truth)
            hits += std::ranges::any_of(found, [&](std::size_t other) { return near(each, other); });
        for (const std::size_t each : found)
            right += std::ranges::any_of(truth, [&](std::size_t other) { return near(each, other); });
    }
    double recall() const { return 100 * hits / std::max(truths, 1.0); }
    double precision() const { return findings > 0 ? 100 * right / findings : 100; }
};

std::vector<std::size_t> changes_in(const std::vector<double>& values) {
    std::vector<std::size_t> found;
    for (const auto& change : statistics::change_points(values).value_or(std::vector<statistics::ChangePoint>{}))
        found.push_back(change.index);
    return found;
}

} // namespace

void measure_changes(const Effort& effort, Report& report) {
    constexpr double memories[] = {0, 0.5, 0.8};
    for (std::size_t kind = 0; kind < std::size(memories); ++kind) {
        double wrong = 0;
        for (int trial = 0; trial < effort.series; ++trial) {
            std::mt19937_64 random(2000 + static_cast<unsigned>(trial));
            wrong += !changes_in(
                          noisy(std::array<std::size_t, 4>{30, 100, 300, 1000}[trial % 4], memories[kind], 20, random))
                          .empty();
        }
        report.add({.key = "change_false_" + std::to_string(kind),
                    .title = "series without a change that show one, correlation " +
                             std::array<std::string, 3>{"0", "0.5", "0.8"}[kind],
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_max = kind == 0 ? 2.0 : 5.0},
                    .figures = {{"pillion", {100 * wrong / effort.series}}}});
    }
    Quality quality;
    Quality small;
    for (int trial = 0; trial < effort.series; ++trial) {
        std::mt19937_64 random(3000 + static_cast<unsigned>(trial));
        std::vector<double> values = noisy(300, 0, 5, random);
        for (std::size_t index = 80; index < 300; ++index) values[index] += index < 140 ? 10 : index < 220 ? -5 : 8;
        quality.count({80, 140, 220}, changes_in(values), 5);
        values = noisy(40, 0, 3, random); // a history of nightly runs, and a regression by a tenth
        for (std::size_t index = 25; index < 40; ++index) values[index] *= 1.1;
        small.count({25}, changes_in(values), 3);
    }
    report.add({.key = "change_recall",
                .title = "changes of level found (two to three deviations)",
                .unit = "%",
                .reference = "",
                .goal = {.figure_min = 95},
                .figures = {{"pillion", {quality.recall()}}}});
    report.add({.key = "change_precision",
                .title = "changes reported that are ones",
                .unit = "%",
                .reference = "",
                .goal = {.figure_min = 95},
                .figures = {{"pillion", {quality.precision()}}}});
    report.add({.key = "history_recall",
                .title = "a tenth slower from the 26th of 40 runs on, found",
                .unit = "%",
                .reference = "",
                .goal = {.figure_min = 90},
                .figures = {{"pillion", {small.recall()}}}});
    report.add({.key = "history_precision",
                .title = "changes reported in those runs that are ones",
                .unit = "%",
                .reference = "",
                .goal = {.figure_min = 90},
                .figures = {{"pillion", {small.precision()}}}});
}

namespace {

enum class Kind { normal, heavy, correlated, skewed, season, trend };
constexpr Kind kinds[] = {Kind::normal, Kind::heavy, Kind::correlated, Kind::skewed, Kind::season, Kind::trend};
constexpr std::array kind_names = {"normal", "heavy tails", "correlated", "skewed", "hourly rhythm", "trend"};

// Six hours of minutes, or of ten seconds for an hour: 360 points; of the season 4 hours of 30 s.
std::vector<SeriesPoint> course_of(Kind kind, std::mt19937_64& random, double& deviation) {
    const std::size_t count = kind == Kind::season ? 480 : 360;
    const std::int64_t step_ms = kind == Kind::season ? 30'000 : 60'000;
    std::normal_distribution<double> normal;
    std::student_t_distribution<double> student(3);
    std::vector<SeriesPoint> points;
    double rest = 0;
    deviation = 5;
    for (std::size_t index = 0; index < count; ++index) {
        double value = 100 + 5 * normal(random);
        if (kind == Kind::heavy) value = 100 + 5 * student(random);
        if (kind == Kind::correlated) value = 100 + (rest = 0.8 * rest + 3 * normal(random));
        if (kind == Kind::skewed) value = 100 * std::exp(0.2 * normal(random));
        if (kind == Kind::season) value += 40 * std::sin(static_cast<double>(index) * 2 * 3.141592653589793 / 120);
        if (kind == Kind::trend) value += 0.2 * static_cast<double>(index);
        points.push_back({1'700'000'000'000 + static_cast<std::int64_t>(index) * step_ms, value});
    }
    if (kind == Kind::skewed) deviation = 20;
    // Fifteen deviations come by themselves in such a series; these are five times as far out.
    if (kind == Kind::heavy) deviation = 25;
    return points;
}

std::vector<std::size_t> anomalies_in(const std::vector<SeriesPoint>& points) {
    std::vector<std::size_t> found;
    for (const AnomalyPoint& point : find_anomalies(points).value_or(std::vector<AnomalyPoint>{}))
        found.push_back(point.index);
    return found;
}

std::vector<std::size_t> by_three_deviations(const std::vector<SeriesPoint>& points) {
    double mean = 0;
    double square = 0;
    for (const SeriesPoint& point : points) mean += point.value / static_cast<double>(points.size());
    for (const SeriesPoint& point : points) square += (point.value - mean) * (point.value - mean);
    const double deviation = std::sqrt(square / static_cast<double>(points.size()));
    std::vector<std::size_t> found;
    for (std::size_t index = 0; index < points.size(); ++index)
        if (std::abs(points[index].value - mean) > 3 * deviation) found.push_back(index);
    return found;
}

} // namespace

void measure_anomalies(const Effort& effort, Report& report) {
    for (const Kind kind : kinds) {
        const std::string name = kind_names[static_cast<std::size_t>(kind)];
        double alarms = 0;
        double alarms_plain = 0;
        double weeks = 0;
        Quality quality;
        Quality near;
        Quality plain;
        for (int trial = 0; trial < effort.series; ++trial) {
            std::mt19937_64 random(4000 + static_cast<unsigned>(trial));
            double deviation = 0;
            std::vector<SeriesPoint> points = course_of(kind, random, deviation);
            alarms += static_cast<double>(anomalies_in(points).size());
            alarms_plain += static_cast<double>(by_three_deviations(points).size());
            weeks += static_cast<double>(points.back().at_ms - points.front().at_ms) / (7 * 86'400'000.0);
            const std::vector<std::size_t> truth{57, 150, 151, 290};
            std::vector<SeriesPoint> lower = points;
            for (const std::size_t index : truth) lower[index].value += 10 * deviation;
            near.count(truth, anomalies_in(lower), 0);
            for (const std::size_t index : truth) points[index].value += 15 * deviation;
            quality.count(truth, anomalies_in(points), 0);
            plain.count(truth, by_three_deviations(points), 0);
        }
        const std::string key = "anomaly_" + std::to_string(static_cast<int>(kind));
        report.add({.key = key + "_false",
                    .title = "false anomalies a week of a point a minute: " + name,
                    .unit = "",
                    .reference = "",
                    .goal = {.figure_max = 1},
                    .figures = {{"pillion", {alarms / weeks}}, {"3 sigma", {alarms_plain / weeks}}}});
        report.add({.key = key + "_recall",
                    .title = (kind == Kind::heavy ? "anomalies of 75 deviations found: "
                                                  : "anomalies of 15 deviations found: ") +
                             name,
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_min = 90},
                    .figures = {{"pillion", {quality.recall()}}, {"3 sigma", {plain.recall()}}}});
        report.add({.key = key + "_near",
                    .title = (kind == Kind::heavy ? "of 50: " : "of 10: ") + name,
                    .unit = "%",
                    .reference = "",
                    .figures = {{"pillion", {near.recall()}}}});
        report.add({.key = key + "_precision",
                    .title = "anomalies reported that are ones: " + name,
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_min = 95},
                    .figures = {{"pillion", {quality.precision()}}, {"3 sigma", {plain.precision()}}}});
    }
}

} // namespace pillion::bench
