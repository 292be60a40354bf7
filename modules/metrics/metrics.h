// What Pillion measures of itself, put together for whoever looks: a snapshot, per-method statistics, distributions and
// periodic samples. It reads what the wire counts anyway and adds nothing to a request. Owned by the composition root;
// any thread may call.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/base/metric.h"
#include "ipc/method.h"
#include "modules/memory/memory.h"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// What the dispatcher knows. Counts are since the start and never fall.
struct IpcReadings {
    std::uint64_t requests = 0;
    std::uint64_t notifications = 0;
    std::uint64_t errors = 0;
    std::uint64_t batches = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t queue_depth = 0;            // pooled calls that wait for a worker, now
    std::uint64_t in_flight = 0;              // accepted and not answered, now
    const Histogram* batch_size = nullptr;    // members of a batch; null or living as long as the process
    const Histogram* queue_wait_ns = nullptr; // from arrival to the worker
    std::uint64_t cache_entries = 0;          // of the response cache
    std::uint64_t cache_bytes = 0;
    std::uint64_t cache_hits = 0;
    std::uint64_t cache_misses = 0;
    std::uint64_t coalesced = 0;
};

// What the system says about this process, cheaply.
struct ProcessReadings {
    std::int64_t started_wall_ms = 0; // 0 where unknown
    std::int64_t user_ns = 0;
    std::int64_t system_ns = 0;
    std::uint64_t resident_bytes = 0;
};
ProcessReadings read_process();

struct MetricsStartup {
    std::optional<std::int64_t> processStartedAt{};
    std::optional<std::int64_t> readyAt{};
    std::optional<double> spawnToReadyMs{};
    std::optional<std::uint64_t> residentAtReadyBytes{};
    // From the startup engine and the client's marks; absent where nothing was started or marked.
    std::optional<double> timeToFirstInteractionMs{};
    std::optional<std::map<std::string, double>> componentsMs{};
    std::optional<std::map<std::string, double>> phasesMs{};
};

struct MetricsRuntime {
    double uptimeMs = 0;
    double cpuUserMs = 0;
    double cpuSystemMs = 0;
    double cpuPercent = 0;
    double cpuAveragePercent = 0;
    double cpuPeakPercent = 0;
    std::uint64_t residentBytes = 0;
    std::uint64_t residentPeakBytes = 0;
    std::uint64_t residentAverageBytes = 0;
    std::optional<std::uint64_t> backgroundTasks{};
};

// What other parts of Pillion say of themselves, each through a source that the composition root connects. A block
// without a source, or whose source has nothing to say, is left out.
struct MetricsResources {
    std::optional<std::uint64_t> allocatedBytes{};
    std::optional<double> cpuPercent{};
    std::optional<std::uint64_t> diskReadBytes{};
    std::optional<std::uint64_t> diskWrittenBytes{};
    std::optional<std::uint64_t> networkReceivedBytes{};
    std::optional<std::uint64_t> networkSentBytes{};
    std::optional<std::uint64_t> openFiles{};
    std::optional<std::uint64_t> threads{};
    std::optional<std::uint64_t> processes{};
};

struct MetricsCache {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    double hitRatio = 0;
    std::optional<std::uint64_t> evictions{};
};

struct MetricsLazyLoading {
    std::uint64_t components = 0;
    std::uint64_t loaded = 0;
    std::uint64_t loads = 0;
    std::uint64_t failures = 0;
    std::optional<double> averageLoadMs{};
    std::optional<std::uint64_t> loadedBytes{};
};

struct MetricsBackground {
    std::uint64_t running = 0;
    std::uint64_t waiting = 0;
    std::uint64_t completed = 0;
    std::uint64_t failed = 0;
};

struct MetricsSources {
    std::function<void(MetricsStartup&)> startup{}; // fills in what it knows
    std::function<std::optional<std::uint64_t>()> background_tasks{};
    std::function<std::optional<MetricsResources>()> resources{};
    std::function<std::optional<MetricsCache>()> cache{};
    std::function<std::optional<MetricsLazyLoading>()> lazy_loading{};
    std::function<std::optional<MetricsBackground>()> background{};
};

struct MetricsLatency {
    std::uint64_t count = 0;
    double meanUs = 0;
    double p50Us = 0;
    double p95Us = 0;
    double p99Us = 0;
    double maxUs = 0;
};

struct MetricsWait {
    double p50Us = 0;
    double p99Us = 0;
};

struct MetricsBatchSize {
    std::uint64_t p50 = 0;
    std::uint64_t p99 = 0;
};

struct MetricsResponseCache {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    double hitRatio = 0;
    std::uint64_t coalesced = 0;
};

struct MetricsIpc {
    std::uint64_t requests = 0;
    std::uint64_t notifications = 0;
    std::uint64_t errors = 0;
    double successRate = 1;
    std::uint64_t batches = 0;
    MetricsBatchSize batchSize;
    std::uint64_t bytesIn = 0;
    std::uint64_t bytesOut = 0;
    std::uint64_t queueDepth = 0;
    MetricsWait queueWait;
    std::uint64_t inFlight = 0;
    MetricsLatency latency;
    MetricsResponseCache cache;
};

