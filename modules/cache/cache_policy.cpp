#include "modules/cache/cache_policy.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::int64_t second_ms = 1000;
constexpr std::int64_t minute_ms = 60 * second_ms;
constexpr std::int64_t hour_ms = 60 * minute_ms;
constexpr std::int64_t day_ms = 24 * hour_ms;
constexpr std::int64_t mebibyte = 1024 * 1024;

struct ReadyMade {
    std::string_view name;
    CachePolicy policy;
};

const std::vector<ReadyMade>& ready_made() {
    static const std::vector<ReadyMade> all = [] {
        std::vector<ReadyMade> made;
        const auto add = [&made](std::string_view name, std::int64_t ttl_ms, std::int64_t megabytes) -> CachePolicy& {
            CachePolicy policy;
            policy.ttlMs = ttl_ms;
            policy.maxBytes = megabytes * mebibyte;
            return made.emplace_back(name, std::move(policy)).policy;
        };
        add("default", hour_ms, 64);
        add("audio", 7 * day_ms, 128);
        add("analysis", day_ms, 64);
        add("voiceProfiles", day_ms, 16);
        add("embedding", hour_ms, 64);
        add("vectorSearch", 5 * minute_ms, 32);
        add("llmResponse", hour_ms, 64);
        add("audioChunk", 5 * minute_ms, 64);
        add("template", 7 * day_ms, 32);
        add("session", 15 * minute_ms, 16).sliding = true;
        add("query", hour_ms, 64);
        add("asset", day_ms, 64);
        add("static", 365 * day_ms, 64);
        add("generated", 30 * day_ms, 64);
        add("http", hour_ms, 64);
        return made;
    }();
    return all;
}

} // namespace

std::int64_t cache_ttl_of(CacheTtlClass ttl_class) {
    switch (ttl_class) {
    case CacheTtlClass::brief:
        return 300 * second_ms;
    case CacheTtlClass::medium:
        return 3600 * second_ms;
    case CacheTtlClass::lasting:
        return 86'400 * second_ms;
    }
    return 0;
}

const CachePolicy* find_ready_made_policy(std::string_view space) {
    for (const ReadyMade& made : ready_made())
        if (made.name == space) return &made.policy;
    return nullptr;
}

std::vector<std::string_view> ready_made_spaces() {
    std::vector<std::string_view> names;
    for (const ReadyMade& made : ready_made()) names.push_back(made.name);
    return names;
}

CacheTierPolicy CachePolicy::tier(std::string_view name) const {
    const auto at = tiers.find(std::string(name));
    if (at != tiers.end()) return at->second;
    CacheTierPolicy policy;
    if (name == "disk") policy.softTimeoutMs = 50;
    return policy;
}

MemoryStoreConfig CachePolicy::store_config() const {
    MemoryStoreConfig config;
    config.bytes_max = static_cast<std::uint64_t>(maxBytes);
    config.entries_max = static_cast<std::uint64_t>(maxEntries);
    config.policy = eviction;
    config.priority_threshold = static_cast<int>(priorityThreshold);
    return config;
}

Result<CachePolicy> apply_spec(CachePolicy base, const CacheNamespaceSpec& spec, const std::string& field) {
    if (spec.ttlMs && spec.ttlClass)
        return fail(ErrorCode::invalid_params, "ttlMs and ttlClass both say how long an entry lives; give one of them",
                    field + "/ttlClass");
    const auto take = [](auto& to, const auto& from) {
        if (from) to = *from;
    };
    if (spec.ttlClass) base.ttlMs = cache_ttl_of(*spec.ttlClass);
    take(base.ttlMs, spec.ttlMs);
    take(base.sliding, spec.sliding);
    take(base.jitter, spec.jitter);
    take(base.maxBytes, spec.maxBytes);
    take(base.maxEntries, spec.maxEntries);
    take(base.eviction, spec.eviction);
    take(base.priorityThreshold, spec.priorityThreshold);
    take(base.write, spec.write);
    take(base.writeBackMs, spec.writeBackMs);
    take(base.compressAboveBytes, spec.compressAboveBytes);
    take(base.encrypt, spec.encrypt);
    take(base.negativeTtlMs, spec.negativeTtlMs);
    take(base.graceMs, spec.graceMs);
    take(base.eagerRefresh, spec.eagerRefresh);
    take(base.backoffMs, spec.backoffMs);
    take(base.loadTimeoutMs, spec.loadTimeoutMs);
    take(base.softLoadTimeoutMs, spec.softLoadTimeoutMs);
    for (const auto& [name, tier] : spec.tiers) {
        CacheTierPolicy policy = base.tier(name);
        take(policy.enabled, tier.enabled);
        if (tier.ttlMs) policy.ttlMs = tier.ttlMs;
        take(policy.softTimeoutMs, tier.softTimeoutMs);
        take(policy.hardTimeoutMs, tier.hardTimeoutMs);
        if (policy.softTimeoutMs > policy.hardTimeoutMs)
            return fail(ErrorCode::invalid_params,
                        "softTimeoutMs " + std::to_string(policy.softTimeoutMs) + " is over hardTimeoutMs " +
                            std::to_string(policy.hardTimeoutMs),
                        field + "/tiers/" + name + "/softTimeoutMs");
        base.tiers[name] = policy;
    }
    if (base.sliding && base.graceMs > 0)
        return fail(ErrorCode::invalid_params, "an entry that every read keeps alive has no grace: set graceMs 0",
                    field + "/graceMs");
    return base;
}

Result<void> check_space_name(std::string_view name) {
    const bool fits = !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
    });
    if (fits) return {};
    return fail(ErrorCode::invalid_params,
                "\"" + std::string(name.substr(0, 80)) +
                    "\" is no name for a namespace: 1 to 64 letters, digits, '-', '_' or '.'",
                "/namespace");
}

} // namespace pillion
