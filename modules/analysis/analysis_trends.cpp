// Trends and changes of all series. With hundreds of them looked at, a trend counts at one in a thousand, after the
// correction for correlation in time, and when it moves the level by a tenth over the range.
#include "modules/analysis/analysis_courses.h"
#include "modules/statistics/statistics.h"

#include <algorithm>
#include <cmath>

namespace pillion {

namespace {

constexpr double hour_ms = 3'600'000;
constexpr double chance_max = 0.001;
constexpr double change_share_min = 0.1;
constexpr std::size_t trend_points_min = 20;

// Over a range much longer than this a median of neighbours says the same, and says it faster.
std::vector<SeriesPoint> fewer(const std::vector<SeriesPoint>& points) {
    constexpr std::size_t most = 120;
    if (points.size() <= most) return points;
    std::vector<SeriesPoint> medians;
    for (std::size_t index = 0; index < most; ++index) {
        const std::size_t from = index * points.size() / most;
        const std::size_t to = (index + 1) * points.size() / most;
        std::vector<double> values;
        for (std::size_t each = from; each < to; ++each) values.push_back(points[each].value);
        medians.push_back({points[(from + to) / 2].at_ms, statistics::median(values).value_or(0)});
    }
    return medians;
}

std::optional<SeriesTrend> trend_of(const SeriesCourse& course) {
    if (course.points.size() < trend_points_min) return std::nullopt;
    const std::vector<SeriesPoint> points = fewer(course.points);
    std::vector<double> hours;
    std::vector<double> values;
    for (const SeriesPoint& point : points) {
        hours.push_back(static_cast<double>(point.at_ms - points.front().at_ms) / hour_ms);
        values.push_back(point.value);
    }
    const auto found = statistics::trend(hours, values);
    if (!found || found->probability > chance_max) return std::nullopt;
    const double first = found->line(hours.front());
    const double change = found->line(hours.back()) - first;
    const double base = std::max(std::abs(first), std::abs(found->level) / 10);
    SeriesTrend trend{.metric = course.metric,
                      .labels = course.labels,
                      .unit = course.unit,
                      .function = course.function,
                      .direction = change > 0 ? TrendDirection::rising : TrendDirection::falling,
                      .meaning = meaning_of(course.metric, change > 0),
                      .level = found->level,
                      .slopePerHour = found->slope,
                      .slopePerHourLow = found->slope_interval.low,
                      .slopePerHourHigh = found->slope_interval.high,
                      .changeShare = base > 0 ? change / base : 0,
                      .probability = found->probability};
    if (std::abs(trend.changeShare) < change_share_min || std::abs(change) < notable_min(course)) return std::nullopt;
    return trend;
}

std::vector<double> values_of(const SeriesCourse& course) {
    std::vector<double> values;
    for (const SeriesPoint& point : course.points) values.push_back(point.value);
    return values;
}

std::vector<statistics::ChangePoint> changes_of(const SeriesCourse& course) {
    auto changes =
        statistics::change_points(values_of(course), {.minimum_effect = change_share_min, .false_alarm_share = 0.01})
            .value_or(std::vector<statistics::ChangePoint>{});
    std::erase_if(changes, [least = notable_min(course)](const statistics::ChangePoint& change) {
        return std::abs(change.after - change.before) < least;
    });
    return changes;
}

// The first values on a new level are no anomalies: the change is told already.
bool begins_level(const AnomalyPoint& point, const std::vector<statistics::ChangePoint>& changes) {
    return std::ranges::any_of(changes, [&](const statistics::ChangePoint& change) {
        return point.index + 2 >= change.index && point.index <= change.index + 8 &&
               std::abs(point.value - change.after) < std::abs(change.after - change.before) / 2;
    });
}

void add_changes(const SeriesCourse& course, const std::vector<statistics::ChangePoint>& found,
                 std::vector<SeriesChange>& changes) {
    for (const statistics::ChangePoint& change : found)
        changes.push_back({.metric = course.metric,
                           .labels = course.labels,
                           .unit = course.unit,
                           .at = course.points[change.index].at_ms,
                           .before = change.before,
                           .after = change.after,
                           .changeShare = change.before != 0 ? change.shift / std::abs(change.before) : 0,
                           .meaning = meaning_of(course.metric, change.after > change.before)});
}

void add_anomalies(const SeriesCourse& course, const std::vector<statistics::ChangePoint>& known,
                   std::vector<SeriesAnomaly>& anomalies) {
    const auto found = find_anomalies(course.points);
    if (!found) return;
    const double least = notable_min(course);
    std::size_t next = 0;
    for (const AnomalyPoint& point : *found) {
        const double beyond = std::max(point.value - point.high, point.low - point.value);
        if (beyond < least || begins_level(point, known)) continue;
        const bool goes_on = next != 0 && point.index == next;
        next = point.index + 1;
        if (goes_on) {
            ++anomalies.back().points;
            continue;
        }
        anomalies.push_back({.metric = course.metric,
                             .labels = course.labels,
                             .unit = course.unit,
                             .at = course.points[point.index].at_ms,
                             .value = point.value,
                             .expectedLow = point.low,
                             .expectedHigh = point.high,
                             .votes = static_cast<std::uint64_t>(point.votes),
                             .seasonal = point.seasonal});
    }
}

} // namespace

std::vector<SeriesTrend> find_trends(const std::vector<SeriesCourse>& courses) {
    std::vector<SeriesTrend> trends;
    for (const SeriesCourse& course : courses)
        if (auto trend = trend_of(course)) trends.push_back(std::move(*trend));
    std::ranges::stable_sort(trends, std::greater<>{}, [](const SeriesTrend& trend) {
        return std::pair(trend.meaning == TrendMeaning::worse, std::abs(trend.changeShare));
    });
    return trends;
}

CourseEvents find_events(const std::vector<SeriesCourse>& courses) {
    CourseEvents events;
    for (const SeriesCourse& course : courses) {
        const std::vector<statistics::ChangePoint> changes = changes_of(course);
        add_changes(course, changes, events.changes);
        add_anomalies(course, changes, events.anomalies);
    }
    std::ranges::stable_sort(events.changes, {}, &SeriesChange::at);
    std::ranges::stable_sort(events.anomalies, {}, &SeriesAnomaly::at);
    return events;
}

Result<std::vector<SeriesTrend>> Analysis::trends(const AnalysisRange& range) {
    return find_trends(PILLION_TRY(courses_of(host_.series, range)));
}

Result<std::vector<SeriesChange>> Analysis::changes(const AnalysisRange& range) {
    return find_events(PILLION_TRY(courses_of(host_.series, range))).changes;
}

Result<std::vector<SeriesAnomaly>> Analysis::anomalies(const AnalysisRange& range) {
    return find_events(PILLION_TRY(courses_of(host_.series, range))).anomalies;
}

} // namespace pillion
