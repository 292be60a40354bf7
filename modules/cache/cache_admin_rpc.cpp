// cache.stats, cache.list, cache.namespaces, cache.policy, cache.setPolicy and cache.headers.
#include "modules/cache/cache_headers.h"
#include "modules/cache/cache_rpc.h"

#include <algorithm>
#include <array>

namespace pillion {

PILLION_ENUM(TierState, "unopened", "opening", "up", "down")

struct CacheLatency {
    std::int64_t count = 0;
    double p50Us = 0;
    double p95Us = 0;
    double p99Us = 0;
    double maxUs = 0;
};
PILLION_WIRE(CacheLatency, PILLION_FIELD(count, "How many were measured."), PILLION_FIELD(p50Us, "Median."),
             PILLION_FIELD(p95Us, "95th percentile."), PILLION_FIELD(p99Us, "99th percentile."),
             PILLION_FIELD(maxUs, "Longest."))

struct CacheLayerStats {
    std::string tier;
    std::int64_t hits = 0;
    std::int64_t misses = 0;
    double hitRatio = 0;
    std::int64_t skipped = 0;
    std::int64_t timeouts = 0;
    std::int64_t errors = 0;
    CacheLatency latency;
};
PILLION_WIRE(CacheLayerStats, PILLION_FIELD(tier, "memory, or the slower tier."), PILLION_FIELD(hits, "Values it had."),
             PILLION_FIELD(misses, "Values it did not have."),
             PILLION_FIELD(hitRatio, "Share of what it was asked for."),
             PILLION_FIELD(skipped, "Reads that passed it by because it was down."),
             PILLION_FIELD(timeouts, "Reads that gave it up."), PILLION_FIELD(errors, "Reads that it failed."),
             PILLION_FIELD(latency, "Of its answers; memory's are those that were not answered on the fast path."))

struct CacheSpaceStats {
    std::string space;
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
    std::int64_t bytesMax = 0;
    std::int64_t hits = 0;
    std::int64_t misses = 0;
    std::int64_t stale = 0;
    std::int64_t negative = 0;
    double hitRatio = 0;
    std::int64_t loads = 0;
    std::int64_t loadErrors = 0;
    std::int64_t coalesced = 0;
    std::int64_t refreshes = 0;
    std::int64_t puts = 0;
    std::int64_t refused = 0;
    std::int64_t corrupt = 0;
    std::map<std::string, std::int64_t> removed;
    double compressionRatio = 1;
    double hitsPerMebibyte = 0;
    double savedMs = 0;
    CacheLatency loadLatency;
    std::vector<CacheLayerStats> layers;
};
PILLION_WIRE(
    CacheSpaceStats, PILLION_FIELD_AS(space, "namespace", "The namespace."),
    PILLION_FIELD(entries, "Entries in memory."), PILLION_FIELD(bytes, "What they weigh."),
    PILLION_FIELD(bytesMax, "What they may weigh now."), PILLION_FIELD(hits, "Reads that some tier served fresh."),
    PILLION_FIELD(misses, "Reads that found nothing or had to load."),
    PILLION_FIELD(stale, "Reads served past the value's time."),
    PILLION_FIELD(negative, "Reads answered with a known absence."),
    PILLION_FIELD(hitRatio, "Share of reads that needed no loading."), PILLION_FIELD(loads, "Loads."),
    PILLION_FIELD(loadErrors, "Of those, failed."),
    PILLION_FIELD(coalesced, "Reads that joined another one of the same key."),
    PILLION_FIELD(refreshes, "Loads in the background."), PILLION_FIELD(puts, "Values written."),
    PILLION_FIELD(refused, "Values that memory would not take."),
    PILLION_FIELD(corrupt, "Records that failed their check."),
    PILLION_FIELD(
        removed,
        "Entries that left memory, by cause: size, entries, expired, replaced, pressure, invalidated, refused."),
    PILLION_FIELD(compressionRatio, "Bytes of values for each byte written to the slower tiers."),
    PILLION_FIELD(hitsPerMebibyte, "Hits for each mebibyte of memory held: what the memory is worth."),
    PILLION_FIELD(savedMs, "Loading that hits made unnecessary, at the mean time of a load: what it saves."),
    PILLION_FIELD(loadLatency, "Of loads."), PILLION_FIELD(layers, "Tier by tier."))

struct CacheTierStats {
    std::string tier;
    TierState state = TierState::unopened;
    std::optional<std::string> trouble;
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
    std::int64_t hits = 0;
    std::int64_t misses = 0;
    double hitRatio = 0;
    std::int64_t skipped = 0;
    std::int64_t timeouts = 0;
    std::int64_t errors = 0;
    std::int64_t writes = 0;
    std::int64_t failedWrites = 0;
    std::int64_t pendingWrites = 0;
    std::int64_t pendingBytes = 0;
    std::int64_t evicted = 0;
    std::int64_t expired = 0;
    std::int64_t damaged = 0;
    CacheLatency readLatency;
    CacheLatency writeLatency;
};
PILLION_WIRE(CacheTierStats, PILLION_FIELD(tier, "The tier."),
             PILLION_FIELD(state, "Tiers are opened at the first need."), PILLION_FIELD(trouble, "Why it is down."),
             PILLION_FIELD(entries, "Entries it holds."), PILLION_FIELD(bytes, "Their size."),
             PILLION_FIELD(hits, "Values it had."), PILLION_FIELD(misses, "Values it did not have."),
             PILLION_FIELD(hitRatio, "Share of what it answered."), PILLION_FIELD(skipped, "Reads that passed it by."),
             PILLION_FIELD(timeouts, "Reads and writes that were not answered in time."),
             PILLION_FIELD(errors, "Reads that failed."), PILLION_FIELD(writes, "Values it took."),
             PILLION_FIELD(failedWrites, "Values it did not take at once."),
             PILLION_FIELD(pendingWrites, "Values that wait for it."), PILLION_FIELD(pendingBytes, "Their size."),
             PILLION_FIELD(evicted, "Entries it gave up for room."),
             PILLION_FIELD(expired, "Entries whose time was over."),
             PILLION_FIELD(damaged, "Entries whose checksum was wrong."), PILLION_FIELD(readLatency, "Of reads."),
             PILLION_FIELD(writeLatency, "Of writes, from when they were sent."))

struct CacheStatsResult {
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
    std::int64_t bytesMax = 0;
    std::int64_t hits = 0;
    std::int64_t misses = 0;
    double hitRatio = 0;
    std::vector<CacheSpaceStats> namespaces;
    std::vector<CacheTierStats> tiers;
};
PILLION_WIRE(CacheStatsResult, PILLION_FIELD(entries, "Entries in memory."), PILLION_FIELD(bytes, "What they weigh."),
             PILLION_FIELD(bytesMax, "What all namespaces together may weigh."),
             PILLION_FIELD(hits, "Reads that needed no loading."), PILLION_FIELD(misses, "The others."),
             PILLION_FIELD(hitRatio, "Share of the first."),
             PILLION_FIELD(namespaces, "Those that were used, or the one asked for."),
             PILLION_FIELD(tiers, "The slower tiers."))

struct CacheSpaceParams {
    std::optional<std::string> space;
};
PILLION_WIRE(CacheSpaceParams, PILLION_FIELD_AS(space, "namespace", "Only this namespace.", between(1, 64)))

struct CachePolicyParams {
    std::string space = "default";
};
PILLION_WIRE(CachePolicyParams, PILLION_FIELD_AS(space, "namespace", "The namespace.", defaulted, between(1, 64)))

struct CachePolicyResult {
    std::string space;
    CachePolicy policy;
};
PILLION_WIRE(CachePolicyResult, PILLION_FIELD_AS(space, "namespace", "The namespace."),
             PILLION_FIELD(policy, "What holds for it."))

struct CacheSetPolicyParams {
    std::string space;
    CacheNamespaceSpec policy;
};
PILLION_WIRE(CacheSetPolicyParams,
             PILLION_FIELD_AS(space, "namespace", "The namespace; a new name makes a new one.", between(1, 64)),
             PILLION_FIELD(policy, "What is to change; the rest stays as it is."))

struct CacheNamespaceItem {
    std::string name;
    bool readyMade = false;
    bool used = false;
    std::int64_t ttlMs = 0;
    EvictionPolicy eviction = EvictionPolicy::adaptive;
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
    std::int64_t bytesMax = 0;
    double hitRatio = 0;
};
PILLION_WIRE(CacheNamespaceItem, PILLION_FIELD(name, "The namespace.", sortable),
             PILLION_FIELD(readyMade, "Whether it comes with Pillion."),
             PILLION_FIELD(used, "Whether memory was ever used for it."),
             PILLION_FIELD(ttlMs, "How long values are fresh.", sortable),
             PILLION_FIELD(eviction, "Which entries go first."), PILLION_FIELD(entries, "Entries in memory.", sortable),
             PILLION_FIELD(bytes, "What they weigh.", sortable), PILLION_FIELD(bytesMax, "What they may weigh."),
             PILLION_FIELD(hitRatio, "Share of reads that needed no loading.", sortable))

struct CacheListParams {
    std::optional<std::string> space;
    std::string pattern;
};
PILLION_WIRE(CacheListParams, PILLION_FIELD_AS(space, "namespace", "Only this namespace.", between(1, 64)),
             PILLION_FIELD(pattern, "Only keys that match.", defaulted, at_most(1024)))

struct CacheEntryItem {
    std::string space;
    std::string key;
    std::string contentType;
    std::int64_t bytes = 0;
    std::int64_t createdAt = 0;
    std::optional<std::int64_t> lastAccessAt;
    std::int64_t accesses = 0;
    std::int64_t priority = 5;
    std::optional<std::int64_t> ttlMs;
    std::vector<std::string> tags;
    std::vector<std::string> dependsOn;
};
PILLION_WIRE(CacheEntryItem, PILLION_FIELD_AS(space, "namespace", "The namespace.", sortable),
             PILLION_FIELD(key, "The key; of a composite one its canonical JSON.", sortable),
             PILLION_FIELD(contentType, "What the value is.", sortable),
             PILLION_FIELD(bytes, "Size of the record.", sortable),
             PILLION_FIELD(createdAt, "When it was made.", sortable),
             PILLION_FIELD(lastAccessAt, "When it was last read."),
             PILLION_FIELD(accesses, "Reads since it came into memory.", sortable),
             PILLION_FIELD(priority, "1 goes first, 10 stays longest.", sortable),
             PILLION_FIELD(ttlMs, "How long it is still fresh; absent for ever.", sortable),
             PILLION_FIELD(tags, "Its tags."), PILLION_FIELD(dependsOn, "Entries it was made with, as NAMESPACE/KEY."))

struct CacheHeadersParams {
    JsonView key;
    std::string space = "asset";
    std::optional<std::string> name;
    std::optional<std::string> ifNoneMatch;
    bool isPrivate = false;
};
PILLION_WIRE(CacheHeadersParams, PILLION_FIELD(key, "The key of the asset."),
             PILLION_FIELD_AS(space, "namespace", "Its namespace.", defaulted, between(1, 64)),
             PILLION_FIELD(name, "Its file name, if the key is none: one with a content hash is immutable.",
                           between(1, 1024)),
             PILLION_FIELD(ifNoneMatch, "The request's If-None-Match.", at_most(4096)),
             PILLION_FIELD_AS(isPrivate, "private", "For this user alone.", defaulted))

struct CacheHeadersResult {
    bool found = false;
    bool notModified = false;
    bool immutable = false;
    std::map<std::string, std::string> headers;
};
PILLION_WIRE(CacheHeadersResult, PILLION_FIELD(found, "Whether the cache has the asset."),
             PILLION_FIELD(notModified, "Answer 304: the client has it."),
             PILLION_FIELD(immutable, "Whether its name carries a hash of its content."),
             PILLION_FIELD(headers, "Cache-Control, ETag, Content-Type, Age."))

namespace {

constexpr std::size_t listed_max = 100'000;

std::int64_t count(std::uint64_t value) { return static_cast<std::int64_t>(value); }

double share(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

CacheLatency latency(const HistogramSummary& summary) {
    const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1000; };
    return {count(summary.count), us(summary.p50), us(summary.p95), us(summary.p99), us(summary.max)};
}

std::vector<CacheLayerStats> layers(const Cache& cache, const CacheSpace& space) {
    std::vector<CacheLayerStats> all;
    CacheLayerStats& memory = all.emplace_back();
    memory.tier = "memory";
    memory.hits = count(space.counters.memory_hits);
    memory.misses = count(space.counters.memory_misses);
    memory.hitRatio = share(space.counters.memory_hits, space.counters.memory_hits + space.counters.memory_misses);
    memory.latency = latency(space.counters.memory_ns.summary());
    for (std::size_t i = 0; i < cache.tiers().size(); ++i) {
        const CacheTierCounters& counters = space.counters.tiers[i];
        CacheLayerStats& layer = all.emplace_back();
        layer.tier = cache.tiers()[i]->name();
        layer.hits = count(counters.hits);
        layer.misses = count(counters.misses);
        layer.hitRatio = share(counters.hits, counters.hits + counters.misses);
        layer.skipped = count(counters.skipped);
        layer.timeouts = count(counters.timeouts);
        layer.errors = count(counters.errors);
        layer.latency = latency(counters.latency_ns.summary());
    }
    return all;
}

CacheSpaceStats space_stats(const Cache& cache, const CacheSpace& space) {
    static constexpr std::array<const char*, removal_causes> causes{"size",     "entries",     "expired", "replaced",
                                                                    "pressure", "invalidated", "refused"};
    CacheSpaceStats stats;
    const CacheSpaceCounters& counters = space.counters;
    stats.space = space.name;
    stats.bytesMax = space.policy()->maxBytes;
    if (const MemoryStore* const store = space.find_store()) {
        const MemoryStoreStats memory = store->stats();
        stats.entries = count(memory.entries);
        stats.bytes = count(memory.bytes);
        stats.bytesMax = count(memory.bytes_max);
        for (std::size_t i = 0; i < removal_causes; ++i)
            if (memory.removed[i] > 0) stats.removed[causes[i]] = count(memory.removed[i]);
    }
    stats.hits = count(counters.hits);
    stats.misses = count(counters.misses);
    stats.stale = count(counters.stale);
    stats.negative = count(counters.negative);
    const std::uint64_t served = counters.hits + counters.stale + counters.negative;
    stats.hitRatio = share(served, served + counters.misses);
    stats.loads = count(counters.loads);
    stats.loadErrors = count(counters.load_errors);
    stats.coalesced = count(counters.coalesced);
    stats.refreshes = count(counters.refreshes);
    stats.puts = count(counters.puts);
    stats.refused = count(counters.refused);
    stats.corrupt = count(counters.corrupt);
    if (counters.sealed_bytes > 0) stats.compressionRatio = share(counters.plain_bytes, counters.sealed_bytes);
    const HistogramSummary loads = counters.load_ns.summary();
    stats.loadLatency = latency(loads);
    stats.savedMs = static_cast<double>(served) * loads.mean() / 1'000'000;
    if (stats.bytes > 0)
        stats.hitsPerMebibyte = static_cast<double>(served) * 1'048'576 / static_cast<double>(stats.bytes);
    stats.layers = layers(cache, space);
    return stats;
}

CacheTierStats tier_stats(const TierGate& gate) {
    const TierGateStats stats = gate.stats();
    CacheTierStats tier;
    tier.tier = gate.name();
    tier.state = stats.state;
    if (!stats.trouble.empty()) tier.trouble = stats.trouble;
    tier.entries = count(stats.tier.entries);
    tier.bytes = count(stats.tier.bytes);
    tier.hits = count(stats.hits);
    tier.misses = count(stats.misses);
    tier.hitRatio = share(stats.hits, stats.hits + stats.misses);
    tier.skipped = count(stats.skipped);
    tier.timeouts = count(stats.timeouts);
    tier.errors = count(stats.errors);
    tier.writes = count(stats.writes);
    tier.failedWrites = count(stats.failed_writes);
    tier.pendingWrites = count(stats.pending_writes);
    tier.pendingBytes = count(stats.pending_bytes);
    tier.evicted = count(stats.tier.evicted);
    tier.expired = count(stats.tier.expired);
    tier.damaged = count(stats.tier.damaged);
    tier.readLatency = latency(stats.read_ns);
    tier.writeLatency = latency(stats.write_ns);
    return tier;
}

Method stats_method(Cache& cache) {
    return method("cache.stats", "How well the cache serves, by namespace and tier.", Lane::pooled,
                  [&cache](const CacheSpaceParams& params) -> Result<CacheStatsResult> {
                      CacheStatsResult result;
                      result.bytesMax = cache.config().memoryBytesMax;
                      std::vector<CacheSpace*> chosen;
                      if (params.space)
                          chosen.push_back(PILLION_TRY(cache.space(*params.space)));
                      else
                          chosen = cache.spaces();
                      for (const CacheSpace* const space : chosen) {
                          CacheSpaceStats stats = space_stats(cache, *space);
                          result.entries += stats.entries;
                          result.bytes += stats.bytes;
                          result.hits += stats.hits + stats.stale + stats.negative;
                          result.misses += stats.misses;
                          const bool is_used = stats.hits + stats.misses + stats.puts + stats.stale > 0;
                          if (is_used || params.space) result.namespaces.push_back(std::move(stats));
                      }
                      result.hitRatio = share(static_cast<std::uint64_t>(result.hits),
                                              static_cast<std::uint64_t>(result.hits + result.misses));
                      for (const auto& gate : cache.tiers()) result.tiers.push_back(tier_stats(*gate));
                      return result;
                  })
        .alias("get_cache_stats");
}

Method list_entries_method(Cache& cache) {
    return list_method("cache.list", "The entries in memory.", Lane::pooled,
                       [&cache](const CacheListParams& params) -> Result<std::vector<CacheEntryItem>> {
                           std::vector<CacheEntryItem> items;
                           for (CacheEntryInfo& entry :
                                PILLION_TRY(cache.list(params.space, params.pattern, listed_max))) {
                               CacheEntryItem& item = items.emplace_back();
                               item.space = entry.space;
                               item.key = entry.key.text();
                               item.contentType = entry.meta.content_type;
                               item.bytes = count(entry.bytes);
                               item.createdAt = entry.meta.created_ms;
                               if (entry.last_access_ms > 0) item.lastAccessAt = entry.last_access_ms;
                               item.accesses = entry.accesses;
                               item.priority = entry.meta.priority;
                               if (entry.ttl_ms != never_ms) item.ttlMs = entry.ttl_ms;
                               for (std::string& tag : entry.meta.tags) {
                                   if (tag.front() != '\x01') {
                                       item.tags.push_back(std::move(tag));
                                   } else if (tag.back() != '\0') { // not the one of a whole namespace
                                       std::replace(tag.begin(), tag.end(), '\0', '/');
                                       item.dependsOn.push_back(tag.substr(1));
                                   }
                               }
                           }
                           return items;
                       });
}

Method headers_method(Cache& cache) {
    return async_method<CacheHeadersParams, CacheHeadersResult>(
        "cache.headers", "What to send with an asset to a webview: Cache-Control, ETag, or that it is not modified.",
        [&cache](const CacheHeadersParams& params, Reply<CacheHeadersResult> reply) {
            const auto key = read_cache_key(params.key);
            if (!key) return reply(std::unexpected(key.error()));
            CacheGet get;
            get.space = params.space;
            get.key = *key;
            const bool is_immutable = has_content_hash(params.name.value_or(key->text()));
            auto shared = std::make_shared<Reply<CacheHeadersResult>>(std::move(reply));
            cache.get(std::move(get), [shared, is_immutable, is_private = params.isPrivate,
                                       asked = params.ifNoneMatch.value_or("")](const Result<CacheRead>& read) {
                if (!read) return (*shared)(std::unexpected(read.error()));
                CacheHeadersResult result;
                result.immutable = is_immutable;
                result.found = read->value != nullptr;
                if (result.found) {
                    const RecordMeta& meta = read->value->meta;
                    const std::string etag = meta.etag.empty() ? entity_tag(read->value->bytes) : meta.etag;
                    const std::int64_t grace_ms =
                        meta.gone_at_ms == never_ms ? 0 : meta.gone_at_ms - meta.fresh_until_ms;
                    const std::int64_t ttl_ms =
                        read->ttl_ms == never_ms ? cache_ttl_ms_max : std::max<std::int64_t>(0, read->ttl_ms);
                    result.headers["Cache-Control"] = cache_control({.ttl_ms = ttl_ms,
                                                                     .grace_ms = grace_ms,
                                                                     .is_immutable = is_immutable,
                                                                     .is_private = is_private});
                    result.headers["ETag"] = etag;
                    result.headers["Content-Type"] = meta.content_type;
                    if (!meta.last_modified.empty()) result.headers["Last-Modified"] = meta.last_modified;
                    result.notModified = names_entity_tag(asked, etag);
                }
                (*shared)(std::move(result));
            });
        });
}

} // namespace

std::vector<Method> cache_admin_methods(Cache& cache) {
    std::vector<Method> methods;
    methods.push_back(stats_method(cache));
    methods.push_back(list_entries_method(cache));
    methods.push_back(
        list_method("cache.namespaces", "The namespaces: ready-made, configured and made by cache.setPolicy.",
                    Lane::pooled, [&cache](const NoParams&) -> Result<std::vector<CacheNamespaceItem>> {
                        std::vector<CacheNamespaceItem> items;
                        for (const CacheSpace* const space : cache.spaces()) {
                            const CacheSpaceStats stats = space_stats(cache, *space);
                            const auto policy = space->policy();
                            items.push_back({space->name, find_ready_made_policy(space->name) != nullptr,
                                             space->find_store() != nullptr, policy->ttlMs, policy->eviction,
                                             stats.entries, stats.bytes, stats.bytesMax, stats.hitRatio});
                        }
                        return items;
                    }));
    methods.push_back(method("cache.policy", "What holds for a namespace.", Lane::pooled,
                             [&cache](const CachePolicyParams& params) -> Result<CachePolicyResult> {
                                 const CacheSpace* const space = PILLION_TRY(cache.space(params.space));
                                 return CachePolicyResult{params.space, *space->policy()};
                             }));
    methods.push_back(
        method("cache.setPolicy", "Changes what holds for a namespace, or makes one, while running.", Lane::pooled,
               [&cache](const CacheSetPolicyParams& params) -> Result<CachePolicyResult> {
                   return CachePolicyResult{params.space, PILLION_TRY(cache.set_policy(params.space, params.policy))};
               }));
    methods.push_back(headers_method(cache));
    return methods;
}

} // namespace pillion
