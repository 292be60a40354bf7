// Anomalies by consensus: a value counts when at least two of three views of it are out of place,
//   - its distance from the median of its neighbours on both sides (Hampel, 1974),
//   - what is left of it without level and season where there is a season, else its distance from the median of all,
//   - its distance from the median of what came shortly before.
// How far is too far is not a number of deviations, which heavy tails would pass every day: each view's limit is where
// a generalised Pareto tail, fitted to the view's own large values, is exceeded once in some hundred thousand (Siffer
// et al.: Anomaly Detection in Streams with Extreme Value Theory, KDD 2017). The tail is fitted by quantiles, so that
// the anomalies themselves do not move it.
#include "modules/analysis/analysis.h"
#include "modules/statistics/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace pillion {

namespace {

constexpr double chance = 5e-8;
constexpr double shape_min = -0.03; // of tails that some hundred values let look lighter still
constexpr double shape_max = 0.6;
constexpr double grains_min = 2.5; // by which values that are read in steps are out of place
constexpr std::size_t neighbours = 15;
constexpr double strength_min = 0.6; // of a season that is taken into account
constexpr std::int64_t day_ms = 86'400'000;
constexpr std::int64_t hour_ms = 3'600'000;

using Numbers = std::vector<double>;

double median(std::span<const double> values) { return statistics::median(values).value_or(0); }

// The shape of the tail by three quantiles of its excesses; heavier tails than the largest are taken for that.
double shape_of(double ratio) {
    double low = -0.3;
    double high = shape_max;
    for (int step = 0; step < 40; ++step) {
        const double half = (low + high) / 2;
        ((std::pow(15, half) - 1) / (std::pow(3, half) - 1) < ratio ? low : high) = half;
    }
    return low;
}

// What is exceeded with the chance above by distances from the center, without their sign. Where an exponential tail
// would end, at most a fiftieth of the values is left out first: they may be what is looked for.
double limit_of(Numbers distances) {
    std::ranges::sort(distances);
    const auto at = [&](double share) { return statistics::quantile(distances, share).value_or(0); };
    const auto near_of = [&] { return std::max(at(0.9) - at(0.7), 0.1 * at(0.7)); };
    const double end = at(0.7) + near_of() / std::log(3) * std::log(0.3 / chance);
    for (std::size_t left_out = distances.size() / 50; left_out > 0 && distances.back() > end; --left_out)
        distances.pop_back();
    const double from = at(0.7);
    const double near = near_of();
    const double shape = std::max(shape_of((at(0.98) - from) / near), shape_min);
    const double scale = near * shape / (std::pow(3, shape) - 1);
    return from + scale / shape * (std::pow(chance / 0.3, -shape) - 1);
}

// The step between values that are read in steps, 0 where they are not. Such values lie on top of each other, and their
// quantiles would show tails that there are none of. What was read a few times only says nothing of the steps between
// the others.
double grain_of(Numbers values) {
    std::ranges::sort(values);
    const std::size_t often = values.size() / 100;
    std::size_t distinct = 0;
    double least = 0;
    const double* before = nullptr;
    bool are_whole = true;
    for (std::size_t first = 0; first < values.size();) {
        std::size_t next = first;
        while (next < values.size() && values[next] == values[first]) ++next;
        ++distinct;
        are_whole = are_whole && values[first] == std::round(values[first]);
        if (next - first > often) {
            if (before != nullptr)
                least = least > 0 ? std::min(least, values[first] - *before) : values[first] - *before;
            before = &values[first];
        }
        first = next;
    }
    if (distinct * 4 >= values.size()) return 0;
    return are_whole ? std::max(least, 1.0) : least;
}

// As far as half a step to either side, evenly; equal values give equal ones.
double dither(std::size_t index, double grain) {
    const double place = static_cast<double>(index) * std::numbers::phi;
    return grain * (place - std::floor(place) - 0.5);
}

struct View {
    Numbers center{}; // what was expected
    double below = 0; // how far a value may lie on either side
    double above = 0;
};

// Both sides have a spread of their own, and share the shape of the tail, which few values tell.
View view_of(std::span<const double> values, Numbers center, double least, double grain) {
    Numbers rest;
    for (std::size_t index = 0; index < values.size(); ++index)
        rest.push_back(values[index] - center[index] + dither(index, grain));
    const auto at = [&](double share) { return statistics::quantile(rest, share).value_or(0); };
    const double middle = at(0.5);
    Numbers moves;
    for (const double each : rest) moves.push_back(std::abs(each - middle));
    // A side on which values hardly ever are has no spread of its own.
    const double still = std::max({least, grains_min * grain, statistics::quantile(moves, 0.9).value_or(0) / 4});
    const double above = std::max(at(0.9) - middle, still);
    const double below = std::max(middle - at(0.1), still);
    Numbers distances;
    for (const double each : rest)
        distances.push_back(each > middle ? (each - middle) / above : (middle - each) / below);
    const double limit = std::max(limit_of(std::move(distances)), 1.0);
    return {.center = std::move(center), .below = limit * below - middle, .above = limit * above + middle};
}

// The median of neighbours, without the value itself: on both sides, or before it only.
Numbers medians_around(std::span<const double> values, bool only_before) {
    Numbers medians;
    Numbers some;
    for (std::size_t index = 0; index < values.size(); ++index) {
        std::size_t from = index - std::min(index, neighbours);
        const std::size_t to = only_before ? index : std::min(index + neighbours + 1, values.size());
        if (only_before && index < neighbours) from = 0;
        some.clear();
        for (std::size_t other = from; other < std::max(to, neighbours); ++other)
            if (other != index) some.push_back(values[other]);
        medians.push_back(median(some));
    }
    return medians;
}

// Level and season where a day or an hour repeats, else nothing.
Numbers seasonal_center(std::span<const SeriesPoint> points, std::span<const double> values) {
    const std::int64_t step =
        (points.back().at_ms - points.front().at_ms) / static_cast<std::int64_t>(points.size() - 1);
    for (const std::int64_t period_ms : std::array{hour_ms, day_ms}) {
        const auto period = static_cast<std::size_t>(period_ms / std::max<std::int64_t>(step, 1));
        // Values must be as far apart as each other, or phases would drift.
        const bool is_even =
            points.back().at_ms - points.front().at_ms == step * static_cast<std::int64_t>(points.size() - 1);
        if (!is_even || period < 6 || period > 2000 || values.size() < 3 * period) continue;
        const auto seasons = statistics::decompose(values, period);
        if (!seasons || seasons->strength < strength_min) continue;
        Numbers center;
        for (std::size_t index = 0; index < values.size(); ++index)
            center.push_back(seasons->level[index] + seasons->season[index]);
        return center;
    }
    return {};
}

} // namespace

