// One namespace's records in the memory of this process: bytes under bytes, bounded by weight and by count, with
// expiry, priorities and a choice of eviction policies. It does not look inside a record. Owned by the cache; any
// thread may call.
//
// A read marks itself in a line of its own thread while the caller's function looks at the record, waits for nobody but
// a writer in the fraction of a microsecond that it changes an index, and allocates nothing once warm. Everything that
// changes what is stored is done one at a time. There is one policy for all; it hears of reads in batches, and of a
// read that meets a full buffer while the policy is busy, never.
//
// Times are wall-clock milliseconds that the caller passes in; the store has no clock and starts no thread. An entry
// whose time is over is never given out; its memory goes when it is evicted, or with sweep().
#pragma once

#include "ipc/base/error.h"
#include "modules/cache_entry/cache_entry.h"
#include "modules/memory_store/shadow_cache.h" // IWYU pragma: export

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

enum class EvictionPolicy : std::uint8_t {
    adaptive, // follows whichever of several policies would hit most (memory_store_adaptive.cpp)
    lru,      // least recently used first
    lfu,      // least often used first, among equals the least recently used; counts are halved from time to time
    fifo,     // oldest first
    random,
    ttl,      // nearest expiry first
    priority, // least recently used first, but entries at or above the threshold only when there is nothing else
};

struct MemoryStoreConfig {
    std::uint64_t bytes_max = 64ULL * 1024 * 1024; // of keys, records and entry_overhead_bytes each
    std::uint64_t entries_max = 0;                 // 0: no limit but the bytes
    double entry_share_max = 0.125;                // an entry heavier than this share of bytes_max is refused
    EvictionPolicy policy = EvictionPolicy::adaptive;
    int priority_threshold = 8;
};
// -32602 for what cannot be: bytes_max 0, a share outside of (0, 1], a threshold outside of 1..10.
Result<void> check_memory_store_config(const MemoryStoreConfig& config);

struct EntryInfo {
    std::int64_t gone_at_ms = never_ms;
    std::int64_t last_access_ms = 0; // of the last read, else of the write; within 1,024 ms
    std::uint64_t weight_bytes = 0;  // key, record and overhead
    std::uint32_t accesses = 0;      // reads since it was written; beyond 64 an estimate
    std::uint8_t priority = 5;       // 1 (goes first) .. 10 (stays longest); heeded by the policy `priority`
};

// What became of an entry that was put.
enum class PutOutcome : std::uint8_t {
    added,
    replaced,
    refused, // heavier than the share, or expired at birth; an older value of the key is removed all the same
};

// Why an entry went.
enum class RemovalCause : std::uint8_t { size, entries, expired, replaced, pressure, invalidated, refused };
inline constexpr std::size_t removal_causes = 7;

struct MemoryStoreStats {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;          // weights
    std::uint64_t bytes_max = 0;      // now, after shrinking
    std::uint64_t overhead_bytes = 0; // held by the store beyond keys and records; without the allocator's rounding
    std::array<std::uint64_t, removal_causes> removed{}; // by RemovalCause; `refused` counts entries not taken
    std::uint64_t count(RemovalCause cause) const { return removed[static_cast<std::size_t>(cause)]; }
};

// A copy of one entry, for lists.
struct StoredEntry {
    std::string key;
    EntryInfo info;
    std::uint64_t record_bytes = 0;
};

class MemoryStore {
  public:
    // What an entry weighs beyond its key and record.
    static constexpr std::uint64_t entry_overhead_bytes = 64;
    static constexpr std::size_t key_bytes_max = 65'535;

    explicit MemoryStore(const MemoryStoreConfig& config = {});
    ~MemoryStore();
    MemoryStore(const MemoryStore&) = delete;

    // The hash that `hash` means below.
    static std::uint64_t hash_of(std::string_view key);

