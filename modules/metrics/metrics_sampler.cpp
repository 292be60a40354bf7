// Histograms are read as differences of two readings of their counts, so that each second has its own distribution. The
// cost is the reading thread's processor time, taken around each reading.
#include "modules/metrics/metrics_sampler.h"

#include <algorithm>
#include <ctime>

namespace pillion {

namespace {

constexpr SeriesSpec cpu_time{"process.cpu.time", "CPU time of Pillion.", "s", SeriesKind::counter};
constexpr SeriesSpec memory_usage{"process.memory.usage", "Resident size of Pillion.", "By", SeriesKind::gauge};
constexpr SeriesSpec duration{"rpc.server.duration", "Time from a request's arrival to its answer.", "ns",
                              SeriesKind::histogram};
constexpr SeriesSpec queue_wait{"pillion.rpc.queue.wait", "Wait of a request for a worker.", "ns",
                                SeriesKind::histogram};
constexpr SeriesSpec queue_depth{"pillion.rpc.queue.depth", "Requests that wait for a worker.", "{request}",
                                 SeriesKind::gauge};
constexpr SeriesSpec in_flight{"pillion.rpc.in_flight", "Requests accepted and not yet answered.", "{request}",
                               SeriesKind::gauge};
constexpr SeriesSpec bytes_out{"pillion.rpc.bytes_out", "Bytes written to stdout.", "By", SeriesKind::counter};
constexpr SeriesSpec cache_bytes{"pillion.rpc.cache.bytes", "Memory of the response cache.", "By", SeriesKind::gauge};
constexpr SeriesSpec cache_hits{"pillion.rpc.cache.hits", "Requests answered from the response cache.", "{request}",
                                SeriesKind::counter};
constexpr SeriesSpec cache_misses{"pillion.rpc.cache.misses", "Cacheable requests that were not in it.", "{request}",
                                  SeriesKind::counter};
constexpr SeriesSpec pool_bytes{"pillion.memory.pool.bytes", "Memory of all pools of the hot path.", "By",
                                SeriesKind::gauge};
constexpr SeriesSpec series_bytes{"pillion.series.bytes", "Memory of the time series.", "By", SeriesKind::gauge};
constexpr SeriesSpec series_refused{"pillion.series.refused", "Values refused or put together for a limit.", "{value}",
                                    SeriesKind::counter};

constexpr SeriesSpec loop_delay{"pillion.event_loop.delay", "By how much timers and child processes are served late.",
                                "s", SeriesKind::gauge};

constexpr SeriesSpec all_specs[] = {loop_delay,   cpu_time,   memory_usage, duration,     queue_wait,
                                    queue_depth,  in_flight,  bytes_out,    cache_bytes,  cache_hits,
                                    cache_misses, pool_bytes, monitor_cost, series_bytes, series_refused};

// As the monitor labels the processes it looks at.
SeriesLabels own_labels() { return {{"role", "self"}, {"process", "pillion"}}; }

SeriesLabels with_mode(const char* mode) {
    SeriesLabels labels = own_labels();
    labels["cpu.mode"] = mode;
    return labels;
}

std::int64_t thread_cpu_ns() {
    timespec now{};
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0;
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

} // namespace

std::span<const SeriesSpec> metrics_series() { return all_specs; }

MetricsSampler::MetricsSampler(const Host& host) : host_(host) {}

MetricsSampler::~MetricsSampler() {
    stop();
    const std::lock_guard lock(read_mutex_); // the latest reading may have been another thread's
}

void MetricsSampler::set_wanted(std::string_view who, bool is_wanted) {
    const std::lock_guard lock(mutex_);
    if (is_wanted)
        wanted_by_.emplace(who);
    else if (const auto found = wanted_by_.find(who); found != wanted_by_.end())
        wanted_by_.erase(found);
    if (wanted_by_.empty() && is_armed_) {
        host_.timers.cancel(timer_);
        is_armed_ = false;
        cost_ = 0;
    } else if (!wanted_by_.empty() && !is_armed_ && !is_stopped_) {
        is_armed_ = true;
        arm(0);
    }
}

bool MetricsSampler::is_running() const {
    const std::lock_guard lock(mutex_);
    return is_armed_;
}

double MetricsSampler::cost() const {
    const std::lock_guard lock(mutex_);
    return cost_;
}

void MetricsSampler::stop() {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
    if (is_armed_) host_.timers.cancel(timer_);
    is_armed_ = false;
}

// mutex_ is held.
void MetricsSampler::arm(std::int64_t delay_ms) {
    const std::int64_t due_ns = host_.clock.now_ns() + delay_ms * 1'000'000;
    timer_ = host_.timers.after_ms(delay_ms, [this, due_ns] { tick(due_ns); });
}

void MetricsSampler::tick(std::int64_t due_ns) {
    {
        const double late_s = static_cast<double>(std::max<std::int64_t>(0, host_.clock.now_ns() - due_ns)) / 1e9;
        static_cast<void>(host_.series.observe(loop_delay, {}, late_s));
        const std::lock_guard lock(read_mutex_);
        read();
    }
    const std::lock_guard lock(mutex_);
    if (is_armed_) arm(interval_ms);
}

void MetricsSampler::read_now() {
    const std::lock_guard lock(read_mutex_);
    if (read_at_ns_ == 0 || host_.clock.now_ns() - read_at_ns_ >= interval_ms * 1'000'000) read();
}

// read_mutex_ is held by the caller of all that follows. That a reading is refused (too many series) is counted by the
// series themselves; there is nobody to be told here.
void MetricsSampler::read() {
    const std::int64_t began_ns = thread_cpu_ns(), now_ns = host_.clock.now_ns();
    const std::int64_t elapsed_ns = now_ns - cost_from_ns_;
    if (read_at_ns_ != 0 && elapsed_ns > 0) {
        const double share = static_cast<double>(cost_ns_) / static_cast<double>(elapsed_ns);
        static_cast<void>(host_.series.observe(monitor_cost, {{"part", "series"}}, share));
        const std::lock_guard lock(mutex_);
        cost_ = share;
    }
    if (now_ns - read_at_ns_ > Series::stale_ns) { // what came in a pause belongs to no second
        latency_.forget();
        wait_.forget();
    }
    cost_ns_ = 0;
    cost_from_ns_ = read_at_ns_ = now_ns;
    read_process();
    read_wire();
    for (const Source& source : sources_) source(host_.series);
    cost_ns_ += thread_cpu_ns() - began_ns;
}

void MetricsSampler::read_process() {
    Series& series = host_.series;
    const ProcessReadings process = host_.metrics.process_readings();
    static_cast<void>(series.observe(cpu_time, with_mode("user"), static_cast<double>(process.user_ns) / 1e9));
    static_cast<void>(series.observe(cpu_time, with_mode("system"), static_cast<double>(process.system_ns) / 1e9));
    static_cast<void>(series.observe(memory_usage, own_labels(), static_cast<double>(process.resident_bytes)));
    static_cast<void>(series.observe(pool_bytes, {}, static_cast<double>(host_.metrics.memory().pools_bytes())));
    const SeriesStats stats = series.stats();
    static_cast<void>(series.observe(series_bytes, {}, static_cast<double>(stats.bytes)));
    static_cast<void>(series.observe(series_refused, {}, static_cast<double>(stats.refused + stats.overflowed)));
}

void MetricsSampler::read_wire() {
    Series& series = host_.series;
    const IpcReadings ipc = host_.metrics.ipc_readings();
    const auto put = [&series](const SeriesSpec& spec, std::uint64_t value) {
        static_cast<void>(series.observe(spec, {}, static_cast<double>(value)));
    };
    put(queue_depth, ipc.queue_depth);
    put(in_flight, ipc.in_flight);
    put(bytes_out, ipc.bytes_out);
    put(cache_bytes, ipc.cache_bytes);
    put(cache_hits, ipc.cache_hits);
    put(cache_misses, ipc.cache_misses);
    for (const Counter* counter = Counter::first(); counter != nullptr; counter = counter->next())
        put({counter->name, counter->help, counter->unit, SeriesKind::counter}, counter->value());
    static_cast<void>(latency_.observe(series, duration, {}, host_.metrics.latency_counts()));
    static_cast<void>(wait_.observe(series, queue_wait, {}, histogram_counts(ipc.queue_wait_ns)));
}

} // namespace pillion
