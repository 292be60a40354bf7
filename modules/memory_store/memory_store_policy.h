// Who goes when something must. A policy sees entries come, be read and leave, and names the next victim. Private to
// memory_store; everything is called under the store's mutex.
#pragma once

#include "modules/memory_store/entry_index.h"

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace pillion {

inline std::uint64_t hash_of(const MemoryEntry& entry) { return MemoryStore::hash_of(entry.key()); }

class StorePolicy {
  public:
    // What readers do for the policy.
    struct Reads {
        bool are_counted = false;      // they raise the use in MemoryEntry::count (Use), with
        std::uint8_t stamp = 0;        // this time of it
        bool are_noted = false;        // they are noted for hit(), those
        std::uint16_t sample_mask = 0; // whose hash has none of these bits (is_sampled)
        bool are_moves_noted = false;  // who moves an expiry tells moved()
        bool operator==(const Reads&) const = default;
    };
    static bool is_sampled(std::uint64_t hash, std::uint16_t mask) { return (hash >> 46 & mask) == 0; }

    enum class Arrival : std::uint8_t { added, replaced };

    virtual ~StorePolicy() = default;
    virtual Reads reads() const = 0;
    // A key is about to be written, before room is made for it.
    virtual void announce(std::uint64_t /*hash*/, std::uint64_t /*weight*/) {}
    virtual void add(MemoryEntry* entry, std::uint64_t hash, Arrival arrival) = 0;
    virtual void remove(MemoryEntry* entry) = 0;
    // The key was taken out or its time was over: nothing is to be remembered of it.
    virtual void forget(std::uint64_t /*hash*/) {}
    virtual void hit(MemoryEntry* /*entry*/, std::uint64_t /*hash*/) {}
    // The entry's expiry was moved.
    virtual void moved(MemoryEntry* /*entry*/) {}
    // Who goes next; remove() follows. Null only if there is nobody.
    virtual MemoryEntry* victim() = 0;
    // All entries, those that would go first before the others.
    virtual std::vector<MemoryEntry*> order() const = 0;
    virtual void resize(ShadowCapacity /*capacity*/) {}
    virtual std::size_t bytes() const { return 0; }
    virtual std::string_view followed() const = 0;
};

// The index is the store's, and outlives the policy.
std::unique_ptr<StorePolicy> make_store_policy(const MemoryStoreConfig& config, const EntryIndex& index);

} // namespace pillion
