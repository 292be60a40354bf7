// What is asked of the cache and what it answers. Values; any thread.
#pragma once

#include "modules/cache/cache_policy.h"
#include "modules/cache_entry/cache_entry.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// A key as a namespace knows it. A composite one is named by the hash of its canonical JSON, which is its `parts`.
struct CacheKey {
    std::string name{};
    std::string parts{};
    // What patterns match and people read.
    const std::string& text() const { return parts.empty() ? name : parts; }
    friend bool operator==(const CacheKey&, const CacheKey&) = default;
};
// "#" and 32 hexadecimal digits of XXH3-128. `parts` is canonical JSON (RFC 8785).
CacheKey composite_key(std::string parts);
// -32602 for what is too long: 64 KiB less what tiers add.
Result<void> check_cache_key(const CacheKey& key);
inline constexpr std::size_t cache_key_bytes_max = 60 * 1024;

struct CacheValue {
    RecordMeta meta;
    std::string bytes{}; // plain
};
using CacheValuePtr = std::shared_ptr<const CacheValue>;

// Where a value can be had that no tier has: the composition root connects it to methods and backends.
struct CacheLoad {
    std::string method{};
    std::string params{}; // JSON as sent
    friend bool operator==(const CacheLoad&, const CacheLoad&) = default;
};

// What a loader is told: with a stale value at hand it may ask the origin whether that still holds.
struct CacheLoadRequest {
    std::string space{};
    CacheKey key{};
    CacheLoad load{};
    std::string etag{};
    std::string last_modified{};
};
struct CacheLoaded {
    std::string bytes{};
    std::string content_type = "application/json";
    bool not_modified = false;              // the stale value holds; bytes are empty
    std::optional<std::int64_t> ttl_ms{};   // as the origin says; 0: do not keep
    std::optional<std::int64_t> grace_ms{}; // stale-while-revalidate, stale-if-error
    std::string etag{};
    std::string last_modified{};
    std::vector<std::string> tags{};
};
using CacheLoadDone = std::function<void(Result<CacheLoaded>)>;
// Starts loading; must not block; `done` comes once, on any thread.
using CacheLoader = std::function<void(const CacheLoadRequest&, CacheLoadDone done)>;

enum class CacheFreshness : std::uint8_t {
    miss,
    fresh,
    stale,    // past its time, within its grace
    negative, // known to be absent
};

// One thing that a read waited for.
struct CacheStep {
    std::string where{};   // "memory", a tier, "loader", "flight"
    std::string outcome{}; // "hit", "miss", "stale", "skipped", "timeout", "error", "invalid", "corrupt"
    double waitedMs = 0;
};

struct CacheRead {
    CacheValuePtr value{}; // null for a miss and for what is known to be absent
    CacheFreshness freshness = CacheFreshness::miss;
    std::string source{};    // where the value came from
    bool refreshing = false; // a newer one is being fetched
    bool coalesced = false;  // joined a read that was under way
    std::int64_t age_ms = 0;
    std::int64_t ttl_ms = 0;    // left
    std::uint32_t accesses = 0; // in memory since it was written
    std::int64_t last_access_ms = 0;
    std::vector<CacheStep> steps{}; // where `explain` was set
};
using CacheReadDone = std::function<void(Result<CacheRead>)>;

struct CacheGet {
    std::string space = "default";
    CacheKey key{};
    std::optional<CacheLoad> load{};
    std::optional<std::int64_t> ttl_ms{}; // of what is loaded
    std::vector<std::string> tags{};      // of what is loaded
    std::int64_t stale_ok_ms = 0;         // a value at most this long past its time will do
    std::optional<std::int64_t> max_age_ms{};
    bool refresh = false; // load anew whatever is there
    bool only_memory = false;
    bool is_prefetch = false; // nobody asked for it yet
    bool explain = false;
};

struct CachePut {
    std::string space = "default";
    CacheKey key{};
    std::string bytes{};
    std::string content_type = "application/json";
    std::optional<std::int64_t> ttl_ms{}; // 0: do not keep
    std::optional<std::int64_t> grace_ms{};
    std::optional<std::uint8_t> priority{};
    std::vector<std::string> tags{};
    // Entries that this one was made with: when one of them changes, this one goes.
    struct Dependency {
        std::string space{};
        CacheKey key{};
    };
    std::vector<Dependency> depends_on{};
    std::string etag{};
    std::string last_modified{};
    std::int64_t made_in_ms = 0;
    bool is_negative = false;
    bool only_if_absent = false;
};

struct CachePutOutcome {
    bool stored = false;
    bool replaced = false;
    std::vector<std::string> tiers{};  // that have it
    std::vector<std::string> failed{}; // that should have it and do not yet
    std::int64_t expires_at_ms = 0;
    std::string etag{};
};

// What an invalidation takes; members that are set must all match. Without any, everything goes.
struct CacheSelection {
    std::optional<std::string> space{};
    std::optional<CacheKey> key{};
    std::optional<std::string> tag{};
    std::optional<std::string> pattern{};
    std::optional<std::int64_t> older_than_ms{};
    bool expired = false;
    bool only_memory = false;
};

struct CacheInvalidated {
    std::uint64_t memory_entries = 0;
    std::vector<std::pair<std::string, std::uint64_t>> tier_entries{};
    std::vector<std::string>
        pending{}; // tiers that are down: they serve nothing of it, and are told when they are back
};

// Tells of an invalidation, for the event and other listeners.
struct CacheNotice {
    CacheSelection selection{};
    std::string reason{}; // "request", "put", "dependency", "notice", "uncertain"
    std::string tier{};   // of a notice
    std::uint64_t entries = 0;
};

// Something that somebody should know: a tier that went down or came back, a record that could not be read.
struct CacheTrouble {
    std::string kind{}; // "tierDown", "tierUp", "tierFull", "damaged", "corrupt", "unreadable", "journal"
    std::string where{};
    std::string space{};
    std::string key{};
    std::string detail{};
};

} // namespace pillion
