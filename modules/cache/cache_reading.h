// One get under way. Private to the cache; shared by the walk, the load and the timers that it waits for.
#pragma once

#include "modules/cache/cache.h"

#include <mutex>
#include <string>
#include <vector>

namespace pillion {

struct Cache::Reading {
    CacheGet request{};
    CacheSpace* space = nullptr;
    std::shared_ptr<const CachePolicy> policy{};
    std::uint64_t hash = 0;
    std::int64_t began_ns = 0;
    EntryInfo info{}; // of the entry in memory
    CacheValuePtr stale{};
    bool coalesced = false;
    bool refreshing = false;

    std::mutex mutex;     // guards what follows
    CacheReadDone done{}; // empty once answered
    std::vector<TimerId> timers{};
    std::vector<CacheStep> steps{};

    void step(std::string where, std::string outcome, double waited_ms) {
        if (!request.explain) return;
        const std::lock_guard lock(mutex);
        steps.push_back({std::move(where), std::move(outcome), waited_ms});
    }
};

// Writes a record that failed its check into the folder `damaged` of the data directory, for people who want to look;
// at most 16 of them are kept. The cache's own affair: never fails.
void keep_damaged_record(const std::string& data_directory, const TierKey& key, std::string_view record);

} // namespace pillion
