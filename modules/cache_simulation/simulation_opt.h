// The best that any policy could do on a trace. Private to cache_simulation; functions without state: any thread.
#pragma once

#include "modules/cache_simulation/cache_simulation.h"

#include <cstdint>

namespace pillion {

struct OptimumHits {
    double requests = 0;
    double bytes = 0;
};

// Belady's optimum: with all weights 1, exact.
OptimumHits belady_hits(const Trace& trace, std::uint64_t capacity);
// No policy hits more requests or bytes than this, whatever the weights.
OptimumHits hits_bound(const Trace& trace, std::uint64_t capacity);

} // namespace pillion
