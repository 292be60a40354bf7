#include "modules/series/series_rpc.h"

#include "ipc/base/number_text.h"

namespace pillion {

namespace {

// What a type says of kind and unit, where the client does not.
SeriesSpec spec_of(MetricType type) {
    using enum MetricType;
    switch (type) {
    case counter:
        return {"", "", "", SeriesKind::counter};
    case gauge:
        break;
    case histogram:
        return {"", "", "", SeriesKind::histogram};
    case processing_time:
        return {"", "How long the app's work took.", "ms", SeriesKind::histogram};
    case memory_usage:
        return {"", "Memory the app says it uses.", "By", SeriesKind::gauge};
    case cache_hit_rate:
        return {"", "Share of the app's look-ups that hit.", "1", SeriesKind::gauge};
    case user_interaction:
        return {"", "How long a user waited for a reaction.", "ms", SeriesKind::histogram};
    }
    return {"", "", "", SeriesKind::gauge};
}

Result<void> record(Series& series, const MetricValue& metric) {
    SeriesSpec spec = spec_of(metric.type);
    spec.name = metric.name;
    if (metric.unit) spec.unit = *metric.unit;
    if (metric.type == MetricType::cache_hit_rate && !(metric.value >= 0 && metric.value <= 1))
        return fail(ErrorCode::invalid_params,
                    "a cache_hit_rate is a share from 0 to 1, not " + number_text(metric.value), "/value",
                    "divide percent by 100");
    if (metric.type == MetricType::memory_usage && metric.value < 0)
        return fail(ErrorCode::invalid_params, "memory_usage is a number of bytes, not " + number_text(metric.value),
                    "/value");
    return series.record(spec, metric.labels, metric.value);
}

Result<MetricsRecordResult> record_all(Series& series, const MetricsRecordParams& params) {
    if (params.metrics.empty()) {
        if (!params.name)
            return fail(ErrorCode::invalid_params, "nothing to record: name and value, or metrics", "/name");
        if (!params.value) return fail(ErrorCode::invalid_params, "there is no value", "/value");
        PILLION_TRY(record(series, {.name = *params.name,
                                    .type = params.type,
                                    .value = *params.value,
                                    .unit = params.unit,
                                    .labels = params.labels}));
        return MetricsRecordResult{.recorded = 1};
    }
    if (params.name || params.value)
        return fail(ErrorCode::invalid_params, "either one metric or many, not both", "/metrics");
    MetricsRecordResult result;
    for (std::size_t index = 0; index < params.metrics.size(); ++index) {
        if (auto done = record(series, params.metrics[index]); done)
            ++result.recorded;
        else
            result.refused.push_back(
                {index, std::move(done.error().message),
                 done.error().field.empty() ? "" : "/metrics/" + std::to_string(index) + done.error().field});
    }
    return result;
}

Result<MetricsQueryResult> query(Series& series, const MetricsQueryParams& params) {
    SeriesQuery query{.name = params.name,
                      .labels = params.labels,
                      .from_ms = params.from,
                      .to_ms = params.to,
                      .step_ms = params.step,
                      .function = params.function.value_or(SeriesFunction::avg), // of a counter: its rate
                      .percentile = params.percentile,
                      .aggregate = params.aggregate,
                      .by = params.by};
    SeriesAnswer answer = PILLION_TRY(series.query(query));
    MetricsQueryResult result{.name = params.name,
                              .kind = answer.kind,
                              .unit = std::move(answer.unit),
                              .from = answer.from_ms,
                              .to = answer.to_ms,
                              .step = answer.step_ms,
                              .resolution = answer.resolution_ms};
    for (SeriesLine& line : answer.lines) {
        MetricsLine& wire_line = result.series.emplace_back();
        wire_line.labels = std::move(line.labels);
        for (const SeriesPoint& point : line.points) {
            wire_line.at.push_back(point.at_ms);
            wire_line.values.push_back(point.value);
        }
    }
    return result;
}

std::vector<MetricDescription> list(const Series& series, const std::vector<std::span<const SeriesSpec>>& declared) {
    std::map<std::string, MetricDescription> all;
    for (const auto& specs : declared)
        for (const SeriesSpec& spec : specs)
            all[std::string(spec.name)] = {.name = std::string(spec.name),
                                           .kind = spec.kind,
                                           .unit = std::string(spec.unit),
                                           .help = std::string(spec.help)};
    for (SeriesState& state : series.names())
        all[state.name] = {.name = state.name,
                           .kind = state.kind,
                           .unit = std::move(state.unit),
                           .help = std::move(state.help),
                           .custom = state.is_custom,
                           .series = static_cast<std::size_t>(state.count)};
    std::vector<MetricDescription> descriptions;
    for (auto& [name, description] : all) descriptions.push_back(std::move(description));
    return descriptions;
}

} // namespace

std::vector<Method> series_methods(Series& series, std::vector<std::span<const SeriesSpec>> declared) {
    std::vector<Method> methods;
    methods.push_back(method("metrics.record", "Records one value of a metric of the app's own, or many.", Lane::direct,
                             [&series](const MetricsRecordParams& params) -> Result<MetricsRecordResult> {
                                 return record_all(series, params);
                             }));
    methods.push_back(method("metrics.query",
                             "A metric over time: up to 10 minutes back to the second, 2 hours to 10 s, a day to the "
                             "minute, 30 days to 10 minutes.",
                             Lane::pooled, [&series](const MetricsQueryParams& params) -> Result<MetricsQueryResult> {
                                 return query(series, params);
                             }));
    methods.push_back(list_method(
        "metrics.list", "The metrics there are, with kind, unit and meaning.", Lane::pooled,
        [&series, declared = std::move(declared)](const NoParams&) -> Result<std::vector<MetricDescription>> {
            series.load();
            return list(series, declared);
        }));
    return methods;
}

} // namespace pillion
