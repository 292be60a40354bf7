// An optimisation frees from the inside out: first the pools' spare blocks, then what modules hold, last the heap,
// which gives the pages of all that back to the system. What was freed is therefore counted twice if the steps are
// summed: the total is the larger of what the steps let go and what the process shrank by.
#include "modules/memory/memory.h"

#include "ipc/base/log.h"
#include "ipc/base/platform.h"

#include <algorithm>
#include <utility>

namespace pillion {

namespace {

constexpr std::size_t strings_at = BufferPool::classes;
constexpr std::size_t maps_at = BufferPool::classes + 1;

std::size_t string_bytes(const std::string& text) {
    return text.capacity() < sizeof(std::string) ? 0 : text.capacity() + 1; // short ones live in the object
}

// Entries and one byte of metadata for each slot.
std::size_t map_bytes(const FieldMap& map) { return map.bucket_count() * (sizeof(FieldMap::value_type) + 1); }

double ratio(std::uint64_t hits, std::uint64_t misses) {
    const std::uint64_t all = hits + misses;
    return all == 0 ? 0.0 : static_cast<double>(hits) / static_cast<double>(all);
}

std::uint64_t shrunk(std::uint64_t before, std::uint64_t after) { return before > after ? before - after : 0; }

double ms_between(std::int64_t begin_ns, std::int64_t end_ns) { return static_cast<double>(end_ns - begin_ns) / 1e6; }

// Drops what an object pool keeps, in bytes.
template <class Pool, class BytesOf>
std::size_t trim_objects(Pool& pool, BytesOf bytes_of) {
    const std::size_t bytes = pool.stats(bytes_of).bytes;
    return pool.trim() == 0 ? 0 : bytes;
}

} // namespace

Result<void> check_memory_config(const MemoryConfig& config) {
    if (config.warningShare > config.criticalShare)
        return fail(ErrorCode::invalid_params, "warningShare must not be over criticalShare", "/memory/warningShare",
                    "warningShare <= " + std::to_string(config.criticalShare));
    return {};
}

Memory::Memory(MemoryPools& pools, Timers& timers, const Clock& clock, MemoryReader reader)
    : pools_(pools), clock_(clock), reader_(reader), window_began_ns_(clock.now_ns()),
      watch_(
          timers, clock, std::move(reader), [this] { trim_idle(); },
          [this](const MemoryPressure& now) { respond(now); }) {}

Result<void> Memory::configure(const MemoryConfig& config) {
    PILLION_TRY(check_memory_config(config));
    const std::array<std::int64_t, BufferPool::classes> capacities{config.poolSmall, config.poolMedium,
                                                                   config.poolLarge};
    bool over = false;
    for (std::size_t i = 0; i < BufferPool::classes; ++i) {
        const auto capacity = static_cast<std::size_t>(capacities[i]);
        pools_.buffers.set_capacity(i, capacity);
        over = over || pools_.buffers.stats(i).idle > capacity;
    }
    if (over) pools_.buffers.trim();
    pools_.strings.set_capacity(static_cast<std::size_t>(config.poolStrings));
    pools_.maps.set_capacity(static_cast<std::size_t>(config.poolMaps));
    {
        const std::lock_guard lock(mutex_);
        config_ = config;
    }
    watch_.configure({.warning_share = config.warningShare,
                      .critical_share = config.criticalShare,
                      .stall_warning_percent = config.stallWarningPercent,
                      .stall_critical_percent = config.stallCriticalPercent,
                      .budget_bytes = static_cast<std::uint64_t>(config.budgetBytes)},
                     config.pressureIntervalMs);
    return {};
}

MemoryConfig Memory::config() const {
    const std::lock_guard lock(mutex_);
    return config_;
}

std::array<PoolStats, 5> Memory::pool_stats() const {
    return {pools_.buffers.stats(0), pools_.buffers.stats(1), pools_.buffers.stats(2),
            pools_.strings.stats(string_bytes), pools_.maps.stats(map_bytes)};
}

std::vector<MemoryPool> Memory::pools() const {
    std::vector<MemoryPool> pools;
    for (const PoolStats& stats : pool_stats())
        pools.push_back({.name = std::string(stats.name),
                         .itemBytes = stats.item_bytes,
                         .capacity = stats.capacity,
                         .inUse = stats.in_use,
                         .idle = stats.idle,
                         .highWater = stats.high_water,
                         .hits = stats.hits,
                         .misses = stats.misses,
                         .hitRatio = ratio(stats.hits, stats.misses),
                         .bytes = stats.bytes});
    return pools;
}

std::uint64_t Memory::pools_bytes() const {
    std::uint64_t bytes = pools_.buffers.oversize_bytes();
    for (const PoolStats& stats : pool_stats()) bytes += stats.bytes;
    return bytes;
}

MemoryStats Memory::stats() const {
    const platform::ProcessMemory process = platform::process_memory();
    const MemoryReading reading = reader_();
    MemoryStats stats{.process = {.residentBytes = process.resident_bytes, .peakBytes = process.peak_bytes},
                      .heap = read_heap(),
                      .poolsBytes = pools_bytes(),
                      .oversizeBytes = pools_.buffers.oversize_bytes(),
                      .caches{},
                      .cgroup = reading.cgroup,
                      .stall = reading.stall,
                      .optimizations{}};
    if (process.proportional_bytes != 0) stats.process.proportionalBytes = process.proportional_bytes;
    if (process.private_bytes != 0) stats.process.privateBytes = process.private_bytes;
    if (reading.system.totalBytes != 0) stats.system = reading.system;
    std::vector<std::pair<std::string, CacheSource>> sources;
    {
        const std::lock_guard lock(mutex_);
        sources = sources_;
        stats.optimizations = history_;
    }
    for (const auto& [name, read] : sources) {
        MemoryCache cache = read();
        cache.name = name;
        stats.cachesBytes += cache.bytes;
        stats.caches.push_back(std::move(cache));
    }
    return stats;
}

void Memory::add_cache_source(std::string name, CacheSource read) {
    const std::lock_guard lock(mutex_);
    sources_.emplace_back(std::move(name), std::move(read));
}

void Memory::add_optimizer(std::string name, Optimizer run) {
    const std::lock_guard lock(mutex_);
    optimizers_.emplace_back(std::move(name), std::move(run));
}

void Memory::set_publisher(PressureWatch::Listener publish) {
    const std::lock_guard lock(mutex_);
    publish_ = std::move(publish);
}

Freed Memory::trim_pools(OptimizeLevel level) {
    if (level == OptimizeLevel::light) return {.bytes = pools_.buffers.trim(buffers_kept), .entries = 0};
    std::size_t bytes = pools_.buffers.trim();
    bytes += trim_objects(pools_.strings, string_bytes);
    bytes += trim_objects(pools_.maps, map_bytes);
    return {.bytes = bytes, .entries = 0};
}

MemoryOptimization Memory::optimize(OptimizeLevel level, const OptimizeControl& control) {
    const std::lock_guard one_at_a_time(optimize_mutex_);
    std::vector<std::pair<std::string, Optimizer>> steps{
        {"pools", [this](OptimizeLevel how) { return trim_pools(how); }}};
    {
        const std::lock_guard lock(mutex_);
        steps.insert(steps.end(), optimizers_.begin(), optimizers_.end());
    }
    steps.emplace_back("heap", [](OptimizeLevel how) -> Freed {
        const std::uint64_t before = platform::resident_bytes();
        collect_heap(how == OptimizeLevel::light ? Collect::cheap : Collect::all);
        return {.bytes = shrunk(before, platform::resident_bytes()), .entries = 0};
    });

    MemoryOptimization done{.level = level, .steps{}, .skipped{}, .residentBeforeBytes = platform::resident_bytes()};
    const std::int64_t began_ns = clock_.now_ns();
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto& [name, run] = steps[i];
        const std::int64_t step_began_ns = clock_.now_ns();
        const bool late = step_began_ns - began_ns >= optimize_ms_max * 1'000'000;
        if (late || (control.is_cancelled && control.is_cancelled())) {
            done.skipped.push_back(name);
            continue;
        }
        if (control.progress)
            control.progress(100.0 * static_cast<double>(i) / static_cast<double>(steps.size()), name);
        const Freed freed = run(level);
        done.steps.push_back({.name = name,
                              .freedBytes = freed.bytes,
                              .removedEntries = freed.entries,
                              .durationMs = ms_between(step_began_ns, clock_.now_ns())});
        if (name != "heap") done.freedBytes += freed.bytes;
        done.removedEntries += freed.entries;
    }
    done.residentAfterBytes = platform::resident_bytes();
    done.freedBytes = std::max(done.freedBytes, shrunk(done.residentBeforeBytes, done.residentAfterBytes));
    done.durationMs = ms_between(began_ns, clock_.now_ns());

