// The benchmark suite inside the product: measures this very program on this very machine (start, wire, memory, files,
// database, cache) and what its user names (commands, methods), keeps what it measured, and tells whether two
// measurements differ. Owned by the composition root; any thread may call. With nothing asked of it, it has started no
// thread and opened no file.
//
// A benchmark is measured in runs of some milliseconds each, those of different benchmarks by turns, so that a
// disturbed moment touches few runs of each. A run's sample is the median of its operations; samples are what is
// compared, operations are what the percentiles are of. Fewer nanoseconds are better, everywhere.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/timers.h"
#include "modules/storage/storage.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace pillion {

struct BenchmarkInfo {
    std::string name;
    std::string suite;
    std::string summary;
};

// How long and how often.
struct BenchmarkSettings {
    std::int64_t runs = 30;          // at least so many, unless ten times the time is over before
    std::int64_t runsMax = 200;      // at most so many; fewer as soon as the median is known to a hundredth
    std::int64_t warmupMs = 50;      // of each benchmark, before its first run
    std::int64_t timeMs = 1500;      // of each benchmark: past it no more runs than `runs`
    std::int64_t timeoutMs = 60'000; // of one operation of a command or a method
};

struct BenchmarkMachine {
    std::string fingerprint; // of what decides about speed: processor, cores, memory, architecture
    std::string processor;
    std::int64_t cores = 0;
    std::int64_t memoryBytes = 0;
    std::string architecture;
    std::string kernel;
    double loadBefore = 0; // of the last minute, before the benchmark added its own
};

struct BenchmarkBuild {
    std::string fingerprint; // a hash of the bytes of the program's file
    std::string version;
    std::string compiler;
};

struct BenchmarkInterval {
    double low = 0;
    double high = 0;
};

struct BenchmarkResult {
    std::string name;
    std::string suite;
    std::int64_t runs = 0;
    std::int64_t operations = 0;
    double meanNs = 0;
    double minNs = 0;
    double p50Ns = 0;
    double p95Ns = 0;
    double p99Ns = 0;
    double maxNs = 0;
    std::optional<BenchmarkInterval> p50IntervalNs{}; // 95 % confidence, by bootstrap over the runs
    std::optional<BenchmarkInterval> p95IntervalNs{};
    std::optional<BenchmarkInterval> p99IntervalNs{};
    double cpuWaitPercent = 0; // of the time, some task of the machine waited for a processor
    double stolenPercent = 0;  // of the processors' time, taken by the machine's host
    bool noisy = false;
    std::vector<std::string> noise{};   // why
    std::optional<std::string> error{}; // what kept it from being measured
    std::vector<double> samples{};      // nanoseconds for one operation, one for each run
};

struct BenchmarkRun {
    std::int64_t id = 0; // 0: not stored
    std::int64_t at = 0;
    std::string label{};
    double durationMs = 0;
    BenchmarkMachine machine{};
    BenchmarkBuild build{};
    BenchmarkSettings settings{};
    std::vector<BenchmarkResult> results{};
    std::optional<std::string> notStored{}; // why
};

struct BenchmarkRequest {
    std::string suite{};                // a suite or a single benchmark
    std::vector<std::string> names{};   // more of them; all suites if nothing at all is named
    std::vector<std::string> command{}; // a program and its arguments: the benchmark `command`
    std::string method{};               // the benchmark `method`
    std::string params{};               // JSON
    std::string label{};
    BenchmarkSettings settings{};
};

// How whoever asked for a run follows it; all may be empty. Called on the thread that measures.
struct BenchmarkControl {
    std::function<bool()> is_cancelled{};
    std::function<void(double percentage, std::string_view what)> progress{};
    std::function<void(const std::vector<BenchmarkResult>& so_far)> update{}; // about five times a second
};

enum class BenchmarkVerdict : std::uint8_t { same, faster, slower, unclear };

// One benchmark in two measurements.
struct BenchmarkChange {
    std::string name;
    BenchmarkVerdict verdict = BenchmarkVerdict::unclear;
    double beforeNs = 0;
    double afterNs = 0;
    double changePercent = 0;                           // above 0: slower
    std::optional<BenchmarkInterval> intervalPercent{}; // 95 % confidence
    double probability =
        1;                // that the samples differ so much where nothing has changed, corrected for how many are asked
    std::string reason{}; // of `unclear`
};

struct BenchmarkComparison {
    BenchmarkVerdict verdict = BenchmarkVerdict::unclear; // slower if one is; unclear if one is, or nothing compares
    double minimumEffectPercent = 0;
    std::vector<std::string> reasons{}; // why it could not be told
    std::vector<BenchmarkChange> changes{};
};

struct BenchmarkComparisonOptions {
    double minimumEffectPercent = 4; // what is smaller than this is no change
    double confidencePercent = 95;
};
// By Mann-Whitney with a minimum effect. Pure; any thread.
BenchmarkComparison compare_benchmarks(const BenchmarkRun& before, const BenchmarkRun& after,
                                       const BenchmarkComparisonOptions& options = {});

