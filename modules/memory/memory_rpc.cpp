#include "modules/memory/memory_rpc.h"

namespace pillion {

std::vector<Method> memory_methods(Memory& memory) {
    std::vector<Method> methods;
    methods.push_back(
        method("memory.stats", "Memory of the process, its heap, pools and caches, the machine and the control group.",
               Lane::pooled, [&memory](const NoParams&) -> Result<MemoryStats> { return memory.stats(); }));
    methods.push_back(
        list_method("memory.pools", "The memory pools of the hot path and how well they serve.", Lane::direct,
                    [&memory](const NoParams&) -> Result<std::vector<MemoryPool>> { return memory.pools(); })
            .alias("get_memory_pool_stats"));
    methods.push_back(
        method("memory.optimize", "Trims pools and caches and gives free memory back to the system, within 500 ms.",
               Lane::pooled,
               [&memory](const MemoryOptimizeParams& params, Call& call) -> Result<MemoryOptimization> {
                   return memory.optimize(params.level, {.progress =
                                                             [&call](double percentage, std::string_view step) {
                                                                 call.report_progress(percentage, step);
                                                             },
                                                         .is_cancelled = [&call] { return call.is_cancelled(); }});
               })
            .alias("optimize_memory"));
    methods.push_back(method("memory.pressure", "How scarce memory is now, and why.", Lane::pooled,
                             [&memory](const NoParams&) -> Result<MemoryPressure> { return memory.pressure(); }));
    return methods;
}

} // namespace pillion
