// The modified z-score of Iglewicz and Hoaglin (How to Detect and Handle Outliers, 1993). The test of Mann and Whitney
// (Ann. Math. Statist. 18, 1947), one-sided: exact by their recursion where no values are equal, else the normal
// approximation with corrections for ties and continuity. The shift of Hodges and Lehmann (Ann. Math. Statist. 34,
// 1963).
#include "modules/startup/startup_statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pillion {

namespace {

// How many of the orders of `m` and `n` values have U >= u, as a share of all. U counts the pairs in which the value of
// the first kind is the larger one.
double exact_tail(std::size_t m, std::size_t n, std::size_t u) {
    // The generating function of U is the Gaussian binomial coefficient: the product of (1 - q^(n+i)) / (1 - q^i).
    const std::size_t largest = m * n;
    std::vector<double> ways(largest + 1, 0);
    ways[0] = 1;
    for (std::size_t i = 1; i <= m; ++i) {
        for (std::size_t k = largest; k >= n + i && k <= largest; --k) ways[k] -= ways[k - n - i];
        for (std::size_t k = i; k <= largest; ++k) ways[k] += ways[k - i];
    }
    double all = 0;
    double tail = 0;
    for (std::size_t k = 0; k <= largest; ++k) {
        all += ways[k];
        if (k >= u) tail += ways[k];
    }
    return tail / all;
}

double normal_tail(double z) { return 0.5 * std::erfc(z / std::numbers::sqrt2); }

// The sum of t^3 - t over all groups of equal values.
double tie_term(std::vector<double> values) {
    std::ranges::sort(values);
    double term = 0;
    for (std::size_t first = 0; first < values.size();) {
        std::size_t next = first;
        while (next < values.size() && values[next] == values[first]) ++next;
        const auto group = static_cast<double>(next - first);
        term += group * group * group - group;
        first = next;
    }
    return term;
}

} // namespace

double quantile_of(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const double position = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(position);
    const std::size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (values[above] - values[below]) * (position - static_cast<double>(below));
}

double median_of(std::vector<double> values) { return quantile_of(std::move(values), 0.5); }

double robust_z(double value, const std::vector<double>& others) {
    const double median = median_of(others);
    std::vector<double> deviations;
    deviations.reserve(others.size());
    for (const double other : others) deviations.push_back(std::abs(other - median));
    const double deviation = std::max(median_of(std::move(deviations)), 0.01 * std::abs(median));
    return deviation > 0 ? 0.6745 * (value - median) / deviation : 0;
}

double rank_test(std::span<const double> later, std::span<const double> earlier) {
    if (later.empty() || earlier.empty()) return 1;
    double u = 0;
    for (const double a : later)
        for (const double b : earlier) u += a > b ? 1 : a == b ? 0.5 : 0;
    std::vector<double> all(later.begin(), later.end());
    all.insert(all.end(), earlier.begin(), earlier.end());
    const auto m = static_cast<double>(later.size());
    const auto n = static_cast<double>(earlier.size());
    const double ties = tie_term(std::move(all));
    if (ties == 0) return exact_tail(later.size(), earlier.size(), static_cast<std::size_t>(u));
    const double variance = m * n / 12 * (m + n + 1 - ties / ((m + n) * (m + n - 1)));
    return variance > 0 ? normal_tail((u - m * n / 2 - 0.5) / std::sqrt(variance)) : 1;
}

double shift_between(std::span<const double> later, std::span<const double> earlier) {
    std::vector<double> differences;
    differences.reserve(later.size() * earlier.size());
    for (const double a : later)
        for (const double b : earlier) differences.push_back(a - b);
    return median_of(std::move(differences));
}

} // namespace pillion
