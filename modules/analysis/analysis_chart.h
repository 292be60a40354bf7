// Charts of the report's page as inline SVG, coloured by the page's own style, and figures as people read them. Part of
// analysis; pure functions.
#pragma once

#include "modules/analysis/analysis.h"

#include <string>
#include <string_view>

namespace pillion {

// A value in its unit: "12.4 MiB", "3.2 ms", "45 %"; with more than three digits if asked for.
std::string page_figure(double value, std::string_view unit, int digits = 0);
std::string page_number(double value, const char* format = "%.1f");
// "14:05" in UTC; with the date where the span is longer than a day.
std::string page_time(std::int64_t at_ms, std::int64_t span_ms);

std::string score_ring(std::optional<double> score);
// "good", "fair" or "poor": the class that colours it.
std::string_view grade_of(double score);

struct ChartSigns {
    std::vector<SeriesAnomaly> anomalies{};
    std::vector<SeriesChange> changes{};
};
// The course over the whole span; where it pauses, the line does.
std::string line_chart(const SeriesCourse& course, std::int64_t from_ms, std::int64_t to_ms, const ChartSigns& signs);

} // namespace pillion
