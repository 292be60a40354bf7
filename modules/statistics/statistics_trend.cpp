// The slope of Theil and Sen (Sen: Estimates of the Regression Coefficient Based on Kendall's Tau, J. Am. Stat. Assoc.
// 63, 1968) with his interval. The test of Mann and Kendall (Mann: Nonparametric Tests Against Trend, Econometrica 13,
// 1945) with the correction for ties; exact, by counting permutations by their inversions, for few values without
// ties. Correlation in time widens the variance as Hamed and Rao say (A Modified Mann-Kendall Trend Test for
// Autocorrelated Data, J. Hydrology 204, 1998), never narrows it.
#include "modules/statistics/statistics_parts.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pillion::statistics {

namespace {

constexpr std::size_t pairs_from_max = 1000;
constexpr std::size_t exact_max = 60;

struct Course {
    std::vector<double> times{};
    std::vector<double> values{};
};

Course thinned(Values times, Values values) {
    if (values.size() <= pairs_from_max) return {{times.begin(), times.end()}, {values.begin(), values.end()}};
    Course course;
    for (std::size_t index = 0; index < pairs_from_max; ++index) {
        const std::size_t from = index * values.size() / pairs_from_max;
        const std::size_t length = (index + 1) * values.size() / pairs_from_max - from;
        const auto part = [&](Values all) {
            const Values some = all.subspan(from, length);
            return middle({some.begin(), some.end()});
        };
        course.times.push_back(part(times));
        course.values.push_back(part(values));
    }
    return course;
}

// P(at most this many inversions) among all orders of `count` values.
double exact_tail(std::size_t count, std::size_t inversions) {
    std::vector<double> chance(inversions + 1, 0);
    chance[0] = 1;
    for (std::size_t placed = 2; placed <= count; ++placed) {
        std::vector<double> next(inversions + 1, 0);
        for (std::size_t all = 0; all <= inversions; ++all)
            for (std::size_t added = 0; added < placed && added <= all; ++added)
                next[all] += chance[all - added] / static_cast<double>(placed);
        chance = std::move(next);
    }
    return std::accumulate(chance.begin(), chance.end(), 0.0);
}

double variance_factor(Values rest) {
    const Ranks ranks = ranks_of(rest);
    const auto count = static_cast<double>(rest.size());
    const double center = (count + 1) / 2;
    double own = 0;
    for (const double rank : ranks.ranks) own += (rank - center) * (rank - center);
    if (own <= 0) return 1;
    double factor = 1;
    for (std::size_t lag = 1; lag <= rest.size() / 4; ++lag) {
        double product = 0;
        for (std::size_t index = lag; index < rest.size(); ++index)
            product += (ranks.ranks[index] - center) * (ranks.ranks[index - lag] - center);
        const double correlation = product / own;
        if (std::abs(correlation) < 1.96 / std::sqrt(count)) break; // what follows is chance
        const double left = count - static_cast<double>(lag);
        factor += 2 / (count * (count - 1) * (count - 2)) * left * (left - 1) * (left - 2) * correlation;
    }
    return std::max(factor, 1.0);
}

} // namespace

Result<Trend> trend(Values times, Values values, double confidence, Correlation correlation) {
    PILLION_TRY(check(values, trend_values_min, "a trend"));
    PILLION_TRY(check(times, trend_values_min, "a trend"));
    PILLION_TRY(check_between(confidence, 0, 1, "a confidence"));
    if (times.size() != values.size() || !std::ranges::is_sorted(times, std::less_equal<>{}))
        return fail(ErrorCode::invalid_params, "a trend needs a time for each value, and each later than the last");
    const Course course = thinned(times, values);
    const std::size_t count = course.values.size();
    std::vector<double> slopes;
    slopes.reserve(count * (count - 1) / 2);
    double rising = 0;
    double falling = 0;
    for (std::size_t later = 1; later < count; ++later)
        for (std::size_t earlier = 0; earlier < later; ++earlier) {
            const double rise = course.values[later] - course.values[earlier];
            rising += rise > 0;
            falling += rise < 0;
            slopes.push_back(rise / (course.times[later] - course.times[earlier]));
        }
    std::ranges::sort(slopes);
    Trend result{.slope = quantile_of_sorted(slopes, 0.5), .at = middle(course.times)};
    std::vector<double> rest;
    for (std::size_t index = 0; index < count; ++index)
        rest.push_back(course.values[index] - result.slope * (course.times[index] - result.at));
    result.level = middle(rest);
    result.noise = spread(rest, result.level);

    const auto n = static_cast<double>(count);
    const double s = rising - falling;
    // The sum of t(t-1)(2t+5) over groups of t equal values: twice t^3 - t, and three times their pairs.
    const double tie_term =
        2 * ranks_of(course.values).tie_term + 6 * (static_cast<double>(slopes.size()) - rising - falling);
    if (correlation == Correlation::corrected) result.correction = variance_factor(rest);
    const double variance = std::max(0.0, (n * (n - 1) * (2 * n + 5) - tie_term) / 18) * result.correction;
    const auto pairs = static_cast<double>(slopes.size());
    result.tau = s / pairs;
    if (variance > 0) {
        result.z = (s > 0 ? s - 1 : s < 0 ? s + 1 : 0) / std::sqrt(variance);
        result.probability = 2 * normal_tail(std::abs(result.z));
    }
    if (count <= exact_max && tie_term <= 0 && result.correction <= 1)
        result.probability =
            std::min(1.0, 2 * exact_tail(count, static_cast<std::size_t>(std::min(rising, falling) + 0.5)));
    const double reach = normal_quantile((1 - confidence) / 2) * std::sqrt(variance);
    const auto place = [&](double position) {
        return slopes[static_cast<std::size_t>(std::clamp(position, 0.0, pairs - 1))];
    };
    result.slope_interval = {place((pairs - reach) / 2), place((pairs + reach) / 2)};
    return result;
}

} // namespace pillion::statistics
