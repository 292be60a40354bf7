// Presents, configures and trims the memory of the process: the pools of the hot path, the heap, the caches that other
// modules register; and answers scarcity. Owned by the composition root, which also owns the MemoryPools. Any thread
// may call. What is registered (sources, optimizers, listeners) stays until the end: call stop() before it goes.
//
// Idle trimming has no timer of its own and costs the hot path nothing: whoever ticks anyway (a pressure reading, a
// metrics sample) calls trim_idle(), which compares the pools' counts with those of half a minute ago.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/base/memory_pools.h"
#include "ipc/timers.h"
#include "modules/memory/memory_heap.h"
#include "modules/memory/memory_pressure.h"
#include "modules/memory/memory_system.h"

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// Section `memory`. Described in memory_rpc.h.
struct MemoryConfig {
    std::int64_t poolSmall = BufferPool::default_capacity[0];
    std::int64_t poolMedium = BufferPool::default_capacity[1];
    std::int64_t poolLarge = BufferPool::default_capacity[2];
    std::int64_t poolStrings = MemoryPools::default_strings;
    std::int64_t poolMaps = MemoryPools::default_maps;
    std::int64_t budgetBytes = 0;
    double warningShare = 0.75;
    double criticalShare = 0.90;
    double stallWarningPercent = 10;
    double stallCriticalPercent = 10;
    std::int64_t pressureIntervalMs = 2000;
};
// What bounds on single fields cannot say.
Result<void> check_memory_config(const MemoryConfig& config);

struct MemoryPool {
    std::string name;
    std::uint64_t itemBytes = 0;
    std::uint64_t capacity = 0;
    std::uint64_t inUse = 0;
    std::uint64_t idle = 0;
    std::uint64_t highWater = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    double hitRatio = 0;
    std::uint64_t bytes = 0;
};

struct MemoryCache {
    std::string name;
    std::uint64_t bytes = 0;
    std::uint64_t entries = 0;
};

struct MemoryProcess {
    std::uint64_t residentBytes = 0;
    std::uint64_t peakBytes = 0;
    std::optional<std::uint64_t> proportionalBytes{};
    std::optional<std::uint64_t> privateBytes{};
};

// What memory.optimize has done since the start.
struct MemoryHistory {
    std::uint64_t runs = 0;
    std::uint64_t freedBytes = 0;
    std::uint64_t removedEntries = 0;
    std::optional<std::int64_t> lastAt{};
    std::optional<double> lastDurationMs{};
    std::uint64_t idleTrimmedBytes = 0;
    std::uint64_t pressureResponses = 0;
};

struct MemoryStats {
    MemoryProcess process;
    MemoryHeap heap;
    std::uint64_t poolsBytes = 0;
    std::uint64_t oversizeBytes = 0;
    std::vector<MemoryCache> caches;
    std::uint64_t cachesBytes = 0;
    std::optional<MemorySystem> system{};
    std::optional<MemoryCgroup> cgroup{};
    std::optional<MemoryStall> stall{};
    MemoryHistory optimizations;
};

enum class OptimizeLevel : std::uint8_t { light, normal, aggressive };

// What one optimizer let go of.
struct Freed {
    std::uint64_t bytes = 0;
    std::uint64_t entries = 0;
};

struct MemoryStep {
    std::string name;
    std::uint64_t freedBytes = 0;
    std::uint64_t removedEntries = 0;
    double durationMs = 0;
};

struct MemoryOptimization {
    OptimizeLevel level = OptimizeLevel::normal;
    std::vector<MemoryStep> steps;
    std::vector<std::string> skipped;
    std::uint64_t residentBeforeBytes = 0;
    std::uint64_t residentAfterBytes = 0;
    std::uint64_t freedBytes = 0;
    std::uint64_t removedEntries = 0;
    double durationMs = 0;
};

// How whoever asked for an optimisation follows it; both may be empty.
struct OptimizeControl {
    std::function<void(double percentage, std::string_view step)> progress{};
    std::function<bool()> is_cancelled{};
};

class Memory {
  public:
    using CacheSource = std::function<MemoryCache()>; // the name is filled in
    using Optimizer = std::function<Freed(OptimizeLevel)>;

    // No step of an optimisation begins later than this after its start, which leaves the last one 100 ms of the 500.
    static constexpr std::int64_t optimize_ms_max = 400;
    static constexpr std::int64_t idle_ms = 30'000;
    // A pool that is trimmed for idleness keeps a quarter of its capacity; of buffers at most this many in each class.
    static constexpr std::size_t buffers_kept = 16;

    Memory(MemoryPools& pools, Timers& timers, const Clock& clock, MemoryReader reader = read_system_memory);
    ~Memory() { stop(); }
    Memory(const Memory&) = delete;

    Result<void> configure(const MemoryConfig& config);
    MemoryConfig config() const;

    std::vector<MemoryPool> pools() const;
    std::uint64_t pools_bytes() const;
    // Walks the process's mappings: some milliseconds in a large process.
    MemoryStats stats() const;
    // What a cache of another module holds: `read` is called for each memory.stats, on its thread.
    void add_cache_source(std::string name, CacheSource read);

    // A step of optimize(); runs in the order of registration, after the pools and before the heap is collected.
    void add_optimizer(std::string name, Optimizer run);
    // One at a time; a second one waits for the first.
    MemoryOptimization optimize(OptimizeLevel level, const OptimizeControl& control = {});

    MemoryPressure pressure() { return watch_.read(); }
    // Calls `react` on the timers' thread whenever the level changes; must not block. Starts the sampling, so a module
    // registers when it first has something to give up, not at start.
    void on_pressure(PressureWatch::Listener react) { watch_.add_listener(std::move(react)); }
    // Where changes of the level are published. Set before the first subscription.
    void set_publisher(PressureWatch::Listener publish);
    // Whether anybody is subscribed to the topic `memory`: only then, or for on_pressure, memory is sampled.
    void set_subscribed(bool subscribed) { watch_.set_subscribed(subscribed); }

    // Trims pools that hold more than a quarter of their capacity and in the last 30 s gave out less than they hold.
    // Bytes freed. Cheap enough for every tick.
    std::size_t trim_idle();

    // No reading, reaction or publication comes after this. Called before what is registered goes.
    void stop() { watch_.stop(); }

  private:
    Freed trim_pools(OptimizeLevel level);
    void respond(const MemoryPressure& pressure);
    std::array<PoolStats, 5> pool_stats() const;

    MemoryPools& pools_;
    const Clock& clock_;
    const MemoryReader reader_;

    std::mutex optimize_mutex_; // held through an optimisation

    mutable std::mutex mutex_; // guards what follows
    MemoryConfig config_;
    std::vector<std::pair<std::string, CacheSource>> sources_;
    std::vector<std::pair<std::string, Optimizer>> optimizers_;
    PressureWatch::Listener publish_;
    MemoryHistory history_;
    std::array<std::uint64_t, 5> taken_before_{}; // from each pool when the window began
    std::int64_t window_began_ns_;

    PressureWatch watch_; // last: its readings use all of the above
};

} // namespace pillion