    // Calls `use(std::string_view record, const EntryInfo&)` if the key is there and its time is not over; counts a hit
    // or a miss. The record may be looked at until `use` returns, which must not call this store.
    template <class Use>
    bool read(std::string_view key, std::uint64_t hash, std::int64_t now_ms, Use&& use) {
        return read_with(key, hash, now_ms, Reading::counted, call_use<Use>, &use);
    }
    // The same, but neither counted nor an access.
    template <class Use>
    bool peek(std::string_view key, std::uint64_t hash, std::int64_t now_ms, Use&& use) const {
        return const_cast<MemoryStore*>(this)->read_with(key, hash, now_ms, Reading::silent, call_use<Use>, &use);
    }

    struct PutOptions {
        std::int64_t gone_at_ms = never_ms;
        std::uint8_t priority = 5;
    };
    PutOutcome put(std::string_view key, std::uint64_t hash, std::string_view record, std::int64_t now_ms,
                   PutOptions options);
    PutOutcome put(std::string_view key, std::uint64_t hash, std::string_view record, std::int64_t now_ms) {
        return put(key, hash, record, now_ms, PutOptions{});
    }
    // Moves the entry's expiry (sliding expiry) and counts as an access. False if it is not there.
    bool touch(std::string_view key, std::uint64_t hash, std::int64_t now_ms, std::int64_t gone_at_ms);
    bool remove(std::string_view key, std::uint64_t hash, RemovalCause cause = RemovalCause::invalidated);
    // Removes what `matches(key, record, info)`; it must not call this store. How many went.
    using Matches = std::function<bool(std::string_view key, std::string_view record, const EntryInfo& info)>;
    std::uint64_t remove_if(const Matches& matches, RemovalCause cause = RemovalCause::invalidated);
    std::uint64_t clear();

    // Frees entries whose time is over, at most about `limit` of them; how many went. Costs little where none is, so
    // whoever ticks may call it.
    std::uint64_t sweep(std::int64_t now_ms, std::size_t limit = 10'000);

    // Entries from `cursor` (0: the start) on, at most `limit`; `cursor` moves on, and is 0 again after the last. An
    // entry that stays throughout is listed exactly once, whatever comes and goes meanwhile.
    std::vector<StoredEntry> list(std::uint64_t& cursor, std::size_t limit, std::int64_t now_ms) const;
    // The entries read most often, most often first.
    std::vector<StoredEntry> hottest(std::size_t limit, std::int64_t now_ms) const;

    // Applies other limits or another policy to what is there; what no longer fits goes.
    void configure(const MemoryStoreConfig& config);
    MemoryStoreConfig config() const;
    // Makes do with this share (0..1] of the limits, for scarce memory, or grows back with 1. How many bytes went.
    std::uint64_t set_share(double share);

    // A request of a simulation: a read, and where it misses a put, of an entry that weighs this much (at least
    // simulated_weight_min) but holds nothing. True for a hit. Only for a store that is used for nothing else.
    static constexpr std::uint64_t simulated_weight_min = entry_overhead_bytes + sizeof(std::uint64_t);
    bool simulate(std::uint64_t hash, std::uint64_t weight_bytes);

    // Called for each entry that goes or is refused, whatever the cause, with the store locked: must be short and not
    // call the store. Set before use.
    using Removed = std::function<void(std::string_view key, const EntryInfo& info, RemovalCause cause)>;
    void on_removed(Removed listener);

    MemoryStoreStats stats() const;
    // Which policy the adaptive one follows now ("lru", "s3fifo" ...); with any other policy, its name.
    std::string_view followed_policy() const;

  private:
    enum class Reading : std::uint8_t { counted, silent };
    using UseFunction = void (*)(void* use, std::string_view record, const EntryInfo& info);
    template <class Use>
    static void call_use(void* use, std::string_view record, const EntryInfo& info) {
        (*static_cast<std::remove_reference_t<Use>*>(use))(record, info);
    }
    bool read_with(std::string_view key, std::uint64_t hash, std::int64_t now_ms, Reading reading, UseFunction function,
                   void* use);

    struct Engine;
    std::unique_ptr<Engine> engine_;
};

// The policies as they are spelled on the wire; find_eviction_policy: null for any other word.
std::string_view eviction_policy_name(EvictionPolicy policy);
const EvictionPolicy* find_eviction_policy(std::string_view name);

} // namespace pillion
