// Leaks: how often one is seen where there is none, judged every three minutes for weeks; how soon and how reliably
// those are found that there are.
#include "memory_courses.h"
#include "modules/analysis/analysis.h"
#include "rows.h"

#include <algorithm>

namespace pillion::bench {

namespace {

constexpr double megabyte = 1024 * 1024;
constexpr std::size_t hour = 3'600'000 / course_step_ms;
constexpr std::size_t three_minutes = hour / 20;

bool leaks(const CourseView& view, std::size_t now) {
    return judge_memory(view.at(now)).value_or(MemoryVerdict{}).course == MemoryCourse::leak;
}

struct Alarms {
    double alarms = 0;
    double series = 0; // in which there was one
};

Alarms false_alarms(MemoryNoise noise, int weeks) {
    Alarms count;
    for (int week = 0; week < weeks; ++week) {
        std::mt19937_64 random(10'000 + static_cast<unsigned>(week));
        const CourseView view(memory_course(noise, 168 * hour, random));
        bool is_raised = false;
        const double before = count.alarms;
        for (std::size_t now = three_minutes; now < view.size(); now += three_minutes) {
            const bool is_leak = leaks(view, now);
            count.alarms += is_leak && !is_raised;
            is_raised = is_leak;
        }
        count.series += count.alarms > before;
    }
    return count;
}

struct Found {
    std::vector<double> hours{}; // until it was found; only those that were
    double trials = 0;
    double later = 0; // judgements after it was found
    double kept = 0;  // of them, those that still say so
};

void find_one(MemoryNoise noise, double rate, unsigned seed, Found& found) {
    std::mt19937_64 random(seed);
    std::vector<double> course = memory_course(noise, 9 * hour, random);
    const std::size_t begins = seed % 2 == 0 ? 0 : hour;
    add_leak(course, rate, begins);
    const CourseView view(std::move(course));
    ++found.trials;
    bool is_found = false;
    for (std::size_t now = begins + 30; now < std::min(view.size(), begins + 8 * hour); now += 45) {
        const bool is_leak = leaks(view, now);
        if (is_leak && !is_found) found.hours.push_back(static_cast<double>(now - begins) / hour);
        is_found = is_found || is_leak;
        found.later += is_found;
        found.kept += is_found && is_leak;
    }
}

constexpr MemoryNoise noises_with_leaks[] = {MemoryNoise::white,       MemoryNoise::drifting, MemoryNoise::sawtooth,
                                             MemoryNoise::generations, MemoryNoise::daily,    MemoryNoise::documents,
                                             MemoryNoise::wandering,   MemoryNoise::flapping};

void measure_limits(const Effort& effort, Report& report) {
    double early = 0;
    double late = 0;
    const int trials = effort.leaks * 2;
    for (int trial = 0; trial < trials; ++trial) {
        std::mt19937_64 random(70'000 + static_cast<unsigned>(trial));
        const CourseView view(bounded_course(10 * hour, random));
        bool any = false;
        for (std::size_t now = three_minutes; now < 5 * hour; now += three_minutes) any = any || leaks(view, now);
        early += any;
        bool still = false;
        for (std::size_t now = 6 * hour; now < view.size(); now += three_minutes) still = still || leaks(view, now);
        late += still;
    }
    report.add({.key = "bounded_early",
                .title = "growth to a limit, called a leak while it grew",
                .unit = "%",
                .reference = "",
                .figures = {{"pillion", {100 * early / trials}}},
                .note = "growth to a limit looks like a leak until it slows down"});
    report.add({.key = "bounded_late",
                .title = "growth to a limit, called a leak afterwards",
                .unit = "%",
                .reference = "",
                .goal = {.figure_max = 5},
                .figures = {{"pillion", {100 * late / trials}}}});
}

} // namespace

void measure_leaks(const Effort& effort, Report& report) {
    double alarms = 0;
    double weeks = 0;
    double wrong_series = 0;
    for (const MemoryNoise noise : memory_noises) {
        const Alarms count = false_alarms(noise, effort.weeks);
        alarms += count.alarms;
        wrong_series += count.series;
        weeks += effort.weeks;
        report.add({.key = "leak_alarms_" + std::to_string(static_cast<int>(noise)),
                    .title = "false leaks a week: " + name_of(noise),
                    .unit = "",
                    .reference = "",
                    .goal = {.figure_max = 1},
                    .figures = {{"pillion", {count.alarms / effort.weeks}}}});
    }
    report.add({.key = "leak_alarms",
                .title = "false leaks a week: all together",
                .unit = "",
                .reference = "",
                .goal = {.figure_max = 1},
                .figures = {{"pillion", {alarms / weeks}}}});
    double true_found = 0;
    for (const double rate : {30.0, 60.0, 100.0, 3600.0}) {
        Found found;
        for (const MemoryNoise noise : noises_with_leaks)
            for (int trial = 0; trial < effort.leaks; ++trial)
                find_one(noise, rate * megabyte, 50'000 + static_cast<unsigned>(trial), found);
        if (rate >= 60 && rate <= 100) true_found += static_cast<double>(found.hours.size());
        const std::string title = std::to_string(static_cast<int>(rate)) + " MB/h";
        const std::string key = "leak_" + std::to_string(static_cast<int>(rate));
        report.add({.key = key + "_recall",
                    .title = "leaks of " + title + " found within 8 h",
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_min = rate < 60 ? 90.0 : 95.0},
                    .figures = {{"pillion", {100 * static_cast<double>(found.hours.size()) / found.trials}}}});
        report.add({.key = key + "_hours",
                    .title = "leaks of " + title + ", until found",
                    .unit = "h",
                    .reference = "",
                    .figures = {{"pillion", found.hours}}});
        report.add({.key = key + "_kept",
                    .title = "leaks of " + title + ", judgements that stay with it",
                    .unit = "%",
                    .reference = "",
                    .figures = {{"pillion", {100 * found.kept / std::max(found.later, 1.0)}}}});
    }
    report.add({.key = "leak_precision",
                .title = "series called leaking that do (60 and 100 MB/h; weeks of noise)",
                .unit = "%",
                .reference = "",
                .figures = {{"pillion", {100 * true_found / std::max(true_found + wrong_series, 1.0)}}}});
    measure_limits(effort, report);
}

} // namespace pillion::bench
