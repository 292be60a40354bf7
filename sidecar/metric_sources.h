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
    // All outlive the sources.
    MetricSources(const std::unique_ptr<Store>& state, const Lazy<AppParts>& parts, const Lazy<CacheParts>& cache)
        : state_(state), parts_(parts), cache_(cache) {}

    // The blocks of metrics.snapshot; `resources` is the monitor's.
    MetricsSources blocks();
    // Once a second, on the sampler's thread.
    void read(Series& series);
    // The series that read() makes, for the reference.
    static std::vector<std::span<const SeriesSpec>> series();

  private:
    static void read_store(const Store& store, const char* name, HistogramSteps& writes, Series& series);
    void read_startup(MetricsStartup& startup) const;
    std::optional<MetricsCache> cache() const;
    std::optional<MetricsLazyLoading> lazy_loading() const;

    const std::unique_ptr<Store>& state_;
    const Lazy<AppParts>& parts_;
    const Lazy<CacheParts>& cache_;
    BackendsSampler backends_;
    HistogramSteps state_writes_, cache_writes_;
};

} // namespace pillion
