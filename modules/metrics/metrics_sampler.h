// Reads what Pillion measures of itself into time series, once a second and only while somebody wants them: a
// subscriber of the topic `metrics`, an alert rule, a monitor, an analysis. Other parts add sources of their own. What
// it costs is a series too, `pillion.monitor.cost`. Owned by the composition root; any thread may call, sources are
// called on the timers' thread or on that of read_now(), one at a time.
#pragma once

#include "modules/metrics/metrics.h"
#include "modules/series/series.h"

#include <set>
#include <span>

namespace pillion {

// What watching costs: `part` is `series` (the sampler's own) or `processes` (the monitor's).
inline constexpr SeriesSpec monitor_cost{"pillion.monitor.cost", "Share of one core that sampling takes.", "1",
                                         SeriesKind::gauge};

// The series of Pillion's own that the sampler makes, for the reference.
std::span<const SeriesSpec> metrics_series();

class MetricsSampler {
  public:
    using Source = std::function<void(Series&)>;
    static constexpr std::int64_t interval_ms = 1000;

    struct Host {
        Metrics& metrics;
        Series& series;
        Timers& timers;
        const Clock& clock;
    };
    explicit MetricsSampler(const Host& host);
    ~MetricsSampler();
    MetricsSampler(const MetricsSampler&) = delete;

    // At composition. A source must not block: on the timers' thread everybody waits for it.
    void add_source(Source source) { sources_.push_back(std::move(source)); }

    // Begins with the first who wants it and ends with the last who no longer does.
    void set_wanted(std::string_view who, bool is_wanted);
    bool is_running() const;
    // A reading now, unless there was one within the last second: for an export while nobody samples.
    void read_now();
    // Share of one core that sampling took in its latest interval; 0 while it does not run.
    double cost() const;
    void stop();

  private:
    void arm(std::int64_t delay_ms);
    void tick(std::int64_t due_ns);
    void read();
    void read_wire();
    void read_process();

    const Host host_;
    std::vector<Source> sources_; // constant after composition

    std::mutex read_mutex_; // guards what follows; taken before mutex_
    HistogramSteps latency_, wait_;
    std::int64_t read_at_ns_ = 0;
    std::int64_t cost_ns_ = 0; // since cost_from_ns_
    std::int64_t cost_from_ns_ = 0;

    mutable std::mutex mutex_; // guards what follows
    std::set<std::string, std::less<>> wanted_by_;
    TimerId timer_{};
    bool is_armed_ = false;
    bool is_stopped_ = false;
    double cost_ = 0;
};

} // namespace pillion
