// The series of a range as plain courses of points, each read by the function that suits its kind. Part of analysis.
#pragma once

#include "modules/analysis/analysis.h"

namespace pillion {

struct AnalysisSpan {
    std::int64_t from_ms = 0;
    std::int64_t to_ms = 0;
};
Result<AnalysisSpan> span_of(Series& series, const AnalysisRange& range);
// At most so many points each; of gauges the mean, of counters the rate, of histograms the 95th percentile.
inline constexpr std::int64_t course_points = 360;
Result<std::vector<SeriesCourse>> courses_of(Series& series, const AnalysisRange& range);
std::vector<SeriesTrend> find_trends(const std::vector<SeriesCourse>& courses);
// Changes of level, and what is out of place beside them: the same search serves both.
struct CourseEvents {
    std::vector<SeriesChange> changes;
    std::vector<SeriesAnomaly> anomalies;
};
CourseEvents find_events(const std::vector<SeriesCourse>& courses);
// A query whose metric nobody recorded yet has no lines.
Result<std::vector<SeriesLine>> lines_or_none(Series& series, const SeriesQuery& query);

// How far a series that Pillion makes must move before anybody would notice: a processor's clock ticks ten milliseconds
// at a time, and what rests is moved a hundredfold by one tick. 0 for series of the user's own.
double notable_min(const SeriesCourse& course);

// What it means to the user when the metric rises.
TrendMeaning meaning_of(std::string_view metric, bool rises);

} // namespace pillion
