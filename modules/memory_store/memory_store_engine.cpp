#include "modules/memory_store/memory_store_engine.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::uint32_t coarse_time(std::int64_t now_ms) {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(now_ms / Slot::access_tick_ms, 0, UINT32_MAX));
}

// Counts exactly up to 64, but for what two processors do at once; then one in 16 reads adds 16, so that they do not
// fight for the line of a hot entry.
void count_access(Slot& slot, std::uint64_t turn) {
    constexpr std::uint32_t exact_max = 64;
    const std::uint32_t accesses = slot.accesses.load(relaxed);
    if (accesses < exact_max) {
        slot.accesses.store(accesses + 1, relaxed);
    } else if ((turn * 0x9E3779B97F4A7C15ULL) >> 60 == 0 && accesses < UINT32_MAX - 64) {
        slot.accesses.store(accesses + 16, relaxed);
    }
}

} // namespace

MemoryStore::Engine::Engine(const MemoryStoreConfig& wanted)
    : config(wanted), policy(make_store_policy(config, slots, index)), reads(policy->reads()) {
    apply_limits();
}

ShadowCapacity MemoryStore::Engine::capacity() const {
    const auto scaled = [this](std::uint64_t limit) {
        return std::max<std::uint64_t>(static_cast<std::uint64_t>(static_cast<double>(limit) * share), 1);
    };
    return {.weight_max = scaled(config.bytes_max),
            .entries_max = config.entries_max == 0 ? UINT64_MAX : scaled(config.entries_max)};
}

void MemoryStore::Engine::apply_limits() {
    const double share_max = config.entry_share_max * static_cast<double>(config.bytes_max);
    entry_weight_max.store(std::min(static_cast<std::uint64_t>(share_max), capacity().weight_max), relaxed);
    policy->resize(capacity());
}

void MemoryStore::Engine::raise(Slot& slot, std::uint64_t turn, std::int64_t now_ms) const {
    count_access(slot, turn);
    const std::uint32_t now = coarse_time(now_ms);
    if (slot.last_access.load(relaxed) != now) slot.last_access.store(now, relaxed);
    if (!reads.are_counted) return;
    const std::uint8_t use = slot.count.load(relaxed);
    if (const std::uint8_t raised = Use::raised(use, reads.stamp); raised != use) slot.count.store(raised, relaxed);
}

void MemoryStore::Engine::note(SlotId slot, std::uint64_t hash) {
    const ReadBuffers::Note note = buffers.add(slot, hash);
    if (note == ReadBuffers::Note::taken) return;
    const std::unique_lock guard(mutex, std::try_to_lock);
    if (!guard.owns_lock()) return;
    drain();
    if (note == ReadBuffers::Note::lost) apply(slot, hash);
}

void MemoryStore::Engine::refresh_reads() {
    const StorePolicy::Reads wanted = policy->reads();
    if (wanted == reads) return;
    const ReaderLock::Write writing(lock);
    reads = wanted;
}

void MemoryStore::Engine::use_policy() {
    drain();
    const std::vector<SlotId> order = policy->order();
    {
        // Readers must not raise counts that mean something else now.
        const ReaderLock::Write writing(lock);
        reads = {};
    }
    policy = make_store_policy(config, slots, index);
    policy->resize(capacity());
    for (const SlotId slot : order) {
        const std::uint64_t hash = hash_of(slots[slot]);
        slots[slot].set_mark(0);
        slots[slot].count.store(0, relaxed);
        policy->announce(hash, slots[slot].weight());
        policy->add(slot, hash, StorePolicy::Arrival::added);
    }
    const ReaderLock::Write writing(lock);
    reads = policy->reads();
}

void MemoryStore::Engine::count(std::string_view key, const EntryInfo& info, RemovalCause cause) {
    ++removed[static_cast<std::size_t>(cause)];
    if (listener) listener(key, info, cause);
}

void MemoryStore::Engine::detach(SlotId slot) {
    policy->remove(slot);
    bytes -= slots[slot].weight();
    --entries;
}

