// Runs of all cases take turns (Kalibera and Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013: repeat at the
// level that varies), and a case starts anew what it can with each run, so that the layout of one process does not pass
// for the program's speed (Mytkowicz et al., Producing Wrong Data Without Doing Anything Obviously Wrong!, ASPLOS
// 2009). A case is done when the confidence interval of its median, by order statistics, is within a hundredth of it.
#include "modules/benchmarks/benchmark_measure.h"

#include "modules/statistics/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pillion {

namespace {

constexpr std::int64_t run_ns = 10'000'000;
constexpr std::size_t run_operations_max = 64;
constexpr double median_share_known = 0.01;
constexpr std::int64_t patience = 10; // times timeMs: then a case ends with fewer runs than it should have
constexpr std::int64_t update_ns = 200'000'000;

class Measured {
  public:
    explicit Measured(BenchmarkSubject subject) : subject_(std::move(subject)) {}

    bool is_done() const { return is_done_; }
    const std::string& name() const { return subject_.name; }
    double share_done(const BenchmarkSettings& settings) const;
    void warm_up(const BenchmarkSettings& settings, const MeasuringHost& host);
    void run_once(const BenchmarkSettings& settings, const MeasuringHost& host);
    BenchmarkResult result(Intervals intervals) const;

  private:
    Result<void> try_run(const MeasuringHost& host);
    bool is_known() const;
    void end() {
        is_done_ = true;
        subject_.work.reset();
    }
    void note(const MachineActivity& before, const MachineActivity& after);
    double cpu_wait_percent() const;
    double stolen_percent() const;

    BenchmarkSubject subject_;
    std::vector<std::vector<double>> runs_{};
    std::vector<double> samples_{};
    std::int64_t elapsed_ns_ = 0;  // in runs, with what surrounds their operations
    std::int64_t measured_ns_ = 0; // in operations
    std::int64_t cpu_wait_us_ = 0;
    std::int64_t stolen_ticks_ = 0;
    std::int64_t ticks_ = 0;
    double frequency_low_ = 0;
    double frequency_high_ = 0;
    bool is_done_ = false;
    std::optional<std::string> error_{};
};

double Measured::share_done(const BenchmarkSettings& settings) const {
    if (is_done_) return 1;
    const auto runs = static_cast<double>(samples_.size());
    const double of_time = static_cast<double>(elapsed_ns_) / (static_cast<double>(settings.timeMs) * 1e6);
    const double of_runs = runs / static_cast<double>(settings.runsMax);
    return std::min({std::max(of_time, of_runs), runs / static_cast<double>(settings.runs), 0.99});
}

void Measured::warm_up(const BenchmarkSettings& settings, const MeasuringHost& host) {
    const auto warm = [&]() -> Result<void> {
        PILLION_TRY(subject_.work->prepare());
        const std::int64_t until_ns = host.clock.now_ns() + settings.warmupMs * 1'000'000;
        PILLION_TRY(subject_.work->begin_run());
        for (std::size_t count = 0; count < run_operations_max && host.clock.now_ns() < until_ns; ++count)
            PILLION_TRY(subject_.work->operate());
        return {};
    };
    if (const auto warmed = warm(); !warmed) {
        error_ = warmed.error().message;
        end();
    }
}

Result<void> Measured::try_run(const MeasuringHost& host) {
    PILLION_TRY(subject_.work->begin_run());
    std::vector<double> operations;
    const MachineActivity before = host.activity();
    const std::int64_t began_ns = host.clock.now_ns();
    std::int64_t now_ns = began_ns;
    do {
        operations.push_back(PILLION_TRY(subject_.work->operate()));
        now_ns = host.clock.now_ns();
    } while (now_ns - began_ns < run_ns && operations.size() < run_operations_max);
    measured_ns_ += now_ns - began_ns;
    note(before, host.activity());
    samples_.push_back(PILLION_TRY(statistics::median(operations)));
    runs_.push_back(std::move(operations));
    return {};
}

void Measured::run_once(const BenchmarkSettings& settings, const MeasuringHost& host) {
    const std::int64_t began_ns = host.clock.now_ns();
    if (const auto ran = try_run(host); !ran) {
        error_ = ran.error().message;
        return end();
    }
    elapsed_ns_ += host.clock.now_ns() - began_ns;
    const auto runs = static_cast<std::int64_t>(samples_.size());
    const std::int64_t elapsed_ms = elapsed_ns_ / 1'000'000;
    const bool has_enough =
        runs >= settings.runs && (runs >= settings.runsMax || elapsed_ms >= settings.timeMs || is_known());
    if (has_enough || elapsed_ms >= settings.timeMs * patience) end();
}

bool Measured::is_known() const {
    const auto median = statistics::quantile_interval(samples_, 0.5);
    return median && median->interval.high - median->interval.low <= 2 * median_share_known * median->value;
}

void Measured::note(const MachineActivity& before, const MachineActivity& after) {
    if (before.cpu_wait_us && after.cpu_wait_us) cpu_wait_us_ += *after.cpu_wait_us - *before.cpu_wait_us;
    if (before.stolen_ticks && after.stolen_ticks) stolen_ticks_ += *after.stolen_ticks - *before.stolen_ticks;
    ticks_ += after.ticks - before.ticks;
    if (after.frequency_mhz <= 0) return;
    frequency_high_ = std::max(frequency_high_, after.frequency_mhz);
    frequency_low_ = frequency_low_ > 0 ? std::min(frequency_low_, after.frequency_mhz) : after.frequency_mhz;
}

double Measured::cpu_wait_percent() const {
    if (measured_ns_ <= 0) return 0;
    return std::clamp(static_cast<double>(cpu_wait_us_) * 1e5 / static_cast<double>(measured_ns_), 0.0, 100.0);
}

double Measured::stolen_percent() const {
    if (ticks_ <= 0) return 0;
    return std::clamp(static_cast<double>(stolen_ticks_) * 100 / static_cast<double>(ticks_), 0.0, 100.0);
}

BenchmarkResult Measured::result(Intervals intervals) const {
    BenchmarkResult result{.name = subject_.name,
                           .suite = subject_.suite,
                           .runs = static_cast<std::int64_t>(samples_.size()),
                           .error = error_,
                           .samples = samples_};
    if (samples_.empty()) return result;
    double sum = 0;
    result.minNs = runs_.front().front();
    for (const auto& run : runs_) {
        sum = std::accumulate(run.begin(), run.end(), sum);
        result.operations += static_cast<std::int64_t>(run.size());
        const auto [low, high] = std::minmax_element(run.begin(), run.end());
        result.minNs = std::min(result.minNs, *low);
        result.maxNs = std::max(result.maxNs, *high);
    }
    result.meanNs = sum / static_cast<double>(result.operations);
    const OperationPercentiles percentiles = percentiles_of(runs_, intervals);
    result.p50Ns = percentiles.p50;
    result.p95Ns = percentiles.p95;
    result.p99Ns = percentiles.p99;
    result.p50IntervalNs = percentiles.p50_interval;
    result.p95IntervalNs = percentiles.p95_interval;
    result.p99IntervalNs = percentiles.p99_interval;
    result.cpuWaitPercent = cpu_wait_percent();
    result.stolenPercent = stolen_percent();
    result.noise = noise_of(samples_, result.cpuWaitPercent, result.stolenPercent, frequency_low_, frequency_high_);
    result.noisy = !result.noise.empty();
    return result;
}

std::vector<BenchmarkResult> results_of(const std::vector<Measured>& all, Intervals intervals) {
    std::vector<BenchmarkResult> results;
    for (const Measured& measured : all) results.push_back(measured.result(intervals));
    return results;
}

// Tells whoever follows the measuring; false once it is not wanted any more.
class Following {
  public:
    Following(const std::vector<Measured>& all, const BenchmarkSettings& settings, const MeasuringHost& host)
        : all_(all), settings_(settings), host_(host) {}

