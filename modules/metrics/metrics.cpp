// The latency of everything is the sum of the methods' histograms, added up when somebody looks: a second histogram
// would cost every request two more atomic additions. An interval's percentiles come from the difference of two such
// sums. A reset makes counts fall; then the interval begins anew instead of showing a negative number of requests.
#include "modules/metrics/metrics.h"

#include "ipc/base/platform.h"
#include "ipc/nearest.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace pillion {

namespace {

double us(std::uint64_t ns) { return static_cast<double>(ns) / 1000.0; }

// Percent of one core.
double cpu_percent(std::int64_t cpu_ns, std::int64_t elapsed_ns) {
    if (elapsed_ns <= 0 || cpu_ns <= 0) return 0;
    return 100.0 * static_cast<double>(cpu_ns) / static_cast<double>(elapsed_ns);
}

HistogramSummary summary_of(const Histogram* histogram) {
    return histogram == nullptr ? HistogramSummary{} : histogram->summary();
}

MetricsLatency latency_of(const HistogramSummary& summary) {
    return {.count = summary.count,
            .meanUs = summary.mean() / 1000.0,
            .p50Us = us(summary.p50),
            .p95Us = us(summary.p95),
            .p99Us = us(summary.p99),
            .maxUs = us(summary.max)};
}

// The value, in the middle of its bucket, below which this share of the counted ones lies.
std::uint64_t percentile_of(const std::vector<std::uint64_t>& counts, std::uint64_t total, double share) {
    if (total == 0) return 0;
    const auto rank =
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(total))));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts.size(); ++i)
        if ((seen += counts[i]) >= rank)
            return Histogram::lowest_of(i) + (Histogram::lowest_of(i + 1) - 1 - Histogram::lowest_of(i)) / 2;
    return 0;
}

std::size_t clear(MethodStats& stats) {
    const bool used = stats.latency_ns.count() != 0 || stats.errors.load(std::memory_order_relaxed) != 0;
    stats.latency_ns.reset();
    for (auto* const count : {&stats.errors, &stats.cache_hits, &stats.cache_misses, &stats.coalesced})
        count->store(0, std::memory_order_relaxed);
    return used ? 1 : 0;
}

// Neighbours are joined by halving the resolution until few enough are left; bucket borders stay those of the
// histogram.
std::vector<MetricsBucket> joined_buckets(const Histogram& histogram, std::size_t buckets_max) {
    std::vector<std::pair<std::size_t, std::uint64_t>> cells;
    histogram.visit(
        [&](std::uint64_t low, std::uint64_t, std::uint64_t n) { cells.emplace_back(Histogram::bucket_of(low), n); });
    unsigned shift = 0;
    const auto distinct = [&] {
        std::size_t count = 0;
        for (std::size_t i = 0; i < cells.size(); ++i)
            if (i == 0 || cells[i].first >> shift != cells[i - 1].first >> shift) ++count;
        return count;
    };
    while (distinct() > std::max<std::size_t>(1, buckets_max)) ++shift;
    std::vector<MetricsBucket> buckets;
    std::size_t last = Histogram::buckets;
    for (const auto& [index, n] : cells) {
        if (index >> shift == last) {
            buckets.back().count += n;
            continue;
        }
        last = index >> shift;
        const std::size_t end = std::min((last + 1) << shift, Histogram::buckets);
        buckets.push_back({us(Histogram::lowest_of(last << shift)), us(Histogram::lowest_of(end)), n});
    }
    return buckets;
}

} // namespace

ProcessReadings read_process() {
    static const std::int64_t started_wall_ms = platform::process_start_wall_ms();
    const platform::ProcessCpu cpu = platform::process_cpu();
    return {.started_wall_ms = started_wall_ms,
            .user_ns = cpu.user_ns,
            .system_ns = cpu.system_ns,
            .resident_bytes = platform::resident_bytes()};
}

