#include "modules/series/series.h"

namespace pillion {

std::vector<std::uint64_t> histogram_counts(const Histogram* histogram) {
    std::vector<std::uint64_t> counts(Histogram::buckets);
    if (histogram != nullptr)
        histogram->visit(
            [&counts](std::uint64_t low, std::uint64_t, std::uint64_t n) { counts[Histogram::bucket_of(low)] = n; });
    return counts;
}

// Cells of the series are those of Histogram: the middle of a bucket falls into the cell of all its values, where the
// scale is a power of two; else within one cell of it.
Result<void> HistogramSteps::observe(Series& series, const SeriesSpec& spec, const SeriesLabels& labels,
                                     std::vector<std::uint64_t> counts, double scale) {
    std::vector<std::pair<double, std::uint64_t>> values;
    double sum = 0;
    for (std::size_t i = 0; i < counts.size() && !before_.empty(); ++i) {
        const std::uint64_t seen = counts[i] < before_[i] ? 0 : before_[i]; // it was reset
        if (counts[i] == seen) continue;
        const double low = static_cast<double>(Histogram::lowest_of(i)),
                     middle = scale * (low + static_cast<double>(Histogram::lowest_of(i + 1) - 1)) / 2;
        values.emplace_back(middle, counts[i] - seen);
        sum += middle * static_cast<double>(counts[i] - seen);
    }
    before_ = std::move(counts);
    return series.observe(spec, labels, values, sum);
}

} // namespace pillion
