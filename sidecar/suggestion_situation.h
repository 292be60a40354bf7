// How things stand, for the rules of modules/suggestions: the figures of whatever parts there are. Nothing is made for
// it. A piece of SuggestionParts; may take some hundred milliseconds, any thread.
#pragma once

#include "ipc/dispatcher.h"
#include "modules/metrics/metrics.h"
#include "modules/suggestions/suggestions.h"
#include "sidecar/app_parts.h"
#include "sidecar/cache_parts.h"
#include "sidecar/lazy.h"

#include <map>
#include <string>
#include <vector>

namespace pillion {

// Where a namespace stood when a trial changed how its values are compressed.
struct CompressionChange {
    std::uint64_t written = 0;
    std::uint64_t plain_bytes = 0;
    std::uint64_t sealed_bytes = 0;
    bool is_in_vain = false; // it was turned off for that

    static CompressionChange of(const CacheSpace& space);
};

struct SituationSources {
    const Clock& clock;
    Memory& memory;
    Metrics& metrics;
    Dispatcher& dispatcher;
    const Lazy<AppParts>& parts;
    const Lazy<CacheParts>& cache;
    std::vector<std::uint64_t> waits_before{};              // for a worker, that no longer count, by bucket
    std::map<std::string, CompressionChange> compression{}; // by namespace
};

Situation read_situation(const SituationSources& sources, std::int64_t uptime_ms);

} // namespace pillion
