// Statistics that hold for what computers measure: skewed, heavy-tailed, with outliers, correlated in time. They rest
// on order and rank, so that no distribution is assumed. Pure functions; any thread. Every one of them answers NaN,
// infinities and too little data with an error that says so; sources stand at the head of each .cpp.
#pragma once

#include "ipc/base/error.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace pillion::statistics {

using Values = std::span<const double>;

struct Interval {
    double low = 0;
    double high = 0;
};

// A figure and where it lies with the confidence that was asked for.
struct Estimate {
    double value = 0;
    Interval interval{};
};

inline constexpr double confidence_usual = 0.95;

// Beyond it squares and products would overflow.
inline constexpr double value_max = 1e150;

// Refuses what is not finite or beyond that, and fewer than `at_least` values; `what` names the function in the
// message.
Result<void> check(Values values, std::size_t at_least, std::string_view what);

// --- One sample -----------------------------------------------------------------------------------------------------

Result<double> mean(Values values);
Result<double> median(Values values);
// The value below which this share (0 to 1) lies, by linear interpolation.
Result<double> quantile(Values values, double share);
// Median absolute deviation times 1.4826: the standard deviation, where the distribution is normal.
Result<double> median_absolute_deviation(Values values);
// How many such deviations from the median of `others` a value lies. The deviation counts at least `floor`, so that
// values that were all alike do not make an outlier of every other.
Result<double> robust_z(double value, Values others, double floor = 0);
// The order statistics between which the quantile lies with at least this confidence, whatever the distribution.
// Refused where there are too few values for it.
Result<Estimate> quantile_interval(Values values, double share, double confidence = confidence_usual);

struct Bootstrap {
    double confidence = confidence_usual;
    std::size_t rounds = 4000;
    std::uint64_t seed = 1; // equal seeds give equal answers
};
// The quantile with the percentile interval of its bootstrap distribution. Beyond the largest values there is nothing
// to draw: of 30 values the interval of a 99th percentile ends at the maximum, and quantile_interval() refuses.
Result<Estimate> bootstrap_quantile(Values values, double share, const Bootstrap& options = {});
// By how much the quantile of `after` exceeds that of `before`.
Result<Estimate> bootstrap_quantile_shift(Values before, Values after, double share, const Bootstrap& options = {});

// --- Two samples ----------------------------------------------------------------------------------------------------

enum class Alternative : std::uint8_t { either, greater, less }; // than before

struct RankTest {
    double u = 0;           // pairs in which `after` is larger; ties count half
    double superiority = 0; // the same as a share of all pairs; 0.5 where nothing changed
    double z = 0;           // how many standard deviations u is from where nothing changed
    double probability = 1; // of a difference as large, if nothing changed
};
Result<RankTest> mann_whitney(Values before, Values after, Alternative alternative = Alternative::either);

// By how much `after` exceeds `before`: the median of all differences between the two.
Result<Estimate> hodges_lehmann(Values before, Values after, double confidence = confidence_usual);

enum class Change : std::uint8_t {
    same,      // whatever changed is less than the minimum effect
    higher,    // significantly, and by at least the minimum effect
    lower,     //
    undecided, // neither can be said: more runs, or quieter ones
};
std::string_view name_of(Change change);

enum class Correlation : std::uint8_t { corrected, ignored }; // of values that follow each other

struct Compare {
    double minimum_effect = 0.03; // share of before's median below which a change does not matter
    double confidence = confidence_usual;
    double higher_share = 0.5; // of the errors that the confidence allows, those that may be a rise that is none
    Correlation correlation = Correlation::ignored; // corrected: the values are in the order they were measured in
};
struct Comparison {
    Change change = Change::undecided;
    double before_median = 0;
    double after_median = 0;
    Estimate shift{};       // Hodges and Lehmann, in the values' unit
    Estimate shift_share{}; // of before's median; 0 where that is 0
    RankTest test{};        // two-sided
    double probability = 1; // on which the change rests: of one as clear by chance, as the errors are shared out
};
inline constexpr std::size_t compare_values_min = 5; // on either side
// Did it change, and does it matter?
Result<Comparison> compare(Values before, Values after, const Compare& options = {});
inline Result<Comparison> compare(Values before, Values after, double minimum_effect) {
    return compare(before, after, Compare{.minimum_effect = minimum_effect});
}

// --- A series of values, in the order of time
// -------------------------------------------------------------------------

struct ChangePoint {
    std::size_t index = 0; // of the first value after the change
    double before = 0;     // medians of the stretches on both sides
    double after = 0;
    double shift = 0; // after less before, by Hodges and Lehmann
    double z = 0;
    double probability = 1; // two-sided; of the two stretches, not corrected for having looked everywhere
};
struct ChangePoints {
    double minimum_effect = 0.03;    // share of the median before below which a change is passed over
    std::size_t stretch_min = 5;     // values between two changes
    double false_alarm_share = 0.01; // of series without a change that may show one: 0.01 or 0.05
};
inline constexpr std::size_t change_points_values_min = 10;
// Where the level changed, ascending. Single outliers are not changes.
Result<std::vector<ChangePoint>> change_points(Values values, const ChangePoints& options = {});

struct Trend {
    double slope = 0; // per unit of time: Theil and Sen
    Interval slope_interval{};
    double level = 0; // of the line at the median of the times
    double at = 0;    // that median
    double tau = 0;   // Kendall's, from -1 to 1
    double z = 0;
    double probability = 1; // of a trend as clear, in either direction, if there is none
    double correction = 1;  // by how much correlation in time widened the variance
    double noise = 0;       // deviation from the line, as median_absolute_deviation()

    double line(double time) const { return level + slope * (time - at); }
};
inline constexpr std::size_t trend_values_min = 8;
// Whether and how fast it rises or falls. Times ascend; more than 1,000 values are thinned to as many medians.
Result<Trend> trend(Values times, Values values, double confidence = confidence_usual,
                    Correlation correlation = Correlation::corrected);

// The exponentially weighted mean after each value; `weight` of the newest is above 0, at most 1.
Result<std::vector<double>> smoothed(Values values, double weight);

struct Seasons {
    std::vector<double> level{};  // slow course
    std::vector<double> season{}; // what repeats; sums to about 0
    std::vector<double> rest{};
    double strength = 0; // 0 to 1: share of what moves about the level that the season explains
};
// What repeats every `period` values; at least three periods are needed. Outliers stay in the rest.
Result<Seasons> decompose(Values values, std::size_t period);

} // namespace pillion::statistics