    const std::lock_guard lock(mutex_);
    ++history_.runs;
    history_.freedBytes += done.freedBytes;
    history_.removedEntries += done.removedEntries;
    history_.lastAt = clock_.wall_ms();
    history_.lastDurationMs = done.durationMs;
    return done;
}

void Memory::respond(const MemoryPressure& pressure) {
    const bool critical = pressure.level == MemoryLevel::critical;
    if (critical) {
        log(LogLevel::warning, "memory", "memory is critical: " + pressure.detail);
        trim_pools(OptimizeLevel::normal);
        collect_heap(Collect::all);
    }
    PressureWatch::Listener publish;
    {
        const std::lock_guard lock(mutex_);
        if (critical) ++history_.pressureResponses;
        publish = publish_;
    }
    if (publish) publish(pressure);
}

std::size_t Memory::trim_idle() {
    std::array<bool, 5> crowded{}, quiet{};
    {
        const std::lock_guard lock(mutex_);
        const std::int64_t now_ns = clock_.now_ns();
        if (now_ns - window_began_ns_ < idle_ms * 1'000'000) return 0;
        window_began_ns_ = now_ns;
        const auto pools = pool_stats();
        for (std::size_t i = 0; i < pools.size(); ++i) {
            const std::uint64_t taken = pools[i].hits + pools[i].misses;
            crowded[i] = pools[i].idle * 4 > pools[i].capacity;
            quiet[i] = taken - std::exchange(taken_before_[i], taken) < pools[i].idle;
        }
    }
    // The buffer pool is trimmed as one: only if none of its crowded classes is busy.
    bool buffers_crowded = false, buffers_busy = false;
    for (std::size_t i = 0; i < BufferPool::classes; ++i) {
        buffers_crowded = buffers_crowded || crowded[i];
        buffers_busy = buffers_busy || (crowded[i] && !quiet[i]);
    }
    std::size_t freed_bytes = 0;
    if (buffers_crowded && !buffers_busy) freed_bytes += pools_.buffers.trim(buffers_kept);
    if (crowded[strings_at] && quiet[strings_at]) freed_bytes += trim_objects(pools_.strings, string_bytes);
    if (crowded[maps_at] && quiet[maps_at]) freed_bytes += trim_objects(pools_.maps, map_bytes);
    const std::lock_guard lock(mutex_);
    history_.idleTrimmedBytes += freed_bytes;
    return freed_bytes;
}

} // namespace pillion
