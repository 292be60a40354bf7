// What was measured, in state.db. Private to the module; any thread may call.
#pragma once

#include "modules/benchmarks/benchmarks.h"

#include <string>
#include <vector>

namespace pillion {

inline constexpr std::int64_t benchmark_runs_kept = 1000; // the newest, and those that are baselines

void add_benchmark_tables(Store& state);

// Stores it and gives it its id.
Result<void> store_benchmark_run(Store& state, BenchmarkRun& run);
// -32002 if there is no such run. For the baseline: of `machine`, put together of the runs that were made its
// baselines.
Result<BenchmarkRun> find_benchmark_run(Store& state, const BenchmarkReference& reference, const std::string& machine);
Result<void> set_benchmark_baseline(Store& state, const BenchmarkRun& run);
// Of one machine.
Result<std::vector<BenchmarkHistory>> read_benchmark_history(Store& state, const BenchmarkHistoryQuery& query,
                                                             const std::string& machine);

} // namespace pillion
