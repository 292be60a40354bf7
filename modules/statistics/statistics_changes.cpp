// Change points by seeded binary segmentation (Kovács, Bühlmann, Li, Munk: Seeded Binary Segmentation, Biometrika 110,
// 2023) with the selection of the narrowest intervals over the threshold (Baranowski, Chen, Fryzlewicz: Narrowest-over-
// threshold Detection, J. R. Stat. Soc. B 81, 2019). Within an interval the statistic is the largest standardised
// rank sum over all splits (Pettitt: A Non-parametric Approach to the Change-point Problem, Appl. Statist. 28, 1979),
// so that outliers and heavy tails do not matter and its distribution without a change depends on the number of values
// only. The thresholds are quantiles of it, by simulation. Values that are correlated in time carry less
// information than their number: the statistic is scaled by sqrt((1 - r) / (1 + r)), with r of an autoregression of
// order 1, of what is left when the levels between the splits are taken away.
#include "modules/statistics/statistics_parts.h"

#include <algorithm>
#include <cmath>

namespace pillion::statistics {

namespace {

struct Split {
    std::size_t from = 0;
    std::size_t to = 0;
    std::size_t at = 0; // the first value after it
    double z = 0;
};

// The best split of values[from, to), both parts at least `least` long.
Split best_split(Values values, std::size_t from, std::size_t to, std::size_t least) {
    const Ranks ranks = ranks_of(values.subspan(from, to - from));
    const auto count = static_cast<double>(to - from);
    // Of what the variance of a rank sum is without ties, what is left with them.
    const double tied = 1 - ranks.tie_term / (count * count * count - count);
    Split best{.from = from, .to = to, .at = from};
    if (tied <= 0) return best;
    double sum = 0;
    for (std::size_t left = 1; left + least <= to - from; ++left) {
        sum += ranks.ranks[left - 1];
        if (left < least) continue;
        const auto part = static_cast<double>(left);
        const double deviation = std::sqrt(part * (count - part) * (count + 1) / 12 * tied);
        const double z = std::abs(sum - part * (count + 1) / 2) / deviation;
        if (z > best.z) {
            best.z = z;
            best.at = from + left;
        }
    }
    return best;
}

// Layer by layer intervals shorter by the square root of 2, each overlapping its neighbours by half.
std::vector<Split> splits_of(Values values, std::size_t least) {
    std::vector<Split> splits;
    const auto count = static_cast<double>(values.size());
    for (double length = count; length >= static_cast<double>(2 * least); length /= std::sqrt(2.0)) {
        const auto intervals = static_cast<std::size_t>(2 * std::ceil(count / length)) - 1;
        const double step = intervals > 1 ? (count - length) / static_cast<double>(intervals - 1) : 0;
        for (std::size_t index = 0; index < intervals; ++index) {
            const double from = static_cast<double>(index) * step;
            const auto first = static_cast<std::size_t>(from);
            const auto end = std::min(static_cast<std::size_t>(std::ceil(from + length)), values.size());
            splits.push_back(best_split(values, first, end, least));
        }
    }
    return splits;
}

// The statistic's quantiles without a change, by simulation of 2,000 series each (400 of the longest).
struct Threshold {
    double count;
    double one_in_twenty;
    double one_in_hundred;
};
constexpr Threshold thresholds[] = {{10, 1.98, 2.40},  {14, 2.33, 2.84},  {20, 2.70, 3.12},  {28, 2.94, 3.22},
                                    {40, 3.09, 3.39},  {80, 3.39, 3.72},  {160, 3.61, 4.00}, {320, 3.80, 4.17},
                                    {640, 4.06, 4.33}, {1280, 4.18, 4.50}};

double threshold_of(std::size_t count, double false_alarm_share) {
    const auto wanted = static_cast<double>(count);
    const auto quantile = [&](const Threshold& each) {
        return false_alarm_share < 0.03 ? each.one_in_hundred : each.one_in_twenty;
    };
    const auto next = std::ranges::find_if(thresholds, [&](const Threshold& each) { return each.count >= wanted; });
    const auto last = std::end(thresholds) - 1;
    // It grows as the root of the logarithm does.
    if (next == std::end(thresholds))
        return quantile(*last) + std::sqrt(2 * std::log(wanted)) - std::sqrt(2 * std::log(last->count));
    if (next == std::begin(thresholds)) return quantile(*next);
    const auto before = next - 1;
    const double part = std::log(wanted / before->count) / std::log(next->count / before->count);
    return quantile(*before) + part * (quantile(*next) - quantile(*before));
}

// Splits at the narrowest intervals first; what contains a split that was taken says nothing new.
std::vector<std::size_t> select(std::vector<Split> splits, double threshold, std::size_t least) {
    std::erase_if(splits, [&](const Split& split) { return split.z < threshold; });
    std::ranges::stable_sort(splits, [](const Split& a, const Split& b) {
        const std::size_t a_length = a.to - a.from;
        const std::size_t b_length = b.to - b.from;
        return a_length != b_length ? a_length < b_length : a.z > b.z;
    });
    std::vector<std::size_t> taken;
    for (const Split& split : splits) {
        const bool is_new = std::ranges::none_of(taken, [&](std::size_t at) {
            return (at > split.from && at < split.to) || (at < split.at + least && split.at < at + least);
        });
        if (is_new) taken.push_back(split.at);
    }
    std::ranges::sort(taken);
    return taken;
}

// Each split once more, between its neighbours: there it stands where it is told best.
void settle(Values values, std::vector<std::size_t>& taken, std::size_t least) {
    for (std::size_t index = 0; index < taken.size(); ++index) {
        const std::size_t from = index > 0 ? taken[index - 1] : 0;
        const std::size_t to = index + 1 < taken.size() ? taken[index + 1] : values.size();
        if (to - from >= 2 * least) taken[index] = best_split(values, from, to, least).at;
    }
}

// Of values that follow each other, by their ranks within the stretches between the splits; 0 where chance alone makes
// as much of independent ones. Stretches that are short hide some of it, which is added back.
double correlation_of(Values values, const std::vector<std::size_t>& taken) {
    std::vector<double> rest;
    std::size_t from = 0;
    for (std::size_t index = 0; index <= taken.size(); ++index) {
        const std::size_t to = index < taken.size() ? taken[index] : values.size();
        const Values stretch = values.subspan(from, to - from);
        const double level = middle({stretch.begin(), stretch.end()});
        for (const double value : stretch) rest.push_back(value - level);
        from = to;
    }
    const Ranks ranks = ranks_of(rest);
    const auto count = static_cast<double>(rest.size());
    const double center = (count + 1) / 2;
    double own = 0;
    double product = 0;
    for (std::size_t index = 0; index < rest.size(); ++index) {
        own += (ranks.ranks[index] - center) * (ranks.ranks[index] - center);
        if (index > 0) product += (ranks.ranks[index] - center) * (ranks.ranks[index - 1] - center);
    }
    if (own <= 0) return 0;
    const double seen = product / own;
    const double correlation = seen + static_cast<double>(taken.size() + 1) * (1 + 3 * std::max(seen, 0.0)) / count;
    return correlation < 2 / std::sqrt(count) ? 0 : std::min(correlation, 0.95);
}

// More correlation means fewer splits, and fewer splits show more of it: until both stay.
std::vector<std::size_t> find_splits(Values values, const ChangePoints& options, std::size_t least) {
    const std::vector<Split> splits = splits_of(values, least);
    const double independent = threshold_of(values.size(), options.false_alarm_share);
    double correlation = 0;
    for (int round = 0;; ++round) {
        std::vector<std::size_t> taken =
            select(splits, independent * std::sqrt((1 + correlation) / (1 - correlation)), least);
        settle(values, taken, least);
        const double seen = correlation_of(values, taken);
        if (taken.empty() || seen <= correlation || round == 8) return taken;
        correlation = seen;
    }
}

Result<ChangePoint> describe(Values values, std::size_t from, std::size_t at, std::size_t to) {
    const Values before = values.subspan(from, at - from);
    const Values after = values.subspan(at, to - at);
    const RankTest test = PILLION_TRY(mann_whitney(before, after));
    return ChangePoint{.index = at,
                       .before = PILLION_TRY(median(before)),
                       .after = PILLION_TRY(median(after)),
                       .shift = PILLION_TRY(hodges_lehmann(before, after)).value,
                       .z = test.z,
                       .probability = test.probability};
}

} // namespace

Result<std::vector<ChangePoint>> change_points(Values values, const ChangePoints& options) {
    PILLION_TRY(check(values, change_points_values_min, "a search for changes"));
    if (!(options.minimum_effect >= 0)) PILLION_TRY(check_between(options.minimum_effect, 0, 1, "a minimum effect"));
    const std::size_t least = std::max<std::size_t>(options.stretch_min, 2);
    std::vector<std::size_t> taken = find_splits(values, options, least);
    // The least of the changes goes, until all that are left matter.
    while (true) {
        std::vector<ChangePoint> changes;
        std::size_t weakest = taken.size();
        double weakest_share = 1;
        for (std::size_t index = 0; index < taken.size(); ++index) {
            const std::size_t from = index > 0 ? taken[index - 1] : 0;
            const std::size_t to = index + 1 < taken.size() ? taken[index + 1] : values.size();
            changes.push_back(PILLION_TRY(describe(values, from, taken[index], to)));
            const ChangePoint& change = changes.back();
            const double least_shift = options.minimum_effect * std::abs(change.before);
            const double share = std::abs(change.shift) / std::max(least_shift, 1e-300);
            if (share < weakest_share) {
                weakest_share = share;
                weakest = index;
            }
        }
        if (weakest == taken.size()) return changes;
        taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(weakest));
        settle(values, taken, least);
    }
}

} // namespace pillion::statistics
