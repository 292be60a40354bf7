#include "sidecar/suggestion_situation.h"

#include "ipc/base/platform.h"

#include <algorithm>
#include <set>
#include <string>
#include <thread>

namespace pillion {

namespace {

constexpr std::int64_t simulated_requests_min = 1000;        // below that no simulation is worth its time
constexpr std::uint64_t program_bytes = 24ULL * 1024 * 1024; // code, stacks and what else is no cache
constexpr double changed_share = 0.1;                        // of values, at the end of a fitting time to live

std::string eviction_name(EvictionPolicy policy) {
    return std::string(wire::Described<EvictionPolicy>::enumerators[static_cast<std::size_t>(policy)]);
}

CacheSituation cache_situation(const CacheSpace& space, std::int64_t bytes_max, const CompressionChange& change) {
    const CacheSpaceCounters& counters = space.counters;
    const auto policy = space.policy();
    const MemoryStore* const store = space.find_store();
    const CompressionChange now = CompressionChange::of(space);
    const auto hits = counters.hits.load(std::memory_order_relaxed);
    const auto misses = counters.misses.load(std::memory_order_relaxed);
    CacheSituation made{.name = space.name,
                        .requests = static_cast<std::int64_t>(hits + misses),
                        .hit_ratio =
                            hits + misses == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(hits + misses),
                        .bytes = store == nullptr ? 0 : store->stats().bytes,
                        .eviction = eviction_name(policy->eviction),
                        .bytes_max = policy->maxBytes,
                        .ttl_ms = policy->ttlMs,
                        .compress_above_bytes = policy->compressAboveBytes,
                        .written = now.written - change.written,
                        .plain_bytes = now.plain_bytes - change.plain_bytes,
                        .sealed_bytes = now.sealed_bytes - change.sealed_bytes,
                        .is_compressed_in_vain = change.is_in_vain,
                        .load_ms = static_cast<double>(counters.load_ns.percentile(0.5)) / 1e6};
    if (const auto rate = space.changes.estimate()) made.looks = rate->looks;
    if (const auto ttl_ms = space.changes.cautious_ttl_ms(changed_share)) made.fitting_ttl_ms = *ttl_ms;
    if (made.requests < simulated_requests_min) return made;
    const AccessSample::Picture picture = space.sample.picture();
    if (picture.accesses.size() < tuning_requests_min) return made;
    const MemoryStoreConfig present = policy->store_config();
    const std::vector<TuningCandidate> candidates = tune(picture, present, bytes_max);
    made.tuning = CacheTuning{.hit_ratio_now = simulate_sample(picture, present),
                              .hit_ratio_best = candidates.front().hitRatio,
                              .eviction = eviction_name(candidates.front().eviction),
                              .bytes_max = candidates.front().maxBytes};
    return made;
}

void read_cache(CacheParts& parts, const SituationSources& sources, Situation& situation) {
    Cache& cache = parts.cache();
    for (const CacheSpace* const space : cache.spaces()) {
        const auto change = sources.compression.find(space->name);
        situation.caches.push_back(
            cache_situation(*space, cache.config().memoryBytesMax,
                            change == sources.compression.end() ? CompressionChange{} : change->second));
    }
    if (!parts.disk_file().stats().is_open) return;
    DatabaseSituation file{.name = "cache.db", .bytes = parts.disk_file().stats().file_bytes, .can_shrink = true};
    const auto read = parts.disk_file().read([&file](Database& database) -> Result<void> {
        const std::int64_t pages = PILLION_TRY(database.integer("PRAGMA freelist_count"));
        const std::int64_t page_bytes = PILLION_TRY(database.integer("PRAGMA page_size"));
        file.free_bytes = static_cast<std::uint64_t>(pages * page_bytes);
        return {};
    });
    if (read) situation.databases.push_back(std::move(file));
}

void read_components(const Components& components, std::int64_t now_ms, Situation& situation) {
    const std::vector<ComponentInfo> all = components.list();
    const std::vector<ComponentUse> usage = components.usage();
    std::set<std::string> depended_on;
    for (const ComponentInfo& component : all)
        if (component.state == ComponentState::ready)
            depended_on.insert(component.dependsOn.begin(), component.dependsOn.end());
    for (const ComponentInfo& component : all) {
        const auto use = std::ranges::find(usage, component.name, &ComponentUse::name);
        const std::int64_t since_ms = std::max(component.lastUsedAt.value_or(0), component.readySince.value_or(now_ms));
        situation.components.push_back(
            {.name = component.name,
             .is_ready = component.state == ComponentState::ready,
             .is_critical = component.critical,
             .is_eager = component.load == LoadRule::eager,
             .is_process = component.kind == ComponentKind::service || component.kind == ComponentKind::backend,
             .is_depended_on = depended_on.contains(component.name),
             .uses = component.uses,
             .unused_ms = std::max<std::int64_t>(0, now_ms - since_ms),
             .load_ms = component.loadMs.value_or(0),
             .memory_bytes = use == usage.end() ? 0 : use->memoryBytes});
    }
}

void read_backends(const Backends& backends, Situation& situation) {
    for (const BackendStatus& status : backends.list()) {
        const auto stats = backends.stats(status.name);
        const auto limits = backends.limits(status.name);
        if (!stats || !limits) continue;
        situation.backends.push_back({.name = status.name,
                                      .calls = stats->calls,
                                      .concurrency = limits->concurrency.value_or(0),
                                      .queue_max = limits->queueMax.value_or(0),
                                      .queue_high_water = stats->queueHighWater,
                                      .refused = stats->refused,
                                      .p50_ms = stats->latency.p50Us / 1000});
    }
    for (BackendRepeated& method : backends.repeats())
        situation.methods.push_back({.backend = std::move(method.backend),
                                     .method = std::move(method.method),
                                     .calls = method.calls,
                                     .repeats = method.repeats,
                                     .contradictions = method.contradictions,
                                     .mean_ms = method.meanMs});
}

MemorySituation read_memory(Memory& memory) {
    const MemoryStats stats = memory.stats();
    MemorySituation made{.resident_bytes = stats.process.residentBytes,
                         .committed_bytes = stats.heap.committedBytes,
                         .available_bytes = stats.system ? stats.system->availableBytes : 0};
    for (const MemoryPool& pool : memory.pools()) made.pools_idle_bytes += pool.idle * pool.itemBytes;
    // Not every allocator says what is in use: then it is what the caches and pools say they hold.
    const std::uint64_t pools_used = stats.poolsBytes - std::min(stats.poolsBytes, made.pools_idle_bytes);
    made.used_bytes = stats.heap.usedBytes.value_or(stats.cachesBytes + pools_used + program_bytes);
    return made;
}

// The wait that 5 % exceed, of those that came since `before`; and how many came.
std::pair<std::uint64_t, double> waits_since(const Histogram& wait_ns, const std::vector<std::uint64_t>& before) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> waits; // up to so long, how many
    std::uint64_t count = 0;
    wait_ns.visit([&](std::uint64_t low, std::uint64_t high, std::uint64_t n) {
        const std::size_t bucket = Histogram::bucket_of(low);
        const std::uint64_t since = n - std::min(n, bucket < before.size() ? before[bucket] : 0);
        waits.emplace_back(high, since);
        count += since;
    });
    std::uint64_t seen = 0;
    for (const auto& [high, n] : waits)
        if ((seen += n) * 100 >= count * 95) return {count, static_cast<double>(high) / 1e6};
    return {count, 0};
}

WorkerSituation read_workers(const SituationSources& sources, std::int64_t uptime_ms) {
    const WorkerPool& workers = sources.dispatcher.workers();
    const auto [calls, wait_p95_ms] = waits_since(workers.wait_ns(), sources.waits_before);
    const auto cores = static_cast<std::int64_t>(std::max(1U, std::thread::hardware_concurrency()));
    const platform::ProcessCpu cpu = platform::process_cpu();
    const double possible_ns = static_cast<double>(uptime_ms) * 1e6 * static_cast<double>(cores);
    return {.count = static_cast<std::int64_t>(workers.workers()),
            .cores = cores,
            .calls = calls,
            .wait_p95_ms = wait_p95_ms,
            .cpu_share = possible_ns > 0 ? static_cast<double>(cpu.user_ns + cpu.system_ns) / possible_ns : 0};
}

} // namespace

CompressionChange CompressionChange::of(const CacheSpace& space) {
    const CacheSpaceCounters& counters = space.counters;
    return {.written = counters.puts.load(std::memory_order_relaxed),
            .plain_bytes = counters.plain_bytes.load(std::memory_order_relaxed),
            .sealed_bytes = counters.sealed_bytes.load(std::memory_order_relaxed)};
}

Situation read_situation(const SituationSources& sources, std::int64_t uptime_ms) {
    Situation situation{.uptime_ms = uptime_ms};
    if (CacheParts* const cache = sources.cache.find()) read_cache(*cache, sources, situation);
    if (AppParts* const parts = sources.parts.find()) {
        read_components(parts->components(), sources.clock.wall_ms(), situation);
        read_backends(parts->backends(), situation);
    }
    situation.memory = read_memory(sources.memory);
    situation.workers = read_workers(sources, uptime_ms);
    const IpcReadings ipc = sources.metrics.ipc_readings();
    situation.wire = WireSituation{.requests = ipc.requests,
                                   .batches = ipc.batches,
                                   .requests_per_second = static_cast<double>(ipc.requests) * 1000 /
                                                          static_cast<double>(std::max<std::int64_t>(1, uptime_ms))};
    return situation;
}

} // namespace pillion
