// What is to be written: operations in the order they came, and what readers must know of them until they are
// committed. Private to the module; any thread.
#pragma once

#include "modules/disk_store/disk_table.h"

#include <atomic>
#include <list>
#include <mutex>
#include <unordered_map>

namespace pillion {

struct DiskTouch {
    std::int64_t uses = 0;
    std::int64_t used_ms = 0;
};
using DiskTouches = std::unordered_map<std::int64_t, DiskTouch>;

struct DiskOperation {
    enum class Kind : std::uint8_t { put, remove, discard, invalidate, touch, vacuum, probe };
    Kind kind = Kind::put;
    TierKey key{};
    std::int64_t hash = 0;
    TierValue value{};         // put
    std::int64_t checksum = 0; // discard
    TierSelection selection{}; // invalidate
    DiskTouches touches{};     // touch
    CacheTier::Done done{};
    CacheTier::Counted counted{}; // invalidate

    std::uint64_t sequence = 0;
    std::int64_t from = std::numeric_limits<std::int64_t>::min(); // invalidate: how far it is
    std::uint64_t count = 0;                                      // and how many went
    bool is_finished = true;                                      // invalidate, vacuum: false asks for another turn

    std::size_t bytes() const { return sizeof *this + key.name.size() + value.record.size(); }
    void answer(const Result<void>& result);
};

class DiskQueue {
  public:
    using Operations = std::list<DiskOperation>;

    // False if the queue is full, then the operation is as it was.
    bool add(DiskOperation& operation, std::uint64_t bytes_max);
    // The next ones, for one commit; they stay visible to readers until finish().
    Operations take();
    // After the commit, or its failure. Operations that want another turn go back to the front.
    void finish(Operations& batch, const Result<void>& result);

    enum class Seen : std::uint8_t { nothing, absent, value };
    // What a reader must answer because of what is not committed yet.
    Seen look(const TierKey& key, std::int64_t hash, TierValue& value) const;

    bool is_empty() const { return count_.load(std::memory_order_acquire) == 0; }

  private:
    static bool holds_back(const TierSelection& selection, const TierKey& key);

    mutable std::mutex mutex_; // guards what follows
    Operations waiting_;
    std::unordered_map<std::int64_t, const DiskOperation*> newest_; // puts and removals by hash
    std::vector<const DiskOperation*> invalidations_;
    std::uint64_t bytes_ = 0;
    std::uint64_t sequence_ = 0;
    std::atomic<std::size_t> count_{0};
};

} // namespace pillion
