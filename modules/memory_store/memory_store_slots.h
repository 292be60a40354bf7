// The entries of a memory store: slots of 32 bytes, two to a cache line, and as many links in chunks that never move;
// each slot with one block that holds key and record. Private to memory_store. Slots are taken, given back and linked
// by whoever holds the store's mutex; readers change only the atomic members.
#pragma once

#include "modules/memory_store/memory_store.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace pillion {

using SlotId = std::uint32_t;
inline constexpr SlotId no_slot = 0xFFFFFFFF;

// Key and record behind each other; from large_record_bytes on there is a count of pins before them, so that a reader
// of much need not keep the writers waiting.
class Block {
  public:
    static constexpr std::uint32_t large_record_bytes = 16 * 1024;

    static char* create(std::string_view key, std::string_view record);
    // For simulations: takes the place of a record of this size, but has none.
    static char* create_hollow(std::string_view key, std::uint32_t record_bytes);
    static bool is_large(std::uint32_t record_bytes) { return record_bytes >= large_record_bytes; }
    // The block is created with one pin; it goes with the last. Small blocks have only that one.
    static void pin(char* block);
    static void unpin(char* block, std::uint32_t record_bytes);
};

// What readers leave in Slot::count for a policy that asks for it: how often the entry was used since the policy last
// looked, up to 3, and when last, as a number that goes round.
struct Use {
    static constexpr unsigned count_max = 3;
    static constexpr unsigned stamps = 64;

    static unsigned count(std::uint8_t use) { return use & 3U; }
    static unsigned stamp(std::uint8_t use) { return use >> 2; }
    static std::uint8_t raised(std::uint8_t use, std::uint8_t stamp) {
        const unsigned before = count(use);
        return static_cast<std::uint8_t>(unsigned{stamp} << 2 | (before < count_max ? before + 1 : before));
    }
};

struct Slot {
    static constexpr std::int64_t access_tick_ms = 1'024;

    char* block = nullptr; // null: free
    std::atomic<std::int64_t> gone_at_ms{never_ms};
    std::uint32_t record_bytes = 0;
    std::atomic<std::uint32_t> last_access{0}; // in access_tick_ms since the epoch
    std::atomic<std::uint32_t> accesses{0};
    std::uint16_t key_bytes = 0;
    // The policy's: how often the entry was used, or a Use that readers raise where the policy wants it.
    std::atomic<std::uint8_t> count{0};
    std::atomic<std::uint8_t> priority_and_mark{5};

    std::uint8_t priority() const { return priority_and_mark.load(std::memory_order_relaxed) & 0xF; }
    // The policy's: where it keeps the entry; 0 to 15.
    unsigned mark() const { return priority_and_mark.load(std::memory_order_relaxed) >> 4; }
    void set_mark(unsigned mark) {
        priority_and_mark.store(static_cast<std::uint8_t>(mark << 4 | priority()), std::memory_order_relaxed);
    }
    std::string_view key() const { return {block, key_bytes}; }
    std::string_view record() const { return {block + key_bytes, record_bytes}; }
    std::uint64_t weight() const { return std::uint64_t{key_bytes} + record_bytes + MemoryStore::entry_overhead_bytes; }
    bool is_gone(std::int64_t now_ms) const { return gone_at_ms.load(std::memory_order_relaxed) <= now_ms; }
    EntryInfo info() const {
        return {.gone_at_ms = gone_at_ms.load(std::memory_order_relaxed),
                .last_access_ms = std::int64_t{last_access.load(std::memory_order_relaxed)} * access_tick_ms,
                .weight_bytes = weight(),
                .accesses = accesses.load(std::memory_order_relaxed),
                .priority = priority()};
    }
};
static_assert(sizeof(Slot) == 32);

struct SlotLinks {
    SlotId previous = no_slot;
    SlotId next = no_slot; // also of the next free one
};

class SlotTable {
  public:
    ~SlotTable();
    SlotTable() = default;
    SlotTable(const SlotTable&) = delete;

    Slot& operator[](SlotId slot) { return chunks_[slot / chunk_slots].slots[slot % chunk_slots]; }
    const Slot& operator[](SlotId slot) const { return chunks_[slot / chunk_slots].slots[slot % chunk_slots]; }
    SlotLinks& links(SlotId slot) { return chunks_[slot / chunk_slots].links[slot % chunk_slots]; }
    const SlotLinks& links(SlotId slot) const { return chunks_[slot / chunk_slots].links[slot % chunk_slots]; }
    // With readers kept out.
    SlotId take();
    void give_back(SlotId slot);
    // Ids are below this.
    SlotId end() const { return end_; }
    std::size_t bytes() const { return chunks_.size() * chunk_bytes; }

  private:
    // Few chunks of many slots, so that the list of chunks stays in the nearest cache; of a chunk only what is used is
    // touched, and so takes memory.
    static constexpr std::size_t chunk_slots = 2'048;
    static constexpr std::size_t chunk_bytes = chunk_slots * (sizeof(Slot) + sizeof(SlotLinks));
    struct Chunk {
        Slot* slots;
        SlotLinks* links;
    };

    std::vector<Chunk> chunks_;
    SlotId end_ = 0;
    SlotId free_ = no_slot;
};

// Slots in an order, linked through themselves.
class SlotList {
  public:
    void push_newest(SlotTable& slots, SlotId slot);
    // As the next newer one of `older`; no_slot: as the oldest.
    void push_before(SlotTable& slots, SlotId slot, SlotId older);
    void unlink(SlotTable& slots, SlotId slot);
    SlotId newest() const { return newest_; }
    SlotId oldest() const { return oldest_; }
    bool is_empty() const { return oldest_ == no_slot; }
    std::uint64_t entries() const { return entries_; }
    std::uint64_t weight() const { return weight_; }
    // Oldest first.
    void append_to(const SlotTable& slots, std::vector<SlotId>& order) const;

  private:
    SlotId newest_ = no_slot;
    SlotId oldest_ = no_slot;
    std::uint64_t entries_ = 0;
    std::uint64_t weight_ = 0;
};

} // namespace pillion