Result<std::vector<AnomalyPoint>> find_anomalies(std::span<const SeriesPoint> points) {
    Numbers values;
    for (const SeriesPoint& point : points) values.push_back(point.value);
    PILLION_TRY(statistics::check(values, anomaly_points_min, "a search for anomalies"));
    const double center = median(values);
    // What moves less than a five-hundredth of the level is as good as still.
    const double least = std::max(0.002 * std::abs(center), 1e-12);
    // Steps that are as good as still need no care.
    const double step = grain_of(values);
    const double grain = step > least ? step : 0;
    Numbers seasonal = seasonal_center(points, values);
    const bool has_season = !seasonal.empty();
    Numbers around = medians_around(values, false);
    Numbers before = medians_around(values, true);
    if (has_season) {
        // A view of neighbours would call the season's own flanks out of place.
        Numbers rest;
        for (std::size_t index = 0; index < values.size(); ++index) rest.push_back(values[index] - seasonal[index]);
        around = medians_around(rest, false);
        before = medians_around(rest, true);
        for (std::size_t index = 0; index < values.size(); ++index) {
            around[index] += seasonal[index];
            before[index] += seasonal[index];
        }
    }
    const std::array views = {
        view_of(values, std::move(around), least, grain),
        view_of(values, has_season ? std::move(seasonal) : Numbers(values.size(), center), least, grain),
        view_of(values, std::move(before), least, grain)};
    std::vector<AnomalyPoint> found;
    for (std::size_t index = 0; index < values.size(); ++index) {
        AnomalyPoint point{.index = index, .value = values[index], .seasonal = has_season};
        for (const View& view : views)
            point.votes +=
                values[index] > view.center[index] + view.above || values[index] < view.center[index] - view.below;
        point.low = views[0].center[index] - views[0].below;
        point.high = views[0].center[index] + views[0].above;
        if (point.votes >= 2) found.push_back(point);
    }
    return found;
}

} // namespace pillion
