// cache.simulate: a trace file through every policy.
#include "modules/cache/cache_rpc.h"
#include "modules/cache_simulation/cache_simulation.h"

#include <algorithm>

namespace pillion {

struct CacheSimulateParams {
    std::string file;
    std::vector<std::string> policies;
    std::vector<std::int64_t> capacities;
    bool table = false;
    bool plot = false;
};
PILLION_WIRE(
    CacheSimulateParams,
    PILLION_FIELD(file, "Path of a trace: a key a line, or a key and its bytes; plain or gzip.", between(1, 4096)),
    PILLION_FIELD(policies, "Which policies; all if left out. opt is what none can exceed.", defaulted, at_most(32)),
    PILLION_FIELD(capacities,
                  "Sizes in entries, or in bytes where the trace has them; some shares of all keys if left out.",
                  defaulted, at_most(64)),
    PILLION_FIELD(table, "Add a table for terminals.", defaulted),
    PILLION_FIELD(plot, "Add the hit ratios over the sizes as an SVG document.", defaulted))

PILLION_WIRE(SimulationResult, PILLION_FIELD(policy, "The policy."), PILLION_FIELD(capacity, "The size."),
             PILLION_FIELD(hitRatio, "Share of requests that hit."),
             PILLION_FIELD(byteHitRatio, "Share of bytes that hit."), PILLION_FIELD(requests, "Requests of the trace."))

struct CacheSimulateResult {
    std::string trace;
    std::int64_t requests = 0;
    std::int64_t distinctKeys = 0;
    std::vector<SimulationResult> results;
    std::optional<std::string> table;
    std::optional<std::string> plot;
};
PILLION_WIRE(CacheSimulateResult, PILLION_FIELD(trace, "The file."), PILLION_FIELD(requests, "Requests it has."),
             PILLION_FIELD(distinctKeys, "Different keys among them."),
             PILLION_FIELD(results, "By size, then by policy."), PILLION_FIELD(table, "The same for terminals."),
             PILLION_FIELD(plot, "The same as SVG."))

std::vector<Method> cache_simulate_methods() {
    std::vector<Method> methods;
    methods.push_back(
        method("cache.simulate", "What each eviction policy would have hit on a trace of requests.", Lane::pooled,
               [](const CacheSimulateParams& params, Call& call) -> Result<CacheSimulateResult> {
                   const Trace trace = PILLION_TRY(read_trace(params.file));
                   SimulationOptions options;
                   options.policies = params.policies;
                   for (const std::int64_t capacity : params.capacities)
                       options.capacities.push_back(static_cast<std::uint64_t>(std::max<std::int64_t>(0, capacity)));
                   options.progress = [&call](double percentage) { call.report_progress(percentage); };
                   options.is_cancelled = [&call] { return call.is_cancelled(); };
                   const Simulation simulation = PILLION_TRY(simulate_trace(trace, options));
                   CacheSimulateResult result;
                   result.trace = params.file;
                   result.requests = static_cast<std::int64_t>(simulation.requests);
                   result.distinctKeys = static_cast<std::int64_t>(simulation.distinctKeys);
                   result.results = simulation.results;
                   if (params.table) result.table = simulation_table(simulation);
                   if (params.plot) result.plot = simulation_plot(simulation, params.file);
                   return result;
               }));
    return methods;
}

} // namespace pillion