struct MetricsSnapshot {
    std::int64_t at = 0;
    MetricsStartup startup;
    MetricsRuntime runtime;
    MetricsIpc ipc;
    std::vector<MemoryPool> pools;
    std::uint64_t poolsBytes = 0;
    std::map<std::string, std::uint64_t> counters;
    std::optional<MetricsResources> resources{};
    std::optional<MetricsCache> cache{};
    std::optional<MetricsLazyLoading> lazyLoading{};
    std::optional<MetricsBackground> background{};
};

struct MetricsMethod {
    std::string name;
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
    double p50Us = 0;
    double p95Us = 0;
    double p99Us = 0;
    double maxUs = 0;
    std::uint64_t cacheHits = 0;
    std::uint64_t cacheMisses = 0;
    std::uint64_t coalesced = 0;
};

struct MetricsBucket {
    double fromUs = 0;
    double toUs = 0; // exclusive
    std::uint64_t count = 0;
};

struct MetricsHistogram {
    std::string metric;
    std::optional<std::string> method{};
    std::uint64_t count = 0;
    double sumUs = 0;
    double minUs = 0;
    double maxUs = 0;
    double meanUs = 0;
    double p50Us = 0;
    double p95Us = 0;
    double p99Us = 0;
    std::vector<MetricsBucket> buckets;
};

struct MetricsSample {
    std::int64_t at = 0;
    double intervalMs = 0;
    std::uint64_t requests = 0;
    double requestsPerSecond = 0;
    std::uint64_t errors = 0;
    double p50Us = 0;
    double p99Us = 0;
    std::uint64_t queueDepth = 0;
    std::uint64_t inFlight = 0;
    std::uint64_t bytesIn = 0;
    std::uint64_t bytesOut = 0;
    double cacheHitRatio = 0;
    std::uint64_t residentBytes = 0;
    double cpuPercent = 0;
    std::uint64_t poolsBytes = 0;
};

// Share of hits in all look-ups; 0 while there were none.
inline double hit_ratio(std::uint64_t hits, std::uint64_t misses) {
    const std::uint64_t all = hits + misses;
    return all == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(all);
}

class Metrics {
  public:
    // The previous reading of one who samples: rates are since then. One thread at a time.
    class Interval {
        friend class Metrics;
        std::optional<std::int64_t> at_ns_;
        std::uint64_t requests_ = 0;
        std::int64_t cpu_ns_ = 0;
        std::vector<std::uint64_t> latency_counts_;
        MetricsSample last_{};
    };

    // Shorter intervals than this give no rate: the previous one is repeated.
    static constexpr std::int64_t interval_ns_min = 20'000'000;
    static constexpr std::string_view metric_names[] = {"latency", "queueWait"};

    // All outlive the Metrics. `ipc` is called from any thread.
    Metrics(const Clock& clock, const MethodTable& methods, Memory& memory, std::function<IpcReadings()> ipc,
            std::function<ProcessReadings()> process = read_process);
    Metrics(const Metrics&) = delete;

    // At composition: where the blocks of others come from. They are called from any thread.
    void set_sources(MetricsSources sources) { sources_ = std::move(sources); }

    // The process serves from now on: ends the startup and begins the first interval. Called once.
    void mark_ready();

    MetricsSnapshot snapshot();
    std::vector<MetricsMethod> methods(bool with_unused) const;
    // The distribution of a metric ("latency" by default), of one method's latency or of all; neighbouring buckets are
    // joined until there are at most `buckets_max`.
    Result<MetricsHistogram> histogram(std::optional<std::string_view> method, std::optional<std::string_view> metric,
                                       std::size_t buckets_max) const;
    // Clears per-method statistics and latencies, of one method or of all; of how many. What the dispatcher counts and
    // the counters stay: those who compute rates from them need sums that never fall.
    Result<std::size_t> reset(std::optional<std::string_view> method);

    // The reading for the event `metrics.sample`; some 70 us. Also lets idle pools shrink.
    MetricsSample sample(Interval& interval);
    // The same for a publisher that keeps no interval of its own.
    MetricsSample sample();

    // What is underneath, for the sampler: counts by bucket of Histogram, of all methods' latency in ns.
    std::vector<std::uint64_t> latency_counts() const;
    IpcReadings ipc_readings() const { return ipc_(); }
    ProcessReadings process_readings() const { return process_(); }
    const Memory& memory() const { return memory_; }

  private:
    Result<const Method*> find_method(std::string_view name) const;
    MetricsIpc ipc_block() const;
    MetricsRuntime runtime_block(const ProcessReadings& process);
    void note_resident(std::uint64_t bytes); // mutex_ is held

    const Clock& clock_;
    const MethodTable& table_;
    Memory& memory_;
    const std::function<IpcReadings()> ipc_;
    const std::function<ProcessReadings()> process_;
    const std::int64_t began_ns_;
    MetricsSources sources_{}; // constant after composition

    std::mutex sample_mutex_; // guards shared_interval_
    Interval shared_interval_;

    std::mutex mutex_; // guards what follows
    MetricsStartup startup_{};
    double resident_sum_bytes_ = 0;
    std::uint64_t resident_readings_ = 0;
    std::int64_t first_at_ns_; // where an interval that has no previous reading begins
    std::int64_t first_cpu_ns_ = 0;
    std::int64_t cpu_at_ns_; // snapshot's own interval
    std::int64_t cpu_before_ns_ = 0;
    double cpu_percent_ = 0;
    double cpu_peak_percent_ = 0;
};

} // namespace pillion
