// Quantiles by linear interpolation: type 7 of Hyndman and Fan (Sample Quantiles in Statistical Packages, 1996). Median
// absolute deviation: Hampel (The Influence Curve and its Role in Robust Estimation, 1974). Intervals of quantiles from
// order statistics: David and Nagaraja (Order Statistics, 2003, 7.1).
#include "modules/statistics/statistics.h"

#include "modules/statistics/statistics_parts.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace pillion::statistics {

Result<void> check(Values values, std::size_t at_least, std::string_view what) {
    if (values.size() < at_least)
        return fail(ErrorCode::failed_precondition, std::string(what) + " needs at least " + std::to_string(at_least) +
                                                        " values, not " + std::to_string(values.size()));
    for (std::size_t index = 0; index < values.size(); ++index)
        if (!(std::abs(values[index]) <= value_max)) {
            const double value = values[index];
            return fail(ErrorCode::invalid_params,
                        std::string(what) + " needs finite values up to 1e150; that at index " + std::to_string(index) +
                            " is " + (std::isfinite(value) ? "larger" : std::to_string(value)));
        }
    return {};
}

Result<void> check_between(double value, double low, double high, std::string_view what) {
    if (value > low && value < high) return {};
    return fail(ErrorCode::invalid_params, std::string(what) + " lies between " + std::to_string(low) + " and " +
                                               std::to_string(high) + ", not at " + std::to_string(value));
}

std::vector<double> sorted(Values values) {
    std::vector<double> all(values.begin(), values.end());
    std::ranges::sort(all);
    return all;
}

double quantile_of_sorted(Values values, double share) {
    const double position = share * static_cast<double>(values.size() - 1);
    const auto below = std::min(static_cast<std::size_t>(position), values.size() - 1);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    const double part = position - static_cast<double>(below);
    // Not below + part * difference: that of two huge values of opposite sign is infinite.
    return values[below] * (1 - part) + values[above] * part;
}

double middle(std::vector<double> values) {
    if (values.empty()) return 0;
    const auto half = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, half);
    if (values.size() % 2 == 1) return *half;
    return std::midpoint(*std::max_element(values.begin(), half), *half);
}

double spread(Values values, double center) {
    std::vector<double> distances;
    distances.reserve(values.size());
    for (const double value : values) distances.push_back(std::abs(value - center));
    return 1.4826 * middle(std::move(distances));
}

Result<double> mean(Values values) {
    PILLION_TRY(check(values, 1, "a mean"));
    double sum = 0;
    for (const double value : values) sum += value / static_cast<double>(values.size());
    return sum;
}

Result<double> median(Values values) {
    PILLION_TRY(check(values, 1, "a median"));
    return middle({values.begin(), values.end()});
}

Result<double> quantile(Values values, double share) {
    PILLION_TRY(check(values, 1, "a quantile"));
    if (!(share >= 0 && share <= 1)) PILLION_TRY(check_between(share, 0, 1, "the share of a quantile"));
    return quantile_of_sorted(sorted(values), share);
}

Result<double> median_absolute_deviation(Values values) {
    const double center = PILLION_TRY(median(values));
    return spread(values, center);
}

Result<double> robust_z(double value, Values others, double floor) {
    PILLION_TRY(check({&value, 1}, 1, "a robust z"));
    const double center = PILLION_TRY(median(others));
    const double deviation = std::max(spread(others, center), floor);
    return deviation > 0 ? (value - center) / deviation : 0;
}

Result<Estimate> quantile_interval(Values values, double share, double confidence) {
    PILLION_TRY(check(values, 1, "the interval of a quantile"));
    PILLION_TRY(check_between(share, 0, 1, "the share of a quantile"));
    PILLION_TRY(check_between(confidence, 0, 1, "a confidence"));
    const std::size_t count = values.size();
    // How many of the values lie below the quantile is binomial: P(k below) for k = 0..count.
    const double log_share = std::log(share);
    const double log_rest = std::log1p(-share);
    const auto chance = [&](std::size_t below) {
        const auto n = static_cast<double>(count);
        const auto k = static_cast<double>(below);
        return std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) + k * log_share +
                        (n - k) * log_rest);
    };
    const double tail = (1 - confidence) / 2;
    std::size_t low = 0; // as many below may be left out on this side
    for (double below = chance(0); below <= tail && low < count; below += chance(++low)) {
    }
    std::size_t high = count;
    for (double above = chance(count); above <= tail && high > 0; above += chance(--high)) {
    }
    if (low == 0 || high == count)
        return fail(ErrorCode::failed_precondition,
                    std::to_string(count) + " values are too few for an interval of the quantile " +
                        std::to_string(share) + " with a confidence of " + std::to_string(confidence));
    const std::vector<double> ordered = sorted(values);
    return Estimate{.value = quantile_of_sorted(ordered, share),
                    .interval = {ordered[low - 1], ordered[std::min(high, count - 1)]}};
}

} // namespace pillion::statistics
