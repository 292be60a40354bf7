// The table is drawn anew in place while it is measured, where stdout is a terminal; elsewhere it is printed once, at
// the end. With --json a terminal at stderr sees how far it is.
#include "sidecar/bench_command.h"

#include "modules/benchmarks/benchmarks_rpc.h"
#include "sidecar/text_table.h"

#include <algorithm>
#include <array>
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

// Three digits, and the unit that suits them.
std::string duration(double ns) {
    constexpr std::array<std::string_view, 4> units{"ns", "us", "ms", "s"};
    std::size_t unit = 0;
    while (ns >= 999.5 && unit + 1 < units.size()) {
        ns /= 1000;
        ++unit;
    }
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%.*f %s", ns < 9.995 ? 2 : ns < 99.95 ? 1 : 0, ns, units[unit].data());
    return text.data();
}

std::string percent(double value) { return formatted("%+.1f %%", value); }

// Half the width of the interval, as a share of the value.
std::string spread(const std::optional<BenchmarkInterval>& interval, double value) {
    if (!interval || !(value > 0)) return "-";
    return formatted("%.1f %%", (interval->high - interval->low) / 2 / value * 100);
}

std::string table_of(const std::vector<BenchmarkResult>& results) {
    TableRows rows{{"BENCHMARK", "P50", "+-", "P95", "P99", "RUNS", "NOTE"}};
    for (const BenchmarkResult& result : results) {
        if (result.error)
            rows.push_back({result.name, "-", "-", "-", "-", std::to_string(result.runs), "failed"});
        else if (result.samples.empty())
            rows.push_back({result.name, "", "", "", "", "", ""});
        else
            rows.push_back({result.name, duration(result.p50Ns), spread(result.p50IntervalNs, result.p50Ns),
                            duration(result.p95Ns), duration(result.p99Ns), std::to_string(result.runs),
                            result.noisy ? "noisy" : ""});
    }
    return aligned(rows);
}

// What stands below the table once it is complete.
std::string notes_of(const BenchmarkRun& run) {
    std::string text;
    for (const BenchmarkResult& result : run.results) {
        if (result.error) text += "\n" + result.name + " failed: " + *result.error;
        for (const std::string& reason : result.noise) text += "\n" + result.name + ": " + reason;
    }
    text += text.empty() ? "\n" : "\n\n";
    return text + "stored as " + std::to_string(run.id) + "; build " + run.build.fingerprint + ", machine " +
           run.machine.fingerprint + "\n";
}

std::string table_of(const BenchmarkComparison& comparison) {
    TableRows rows{{"BENCHMARK", "BEFORE", "AFTER", "CHANGE", "95 %", "VERDICT"}};
    for (const BenchmarkChange& change : comparison.changes) {
        const bool is_compared = change.intervalPercent.has_value();
        rows.push_back(
            {change.name, is_compared ? duration(change.beforeNs) : "-", is_compared ? duration(change.afterNs) : "-",
             is_compared ? percent(change.changePercent) : "-",
             is_compared ? percent(change.intervalPercent->low) + " to " + percent(change.intervalPercent->high) : "-",
             std::string(wire::type_of<BenchmarkVerdict>.enumerators[static_cast<std::size_t>(change.verdict)])});
    }
    std::string text = aligned(rows);
    for (const BenchmarkChange& change : comparison.changes)
        if (!change.reason.empty()) text += "\n" + change.name + ": " + change.reason;
    for (const std::string& reason : comparison.reasons) text += "\n" + reason;
    if (!text.ends_with('\n')) text += '\n';
    return text;
}

std::string conclusion(const BenchmarkComparison& comparison) {
    using enum BenchmarkVerdict;
    switch (comparison.verdict) {
    case slower:
        return "\nslower\n";
    case unclear:
        return "\nit cannot be told whether anything is slower\n";
    case faster:
        return "\nfaster, and nothing is slower\n";
    case same:
        break;
    }
    return "\nnothing is slower\n";
}

// Draws over what it drew before.
class LiveTable {
  public:
    void draw(const std::string& text) {
        std::string out = lines_ > 0 ? "\033[" + std::to_string(lines_) + "A" : "";
        for (const char c : text) out += c == '\n' ? std::string("\033[K\n") : std::string(1, c);
        print_text(out);
        lines_ = std::ranges::count(text, '\n');
    }
    // What is printed next replaces it.
    void clear() {
        if (lines_ > 0) print_text("\033[" + std::to_string(lines_) + "A\033[J");
        lines_ = 0;
    }

  private:
    std::ptrdiff_t lines_ = 0;
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
    settings.runs = command.runs.value_or(settings.runs);
    settings.runsMax = std::max(settings.runsMax, settings.runs);
    return request;
}

BenchmarkControl control_of(const Command& command, LiveTable& live) {
    BenchmarkControl control{.is_cancelled = [] { return is_interrupted.load(); }};
    if (!command.as_json && isatty(STDOUT_FILENO) == 1)
        control.update = [&live](const std::vector<BenchmarkResult>& so_far) { live.draw(table_of(so_far)); };
    else if (isatty(STDERR_FILENO) == 1)
        control.progress = [](double share, std::string_view what) {
            std::fprintf(stderr, "\r\033[K%3.0f %% %.*s", share, static_cast<int>(what.size()), what.data());
        };
    return control;
}

int print_run(Bench& bench, const Command& command, const BenchmarkRun& run) {
    const bool is_complete =
        std::ranges::none_of(run.results, [](const BenchmarkResult& result) { return result.error.has_value(); });
    if (command.as_json) {
        const int printed = print_text(benchmark_file_text(run) + "\n");
        return is_complete ? printed : failed;
    }
    std::string text = table_of(run.results) + notes_of(run);
    const auto compared = bench->compare_with_baseline(run);
    if (!compared) return complain(compared.error(), failed);
    if (*compared) text += "\ncompared with the baseline:\n" + table_of(**compared) + conclusion(**compared);
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
    LiveTable live;
    const BenchmarkControl control = control_of(command, live);
    const auto run = bench->run(request_of(command), control);
    live.clear();
    if (control.progress) std::fputs("\r\033[K", stderr);
    if (!run) {
        if (is_interrupted) return interrupted;
        const bool is_usage =
            run.error().code == ErrorCode::invalid_params || run.error().code == ErrorCode::method_not_found;
        return complain(run.error(), is_usage ? unusable : failed);
    }
    if (command.is_baseline)
        if (const auto set = bench->set_baseline({.kind = BenchmarkReference::Kind::id, .id = run->id}); !set)
            return complain(set.error(), failed);
    return print_run(bench, command, *run);
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
                                   : table_of(comparison) + conclusion(comparison)) != 0)
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
