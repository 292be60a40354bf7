#include "modules/memory_store/memory_store_engine.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

} // namespace

MemoryStore::Engine::Engine(const MemoryStoreConfig& wanted)
    : config(wanted), policy(make_store_policy(config, index)), reads(policy->reads()) {
    apply_limits();
}

MemoryStore::Engine::~Engine() {
    for (MemoryEntry* const entry : policy->order()) MemoryEntry::unpin(entry);
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

void MemoryStore::Engine::note(std::uint64_t hash) {
    const ReadBuffers::Note note = buffers.add(hash);
    if (note == ReadBuffers::Note::taken) return;
    const std::unique_lock guard(mutex, std::try_to_lock);
    if (!guard.owns_lock()) return;
    drain();
    if (note == ReadBuffers::Note::lost) apply(hash);
}

void MemoryStore::Engine::refresh_reads() {
    const StorePolicy::Reads wanted = policy->reads();
    if (wanted == reads) return;
    const ReaderLock::Write writing(lock);
    reads = wanted;
}

void MemoryStore::Engine::use_policy() {
    drain();
    const std::vector<MemoryEntry*> order = policy->order();
    {
        // Readers must not raise counts that mean something else now.
        const ReaderLock::Write writing(lock);
        reads = {};
    }
    policy = make_store_policy(config, index);
    policy->resize(capacity());
    for (MemoryEntry* const entry : order) {
        const std::uint64_t hash = hash_of(*entry);
        entry->set_mark(0);
        entry->count.store(0, relaxed);
        policy->announce(hash, entry->weight());
        policy->add(entry, hash, StorePolicy::Arrival::added);
    }
    const ReaderLock::Write writing(lock);
    reads = policy->reads();
}

void MemoryStore::Engine::count(std::string_view key, const EntryInfo& info, RemovalCause cause) {
    ++removed[static_cast<std::size_t>(cause)];
    if (listener) listener(key, info, cause);
}

void MemoryStore::Engine::detach(MemoryEntry* entry) {
    policy->remove(entry);
    bytes -= entry->weight();
    --entries;
}

void MemoryStore::Engine::remove(MemoryEntry* entry, RemovalCause cause) {
    detach(entry);
    count(entry->key(), entry->info(), cause);
    const std::uint64_t hash = hash_of(*entry);
    const bool is_evicted =
        cause == RemovalCause::size || cause == RemovalCause::entries || cause == RemovalCause::pressure;
    if (!is_evicted) policy->forget(hash);
    {
        const ReaderLock::Write writing(lock);
        index.erase(hash, entry);
    }
    MemoryEntry::unpin(entry);
}

void MemoryStore::Engine::make_room(std::uint64_t weight, std::uint64_t more_entries, Pressed pressed) {
    const ShadowCapacity limit = capacity();
    for (;;) {
        const bool is_heavy = bytes + weight > limit.weight_max;
        if (!is_heavy && entries + more_entries <= limit.entries_max) return;
        MemoryEntry* const victim = policy->victim();
        if (victim == nullptr) return;
        remove(victim, pressed == Pressed::yes ? RemovalCause::pressure
                       : is_heavy              ? RemovalCause::size
                                               : RemovalCause::entries);
    }
}

std::uint64_t MemoryStore::Engine::sweep_some(std::uint64_t& rank, std::int64_t now_ms, unsigned buckets_max,
                                              std::int64_t& earliest_ms) {
    std::uint64_t freed = 0;
    std::vector<EntryIndex::Ranked> found;
    for (unsigned looked = 0; looked < buckets_max; ++looked) {
        index.step(rank, found, hash_of);
        for (const EntryIndex::Ranked& each : found) {
            if (each.entry->is_gone(now_ms)) {
                remove(each.entry, RemovalCause::expired);
                ++freed;
            } else {
                earliest_ms = std::min(earliest_ms, each.entry->gone_at_ms());
            }
        }
        if (rank == 0) break;
    }
    return freed;
}

void MemoryStore::Engine::replace(MemoryEntry* entry, std::uint64_t hash, MemoryEntry* fresh, std::int64_t now_ms) {
    detach(entry);
    count(entry->key(), entry->info(), entry->is_gone(now_ms) ? RemovalCause::expired : RemovalCause::replaced);
    make_room(fresh->weight(), 1, Pressed::no);
    fresh->set_mark(entry->mark());
    fresh->count.store(entry->count.load(relaxed), relaxed);
    {
        const ReaderLock::Write writing(lock);
        index.replace(hash, entry, fresh);
    }
    MemoryEntry::unpin(entry);
    bytes += fresh->weight();
    ++entries;
    policy->add(fresh, hash, StorePolicy::Arrival::replaced);
}

void MemoryStore::Engine::insert(std::uint64_t hash, MemoryEntry* fresh) {
    make_room(fresh->weight(), 1, Pressed::no);
    auto grown = index.prepare(hash, hash_of);
    {
        const ReaderLock::Write writing(lock);
        if (grown) index.exchange(hash, *grown);
        index.insert(hash, fresh);
    }
    bytes += fresh->weight();
    ++entries;
    policy->add(fresh, hash, StorePolicy::Arrival::added);
}

} // namespace pillion
