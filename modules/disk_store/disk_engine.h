// The tier's machinery: who reads, who writes, and when. Private to the module; any thread, unless a member says so.
//
// Threads: gets are answered on one thread, everything else that takes longer starts on another; both start at the
// first need. Commits happen on the Store's writer thread: one of ours is under way at a time, what comes meanwhile
// goes with the next.
#pragma once

#include "modules/disk_store/disk_eviction.h"
#include "modules/disk_store/disk_queue.h"
#include "modules/disk_store/disk_store.h"
#include "modules/disk_store/disk_thread.h"

#include <optional>

namespace pillion {

struct DiskStore::Engine {
    using Found = Result<std::optional<TierValue>>;
    enum class Counting : std::uint8_t { yes, no };
    struct Get {
        TierKey key;
        Got got;
    };

    Engine(Store& store, const Clock& clock, DiskStoreOptions options);

    static Result<void> check_key(const TierKey& key);

    // Reading (disk_read.cpp).
    void get(Get get);
    void serve_gets();
    Found find(const TierKey& key, Counting counting);
    std::vector<Found> find_many(std::span<const TierKey> keys);
    Result<std::optional<std::int64_t>> visit(std::int64_t from, const std::function<bool(const DiskRow&)>& row);
    Result<std::vector<TierKey>> list(const TierSelection& selection, const std::string& after, std::size_t limit);
    Result<std::uint64_t> hottest(std::uint64_t bytes_max, const std::function<bool(TierKey, TierValue)>& take);
    TierStats stats();
    void touch(std::int64_t hash, std::int64_t uses);

    // Writing (disk_write.cpp).
    void write(DiskOperation operation);
    Result<void> check_size(const DiskOperation& operation) const;
    void start_writing();
    void write_batch();
    void batch_done(const Result<void>& result);
    Result<void> run_batch(Database& database);
    Result<void> run(Database& database, DiskOperation& operation, DiskChange& change);
    Result<void> invalidate(Database& database, DiskOperation& operation, DiskChange& change);
    Result<void> run_vacuum(Database& database, DiskOperation& operation);
    void flush_touches();
    void stop();

    void note(const Result<void>& result);
    Found found(const TierKey& key, std::int64_t hash, Result<DiskFound> result, Counting counting);

    Store& store;
    const Clock& clock;
    const DiskStoreOptions options;

    DiskQueue queue;
    DiskThread getter{"pillion-disk-get"};
    DiskThread worker{"pillion-disk"};

    std::mutex gets_mutex;
    std::vector<Get> gets; // guarded by gets_mutex

    std::mutex touches_mutex; // guards the next two
    DiskTouches touches;
    std::int64_t touches_flushed_ms = 0;

    std::mutex write_mutex; // guards the next two
    std::condition_variable written;
    bool is_writing = false;
    std::atomic<bool> is_stopped{false};

    // On the writer's thread.
    DiskQueue::Operations batch;
    DiskEviction eviction;
    DiskChange batch_change;
    DiskTotals batch_totals;

    std::atomic<std::int64_t> entries{0}, bytes{0};
    std::atomic<std::uint64_t> reads{0}, hits{0}, writes{0}, errors{0}, evicted{0}, expired{0}, damaged{0};
    mutable std::mutex trouble_mutex; // guards the next three
    std::string trouble;
    std::optional<std::int64_t> trouble_told_ns{}; // when it was last logged
    bool is_up = true;
};

} // namespace pillion
