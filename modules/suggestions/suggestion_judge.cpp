// A figure's readings are neither normal nor free of outliers, so ranks are compared: the probability is that of Mann
// and Whitney ("On a test of whether one of two random variables is stochastically larger than the other", Ann. Math.
// Stat. 18, 1947), the shift and its interval those of Hodges and Lehmann ("Estimates of location based on rank tests",
// Ann. Math. Stat. 34, 1963), both by modules/statistics. Significance alone is not enough: with many readings any
// difference is significant, so the shift must also reach the figure's minimum effect.
#include "modules/suggestions/suggestion_judge.h"

#include "modules/statistics/statistics.h"
#include "modules/suggestions/suggestion_text.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace pillion {

namespace {

constexpr double by_chance_max = 0.05;

SuggestionFigure figure_of(std::span<const double> values) {
    SuggestionFigure figure{.samples = static_cast<std::int64_t>(values.size())};
    if (values.empty()) return figure;
    figure.median = statistics::median(values).value_or(0);
    const auto interval = statistics::quantile_interval(values, 0.5);
    figure.low = interval ? interval->interval.low : std::ranges::min(values);
    figure.high = interval ? interval->interval.high : std::ranges::max(values);
    return figure;
}

using Points = std::map<std::int64_t, double>;

// Of all series that match, added up by step.
Result<Points> read_points(Series& series, SeriesQuery query, std::int64_t from_ms, std::int64_t to_ms,
                           std::int64_t step_ms) {
    query.from_ms = from_ms;
    query.to_ms = to_ms;
    query.step_ms = step_ms;
    const auto answer = series.query(query);
    Points points;
    if (!answer) {
        if (answer.error().code == ErrorCode::not_found) return points; // nothing of that name was recorded yet
        return std::unexpected(answer.error());
    }
    for (const SeriesLine& line : answer->lines)
        for (const SeriesPoint& point : line.points)
            if (point.at_ms >= from_ms && point.at_ms + step_ms <= to_ms) points[point.at_ms] += point.value;
    return points;
}

} // namespace

SuggestionJudgement judge(const SuggestionMeasure& measure, std::span<const double> before,
                          std::span<const double> after) {
    SuggestionJudgement made;
    SuggestionComparison& comparison = made.comparison;
    comparison = {.figure = measure.figure,
                  .unit = measure.unit,
                  .better = measure.better,
                  .before = figure_of(before),
                  .after = figure_of(after)};
    comparison.effectMin = std::max(measure.effect_min, measure.effect_share_min * std::abs(comparison.before.median));
    if (comparison.before.samples < Suggestions::samples_min || comparison.after.samples < Suggestions::samples_min)
        return made;
    const auto shift = statistics::hodges_lehmann(before, after);
    const auto test = statistics::mann_whitney(before, after);
    if (!shift || !test) return made;
    comparison.shift = shift->value;
    comparison.shiftLow = shift->interval.low;
    comparison.shiftHigh = shift->interval.high;
    comparison.probability = test->probability;
    made.effect = SuggestionEffect::none;
    if (test->probability >= by_chance_max || shift->value == 0 || std::abs(shift->value) < comparison.effectMin)
        return made;
    const bool rose = shift->value > 0;
    made.effect =
        rose == (measure.better == SuggestionBetter::higher) ? SuggestionEffect::better : SuggestionEffect::worse;
    return made;
}

std::string describe(const SuggestionJudgement& judgement) {
    using suggestion_text::figure;
    const SuggestionComparison& comparison = judgement.comparison;
    if (judgement.effect == SuggestionEffect::unknown)
        return "too little was measured of " + comparison.figure + ": " + std::to_string(comparison.before.samples) +
               " readings before and " + std::to_string(comparison.after.samples) + " after, of the " +
               std::to_string(Suggestions::samples_min) + " that are needed";
    const std::string figures = comparison.figure + " was " + figure(comparison.before.median, comparison.unit) +
                                " before and " + figure(comparison.after.median, comparison.unit) + " after";
    switch (judgement.effect) {
    case SuggestionEffect::better:
        return figures + ", which is better";
    case SuggestionEffect::worse:
        return figures + ", which is worse";
    default:
        return figures + ", which is no difference that counts (from " + figure(comparison.effectMin, comparison.unit) +
               " on)";
    }
}

Result<std::vector<double>> read_measure(Series& series, const SuggestionMeasure& measure, std::int64_t from_ms,
                                         std::int64_t to_ms, std::int64_t step_ms) {
    const Points part = PILLION_TRY(read_points(series, measure.query, from_ms, to_ms, step_ms));
    std::vector<double> values;
    if (measure.whole.empty()) {
        for (const auto& [at_ms, value] : part) values.push_back(value);
        return values;
    }
    Points whole;
    for (const SeriesQuery& query : measure.whole)
        for (const auto& [at_ms, value] : PILLION_TRY(read_points(series, query, from_ms, to_ms, step_ms)))
            whole[at_ms] += value;
    for (const auto& [at_ms, value] : whole) {
        if (value <= 0) continue; // nothing happened in that step
        const auto found = part.find(at_ms);
        values.push_back((found == part.end() ? 0 : found->second) / value);
    }
    return values;
}

} // namespace pillion
