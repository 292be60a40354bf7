// The entries of a memory store: each one block of memory with what is noted of it, the key and the record behind each
// other, so that a hit looks into the index and at one other place. Private to memory_store. Entries are created and
// linked by whoever holds the store's mutex; readers, who are within its read lock, change only the atomic members.
#pragma once

#include "modules/memory_store/memory_store.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace pillion {

// What readers leave in MemoryEntry::count for a policy that asks for it: how often the entry was used since the policy
// last looked, up to 3, and when last, as a number that goes round.
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

class MemoryEntry {
  public:
    // From here on there is a count of pins before the entry, so that a reader of much need not keep writers waiting.
    static constexpr std::uint32_t large_record_bytes = 16 * 1024;
    // What an entry takes beyond its key and record.
    static const std::size_t head_bytes;

    static MemoryEntry* create(std::string_view key, std::string_view record);
    // For simulations: says that it has a record of this size, but has none.
    static MemoryEntry* create_hollow(std::string_view key, std::uint32_t record_bytes);
    MemoryEntry(const MemoryEntry&) = delete;
    // An entry is created with one pin; it goes with the last. Small ones have only that one.
    bool is_large() const { return record_bytes_ >= large_record_bytes; }
    void pin();
    static void unpin(MemoryEntry* entry);

    std::string_view key() const { return {data(), key_bytes()}; }
    std::string_view record() const { return {data() + key_bytes(), record_bytes_}; }
    std::uint64_t weight() const { return key_bytes() + record_bytes_ + MemoryStore::entry_overhead_bytes; }
    EntryInfo info() const;

    std::int64_t gone_at_ms() const {
        const std::uint64_t gone = gone_and_key_.load(relaxed) >> 16;
        return gone == gone_never ? never_ms : static_cast<std::int64_t>(gone);
    }
    bool is_gone(std::int64_t now_ms) const { return gone_at_ms() <= now_ms; }
    void set_gone_at(std::int64_t gone_at_ms);
    std::uint8_t priority() const { return priority_and_mark_.load(relaxed) & 0xF; }
    void set_priority(std::uint8_t priority) {
        priority_and_mark_.store(static_cast<std::uint8_t>(mark() << 4 | (priority & 0xFU)), relaxed);
    }
    // A read, the `turn`th of its thread, or without one: the write.
    void note_access(std::int64_t now_ms, std::uint64_t turn);
    void note_write(std::int64_t now_ms);
    std::uint32_t accesses() const;

    // The policy's: where it keeps the entry, 0 to 15; how often it was used, or a Use that readers raise where the
    // policy wants it; its neighbours there.
    unsigned mark() const { return priority_and_mark_.load(relaxed) >> 4; }
    void set_mark(unsigned mark) {
        priority_and_mark_.store(static_cast<std::uint8_t>(mark << 4 | priority()), relaxed);
    }

  private:
    static constexpr auto relaxed = std::memory_order_relaxed;
    static constexpr std::int64_t access_tick_ms = 1'024;
    static constexpr std::uint64_t gone_never = (std::uint64_t{1} << 48) - 1;

    MemoryEntry(std::string_view key, std::uint32_t record_bytes);
    std::uint64_t key_bytes() const { return gone_and_key_.load(relaxed) & 0xFFFF; }
    const char* data() const { return reinterpret_cast<const char*>(this) + data_offset; }
    char* data() { return reinterpret_cast<char*>(this) + data_offset; }

    // Only what is written here; the compiler would round 36 bytes up.
    static constexpr std::size_t data_offset = 36;

  public:
    MemoryEntry* newer = nullptr;
    MemoryEntry* older = nullptr;

  private:
    std::atomic<std::uint64_t> gone_and_key_; // milliseconds above the key's length
    std::uint32_t record_bytes_;
    std::atomic<std::uint32_t> last_access_{0}; // in access_tick_ms since the epoch
    std::atomic<std::uint16_t> accesses_{0};    // beyond accesses_exact in steps

  public:
    std::atomic<std::uint8_t> count{0};

  private:
    std::atomic<std::uint8_t> priority_and_mark_{5};
};
inline constexpr std::size_t MemoryEntry::head_bytes = MemoryEntry::data_offset;

// Entries in an order, linked through themselves.
class EntryList {
  public:
    void push_newest(MemoryEntry* entry);
    // As the next newer one of `older`; null: as the oldest.
    void push_before(MemoryEntry* entry, MemoryEntry* older);
    void unlink(MemoryEntry* entry);
    MemoryEntry* newest() const { return newest_; }
    MemoryEntry* oldest() const { return oldest_; }
    bool is_empty() const { return oldest_ == nullptr; }
    std::uint64_t entries() const { return entries_; }
    std::uint64_t weight() const { return weight_; }
    // Oldest first.
    void append_to(std::vector<MemoryEntry*>& order) const;

  private:
    MemoryEntry* newest_ = nullptr;
    MemoryEntry* oldest_ = nullptr;
    std::uint64_t entries_ = 0;
    std::uint64_t weight_ = 0;
};

} // namespace pillion
