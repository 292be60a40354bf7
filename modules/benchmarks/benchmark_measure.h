// Measures cases: warm-up, runs by turns until enough is known, percentiles with their confidence, and whether the
// machine was quiet. Private to the module; everything happens on the calling thread.
#pragma once

#include "modules/benchmarks/benchmark_case.h"
#include "modules/benchmarks/benchmark_machine.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pillion {

struct BenchmarkSubject {
    std::string name;
    std::string suite;
    std::unique_ptr<BenchmarkCase> work;
};

struct MeasuringHost {
    const Clock& clock;
    std::function<MachineActivity()> activity; // read before and after each run
    const BenchmarkControl& control;
};

// -32800 if cancelled. What keeps a single case from being measured stands in its result. The cases are gone
// afterwards.
Result<std::vector<BenchmarkResult>> measure_benchmarks(std::vector<BenchmarkSubject> subjects,
                                                        const BenchmarkSettings& settings, const MeasuringHost& host);

// Percentiles of operations that were made in runs; all in nanoseconds.
struct OperationPercentiles {
    double p50 = 0;
    double p95 = 0;
    double p99 = 0;
    std::optional<BenchmarkInterval> p50_interval{}; // from five runs on
    std::optional<BenchmarkInterval> p95_interval{};
    std::optional<BenchmarkInterval> p99_interval{};
};
enum class Intervals : std::uint8_t { wanted, unwanted };
OperationPercentiles percentiles_of(const std::vector<std::vector<double>>& runs, Intervals intervals);

// Why samples and surroundings are not those of a quiet machine; empty if they are.
std::vector<std::string> noise_of(const std::vector<double>& samples, double cpu_wait_percent, double stolen_percent,
                                  double frequency_low, double frequency_high);

} // namespace pillion