    bool is_cancelled() const { return host_.control.is_cancelled && host_.control.is_cancelled(); }
    void tell(const std::string& what) {
        const std::int64_t now_ns = host_.clock.now_ns();
        if (told_ns_ && now_ns - *told_ns_ < update_ns) return;
        told_ns_ = now_ns;
        if (host_.control.progress) {
            double share = 0;
            for (const Measured& measured : all_) share += measured.share_done(settings_);
            host_.control.progress(share * 100 / static_cast<double>(all_.size()), what);
        }
        if (host_.control.update) host_.control.update(results_of(all_, Intervals::unwanted));
    }

  private:
    const std::vector<Measured>& all_;
    const BenchmarkSettings& settings_;
    const MeasuringHost& host_;
    std::optional<std::int64_t> told_ns_{};
};

} // namespace

Result<std::vector<BenchmarkResult>> measure_benchmarks(std::vector<BenchmarkSubject> subjects,
                                                        const BenchmarkSettings& settings, const MeasuringHost& host) {
    std::vector<Measured> all;
    for (BenchmarkSubject& subject : subjects) all.emplace_back(std::move(subject));
    Following following(all, settings, host);
    const auto cancelled = [] { return fail(ErrorCode::cancelled, "the benchmark was cancelled"); };
    for (Measured& measured : all) {
        if (following.is_cancelled()) return cancelled();
        following.tell("warming up " + measured.name());
        measured.warm_up(settings, host);
    }
    while (std::ranges::any_of(all, [](const Measured& measured) { return !measured.is_done(); })) {
        for (Measured& measured : all) {
            if (measured.is_done()) continue;
            if (following.is_cancelled()) return cancelled();
            following.tell(measured.name());
            measured.run_once(settings, host);
        }
    }
    if (following.is_cancelled()) return cancelled(); // what ran last may have been broken off
    return results_of(all, Intervals::wanted);
}

} // namespace pillion