// One stored measurement of one benchmark.
struct BenchmarkPoint {
    std::int64_t run = 0;
    std::int64_t at = 0;
    std::string label{};
    std::string build{};
    std::int64_t runs = 0;
    double p50Ns = 0;
    double p95Ns = 0;
    double p99Ns = 0;
    bool noisy = false;
    bool baseline = false;
};
// Where a benchmark's history took a step.
struct BenchmarkStep {
    std::int64_t run = 0; // the first on the new level
    std::int64_t at = 0;
    double beforeNs = 0;
    double afterNs = 0;
    double changePercent = 0;
};
struct BenchmarkHistory {
    std::string name;
    std::vector<BenchmarkPoint> points; // oldest first
    std::vector<BenchmarkStep> steps;
};
struct BenchmarkHistoryQuery {
    std::string name{};       // a benchmark or a suite; all if empty
    std::int64_t limit = 100; // the newest so many of each
};

// Which measurement is meant: a stored one by id, the newest, or what was set as the baseline.
struct BenchmarkReference {
    enum class Kind : std::uint8_t { id, latest, baseline };
    Kind kind = Kind::latest;
    std::int64_t id = 0;
};

struct BenchmarkSchedule {
    double everyHours = 0; // 0: none
    std::vector<std::string> names{};
    std::optional<std::int64_t> lastAt{};
    std::optional<std::int64_t> nextAt{}; // not before: the machine must be idle and on mains then
    std::string waitsFor{};               // what kept the last one that was due from being run
};

class BenchmarkLock;

class Benchmarks {
  public:
    using Answered = std::function<void(Result<void>)>;
    // What a finished run was, and how it compares with the baseline if there is one.
    using Finished = std::function<void(const BenchmarkRun&, const std::optional<BenchmarkComparison>&)>;

    struct Host {
        const Clock& clock;
        Timers& timers;
        Store& state;
        std::string data_directory;
        std::string version;
        std::string program = "/proc/self/exe";     // what the suites start
        std::string guard_program{};                // ends a measured command if we are killed; empty: nobody does
        std::vector<std::string> program_options{}; // --config and --set, for what is measured as the app has it
        bool has_components = false;                // then that start is measured
        // Calls a method of this process; empty: methods are measured in processes of their own, over the wire.
        std::function<void(std::string_view method, std::string_view params, Answered)> call_method{};
        std::function<bool()> is_idle{};     // empty: always
        std::function<bool()> is_on_mains{}; // empty: always
        Finished on_finished{};
    };

    static constexpr std::int64_t recheck_ms = 5 * 60'000; // a scheduled run that has to wait is tried again

    explicit Benchmarks(Host host);
    ~Benchmarks();
    Benchmarks(const Benchmarks&) = delete;

    // Adds the tables to the store; before its first use.
    static void add_schema(Store& state);
    // Whether an earlier process left a schedule; one look at the file system.
    static bool has_schedule(const std::string& data_directory);

    std::vector<BenchmarkInfo> list() const;

    // Measures on the calling thread and stores the result. One at a time in a data directory, else -32003 with the
    // process that measures. -32800 if cancelled, -32005 if stop() ended it. What cannot be stored is not lost: the
    // run says so.
    Result<BenchmarkRun> run(const BenchmarkRequest& request, const BenchmarkControl& control = {});
    // The same on a thread of its own. An error that is known at once is returned, then `done` never comes.
    Result<void> start(BenchmarkRequest request, BenchmarkControl control,
                       std::function<void(Result<BenchmarkRun>)> done);

    Result<BenchmarkRun> find(const BenchmarkReference& reference);
    Result<std::vector<BenchmarkHistory>> history(const BenchmarkHistoryQuery& query);
    // Makes the run the baseline of its machine, for the benchmarks it has. The run.
    Result<BenchmarkRun> set_baseline(const BenchmarkReference& reference);
    Result<BenchmarkComparison> compare(const BenchmarkReference& before, const BenchmarkReference& after,
                                        const BenchmarkComparisonOptions& options = {});
    // The run's comparison with the baseline of its machine; nothing if there is none. `unclear` where the baseline
    // cannot be read.
    std::optional<BenchmarkComparison> compare_with_baseline(const BenchmarkRun& run);

    // From now on and in later processes; 0 hours ends it.
    Result<BenchmarkSchedule> set_schedule(double every_hours, std::vector<std::string> names);
    BenchmarkSchedule schedule() const;
    // Goes on with the schedule of an earlier process.
    Result<void> resume_schedule();

    // Ends a run that is under way and the schedule. Before the timers, the store and what call_method calls stop.
    void stop();

  private:
    class Turn;
    Result<void> begin();
    Result<BenchmarkRun> measure(const BenchmarkRequest& request, const BenchmarkControl& control);
    Result<void> check(const BenchmarkRequest& request) const;
    void arm(std::int64_t delay_ms);
    void run_due();

    const Host host_;
    std::atomic<bool> stopping_{false};

    mutable std::mutex mutex_; // guards what follows
    bool running_ = false;
    std::unique_ptr<BenchmarkLock> lock_; // while running
    std::thread thread_;                  // of start(); joined by the next start or stop()
    BenchmarkSchedule schedule_{};
    TimerId timer_{};
};

} // namespace pillion
