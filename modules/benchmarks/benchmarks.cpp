#include "modules/benchmarks/benchmarks.h"

#include "ipc/nearest.h"
#include "modules/benchmarks/benchmark_case.h"
#include "modules/benchmarks/benchmark_history.h"
#include "modules/benchmarks/benchmark_lock.h"
#include "modules/benchmarks/benchmark_machine.h"
#include "modules/benchmarks/benchmark_measure.h"
#include "modules/benchmarks/benchmark_schedule.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::string_view folder_prefix = "benchmark-run-";
constexpr double schedule_hours_max = 24.0 * 365;

std::vector<BenchmarkDeclaration> catalogue(const Benchmarks::Host& host) {
    std::vector<BenchmarkDeclaration> all;
    for (auto&& suite : {startup_benchmarks(host), ipc_benchmarks(), memory_benchmarks(), filesystem_benchmarks(),
                         database_benchmarks(), cache_benchmarks()})
        all.insert(all.end(), suite.begin(), suite.end());
    return all;
}

// Files that are measured lie where the app's data lies: on the same disk. Gone with this.
class MeasuringFolder {
  public:
    static Result<MeasuringFolder> create(const std::string& data_directory) {
        std::error_code failed;
        std::filesystem::create_directories(data_directory, failed);
        remove_left_behind(data_directory);
        std::string path = data_directory + "/" + std::string(folder_prefix) + "XXXXXX";
        if (mkdtemp(path.data()) == nullptr)
            return fail(ErrorCode::unavailable,
                        "no folder for the files to be measured can be made in " + data_directory);
        return MeasuringFolder(std::move(path));
    }
    MeasuringFolder(MeasuringFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    ~MeasuringFolder() {
        std::error_code ignored;
        if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

  private:
    explicit MeasuringFolder(std::string path) : path_(std::move(path)) {}
    // Of runs that were killed.
    static void remove_left_behind(const std::string& data_directory) {
        std::error_code failed;
        const auto yesterday = std::filesystem::file_time_type::clock::now() - std::chrono::hours(24);
        for (const auto& entry : std::filesystem::directory_iterator(data_directory, failed))
            if (entry.path().filename().string().starts_with(folder_prefix) &&
                entry.last_write_time(failed) < yesterday)
                std::filesystem::remove_all(entry.path(), failed);
    }
    std::string path_;
};

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Result<void> check_settings(const BenchmarkSettings& settings) {
    const auto check = [](std::string_view name, std::int64_t value, std::int64_t low, std::int64_t high) {
        if (value >= low && value <= high) return Result<void>{};
        return Result<void>(fail(ErrorCode::invalid_params,
                                 std::string(name) + " must be between " + std::to_string(low) + " and " +
                                     std::to_string(high) + ", got " + std::to_string(value),
                                 "/" + std::string(name)));
    };
    PILLION_TRY(check("runs", settings.runs, 1, 10'000));
    PILLION_TRY(check("runsMax", settings.runsMax, 1, 10'000));
    PILLION_TRY(check("warmupMs", settings.warmupMs, 0, 600'000));
    PILLION_TRY(check("timeMs", settings.timeMs, 1, 3'600'000));
    PILLION_TRY(check("timeoutMs", settings.timeoutMs, 1, 3'600'000));
    if (settings.runsMax < settings.runs)
        return fail(ErrorCode::invalid_params,
                    "runsMax is " + std::to_string(settings.runsMax) + " and less than runs, which is " +
                        std::to_string(settings.runs),
                    "/runsMax");
    return {};
}

Result<void> check_name(const std::vector<BenchmarkDeclaration>& all, const std::string& name,
                        std::string_view field = "/names") {
    NearestName nearest(name);
    std::string suites;
    std::string_view last;
    for (const BenchmarkDeclaration& declared : all) {
        if (declared.name == name || declared.suite == name) return {};
        nearest.consider(declared.name);
        nearest.consider(declared.suite);
        if (declared.suite != last) suites += (suites.empty() ? "" : ", ") + declared.suite;
        last = declared.suite;
    }
    const std::string best(nearest.best());
    return fail(ErrorCode::invalid_params,
                "there is no suite or benchmark \"" + name + "\"" +
                    (best.empty() ? "; the suites are " + suites : "; did you mean " + best + "?"),
                std::string(field), best);
}

Result<void> check_method(const BenchmarkRequest& request) {
    const std::string& method = request.method;
    // It becomes part of a request as it stands.
    if (method.find_first_of("\"\\\n") != std::string::npos)
        return fail(ErrorCode::method_not_found, "there is no method \"" + method + "\"", "/method");
    if (method.starts_with("benchmarks.") || method == "run_startup_benchmark" ||
        method == "run_performance_benchmarks")
        return fail(ErrorCode::invalid_params, method + " cannot measure itself", "/method");
    if (method == "shutdown" || method == "shutdown_performance_manager")
        return fail(ErrorCode::invalid_params, method + " would end the process that is measured", "/method");
    const std::size_t first = request.params.find_first_not_of(" \t\r\n");
    if (first != std::string::npos && request.params[first] != '{' && request.params[first] != '[')
        return fail(ErrorCode::invalid_params,
                    "params must be an object or an array, got " + request.params.substr(0, 100), "/params");
    return {};
}

Result<void> check_command(const std::vector<std::string>& command) {
    if (!command.empty() && command.front().empty())
        return fail(ErrorCode::invalid_params, "the command is empty", "/command/0");
    for (std::size_t word = 0; word < command.size(); ++word)
        if (command[word].find('\0') != std::string::npos)
            return fail(ErrorCode::invalid_params, "a word of a command cannot hold a character of code 0",
                        "/command/" + std::to_string(word));
    return {};
}

// A baseline may be of more benchmarks than were run now.
void leave_measured(BenchmarkRun& baseline, const BenchmarkRun& run) {
    std::erase_if(baseline.results, [&run](const BenchmarkResult& result) {
        return std::ranges::find(run.results, result.name, &BenchmarkResult::name) == run.results.end();
    });
}

} // namespace

// One measurement at a time.
class Benchmarks::Turn {
  public:
    explicit Turn(Benchmarks& owner) : owner_(owner) {}
    ~Turn() {
        const std::lock_guard lock(owner_.mutex_);
        owner_.running_ = false;
        owner_.lock_.reset();
    }
    Turn(const Turn&) = delete;

  private:
    Benchmarks& owner_;
};

Benchmarks::Benchmarks(Host host) : host_(std::move(host)) {}
Benchmarks::~Benchmarks() { stop(); }

void Benchmarks::add_schema(Store& state) { add_benchmark_tables(state); }

bool Benchmarks::has_schedule(const std::string& data_directory) {
    return access(benchmark_schedule_path(data_directory).c_str(), F_OK) == 0;
}

std::vector<BenchmarkInfo> Benchmarks::list() const {
    std::vector<BenchmarkInfo> infos;
    for (const BenchmarkDeclaration& declared : catalogue(host_))
        infos.push_back({declared.name, declared.suite, declared.summary});
    return infos;
}

Result<void> Benchmarks::check(const BenchmarkRequest& request) const {
    PILLION_TRY(check_settings(request.settings));
    const auto all = catalogue(host_);
    if (!request.suite.empty()) PILLION_TRY(check_name(all, request.suite, "/suite"));
    for (const std::string& name : request.names) PILLION_TRY(check_name(all, name));
    PILLION_TRY(check_command(request.command));
    return check_method(request);
}

Result<void> Benchmarks::begin() {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(ErrorCode::unavailable, "the program is ending");
    if (running_)
        return fail(ErrorCode::conflict, "a benchmark is running; two at once would measure each other", {},
                    "wait for its end");
    lock_ = std::make_unique<BenchmarkLock>(PILLION_TRY(BenchmarkLock::take(host_.data_directory)));
    running_ = true;
    return {};
}

Result<BenchmarkRun> Benchmarks::run(const BenchmarkRequest& request, const BenchmarkControl& control) {
    PILLION_TRY(check(request));
    PILLION_TRY(begin());
    const Turn turn(*this);
    return measure(request, control);
}

Result<void> Benchmarks::start(BenchmarkRequest request, BenchmarkControl control,
                               std::function<void(Result<BenchmarkRun>)> done) {
    PILLION_TRY(check(request));
    PILLION_TRY(begin());
    std::thread before;
    {
        const std::lock_guard lock(mutex_);
        before = std::move(thread_);
    }
    if (before.joinable()) before.join(); // it has ended, or is about to
    const std::lock_guard lock(mutex_);
    thread_ = std::thread([this, request = std::move(request), control = std::move(control), done = std::move(done)] {
        Result<BenchmarkRun> result = [&] {
            const Turn turn(*this);
            return measure(request, control);
        }();
        done(std::move(result));
    });
    return {};
}

Result<BenchmarkRun> Benchmarks::measure(const BenchmarkRequest& request, const BenchmarkControl& control) {
    const std::int64_t began_ns = host_.clock.now_ns();
    BenchmarkRun run{.at = host_.clock.wall_ms(),
                     .label = request.label,
                     .machine = read_benchmark_machine(),
                     .build = PILLION_TRY(read_benchmark_build(host_.program, host_.version)),
                     .settings = request.settings};
    BenchmarkControl watched = control;
    watched.is_cancelled = [this, &control] {
        return stopping_.load() || (control.is_cancelled && control.is_cancelled());
    };
    const MeasuringFolder folder = PILLION_TRY(MeasuringFolder::create(host_.data_directory));
    PlainChildren children;
    const BenchmarkSurroundings around{.host = host_,
                                       .children = children,
                                       .folder = folder.path(),
                                       .timeout_ms = request.settings.timeoutMs,
                                       .is_cancelled = watched.is_cancelled};
    std::vector<BenchmarkSubject> subjects;
    const bool names_nothing =
        request.suite.empty() && request.names.empty() && request.command.empty() && request.method.empty();
    const auto is_named = [&request](const std::string& name) {
        return name == request.suite || std::ranges::find(request.names, name) != request.names.end();
    };
    for (const BenchmarkDeclaration& declared : catalogue(host_))
        if (names_nothing || is_named(declared.name) || is_named(declared.suite))
            subjects.push_back({declared.name, declared.suite, declared.make(around)});
    if (!request.command.empty())
        subjects.push_back(
            {"command." + base_name(request.command.front()), "command", command_benchmark(request.command, around)});
    if (!request.method.empty()) {
        const std::string params = request.params.empty() ? "{}" : request.params;
        subjects.push_back({"method." + request.method, "method",
                            host_.call_method ? method_benchmark(request.method, params, around)
                                              : served_method_benchmark(request.method, params, around)});
    }

    auto results = measure_benchmarks(std::move(subjects), request.settings,
                                      {.clock = host_.clock, .activity = read_machine_activity, .control = watched});
    if (!results && stopping_) return fail(ErrorCode::unavailable, "the program ended before the benchmark did");
    run.results = PILLION_TRY(std::move(results));
    run.durationMs = static_cast<double>(host_.clock.now_ns() - began_ns) / 1e6;
    if (const auto stored = store_benchmark_run(host_.state, run); !stored) {
        run.id = 0;
        run.notStored = stored.error().message;
    }
    if (host_.on_finished) host_.on_finished(run, compare_with_baseline(run));
    return run;
}

Result<BenchmarkRun> Benchmarks::find(const BenchmarkReference& reference) {
    return find_benchmark_run(host_.state, reference, read_benchmark_machine().fingerprint);
}

Result<std::vector<BenchmarkHistory>> Benchmarks::history(const BenchmarkHistoryQuery& query) {
    return read_benchmark_history(host_.state, query, read_benchmark_machine().fingerprint);
}

Result<BenchmarkRun> Benchmarks::set_baseline(const BenchmarkReference& reference) {
    BenchmarkRun run = PILLION_TRY(find(reference));
    if (std::ranges::all_of(run.results, [](const BenchmarkResult& result) { return result.error.has_value(); }))
        return fail(ErrorCode::failed_precondition,
                    "every benchmark of run " + std::to_string(run.id) + " failed: it can be no baseline");
    PILLION_TRY(set_benchmark_baseline(host_.state, run));
    return run;
}

Result<BenchmarkComparison> Benchmarks::compare(const BenchmarkReference& before, const BenchmarkReference& after,
                                                const BenchmarkComparisonOptions& options) {
    BenchmarkRun old = PILLION_TRY(find(before));
    const BenchmarkRun now = PILLION_TRY(find(after));
    if (before.kind == BenchmarkReference::Kind::baseline) leave_measured(old, now);
    return compare_benchmarks(old, now, options);
}

std::optional<BenchmarkComparison> Benchmarks::compare_with_baseline(const BenchmarkRun& run) {
    auto old = find({.kind = BenchmarkReference::Kind::baseline});
    if (!old && old.error().code == ErrorCode::not_found) return std::nullopt;
    if (!old)
        return BenchmarkComparison{.verdict = BenchmarkVerdict::unclear,
                                   .reasons = {"the baseline cannot be read: " + old.error().message}};
    leave_measured(*old, run);
    if (old->results.empty()) return std::nullopt; // none of its benchmarks has a baseline
    return compare_benchmarks(*old, run);
}

Result<BenchmarkSchedule> Benchmarks::set_schedule(double every_hours, std::vector<std::string> names) {
    if (!(every_hours >= 0 && every_hours <= schedule_hours_max))
        return fail(ErrorCode::invalid_params, "everyHours must be between 0 and 8760", "/everyHours");
    const auto all = catalogue(host_);
    for (const std::string& name : names) PILLION_TRY(check_name(all, name));
    {
        const std::lock_guard lock(mutex_);
        schedule_.everyHours = every_hours;
        schedule_.names = every_hours > 0 ? std::move(names) : std::vector<std::string>{};
        schedule_.waitsFor.clear();
        PILLION_TRY(write_benchmark_schedule(host_.data_directory, schedule_));
    }
    arm(std::llround(every_hours * 3'600'000));
    return schedule();
}

BenchmarkSchedule Benchmarks::schedule() const {
    const std::lock_guard lock(mutex_);
    return schedule_;
}

Result<void> Benchmarks::resume_schedule() {
    const auto stored = PILLION_TRY(read_benchmark_schedule(host_.data_directory));
    if (!stored) return {};
    {
        const std::lock_guard lock(mutex_);
        schedule_ = *stored;
    }
    const std::int64_t every_ms = std::llround(stored->everyHours * 3'600'000);
    const std::int64_t since_ms = stored->lastAt ? host_.clock.wall_ms() - *stored->lastAt : 0;
    // A clock that was set back does not put it off for longer than it would have taken; a start is left in peace.
    arm(std::clamp(every_ms - since_ms, std::min(recheck_ms, every_ms), every_ms));
    return {};
}

void Benchmarks::arm(std::int64_t delay_ms) {
    const std::lock_guard lock(mutex_);
    host_.timers.cancel(timer_);
    timer_ = {};
    schedule_.nextAt.reset();
    if (stopping_ || !(schedule_.everyHours > 0)) return;
    schedule_.nextAt = host_.clock.wall_ms() + delay_ms;
    timer_ = host_.timers.after_ms(delay_ms, [this] { run_due(); });
}

// On the timers' thread.
void Benchmarks::run_due() {
    BenchmarkRequest request{.label = "scheduled"};
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || !(schedule_.everyHours > 0)) return;
        request.names = schedule_.names;
    }
    std::string waits_for;
    if (host_.is_on_mains && !host_.is_on_mains())
        waits_for = "the machine runs on its battery";
    else if (host_.is_idle && !host_.is_idle())
        waits_for = "the machine is busy";
    else if (const auto started = start(std::move(request), {}, [](const Result<BenchmarkRun>&) {}); !started)
        waits_for = started.error().message;
    std::int64_t delay_ms = recheck_ms;
    {
        const std::lock_guard lock(mutex_);
        schedule_.waitsFor = waits_for;
        if (waits_for.empty()) {
            delay_ms = std::llround(schedule_.everyHours * 3'600'000);
            schedule_.lastAt = host_.clock.wall_ms();
            if (const auto written = write_benchmark_schedule(host_.data_directory, schedule_); !written)
                schedule_.waitsFor = written.error().message;
        }
    }
    arm(delay_ms);
}

void Benchmarks::stop() {
    stopping_ = true;
    std::thread running;
    {
        const std::lock_guard lock(mutex_);
        host_.timers.cancel(timer_);
        running = std::move(thread_);
    }
    if (running.joinable()) running.join();
}

} // namespace pillion
