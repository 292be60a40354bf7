#include "modules/memory_store/memory_store_slots.h"

#include <cstring>
#include <new>
#include <type_traits>

namespace pillion {

namespace {

using Pins = std::atomic<std::uint32_t>;
// Slots are made where they are first used and need no destructor.
static_assert(std::is_trivially_destructible_v<Slot> && std::is_trivially_destructible_v<SlotLinks>);
constexpr std::align_val_t line{64};

constexpr std::size_t pins_bytes = alignof(std::max_align_t);

Pins& pins_of(char* block) { return *reinterpret_cast<Pins*>(block - pins_bytes); }

char* allocate(std::size_t bytes, bool is_counted) {
    const std::size_t before = is_counted ? pins_bytes : 0;
    char* const block = static_cast<char*>(::operator new(before + bytes)) + before;
    if (is_counted) new (block - pins_bytes) Pins(1);
    return block;
}

} // namespace

char* Block::create(std::string_view key, std::string_view record) {
    char* const block = allocate(key.size() + record.size(), record.size() >= large_record_bytes);
    if (!key.empty()) std::memcpy(block, key.data(), key.size());
    if (!record.empty()) std::memcpy(block + key.size(), record.data(), record.size());
    return block;
}

char* Block::create_hollow(std::string_view key, std::uint32_t record_bytes) {
    char* const block = allocate(key.size(), is_large(record_bytes));
    std::memcpy(block, key.data(), key.size());
    return block;
}

void Block::pin(char* block) { pins_of(block).fetch_add(1, std::memory_order_relaxed); }

void Block::unpin(char* block, std::uint32_t record_bytes) {
    if (!is_large(record_bytes)) {
        ::operator delete(block);
    } else if (pins_of(block).fetch_sub(1, std::memory_order_acq_rel) == 1) {
        ::operator delete(block - pins_bytes);
    }
}

SlotTable::~SlotTable() {
    for (SlotId slot = 0; slot < end_; ++slot) {
        const Slot& entry = (*this)[slot];
        if (entry.block != nullptr) Block::unpin(entry.block, entry.record_bytes);
    }
    for (const Chunk& chunk : chunks_) ::operator delete(chunk.slots, line);
}

SlotId SlotTable::take() {
    if (free_ != no_slot) {
        const SlotId slot = free_;
        free_ = links(slot).next;
        return slot;
    }
    if (end_ == chunks_.size() * chunk_slots) {
        char* const memory = static_cast<char*>(::operator new(chunk_bytes, line));
        chunks_.push_back({.slots = reinterpret_cast<Slot*>(memory),
                           .links = reinterpret_cast<SlotLinks*>(memory + chunk_slots * sizeof(Slot))});
    }
    const SlotId slot = end_++;
    new (&(*this)[slot]) Slot;
    new (&links(slot)) SlotLinks;
    return slot;
}

void SlotTable::give_back(SlotId slot) {
    (*this)[slot].block = nullptr;
    links(slot).next = free_;
    free_ = slot;
}

void SlotList::push_newest(SlotTable& slots, SlotId slot) {
    slots.links(slot) = {.previous = no_slot, .next = newest_};
    (newest_ != no_slot ? slots.links(newest_).previous : oldest_) = slot;
    newest_ = slot;
    ++entries_;
    weight_ += slots[slot].weight();
}

void SlotList::push_before(SlotTable& slots, SlotId slot, SlotId older) {
    const SlotId newer = older != no_slot ? slots.links(older).previous : oldest_;
    slots.links(slot) = {.previous = newer, .next = older};
    (newer != no_slot ? slots.links(newer).next : newest_) = slot;
    (older != no_slot ? slots.links(older).previous : oldest_) = slot;
    ++entries_;
    weight_ += slots[slot].weight();
}

void SlotList::unlink(SlotTable& slots, SlotId slot) {
    const SlotLinks links = slots.links(slot);
    (links.previous != no_slot ? slots.links(links.previous).next : newest_) = links.next;
    (links.next != no_slot ? slots.links(links.next).previous : oldest_) = links.previous;
    --entries_;
    weight_ -= slots[slot].weight();
}

void SlotList::append_to(const SlotTable& slots, std::vector<SlotId>& order) const {
    for (SlotId slot = oldest_; slot != no_slot; slot = slots.links(slot).previous) order.push_back(slot);
}

} // namespace pillion
