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

StoredEntry copy_of(const MemoryEntry& entry) {
    return {.key = std::string(entry.key()), .info = entry.info(), .record_bytes = entry.record().size()};
}

struct Unpin {
    MemoryEntry* entry;
    ~Unpin() { MemoryEntry::unpin(entry); }
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
    MemoryEntry* const found = engine.find(key, hash);
    if (found == nullptr || found->is_gone(now_ms)) {
        if (reading == Reading::counted) inside.count_miss();
        return false;
    }
    if (reading == Reading::counted) {
        engine.raise(*found, inside.count_hit(), now_ms);
        is_noted = engine.is_noted(hash);
    }
    const EntryInfo info = found->info();
    if (found->is_large()) {
        found->pin();
        const Unpin unpin{found};
        inside.leave();
        function(use, found->record(), info);
    } else {
        function(use, found->record(), info);
        inside.leave();
    }
    if (is_noted) engine.note(hash);
    return true;
}

bool MemoryStore::touch(std::string_view key, std::uint64_t hash, std::int64_t now_ms, std::int64_t gone_at_ms) {
    Engine& engine = *engine_;
    ReaderLock::Read inside(engine.lock);
    MemoryEntry* const touched = engine.find(key, hash);
    if (touched == nullptr || touched->is_gone(now_ms)) return false;
    touched->set_gone_at(gone_at_ms);
    lower(engine.earliest_gone_ms, gone_at_ms);
    engine.raise(*touched, 0, now_ms);
    const bool is_noted = engine.is_noted(hash);
    const bool is_move_noted = engine.reads.are_moves_noted;
    inside.leave();
    if (is_noted) engine.note(hash);
    if (is_move_noted) {
        const std::lock_guard guard(engine.mutex);
        if (MemoryEntry* const found = engine.find(key, hash); found != nullptr) engine.policy->moved(found);
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
        if (MemoryEntry* const found = engine.find(key, hash); found != nullptr)
            engine.remove(found, RemovalCause::replaced);
        engine.count(key,
                     {.gone_at_ms = options.gone_at_ms,
                      .last_access_ms = now_ms,
                      .weight_bytes = weight,
                      .priority = options.priority},
                     RemovalCause::refused);
        return PutOutcome::refused;
    }
    MemoryEntry* const fresh = MemoryEntry::create(key, record);
    fresh->set_gone_at(options.gone_at_ms);
    fresh->set_priority(options.priority);
    fresh->note_write(now_ms);
    const std::lock_guard guard(engine.mutex);
    engine.buffers.prepare();
    engine.drain();
    lower(engine.earliest_gone_ms, options.gone_at_ms);
    if (engine.earliest_gone_ms.load(relaxed) <= now_ms) {
        // What is over goes before what is not, as far as a short look finds it.
        constexpr unsigned looks = 2;
        std::int64_t ignored = never_ms;
        engine.sweep_some(engine.sweep_rank, now_ms, looks, ignored);
    }
    engine.policy->announce(hash, weight);
    MemoryEntry* const found = engine.find(key, hash);
    if (found != nullptr) {
        engine.replace(found, hash, fresh, now_ms);
    } else {
        engine.insert(hash, fresh);
    }
    engine.refresh_reads();
    return found != nullptr ? PutOutcome::replaced : PutOutcome::added;
}

bool MemoryStore::simulate(std::uint64_t hash, std::uint64_t weight_bytes) {
    Engine& engine = *engine_;
    const std::string_view key(reinterpret_cast<const char*>(&hash), sizeof(hash));
    const std::uint64_t key_hash = hash_of(key);
    if (read(key, key_hash, 0, [](std::string_view, const EntryInfo&) {})) return true;
    if (weight_bytes > engine.entry_weight_max.load(relaxed)) return false;
    const auto record_bytes = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::max(weight_bytes, simulated_weight_min) - simulated_weight_min, UINT32_MAX));
    MemoryEntry* const fresh = MemoryEntry::create_hollow(key, record_bytes);
    const std::lock_guard guard(engine.mutex);
    engine.buffers.prepare();
    engine.drain();
    engine.policy->announce(key_hash, simulated_weight_min + record_bytes);
    engine.insert(key_hash, fresh);
    engine.refresh_reads();
    return false;
}

bool MemoryStore::remove(std::string_view key, std::uint64_t hash, RemovalCause cause) {
    Engine& engine = *engine_;
    const std::lock_guard guard(engine.mutex);
    engine.drain();
    MemoryEntry* const found = engine.find(key, hash);
    if (found == nullptr) return false;
    engine.remove(found, cause);
    return true;
}

