#include "modules/metrics/metrics_export_rpc.h"

namespace pillion {

struct OtlpValue {
    std::string stringValue{};
};
PILLION_WIRE(OtlpValue, PILLION_FIELD(stringValue, ""))

struct OtlpAttribute {
    std::string key{};
    OtlpValue value{};
};
PILLION_WIRE(OtlpAttribute, PILLION_FIELD(key, ""), PILLION_FIELD(value, ""))

struct OtlpPoint {
    std::vector<OtlpAttribute> attributes{};
    std::optional<std::string> startTimeUnixNano{};
    std::string timeUnixNano{};
    std::optional<double> asDouble{};
    std::optional<std::string> count{};
    std::optional<double> sum{};
    std::optional<std::vector<std::string>> bucketCounts{};
    std::optional<std::vector<double>> explicitBounds{};
};
PILLION_WIRE(OtlpPoint, PILLION_FIELD(attributes, ""), PILLION_FIELD(startTimeUnixNano, ""),
             PILLION_FIELD(timeUnixNano, ""), PILLION_FIELD(asDouble, ""), PILLION_FIELD(count, ""),
             PILLION_FIELD(sum, ""), PILLION_FIELD(bucketCounts, ""), PILLION_FIELD(explicitBounds, ""))

struct OtlpData {
    std::vector<OtlpPoint> dataPoints{};
    std::optional<std::int64_t> aggregationTemporality{};
    std::optional<bool> isMonotonic{};
};
PILLION_WIRE(OtlpData, PILLION_FIELD(dataPoints, ""), PILLION_FIELD(aggregationTemporality, ""),
             PILLION_FIELD(isMonotonic, ""))

struct OtlpMetric {
    std::string name{};
    std::string description{};
    std::string unit{};
    std::optional<OtlpData> sum{};
    std::optional<OtlpData> gauge{};
    std::optional<OtlpData> histogram{};
};
PILLION_WIRE(OtlpMetric, PILLION_FIELD(name, ""), PILLION_FIELD(description, ""), PILLION_FIELD(unit, ""),
             PILLION_FIELD(sum, ""), PILLION_FIELD(gauge, ""), PILLION_FIELD(histogram, ""))

struct OtlpScope {
    std::string name{};
    std::string version{};
};
PILLION_WIRE(OtlpScope, PILLION_FIELD(name, ""), PILLION_FIELD(version, ""))

struct OtlpScopeMetrics {
    OtlpScope scope{};
    std::vector<OtlpMetric> metrics{};
};
PILLION_WIRE(OtlpScopeMetrics, PILLION_FIELD(scope, ""), PILLION_FIELD(metrics, ""))

struct OtlpResource {
    std::vector<OtlpAttribute> attributes{};
};
PILLION_WIRE(OtlpResource, PILLION_FIELD(attributes, ""))

struct OtlpResourceMetrics {
    OtlpResource resource{};
    std::vector<OtlpScopeMetrics> scopeMetrics{};
};
PILLION_WIRE(OtlpResourceMetrics, PILLION_FIELD(resource, ""), PILLION_FIELD(scopeMetrics, ""))

struct OtlpRequest {
    std::vector<OtlpResourceMetrics> resourceMetrics{};
};
PILLION_WIRE(OtlpRequest, PILLION_FIELD(resourceMetrics, ""))

namespace {

constexpr std::int64_t cumulative = 2; // AGGREGATION_TEMPORALITY_CUMULATIVE

OtlpAttribute attribute(const std::string& key, const std::string& value) {
    OtlpAttribute made;
    made.key = key;
    made.value.stringValue = value;
    return made;
}

std::string nanoseconds(std::int64_t wall_ms) { return std::to_string(wall_ms) + "000000"; }

OtlpPoint point_of(const ExportedMetric& metric) {
    const SeriesState& state = metric.state;
    OtlpPoint point;
    for (const auto& [key, value] : state.labels) point.attributes.push_back(attribute(key, value));
    if (state.kind != SeriesKind::gauge) point.startTimeUnixNano = nanoseconds(state.began_ms);
    point.timeUnixNano = nanoseconds(state.at_ms);
    if (state.kind != SeriesKind::histogram) {
        point.asDouble = state.value * metric.scale;
        return point;
    }
    point.count = std::to_string(state.count);
    point.sum = state.sum * metric.scale;
    point.explicitBounds = metric.bounds;
    point.bucketCounts.emplace();
    for (const std::uint64_t count : metric.counts) point.bucketCounts->push_back(std::to_string(count));
    return point;
}

OtlpRequest otlp_of(const std::vector<ExportedMetric>& metrics, const std::string& version) {
    OtlpScopeMetrics scope;
    scope.scope.name = "pillion";
    scope.scope.version = version;
    for (const ExportedMetric& metric : metrics) {
        const SeriesState& state = metric.state;
        if (scope.metrics.empty() || scope.metrics.back().name != state.name) {
            OtlpMetric& fresh = scope.metrics.emplace_back();
            fresh.name = state.name;
            fresh.description = state.help;
            fresh.unit = metric.unit;
        }
        OtlpMetric& current = scope.metrics.back();
        auto& data = state.kind == SeriesKind::counter ? current.sum
                     : state.kind == SeriesKind::gauge ? current.gauge
                                                       : current.histogram;
        if (!data) data.emplace();
        if (state.kind != SeriesKind::gauge) data->aggregationTemporality = cumulative;
        if (state.kind == SeriesKind::counter) data->isMonotonic = true;
        data->dataPoints.push_back(point_of(metric));
    }
    OtlpRequest request;
    OtlpResourceMetrics& resource = request.resourceMetrics.emplace_back();
    resource.resource.attributes.push_back(attribute("service.name", "pillion"));
    resource.resource.attributes.push_back(attribute("service.version", version));
    resource.scopeMetrics.push_back(std::move(scope));
    return request;
}

} // namespace

std::vector<Method> metrics_export_methods(Metrics& metrics, Series& series, MetricsSampler& sampler,
                                           BufferPool& buffers, std::string version) {
    std::vector<Method> methods;
    methods.push_back(
        method("metrics.export", "All metrics as Prometheus, OpenMetrics or OpenTelemetry read them.", Lane::pooled,
               [&metrics, &series, &sampler, &buffers,
                version = std::move(version)](const MetricsExportParams& params) -> Result<MetricsExportResult> {
                   sampler.read_now();
                   const auto exported = exported_metrics(series, metrics);
                   MetricsExportResult result;
                   result.format = params.format;
                   result.contentType = std::string(metrics_content_type(params.format));
                   if (params.format != MetricsFormat::otlp) {
                       result.text = metrics_text(exported, params.format);
                       return result;
                   }
                   Buffer json(buffers);
                   wire::encode(otlp_of(exported, version), json);
                   result.otlp = Json{std::string(json.view())};
                   return result;
               }));
    return methods;
}

} // namespace pillion
