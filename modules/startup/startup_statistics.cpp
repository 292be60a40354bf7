#include "modules/startup/startup_statistics.h"

#include "modules/statistics/statistics.h"

#include <cmath>

namespace pillion {

double quantile_of(std::vector<double> values, double share) { return statistics::quantile(values, share).value_or(0); }

double median_of(std::vector<double> values) { return statistics::median(values).value_or(0); }

double robust_z(double value, const std::vector<double>& others) {
    const double least = 1.4826 * 0.01 * std::abs(median_of(others));
    return statistics::robust_z(value, others, least).value_or(0);
}

double rank_test(std::span<const double> later, std::span<const double> earlier) {
    const auto test = statistics::mann_whitney(earlier, later, statistics::Alternative::greater);
    return test ? test->probability : 1;
}

double shift_between(std::span<const double> later, std::span<const double> earlier) {
    const auto shift = statistics::hodges_lehmann(earlier, later);
    return shift ? shift->value : 0;
}

} // namespace pillion
