// An invalidation makes a version (invalidations.h); what is older and covered is void from that moment on, wherever it
// stands. Then memory is cleared of it, the tiers are asked to be, and others are told.
#include "modules/cache/cache_reading.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::int64_t tier_ms = 2000; // how long an answer waits for a tier

TierSelection tier_selection(const CacheSelection& selection, std::int64_t now) {
    TierSelection tier;
    if (selection.space) tier.space = *selection.space;
    if (selection.key) tier.name = selection.key->name;
    tier.pattern = selection.pattern;
    tier.tag = selection.tag;
    if (selection.older_than_ms) tier.created_before_ms = now - *selection.older_than_ms;
    tier.expired = selection.expired;
    return tier;
}

} // namespace

// Waits for the tiers of one invalidation.
struct Cache::Invalidating {
    std::mutex mutex;
    std::size_t waiting = 1;
    CacheInvalidated outcome{};
    std::function<void(Result<CacheInvalidated>)> done{};

    void leave(const std::string& tier, const Result<std::uint64_t>& counted) {
        std::function<void(Result<CacheInvalidated>)> answer;
        {
            const std::lock_guard lock(mutex);
            if (!tier.empty() && counted) outcome.tier_entries.emplace_back(tier, *counted);
            if (!tier.empty() && !counted) outcome.pending.push_back(tier);
            if (--waiting == 0) answer = std::move(done);
        }
        if (answer) answer(std::move(outcome));
    }
};

// Walks and loads of this key go on for those who wait for them, and leave nothing behind. With the key's lock held.
void Cache::overtake(const CacheSpace& space, const CacheKey& key) {
    const std::string id = joint_id(space, key);
    const std::lock_guard lock(joints_mutex_);
    const auto detach = [&id](auto& joints) {
        const auto at = joints.find(id);
        if (at == joints.end()) return;
        at->second->is_overtaken.store(true, std::memory_order_release);
        joints.erase(at);
    };
    detach(walks_);
    detach(loads_);
}

void Cache::overtake_if(const std::function<bool(const CacheSpace&, const CacheKey&)>& covers) {
    const std::lock_guard lock(joints_mutex_);
    const auto detach = [&covers](auto& joints) {
        std::erase_if(joints, [&covers](const auto& entry) {
            if (!covers(*entry.second->space, entry.second->key)) return false;
            entry.second->is_overtaken.store(true, std::memory_order_release);
            return true;
        });
    };
    detach(walks_);
    detach(loads_);
}

std::uint64_t Cache::invalidate_memory(const CacheSelection& selection, const std::vector<CacheSpace*>& spaces,
                                       std::int64_t version) {
    // All keys' locks: nothing that is under way may be kept between the two steps.
    std::array<std::unique_lock<std::mutex>, stripes> locks;
    for (std::size_t i = 0; i < stripes; ++i) {
        locks[i] = std::unique_lock(stripes_[i]);
        stripe_writes_[i].fetch_add(1, std::memory_order_relaxed);
    }
    const std::int64_t now = now_ms();
    if (!selection.expired)
        overtake_if([&](const CacheSpace& space, const CacheKey& key) {
            if (std::ranges::find(spaces, &space) == spaces.end()) return false;
            if (selection.key && selection.key->name != key.name) return false;
            return !selection.pattern || glob_match(*selection.pattern, key.text());
        });
    std::uint64_t entries = 0;
    const bool takes_all =
        !selection.key && !selection.tag && !selection.pattern && !selection.older_than_ms && !selection.expired;
    for (CacheSpace* const space : spaces) {
        MemoryStore* const store = space->find_store();
        if (store == nullptr) continue;
        if (takes_all) {
            space->cut = version;
            entries += store->clear();
        } else if (selection.expired) {
            entries += store->remove_if(
                [now](std::string_view, std::string_view record, const EntryInfo& info) {
                    if (info.gone_at_ms <= now) return true;
                    const auto glance = glance_record(record);
                    return !glance || (glance->sliding_ms == 0 && glance->fresh_until_ms <= now);
                },
                RemovalCause::expired);
        } else if (selection.key) {
            entries += store->remove(selection.key->name, MemoryStore::hash_of(selection.key->name)) ? 1 : 0;
        } else {
            entries += store->remove_if([&](std::string_view name, std::string_view record, const EntryInfo&) {
                const auto decoded = decode_record(record);
                if (!decoded) return true;
                const RecordMeta& meta = decoded->meta;
                if (selection.pattern && !glob_match(*selection.pattern, meta.parts.empty() ? name : meta.parts))
                    return false;
                if (selection.older_than_ms && now - meta.created_ms < *selection.older_than_ms) return false;
                return !selection.tag || std::ranges::find(meta.tags, *selection.tag) != meta.tags.end();
            });
        }
        space->counters.removed.fetch_add(entries, std::memory_order_relaxed);
    }
    return entries;
}

