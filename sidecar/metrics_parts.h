// Time series put together: the store of series, the sampler that reads Pillion's own metrics into it, and the methods
// that record, query and export. A piece of the composition root (application.h), which owns it; made when metrics are
// first subscribed to, recorded, queried or exported.
#pragma once

#include "ipc/io.h"
#include "modules/metrics/metrics_export_rpc.h"
#include "modules/series/series_rpc.h"
#include "sidecar/metric_sources.h"

#include <string>
#include <vector>

namespace pillion {

class MetricsParts {
  public:
    struct Host {
        Io& io;
        const Clock& clock;
        Store& state;
        Metrics& metrics;
        MetricSources& sources;
        BufferPool& buffers;
        std::string version;
        std::span<const SeriesSpec> monitored; // the series of the monitor, for the reference
    };
    explicit MetricsParts(const Host& host);

    std::vector<Method> methods();
    // Whether somebody is subscribed to the topic `metrics`.
    void set_subscribed(bool subscribed) { sampler_.set_wanted("topic", subscribed); }
    Series& series() { return series_; }
    MetricsSampler& sampler() { return sampler_; }
    // Writes what is not written yet. Before the io thread and the state store stop.
    void stop();

  private:
    // What Pillion measures itself: listed before it is measured, and no client may record under such a name.
    std::vector<std::span<const SeriesSpec>> declared() const;

    const Host host_;
    Series series_;
    MetricsSampler sampler_;
};

} // namespace pillion
