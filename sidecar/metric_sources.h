// Where the snapshot and the time series learn of the app's parts and the cache: what there is of them when they are
// asked; nothing is made for it. A piece of the composition root (application.h).
#pragma once

#include "modules/backends/backends_series.h"
#include "modules/metrics/metrics.h"
#include "sidecar/app_parts.h"
#include "sidecar/cache_parts.h"
#include "sidecar/lazy.h"

#include <span>
#include <vector>

namespace pillion {

class MetricSources {
  public:
    // Both outlive the sources.
    MetricSources(const Lazy<AppParts>& parts, const Lazy<CacheParts>& cache) : parts_(parts), cache_(cache) {}

    // The blocks of metrics.snapshot; `resources` is the monitor's.
    MetricsSources blocks();
    // Once a second, on the sampler's thread.
    void read(Series& series);
    // The series that read() makes, for the reference.
    static std::vector<std::span<const SeriesSpec>> series();

  private:
    void read_startup(MetricsStartup& startup) const;
    std::optional<MetricsCache> cache() const;
    std::optional<MetricsLazyLoading> lazy_loading() const;

    const Lazy<AppParts>& parts_;
    const Lazy<CacheParts>& cache_;
    BackendsSampler backends_;
};

} // namespace pillion
