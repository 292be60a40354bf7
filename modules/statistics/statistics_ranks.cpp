// The test of Mann and Whitney (On a Test of Whether One of Two Random Variables is Stochastically Larger than the
// Other, Ann. Math. Statist. 18, 1947): exact for small samples without ties by counting partitions, else the normal
// approximation with corrections for ties and continuity. The shift of Hodges and Lehmann (Estimates of Location Based
// on Rank Tests, Ann. Math. Statist. 34, 1963) with the interval of Moses that inverts the test. A change is told when
// the test is significant and the estimate is at least the minimum effect; that nothing changed, when the whole
// interval lies within the minimum effect (two one-sided tests: Schuirmann 1987). Runs that resemble the ones before
// them carry less information than their number; where that shows, test and interval are widened by it.
#include "modules/statistics/statistics_parts.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <numeric>

namespace pillion::statistics {

namespace {

constexpr std::size_t exact_pairs_max = 900;

// P(U >= u) for every u from 0 to m * n. U has as many arrangements as there are partitions of it into at most m parts
// of at most n: the Gaussian binomial coefficient, factor by factor. Its second half mirrors the first, whose small
// numbers stay exact that way.
std::vector<double> exact_tails(std::size_t m, std::size_t n) {
    const std::size_t largest = m * n;
    std::vector<double> ways(largest + 1, 0);
    ways[0] = 1;
    for (std::size_t part = 1; part <= m; ++part) {
        for (std::size_t u = largest / 2 + 1; u-- > n + part;) ways[u] -= ways[u - n - part];
        for (std::size_t u = part; u <= largest / 2; ++u) ways[u] += ways[u - part];
    }
    for (std::size_t u = largest / 2 + 1; u <= largest; ++u) ways[u] = ways[largest - u];
    std::vector<double> tails(largest + 2, 0);
    for (std::size_t u = largest + 1; u-- > 0;) tails[u] = tails[u + 1] + ways[u];
    const double all = tails[0];
    for (double& tail : tails) tail /= all;
    return tails;
}

double pick(Alternative alternative, double greater, double less) {
    switch (alternative) {
    case Alternative::greater:
        return greater;
    case Alternative::less:
        return less;
    case Alternative::either:
        break;
    }
    return std::min(1.0, 2 * std::min(greater, less));
}

// Doubles in the order of their values as integers, so that halving an interval of them ends after 64 steps.
std::uint64_t order_of(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    return bits >> 63 ? ~bits : bits | std::uint64_t{1} << 63;
}
double of_order(std::uint64_t order) {
    return std::bit_cast<double>(order >> 63 ? order & ~(std::uint64_t{1} << 63) : ~order);
}

struct Pairs {
    double u = 0;
    double deviation = 0; // standard deviation of u, if nothing changed
    bool has_ties = false;
};

Pairs count_pairs(Values before, Values after) {
    std::vector<double> all(after.begin(), after.end());
    all.insert(all.end(), before.begin(), before.end());
    const Ranks ranks = ranks_of(all);
    const auto m = static_cast<double>(after.size());
    const auto n = static_cast<double>(before.size());
    const double sum =
        std::accumulate(ranks.ranks.begin(), ranks.ranks.begin() + static_cast<std::ptrdiff_t>(after.size()), 0.0);
    const double variance = m * n / 12 * (m + n + 1 - ranks.tie_term / ((m + n) * (m + n - 1)));
    return {
        .u = sum - m * (m + 1) / 2, .deviation = std::sqrt(std::max(variance, 0.0)), .has_ties = ranks.tie_term > 0};
}

} // namespace

double normal_tail(double z) { return 0.5 * std::erfc(z / std::numbers::sqrt2); }

double normal_quantile(double share) {
    double low = -40;
    double high = 40;
    for (int step = 0; step < 100; ++step) {
        const double half = std::midpoint(low, high);
        (normal_tail(half) > share ? low : high) = half;
    }
    return std::midpoint(low, high);
}

Ranks ranks_of(Values values) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t index) { return values[index]; });
    Ranks result{.ranks = std::vector<double>(values.size())};
    for (std::size_t first = 0; first < order.size();) {
        std::size_t next = first;
        while (next < order.size() && values[order[next]] == values[order[first]]) ++next;
        for (std::size_t place = first; place < next; ++place)
            result.ranks[order[place]] = static_cast<double>(first + next + 1) / 2;
        const auto group = static_cast<double>(next - first);
        result.tie_term += group * group * group - group;
        first = next;
    }
    return result;
}

