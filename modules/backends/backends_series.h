// What backends do, as time series: calls, errors, latency, queue and restarts by backend. Owned by the composition
// root; called by the sampler, one thread at a time.
#pragma once

#include "modules/backends/backends.h"
#include "modules/series/series.h"

#include <map>
#include <span>
#include <string>

namespace pillion {

std::span<const SeriesSpec> backends_series();

class BackendsSampler {
  public:
    void read(const Backends& backends, Series& series);

  private:
    std::map<std::string, HistogramSteps> latencies_;
};

} // namespace pillion
