// The section `cache` of the configuration, and policies, as they look on the wire. Constants; any thread.
#pragma once

#include "ipc/wire_type.h"
#include "modules/cache/cache.h"

namespace pillion {

PILLION_ENUM(EvictionPolicy, "adaptive", "lru", "lfu", "fifo", "random", "ttl", "priority")
PILLION_ENUM(CacheWrite, "through", "back")
PILLION_ENUM(CacheTtlClass, "short", "medium", "long")

PILLION_WIRE(CacheTierSpec, PILLION_FIELD(enabled, "Whether the namespace uses this tier."),
             PILLION_FIELD(ttlMs, "The longest an entry stays in this tier, in milliseconds.",
                           between(1, cache_ttl_ms_max)),
             PILLION_FIELD(softTimeoutMs,
                           "How long a read waits for this tier while it has a stale value to serve, in milliseconds.",
                           between(1, 60'000)),
             PILLION_FIELD(hardTimeoutMs, "How long a read or write waits for this tier at most, in milliseconds.",
                           between(1, 60'000)))

PILLION_WIRE(
    CacheNamespaceSpec,
    PILLION_FIELD(ttlMs, "How long a value is fresh, in milliseconds.", between(1, cache_ttl_ms_max)),
    PILLION_FIELD(ttlClass, "The same as a class: short 5 min, medium 1 h, long 24 h."),
    PILLION_FIELD(sliding, "Whether every read makes an entry fresh for another time to live."),
    PILLION_FIELD(jitter, "Share of the time to live that chance may take off, so that not all expires at once.",
                  between(0, 0.9)),
    PILLION_FIELD(maxBytes, "Most bytes of memory.", between(4096, 1'099'511'627'776)),
    PILLION_FIELD(maxEntries, "Most entries in memory; 0 for no limit but the bytes.", between(0, 1'000'000'000)),
    PILLION_FIELD(eviction, "Which entries go first when memory is full."),
    PILLION_FIELD(priorityThreshold, "With the policy `priority`, entries of at least this one stay longest.",
                  between(1, 10)),
    PILLION_FIELD(tiers, "Settings by tier: memory, disk, redis, postgres.", defaulted, at_most(16)),
    PILLION_FIELD(write, "Whether an answer to a write waits for the slower tiers (`through`) or not (`back`)."),
    PILLION_FIELD(writeBackMs, "With `back`, how long a write may wait before the slower tiers get it.",
                  between(1, 60'000)),
    PILLION_FIELD(compressAboveBytes,
                  "Values from this size on are compressed in the slower tiers where that saves a tenth; 0 for none.",
                  between(0, 1'073'741'824)),
    PILLION_FIELD(encrypt, "Whether values are encrypted in the slower tiers (AES-256-GCM)."),
    PILLION_FIELD(negativeTtlMs, "How long a loader's `not_found` is remembered, in milliseconds; 0 for not at all.",
                  between(0, cache_ttl_ms_max)),
    PILLION_FIELD(graceMs, "How long past its time a value may stand in for a loader that fails or is slow.",
                  between(0, cache_ttl_ms_max)),
    PILLION_FIELD(eagerRefresh,
                  "From this share of its life on a value is loaded anew in the background; 0 leaves it to chance, "
                  "weighted by what loading costs.",
                  between(0, 0.99)),
    PILLION_FIELD(backoffMs, "How long a loader that failed has peace while a stale value is served.",
                  between(0, 3'600'000)),
    PILLION_FIELD(loadTimeoutMs, "How long a caller waits for a loader at most.", between(1, 3'600'000)),
    PILLION_FIELD(softLoadTimeoutMs, "How long a caller waits for a loader while there is a stale value to serve.",
                  between(1, 3'600'000)))

PILLION_WIRE(CacheConfig,
             PILLION_FIELD(memoryBytesMax, "Most bytes of memory for all namespaces together.",
                           between(65'536, 1'099'511'627'776), defaulted, live),
             PILLION_FIELD(fileBytesMax, "Largest file that cache.put reads.", between(1, 2'147'483'648), defaulted,
                           live),
             PILLION_FIELD(leaseMs, "How long a file that cache.get gives stays readable, unless the request says.",
                           between(100, 86'400'000), defaulted, live),
             PILLION_FIELD(warmBytes,
                           "How much of the hottest entries on disk comes back into memory at start; 0 for none.",
                           between(0, 17'179'869'184), defaulted),
             PILLION_FIELD(
                 slowTierMs,
                 "Where a shared tier's reads take longer than this on average, or it is down, stale values are served "
                 "first and new ones live slowTtlFactor times as long.",
                 between(1, 60'000), defaulted, live),
             PILLION_FIELD(slowTtlFactor, "See slowTierMs.", between(1, 100), defaulted, live),
             PILLION_FIELD(namespaces, "Namespaces of your own, and other settings for the ready-made ones, by name.",
                           at_most(256), defaulted, live))

PILLION_WIRE(CacheTierPolicy, PILLION_FIELD(enabled, "Whether the namespace uses this tier."),
             PILLION_FIELD(ttlMs, "The longest an entry stays in this tier; absent for as long as the entry lives."),
             PILLION_FIELD(softTimeoutMs, "How long a read waits while it has a stale value."),
             PILLION_FIELD(hardTimeoutMs, "How long anything waits at most."))

PILLION_WIRE(CachePolicy, PILLION_FIELD(ttlMs, "How long a value is fresh."),
             PILLION_FIELD(sliding, "Whether reads prolong that."),
             PILLION_FIELD(jitter, "Share of it that chance may take off."),
             PILLION_FIELD(maxBytes, "Most bytes of memory."), PILLION_FIELD(maxEntries, "Most entries in memory."),
             PILLION_FIELD(eviction, "Which entries go first."),
             PILLION_FIELD(priorityThreshold, "From which priority on entries stay longest under `priority`."),
             PILLION_FIELD(tiers, "Tiers whose settings differ from the default."),
             PILLION_FIELD(write, "Through or back."), PILLION_FIELD(writeBackMs, "How long a write back may wait."),
             PILLION_FIELD(compressAboveBytes, "From which size on values are compressed."),
             PILLION_FIELD(encrypt, "Whether values are encrypted in the slower tiers."),
             PILLION_FIELD(negativeTtlMs, "How long `not_found` is remembered."),
             PILLION_FIELD(graceMs, "How long past its time a value may stand in."),
             PILLION_FIELD(eagerRefresh, "From which share of its life on a value is loaded anew."),
             PILLION_FIELD(backoffMs, "How long a failed loader has peace."),
             PILLION_FIELD(loadTimeoutMs, "How long a caller waits for a loader."),
             PILLION_FIELD(softLoadTimeoutMs, "How long while there is a stale value."))

} // namespace pillion
