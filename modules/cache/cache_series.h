// What the cache does, as time series: hits, misses and loads by namespace, memory and evictions. Called by the
// sampler.
#pragma once

#include "modules/cache/cache.h"
#include "modules/series/series.h"

#include <span>

namespace pillion {

std::span<const SeriesSpec> cache_series();
void read_cache_series(Cache& cache, Series& series);

// The counts of all namespaces together.
struct CacheTotals {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t evictions = 0;
};
CacheTotals cache_totals(Cache& cache);

} // namespace pillion