// Makes a cut of a namespace, of all or of a tag last, for the next run and other windows.
void Cache::note_cut(const CacheSelection& selection, std::int64_t version) {
    InvalidationJournal* const file = journal();
    if (file == nullptr) return;
    file->note_version(version);
    const auto written =
        file->append({FrameKind::cut, version, selection.space.value_or(""), selection.tag.value_or("")});
    if (!written) tell(CacheTrouble{"journal", "cache.journal", {}, {}, written.error().message});
}

void Cache::cut(const CacheSelection& selection, std::int64_t version) {
    note_cut(selection, version);
    if (!selection.tag) return; // the tiers' own invalidation tells of the rest
    TierSelection told;
    told.space = selection.space.value_or("");
    told.tag = selection.tag;
    told.created_before_ms = version; // what is written from now on counts, whenever this is heard
    for (const auto& gate : gates_) gate->announce(told);
}

void Cache::remove(const std::string& space_name, const CacheKey& key,
                   std::function<void(Result<CacheInvalidated>)> done) {
    if (const auto possible = ready(); !possible) return done(std::unexpected(possible.error()));
    if (const auto checked = check_cache_key(key); !checked) return done(std::unexpected(checked.error()));
    const auto found = space(space_name);
    if (!found) return done(std::unexpected(found.error()));
    CacheSpace& space = **found;
    catch_up();
    const std::uint64_t hash = MemoryStore::hash_of(key.name);
    const auto policy = space.policy();
    const auto join = std::make_shared<Invalidating>();
    join->done = std::move(done);
    const TierKey tier = tier_key(space, key);
    std::vector<TierGate*> pushes;
    {
        const std::lock_guard lock(stripe(hash));
        stripe_writes_[stripe_of(hash)].fetch_add(1, std::memory_order_relaxed);
        overtake(space, key);
        if (MemoryStore* const store = space.find_store())
            join->outcome.memory_entries = store->remove(key.name, hash) ? 1 : 0;
        const std::int64_t version = invalidations_.version(now_ms());
        for (const auto& gate : gates_) {
            const CacheTierPolicy settings = policy->tier(gate->name());
            if (!settings.enabled) continue;
            {
                const std::lock_guard joined(join->mutex);
                ++join->waiting;
            }
            gate->stage(tier, std::nullopt, version, settings.hardTimeoutMs,
                        [join, name = gate->name()](const Result<void>& result) {
                            join->leave(name, result ? Result<std::uint64_t>(1) : std::unexpected(result.error()));
                        });
            pushes.push_back(gate.get());
        }
    }
    space.counters.removed.fetch_add(join->outcome.memory_entries, std::memory_order_relaxed);
    changed(space, key);
    CacheSelection told;
    told.space = space_name;
    told.key = key;
    tell(CacheNotice{std::move(told), "request", {}, join->outcome.memory_entries});
    for (TierGate* const gate : pushes) gate->push(tier);
    join->leave({}, 0);
}