Metrics::Metrics(const Clock& clock, const MethodTable& methods, Memory& memory, std::function<IpcReadings()> ipc,
                 std::function<ProcessReadings()> process)
    : clock_(clock), table_(methods), memory_(memory), ipc_(std::move(ipc)), process_(std::move(process)),
      began_ns_(clock.now_ns()), first_at_ns_(began_ns_), cpu_at_ns_(began_ns_) {}

void Metrics::mark_ready() {
    const ProcessReadings process = process_();
    const std::lock_guard lock(mutex_);
    startup_.readyAt = clock_.wall_ms();
    startup_.residentAtReadyBytes = process.resident_bytes;
    note_resident(process.resident_bytes);
    first_at_ns_ = cpu_at_ns_ = clock_.now_ns();
    first_cpu_ns_ = cpu_before_ns_ = process.user_ns + process.system_ns;
    if (process.started_wall_ms == 0) return;
    startup_.processStartedAt = process.started_wall_ms;
    // The wall clock may have been set back in between.
    startup_.spawnToReadyMs =
        static_cast<double>(std::max<std::int64_t>(0, *startup_.readyAt - process.started_wall_ms));
}

void Metrics::note_resident(std::uint64_t bytes) {
    resident_sum_bytes_ += static_cast<double>(bytes);
    ++resident_readings_;
}

std::vector<std::uint64_t> Metrics::latency_counts() const {
    std::vector<std::uint64_t> counts(Histogram::buckets);
    for (const auto& method : table_.all())
        method->stats->latency_ns.visit(
            [&](std::uint64_t low, std::uint64_t, std::uint64_t n) { counts[Histogram::bucket_of(low)] += n; });
    return counts;
}

MetricsIpc Metrics::ipc_block() const {
    const IpcReadings now = ipc_();
    Histogram latency_ns;
    for (const auto& method : table_.all()) latency_ns.merge(method->stats->latency_ns);
    const HistogramSummary batch_size = summary_of(now.batch_size), wait = summary_of(now.queue_wait_ns);
    return {.requests = now.requests,
            .notifications = now.notifications,
            .errors = now.errors,
            .successRate = now.requests == 0 ? 1.0
                                             : 1.0 - static_cast<double>(std::min(now.errors, now.requests)) /
                                                         static_cast<double>(now.requests),
            .batches = now.batches,
            .batchSize = {batch_size.p50, batch_size.p99},
            .bytesIn = now.bytes_in,
            .bytesOut = now.bytes_out,
            .queueDepth = now.queue_depth,
            .queueWait = {us(wait.p50), us(wait.p99)},
            .inFlight = now.in_flight,
            .latency = latency_of(latency_ns.summary()),
            .cache = {.entries = now.cache_entries,
                      .bytes = now.cache_bytes,
                      .hits = now.cache_hits,
                      .misses = now.cache_misses,
                      .hitRatio = hit_ratio(now.cache_hits, now.cache_misses),
                      .coalesced = now.coalesced}};
}

MetricsRuntime Metrics::runtime_block(const ProcessReadings& process) {
    const std::int64_t now_ns = clock_.now_ns(), cpu_ns = process.user_ns + process.system_ns;
    const std::lock_guard lock(mutex_);
    note_resident(process.resident_bytes);
    if (now_ns - cpu_at_ns_ >= interval_ns_min) {
        cpu_percent_ = cpu_percent(cpu_ns - cpu_before_ns_, now_ns - cpu_at_ns_);
        cpu_peak_percent_ = std::max(cpu_peak_percent_, cpu_percent_);
        cpu_at_ns_ = now_ns;
        cpu_before_ns_ = cpu_ns;
    }
    return {.uptimeMs = static_cast<double>(std::max<std::int64_t>(0, now_ns - began_ns_)) / 1e6,
            .cpuUserMs = static_cast<double>(process.user_ns) / 1e6,
            .cpuSystemMs = static_cast<double>(process.system_ns) / 1e6,
            .cpuPercent = cpu_percent_,
            .cpuAveragePercent = cpu_percent(cpu_ns - first_cpu_ns_, now_ns - first_at_ns_),
            .cpuPeakPercent = cpu_peak_percent_,
            .residentBytes = process.resident_bytes,
            .residentPeakBytes = std::max(platform::peak_resident_bytes(), process.resident_bytes),
            .residentAverageBytes =
                static_cast<std::uint64_t>(resident_sum_bytes_ / static_cast<double>(resident_readings_))};
}

