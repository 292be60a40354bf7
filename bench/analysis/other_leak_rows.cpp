// Leaks on courses that nothing was tuned on: false ones a week, judged every five minutes, and how many of those that
// begin in mid-course are found within eight hours.
#include "app_courses.h"
#include "modules/analysis/analysis.h"
#include "other_courses.h"
#include "rows.h"

#include <algorithm>
#include <array>
#include <optional>

namespace pillion::bench {

namespace {

constexpr double megabyte = 1024 * 1024;
constexpr std::size_t hour = 3'600'000 / course_step_ms;
constexpr std::size_t five_minutes = hour / 12;

bool leaks(const CourseView& view, std::size_t now) {
    return judge_memory(view.at(now)).value_or(MemoryVerdict{}).course == MemoryCourse::leak;
}

double alarms_of(const CourseView& view) {
    double alarms = 0;
    bool is_raised = false;
    for (std::size_t now = five_minutes; now < view.size(); now += five_minutes) {
        const bool is_leak = leaks(view, now);
        alarms += is_leak && !is_raised;
        is_raised = is_leak;
    }
    return alarms;
}

// Hours until it was found.
std::optional<double> find_one(OtherMemory kind, int trial, std::uint64_t seed) {
    constexpr std::array rates = {60.0, 80.0, 100.0, 600.0};
    std::mt19937_64 random(seed + static_cast<unsigned>(trial));
    const auto begins = static_cast<std::size_t>(std::uniform_real_distribution(0.5, 30.0)(random) * hour);
    std::vector<double> course = other_course(kind, begins + 8 * hour, random);
    const auto each = static_cast<std::size_t>(trial);
    add_leak(course, AppLeak(each / rates.size() % app_leak_count), rates[each % rates.size()] * megabyte, begins,
             random);
    const CourseView view(std::move(course));
    for (std::size_t now = begins + 30; now < view.size(); now += 90)
        if (leaks(view, now)) return static_cast<double>(now - begins) / hour;
    return std::nullopt;
}

} // namespace

void measure_other_leaks(const Effort& effort, Report& report) {
    std::vector<double> hours;
    for (std::size_t kind = 0; kind < other_memory_count; ++kind) {
        const std::string name = name_of(OtherMemory(kind));
        const std::string key = "other_leak_" + std::to_string(kind);
        const std::uint64_t seed = effort.seed + 20'000'000 + 100'000 * kind;
        double alarms = 0;
        for (int week = 0; week < effort.weeks; ++week) {
            std::mt19937_64 random(seed + static_cast<unsigned>(week));
            alarms += alarms_of(CourseView(other_course(OtherMemory(kind), 168 * hour, random)));
        }
        report.add({.key = key + "_alarms",
                    .title = "false leaks a week: " + name,
                    .unit = "",
                    .reference = "",
                    .goal = {.figure_max = 1},
                    .figures = {{"pillion", {alarms / effort.weeks}}}});
        double found = 0;
        for (int trial = 0; trial < effort.leaks; ++trial)
            if (const auto after = find_one(OtherMemory(kind), trial, seed + 50'000)) {
                hours.push_back(*after);
                ++found;
            }
        report.add({.key = key + "_recall",
                    .title = "leaks of 60 to 600 MB/h found within 8 h: " + name,
                    .unit = "%",
                    .reference = "",
                    .goal = {.figure_min = 90},
                    .figures = {{"pillion", {100 * found / effort.leaks}}}});
    }
    report.add({.key = "other_leak_hours",
                .title = "of these, until found",
                .unit = "h",
                .reference = "",
                .figures = {{"pillion", hours}}});
}

} // namespace pillion::bench
