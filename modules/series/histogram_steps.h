// Turns the running counts of a Histogram into a series: each reading gives what came since the one before, so that
// every second has its own distribution. One per histogram; one thread at a time.
#pragma once

#include "ipc/base/metric.h"
#include "modules/series/series.h"

#include <cstdint>
#include <vector>

namespace pillion {

// Counts by bucket; all zero where nothing was recorded yet, or there is no histogram.
std::vector<std::uint64_t> histogram_counts(const Histogram* histogram);

class HistogramSteps {
  public:
    // `counts` as histogram_counts() gives them; the values are multiplied by `scale` (1e-9: from ns to s). The first
    // reading after construction or forget() is only the base.
    Result<void> observe(Series& series, const SeriesSpec& spec, const SeriesLabels& labels,
                         std::vector<std::uint64_t> counts, double scale = 1);
    void forget() { before_.clear(); }

  private:
    std::vector<std::uint64_t> before_;
};

} // namespace pillion
