#include "modules/cache/cache_series.h"

namespace pillion {

namespace {

constexpr SeriesSpec hits{"pillion.cache.hits", "Reads that found a fresh value in any tier.", "{read}",
                          SeriesKind::counter};
constexpr SeriesSpec misses{"pillion.cache.misses", "Reads that no tier could serve.", "{read}", SeriesKind::counter};
constexpr SeriesSpec loads{"pillion.cache.loads", "Values fetched from a loader.", "{load}", SeriesKind::counter};
constexpr SeriesSpec errors{"pillion.cache.load_errors", "Loads that failed.", "{load}", SeriesKind::counter};
constexpr SeriesSpec bytes{"pillion.cache.bytes", "Memory of a namespace's entries.", "By", SeriesKind::gauge};
constexpr SeriesSpec entries{"pillion.cache.entries", "Entries of a namespace in memory.", "{entry}",
                             SeriesKind::gauge};
constexpr SeriesSpec evictions{"pillion.cache.evictions", "Entries that made room for others in memory.", "{entry}",
                               SeriesKind::counter};

constexpr SeriesSpec plain_bytes{"pillion.cache.plain_bytes", "Values that went to slower tiers, as they are.", "By",
                                 SeriesKind::counter};
constexpr SeriesSpec sealed_bytes{"pillion.cache.sealed_bytes",
                                  "The same as they were written: compressed and encrypted.", "By",
                                  SeriesKind::counter};

constexpr SeriesSpec all_specs[] = {hits, misses, loads, errors, bytes, entries, evictions, plain_bytes, sealed_bytes};

std::uint64_t evictions_of(const MemoryStoreStats& stats) {
    return stats.count(RemovalCause::size) + stats.count(RemovalCause::entries) + stats.count(RemovalCause::pressure);
}

} // namespace

std::span<const SeriesSpec> cache_series() { return all_specs; }

void read_cache_series(Cache& cache, Series& series) {
    for (CacheSpace* const space : cache.spaces()) {
        const CacheSpaceCounters& counters = space->counters;
        const MemoryStore* const store = space->find_store();
        const std::uint64_t hit = counters.hits.load(std::memory_order_relaxed),
                            missed = counters.misses.load(std::memory_order_relaxed);
        if (store == nullptr && hit + missed == 0) continue; // ready-made, and never used
        const SeriesLabels labels{{"namespace", space->name}};
        const auto put = [&](const SeriesSpec& spec, std::uint64_t value) {
            static_cast<void>(series.observe(spec, labels, static_cast<double>(value)));
        };
        put(hits, hit);
        put(misses, missed);
        put(loads, counters.loads.load(std::memory_order_relaxed));
        put(errors, counters.load_errors.load(std::memory_order_relaxed));
        put(plain_bytes, counters.plain_bytes.load(std::memory_order_relaxed));
        put(sealed_bytes, counters.sealed_bytes.load(std::memory_order_relaxed));
        if (store == nullptr) continue;
        const MemoryStoreStats stats = store->stats();
        put(bytes, stats.bytes);
        put(entries, stats.entries);
        put(evictions, evictions_of(stats));
    }
}

CacheTotals cache_totals(Cache& cache) {
    CacheTotals totals;
    for (CacheSpace* const space : cache.spaces()) {
        totals.hits += space->counters.hits.load(std::memory_order_relaxed);
        totals.misses += space->counters.misses.load(std::memory_order_relaxed);
        const MemoryStore* const store = space->find_store();
        if (store == nullptr) continue;
        const MemoryStoreStats stats = store->stats();
        totals.entries += stats.entries;
        totals.bytes += stats.bytes;
        totals.evictions += evictions_of(stats);
    }
    return totals;
}

} // namespace pillion
