// What a measurement was made on, and what else went on meanwhile. Private to the module. Linux's files in /proc; where
// they are not to be had, what they would say is absent. Any thread.
#pragma once

#include "ipc/base/error.h"
#include "modules/benchmarks/benchmarks.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pillion {

BenchmarkMachine read_benchmark_machine();
// -32005 if the program's file cannot be read.
Result<BenchmarkBuild> read_benchmark_build(const std::string& program, std::string_view version);

// Counters of the whole machine; differences of two tell what disturbed what ran between them.
struct MachineActivity {
    std::optional<std::int64_t> cpu_wait_us{};  // in which some task waited for a processor
    std::optional<std::int64_t> stolen_ticks{}; // taken by the host of a virtual machine
    std::int64_t ticks = 0;                     // all there were
    double frequency_mhz = 0;                   // of the fastest processor now; 0 where unknown
};
MachineActivity read_machine_activity();

// 16 hexadecimal digits.
std::string fingerprint_of(std::string_view bytes);

} // namespace pillion
