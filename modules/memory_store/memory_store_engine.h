// The inside of a memory store. Private to memory_store.
//
// Readers look into index and slots under a stripe of the reader lock (memory_store_readers.h). All else is done one at
// a time under the mutex, of it as little as possible under the write lock: blocks are made before and freed after, a
// table that must grow is made beside the old one, and who must go is found while readers go on.
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

    mutable std::mutex mutex;
    ReaderLock lock;
    SlotTable slots;
    SlotIndex index;
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
    SlotId sweep_at = 0;
    Removed listener;
    std::unique_ptr<StorePolicy> policy;
    StorePolicy::Reads reads; // written under the write lock, so that readers may look

    SlotId find(std::string_view key, std::uint64_t hash) const {
        return index.find(hash, [&](SlotId slot) { return slots[slot].key() == key; });
    }
    static std::uint64_t hash_of(const Slot& slot) { return MemoryStore::hash_of(slot.key()); }

    // --- By readers, within the reader lock
    void raise(Slot& slot, std::uint64_t turn, std::int64_t now_ms) const;
    bool is_noted(std::uint64_t hash) const {
        return reads.are_noted && StorePolicy::is_sampled(hash, reads.sample_mask);
    }
    // --- By readers, outside of it
    void note(SlotId slot, std::uint64_t hash);

    // --- Under the mutex
    ShadowCapacity capacity() const;
    void apply_limits();
    void apply(SlotId slot, std::uint64_t hash) {
        if (slots[slot].block != nullptr) policy->hit(slot, hash);
    }
    void drain() {
        buffers.drain([this](SlotId slot, std::uint64_t hash) { apply(slot, hash); });
    }
    void refresh_reads();
    // Hands all entries over to the policy that the configuration asks for.
    void use_policy();
    void count(std::string_view key, const EntryInfo& info, RemovalCause cause);
    // Out of the policy and the totals; it stays in the index.
    void detach(SlotId slot);
    void remove(SlotId slot, RemovalCause cause);
    enum class Pressed : std::uint8_t { no, yes };
    // Evicts until this fits as well.
    void make_room(std::uint64_t weight, std::uint64_t more_entries, Pressed pressed);
    // Looks at so many slots, from where it was last time on; lowers `earliest_ms` to when the next of them is gone.
    std::uint64_t sweep_some(std::int64_t now_ms, SlotId slots_max, std::int64_t& earliest_ms);
    void replace(SlotId slot, std::uint64_t hash, char* block, std::uint32_t record_bytes, std::int64_t now_ms,
                 PutOptions options);
    void insert(std::uint16_t key_bytes, std::uint64_t hash, char* block, std::uint32_t record_bytes,
                std::int64_t now_ms, PutOptions options);
    void fill(SlotId slot, std::uint16_t key_bytes, char* block, std::uint32_t record_bytes, std::int64_t now_ms,
              PutOptions options);
};

} // namespace pillion
