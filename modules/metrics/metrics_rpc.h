// How metrics look on the wire: descriptions of the engine's structs, the methods `metrics.*`, the event of the topic
// `metrics`. Constants; any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/memory/memory_rpc.h"
#include "modules/metrics/metrics.h"

#include <vector>

namespace pillion {

PILLION_WIRE(MetricsStartup,
             PILLION_FIELD(processStartedAt, "When this process was started by its parent, in milliseconds since the "
                                             "Unix epoch; the system tells it to 10 ms."),
             PILLION_FIELD(readyAt, "When it began to serve, in milliseconds since the Unix epoch."),
             PILLION_FIELD(spawnToReadyMs, "The time between the two, in milliseconds."),
             PILLION_FIELD(residentAtReadyBytes, "Resident size when it began to serve."),
             PILLION_FIELD(timeToFirstInteractionMs, "From the start of the startup run to the client's mark of the "
                                                     "first interaction, in milliseconds; absent without the mark."),
             PILLION_FIELD(componentsMs, "How long each component took at startup, in milliseconds."),
             PILLION_FIELD(phasesMs, "How long each phase of the startup took, in milliseconds."))

PILLION_WIRE(MetricsRuntime, PILLION_FIELD(uptimeMs, "How long Pillion has been running, in milliseconds."),
             PILLION_FIELD(cpuUserMs, "CPU time in its own code, in milliseconds."),
             PILLION_FIELD(cpuSystemMs, "CPU time in the kernel on its behalf, in milliseconds."),
             PILLION_FIELD(cpuPercent, "CPU use since the previous snapshot, in percent of one core."),
             PILLION_FIELD(cpuAveragePercent, "CPU use since it began to serve, in percent of one core."),
             PILLION_FIELD(cpuPeakPercent, "Highest CPU use between two snapshots or samples, in percent of one core."),
             PILLION_FIELD(residentBytes, "Resident size."),
             PILLION_FIELD(residentPeakBytes, "Highest resident size so far."),
             PILLION_FIELD(residentAverageBytes, "Mean of the resident sizes of all snapshots and samples so far."),
             PILLION_FIELD(backgroundTasks, "What runs in the background now."))

PILLION_WIRE(MetricsResources, PILLION_FIELD(allocatedBytes, "Memory of Pillion, its shell and its children."),
             PILLION_FIELD(cpuPercent,
                           "CPU use of all of them, in percent of one core; absent until they were looked at twice."),
             PILLION_FIELD(diskReadBytes, "Bytes they read from disks since they started."),
             PILLION_FIELD(diskWrittenBytes, "Bytes written to disks."),
             PILLION_FIELD(networkReceivedBytes, "Bytes that came over the network of the machine."),
             PILLION_FIELD(networkSentBytes, "Bytes that went."), PILLION_FIELD(openFiles, "Open descriptors."),
             PILLION_FIELD(threads, "Threads."), PILLION_FIELD(processes, "Processes."))

PILLION_WIRE(MetricsCache, PILLION_FIELD(entries, "Entries in memory."), PILLION_FIELD(bytes, "Memory they take."),
             PILLION_FIELD(hits, "Look-ups that found an entry."), PILLION_FIELD(misses, "Those that did not."),
             PILLION_FIELD(hitRatio, "Share of hits, 0 to 1."),
             PILLION_FIELD(evictions, "Entries that had to make room."))

PILLION_WIRE(MetricsLazyLoading, PILLION_FIELD(components, "Components known."), PILLION_FIELD(loaded, "Loaded now."),
             PILLION_FIELD(loads, "Loads so far."), PILLION_FIELD(failures, "Loads that failed."),
             PILLION_FIELD(averageLoadMs, "Mean time of a load, in milliseconds."),
             PILLION_FIELD(loadedBytes, "Memory of what is loaded."))

PILLION_WIRE(MetricsBackground, PILLION_FIELD(running, "Tasks that run now."), PILLION_FIELD(waiting, "That wait."),
             PILLION_FIELD(completed, "That ended well so far."), PILLION_FIELD(failed, "That failed."))

PILLION_WIRE(MetricsLatency, PILLION_FIELD(count, "Requests measured."),
             PILLION_FIELD(meanUs, "Mean time from arrival to the answer, in microseconds."),
             PILLION_FIELD(p50Us, "Median, in microseconds."),
             PILLION_FIELD(p95Us, "95th percentile, in microseconds."),
             PILLION_FIELD(p99Us, "99th percentile, in microseconds."),
             PILLION_FIELD(maxUs, "Slowest, in microseconds."))

PILLION_WIRE(MetricsWait, PILLION_FIELD(p50Us, "Median wait for a worker, in microseconds."),
             PILLION_FIELD(p99Us, "99th percentile, in microseconds."))

PILLION_WIRE(MetricsBatchSize, PILLION_FIELD(p50, "Median number of members of a batch."),
             PILLION_FIELD(p99, "99th percentile."))

PILLION_WIRE(MetricsResponseCache, PILLION_FIELD(entries, "Answers kept."), PILLION_FIELD(bytes, "Memory they take."),
             PILLION_FIELD(hits, "Requests answered from the cache."),
             PILLION_FIELD(misses, "Requests whose answer could have been in the cache and was not."),
             PILLION_FIELD(hitRatio, "Share of hits, 0 to 1."),
             PILLION_FIELD(coalesced, "Requests answered by a run that another had started."))

PILLION_WIRE(MetricsIpc, PILLION_FIELD(requests, "Requests received."),
             PILLION_FIELD(notifications, "Notifications received."),
             PILLION_FIELD(errors, "Requests answered with an error."),
             PILLION_FIELD(successRate, "Share of requests not answered with an error, 0 to 1."),
             PILLION_FIELD(batches, "Batches received."), PILLION_FIELD(batchSize, "How many members they had."),
             PILLION_FIELD(bytesIn, "Bytes read."), PILLION_FIELD(bytesOut, "Bytes written."),
             PILLION_FIELD(queueDepth, "Requests that wait for a worker now."),
             PILLION_FIELD(queueWait, "How long requests waited for a worker."),
             PILLION_FIELD(inFlight, "Requests accepted and not yet answered now."),
             PILLION_FIELD(latency, "Time from arrival to the answer, of all methods."),
             PILLION_FIELD(cache, "The response cache."))

PILLION_WIRE(MetricsSnapshot, PILLION_FIELD(at, "When it was taken, in milliseconds since the Unix epoch."),
             PILLION_FIELD(startup, "How the process came up."),
             PILLION_FIELD(runtime, "CPU and memory of the process."), PILLION_FIELD(ipc, "The wire."),
             PILLION_FIELD(pools, "The memory pools of the hot path."),
             PILLION_FIELD(poolsBytes, "Memory all pools hold."),
             PILLION_FIELD(counters, "Every counter of the process by its name."),
             PILLION_FIELD(resources,
                           "What Pillion and its children take of the machine. The first snapshot begins to watch."),
             PILLION_FIELD(cache, "The cache of the app's values."),
             PILLION_FIELD(lazyLoading, "Components that are loaded when needed."),
             PILLION_FIELD(background, "Work in the background."))

struct MetricsMethodsParams {
    bool all = false;
};
PILLION_WIRE(MetricsMethodsParams, PILLION_FIELD(all, "Also methods that were never called.", defaulted))

PILLION_WIRE(MetricsMethod, PILLION_FIELD(name, "The method.", sortable),
             PILLION_FIELD(requests, "How often it was called.", sortable),
             PILLION_FIELD(errors, "How often it answered with an error.", sortable),
             PILLION_FIELD(p50Us, "Median time from arrival to the answer, in microseconds."),
             PILLION_FIELD(p95Us, "95th percentile, in microseconds."),
             PILLION_FIELD(p99Us, "99th percentile, in microseconds.", sortable),
             PILLION_FIELD(maxUs, "Slowest, in microseconds."),
             PILLION_FIELD(cacheHits, "Answers from the response cache."),
             PILLION_FIELD(cacheMisses, "Answers that were not in it."),
             PILLION_FIELD(coalesced, "Calls answered by a run that another had started."))

struct MetricsHistogramParams {
    std::optional<std::string_view> method;
    std::optional<std::string_view> metric;
    std::int64_t buckets = 64;
};
PILLION_WIRE(MetricsHistogramParams,
             PILLION_FIELD(method, "Latency of this method; of all if left out.", between(1, 128)),
             PILLION_FIELD(metric, "`latency` (default) or `queueWait`.", between(1, 64)),
             PILLION_FIELD(buckets, "Most buckets to answer; neighbours are joined.", between(1, 2500), defaulted))

PILLION_WIRE(MetricsBucket, PILLION_FIELD(fromUs, "Lower border, inclusive, in microseconds."),
             PILLION_FIELD(toUs, "Upper border, exclusive, in microseconds."),
             PILLION_FIELD(count, "Values in between."))

PILLION_WIRE(MetricsHistogram, PILLION_FIELD(metric, "What was measured."),
             PILLION_FIELD(method, "Of which method; absent for all."), PILLION_FIELD(count, "Values recorded."),
             PILLION_FIELD(sumUs, "Their sum, in microseconds."), PILLION_FIELD(minUs, "Smallest, in microseconds."),
             PILLION_FIELD(maxUs, "Largest, in microseconds."), PILLION_FIELD(meanUs, "Mean, in microseconds."),
             PILLION_FIELD(p50Us, "Median, in microseconds."),
             PILLION_FIELD(p95Us, "95th percentile, in microseconds."),
             PILLION_FIELD(p99Us, "99th percentile, in microseconds."),
             PILLION_FIELD(buckets, "Buckets that are not empty, ascending."))

struct MetricsResetParams {
    std::optional<std::string_view> method;
};
PILLION_WIRE(MetricsResetParams, PILLION_FIELD(method, "The method to clear; all if left out.", between(1, 128)))

struct MetricsResetResult {
    std::uint64_t methods = 0;
};
PILLION_WIRE(MetricsResetResult, PILLION_FIELD(methods, "How many methods had statistics that were cleared."))

PILLION_WIRE(MetricsSample, PILLION_FIELD(at, "When it was taken, in milliseconds since the Unix epoch."),
             PILLION_FIELD(intervalMs, "The time its rates and percentiles are over, in milliseconds."),
             PILLION_FIELD(requests, "Requests since the start."),
             PILLION_FIELD(requestsPerSecond, "Requests per second in the interval."),
             PILLION_FIELD(errors, "Errors answered since the start."),
             PILLION_FIELD(p50Us, "Median latency in the interval, in microseconds; 0 without requests."),
             PILLION_FIELD(p99Us, "99th percentile in the interval, in microseconds."),
             PILLION_FIELD(queueDepth, "Requests that wait for a worker."),
             PILLION_FIELD(inFlight, "Requests accepted and not yet answered."),
             PILLION_FIELD(bytesIn, "Bytes read since the start."),
             PILLION_FIELD(bytesOut, "Bytes written since the start."),
             PILLION_FIELD(cacheHitRatio, "Share of response cache hits since the start, 0 to 1."),
             PILLION_FIELD(residentBytes, "Resident size."),
             PILLION_FIELD(cpuPercent, "CPU use in the interval, in percent of one core."),
             PILLION_FIELD(poolsBytes, "Memory all pools hold."))

inline constexpr Event metrics_sample_event = event<MetricsSample>("metrics.sample", "metrics", EventKind::sample,
                                                                   "A periodic reading of the most telling metrics.");

// The methods; `metrics` outlives them.
std::vector<Method> metrics_methods(Metrics& metrics);

} // namespace pillion
