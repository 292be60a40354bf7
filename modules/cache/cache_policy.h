// How a namespace keeps its entries: what a user writes (CacheNamespaceSpec, all optional), what holds after defaults
// and ready-made namespaces are filled in (CachePolicy). Values; any thread.
#pragma once

#include "ipc/base/error.h"
#include "modules/memory_store/memory_store.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

enum class CacheWrite : std::uint8_t {
    through, // answered when the slower tiers have it
    back,    // answered when memory has it; the slower tiers get it within writeBackMs
};

enum class CacheTtlClass : std::uint8_t { brief, medium, lasting }; // 300, 3600, 86400 s

// How one tier serves a namespace. Described in cache_config_rpc.h.
struct CacheTierSpec {
    std::optional<bool> enabled{};
    std::optional<std::int64_t> ttlMs{};
    std::optional<std::int64_t> softTimeoutMs{};
    std::optional<std::int64_t> hardTimeoutMs{};
};

struct CacheNamespaceSpec {
    std::optional<std::int64_t> ttlMs{};
    std::optional<CacheTtlClass> ttlClass{};
    std::optional<bool> sliding{};
    std::optional<double> jitter{};
    std::optional<std::int64_t> maxBytes{};
    std::optional<std::int64_t> maxEntries{};
    std::optional<EvictionPolicy> eviction{};
    std::optional<std::int64_t> priorityThreshold{};
    std::map<std::string, CacheTierSpec> tiers{};
    std::optional<CacheWrite> write{};
    std::optional<std::int64_t> writeBackMs{};
    std::optional<std::int64_t> compressAboveBytes{};
    std::optional<bool> encrypt{};
    std::optional<std::int64_t> negativeTtlMs{};
    std::optional<std::int64_t> graceMs{};
    std::optional<double> eagerRefresh{};
    std::optional<std::int64_t> backoffMs{};
    std::optional<std::int64_t> loadTimeoutMs{};
    std::optional<std::int64_t> softLoadTimeoutMs{};
};

struct CacheTierPolicy {
    bool enabled = true;
    std::optional<std::int64_t> ttlMs{};
    std::int64_t softTimeoutMs = 100;
    std::int64_t hardTimeoutMs = 1000;
};

struct CachePolicy {
    std::int64_t ttlMs = 3'600'000;
    bool sliding = false;
    double jitter = 0;
    std::int64_t maxBytes = 64LL * 1024 * 1024;
    std::int64_t maxEntries = 0;
    EvictionPolicy eviction = EvictionPolicy::adaptive;
    std::int64_t priorityThreshold = 8;
    std::map<std::string, CacheTierPolicy> tiers; // those that differ from the default
    CacheWrite write = CacheWrite::through;
    std::int64_t writeBackMs = 500;
    std::int64_t compressAboveBytes = 1024;
    bool encrypt = false;
    std::int64_t negativeTtlMs = 0;
    std::int64_t graceMs = 0;
    double eagerRefresh = 0;
    std::int64_t backoffMs = 5000;
    std::int64_t loadTimeoutMs = 30'000;
    std::int64_t softLoadTimeoutMs = 500;

    CacheTierPolicy tier(std::string_view name) const;
    MemoryStoreConfig store_config() const;
};

// The longest time to live: a hundred years, so that no sum of times overflows.
inline constexpr std::int64_t cache_ttl_ms_max = 3'155'760'000'000;

std::int64_t cache_ttl_of(CacheTtlClass ttl_class);

// A namespace that needs no configuration, or null.
const CachePolicy* find_ready_made_policy(std::string_view space);
std::vector<std::string_view> ready_made_spaces();

// `base` with what the spec says. -32602 for what contradicts itself; `field` is where the spec stands.
Result<CachePolicy> apply_spec(CachePolicy base, const CacheNamespaceSpec& spec, const std::string& field);

// Names of namespaces: 1 to 64 letters, digits, '-', '_' or '.'.
Result<void> check_space_name(std::string_view name);

} // namespace pillion
