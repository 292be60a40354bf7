// The table is drawn anew in place while it is measured, where stdout is a terminal; elsewhere it is printed once, at
// the end. With --json a terminal at stderr sees how far it is.
#include "sidecar/bench_command.h"

#include "modules/benchmarks/benchmarks_rpc.h"
#include "sidecar/bench_table.h"
#include "sidecar/text_table.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace pillion {

namespace {

constexpr int failed = 1;
constexpr int unclear = 2;
constexpr int unusable = 2;
constexpr int interrupted = 130;

// One run of a program of the user's, or of a method, may take as long as a whole suite.
constexpr std::int64_t given_time_ms = 10'000;

std::atomic<bool> is_interrupted{false};

void interrupt(int) { is_interrupted = true; }

void end_on_signals() {
    struct sigaction action {};
    action.sa_handler = interrupt;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

int complain(const Error& error, int status) {
    print_error(error);
    return status;
}

// What Benchmarks needs, without the rest of the application.
class Bench {
  public:
    Bench(const ApplicationOptions& options, bool has_components)
        : io_(system_clock()), state_(StoreOptions{.path = options.data_directory + "/state.db"}, system_clock()),
          benchmarks_({.clock = system_clock(),
                       .timers = io_,
                       .state = with_tables(state_),
                       .data_directory = options.data_directory,
                       .version = PILLION_VERSION,
                       .guard_program = "/proc/self/exe",
                       .program_options = program_options(options),
                       .has_components = has_components}) {}
    ~Bench() {
        benchmarks_.stop();
        state_.stop();
        io_.stop();
    }
    Bench(const Bench&) = delete;
    Benchmarks& operator*() { return benchmarks_; }
    Benchmarks* operator->() { return &benchmarks_; }

  private:
    static Store& with_tables(Store& state) {
        Benchmarks::add_schema(state);
        return state;
    }

    Io io_;
    Store state_;
    Benchmarks benchmarks_;
};

BenchmarkRequest request_of(const Command& command) {
    BenchmarkRequest request{.names = command.suites,
                             .command = command.program,
                             .method = command.method,
                             .params = command.params,
                             .label = command.label};
    BenchmarkSettings& settings = request.settings;
    if (!request.command.empty() || !request.method.empty()) settings.timeMs = given_time_ms;
    if (command.seconds)
        settings.timeMs = std::max<std::int64_t>(1, static_cast<std::int64_t>(*command.seconds * 1000));
    if (command.timeout_seconds)
        settings.timeoutMs = std::max<std::int64_t>(1, static_cast<std::int64_t>(*command.timeout_seconds * 1000));
    settings.runs = command.runs.value_or(settings.runs);
    settings.runsMax = std::max(settings.runsMax, settings.runs);
    return request;
}

// Shows how far it is: the table on a terminal, one line where the table goes elsewhere.
class Follower {
  public:
    explicit Follower(const Command& command)
        : draws_table_(!command.as_json && isatty(STDOUT_FILENO) == 1),
          draws_line_(!draws_table_ && isatty(STDERR_FILENO) == 1) {}
    ~Follower() { end(); }
    Follower(const Follower&) = delete;

    BenchmarkControl control() {
        BenchmarkControl control{.is_cancelled = [] { return is_interrupted.load(); }};
        if (draws_table_ || draws_line_)
            control.progress = [this](double percentage, std::string_view what) { note(percentage, what); };
        if (draws_table_)
            control.update = [this](const std::vector<BenchmarkResult>& so_far) {
                screen_.draw(live_report(so_far, progress_, stdout_page()));
            };
        return control;
    }
    // What is printed next replaces it.
    void end() {
        screen_.clear();
        if (draws_line_) std::fputs("\r\033[K", stderr);
    }

  private:
    void note(double percentage, std::string_view what) {
        progress_ = {.percentage = percentage,
                     .what = std::string(what),
                     .elapsed_ms = (system_clock().now_ns() - began_ns_) / 1'000'000};
        if (!draws_line_) return;
        const std::string left = time_left(progress_);
        std::fprintf(stderr, "\r\033[K%3.0f %%  %s%s%s", percentage, left.c_str(), left.empty() ? "" : "  ",
                     progress_.what.c_str());
    }

    const bool draws_table_;
    const bool draws_line_;
    const std::int64_t began_ns_ = system_clock().now_ns();
    BenchProgress progress_{};
    BenchScreen screen_;
};

int print_run(const Command& command, const BenchmarkRun& run, const std::optional<BenchmarkComparison>& compared) {
    const bool is_complete =
        std::ranges::none_of(run.results, [](const BenchmarkResult& result) { return result.error.has_value(); });
    if (command.as_json) {
        const int printed = print_text(benchmark_file_text(run) + "\n");
        return is_complete ? printed : failed;
    }
    const BenchPage page = stdout_page();
    std::string text = bench_report(run, page);
    if (compared) text += "\ncompared with the baseline:\n" + comparison_report(*compared, page);
    const int printed = print_text(text);
    return is_complete ? printed : failed;
}

// A file that is there, or else what names a stored measurement.
Result<BenchmarkRun> read_run(Bench& bench, const std::string& name) {
    using Kind = BenchmarkReference::Kind;
    std::ifstream file(name, std::ios::binary);
    if (file) {
        const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
        return parse_benchmark_file(name, text);
    }
    if (name == "latest") return bench->find({.kind = Kind::latest});
    if (name == "baseline") return bench->find({.kind = Kind::baseline});
    std::int64_t id = 0;
    const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (status == std::errc{} && end == name.data() + name.size()) return bench->find({.kind = Kind::id, .id = id});
    return fail(ErrorCode::not_found, name + ": there is no such file, and it is no number of a stored measurement, "
                                             "`latest` or `baseline`");
}

} // namespace

int bench_run(const ApplicationOptions& options, const Command& command) {
    bool has_components = false;
    {
        const auto application = Application::create(options, -1); // checks the configuration
        if (!application) return complain(application.error(), unusable);
        has_components = !(*application)->parts().components().list().empty();
    }
    end_on_signals();
    Bench bench(options, has_components);
    Follower follower(command);
    const auto run = bench->run(request_of(command), follower.control());
    follower.end();
    if (!run) {
        if (is_interrupted) {
            std::fputs("pillion: interrupted; nothing was stored\n", stderr);
            return interrupted;
        }
        const bool is_usage =
            run.error().code == ErrorCode::invalid_params || run.error().code == ErrorCode::method_not_found;
        return complain(run.error(), is_usage ? unusable : failed);
    }
    // With what was the baseline until now.
    const auto compared = command.as_json ? std::nullopt : bench->compare_with_baseline(*run);
    if (command.is_baseline && !run->notStored)
        if (const auto set = bench->set_baseline({.kind = BenchmarkReference::Kind::id, .id = run->id}); !set)
            return complain(set.error(), failed);
    return print_run(command, *run, compared);
}

int bench_compare(const ApplicationOptions& options, const Command& command) {
    Bench bench(options, false);
    BenchmarkComparisonOptions wanted;
    wanted.minimumEffectPercent = command.minimum_effect_percent.value_or(wanted.minimumEffectPercent);
    const auto before = read_run(bench, command.before);
    if (!before) return complain(before.error(), unclear);
    const auto after = read_run(bench, command.after);
    if (!after) return complain(after.error(), unclear);
    const BenchmarkComparison comparison = compare_benchmarks(*before, *after, wanted);
    if (print_text(command.as_json ? benchmark_comparison_text(comparison) + "\n"
                                   : comparison_report(comparison, stdout_page())) != 0)
        return unclear;
    if (comparison.verdict == BenchmarkVerdict::unclear) return unclear;
    return comparison.verdict == BenchmarkVerdict::slower ? failed : 0;
}

int bench_list(bool as_json) {
    Bench bench(ApplicationOptions{}, false);
    const std::vector<BenchmarkInfo> infos = bench->list();
    if (as_json) return print_text(benchmark_list_text(infos) + "\n");
    TableRows rows{{"SUITE", "BENCHMARK", "ONE OPERATION"}};
    for (const BenchmarkInfo& info : infos) rows.push_back({info.suite, info.name, info.summary});
    return print_text(aligned(rows));
}

} // namespace pillion
