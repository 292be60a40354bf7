// One namespace: its policy, its store in memory (made at the first write) and its counters. Owned by the cache, stays
// until the end; any thread.
#pragma once

#include "ipc/base/metric.h"
#include "modules/cache/access_sample.h"
#include "modules/cache/cache_policy.h"
#include "modules/cache/change_rate.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace pillion {

inline constexpr std::size_t cache_tiers_max = 8;

struct CacheTierCounters {
    std::atomic<std::uint64_t> hits{0}, misses{0}, skipped{0}, timeouts{0}, errors{0};
    Histogram latency_ns;
};

struct CacheSpaceCounters {
    std::atomic<std::uint64_t> hits{0};  // fresh values, wherever from but a loader
    std::atomic<std::uint64_t> stale{0}; // served past their time
    std::atomic<std::uint64_t> negative{0};
    std::atomic<std::uint64_t> misses{0};
    std::atomic<std::uint64_t> memory_hits{0}, memory_misses{0};
    std::atomic<std::uint64_t> loads{0}, load_errors{0}, coalesced{0}, refreshes{0};
    std::atomic<std::uint64_t> puts{0}, refused{0}, removed{0}, corrupt{0};
    std::atomic<std::uint64_t> plain_bytes{0}, sealed_bytes{0}; // of what was written to slower tiers
    Histogram memory_ns, load_ns;
    std::array<CacheTierCounters, cache_tiers_max> tiers;
};

class CacheSpace {
  public:
    CacheSpace(std::string space_name, CachePolicy policy);

    const std::string name;

    std::shared_ptr<const CachePolicy> policy() const {
        const std::lock_guard lock(mutex_);
        return policy_;
    }
    // The new policy holds for what is written from now on; the limits for all.
    void set_policy(CachePolicy policy);
    // Null before the first write.
    MemoryStore* find_store() const { return store_.load(std::memory_order_acquire); }
    MemoryStore& store();
    // Under pressure only this share of the limits is used.
    std::uint64_t set_share(double share);

    // Versions before this are void: the namespace was invalidated as a whole.
    std::atomic<std::int64_t> cut{0};
    // From this percentage of its life on a value may be fetched anew before it is too old.
    std::atomic<std::int64_t> eager_percent{90};
    // Whether entries elsewhere were made with entries of this namespace.
    std::atomic<bool> has_dependents{false};
    // Whether reads teach the predictor what follows what.
    std::atomic<bool> is_learned{false};

    CacheSpaceCounters counters;
    AccessSample sample;
    ChangeRate changes;

  private:
    void heed_policy();

    mutable std::mutex mutex_; // guards what follows
    std::shared_ptr<const CachePolicy> policy_;
    std::unique_ptr<MemoryStore> owned_;
    double share_ = 1;
    std::atomic<MemoryStore*> store_{nullptr};
};

} // namespace pillion
