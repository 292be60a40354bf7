#include "modules/memory_store/memory_store.h"

#include "modules/memory_store/memory_store_engine.h"

#include <algorithm>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

namespace {

constexpr auto relaxed = std::memory_order_relaxed;

void lower(std::atomic<std::int64_t>& value, std::int64_t to) {
    std::int64_t before = value.load(relaxed);
    while (to < before && !value.compare_exchange_weak(before, to, relaxed)) {
    }
}

StoredEntry copy_of(const Slot& slot) {
    return {.key = std::string(slot.key()), .info = slot.info(), .record_bytes = slot.record_bytes};
}

struct Unpin {
    char* block;
    std::uint32_t record_bytes;
    ~Unpin() { Block::unpin(block, record_bytes); }
};

} // namespace

Result<void> check_memory_store_config(const MemoryStoreConfig& config) {
    if (config.bytes_max == 0) return fail(ErrorCode::invalid_params, "bytes_max is 0; at least 1 is needed");
    if (!(config.entry_share_max > 0 && config.entry_share_max <= 1)) {
        return fail(ErrorCode::invalid_params, "entry_share_max is " + std::to_string(config.entry_share_max) +
                                                   "; it must be above 0 and at most 1");
    }
    if (config.priority_threshold < 1 || config.priority_threshold > 10) {
        return fail(ErrorCode::invalid_params,
                    "priority_threshold is " + std::to_string(config.priority_threshold) + "; it must be 1 to 10");
    }
    return {};
}

MemoryStore::MemoryStore(const MemoryStoreConfig& config) : engine_(std::make_unique<Engine>(config)) {}
MemoryStore::~MemoryStore() = default;

std::uint64_t MemoryStore::hash_of(std::string_view key) { return XXH3_64bits(key.data(), key.size()); }

bool MemoryStore::read_with(std::string_view key, std::uint64_t hash, std::int64_t now_ms, Reading reading,
                            UseFunction function, void* use) {
    Engine& engine = *engine_;
    bool is_noted = false;
    ReaderLock::Read inside(engine.lock);
    const SlotId found = engine.find(key, hash);
    if (found == no_slot || engine.slots[found].is_gone(now_ms)) {
        if (reading == Reading::counted) inside.count_miss();
        return false;
    }
    Slot& slot = engine.slots[found];
    if (reading == Reading::counted) {
        engine.raise(slot, inside.count_hit(), now_ms);
        is_noted = engine.is_noted(hash);
    }
    const EntryInfo info = slot.info();
    const std::string_view record = slot.record();
    if (Block::is_large(slot.record_bytes)) {
        Block::pin(slot.block);
        const Unpin unpin{slot.block, slot.record_bytes};
        inside.leave();
        function(use, record, info);
    } else {
        function(use, record, info);
        inside.leave();
    }
    if (is_noted) engine.note(found, hash);
    return true;
}

bool MemoryStore::touch(std::string_view key, std::uint64_t hash, std::int64_t now_ms, std::int64_t gone_at_ms) {
    Engine& engine = *engine_;
    ReaderLock::Read inside(engine.lock);
    const SlotId touched = engine.find(key, hash);
    if (touched == no_slot || engine.slots[touched].is_gone(now_ms)) return false;
    engine.slots[touched].gone_at_ms.store(gone_at_ms, relaxed);
    lower(engine.earliest_gone_ms, gone_at_ms);
    engine.raise(engine.slots[touched], 0, now_ms);
    const bool is_noted = engine.is_noted(hash);
    const bool is_move_noted = engine.reads.are_moves_noted;
    inside.leave();
    if (is_noted) engine.note(touched, hash);
    if (is_move_noted) {
        const std::lock_guard guard(engine.mutex);
        if (const SlotId found = engine.find(key, hash); found != no_slot) engine.policy->moved(found);
    }
    return true;
}