namespace {

// As many as keep the mutex for a fraction of a millisecond.
constexpr unsigned buckets_at_once = 512;

// Calls `visit(entry)` for each; the mutex is let go of now and then, so that others get on.
template <class Engine, class Visit>
void for_each_entry(Engine& engine, const Visit& visit) {
    std::vector<EntryIndex::Ranked> found;
    std::uint64_t rank = 0;
    do {
        const std::lock_guard guard(engine.mutex);
        for (unsigned looked = 0; looked < buckets_at_once; ++looked) {
            engine.index.step(rank, found, Engine::hash_of);
            for (const EntryIndex::Ranked& each : found) visit(each.entry);
            if (rank == 0) break;
        }
    } while (rank != 0);
}

} // namespace

std::uint64_t MemoryStore::remove_if(const Matches& matches, RemovalCause cause) {
    Engine& engine = *engine_;
    std::uint64_t removed = 0;
    for_each_entry(engine, [&](MemoryEntry* entry) {
        if (!matches(entry->key(), entry->record(), entry->info())) return;
        engine.remove(entry, cause);
        ++removed;
    });
    return removed;
}

std::uint64_t MemoryStore::clear() {
    return remove_if([](std::string_view, std::string_view, const EntryInfo&) { return true; });
}

std::uint64_t MemoryStore::sweep(std::int64_t now_ms, std::size_t limit) {
    Engine& engine = *engine_;
    if (engine.earliest_gone_ms.load(relaxed) > now_ms) return 0;
    engine.earliest_gone_ms.store(never_ms, relaxed);
    std::int64_t earliest_ms = never_ms;
    std::uint64_t freed = 0;
    std::uint64_t rank = 0;
    do {
        const std::lock_guard guard(engine.mutex);
        freed += engine.sweep_some(rank, now_ms, buckets_at_once, earliest_ms);
    } while (rank != 0 && freed < limit);
    lower(engine.earliest_gone_ms, rank == 0 ? earliest_ms : now_ms);
    return freed;
}

// --- Looking and setting

std::vector<StoredEntry> MemoryStore::list(std::uint64_t& cursor, std::size_t limit, std::int64_t now_ms) const {
    const Engine& engine = *engine_;
    std::vector<StoredEntry> entries;
    std::vector<EntryIndex::Ranked> found;
    const std::lock_guard guard(engine.mutex);
    std::uint64_t rank = cursor;
    do {
        engine.index.step(rank, found, Engine::hash_of);
        for (const EntryIndex::Ranked& each : found) {
            if (each.entry->is_gone(now_ms)) continue;
            if (entries.size() == limit) {
                cursor = each.rank;
                return entries;
            }
            entries.push_back(copy_of(*each.entry));
        }
    } while (rank != 0);
    cursor = 0;
    return entries;
}

std::vector<StoredEntry> MemoryStore::hottest(std::size_t limit, std::int64_t now_ms) const {
    const Engine& engine = *engine_;
    struct Read {
        std::uint32_t accesses;
        std::uint64_t rank;
        const MemoryEntry* entry;
    };
    std::vector<Read> read;
    std::vector<EntryIndex::Ranked> found;
    std::uint64_t rank = 0;
    const std::lock_guard guard(engine.mutex);
    do {
        engine.index.step(rank, found, Engine::hash_of);
        for (const EntryIndex::Ranked& each : found) {
            if (!each.entry->is_gone(now_ms)) read.push_back({each.entry->accesses(), each.rank, each.entry});
        }
    } while (rank != 0);
    const std::size_t count = std::min(limit, read.size());
    const auto hotter = [](const Read& a, const Read& b) {
        return a.accesses != b.accesses ? a.accesses > b.accesses : a.rank < b.rank;
    };
    std::partial_sort(read.begin(), read.begin() + static_cast<std::ptrdiff_t>(count), read.end(), hotter);
    std::vector<StoredEntry> entries;
    for (std::size_t i = 0; i < count; ++i) entries.push_back(copy_of(*read[i].entry));
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
    stats.overhead_bytes = engine.entries * MemoryEntry::head_bytes + engine.index.bytes() + engine.buffers.bytes() +
                           engine.policy->bytes();
    stats.removed = engine.removed;
    return stats;
}

std::string_view MemoryStore::followed_policy() const {
    const std::lock_guard guard(engine_->mutex);
    return engine_->policy->followed();
}

} // namespace pillion