double difference_at(Values a, Values b, std::size_t place) {
    const auto not_above = [&](double limit) {
        std::size_t count = 0;
        std::size_t from = 0; // from b[from] on, a - b is at most the limit; it rises with a
        for (const double value : a) {
            while (from < b.size() && value - b[from] > limit) ++from;
            count += b.size() - from;
        }
        return count;
    };
    std::uint64_t low = order_of(a.front() - b.back());
    std::uint64_t high = order_of(a.back() - b.front());
    while (low < high) {
        const std::uint64_t half = low + (high - low) / 2;
        if (not_above(of_order(half)) > place)
            high = half;
        else
            low = half + 1;
    }
    return of_order(low);
}

Result<RankTest> mann_whitney(Values before, Values after, Alternative alternative) {
    PILLION_TRY(check(before, 1, "a rank test"));
    PILLION_TRY(check(after, 1, "a rank test"));
    const Pairs pairs = count_pairs(before, after);
    const auto all = static_cast<double>(before.size()) * static_cast<double>(after.size());
    RankTest test{.u = pairs.u, .superiority = pairs.u / all};
    if (pairs.deviation > 0) test.z = (pairs.u - all / 2) / pairs.deviation;
    if (!pairs.has_ties && before.size() * after.size() <= exact_pairs_max) {
        const std::vector<double> tails = exact_tails(before.size(), after.size());
        const auto u = static_cast<std::size_t>(pairs.u + 0.5);
        test.probability = pick(alternative, tails[u], tails[before.size() * after.size() - u]);
    } else if (pairs.deviation > 0) {
        const double distance = pairs.u - all / 2;
        test.probability = pick(alternative, normal_tail((distance - 0.5) / pairs.deviation),
                                normal_tail((-distance - 0.5) / pairs.deviation));
    }
    return test;
}

Result<Estimate> hodges_lehmann(Values before, Values after, double confidence) {
    PILLION_TRY(check(before, 1, "a shift"));
    PILLION_TRY(check(after, 1, "a shift"));
    PILLION_TRY(check_between(confidence, 0, 1, "a confidence"));
    const std::vector<double> a = sorted(after);
    const std::vector<double> b = sorted(before);
    const std::size_t all = a.size() * b.size();
    const double tail = (1 - confidence) / 2;
    // As many of the smallest and of the largest differences are left out as the test lets pass on each side.
    std::size_t left_out = 0;
    if (all <= exact_pairs_max) {
        const std::vector<double> tails = exact_tails(a.size(), b.size());
        while (left_out < all / 2 && tails[all - left_out] <= tail) ++left_out;
    } else {
        const double deviation = std::max(count_pairs(before, after).deviation, 0.0);
        left_out = static_cast<std::size_t>(
            std::max(0.0, static_cast<double>(all) / 2 - normal_quantile(tail) * deviation + 0.5));
    }
    const std::size_t low = left_out > 0 ? left_out - 1 : 0;
    return Estimate{.value = std::midpoint(difference_at(a, b, (all - 1) / 2), difference_at(a, b, all / 2)),
                    .interval = {difference_at(a, b, low), difference_at(a, b, all - 1 - low)}};
}

std::string_view name_of(Change change) {
    switch (change) {
    case Change::same:
        return "same";
    case Change::higher:
        return "higher";
    case Change::lower:
        return "lower";
    case Change::undecided:
        break;
    }
    return "undecided";
}

