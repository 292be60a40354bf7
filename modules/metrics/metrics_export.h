// Series as others read them: names, units and buckets for exposition, and the two text formats. Functions without
// state; any thread.
#pragma once

#include "modules/metrics/metrics.h"
#include "modules/series/series.h"

#include <string>
#include <string_view>
#include <vector>

namespace pillion {

enum class MetricsFormat : std::uint8_t {
    prometheus,  // text exposition 0.0.4
    openmetrics, // text 1.0
    otlp,        // OpenTelemetry's metrics data model as JSON
};

// A series ready to be told: in base units, its cells joined into at most four to a power of two.
struct ExportedMetric {
    SeriesState state;
    std::string unit;                    // base unit as UCUM writes it: "s" where the series has "ns" or "ms"
    double scale = 1;                    // of the series' values into that unit
    std::vector<double> bounds{};        // histogram: ascending upper borders, scaled
    std::vector<std::uint64_t> counts{}; // one more than bounds: the last is above them all
};

// All series that have a value of this run, in order of name. The latency of requests comes from `metrics`, which knows
// it since the start.
std::vector<ExportedMetric> exported_metrics(const Series& series, const Metrics& metrics);

std::string metrics_text(const std::vector<ExportedMetric>& metrics, MetricsFormat format);
std::string_view metrics_content_type(MetricsFormat format);

} // namespace pillion
