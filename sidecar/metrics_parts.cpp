#include "sidecar/metrics_parts.h"

#include <algorithm>
#include <iterator>

namespace pillion {

namespace {

Store& with_tables(Store& state) {
    Series::add_schema(state);
    return state;
}

} // namespace

MetricsParts::MetricsParts(const Host& host)
    : host_(host), series_({host.clock, host.io, &with_tables(host.state)}),
      sampler_({host.metrics, series_, host.io, host.clock}) {
    sampler_.add_source([this](Series& series) { host_.sources.read(series); });
    for (const std::span<const SeriesSpec> specs : declared()) series_.reserve(specs);
}

std::vector<std::span<const SeriesSpec>> MetricsParts::declared() const {
    std::vector<std::span<const SeriesSpec>> declared = MetricSources::series();
    declared.push_back(host_.monitored);
    declared.push_back(metrics_series());
    return declared;
}

std::vector<Method> MetricsParts::methods() {
    std::vector<Method> methods = series_methods(series_, declared());
    std::ranges::move(metrics_export_methods(host_.metrics, series_, sampler_, host_.buffers, host_.version),
                      std::back_inserter(methods));
    return methods;
}

void MetricsParts::stop() {
    sampler_.stop();
    series_.stop();
}

} // namespace pillion
