// A robust decomposition in the manner of STL (Cleveland et al., J. Official Statist. 6, 1990) with medians in place of
// its weighted fits: the level is a moving median over one period, the season the median of each phase of what is left,
// both twice. Its strength is that of Wang, Smith and Hyndman (Characteristic-based Clustering for Time Series Data,
// 2006), with robust spreads. Exponential smoothing: Roberts (Technometrics 1, 1959).
#include "modules/statistics/statistics_parts.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace pillion::statistics {

namespace {

std::vector<double> moving_median(Values values, std::size_t width) {
    std::vector<double> window;
    std::vector<double> result;
    const std::size_t half = width / 2;
    for (std::size_t index = 0; index < values.size(); ++index) {
        // At the ends the window stays whole, so that it always holds each phase equally often.
        const std::size_t from = std::min(index - std::min(index, half), values.size() - width);
        const Values part = values.subspan(from, width);
        window.assign(part.begin(), part.end());
        result.push_back(middle(window));
    }
    return result;
}

} // namespace

Result<std::vector<double>> smoothed(Values values, double weight) {
    PILLION_TRY(check(values, 1, "a smoothed mean"));
    if (!(weight > 0 && weight <= 1)) PILLION_TRY(check_between(weight, 0, 1, "the weight of the newest value"));
    std::vector<double> means;
    double mean = values.front();
    for (const double value : values) {
        mean += weight * (value - mean);
        means.push_back(mean);
    }
    return means;
}

Result<Seasons> decompose(Values values, std::size_t period) {
    if (period < 2)
        return fail(ErrorCode::invalid_params,
                    "a season repeats after at least 2 values, not " + std::to_string(period));
    PILLION_TRY(check(values, 3 * period, "a season"));
    Seasons seasons{.season = std::vector<double>(values.size(), 0.0)};
    std::vector<double> work(values.size());
    for (int round = 0; round < 2; ++round) {
        for (std::size_t index = 0; index < values.size(); ++index) work[index] = values[index] - seasons.season[index];
        seasons.level = moving_median(work, period);
        std::vector<double> phases(period);
        for (std::size_t phase = 0; phase < period; ++phase) {
            std::vector<double> same;
            for (std::size_t index = phase; index < values.size(); index += period)
                same.push_back(values[index] - seasons.level[index]);
            phases[phase] = middle(std::move(same));
        }
        const double center = middle(phases);
        for (std::size_t index = 0; index < values.size(); ++index)
            seasons.season[index] = phases[index % period] - center;
    }
    std::vector<double> moving;
    for (std::size_t index = 0; index < values.size(); ++index) {
        moving.push_back(values[index] - seasons.level[index]);
        seasons.rest.push_back(moving.back() - seasons.season[index]);
    }
    const double all = spread(moving, middle(moving));
    const double rest = spread(seasons.rest, middle(seasons.rest));
    if (all > 0) seasons.strength = std::max(0.0, 1 - rest * rest / (all * all));
    return seasons;
}

} // namespace pillion::statistics
