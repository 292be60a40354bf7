// What recording a metric costs beside a bare increment, how exact percentiles are, and what series cost per value, per
// second of monitoring and in memory. Single-threaded; each figure is the median of rounds that take turns.
#include "machine.h"
#include "modules/metrics/metrics_sampler.h"
#include "report.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <random>

namespace pillion::bench {

namespace {

const Counter bench_counter{"pillion.bench.counter", "Things counted by a benchmark", "{thing}"};

template <class Work>
double ns_each(std::size_t times, Work work) {
    const auto began = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < times; ++i) work(i);
    return static_cast<double>((std::chrono::steady_clock::now() - began).count()) / static_cast<double>(times);
}

void measure_recording(std::size_t rounds, Report& report) {
    constexpr std::size_t times = 2'000'000;
    std::mt19937_64 random(1);
    std::vector<std::uint64_t> values(4096);
    for (auto& value : values) value = 1'000 + random() % 1'000'000;
    volatile std::uint64_t bare = 0;
    Histogram shared, own;
    shared.record(1), own.record(1);
    std::vector<double> increments, counts, histograms, histograms_own;
    for (std::size_t round = 0; round < rounds; ++round) {
        increments.push_back(ns_each(times, [&](std::size_t) { bare = bare + 1; }));
        counts.push_back(ns_each(times, [](std::size_t) { bench_counter.add(); }));
        histograms.push_back(ns_each(times, [&](std::size_t i) { shared.record(values[i % 4096]); }));
        histograms_own.push_back(ns_each(times, [&](std::size_t i) { own.record_as_only_writer(values[i % 4096]); }));
    }
    report.add({.key = "counter",
                .title = "recording a counter",
                .unit = "ns",
                .reference = "increment",
                .goal = {.figure_max = 5},
                .figures = {{"pillion", counts}, {"increment", increments}}});
    report.add({.key = "histogram_own",
                .title = "recording a histogram, one writer",
                .unit = "ns",
                .reference = "increment",
                .goal = {.figure_max = 15},
                .figures = {{"pillion", histograms_own}, {"increment", increments}}});
    report.add({.key = "histogram",
                .title = "recording a histogram, any thread",
                .unit = "ns",
                .reference = "increment",
                .goal = {.figure_max = 15},
                .figures = {{"pillion", histograms}, {"increment", increments}},
                .note = "two locked additions"});
}

void measure_exactness(Report& report) {
    double worst = 0;
    for (double exact = 1; exact <= 3.6e12; exact *= 1.0007) {
        Histogram histogram;
        const auto value = static_cast<std::uint64_t>(exact);
        histogram.record(value);
        const auto told = static_cast<double>(histogram.percentile(0.5));
        worst = std::max(worst, 100 * std::abs(told - static_cast<double>(value)) / static_cast<double>(value));
    }
    report.add({.key = "percentile_error",
                .title = "worst error of a percentile, 1 ns to 1 h",
                .unit = "%",
                .reference = "",
                .goal = {.figure_max = 1},
                .figures = {{"pillion", {worst}}}});
}

void measure_series(std::size_t rounds, Report& report) {
    ManualClock clock;
    ManualTimers timers(clock);
    std::vector<double> each;
    double bytes = 0;
    std::mt19937 random(5);
    for (std::size_t round = 0; round < rounds; ++round) {
        Series series({.clock = clock, .timers = timers});
        std::vector<std::string> names;
        for (int i = 0; i < 100; ++i) names.push_back("bench.series" + std::to_string(i));
        double ns = 0;
        constexpr int seconds = 7200;
        for (int second = 0; second < seconds; ++second) {
            ns += ns_each(100, [&](std::size_t i) {
                const double wandering = 1e8 + 4096.0 * static_cast<double>(random() % 1000);
                const SeriesSpec spec{names[i], "", "", i % 3 == 1 ? SeriesKind::counter : SeriesKind::gauge};
                if (!series.observe(spec, {}, i % 3 == 0 ? 5.0 : i % 3 == 1 ? 9.0 * second : wandering)) std::abort();
            });
            clock.advance_ms(1000);
        }
        each.push_back(ns / seconds);
        bytes = static_cast<double>(series.stats().bytes) / 1024;
    }
    report.add({.key = "observe",
                .title = "a value into a series",
                .unit = "ns",
                .reference = "",
                .figures = {{"pillion", each}}});
    report.add({.key = "series_memory",
                .title = "100 series after 2 h at 1 Hz",
                .unit = "KiB",
                .reference = "",
                .figures = {{"pillion", {bytes}}},
                .note = "a third stand still, a third count, a third wander over 1,000 values"});
}

void measure_sampling(std::size_t rounds, Report& report) {
    const Clock& clock = system_clock();
    ManualClock manual;
    ManualTimers timers(manual);
    MemoryPools pools;
    Memory memory(pools, timers, clock, [] { return MemoryReading{}; });
    MethodTable table;
    std::vector<Method> methods;
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        for (int i = 0; i < 120; ++i) all.push_back("bench.method" + std::to_string(i));
        return all;
    }();
    for (const std::string& name : names) methods.push_back({.name = name, .summary = ""});
    table.add(std::move(methods));
    for (const auto& method : table.all())
        for (std::uint64_t i = 1; i < 200; ++i) method->stats->latency_ns.record(i * i * 100);
    Metrics metrics(clock, table, memory, [] { return IpcReadings{}; });
    Series series({.clock = manual, .timers = timers});
    MetricsSampler sampler({metrics, series, timers, manual});
    static constexpr SeriesSpec other{"bench.other", "", "By", SeriesKind::gauge};
    sampler.add_source([](Series& to) {
        for (const std::string& name : names)
            if (!to.observe(other, {{"part", name}}, 5)) std::abort();
    });
    std::vector<double> shares;
    for (std::size_t round = 0; round < rounds * 10; ++round) {
        table.all()[round % 120]->stats->latency_ns.record(12'345);
        manual.advance_ms(1000);
        const auto began = std::chrono::steady_clock::now();
        sampler.read_now();
        shares.push_back(100 * std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    }
    report.add({.key = "sampling",
                .title = "sampling at 1 Hz, 120 busy methods, 140 series",
                .unit = "% of a core",
                .reference = "",
                .goal = {.figure_max = 0.3},
                .figures = {{"pillion", shares}}});
}

int run(const std::vector<std::string>& arguments) {
    std::string json;
    std::size_t rounds = 7;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i] == "--quick") rounds = 3;
        if (arguments[i] == "--json" && i + 1 < arguments.size()) json = arguments[++i];
    }
    Report report("Metrics", "pillion", std::string(compiler()) + " " + std::string(optimisation()));
    measure_recording(rounds, report);
    measure_exactness(report);
    measure_series(std::min<std::size_t>(rounds, 3), report);
    measure_sampling(rounds, report);
    report.print(std::cout);
    if (!json.empty() && !report.write_json(json)) return 2;
    return report.has_failures() ? 1 : 0;
}

} // namespace

} // namespace pillion::bench

int main(int count, char** values) { return pillion::bench::run({values + 1, values + count}); }
