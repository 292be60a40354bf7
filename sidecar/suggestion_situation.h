// How things stand, for the rules of modules/suggestions: the figures of whatever parts there are. Nothing is made for
// it. A piece of SuggestionParts; may take some hundred milliseconds, any thread.
#pragma once

#include "ipc/dispatcher.h"
#include "modules/metrics/metrics.h"
#include "modules/suggestions/suggestions.h"
#include "sidecar/app_parts.h"
#include "sidecar/cache_parts.h"
#include "sidecar/lazy.h"

namespace pillion {

struct SituationSources {
    const Clock& clock;
    Memory& memory;
    Metrics& metrics;
    Dispatcher& dispatcher;
    const Lazy<AppParts>& parts;
    const Lazy<CacheParts>& cache;
};

Situation read_situation(const SituationSources& sources, std::int64_t uptime_ms);

} // namespace pillion