namespace {

// Of values that follow each other, by their ranks within each of the samples; 0 where chance alone makes as much once
// in twenty times.
double correlation_in(Values before, Values after) {
    double own = 0;
    double product = 0;
    for (const Values values : {before, after}) {
        const Ranks ranks = ranks_of(values);
        const double center = (static_cast<double>(values.size()) + 1) / 2;
        for (std::size_t index = 0; index < values.size(); ++index) {
            own += (ranks.ranks[index] - center) * (ranks.ranks[index] - center);
            if (index > 0) product += (ranks.ranks[index] - center) * (ranks.ranks[index - 1] - center);
        }
    }
    const auto count = static_cast<double>(before.size() + after.size());
    const double correlation = own > 0 ? product / own : 0;
    return correlation < 1.645 / std::sqrt(count) ? 0 : std::min(correlation + 2 / count, 0.95);
}

// As what share of their number such values count, by an autoregression of order 1.
double information_of(double correlation) { return (1 - correlation) / (1 + correlation); }

// Of a difference as clear in its direction, over the share of the errors that this direction may make.
Result<double> probability_of(Values before, Values after, double higher_share, double information) {
    const auto one_sided = [&](Alternative alternative) -> Result<double> {
        const RankTest test = PILLION_TRY(mann_whitney(before, after, alternative));
        if (information >= 1 || test.z == 0) return test.probability;
        return normal_tail((alternative == Alternative::greater ? test.z : -test.z) * std::sqrt(information));
    };
    const double greater = PILLION_TRY(one_sided(Alternative::greater));
    const double less = PILLION_TRY(one_sided(Alternative::less));
    return std::min({1.0, greater / higher_share, less / (1 - higher_share)});
}

} // namespace

Result<Comparison> compare(Values before, Values after, const Compare& options) {
    PILLION_TRY(check(before, compare_values_min, "a comparison"));
    PILLION_TRY(check(after, compare_values_min, "a comparison"));
    if (!(options.minimum_effect >= 0 && std::isfinite(options.minimum_effect)))
        PILLION_TRY(check_between(options.minimum_effect, 0, 1, "a minimum effect"));
    Comparison comparison{.before_median = PILLION_TRY(median(before)), .after_median = PILLION_TRY(median(after))};
    if (!(options.higher_share > 0 && options.higher_share < 1))
        PILLION_TRY(check_between(options.higher_share, 0, 1, "the share of the errors that is spent on a rise"));
    double confidence = options.confidence;
    double information = 1;
    if (options.correlation == Correlation::corrected) information = information_of(correlation_in(before, after));
    if (information < 1) {
        const double z = normal_quantile((1 - confidence) / 2) / std::sqrt(information);
        confidence = std::min(1 - 2 * normal_tail(z), 1 - 1e-12);
    }
    comparison.shift = PILLION_TRY(hodges_lehmann(before, after, confidence));
    comparison.test = PILLION_TRY(mann_whitney(before, after));
    comparison.probability = PILLION_TRY(probability_of(before, after, options.higher_share, information));
    const double base = std::abs(comparison.before_median);
    const double least = options.minimum_effect * base;
    if (base > 0)
        comparison.shift_share = {
            .value = comparison.shift.value / base,
            .interval = {comparison.shift.interval.low / base, comparison.shift.interval.high / base}};
    const bool is_significant = comparison.probability < 1 - options.confidence;
    if (is_significant && comparison.shift.value > 0 && comparison.shift.value >= least)
        comparison.change = Change::higher;
    else if (is_significant && comparison.shift.value < 0 && -comparison.shift.value >= least)
        comparison.change = Change::lower;
    else if (is_significant || (comparison.shift.interval.low >= -least && comparison.shift.interval.high <= least))
        comparison.change = Change::same;
    return comparison;
}

} // namespace pillion::statistics
