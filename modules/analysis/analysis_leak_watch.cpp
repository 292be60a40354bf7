// Reads what the monitor recorded of private memory, the newer the closer, and joins the resolutions to one course per
// process. Restarts are where a component's counter of them rose. Of Pillion's own memory what its cache holds is left
// out: that fills up to a limit of its own, and would look like a leak until it gets there.
#include "modules/analysis/analysis_courses.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>

namespace pillion {

namespace {

constexpr std::string_view private_memory = "process.memory.private";
constexpr std::string_view cache_memory = "pillion.cache.bytes";
constexpr std::string_view restarts = "pillion.component.restarts";

struct Stretch {
    std::int64_t back_ms;
    std::int64_t step_ms;
};
// All of them for 200 processes stay below what one query may answer.
constexpr std::array<Stretch, 4> course = {
    {{7 * 86'400'000LL, 3'600'000}, {86'100'000, 300'000}, {7'170'000, 30'000}, {590'000, 2'000}}};

std::string label_of(const SeriesLabels& labels, const std::string& name) {
    const auto at = labels.find(name);
    return at == labels.end() ? std::string{} : at->second;
}

Result<std::map<std::string, std::int64_t>> restarted(Series& series, std::int64_t now) {
    std::map<std::string, std::int64_t> latest;
    for (const Stretch& stretch : course) {
        auto lines = PILLION_TRY(lines_or_none(series, {.name = std::string(restarts),
                                                        .from_ms = now - stretch.back_ms,
                                                        .to_ms = now,
                                                        .step_ms = stretch.step_ms,
                                                        .function = SeriesFunction::increase}));
        for (const SeriesLine& line : lines)
            for (const SeriesPoint& point : line.points)
                if (point.value > 0) latest[label_of(line.labels, "component")] = point.at_ms;
    }
    return latest;
}

Result<void> leave_out_cache(Series& series, SeriesQuery query, std::vector<SeriesPoint>& points, std::size_t from) {
    query.name = cache_memory;
    query.aggregate = SeriesAggregate::sum;
    const auto lines = PILLION_TRY(lines_or_none(series, query));
    if (lines.empty()) return {};
    auto held = lines.front().points.begin();
    double bytes = 0;
    for (std::size_t index = from; index < points.size(); ++index) {
        for (; held != lines.front().points.end() && held->at_ms <= points[index].at_ms; ++held) bytes = held->value;
        points[index].value = std::max(0.0, points[index].value - bytes);
    }
    return {};
}

std::string megabytes(double bytes) {
    const double value = bytes / (1024 * 1024);
    std::string text = std::to_string(value < 10 ? std::round(value * 10) / 10 : std::round(value));
    text.erase(value < 10 ? text.find('.') + 2 : text.find('.'));
    return text + " MiB";
}

} // namespace

Result<std::vector<Leak>> find_leaks(Series& series, const LeakConfig& config) {
    const std::int64_t now = series.now_ms();
    std::map<SeriesLabels, std::vector<SeriesPoint>> courses;
    for (std::size_t index = 0; index < course.size(); ++index) {
        const Stretch& stretch = course[index];
        const std::int64_t until = index + 1 < course.size() ? now - course[index + 1].back_ms : now + stretch.step_ms;
        const SeriesQuery query{.name = std::string(private_memory),
                                .from_ms = now - stretch.back_ms,
                                .to_ms = now,
                                .step_ms = stretch.step_ms,
                                .function = SeriesFunction::min};
        for (SeriesLine& line : PILLION_TRY(lines_or_none(series, query))) {
            auto& points = courses[line.labels];
            const std::size_t before = points.size();
            for (const SeriesPoint& point : line.points)
                if (point.at_ms < until && (points.empty() || point.at_ms > points.back().at_ms))
                    points.push_back(point);
            if (label_of(line.labels, "role") == "self") PILLION_TRY(leave_out_cache(series, query, points, before));
        }
    }
    const auto latest_restarts = PILLION_TRY(restarted(series, now));
    std::vector<Leak> leaks;
    for (const auto& [labels, points] : courses) {
        // What was not seen lately has ended.
        if (points.empty() || points.back().at_ms < now - 180'000) continue;
        Leak leak{.component = label_of(labels, "component"),
                  .process = label_of(labels, "process"),
                  .role = label_of(labels, "role")};
        const auto restart = latest_restarts.find(leak.component);
        leak.verdict = PILLION_TRY(judge_memory(
            points, config, !leak.component.empty() && restart != latest_restarts.end() ? restart->second : 0));
        leaks.push_back(std::move(leak));
    }
    std::ranges::stable_sort(leaks, [](const Leak& a, const Leak& b) {
        if (a.verdict.course != b.verdict.course) return a.verdict.course > b.verdict.course;
        return a.verdict.bytes_per_hour > b.verdict.bytes_per_hour;
    });
    return leaks;
}

std::string describe(const Leak& leak) {
    const std::string who = (leak.component.empty() ? std::string{} : "component " + leak.component + ", ") +
                            "process " + (leak.process.empty() ? "(unnamed)" : leak.process);
    const auto minutes = std::max<std::int64_t>(1, leak.verdict.window_ms / 60'000);
    const std::string span = minutes < 120 ? std::to_string(minutes) + " min" : std::to_string(minutes / 60) + " h";
    switch (leak.verdict.course) {
    case MemoryCourse::leak:
        return who + ": private memory grows by " + megabytes(leak.verdict.bytes_per_hour) + " an hour, " +
               megabytes(leak.verdict.grown_bytes) + " within " + span + ", to " + megabytes(leak.verdict.level_bytes);
    case MemoryCourse::bounded:
        return who + ": private memory grew by " + megabytes(leak.verdict.grown_bytes) + " within " + span +
               " and settles at " + megabytes(leak.verdict.level_bytes);
    case MemoryCourse::steady:
        return who + ": private memory is steady at " + megabytes(leak.verdict.level_bytes);
    case MemoryCourse::unknown:
        break;
    }
    return who + ": too little was seen of it yet";
}

} // namespace pillion