void Cache::invalidate(CacheSelection selection, std::function<void(Result<CacheInvalidated>)> done) {
    if (const auto possible = ready(); !possible) return done(std::unexpected(possible.error()));
    if (selection.pattern)
        if (const auto checked = check_glob(*selection.pattern); !checked) {
            Error error = checked.error();
            error.field = "/pattern";
            return done(std::unexpected(std::move(error)));
        }
    if (selection.tag && (selection.key || selection.pattern || selection.older_than_ms || selection.expired))
        return done(fail(ErrorCode::invalid_params,
                         "a tag stands for all entries that have it: give it alone or with a namespace", "/tag"));
    if (selection.key && !selection.space)
        return done(fail(ErrorCode::invalid_params, "a key is one of a namespace: give it too", "/namespace"));
    const bool is_one_key = selection.key && !selection.tag && !selection.pattern && !selection.older_than_ms &&
                            !selection.expired && !selection.only_memory;
    if (is_one_key) return remove(*selection.space, *selection.key, std::move(done));
    std::vector<CacheSpace*> affected;
    if (selection.space) {
        const auto found = space(*selection.space);
        if (!found) return done(std::unexpected(found.error()));
        affected.push_back(*found);
    } else {
        affected = spaces();
    }
    catch_up();
    const auto join = std::make_shared<Invalidating>();
    join->done = std::move(done);
    const std::int64_t now = now_ms();
    const std::string_view scope = selection.space ? std::string_view(*selection.space) : std::string_view{};
    const bool is_only_tag = selection.tag.has_value();
    const bool takes_all =
        !selection.tag && !selection.pattern && !selection.older_than_ms && !selection.expired && !selection.key;
    if (is_only_tag && !selection.only_memory) {
        // By the tag's version alone, independent of how many entries have it.
        cut(selection, invalidations_.cut_tag(scope, *selection.tag, now));
        overtake_if([&](const CacheSpace& space, const CacheKey&) { return scope.empty() || space.name == scope; });
    } else {
        const std::int64_t version =
            takes_all && !selection.only_memory ? invalidations_.cut(scope, now) : invalidations_.version(now) + 1;
        invalidations_.follow(version);
        if (takes_all && !selection.only_memory) cut(selection, version);
        join->outcome.memory_entries = invalidate_memory(selection, affected, version);
        if (selection.pattern && !selection.only_memory) note_pattern(scope, *selection.pattern, version);
        if (!selection.only_memory) invalidate_tiers(join, selection, affected, version);
    }
    for (CacheSpace* const space : affected)
        if (space->has_dependents.load(std::memory_order_relaxed) && !selection.expired && !selection.only_memory)
            changed_many(*space);
    tell(CacheNotice{selection, "request", {}, join->outcome.memory_entries});
    join->leave({}, 0);
}

void Cache::invalidate_tiers(const std::shared_ptr<Invalidating>& join, const CacheSelection& selection,
                             const std::vector<CacheSpace*>& affected, std::int64_t version) {
    const TierSelection wanted = tier_selection(selection, now_ms());
    for (const auto& gate : gates_) {
        const bool serves = std::ranges::any_of(
            affected, [&](const CacheSpace* space) { return space->policy()->tier(gate->name()).enabled; });
        if (!serves) continue;
        {
            const std::lock_guard lock(join->mutex);
            ++join->waiting;
        }
        gate->announce(wanted);
        gate->invalidate(wanted, version, tier_ms, [join, name = gate->name()](const Result<std::uint64_t>& counted) {
            join->leave(name, counted);
        });
    }
}

void Cache::note_pattern(std::string_view space, const std::string& pattern, std::int64_t version) {
    InvalidationJournal* const file = journal();
    if (file != nullptr && file->is_shared())
        static_cast<void>(file->append({FrameKind::pattern, version, std::string(space), pattern}));
}

// Which of a namespace's entries went is not known one by one: all that was made with any of them goes.
void Cache::changed_many(CacheSpace& space) {
    CacheSelection dependents;
    dependents.tag = "\x01" + space.name + '\0';
    cut(dependents, invalidations_.cut_tag({}, *dependents.tag, now_ms()));
}

} // namespace pillion
