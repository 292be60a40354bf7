// `metrics.export`, and OpenTelemetry's metrics as JSON (opentelemetry-proto, metrics/v1: 64-bit integers are text).
// Constants; any thread.
#pragma once

#include "ipc/method.h"
#include "modules/metrics/metrics_export.h"
#include "modules/metrics/metrics_sampler.h"

#include <vector>

namespace pillion {

PILLION_ENUM(MetricsFormat, "prometheus", "openmetrics", "otlp")

struct MetricsExportParams {
    MetricsFormat format = MetricsFormat::prometheus;
};
PILLION_WIRE(MetricsExportParams,
             PILLION_FIELD(format, "`prometheus` (text 0.0.4), `openmetrics` (text 1.0) or `otlp` (JSON).", defaulted))

struct MetricsExportResult {
    MetricsFormat format = MetricsFormat::prometheus;
    std::string contentType{};
    std::optional<std::string> text{};
    std::optional<Json> otlp{};
};
PILLION_WIRE(MetricsExportResult, PILLION_FIELD(format, "The format."),
             PILLION_FIELD(contentType, "What an HTTP answer with it would say."),
             PILLION_FIELD(text, "The metrics, in the text formats."),
             PILLION_FIELD(otlp, "The metrics as an ExportMetricsServiceRequest, in the format `otlp`."))

// The method; all outlive it. `version` is Pillion's.
std::vector<Method> metrics_export_methods(Metrics& metrics, Series& series, MetricsSampler& sampler,
                                           BufferPool& buffers, std::string version);

} // namespace pillion
