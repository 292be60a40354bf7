// What the analysis costs in processor time: the search for leaks over a week's series, which goes on in the background
// while somebody watches, and a whole report.
#include "ipc/base/clock.h"
#include "ipc/timers.h"
#include "modules/analysis/analysis.h"
#include "rows.h"

#include <cmath>
#include <ctime>
#include <string>

namespace pillion::bench {

namespace {

double cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

constexpr SeriesSpec memory{"process.memory.private", "Private bytes.", "By", SeriesKind::gauge};

struct Filled {
    ManualClock clock{};
    ManualTimers timers{clock};
    Series series;

    explicit Filled(const SeriesLimits& limits = {}) : series({.clock = clock, .timers = timers}, limits) {}

    void observe(const SeriesSpec& spec, const std::string& name, double value) {
        (void)series.observe(spec, {{"role", "child"}, {"process", name}}, value);
    }
};

// A week of values a minute apart, and the last ten minutes every two seconds.
void fill(Filled& filled, int processes) {
    const auto at = [&](int step) {
        for (int index = 0; index < processes; ++index)
            filled.observe(memory, "worker-" + std::to_string(index),
                           1e8 + 1e7 * std::fmod(step * 0.37 + index, 1) + index);
    };
    for (int minute = 0; minute < 7 * 1440; ++minute, filled.clock.advance_ms(60'000)) at(minute);
    for (int step = 0; step < 300; ++step, filled.clock.advance_ms(2'000)) at(step);
}

} // namespace

void measure_costs(Report& report) {
    for (const int processes : {50, 200}) {
        Filled filled;
        fill(filled, processes);
        Analysis analysis({.series = filled.series});
        const double begin = cpu_ms();
        const bool is_first = analysis.leaks().has_value();
        const double first = cpu_ms() - begin;
        std::vector<double> later;
        for (int round = 0; round < 10 && is_first; ++round) {
            filled.clock.advance_ms(20'000);
            for (int index = 0; index < processes; ++index)
                filled.observe(memory, "worker-" + std::to_string(index), 1e8 + index);
            const double from = cpu_ms();
            if (analysis.leaks()) later.push_back(cpu_ms() - from);
        }
        const std::string who = std::to_string(processes) + " processes of a week";
        report.add({.key = "cost_leaks_first_" + std::to_string(processes),
                    .title = "first search for leaks, " + who,
                    .unit = "ms",
                    .reference = "",
                    .figures = {{"pillion", {first}}}});
        Goal goal;
        if (processes == 50) goal.figure_max = 20;
        report.add({.key = "cost_leaks_" + std::to_string(processes),
                    .title = "search for leaks every 20 s, " + who,
                    .unit = "ms",
                    .reference = "",
                    .goal = goal,
                    .figures = {{"pillion", later}}});
    }
    Filled filled;
    std::vector<std::string> names;
    for (int index = 0; index < 50; ++index) names.push_back("bench.metric_" + std::to_string(index));
    for (int step = 0; step < 720; ++step, filled.clock.advance_ms(10'000))
        for (const std::string& name : names)
            for (int index = 0; index < 10; ++index)
                filled.observe({name, "One of many.", "1", SeriesKind::gauge}, std::to_string(index),
                               100 + 10 * std::sin(step * 0.1 + index) + std::fmod(step * 7.3 + index * 3.1, 5));
    Analysis analysis({.series = filled.series});
    const double begin = cpu_ms();
    const auto run = analysis.run({});
    report.add({.key = "cost_run",
                .title = "analysis.run over 500 series",
                .unit = "ms",
                .reference = "",
                .figures = {{"pillion", {cpu_ms() - begin}}},
                .note = run ? std::to_string(run->seriesExamined) + " were examined" : run.error().message});
}

} // namespace pillion::bench