void MemoryStore::Engine::remove(SlotId slot, RemovalCause cause) {
    detach(slot);
    Slot& entry = slots[slot];
    count(entry.key(), entry.info(), cause);
    const std::uint64_t hash = hash_of(entry);
    const bool is_evicted =
        cause == RemovalCause::size || cause == RemovalCause::entries || cause == RemovalCause::pressure;
    if (!is_evicted) policy->forget(hash);
    char* const block = entry.block;
    {
        const ReaderLock::Write writing(lock);
        index.erase(hash, slot);
        slots.give_back(slot);
    }
    Block::unpin(block, entry.record_bytes);
}

void MemoryStore::Engine::make_room(std::uint64_t weight, std::uint64_t more_entries, Pressed pressed) {
    const ShadowCapacity limit = capacity();
    for (;;) {
        const bool is_heavy = bytes + weight > limit.weight_max;
        if (!is_heavy && entries + more_entries <= limit.entries_max) return;
        const SlotId victim = policy->victim();
        if (victim == no_slot) return;
        remove(victim, pressed == Pressed::yes ? RemovalCause::pressure
                       : is_heavy              ? RemovalCause::size
                                               : RemovalCause::entries);
    }
}

std::uint64_t MemoryStore::Engine::sweep_some(std::int64_t now_ms, SlotId slots_max, std::int64_t& earliest_ms) {
    std::uint64_t freed = 0;
    for (SlotId looked = 0; looked < slots_max && sweep_at < slots.end(); ++looked, ++sweep_at) {
        const Slot& slot = slots[sweep_at];
        if (slot.block == nullptr) continue;
        if (slot.is_gone(now_ms)) {
            remove(sweep_at, RemovalCause::expired);
            ++freed;
        } else {
            earliest_ms = std::min(earliest_ms, slot.gone_at_ms.load(relaxed));
        }
    }
    return freed;
}

void MemoryStore::Engine::fill(SlotId slot, std::uint16_t key_bytes, char* block, std::uint32_t record_bytes,
                               std::int64_t now_ms, PutOptions options) {
    Slot& entry = slots[slot];
    entry.block = block;
    entry.key_bytes = key_bytes;
    entry.record_bytes = record_bytes;
    entry.gone_at_ms.store(options.gone_at_ms, relaxed);
    entry.priority_and_mark.store(static_cast<std::uint8_t>(entry.mark() << 4 | (options.priority & 0xFU)), relaxed);
    entry.accesses.store(0, relaxed);
    entry.last_access.store(coarse_time(now_ms), relaxed);
}

void MemoryStore::Engine::replace(SlotId slot, std::uint64_t hash, char* block, std::uint32_t record_bytes,
                                  std::int64_t now_ms, PutOptions options) {
    Slot& entry = slots[slot];
    detach(slot);
    count(entry.key(), entry.info(), entry.is_gone(now_ms) ? RemovalCause::expired : RemovalCause::replaced);
    make_room(std::uint64_t{entry.key_bytes} + record_bytes + entry_overhead_bytes, 1, Pressed::no);
    char* const old_block = entry.block;
    const std::uint32_t old_bytes = entry.record_bytes;
    {
        const ReaderLock::Write writing(lock);
        fill(slot, entry.key_bytes, block, record_bytes, now_ms, options);
    }
    Block::unpin(old_block, old_bytes);
    bytes += entry.weight();
    ++entries;
    policy->add(slot, hash, StorePolicy::Arrival::replaced);
}

void MemoryStore::Engine::insert(std::uint16_t key_bytes, std::uint64_t hash, char* block, std::uint32_t record_bytes,
                                 std::int64_t now_ms, PutOptions options) {
    const std::uint64_t weight = std::uint64_t{key_bytes} + record_bytes + entry_overhead_bytes;
    make_room(weight, 1, Pressed::no);
    auto grown = index.prepare(hash, [this](SlotId slot) { return hash_of(slots[slot]); });
    SlotId slot = no_slot;
    {
        const ReaderLock::Write writing(lock);
        if (grown) index.exchange(hash, *grown);
        slot = slots.take();
        fill(slot, key_bytes, block, record_bytes, now_ms, options);
        index.insert(hash, slot);
    }
    bytes += weight;
    ++entries;
    policy->add(slot, hash, StorePolicy::Arrival::added);
}

} // namespace pillion
