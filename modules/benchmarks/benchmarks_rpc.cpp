#include "modules/benchmarks/benchmarks_rpc.h"

#include "ipc/json_scanner.h"
#include "ipc/wire_text.h"

#include <algorithm>
#include <set>

namespace pillion {

struct BenchmarksRunParams {
    std::optional<std::string> suite{};
    std::vector<std::string> names{};
    std::optional<std::string> method{};
    Json params{"{}"};
    std::vector<std::string> command{};
    std::optional<std::string> label{};
    std::optional<std::int64_t> runs{};
    std::optional<std::int64_t> runsMax{};
    std::optional<std::int64_t> warmupMs{};
    std::optional<std::int64_t> timeMs{};
    std::optional<std::int64_t> timeoutMs{};
    bool baseline = false;
};
PILLION_WIRE(
    BenchmarksRunParams,
    PILLION_FIELD(suite, "One suite or one benchmark; everything if nothing at all is named.", between(1, 64)),
    PILLION_FIELD(names, "Suites and benchmarks, as benchmarks.list names them.", between(0, 64), defaulted),
    PILLION_FIELD(method, "A method to be measured, in this process.", between(1, 256)),
    PILLION_FIELD(params, "Its params: an object or an array.", defaulted),
    PILLION_FIELD(
        command,
        "A program and its arguments, to be run to its end; what it leaves running is ended. The benchmark is "
        "called `command.` and the program's name, whatever its arguments are.",
        between(0, 256), defaulted),
    PILLION_FIELD(label, "What this run is called in the history.", between(0, 256)),
    PILLION_FIELD(runs, "At least so many runs; 30 if left out.", between(1, 10'000)),
    PILLION_FIELD(runsMax, "At most so many; 200 if left out, or `runs` if that is more.", between(1, 10'000)),
    PILLION_FIELD(warmupMs, "Warm-up of each benchmark; 50 if left out.", between(0, 600'000)),
    PILLION_FIELD(timeMs, "Milliseconds of each benchmark past which there are no more than `runs`; 1,500 if left out.",
                  between(1, 3'600'000)),
    PILLION_FIELD(timeoutMs, "How long one operation may take; 60,000 if left out.", between(1, 3'600'000)),
    PILLION_FIELD(baseline, "Whether it becomes the baseline at once.", defaulted))

struct BenchmarksRunResult {
    BenchmarkRun run{};
    std::optional<BenchmarkComparison> comparison{};
};
PILLION_WIRE(BenchmarksRunResult, PILLION_FIELD(run, "What was measured."),
             PILLION_FIELD(comparison, "With the baseline; absent if none was set for these benchmarks."))

struct BenchmarksHistoryParams {
    std::optional<std::string> name{};
    std::int64_t limit = 100;
};
PILLION_WIRE(BenchmarksHistoryParams, PILLION_FIELD(name, "A suite or a benchmark; all if left out.", between(1, 256)),
             PILLION_FIELD(limit, "The newest so many measurements of each.", between(1, 1000), defaulted))

struct BenchmarksBaselineParams {
    std::optional<std::int64_t> run{};
};
PILLION_WIRE(BenchmarksBaselineParams, PILLION_FIELD(run, "A stored run; the newest if left out.", at_least(1)))

struct BenchmarksBaselineResult {
    std::int64_t run = 0;
    std::vector<std::string> benchmarks{};
};
PILLION_WIRE(BenchmarksBaselineResult, PILLION_FIELD(run, "The run that is the baseline now."),
             PILLION_FIELD(benchmarks, "Of which benchmarks; the baselines of others stay."))

struct BenchmarksCompareParams {
    std::optional<std::int64_t> before{};
    std::optional<std::int64_t> after{};
    double minimumEffectPercent = 4;
    double confidencePercent = 95;
};
PILLION_WIRE(BenchmarksCompareParams, PILLION_FIELD(before, "A stored run; the baseline if left out.", at_least(1)),
             PILLION_FIELD(after, "A stored run; the newest if left out.", at_least(1)),
             PILLION_FIELD(minimumEffectPercent, "What is smaller is no change.", between(0.1, 100), defaulted),
             PILLION_FIELD(confidencePercent, "How sure a change must be.", between(50, 99.99), defaulted))

struct BenchmarksScheduleParams {
    std::optional<double> everyHours{};
    std::vector<std::string> names{};
};
PILLION_WIRE(BenchmarksScheduleParams,
             PILLION_FIELD(everyHours,
                           "Hours from one run to the next; 0 ends the schedule; left out, it is only told.",
                           between(0, 8760)),
             PILLION_FIELD(names, "What is run; everything if empty.", between(0, 64), defaulted))

namespace {

BenchmarkRequest request_of(BenchmarksRunParams& params) {
    BenchmarkRequest request{.suite = params.suite.value_or(""),
                             .names = std::move(params.names),
                             .command = std::move(params.command),
                             .method = params.method.value_or(""),
                             .params = std::move(params.params.text),
                             .label = params.label.value_or("")};
    BenchmarkSettings& settings = request.settings;
    settings.runs = params.runs.value_or(settings.runs);
    settings.runsMax = params.runsMax.value_or(std::max(settings.runsMax, settings.runs));
    settings.warmupMs = params.warmupMs.value_or(settings.warmupMs);
    settings.timeMs = params.timeMs.value_or(settings.timeMs);
    settings.timeoutMs = params.timeoutMs.value_or(settings.timeoutMs);
    return request;
}

Result<BenchmarksRunResult> finish(Benchmarks& benchmarks, Result<BenchmarkRun> measured, bool is_baseline) {
    BenchmarksRunResult result{.run = PILLION_TRY(std::move(measured))};
    result.comparison = benchmarks.compare_with_baseline(result.run);
    if (is_baseline && !result.run.notStored)
        PILLION_TRY(benchmarks.set_baseline({.kind = BenchmarkReference::Kind::id, .id = result.run.id}));
    return result;
}

void run(Benchmarks& benchmarks, BenchmarksRunParams params, Reply<BenchmarksRunResult> reply) {
    const auto answer = std::make_shared<Reply<BenchmarksRunResult>>(std::move(reply));
    Call& call = answer->call(); // stays as long as its reply
    BenchmarkControl control{
        .is_cancelled = [&call] { return call.is_cancelled(); },
        .progress = [&call](double percentage, std::string_view what) { call.report_progress(percentage, what); }};
    const bool is_baseline = params.baseline;
    const auto started = benchmarks.start(request_of(params), std::move(control),
                                          [&benchmarks, answer, is_baseline](Result<BenchmarkRun> measured) {
                                              (*answer)(finish(benchmarks, std::move(measured), is_baseline));
                                          });
    if (!started) (*answer)(std::unexpected(started.error()));
}

BenchmarkReference reference_of(const std::optional<std::int64_t>& id, BenchmarkReference::Kind otherwise) {
    return id ? BenchmarkReference{BenchmarkReference::Kind::id, *id} : BenchmarkReference{otherwise, 0};
}

// What stands before a run's members in a file.
constexpr std::string_view file_head = R"({"format":"pillion-benchmarks","version":1,)";

// A file's own members, and the run's as one object.
struct FileParts {
    std::string format;
    std::string version;
    std::string run;
};

Result<FileParts> take_apart(std::string_view name, std::string_view text) {
    const auto no_json = [&](const JsonScanner& scanner, std::string_view why) {
        return fail(ErrorCode::corrupt, std::string(name) + " is not the JSON of pillion bench --json: " +
                                            std::string(why) + " at byte " + std::to_string(scanner.offset()));
    };
    JsonScanner scanner(text);
    if (scanner.peek() != JsonKind::object || !scanner.enter('{')) return no_json(scanner, "an object is expected");
    FileParts parts;
    std::string_view key;
    while (scanner.next_member(key)) {
        std::string_view value;
        if (!scanner.read_value(value)) break;
        if (key == "format")
            parts.format = value;
        else if (key == "version")
            parts.version = value;
        else
            parts.run += (parts.run.empty() ? "{\"" : ",\"") + std::string(key) + "\":" + std::string(value);
    }
    if (scanner.failed()) return no_json(scanner, scanner.reason());
    if (!scanner.at_end()) return no_json(scanner, "something follows the object");
    parts.run += parts.run.empty() ? "{}" : "}";
    return parts;
}

Result<void> check_results(std::string_view name, const BenchmarkRun& run) {
    std::set<std::string_view> names;
    for (const BenchmarkResult& result : run.results) {
        if (!names.insert(result.name).second)
            return fail(ErrorCode::corrupt, std::string(name) + " has two results of " + result.name);
        for (const double ns : result.samples)
            if (!(ns > 0))
                return fail(ErrorCode::corrupt, std::string(name) + ": a sample of " + result.name +
                                                    " is no duration: " + std::to_string(ns));
    }
    return {};
}

} // namespace

BenchmarksFinished benchmarks_finished_payload(const BenchmarkRun& run,
                                               const std::optional<BenchmarkComparison>& comparison) {
    BenchmarksFinished finished{.run = run.id, .label = run.label};
    for (const BenchmarkResult& result : run.results)
        if (result.error) finished.failed.push_back(result.name);
    if (!comparison) return finished;
    finished.verdict = comparison->verdict;
    for (const BenchmarkChange& change : comparison->changes)
        if (change.verdict == BenchmarkVerdict::slower) finished.slower.push_back(change.name);
    return finished;
}

std::vector<Method> benchmarks_methods(Benchmarks& benchmarks) {
    std::vector<Method> methods;
    methods.push_back(list_method(
        "benchmarks.list", "The benchmarks there are.", Lane::pooled,
        [&benchmarks](const NoParams&) -> Result<std::vector<BenchmarkInfo>> { return benchmarks.list(); }));
    methods.push_back(
        async_method<BenchmarksRunParams, BenchmarksRunResult>(
            "benchmarks.run",
            "Measures: suites, single benchmarks, a method or a command; stores the result. One run at a time.",
            [&benchmarks](const BenchmarksRunParams& params, Reply<BenchmarksRunResult> reply) {
                run(benchmarks, params, std::move(reply));
            })
            .alias("run_performance_benchmarks"));
    methods.push_back(async_method<BenchmarksRunParams, BenchmarksRunResult>(
        "run_startup_benchmark", "benchmarks.run of the startup suite.",
        [&benchmarks](const BenchmarksRunParams& params, Reply<BenchmarksRunResult> reply) {
            BenchmarksRunParams startup = params;
            if (!startup.suite && startup.names.empty() && !startup.method && startup.command.empty())
                startup.suite = "startup";
            run(benchmarks, std::move(startup), std::move(reply));
        }));
    methods.push_back(
        list_method("benchmarks.history", "What was measured on this machine, and where it took steps.", Lane::pooled,
                    [&benchmarks](const BenchmarksHistoryParams& params) {
                        return benchmarks.history({.name = params.name.value_or(""), .limit = params.limit});
                    })
            .alias("get_benchmark_history"));
    methods.push_back(
        method("benchmarks.setBaseline", "Makes a stored run the baseline that later ones are compared with.",
               Lane::pooled, [&benchmarks](const BenchmarksBaselineParams& params) -> Result<BenchmarksBaselineResult> {
                   const BenchmarkRun run =
                       PILLION_TRY(benchmarks.set_baseline(reference_of(params.run, BenchmarkReference::Kind::latest)));
                   BenchmarksBaselineResult result{.run = run.id};
                   for (const BenchmarkResult& one : run.results)
                       if (!one.error) result.benchmarks.push_back(one.name);
                   return result;
               }));
    methods.push_back(method("benchmarks.compare", "Tells whether one stored run is slower than another.", Lane::pooled,
                             [&benchmarks](const BenchmarksCompareParams& params) -> Result<BenchmarkComparison> {
                                 return benchmarks.compare(
                                     reference_of(params.before, BenchmarkReference::Kind::baseline),
                                     reference_of(params.after, BenchmarkReference::Kind::latest),
                                     {.minimumEffectPercent = params.minimumEffectPercent,
                                      .confidencePercent = params.confidencePercent});
                             }));
    methods.push_back(
        method("benchmarks.schedule",
               "Runs benchmarks every so many hours, while the machine is idle and on mains; or tells the schedule.",
               Lane::pooled, [&benchmarks](const BenchmarksScheduleParams& params) -> Result<BenchmarkSchedule> {
                   if (params.everyHours) return benchmarks.set_schedule(*params.everyHours, params.names);
                   if (!params.names.empty())
                       return fail(ErrorCode::invalid_params, "names go with everyHours", "/names");
                   return benchmarks.schedule();
               }));
    return methods;
}

std::string benchmark_file_text(const BenchmarkRun& run) {
    return std::string(file_head) + wire::text_of(run).substr(1);
}

std::string benchmark_list_text(const std::vector<BenchmarkInfo>& infos) {
    return "{\"items\":" + wire::text_of(infos) + "}";
}

std::string benchmark_comparison_text(const BenchmarkComparison& comparison) { return wire::text_of(comparison); }

Result<BenchmarkRun> parse_benchmark_file(std::string_view name, std::string_view text) {
    const FileParts parts = PILLION_TRY(take_apart(name, text));
    if (parts.format != "\"pillion-benchmarks\"")
        return fail(ErrorCode::corrupt, std::string(name) + " is not the JSON of pillion bench --json: its format is " +
                                            (parts.format.empty() ? "not said" : parts.format));
    if (parts.version != "1")
        return fail(ErrorCode::corrupt, std::string(name) + " is of version " +
                                            (parts.version.empty() ? "none" : parts.version) +
                                            " of the format, and this program reads version 1");
    BenchmarkRun run;
    std::string scratch;
    if (auto decoded = wire::decode_value(wire::type_of<BenchmarkRun>, parts.run, &run, scratch); !decoded)
        return fail(ErrorCode::corrupt, std::string(name) + ": " + decoded.error().message);
    PILLION_TRY(check_results(name, run));
    return run;
}

} // namespace pillion