MetricsSnapshot Metrics::snapshot() {
    MetricsSnapshot snapshot{.at = clock_.wall_ms(),
                             .startup{},
                             .runtime = runtime_block(process_()),
                             .ipc = ipc_block(),
                             .pools = memory_.pools(),
                             .poolsBytes = memory_.pools_bytes(),
                             .counters{}};
    for (const Counter* counter = Counter::first(); counter != nullptr; counter = counter->next())
        snapshot.counters[std::string(counter->name)] += counter->value();
    {
        const std::lock_guard lock(mutex_);
        snapshot.startup = startup_;
    }
    if (sources_.startup) sources_.startup(snapshot.startup);
    if (sources_.background_tasks) snapshot.runtime.backgroundTasks = sources_.background_tasks();
    if (sources_.resources) snapshot.resources = sources_.resources();
    if (sources_.cache) snapshot.cache = sources_.cache();
    if (sources_.lazy_loading) snapshot.lazyLoading = sources_.lazy_loading();
    if (sources_.background) snapshot.background = sources_.background();
    return snapshot;
}

std::vector<MetricsMethod> Metrics::methods(bool with_unused) const {
    std::vector<MetricsMethod> methods;
    for (const auto& method : table_.all()) {
        const MethodStats& stats = *method->stats;
        const HistogramSummary latency = stats.latency_ns.summary();
        MetricsMethod row{.name = std::string(method->name),
                          .requests = latency.count,
                          .errors = stats.errors.load(std::memory_order_relaxed),
                          .p50Us = us(latency.p50),
                          .p95Us = us(latency.p95),
                          .p99Us = us(latency.p99),
                          .maxUs = us(latency.max),
                          .cacheHits = stats.cache_hits.load(std::memory_order_relaxed),
                          .cacheMisses = stats.cache_misses.load(std::memory_order_relaxed),
                          .coalesced = stats.coalesced.load(std::memory_order_relaxed)};
        if (with_unused || row.requests + row.errors + row.cacheHits + row.coalesced != 0)
            methods.push_back(std::move(row));
    }
    return methods;
}

Result<const Method*> Metrics::find_method(std::string_view name) const {
    if (const Method* const method = table_.find(name)) return method;
    return fail(ErrorCode::not_found, "there is no method \"" + std::string(name) + "\"", "/method",
                std::string(table_.nearest(name)));
}

Result<MetricsHistogram> Metrics::histogram(std::optional<std::string_view> method,
                                            std::optional<std::string_view> metric, std::size_t buckets_max) const {
    const std::string_view wanted = metric.value_or(metric_names[0]);
    if (std::ranges::find(metric_names, wanted) == std::end(metric_names)) {
        NearestName nearest(wanted);
        for (const std::string_view name : metric_names) nearest.consider(name);
        return fail(ErrorCode::not_found,
                    "there is no metric \"" + std::string(wanted) + "\"; there are latency and queueWait", "/metric",
                    std::string(nearest.best()));
    }
    if (method && wanted != "latency")
        return fail(ErrorCode::invalid_params, "only latency is kept per method, not " + std::string(wanted), "/method",
                    "leave out method");
    MetricsHistogram result{.metric = std::string(wanted), .buckets{}};
    Histogram merged;
    if (method) {
        const Method* const found = PILLION_TRY(find_method(*method));
        result.method = std::string(found->name);
        merged.merge(found->stats->latency_ns);
    } else if (wanted == "latency") {
        for (const auto& each : table_.all()) merged.merge(each->stats->latency_ns);
    } else if (const Histogram* const wait = ipc_().queue_wait_ns) {
        merged.merge(*wait);
    }
    const HistogramSummary summary = merged.summary();
    result.count = summary.count;
    result.sumUs = us(summary.sum);
    result.minUs = us(summary.min);
    result.maxUs = us(summary.max);
    result.meanUs = summary.mean() / 1000.0;
    result.p50Us = us(summary.p50);
    result.p95Us = us(summary.p95);
    result.p99Us = us(summary.p99);
    result.buckets = joined_buckets(merged, buckets_max);
    return result;
}

