// A place where records are kept that is slower than memory: the disk, Redis, PostgreSQL. Answers come later, on a
// thread of the tier's own; nothing blocks the caller. The cache itself bounds how long it waits, skips a tier that is
// down or slow, and probes it.
#pragma once

#include "ipc/base/error.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// `name` is the key as the namespace knows it; any bytes, at most 64 KiB. `parts` is the canonical JSON of a composite
// key, for tiers that show it; empty for a plain one.
struct TierKey {
    std::string space{}; // the namespace
    std::string name{};
    std::string parts{};
};

struct TierValue {
    std::string record{};        // modules/cache_entry/cache_record.h
    std::int64_t gone_at_ms = 0; // wall clock; never_ms: stays until it is evicted
};

struct TierStats {
    bool is_up = true;
    std::string trouble{}; // why not, for people; no secrets
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t reads = 0;
    std::uint64_t hits = 0;
    std::uint64_t writes = 0;
    std::uint64_t errors = 0;
    std::uint64_t evicted = 0;
    std::uint64_t expired = 0;
    std::uint64_t damaged = 0; // records whose checksum was wrong; set aside
};

// What an invalidation takes along. Exactly the members that are set must match.
struct TierSelection {
    std::string space{};                  // empty: all
    std::optional<std::string> name{};    // one key
    std::optional<std::string> pattern{}; // glob over keys: * ? [a-z] and \ before a literal one
    std::optional<std::string> tag{};     // only for those that keep tags; the others answer 0 (the cache checks tags)
    std::optional<std::int64_t> created_before_ms{};
    bool expired = false; // only what is gone already
};

class CacheTier {
  public:
    using Got = std::function<void(Result<std::optional<TierValue>>)>;
    using Done = std::function<void(Result<void>)>;
    using Counted = std::function<void(Result<std::uint64_t>)>;
    using Listed = std::function<void(Result<std::vector<TierKey>>)>;

    virtual ~CacheTier() = default;
    virtual std::string_view name() const = 0; // "disk", "redis", "postgres"
    virtual void get(TierKey key, Got got) = 0;
    virtual void put(TierKey key, TierValue value, Done done) = 0;
    virtual void remove(TierKey key, Done done) = 0;
    // How many entries went.
    virtual void invalidate(TierSelection selection, Counted counted) = 0;
    // Keys after `after`, in the tier's own stable order; at most `limit`.
    virtual void list(TierSelection selection, std::string after, std::size_t limit, Listed listed) = 0;
    // Asks whether the tier works; used to probe one that did not.
    virtual void probe(Done done) = 0;
    virtual TierStats stats() const = 0;
    // What others did to shared data: keys, tags, patterns that are not valid any more. On the tier's thread. Tiers
    // that nobody shares never call it. `uncertain`: the connection was lost; what came from here may be outdated.
    struct Notice {
        TierSelection selection{};
        bool uncertain = false;
    };
    virtual void on_notice(std::function<void(const Notice&)> listener) = 0;
    // Tells the other machines.
    virtual void announce(const TierSelection& selection) = 0;
    // Writes what is under way and ends the threads. What comes later is -32005.
    virtual void stop() = 0;
};

} // namespace pillion
