// What earlier starts took: the last 100 of them in `state.db`. Gives expected durations to the next start and a
// baseline to its report. Owned by the components' engine; any thread may call. Nothing is opened before load().
#pragma once

#include "modules/startup/startup_graph.h"
#include "modules/startup/startup_timeline.h"
#include "modules/storage/storage.h"

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace pillion {

// One component in one earlier start.
struct StartupSample {
    std::string name{};
    std::int64_t own_ns = 0;
    double concurrency = 1; // how many ran on average while it did, itself included
    bool was_cached = false;
};

struct StartupRecord {
    std::int64_t wall_ms = 0;
    std::int64_t total_ns = 0;
    std::int64_t critical_ns = 0;
    // Only starts of the same components, dependencies, lanes and cached results are compared in their total.
    std::uint64_t fingerprint = 0;
    std::vector<StartupSample> samples{}; // of those that became ready
};

// What can be said of a start to be compared with others; for failed starts only the components that became ready.
StartupRecord startup_record(const StartupTimeline& timeline);

class StartupHistory {
  public:
    static constexpr std::size_t starts_max = 100;
    static constexpr std::size_t recent_max = 9; // starts of which the median is the expected duration

    // `store` may be null: then what is learned ends with the process.
    explicit StartupHistory(Store* store) : store_(store) {}
    // At composition, once for the store.
    static void add_schema(Store& store);

    // Reads the file; blocks for some milliseconds the first time, later calls do nothing. An error leaves an empty
    // history that learns all the same.
    Result<void> load();
    // Sets expected_ns and solo_ns where they are not set and something is known. Median of the last 9 uncached runs,
    // so that it follows a change after five starts and shrugs off an outlier.
    void fill(std::vector<StartupNode>& nodes) const;
    // Remembers a start that is done; written in the background. Failed starts teach durations, not totals.
    void record(const StartupTimeline& timeline);
    // Earlier starts, oldest first.
    std::vector<StartupRecord> starts() const;
    // Forgets everything, in the file too. How many starts that were.
    Result<std::uint64_t> forget();

  private:
    struct Known {
        std::deque<StartupSample> samples{}; // uncached runs, newest last
    };
    void learn(const StartupRecord& record);

    Store* const store_;
    mutable std::mutex mutex_; // guards what follows
    bool is_loaded_ = false;
    std::deque<StartupRecord> starts_;
    std::unordered_map<std::string, Known> known_;
};

} // namespace pillion