PutOutcome MemoryStore::put(std::string_view key, std::uint64_t hash, std::string_view record, std::int64_t now_ms,
                            PutOptions options) {
    Engine& engine = *engine_;
    const std::uint64_t weight = key.size() + record.size() + entry_overhead_bytes;
    if (key.size() > key_bytes_max || record.size() > UINT32_MAX || options.gone_at_ms <= now_ms ||
        weight > engine.entry_weight_max.load(relaxed)) {
        const std::lock_guard guard(engine.mutex);
        engine.drain();
        if (const SlotId found = engine.find(key, hash); found != no_slot) engine.remove(found, RemovalCause::replaced);
        engine.count(key,
                     {.gone_at_ms = options.gone_at_ms,
                      .last_access_ms = now_ms,
                      .weight_bytes = weight,
                      .priority = options.priority},
                     RemovalCause::refused);
        return PutOutcome::refused;
    }
    char* const block = Block::create(key, record);
    const auto record_bytes = static_cast<std::uint32_t>(record.size());
    const std::lock_guard guard(engine.mutex);
    engine.buffers.prepare();
    engine.drain();
    lower(engine.earliest_gone_ms, options.gone_at_ms);
    if (engine.earliest_gone_ms.load(relaxed) <= now_ms) {
        // What is over goes before what is not, as far as a short look finds it.
        constexpr SlotId looks = 16;
        std::int64_t ignored = never_ms;
        engine.sweep_some(now_ms, looks, ignored);
        if (engine.sweep_at >= engine.slots.end()) engine.sweep_at = 0;
    }
    engine.policy->announce(hash, weight);
    const SlotId found = engine.find(key, hash);
    if (found != no_slot) {
        engine.replace(found, hash, block, record_bytes, now_ms, options);
    } else {
        engine.insert(static_cast<std::uint16_t>(key.size()), hash, block, record_bytes, now_ms, options);
    }
    engine.refresh_reads();
    return found != no_slot ? PutOutcome::replaced : PutOutcome::added;
}

bool MemoryStore::simulate(std::uint64_t hash, std::uint64_t weight_bytes) {
    Engine& engine = *engine_;
    const std::string_view key(reinterpret_cast<const char*>(&hash), sizeof(hash));
    const std::uint64_t key_hash = hash_of(key);
    if (read(key, key_hash, 0, [](std::string_view, const EntryInfo&) {})) return true;
    if (weight_bytes > engine.entry_weight_max.load(relaxed)) return false;
    const auto record_bytes = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::max(weight_bytes, simulated_weight_min) - simulated_weight_min, UINT32_MAX));
    char* const block = Block::create_hollow(key, record_bytes);
    const std::lock_guard guard(engine.mutex);
    engine.buffers.prepare();
    engine.drain();
    engine.policy->announce(key_hash, simulated_weight_min + record_bytes);
    engine.insert(sizeof(hash), key_hash, block, record_bytes, 0, PutOptions{});
    engine.refresh_reads();
    return false;
}

bool MemoryStore::remove(std::string_view key, std::uint64_t hash, RemovalCause cause) {
    Engine& engine = *engine_;
    const std::lock_guard guard(engine.mutex);
    engine.drain();
    const SlotId found = engine.find(key, hash);
    if (found == no_slot) return false;
    engine.remove(found, cause);
    return true;
}

namespace {

// Calls `visit(slot)` for each entry; the mutex is let go of now and then, so that others get on.
template <class Engine, class Visit>
void for_each_slot(Engine& engine, const Visit& visit) {
    constexpr SlotId stretch = 2'048;
    for (SlotId begin = 0;; begin += stretch) {
        const std::lock_guard guard(engine.mutex);
        const SlotId end = std::min(engine.slots.end(), begin + stretch);
        for (SlotId slot = begin; slot < end; ++slot) {
            if (engine.slots[slot].block != nullptr) visit(slot);
        }
        if (end == engine.slots.end()) return;
    }
}

} // namespace

std::uint64_t MemoryStore::remove_if(const Matches& matches, RemovalCause cause) {
    Engine& engine = *engine_;
    std::uint64_t removed = 0;
    for_each_slot(engine, [&](SlotId slot) {
        const Slot& entry = engine.slots[slot];
        if (!matches(entry.key(), entry.record(), entry.info())) return;
        engine.remove(slot, cause);
        ++removed;
    });
    return removed;
}

std::uint64_t MemoryStore::clear() {
    return remove_if([](std::string_view, std::string_view, const EntryInfo&) { return true; });
}

