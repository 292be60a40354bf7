// Have starts become slower? The last five are set against all before them (five at least) by the test of Mann and
// Whitney, which asks nothing of the distribution, and the size of the change is Hodges and Lehmann's estimate. Three
// things must hold for a regression: p < 0.01, growth of 10 % or more, and of a millisecond or more. Only starts with
// the same components, dependencies, lanes, cached results and outcomes are compared in their total.
//
// Of components, uncached runs are compared, over all starts. Looking at many invites chance, so p < 0.01 is divided by
// their number (Bonferroni), unless the total has regressed and the question is merely which one it was.
#include "modules/startup/startup_comparison.h"

#include "modules/startup/startup_statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <span>

namespace pillion {

namespace {

constexpr std::size_t recent_starts = 5;
constexpr std::size_t baseline_starts_min = 5;
constexpr double probability_max = 0.01;
constexpr double growth_percent_min = 10;
constexpr double growth_ms_min = 1;
constexpr double outlier_z = 3.5; // Iglewicz and Hoaglin's
constexpr std::size_t grown_max = 10;

// `series_ms` is in order of time. Absent while there are too few to tell.
std::optional<StartupTrend> trend_of(std::string name, std::span<const double> series_ms, double probability_limit) {
    if (series_ms.size() < recent_starts + baseline_starts_min) return std::nullopt;
    const auto baseline = series_ms.first(series_ms.size() - recent_starts);
    const auto recent = series_ms.last(recent_starts);
    StartupTrend trend{.name = std::move(name),
                       .recent = static_cast<std::int64_t>(recent.size()),
                       .baseline = static_cast<std::int64_t>(baseline.size()),
                       .recentMs = median_of({recent.begin(), recent.end()}),
                       .baselineMs = median_of({baseline.begin(), baseline.end()})};
    const double shift_ms = shift_between(recent, baseline);
    if (trend.baselineMs > 0) trend.growthPercent = 100 * shift_ms / trend.baselineMs;
    trend.probability = rank_test(recent, baseline);
    trend.regressed = trend.probability < probability_limit && shift_ms >= growth_ms_min &&
                      shift_ms >= trend.baselineMs * growth_percent_min / 100;
    return trend;
}

std::vector<StartupTrend> grown_components(const std::vector<const StartupRecord*>& starts, bool has_total_regressed) {
    std::map<std::string_view, std::vector<double>> series;
    for (const StartupRecord* start : starts)
        for (const StartupSample& sample : start->samples)
            if (!sample.was_cached) series[sample.name].push_back(static_cast<double>(sample.own_ns) / 1e6);
    // Only what runs now can have grown.
    std::erase_if(series, [&](const auto& entry) {
        return std::ranges::find(starts.back()->samples, entry.first, &StartupSample::name) ==
               starts.back()->samples.end();
    });
    const double limit = has_total_regressed
                             ? probability_max
                             : probability_max / static_cast<double>(std::max<std::size_t>(series.size(), 1));
    std::vector<StartupTrend> grown;
    for (const auto& [name, values] : series) {
        const auto trend = trend_of(std::string(name), values, limit);
        if (trend && trend->regressed) grown.push_back(*trend);
    }
    std::ranges::sort(grown, std::ranges::greater{},
                      [](const StartupTrend& trend) { return trend.recentMs - trend.baselineMs; });
    if (grown.size() > grown_max) grown.resize(grown_max);
    return grown;
}

std::string in_words(const char* format, auto... values) {
    char text[256];
    std::snprintf(text, sizeof text, format, values...);
    return text;
}

std::string verdict_of(const StartupComparison& comparison, double this_ms) {
    std::string text;
    const auto& total = comparison.total;
    if (!total && comparison.comparable == 0)
        return "this start cannot be compared with others: it is not done, or failed";
    if (!total) {
        text = in_words("too few comparable starts to tell a trend: %lld of %zu",
                        static_cast<long long>(comparison.comparable), recent_starts + baseline_starts_min);
    } else if (comparison.regressed) {
        text = in_words(
            "starts have become slower: %.0f ms in the last %lld, %.0f ms in the %lld before (%+.0f %%, p = %.3f)",
            total->recentMs, static_cast<long long>(total->recent), total->baselineMs,
            static_cast<long long>(total->baseline), total->growthPercent, total->probability);
    } else {
        text = in_words("as before: %.0f ms in the last %lld, %.0f ms in the %lld before (%+.0f %%)", total->recentMs,
                        static_cast<long long>(total->recent), total->baselineMs,
                        static_cast<long long>(total->baseline), total->growthPercent);
    }
    if (!comparison.grown.empty()) {
        const StartupTrend& most = comparison.grown.front();
        text += "; \"" + most.name + in_words("\" grew most: %.0f to %.0f ms", most.baselineMs, most.recentMs);
    }
    if (comparison.outlier && comparison.medianMs)
        text += in_words("; this start stands out: %.0f ms where %.0f ms are usual", this_ms, *comparison.medianMs);
    return text;
}

} // namespace

StartupComparison compare_startup(const StartupTimeline& timeline, const std::vector<StartupRecord>& earlier) {
    const StartupRecord current = startup_record(timeline);
    StartupComparison comparison;
    std::vector<const StartupRecord*> starts;
    for (const StartupRecord& record : earlier)
        if (record.wall_ms != current.wall_ms || record.total_ns != current.total_ns) starts.push_back(&record);
    if (timeline.is_done()) starts.push_back(&current);
    comparison.starts = static_cast<std::int64_t>(starts.size());

    const double this_ms = static_cast<double>(current.total_ns) / 1e6;
    std::vector<double> totals_ms;
    if (current.fingerprint != 0)
        for (const StartupRecord* start : starts)
            if (start->fingerprint == current.fingerprint)
                totals_ms.push_back(static_cast<double>(start->total_ns) / 1e6);
    comparison.comparable = static_cast<std::int64_t>(totals_ms.size());
    if (totals_ms.size() > 1) {
        comparison.bestMs = std::ranges::min(totals_ms);
        std::vector<double> others(totals_ms.begin(), totals_ms.end() - 1);
        comparison.medianMs = median_of(others);
        if (others.size() >= baseline_starts_min) {
            comparison.robustZ = robust_z(this_ms, others);
            comparison.outlier =
                *comparison.robustZ > outlier_z && this_ms > *comparison.medianMs * (1 + growth_percent_min / 100);
        }
    }
    comparison.total = trend_of({}, totals_ms, probability_max);
    comparison.regressed = comparison.total && comparison.total->regressed;
    if (timeline.is_done() && !starts.empty()) comparison.grown = grown_components(starts, comparison.regressed);
    comparison.verdict = verdict_of(comparison, this_ms);
    return comparison;
}

} // namespace pillion
