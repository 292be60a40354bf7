// Rules read the series: one point over the whole window for each line. A window's last second is not over yet and
// counts as far as it has come. Nobody waits for history here: this runs on the timers' thread.
#include "modules/alerts/alerts.h"

#include <algorithm>
#include <utility>

namespace pillion {

AlertSource alert_source(Series& series) {
    return [&series](const AlertQuery& query) -> Result<AlertReading> {
        SeriesAnswer answer =
            PILLION_TRY(series.values({.name = query.metric,
                                       .labels = query.labels,
                                       .from_ms = std::max<std::int64_t>(1, series.now_ms() - query.window_ms),
                                       .to_ms = 0,
                                       .function = query.function,
                                       .percentile = query.percentile,
                                       .aggregate = query.aggregate,
                                       .by = query.by}));
        AlertReading reading{.unit = std::move(answer.unit)};
        for (SeriesLine& line : answer.lines)
            if (!line.points.empty()) reading.samples.push_back({std::move(line.labels), line.points.front().value});
        return reading;
    };
}

} // namespace pillion
