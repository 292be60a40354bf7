// What other sizes and policies would have made of the requests that a namespace really had: a miniature of the memory
// store, by its very code, run over the sampled requests (Waldspurger, Saemundsson, Ahmad, Park, "Cache Modeling and
// Optimization using Miniature Simulations", USENIX ATC 2017). Functions without state; any thread, but they take tens
// of milliseconds per candidate.
#pragma once

#include "modules/cache/access_sample.h"
#include "modules/memory_store/memory_store.h"

#include <cstdint>
#include <vector>

namespace pillion {

struct TuningCandidate {
    EvictionPolicy eviction = EvictionPolicy::adaptive;
    std::int64_t maxBytes = 0;
    double hitRatio = 0;
};

// Requests below which nothing can be said.
inline constexpr std::size_t tuning_requests_min = 200;

// The hit ratio of one configuration.
double simulate_sample(const AccessSample::Picture& picture, const MemoryStoreConfig& config);

// All policies at the present size, and the best of them at half and twice the size (at most `bytes_max`); best first.
// A smaller cache counts as better than a larger one that hits no more than half a point more.
std::vector<TuningCandidate> tune(const AccessSample::Picture& picture, const MemoryStoreConfig& present,
                                  std::int64_t bytes_max);

// Share of requests that the request before them would have foretold, by the commonest successor so far. 0 where the
// sample left keys out.
double foreseeable_share(const AccessSample::Picture& picture);

} // namespace pillion
