// How benchmarks look on the wire and in files: descriptions of the engine's structs, the methods `benchmarks.*`, the
// event of the topic `benchmarks`, and the JSON of `pillion bench --json`. Any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/benchmarks/benchmarks.h"

#include <string>
#include <string_view>
#include <vector>

namespace pillion {

PILLION_ENUM(BenchmarkVerdict, "same", "faster", "slower", "unclear")

PILLION_WIRE(BenchmarkInfo, PILLION_FIELD(name, "What benchmarks.run takes.", sortable),
             PILLION_FIELD(suite, "What it is part of; benchmarks.run takes that too.", sortable),
             PILLION_FIELD(summary, "What one operation is."))

PILLION_WIRE(BenchmarkSettings, PILLION_FIELD(runs, "At least so many runs, unless ten times the time is over."),
             PILLION_FIELD(runsMax, "At most so many; fewer as soon as the median is known to a hundredth."),
             PILLION_FIELD(warmupMs, "Warm-up of each benchmark, in milliseconds."),
             PILLION_FIELD(timeMs, "Time of each benchmark past which there are no more runs than `runs`."),
             PILLION_FIELD(timeoutMs, "How long one operation may take, in milliseconds."))

PILLION_WIRE(BenchmarkMachine,
             PILLION_FIELD(fingerprint,
                           "Tells machines apart: of processor, cores, memory and architecture. Only what was measured "
                           "on one machine is compared."),
             PILLION_FIELD(processor, "Its name; empty where unknown."), PILLION_FIELD(cores, "Logical processors."),
             PILLION_FIELD(memoryBytes, "Memory."), PILLION_FIELD(architecture, "As uname says."),
             PILLION_FIELD(kernel, "The system's kernel."),
             PILLION_FIELD(loadBefore, "Load average of the minute before."))

PILLION_WIRE(BenchmarkBuild, PILLION_FIELD(fingerprint, "Tells builds apart: a hash of the program's file."),
             PILLION_FIELD(version, "The program's version."), PILLION_FIELD(compiler, "What it was built with."))

PILLION_WIRE(BenchmarkInterval, PILLION_FIELD(low, "Its lower end."), PILLION_FIELD(high, "Its upper end."))

PILLION_WIRE(BenchmarkResult, PILLION_FIELD(name, "The benchmark."), PILLION_FIELD(suite, "Its suite."),
             PILLION_FIELD(runs, "Runs that were made."), PILLION_FIELD(operations, "Operations in all of them."),
             PILLION_FIELD(meanNs, "Mean of the operations, in nanoseconds."),
             PILLION_FIELD(minNs, "The fastest operation."),
             PILLION_FIELD(p50Ns, "Half of the operations took no longer."),
             PILLION_FIELD(p95Ns, "95 of 100 took no longer."), PILLION_FIELD(p99Ns, "99 of 100 took no longer."),
             PILLION_FIELD(maxNs, "The slowest operation."),
             PILLION_FIELD(p50IntervalNs,
                           "Where that lies with 95 % confidence, by a bootstrap over the runs; absent below five."),
             PILLION_FIELD(p95IntervalNs, "The same of p95Ns."), PILLION_FIELD(p99IntervalNs, "The same of p99Ns."),
             PILLION_FIELD(cpuWaitPercent, "Percent of the time in which some task waited for a processor."),
             PILLION_FIELD(stolenPercent, "Percent of the processors' time that the machine's host took."),
             PILLION_FIELD(noisy, "Whether it was disturbed: then only large changes count in a comparison."),
             PILLION_FIELD(noise, "By what."),
             PILLION_FIELD(error, "What kept it from being measured; absent if nothing."),
             PILLION_FIELD(samples, "Nanoseconds for one operation: of each run the median. These are compared."))

PILLION_WIRE(BenchmarkRun, PILLION_FIELD(id, "Under which it is stored; 0 if it is not."),
             PILLION_FIELD(at, "When it began, in milliseconds since the Unix epoch."),
             PILLION_FIELD(label, "What whoever asked for it called it."),
             PILLION_FIELD(durationMs, "How long it took, in milliseconds."),
             PILLION_FIELD(machine, "What it was measured on."), PILLION_FIELD(build, "What was measured."),
             PILLION_FIELD(settings, "How it was measured."), PILLION_FIELD(results, "One for each benchmark."),
             PILLION_FIELD(notStored, "Why it could not be stored, if it could not."))

PILLION_WIRE(BenchmarkChange, PILLION_FIELD(name, "The benchmark."),
             PILLION_FIELD(verdict,
                           "`slower` and `faster`: significantly, and by the minimum effect. `same`: a slowdown of "
                           "two and a half times that is ruled out. `unclear`: it cannot be told."),
             PILLION_FIELD(beforeNs, "Median of the first measurement's samples."),
             PILLION_FIELD(afterNs, "Median of the second's."),
             PILLION_FIELD(changePercent, "The shift between them (Hodges and Lehmann); above 0 is slower."),
             PILLION_FIELD(intervalPercent, "Where that lies with the confidence asked for."),
             PILLION_FIELD(probability,
                           "That samples differ so much where nothing has changed (Mann-Whitney, corrected by Holm "
                           "for the number of benchmarks)."),
             PILLION_FIELD(reason, "Of `unclear`: why; else empty."))

PILLION_WIRE(BenchmarkComparison,
             PILLION_FIELD(verdict,
                           "`slower` if any benchmark is; else `unclear` if any is, or the two cannot be compared."),
             PILLION_FIELD(minimumEffectPercent, "What is smaller is no change."),
             PILLION_FIELD(reasons, "Why the two cannot be compared as a whole."),
             PILLION_FIELD(changes, "One for each benchmark of the first measurement."))

PILLION_WIRE(BenchmarkPoint, PILLION_FIELD(run, "The stored run."), PILLION_FIELD(at, "When it began."),
             PILLION_FIELD(label, "What it was called."), PILLION_FIELD(build, "Fingerprint of what was measured."),
             PILLION_FIELD(runs, "How many runs the benchmark had."),
             PILLION_FIELD(p50Ns, "Half of the operations took no longer, in nanoseconds."),
             PILLION_FIELD(p95Ns, "95 of 100 took no longer."), PILLION_FIELD(p99Ns, "99 of 100 took no longer."),
             PILLION_FIELD(noisy, "Whether it was disturbed."),
             PILLION_FIELD(baseline, "Whether it is the benchmark's baseline."))
PILLION_WIRE(BenchmarkStep, PILLION_FIELD(run, "The first run on the new level."), PILLION_FIELD(at, "When that was."),
             PILLION_FIELD(beforeNs, "The median before."), PILLION_FIELD(afterNs, "The median since."),
             PILLION_FIELD(changePercent, "The shift between them; above 0 is slower."))
PILLION_WIRE(BenchmarkHistory, PILLION_FIELD(name, "The benchmark.", sortable),
             PILLION_FIELD(points, "Its measurements on this machine, oldest first."),
             PILLION_FIELD(steps, "Where their level changed by 5 % or more; ten measurements are needed."))

PILLION_WIRE(BenchmarkSchedule, PILLION_FIELD(everyHours, "Hours from one run to the next; 0: there is no schedule."),
             PILLION_FIELD(names, "What is run; everything if empty."),
             PILLION_FIELD(lastAt, "When the last one began, in milliseconds since the Unix epoch."),
             PILLION_FIELD(nextAt, "When the next one is due; it waits until the machine is idle and on mains."),
             PILLION_FIELD(waitsFor, "What it waits for; empty if for nothing."))

struct BenchmarksFinished {
    std::int64_t run = 0;
    std::string label{};
    std::optional<BenchmarkVerdict> verdict{};
    std::vector<std::string> slower{};
    std::vector<std::string> failed{};
};
PILLION_WIRE(BenchmarksFinished, PILLION_FIELD(run, "The stored run."), PILLION_FIELD(label, "What it was called."),
             PILLION_FIELD(verdict, "How it compares with the baseline; absent if there is none."),
             PILLION_FIELD(slower, "The benchmarks that are slower than their baseline."),
             PILLION_FIELD(failed, "The benchmarks that could not be measured."))
BenchmarksFinished benchmarks_finished_payload(const BenchmarkRun& run,
                                               const std::optional<BenchmarkComparison>& comparison);

inline constexpr Event benchmarks_finished_event =
    event<BenchmarksFinished>("benchmarks.finished", "benchmarks", EventKind::change,
                              "A benchmark run has ended, one of the schedule's among them.");

// The methods; `benchmarks` outlives them.
std::vector<Method> benchmarks_methods(Benchmarks& benchmarks);

// The JSON of a run as `pillion bench --json` prints it and `pillion bench compare` reads it: the run's members, and
// format and version before them.
std::string benchmark_file_text(const BenchmarkRun& run);
// -32008 for what is no such JSON or of another version; `name` begins the message.
Result<BenchmarkRun> parse_benchmark_file(std::string_view name, std::string_view text);
// The results of benchmarks.list and benchmarks.compare as JSON.
std::string benchmark_list_text(const std::vector<BenchmarkInfo>& infos);
std::string benchmark_comparison_text(const BenchmarkComparison& comparison);

} // namespace pillion
