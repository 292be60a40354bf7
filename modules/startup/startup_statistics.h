// The few robust statistics that durations of starts need. Private to the module; pure functions, any thread.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace pillion {

// 0 of nothing or of what is no number.
double median_of(std::vector<double> values);
// The value below which this share lies, by linear interpolation; 0 of nothing or of what is no number.
double quantile_of(std::vector<double> values, double share);
// How far a value stands out: 0.6745 (value - median) / MAD. The deviation counts at least 1 % of the median, so that
// starts that were alike to the microsecond do not make an outlier of every other.
double robust_z(double value, const std::vector<double>& others);
// The probability that `later` exceeds `earlier` as much as it does if nothing has changed.
double rank_test(std::span<const double> later, std::span<const double> earlier);
// By how much `later` exceeds `earlier`: the median of all differences between the two.
double shift_between(std::span<const double> later, std::span<const double> earlier);

} // namespace pillion
