// The few order statistics that the benchmarks report. Pure functions, any thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace pillion::bench {

// The value that `fraction` of the samples do not exceed (nearest rank); 0 without samples.
inline double quantile(std::vector<double> samples, double fraction) {
    if (samples.empty()) return 0.0;
    const auto count = static_cast<double>(samples.size());
    const auto rank = static_cast<std::size_t>(std::max(std::ceil(fraction * count), 1.0)) - 1;
    const auto at = samples.begin() + static_cast<std::ptrdiff_t>(std::min(rank, samples.size() - 1));
    std::nth_element(samples.begin(), at, samples.end());
    return *at;
}

inline double median(std::vector<double> samples) { return quantile(std::move(samples), 0.5); }

// The median of one-by-one ratios. Samples of the same round share the machine's mood, so this is steadier
// than the ratio of the medians; where the rounds do not pair up, the ratio of the medians it is.
inline double paired_ratio(const std::vector<double>& subject, const std::vector<double>& reference) {
    if (subject.size() != reference.size()) return median(subject) / median(reference);
    std::vector<double> ratios(subject.size());
    std::transform(subject.begin(), subject.end(), reference.begin(), ratios.begin(),
                   [](double ours, double theirs) { return ours / theirs; });
    return median(std::move(ratios));
}

} // namespace pillion::bench