std::uint64_t MemoryStore::sweep(std::int64_t now_ms, std::size_t limit) {
    constexpr SlotId stretch = 2'048;
    Engine& engine = *engine_;
    if (engine.earliest_gone_ms.load(relaxed) > now_ms) return 0;
    std::int64_t earliest_ms = never_ms;
    std::uint64_t freed = 0;
    {
        const std::lock_guard guard(engine.mutex);
        engine.sweep_at = 0;
        engine.earliest_gone_ms.store(never_ms, relaxed);
    }
    for (bool is_done = false; !is_done && freed < limit;) {
        const std::lock_guard guard(engine.mutex);
        freed += engine.sweep_some(now_ms, stretch, earliest_ms);
        is_done = engine.sweep_at >= engine.slots.end();
        if (!is_done && freed >= limit) earliest_ms = now_ms;
    }
    lower(engine.earliest_gone_ms, earliest_ms);
    return freed;
}

// --- Looking and setting

std::vector<StoredEntry> MemoryStore::list(std::uint64_t& cursor, std::size_t limit, std::int64_t now_ms) const {
    const Engine& engine = *engine_;
    std::vector<StoredEntry> entries;
    const std::lock_guard guard(engine.mutex);
    for (; cursor < engine.slots.end(); ++cursor) {
        const Slot& slot = engine.slots[static_cast<SlotId>(cursor)];
        if (slot.block == nullptr || slot.is_gone(now_ms)) continue;
        if (entries.size() == limit) return entries;
        entries.push_back(copy_of(slot));
    }
    cursor = 0;
    return entries;
}

std::vector<StoredEntry> MemoryStore::hottest(std::size_t limit, std::int64_t now_ms) const {
    const Engine& engine = *engine_;
    std::vector<std::pair<std::uint32_t, SlotId>> found;
    const std::lock_guard guard(engine.mutex);
    for (SlotId slot = 0; slot < engine.slots.end(); ++slot) {
        const Slot& entry = engine.slots[slot];
        if (entry.block != nullptr && !entry.is_gone(now_ms)) found.emplace_back(entry.accesses.load(relaxed), slot);
    }
    const std::size_t count = std::min(limit, found.size());
    const auto hotter = [](const auto& a, const auto& b) {
        return a.first != b.first ? a.first > b.first : a.second < b.second;
    };
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count), found.end(), hotter);
    std::vector<StoredEntry> entries;
    for (std::size_t i = 0; i < count; ++i) entries.push_back(copy_of(engine.slots[found[i].second]));
    return entries;
}

void MemoryStore::configure(const MemoryStoreConfig& config) {
    Engine& engine = *engine_;
    const std::lock_guard guard(engine.mutex);
    const bool is_other_policy =
        config.policy != engine.config.policy || config.priority_threshold != engine.config.priority_threshold;
    engine.config = config;
    if (is_other_policy) engine.use_policy();
    engine.apply_limits();
    engine.make_room(0, 0, Engine::Pressed::no);
}

MemoryStoreConfig MemoryStore::config() const {
    const std::lock_guard guard(engine_->mutex);
    return engine_->config;
}

std::uint64_t MemoryStore::set_share(double share) {
    Engine& engine = *engine_;
    const std::lock_guard guard(engine.mutex);
    const std::uint64_t before = engine.bytes;
    engine.share = std::clamp(share, 0.0, 1.0);
    engine.apply_limits();
    engine.make_room(0, 0, Engine::Pressed::yes);
    return before - engine.bytes;
}

void MemoryStore::on_removed(Removed listener) {
    const std::lock_guard guard(engine_->mutex);
    engine_->listener = std::move(listener);
}

MemoryStoreStats MemoryStore::stats() const {
    const Engine& engine = *engine_;
    MemoryStoreStats stats;
    for (const ReaderLock::Stripe& stripe : engine.lock.stripes()) {
        stats.hits += stripe.hits.load(relaxed);
        stats.misses += stripe.misses.load(relaxed);
    }
    const std::lock_guard guard(engine.mutex);
    stats.entries = engine.entries;
    stats.bytes = engine.bytes;
    stats.bytes_max = engine.capacity().weight_max;
    stats.overhead_bytes =
        engine.slots.bytes() + engine.index.bytes() + engine.buffers.bytes() + engine.policy->bytes();
    stats.removed = engine.removed;
    return stats;
}

std::string_view MemoryStore::followed_policy() const {
    const std::lock_guard guard(engine_->mutex);
    return engine_->policy->followed();
}

} // namespace pillion
