#include "modules/analysis/analysis_courses.h"

#include <algorithm>
#include <array>
#include <utility>

namespace pillion {

namespace {

constexpr std::int64_t hour_ms = 3'600'000;

SeriesQuery query_of(const SeriesState& name, const AnalysisSpan& span) {
    SeriesQuery query{.name = name.name, .from_ms = span.from_ms, .to_ms = span.to_ms};
    query.step_ms = std::max<std::int64_t>(1000, (span.to_ms - span.from_ms) / course_points);
    if (name.kind == SeriesKind::counter) query.function = SeriesFunction::rate;
    if (name.kind == SeriesKind::histogram) query.function = SeriesFunction::percentile;
    return query;
}

std::string_view function_name(SeriesKind kind) {
    return kind == SeriesKind::counter ? "rate" : kind == SeriesKind::histogram ? "p95" : "avg";
}

} // namespace

Result<AnalysisSpan> span_of(Series& series, const AnalysisRange& range) {
    const std::int64_t now = series.now_ms();
    AnalysisSpan span{.from_ms = range.from_ms, .to_ms = range.to_ms == 0 ? now : range.to_ms};
    if (span.from_ms == 0) span.from_ms = std::max<std::int64_t>(0, span.to_ms - hour_ms);
    if (span.from_ms < 0 || span.to_ms < 0 || span.from_ms >= span.to_ms)
        return fail(ErrorCode::invalid_params,
                    "from (" + std::to_string(span.from_ms) + ") must be before to (" + std::to_string(span.to_ms) +
                        "), both milliseconds since the Unix epoch",
                    "/from");
    return span;
}

Result<std::vector<SeriesLine>> lines_or_none(Series& series, const SeriesQuery& query) {
    auto answer = series.query(query);
    if (answer) return std::move(answer->lines);
    if (answer.error().code == ErrorCode::not_found) return std::vector<SeriesLine>{};
    return std::unexpected(std::move(answer).error());
}

Result<std::vector<SeriesCourse>> courses_of(Series& series, const AnalysisRange& range) {
    series.load();
    const AnalysisSpan span = PILLION_TRY(span_of(series, range));
    std::vector<SeriesCourse> courses;
    bool is_known = range.metric.empty();
    for (const SeriesState& name : series.names()) {
        if (!range.metric.empty() && name.name != range.metric) continue;
        is_known = true;
        for (SeriesLine& line : PILLION_TRY(lines_or_none(series, query_of(name, span)))) {
            // A counter's first reading is the base of those that follow, not a rate.
            if (name.kind == SeriesKind::counter && !line.points.empty()) line.points.erase(line.points.begin());
            courses.push_back({.metric = name.name,
                               .labels = std::move(line.labels),
                               .unit = name.kind == SeriesKind::counter ? name.unit + "/s" : name.unit,
                               .function = std::string(function_name(name.kind)),
                               .points = std::move(line.points)});
        }
    }
    if (!is_known)
        return fail(ErrorCode::not_found, "nothing was recorded under the name \"" + range.metric.substr(0, 160) + "\"",
                    "/metric", "metrics.list names what there is");
    return courses;
}

double notable_min(const SeriesCourse& course) {
    constexpr std::array own = {"pillion.", "process.", "rpc.", "system."};
    constexpr double cores = 0.05;
    constexpr std::array<std::pair<std::string_view, double>, 5> least{
        {{"1", 0.01}, {"s", 0.001}, {"ns", 1e6}, {"By", 1024 * 1024}, {"By/s", 100'000}}};
    if (std::ranges::none_of(own, [&](const char* start) { return course.metric.starts_with(start); })) return 0;
    if (course.metric.find(".cpu.") != std::string::npos) return cores;
    const auto found = std::ranges::find(least, course.unit, &std::pair<std::string_view, double>::first);
    return found == least.end() ? 0 : found->second;
}

TrendMeaning meaning_of(std::string_view metric, bool rises) {
    constexpr std::array higher_is_better = {"available", "hit_rate", "hit_ratio", ".hits", "battery"};
    constexpr std::array lower_is_better = {
        "duration", "memory",    "utilization", "pressure", "depth", "wait", "errors",  "restart",    "delay",
        "latency",  "evictions", "misses",      "load",     "time",  "swap", "threads", "descriptor", "pool.bytes"};
    const auto holds = [&](std::string_view part) { return metric.find(part) != std::string_view::npos; };
    if (std::ranges::any_of(higher_is_better, holds)) return rises ? TrendMeaning::better : TrendMeaning::worse;
    if (std::ranges::any_of(lower_is_better, holds)) return rises ? TrendMeaning::worse : TrendMeaning::better;
    return TrendMeaning::neutral;
}

} // namespace pillion