Result<std::size_t> Metrics::reset(std::optional<std::string_view> method) {
    if (method) return clear(*PILLION_TRY(find_method(*method))->stats);
    std::size_t cleared = 0;
    for (const auto& each : table_.all()) cleared += clear(*each->stats);
    return cleared;
}

MetricsSample Metrics::sample(Interval& interval) {
    const IpcReadings ipc = ipc_();
    const ProcessReadings process = process_();
    const std::int64_t now_ns = clock_.now_ns(), cpu_ns = process.user_ns + process.system_ns;
    memory_.trim_idle();
    MetricsSample sample = interval.last_; // the rates of the previous interval, unless there are new ones
    sample.at = clock_.wall_ms();
    sample.requests = ipc.requests;
    sample.errors = ipc.errors;
    sample.queueDepth = ipc.queue_depth;
    sample.inFlight = ipc.in_flight;
    sample.bytesIn = ipc.bytes_in;
    sample.bytesOut = ipc.bytes_out;
    sample.cacheHitRatio = hit_ratio(ipc.cache_hits, ipc.cache_misses);
    sample.residentBytes = process.resident_bytes;
    sample.poolsBytes = memory_.pools_bytes();
    if (!interval.at_ns_) {
        const std::lock_guard lock(mutex_);
        interval.at_ns_ = first_at_ns_;
        interval.cpu_ns_ = first_cpu_ns_;
    }
    const std::int64_t elapsed_ns = now_ns - *interval.at_ns_;
    if (elapsed_ns >= interval_ns_min) {
        std::vector<std::uint64_t> counts = latency_counts(), since = counts;
        const std::vector<std::uint64_t>& before = interval.latency_counts_;
        bool was_reset = before.empty();
        for (std::size_t i = 0; i < before.size() && !was_reset; ++i) was_reset = counts[i] < before[i];
        if (!was_reset)
            for (std::size_t i = 0; i < since.size(); ++i) since[i] -= before[i];
        const std::uint64_t total = std::accumulate(since.begin(), since.end(), std::uint64_t{0});
        const std::uint64_t requests = ipc.requests - std::min(ipc.requests, interval.requests_);
        sample.intervalMs = static_cast<double>(elapsed_ns) / 1e6;
        sample.requestsPerSecond = static_cast<double>(requests) * 1e9 / static_cast<double>(elapsed_ns);
        sample.p50Us = us(percentile_of(since, total, 0.50));
        sample.p99Us = us(percentile_of(since, total, 0.99));
        sample.cpuPercent = cpu_percent(cpu_ns - interval.cpu_ns_, elapsed_ns);
        interval.at_ns_ = now_ns;
        interval.requests_ = ipc.requests;
        interval.cpu_ns_ = cpu_ns;
        interval.latency_counts_ = std::move(counts);
    }
    interval.last_ = sample;
    const std::lock_guard lock(mutex_);
    cpu_peak_percent_ = std::max(cpu_peak_percent_, sample.cpuPercent);
    note_resident(process.resident_bytes);
    return sample;
}

MetricsSample Metrics::sample() {
    const std::lock_guard lock(sample_mutex_);
    return sample(shared_interval_);
}

} // namespace pillion
