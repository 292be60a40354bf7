// Advice put together with what it acts on: the cache, memory, components, the database. A piece of the composition
// root (application.h), which owns it; made when suggestions are first asked for, or at the start where the
// configuration lets them be tried by themselves.
#pragma once

#include "ipc/event_hub.h"
#include "ipc/io.h"
#include "modules/suggestions/suggestions_rpc.h"
#include "sidecar/lazy.h"
#include "sidecar/metrics_parts.h"
#include "sidecar/suggestion_situation.h"

#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace pillion {

class SuggestionParts {
  public:
    // All outlive the parts.
    struct Host {
        Io& io;
        const Clock& clock;
        Store& state;
        EventHub& hub;
        Memory& memory;
        Metrics& metrics;
        Dispatcher& dispatcher;
        Lazy<MetricsParts>& series;
        const Lazy<AppParts>& parts;
        const Lazy<CacheParts>& cache;
        // Whether the resource monitor is to run: while something is measured.
        std::function<void(bool)> set_monitored{};
        std::int64_t started_ns = 0; // when this program was, by the monotonic clock
    };
    SuggestionParts(const Host& host, const SuggestionsConfig& config);
    ~SuggestionParts() { stop(); }
    SuggestionParts(const SuggestionParts&) = delete;

    static void declare_events(EventHub& hub);
    std::vector<Method> methods();
    Suggestions& suggestions() { return suggestions_; }
    void configure(const SuggestionsConfig& config) {
        suggestions_.configure(config);
        suggestions_.begin();
    }
    // Serving begins.
    void begin() { suggestions_.begin(); }
    // Trials under way are recorded as interrupted, and their calls answered.
    void end_trials() { suggestions_.stop(); }
    // Before anything that is acted on stops, and the series.
    void stop();

  private:
    Suggestions::Host suggestions_host();
    Situation situation();
    bool is_starting() const;
    Result<void> set_policy(const std::string& name, const std::map<std::string, std::string>& settings);
    void add_cache_actions();
    void add_other_actions();
    void add_worker_action();
    void add_backend_actions();

    const Host host_;
    std::mutex mutex_;                                     // guards what follows
    std::vector<std::uint64_t> waits_before_;              // for a worker, of another number of workers
    std::map<std::string, CompressionChange> compression_; // by namespace
    SerialExecutor executor_{"pillion-trials"};            // a thread for trials, from the first one on
    Suggestions suggestions_;
};

} // namespace pillion
