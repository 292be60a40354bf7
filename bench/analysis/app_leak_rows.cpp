// Leaks once more, on courses shaped after apps: how often one is seen where there is none, judged every five minutes
// for a week, and how many of those that begin in mid-course are found, beside every kind of course.
#include "app_courses.h"
#include "modules/analysis/analysis.h"
#include "rows.h"

#include <algorithm>
#include <array>

namespace pillion::bench {

namespace {

constexpr double megabyte = 1024 * 1024;
constexpr std::size_t hour = 3'600'000 / course_step_ms;
constexpr std::size_t five_minutes = hour / 12;

bool leaks(const CourseView& view, std::size_t now) {
    return judge_memory(view.at(now)).value_or(MemoryVerdict{}).course == MemoryCourse::leak;
}

double alarms_of(const CourseView& view, std::size_t from) {
    double alarms = 0;
    bool is_raised = false;
    for (std::size_t now = from; now < view.size(); now += five_minutes) {
        const bool is_leak = leaks(view, now);
        alarms += is_leak && !is_raised;
        is_raised = is_leak;
    }
    return alarms;
}

struct Leaking {
    AppMemory kind;
    AppLeak leak;
    double rate;
};

// Hours until it was found, or nothing within eight; `early` where it was called before it began.
struct Outcome {
    std::optional<double> hours{};
    bool early = false;
};

Outcome find_one(const Leaking& leaking, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto begins = static_cast<std::size_t>(std::uniform_real_distribution(0.5, 30.0)(random) * hour);
    std::vector<double> course = app_course(leaking.kind, begins + 8 * hour, random);
    add_leak(course, leaking.leak, leaking.rate * megabyte, begins, random);
    const CourseView view(std::move(course));
    Outcome outcome{.early = leaks(view, begins - 1)};
    for (std::size_t now = begins + 30; now < view.size() && !outcome.hours; now += 90)
        if (leaks(view, now)) outcome.hours = static_cast<double>(now - begins) / hour;
    return outcome;
}

void measure_alarms(const Effort& effort, Report& report) {
    double all = 0;
    double first_hours = 0;
    double days = 0;
    for (std::size_t kind = 0; kind < app_memory_count; ++kind) {
        double alarms = 0;
        for (int week = 0; week < effort.weeks; ++week) {
            std::mt19937_64 random(effort.seed + 1000 * kind + static_cast<unsigned>(week));
            alarms += alarms_of(CourseView(app_course(AppMemory(kind), 168 * hour, random)), five_minutes);
        }
        all += alarms;
        report.add({.key = "app_alarms_" + std::to_string(kind),
                    .title = "false leaks a week: " + name_of(AppMemory(kind)),
                    .unit = "",
                    .reference = "",
                    .goal = {.figure_max = 1},
                    .figures = {{"pillion", {alarms / effort.weeks}}}});
        for (int start = 0; start < effort.leaks; ++start) {
            std::mt19937_64 random(effort.seed + 500'000 + 1000 * kind + static_cast<unsigned>(start));
            first_hours += alarms_of(CourseView(app_course(AppMemory(kind), 4 * hour, random)), hour / 30);
            ++days;
        }
    }
    report.add({.key = "app_alarms",
                .title = "false leaks a week: all of these",
                .unit = "",
                .reference = "",
                .goal = {.figure_max = 1},
                .figures = {{"pillion", {all / (effort.weeks * static_cast<double>(app_memory_count))}}}});
    report.add({.key = "app_alarms_start",
                .title = "false leaks within the first 4 hours of a process",
                .unit = "",
                .reference = "",
                .figures = {{"pillion", {first_hours / days}}},
                .note = "a first tooth that still rises and a cache that still fills look like leaks"});
}

} // namespace

void measure_app_leaks(const Effort& effort, Report& report) {
    measure_alarms(effort, report);
    constexpr std::array rates = {60.0, 80.0, 100.0, 600.0};
    std::array<double, app_memory_count> found_by_kind{};
    std::array<double, app_memory_count> trials_by_kind{};
    std::array<double, app_leak_count> found_by_leak{};
    std::array<double, app_leak_count> trials_by_leak{};
    std::vector<double> hours;
    for (std::size_t kind = 0; kind < app_memory_count; ++kind)
        for (std::size_t leak = 0; leak < app_leak_count; ++leak)
            for (int trial = 0; trial < std::max(1, effort.leaks / 2); ++trial) {
                const Leaking leaking{AppMemory(kind), AppLeak(leak),
                                      rates[static_cast<unsigned>(trial) % rates.size()]};
                const Outcome outcome =
                    find_one(leaking, effort.seed + 900'000 + 1000 * (kind * app_leak_count + leak) +
                                          static_cast<unsigned>(trial));
                if (outcome.early) continue;
                ++trials_by_kind[kind];
                ++trials_by_leak[leak];
                if (!outcome.hours) continue;
                hours.push_back(*outcome.hours);
                ++found_by_kind[kind];
                ++found_by_leak[leak];
            }
    const auto row = [&](std::string key, std::string title, double found, double trials) {
        report.add({.key = std::move(key),
                    .title = std::move(title),
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_min = 90},
                    .figures = {{"pillion", {100 * found / std::max(trials, 1.0)}}}});
    };
    for (std::size_t kind = 0; kind < app_memory_count; ++kind)
        row("app_leak_" + std::to_string(kind), "leaks of 60 to 600 MB/h found within 8 h: " + name_of(AppMemory(kind)),
            found_by_kind[kind], trials_by_kind[kind]);
    for (std::size_t leak = 0; leak < app_leak_count; ++leak)
        row("app_leak_kind_" + std::to_string(leak), "of these: " + name_of(AppLeak(leak)), found_by_leak[leak],
            trials_by_leak[leak]);
    report.add({.key = "app_leak_hours",
                .title = "of these, until found",
                .unit = "h",
                .reference = "",
                .figures = {{"pillion", hours}}});
}

} // namespace pillion::bench
