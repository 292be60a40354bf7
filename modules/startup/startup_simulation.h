// Plays a start through the real scheduler on a clock of its own: what would a schedule with these durations take?
// Private to the module and its benchmark. A pure function; any thread.
#pragma once

#include "modules/startup/startup_graph.h"

#include <cstdint>
#include <span>

namespace pillion {

struct StartupMakespan {
    std::int64_t total_ns = 0;
    std::int64_t critical_ns = 0; // until the critical ones are ready; the total if there are none
};

// `durations_ns` are what each component of the graph really takes; the scheduler decides by what the graph expects.
StartupMakespan simulate_startup(const StartupGraph& graph, std::span<const std::int64_t> durations_ns,
                                 std::uint32_t lanes);

} // namespace pillion
