// How time series look on the wire: `metrics.record`, `metrics.query`, `metrics.list`. Constants; any thread.
#pragma once

#include "ipc/method.h"
#include "modules/series/series.h"

#include <span>
#include <vector>

namespace pillion {

PILLION_ENUM(SeriesKind, "counter", "gauge", "histogram")
PILLION_ENUM(SeriesFunction, "rate", "increase", "avg", "min", "max", "sum", "count", "last", "percentile", "delta")
PILLION_ENUM(SeriesAggregate, "none", "sum", "avg", "min", "max")

// What a client calls what it records. Those of an app's own vocabulary are a kind with a unit.
enum class MetricType : std::uint8_t {
    counter,
    gauge,
    histogram,
    processing_time,  // histogram of milliseconds
    memory_usage,     // gauge of bytes
    cache_hit_rate,   // gauge of a share from 0 to 1
    user_interaction, // histogram of milliseconds until the app reacted
};
PILLION_ENUM(MetricType, "counter", "gauge", "histogram", "processing_time", "memory_usage", "cache_hit_rate",
             "user_interaction")

struct MetricValue {
    std::string_view name{};
    MetricType type = MetricType::gauge;
    double value = 0;
    std::optional<std::string_view> unit{};
    std::map<std::string, std::string> labels{};
};
PILLION_WIRE(MetricValue,
             PILLION_FIELD(name, "The metric: letters, digits and . _ - /, dotted by custom.", between(1, 128)),
             PILLION_FIELD(type,
                           "`counter`, `gauge`, `histogram`, or a kind with a unit of its own: "
                           "`processing_time` and `user_interaction` (histograms of ms), `memory_usage` (gauge "
                           "of By), `cache_hit_rate` (gauge from 0 to 1).",
                           defaulted),
             PILLION_FIELD(value, "A counter's rise, a gauge's value, a value of the distribution."),
             PILLION_FIELD(unit, "UCUM: `ms`, `By`, `1`, `{request}`. It stays what it was first.", between(0, 32)),
             PILLION_FIELD(labels,
                           "At most 10. A name has at most 20 sets of them; others are kept together under "
                           "`overflow=\"true\"`.",
                           defaulted))

struct MetricsRecordParams {
    std::optional<std::string_view> name{};
    MetricType type = MetricType::gauge;
    std::optional<double> value{};
    std::optional<std::string_view> unit{};
    std::map<std::string, std::string> labels{};
    std::vector<MetricValue> metrics{};
};
PILLION_WIRE(MetricsRecordParams,
             PILLION_FIELD(name, "The metric, as in `metrics`; with `value`, or else `metrics`.", between(1, 128)),
             PILLION_FIELD(type, "As in `metrics`.", defaulted), PILLION_FIELD(value, "As in `metrics`."),
             PILLION_FIELD(unit, "As in `metrics`.", between(0, 32)),
             PILLION_FIELD(labels, "As in `metrics`.", defaulted),
             PILLION_FIELD(metrics, "Many at once, in place of the other members.", between(0, 100), defaulted))

struct MetricRefusal {
    std::size_t index = 0;
    std::string message{};
    std::string field{};
};
PILLION_WIRE(MetricRefusal, PILLION_FIELD(index, "Which of `metrics`, from 0."), PILLION_FIELD(message, "Why."),
             PILLION_FIELD(field, "What of it, as a JSON pointer into the params; empty if no single member."))

struct MetricsRecordResult {
    std::size_t recorded = 0;
    std::vector<MetricRefusal> refused{};
};
PILLION_WIRE(MetricsRecordResult, PILLION_FIELD(recorded, "How many were recorded."),
             PILLION_FIELD(refused, "Of `metrics`, those that were not."))

struct MetricsQueryParams {
    std::string name{};
    std::map<std::string, std::string> labels{};
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::int64_t step = 0;
    std::optional<SeriesFunction> function{};
    double percentile = 95;
    SeriesAggregate aggregate = SeriesAggregate::none;
    std::vector<std::string> by{};
};
PILLION_WIRE(MetricsQueryParams, PILLION_FIELD(name, "The metric; `metrics.list` names them.", between(1, 128)),
             PILLION_FIELD(labels, "What the labels must be; those not named are free.", defaulted),
             PILLION_FIELD(from, "Milliseconds since the Unix epoch; 0: an hour before `to`.", defaulted),
             PILLION_FIELD(to, "Milliseconds since the Unix epoch; 0: now.", defaulted),
             PILLION_FIELD(step,
                           "Milliseconds between two points, raised to what is kept that far back; 0: chosen, for at "
                           "most 1,000 points. At most 11,000 points may result.",
                           defaulted),
             PILLION_FIELD(function,
                           "What is made of the values in each step; `rate` for counters, else `avg`, if left out. "
                           "`rate`, `increase`: counters and histograms; `delta`: gauges and counters."),
             PILLION_FIELD(percentile, "Of the function `percentile`, 0 to 100.", between(0, 100), defaulted),
             PILLION_FIELD(aggregate,
                           "How the series that match become one, per value of the labels in `by`. Percentiles of "
                           "histograms are those of all their values together.",
                           defaulted),
             PILLION_FIELD(by, "Labels to keep apart when aggregating.", between(0, 10), defaulted))

struct MetricsLine {
    std::map<std::string, std::string> labels{};
    std::vector<std::int64_t> at{};
    std::vector<double> values{};
};
PILLION_WIRE(MetricsLine, PILLION_FIELD(labels, "Its labels."),
             PILLION_FIELD(at, "When the steps that have data begin, in milliseconds since the Unix epoch, ascending."),
             PILLION_FIELD(values, "A value for each of them."))

struct MetricsQueryResult {
    std::string name{};
    SeriesKind kind = SeriesKind::gauge;
    std::string unit{};
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::int64_t step = 0;
    std::int64_t resolution = 0;
    std::vector<MetricsLine> series{};
};
PILLION_WIRE(MetricsQueryResult, PILLION_FIELD(name, "The metric."), PILLION_FIELD(kind, "What it is."),
             PILLION_FIELD(unit, "Its unit, before any function: a rate is that per second."),
             PILLION_FIELD(from, "The beginning of the first step."), PILLION_FIELD(to, "The end."),
             PILLION_FIELD(step, "Milliseconds between two points."),
             PILLION_FIELD(resolution, "Milliseconds of the buckets that were read."),
             PILLION_FIELD(series, "One for each set of labels."))

struct MetricDescription {
    std::string name{};
    SeriesKind kind = SeriesKind::gauge;
    std::string unit{};
    std::string help{};
    bool custom = false;
    std::size_t series = 0;
};
PILLION_WIRE(MetricDescription, PILLION_FIELD(name, "The metric.", sortable), PILLION_FIELD(kind, "What it is."),
             PILLION_FIELD(unit, "Its unit, as UCUM writes it."), PILLION_FIELD(help, "What it measures."),
             PILLION_FIELD(custom, "Whether a client records it."),
             PILLION_FIELD(series, "Sets of labels that were recorded; 0: not measured yet.", sortable))

// The methods; `series` outlives them. `declared` are the constants of all who measure, for metrics.list: those that
// have not been measured yet are listed too.
std::vector<Method> series_methods(Series& series, std::vector<std::span<const SeriesSpec>> declared = {});

} // namespace pillion
