#include "modules/memory_store/memory_entry.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <type_traits>

namespace pillion {

namespace {

using Pins = std::atomic<std::uint32_t>;
constexpr std::size_t pins_bytes = alignof(std::max_align_t);

// Entries are counted exactly up to this many reads.
constexpr std::uint32_t accesses_exact = 64;
constexpr std::uint32_t accesses_step = 16;

Pins& pins_of(MemoryEntry* entry) { return *reinterpret_cast<Pins*>(reinterpret_cast<char*>(entry) - pins_bytes); }

void* allocate(std::size_t bytes, bool is_counted) {
    const std::size_t before = is_counted ? pins_bytes : 0;
    char* const block = static_cast<char*>(::operator new(before + bytes)) + before;
    if (is_counted) new (block - pins_bytes) Pins(1);
    return block;
}

std::uint32_t coarse_time(std::int64_t now_ms, std::int64_t tick_ms) {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(now_ms / tick_ms, 0, UINT32_MAX));
}

} // namespace

MemoryEntry::MemoryEntry(std::string_view key, std::uint32_t record_bytes)
    : gone_and_key_(gone_never << 16 | key.size()), record_bytes_(record_bytes) {
    static_assert(std::is_trivially_destructible_v<MemoryEntry>);
    static_assert(sizeof(MemoryEntry) - data_offset < alignof(MemoryEntry));
    if (!key.empty()) std::memcpy(data(), key.data(), key.size());
}

// A small one may take less memory than the type's size says: nothing is behind data_offset but the data.
MemoryEntry* MemoryEntry::create(std::string_view key, std::string_view record) {
    const auto record_bytes = static_cast<std::uint32_t>(record.size());
    const std::size_t bytes = std::max(data_offset + key.size() + record.size(), sizeof(MemoryEntry));
    auto* const entry = new (allocate(bytes, record_bytes >= large_record_bytes)) MemoryEntry(key, record_bytes);
    if (!record.empty()) std::memcpy(entry->data() + key.size(), record.data(), record.size());
    return entry;
}

MemoryEntry* MemoryEntry::create_hollow(std::string_view key, std::uint32_t record_bytes) {
    const std::size_t bytes = std::max(data_offset + key.size(), sizeof(MemoryEntry));
    return new (allocate(bytes, record_bytes >= large_record_bytes)) MemoryEntry(key, record_bytes);
}

void MemoryEntry::pin() { pins_of(this).fetch_add(1, std::memory_order_relaxed); }

void MemoryEntry::unpin(MemoryEntry* entry) {
    if (!entry->is_large()) {
        ::operator delete(static_cast<void*>(entry));
    } else if (pins_of(entry).fetch_sub(1, std::memory_order_acq_rel) == 1) {
        ::operator delete(static_cast<void*>(reinterpret_cast<char*>(entry) - pins_bytes));
    }
}

EntryInfo MemoryEntry::info() const {
    return {.gone_at_ms = gone_at_ms(),
            .last_access_ms = std::int64_t{last_access_.load(relaxed)} * access_tick_ms,
            .weight_bytes = weight(),
            .accesses = accesses(),
            .priority = priority()};
}

void MemoryEntry::set_gone_at(std::int64_t gone_at_ms) {
    const auto gone = std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(gone_at_ms, 0)), gone_never);
    gone_and_key_.store(gone << 16 | key_bytes(), relaxed);
}

// Exact but for what two processors do at once; later one read in so many adds as many, so that they do not fight for
// the line of a hot entry.
void MemoryEntry::note_access(std::int64_t now_ms, std::uint64_t turn) {
    const std::uint16_t before = accesses_.load(relaxed);
    const bool is_counted = before < accesses_exact || (turn * 0x9E3779B97F4A7C15ULL) >> 60 == 0;
    if (is_counted && before != UINT16_MAX) accesses_.store(static_cast<std::uint16_t>(before + 1), relaxed);
    const std::uint32_t now = coarse_time(now_ms, access_tick_ms);
    if (last_access_.load(relaxed) != now) last_access_.store(now, relaxed);
}

void MemoryEntry::note_write(std::int64_t now_ms) { last_access_.store(coarse_time(now_ms, access_tick_ms), relaxed); }

std::uint32_t MemoryEntry::accesses() const {
    const std::uint32_t noted = accesses_.load(relaxed);
    return noted <= accesses_exact ? noted : accesses_exact + (noted - accesses_exact) * accesses_step;
}

void EntryList::push_newest(MemoryEntry* entry) {
    entry->newer = nullptr;
    entry->older = newest_;
    (newest_ != nullptr ? newest_->newer : oldest_) = entry;
    newest_ = entry;
    ++entries_;
    weight_ += entry->weight();
}

void EntryList::push_before(MemoryEntry* entry, MemoryEntry* older) {
    MemoryEntry* const newer = older != nullptr ? older->newer : oldest_;
    entry->newer = newer;
    entry->older = older;
    (newer != nullptr ? newer->older : newest_) = entry;
    (older != nullptr ? older->newer : oldest_) = entry;
    ++entries_;
    weight_ += entry->weight();
}

void EntryList::unlink(MemoryEntry* entry) {
    (entry->newer != nullptr ? entry->newer->older : newest_) = entry->older;
    (entry->older != nullptr ? entry->older->newer : oldest_) = entry->newer;
    --entries_;
    weight_ -= entry->weight();
}

void EntryList::append_to(std::vector<MemoryEntry*>& order) const {
    for (MemoryEntry* entry = oldest_; entry != nullptr; entry = entry->newer) order.push_back(entry);
}

} // namespace pillion
