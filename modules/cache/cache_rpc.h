// How the cache looks on the wire: the methods `cache.*` for values, and the events of the topic `cache`. What they
// refer to outlives them.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/cache/cache.h"
#include "modules/cache/cache_config_rpc.h" // IWYU pragma: export
#include "modules/cache/cache_lease.h"
#include "modules/cache/cache_strategies.h"

#include <optional>
#include <string>
#include <vector>

namespace pillion {

PILLION_ENUM(CacheFreshness, "miss", "fresh", "stale", "negative")

enum class CacheAs : std::uint8_t { value, file };
PILLION_ENUM(CacheAs, "value", "file")

struct CacheLoadParams {
    std::string_view method;
    JsonView params{"{}"};
};
PILLION_WIRE(CacheLoadParams,
             PILLION_FIELD(method,
                           "The method whose result is the value: one of Pillion's own, or NAME/METHOD of a backend.",
                           between(1, 256)),
             PILLION_FIELD(params, "Its params.", defaulted))

struct CacheGetParams {
    JsonView key;
    std::string_view space = "default";
    std::optional<CacheLoadParams> load;
    CacheAs as = CacheAs::value;
    std::optional<std::int64_t> ttlMs;
    std::vector<std::string_view> tags;
    std::int64_t staleOkMs = 0;
    std::optional<std::int64_t> maxAgeMs;
    bool refresh = false;
    bool memoryOnly = false;
    std::optional<std::int64_t> leaseMs;
    bool explain = false;
};
PILLION_WIRE(
    CacheGetParams,
    PILLION_FIELD(key, "A string, or an object or array: a composite key, whose order of members does not matter."),
    PILLION_FIELD_AS(space, "namespace", "The namespace.", defaulted, between(1, 64)),
    PILLION_FIELD(load, "Where the value comes from when the cache does not have it; the answer is then kept."),
    PILLION_FIELD(as, "`file` answers a path instead of the value.", defaulted),
    PILLION_FIELD(ttlMs, "How long what is loaded is fresh; else as the namespace says.", between(0, cache_ttl_ms_max)),
    PILLION_FIELD(tags, "Tags of what is loaded.", defaulted, at_most(64)),
    PILLION_FIELD(staleOkMs,
                  "A value up to so long past its time will do; a newer one is then loaded in the background.",
                  between(0, cache_ttl_ms_max), defaulted),
    PILLION_FIELD(maxAgeMs, "Only a value at most this old will do.", between(0, cache_ttl_ms_max)),
    PILLION_FIELD(refresh, "Load anew whatever is there.", defaulted),
    PILLION_FIELD(memoryOnly, "Look in memory alone.", defaulted),
    PILLION_FIELD(leaseMs, "With `as: file`, how long the file stays readable.",
                  between(100, CacheLeases::lease_ms_max)),
    PILLION_FIELD(explain, "Say where the value came from, how old it is and what was waited for.", defaulted))

struct CacheStepResult {
    std::string where;
    std::string outcome;
    double waitedMs = 0;
};
PILLION_WIRE(CacheStepResult, PILLION_FIELD(where, "memory, a tier, loader, or flight: another read of the same key."),
             PILLION_FIELD(outcome, "hit, miss, stale, expired, invalid, skipped, timeout, error or corrupt."),
             PILLION_FIELD(waitedMs, "How long it took."))

struct CacheExplanation {
    std::string source;
    CacheFreshness freshness = CacheFreshness::miss;
    std::int64_t ageMs = 0;
    std::optional<std::int64_t> ttlMs;
    bool refreshing = false;
    bool coalesced = false;
    std::optional<std::int64_t> createdAt;
    std::optional<std::int64_t> lastAccessAt;
    std::int64_t accesses = 0;
    std::int64_t bytes = 0;
    std::optional<std::int64_t> priority;
    std::vector<std::string> tags;
    std::optional<double> madeInMs;
    std::vector<CacheStepResult> steps;
};
PILLION_WIRE(CacheExplanation, PILLION_FIELD(source, "Where the value came from: memory, a tier, loader."),
             PILLION_FIELD(freshness, "fresh, stale, negative or miss."), PILLION_FIELD(ageMs, "How old the value is."),
             PILLION_FIELD(ttlMs, "How long it is still fresh; negative once stale; absent for ever."),
             PILLION_FIELD(refreshing, "Whether a newer one is being loaded."),
             PILLION_FIELD(coalesced, "Whether another read of the key was under way and served this one too."),
             PILLION_FIELD(createdAt, "When it was made, in milliseconds since the Unix epoch."),
             PILLION_FIELD(lastAccessAt, "When it was last read before."),
             PILLION_FIELD(accesses, "Reads since it came into memory."), PILLION_FIELD(bytes, "Size of the value."),
             PILLION_FIELD(priority, "1 goes first, 10 stays longest."), PILLION_FIELD(tags, "Its tags."),
             PILLION_FIELD(madeInMs, "What loading it took; absent if unknown."),
             PILLION_FIELD(steps, "What was looked at, in order."))

struct CacheGetResult {
    bool found = false;
    std::optional<Json> value;
    std::optional<std::string> base64;
    std::optional<std::string> file;
    std::optional<std::int64_t> leasedUntil;
    std::optional<std::string> contentType;
    std::optional<bool> stale;
    std::optional<bool> absent;
    std::optional<CacheExplanation> explanation;
};
PILLION_WIRE(CacheGetResult, PILLION_FIELD(found, "Whether there is a value."),
             PILLION_FIELD(value, "The value, where it is JSON."),
             PILLION_FIELD(base64, "The value, where it is not JSON."),
             PILLION_FIELD(file, "With `as: file`, where the value stands."),
             PILLION_FIELD(leasedUntil, "Until when, in milliseconds since the Unix epoch."),
             PILLION_FIELD(contentType, "What it is, unless it is application/json."),
             PILLION_FIELD(stale, "True for a value past its time."),
             PILLION_FIELD(absent, "True where the loader said lately that there is none."),
             PILLION_FIELD(explanation, "With `explain`, how it came about."))

struct CacheDependencyParams {
    JsonView key;
    std::string_view space;
};
PILLION_WIRE(CacheDependencyParams, PILLION_FIELD(key, "The key."),
             PILLION_FIELD_AS(space, "namespace", "The namespace.", between(1, 64)))

struct CachePutParams {
    JsonView key;
    std::optional<JsonView> value;
    std::string_view space = "default";
    std::optional<std::string_view> base64;
    std::optional<std::string_view> file;
    std::optional<std::string_view> contentType;
    std::optional<std::int64_t> ttlMs;
    std::optional<CacheTtlClass> ttlClass;
    std::optional<std::int64_t> graceMs;
    std::optional<std::int64_t> priority;
    std::vector<std::string_view> tags;
    std::vector<CacheDependencyParams> dependsOn;
    std::optional<JsonView> profile;
    std::optional<std::string_view> etag;
    std::optional<double> madeInMs;
    bool ifAbsent = false;
    bool absent = false;
};
PILLION_WIRE(CachePutParams, PILLION_FIELD(key, "A string, or an object or array: a composite key."),
             PILLION_FIELD(value, "The value as JSON. Or give `base64`, `file` or `absent`."),
             PILLION_FIELD_AS(space, "namespace", "The namespace.", defaulted, between(1, 64)),
             PILLION_FIELD(base64, "The value as bytes in base64."),
             PILLION_FIELD(file, "Absolute path of a file whose content is the value.", between(1, 4096)),
             PILLION_FIELD(contentType, "What the bytes are; application/octet-stream if not said.", between(1, 128)),
             PILLION_FIELD(ttlMs, "How long it is fresh; 0 keeps nothing. Else as the namespace says.",
                           between(0, cache_ttl_ms_max)),
             PILLION_FIELD(ttlClass, "The same as a class: short 5 min, medium 1 h, long 24 h."),
             PILLION_FIELD(graceMs, "How long past that it may stand in for a loader that fails.",
                           between(0, cache_ttl_ms_max)),
             PILLION_FIELD(priority, "1 goes first, 10 stays longest; 5 if not said.", between(1, 10)),
             PILLION_FIELD(tags, "By which it can be invalidated with others.", defaulted, at_most(64)),
             PILLION_FIELD(dependsOn, "Entries it was made with: when one of them changes, this one goes.", defaulted,
                           at_most(64)),
             PILLION_FIELD(profile, "The same for one key of voiceProfiles."),
             PILLION_FIELD(etag, "Its entity tag, quotes included.", between(2, 256)),
             PILLION_FIELD(madeInMs, "What making it took, which decides how early it is made anew.",
                           between(0, 86'400'000)),
             PILLION_FIELD(ifAbsent, "Only if there is no fresh value.", defaulted),
             PILLION_FIELD(absent, "Keep that there is no such value.", defaulted))

struct CachePutResult {
    bool stored = false;
    bool replaced = false;
    std::vector<std::string> tiers;
    std::vector<std::string> pending;
    std::optional<std::int64_t> expiresAt;
};
PILLION_WIRE(CachePutResult, PILLION_FIELD(stored, "Whether it was kept."),
             PILLION_FIELD(replaced, "Whether memory held an older value."),
             PILLION_FIELD(tiers, "Where it stands; with write `back`, where it will stand in a moment."),
             PILLION_FIELD(pending, "Tiers that did not take it in time and get it later."),
             PILLION_FIELD(expiresAt, "Until when it is fresh, in milliseconds since the Unix epoch."))

struct CacheKeyParams {
    JsonView key;
    std::string_view space = "default";
};
PILLION_WIRE(CacheKeyParams, PILLION_FIELD(key, "A string, or an object or array: a composite key."),
             PILLION_FIELD_AS(space, "namespace", "The namespace.", defaulted, between(1, 64)))

struct CacheInvalidateResult {
    std::int64_t memoryEntries = 0;
    std::map<std::string, std::int64_t> tierEntries;
    std::vector<std::string> pending;
};
PILLION_WIRE(CacheInvalidateResult,
             PILLION_FIELD(memoryEntries, "Entries that left memory; those of a tag leave when they are met."),
             PILLION_FIELD(tierEntries, "Entries that left each slower tier."),
             PILLION_FIELD(pending, "Tiers that could not be told yet; nothing of it is served from them."))

struct CacheInvalidatedPayload {
    std::string reason;
    std::optional<std::string> space;
    std::optional<std::string> key;
    std::optional<std::string> tag;
    std::optional<std::string> pattern;
    std::optional<std::string> tier;
    std::int64_t memoryEntries = 0;
};
PILLION_WIRE(
    CacheInvalidatedPayload,
    PILLION_FIELD(reason,
                  "request, dependency, notice (another machine or window), or uncertain (a connection was lost)."),
    PILLION_FIELD_AS(space, "namespace", "The namespace; absent for all."),
    PILLION_FIELD(key, "The key, or the parts of a composite one."), PILLION_FIELD(tag, "The tag."),
    PILLION_FIELD(pattern, "The pattern."), PILLION_FIELD(tier, "The tier that told of it."),
    PILLION_FIELD(memoryEntries, "Entries that left memory."))

inline constexpr Event cache_invalidated_event =
    event<CacheInvalidatedPayload>("cache.invalidated", "cache", EventKind::change, "Cached values were made void.");

struct CacheTroublePayload {
    std::string kind;
    std::string where;
    std::optional<std::string> space;
    std::optional<std::string> key;
    std::string detail;
};
PILLION_WIRE(
    CacheTroublePayload,
    PILLION_FIELD(kind,
                  "tierDown, tierUp, tierFull, damaged, corrupt, unreadable (encrypted with another key) or journal."),
    PILLION_FIELD(where, "The tier or file."), PILLION_FIELD_AS(space, "namespace", "The namespace concerned."),
    PILLION_FIELD(key, "The key concerned."), PILLION_FIELD(detail, "What happened."))

inline constexpr Event cache_trouble_event = event<CacheTroublePayload>("cache.trouble", "cache", EventKind::change,
                                                                        "Something about the cache needs attention.");

CacheInvalidatedPayload cache_invalidated_payload(const CacheNotice& notice);
CacheTroublePayload cache_trouble_payload(const CacheTrouble& trouble);

// A key as the wire has it: a string's text, or the canonical form of anything composite.
Result<CacheKey> read_cache_key(JsonView key);
Result<CachePut> read_cache_put(const CachePutParams& params, std::int64_t file_bytes_max);
CacheInvalidateResult invalidate_result(const CacheInvalidated& outcome);
CacheGetResult cache_get_result(const CacheRead& read, bool explain);

// The methods that read and write values, and those that administrate; `leases` serves `as: file`.
std::vector<Method> cache_methods(Cache& cache, CacheLeases& leases, CacheStrategies& strategies);
std::vector<Method> cache_value_methods(Cache& cache, CacheLeases& leases);
std::vector<Method> cache_many_methods(Cache& cache);
std::vector<Method> cache_admin_methods(Cache& cache);
std::vector<Method> cache_transfer_methods(Cache& cache);
std::vector<Method> cache_strategy_methods(Cache& cache, CacheStrategies& strategies);
std::vector<Method> cache_simulate_methods();

} // namespace pillion
