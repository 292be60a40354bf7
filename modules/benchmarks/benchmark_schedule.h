// The schedule as a small file of its own beside state.db, so that a start learns with one look whether there is one.
// Private to the module.
#pragma once

#include "modules/benchmarks/benchmarks.h"

#include <optional>
#include <string>

namespace pillion {

std::string benchmark_schedule_path(const std::string& data_directory);
// Nothing if there is none; a damaged one is -32008.
Result<std::optional<BenchmarkSchedule>> read_benchmark_schedule(const std::string& data_directory);
// A schedule of 0 hours removes the file.
Result<void> write_benchmark_schedule(const std::string& data_directory, const BenchmarkSchedule& schedule);

} // namespace pillion
