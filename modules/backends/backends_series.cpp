#include "modules/backends/backends_series.h"

namespace pillion {

namespace {

constexpr SeriesSpec requests{"pillion.backend.requests", "Calls of a backend's methods, however they were answered.",
                              "{request}", SeriesKind::counter};
constexpr SeriesSpec hits{"pillion.backend.hits", "Calls answered from the cache, or by a run that another began.",
                          "{request}", SeriesKind::counter};
constexpr SeriesSpec errors{"pillion.backend.errors", "Calls that came to an error, a timeout or no answer.",
                            "{request}", SeriesKind::counter};
constexpr SeriesSpec duration{"pillion.backend.duration",
                              "From a call to the backend's answer, its wait in the queue included.", "s",
                              SeriesKind::histogram};
constexpr SeriesSpec queue_depth{"pillion.backend.queue.depth", "Calls that wait to be sent.", "{request}",
                                 SeriesKind::gauge};
constexpr SeriesSpec restarts{"pillion.backend.restarts", "Starts after a crash.", "{restart}", SeriesKind::counter};
constexpr SeriesSpec up{"pillion.backend.up", "0 while it has failed or waits to be started again, else 1.", "1",
                        SeriesKind::gauge};

constexpr SeriesSpec all_specs[] = {requests, hits, errors, duration, queue_depth, restarts, up};

} // namespace

std::span<const SeriesSpec> backends_series() { return all_specs; }

// That a reading is refused, for too many series, is counted by the series themselves.
void BackendsSampler::read(const Backends& backends, Series& series) {
    backends.visit_counts([&](const BackendStats& stats, const Histogram& latency_ns) {
        const SeriesLabels labels{{"backend", stats.name}};
        const auto put = [&](const SeriesSpec& spec, auto value) {
            static_cast<void>(series.observe(spec, labels, static_cast<double>(value)));
        };
        put(requests, stats.calls);
        put(hits, stats.hits + stats.coalesced);
        put(errors, stats.errors + stats.failures + stats.timeouts + stats.refused);
        put(queue_depth, stats.queued);
        put(restarts, stats.restarts);
        put(up, stats.state == BackendState::failed || stats.state == BackendState::waiting ? 0 : 1);
        static_cast<void>(
            latencies_[stats.name].observe(series, duration, labels, histogram_counts(&latency_ns), 1e-9));
    });
}

} // namespace pillion
