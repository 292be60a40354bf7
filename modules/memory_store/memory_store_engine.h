// The inside of a memory store. Private to memory_store.
//
// Readers look into the index and at entries under a stripe of the reader lock (memory_store_readers.h). All else is
// done one at a time under the mutex, of it as little as possible under the write lock: entries are made before and
// freed after, a table that must grow is made beside the old one, and who must go is found while readers go on.
#pragma once

#include "modules/memory_store/memory_store_policy.h"
#include "modules/memory_store/memory_store_readers.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace pillion {

struct MemoryStore::Engine {
    explicit Engine(const MemoryStoreConfig& wanted);
    ~Engine();
    Engine(const Engine&) = delete;

    mutable std::mutex mutex;
    ReaderLock lock;
    EntryIndex index;
    ReadBuffers buffers;
    // No entry is gone before this, as far as is known.
    std::atomic<std::int64_t> earliest_gone_ms{never_ms};
    // Heavier entries are refused.
    std::atomic<std::uint64_t> entry_weight_max{0};

    // Guarded by the mutex.
    MemoryStoreConfig config;
    double share = 1;
    std::uint64_t bytes = 0;
    std::uint64_t entries = 0;
    std::array<std::uint64_t, removal_causes> removed{};
    std::uint64_t sweep_rank = 0;
    Removed listener;
    std::unique_ptr<StorePolicy> policy;
    StorePolicy::Reads reads; // written under the write lock, so that readers may look

    MemoryEntry* find(std::string_view key, std::uint64_t hash) const {
        return index.find(hash, [&](const MemoryEntry& entry) { return entry.key() == key; });
    }
    static std::uint64_t hash_of(const MemoryEntry& entry) { return MemoryStore::hash_of(entry.key()); }

    // --- By readers, within the reader lock
    void raise(MemoryEntry& entry, std::uint64_t turn, std::int64_t now_ms) const {
        entry.note_access(now_ms, turn);
        if (!reads.are_counted) return;
        const std::uint8_t use = entry.count.load(std::memory_order_relaxed);
        const std::uint8_t raised = Use::raised(use, reads.stamp);
        if (raised != use) entry.count.store(raised, std::memory_order_relaxed);
    }
    bool is_noted(std::uint64_t hash) const {
        return reads.are_noted && StorePolicy::is_sampled(hash, reads.sample_mask);
    }
    // --- By readers, outside of it
    void note(std::uint64_t hash);

    // --- Under the mutex
    ShadowCapacity capacity() const;
    void apply_limits();
    void apply(std::uint64_t hash) {
        MemoryEntry* const entry = index.find(hash, [&](const MemoryEntry& found) { return hash_of(found) == hash; });
        if (entry != nullptr) policy->hit(entry, hash);
    }
    void drain() {
        buffers.drain([this](std::uint64_t hash) { apply(hash); });
    }
    void refresh_reads();
    // Hands all entries over to the policy that the configuration asks for.
    void use_policy();
    void count(std::string_view key, const EntryInfo& info, RemovalCause cause);
    // Out of the policy and the totals; it stays in the index.
    void detach(MemoryEntry* entry);
    void remove(MemoryEntry* entry, RemovalCause cause);
    enum class Pressed : std::uint8_t { no, yes };
    // Evicts until this fits as well.
    void make_room(std::uint64_t weight, std::uint64_t more_entries, Pressed pressed);
    // Looks into so many buckets from `rank` on, which moves on and is 0 after the last; lowers `earliest_ms` to when
    // the next of those that stay is gone.
    std::uint64_t sweep_some(std::uint64_t& rank, std::int64_t now_ms, unsigned buckets_max, std::int64_t& earliest_ms);
    // The fresh entry is in nobody else's hands yet.
    void replace(MemoryEntry* entry, std::uint64_t hash, MemoryEntry* fresh, std::int64_t now_ms);
    void insert(std::uint64_t hash, MemoryEntry* fresh);
};

} // namespace pillion
