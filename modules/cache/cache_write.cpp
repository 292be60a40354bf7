// A write goes into memory and into what waits for each slower tier in one step under the key's lock; from then on
// every read finds it. Then it is pushed to the tiers: written through, the answer waits for them; written back, it
// does not.
#include "modules/cache/cache_reading.h"

#include <algorithm>
#include <random>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

namespace {

// Values over this are sealed on the executor, not on the caller's thread.
constexpr std::size_t inline_bytes_max = 32 * 1024;

// Stands for an entry among the tags of what was made with it. No tag that users give begins so.
std::string dependency_tag(std::string_view space, const CacheKey& key) {
    return "\x01" + std::string(space) + '\0' + key.name;
}

// Waits for the tiers that a write was pushed to.
struct WriteJoin {
    std::mutex mutex;
    std::size_t waiting = 1; // the pusher itself
    CachePutOutcome outcome{};
    std::function<void(Result<CachePutOutcome>)> done{};

    void leave(const std::string& tier, const Result<void>& result) {
        std::function<void(Result<CachePutOutcome>)> answer;
        {
            const std::lock_guard lock(mutex);
            if (!tier.empty()) (result ? outcome.tiers : outcome.failed).push_back(tier);
            if (--waiting == 0) answer = std::move(done);
        }
        if (answer) answer(std::move(outcome));
    }
};

} // namespace

CacheValue Cache::make_value(CacheSpace& space, const CachePolicy& policy, CachePut& put, std::int64_t version) {
    CacheValue value;
    RecordMeta& meta = value.meta;
    const std::int64_t now = now_ms();
    std::int64_t ttl = policy.ttlMs;
    if (put.ttl_ms) {
        ttl = *put.ttl_ms;
    } else {
        if (dynamic_ttl_) ttl = dynamic_ttl_(space).value_or(ttl);
        if (any_tier_is_slow(policy))
            ttl = static_cast<std::int64_t>(static_cast<double>(ttl) * config().slowTtlFactor);
    }
    ttl = std::clamp<std::int64_t>(ttl, 0, cache_ttl_ms_max);
    if (policy.jitter > 0) {
        thread_local std::minstd_rand random(std::random_device{}());
        ttl -= static_cast<std::int64_t>(std::uniform_real_distribution<double>(0, policy.jitter)(random) *
                                         static_cast<double>(ttl));
    }
    meta.created_ms = now;
    meta.fresh_until_ms = now + ttl;
    meta.gone_at_ms = meta.fresh_until_ms;
    if (policy.sliding)
        meta.sliding_ms = put.is_negative ? 0 : ttl;
    else
        meta.gone_at_ms += std::clamp<std::int64_t>(put.grace_ms.value_or(policy.graceMs), 0, cache_ttl_ms_max);
    meta.made_in_ms = put.made_in_ms;
    meta.version_ms = version;
    meta.priority = put.priority.value_or(5);
    meta.is_negative = put.is_negative;
    meta.content_type = std::move(put.content_type);
    meta.etag = std::move(put.etag);
    meta.last_modified = std::move(put.last_modified);
    meta.parts = put.key.parts;
    meta.tags = std::move(put.tags);
    for (const CachePut::Dependency& dependency : put.depends_on) {
        meta.tags.push_back(dependency_tag(dependency.space, dependency.key));
        meta.tags.push_back(dependency_tag(dependency.space, {})); // for when many of them go at once
    }
    meta.plain_bytes = static_cast<std::uint32_t>(put.bytes.size());
    value.bytes = std::move(put.bytes);
    return value;
}

void Cache::stage(CacheSpace& space, const CacheKey& key, const CacheValue& value, std::size_t tiers_end,
                  const CachePolicy& policy, const DoneFor& done_for, Staged& staged) {
    const TierKey tier = tier_key(space, key);
    std::string sealed;
    const std::int64_t now = now_ms();
    for (std::size_t i = 0; i < std::min(tiers_end, gates_.size()); ++i) {
        TierGate& gate = *gates_[i];
        const CacheTierPolicy settings = policy.tier(gate.name());
        if (!settings.enabled) continue;
        if (sealed.empty()) {
            const std::size_t compress_from_bytes =
                policy.compressAboveBytes > 0 ? static_cast<std::size_t>(policy.compressAboveBytes) : SIZE_MAX;
            const bool is_compressed = value.bytes.size() >= compress_from_bytes;
            if (host_.codec.seal && !value.meta.is_negative && (policy.encrypt || is_compressed)) {
                auto done = host_.codec.seal(tier, value.meta, value.bytes, policy.encrypt, compress_from_bytes);
                if (!done) {
                    staged.error = done.error();
                    // The tiers must not keep an older value in its place.
                    gate.stage(tier, std::nullopt, value.meta.version_ms, settings.hardTimeoutMs, {});
                    staged.gates.push_back(&gate);
                    continue;
                }
                sealed = std::move(*done);
            } else {
                sealed = encode_record(value.meta, value.bytes);
            }
            space.counters.plain_bytes.fetch_add(value.bytes.size(), std::memory_order_relaxed);
            space.counters.sealed_bytes.fetch_add(sealed.size(), std::memory_order_relaxed);
        }
        std::int64_t gone_at = value.meta.gone_at_ms;
        if (settings.ttlMs) gone_at = std::min(gone_at, now + *settings.ttlMs);
        gate.stage(tier, TierValue{sealed, gone_at}, value.meta.version_ms, settings.hardTimeoutMs,
                   done_for ? done_for(gate) : CacheTier::Done{});
        staged.gates.push_back(&gate);
    }
}

Cache::Staged Cache::keep(CacheSpace& space, const CacheKey& key, std::uint64_t hash, const CacheValue& value,
                          const CachePolicy& policy, std::size_t tiers_end, const std::function<bool()>& is_void,
                          const DoneFor& done_for) {
    Staged staged;
    {
        const std::lock_guard lock(stripe(hash));
        if (is_void && is_void()) return staged;
        staged.is_kept = true;
        stripe_writes_[stripe_of(hash)].fetch_add(1, std::memory_order_relaxed);
        const CacheTierPolicy memory = policy.tier("memory");
        const std::int64_t now = now_ms();
        if (memory.enabled) {
            std::int64_t gone_at = value.meta.gone_at_ms;
            if (memory.ttlMs) gone_at = std::min(gone_at, now + *memory.ttlMs);
            staged.memory = space.store().put(key.name, hash, encode_record(value.meta, value.bytes), now,
                                              {.gone_at_ms = gone_at, .priority = value.meta.priority});
            if (staged.memory == PutOutcome::refused) space.counters.refused.fetch_add(1, std::memory_order_relaxed);
        } else if (MemoryStore* const store = space.find_store()) {
            store->remove(key.name, hash);
        }
        stage(space, key, value, tiers_end, policy, done_for, staged);
    }
    arm_sweep();
    const auto weight = static_cast<std::int64_t>(value.bytes.size() + key.name.size() + 128);
    if (space.sample.wants(hash)) space.sample.weigh(hash, static_cast<std::uint32_t>(weight));
    if (next_budget_look_bytes_.fetch_sub(weight, std::memory_order_relaxed) <= weight) keep_within_budget();
    return staged;
}

void Cache::push(CacheSpace& space, const CacheKey& key, const CachePolicy& policy, const Staged& staged) {
    for (TierGate* const gate : staged.gates) {
        if (policy.write == CacheWrite::back)
            gate->push_later(policy.writeBackMs);
        else
            gate->push(tier_key(space, key));
    }
}

void Cache::put(CachePut put, std::function<void(Result<CachePutOutcome>)> done) {
    if (const auto possible = ready(); !possible) return done(std::unexpected(possible.error()));
    if (const auto checked = check_cache_key(put.key); !checked) return done(std::unexpected(checked.error()));
    const auto found = space(put.space);
    if (!found) return done(std::unexpected(found.error()));
    for (const std::string& tag : put.tags)
        if (tag.empty() || tag.size() > 256 || tag.front() == '\x01')
            return done(
                fail(ErrorCode::invalid_params, "a tag has 1 to 256 bytes and begins with a printable one", "/tags"));
    for (const CachePut::Dependency& dependency : put.depends_on) {
        const auto source = space(dependency.space);
        if (!source) return done(std::unexpected(source.error()));
        if ((*source)->has_dependents.exchange(true)) continue;
        if (InvalidationJournal* const file = journal())
            static_cast<void>(file->append({FrameKind::source, 0, dependency.space, {}}));
    }
    catch_up();
    const auto shared = std::make_shared<CachePut>(std::move(put)); // what a task captures must be copyable
    const auto run = [this, space = *found, shared, done = std::move(done)] {
        put_now(std::move(*shared), *space, done);
    };
    if (shared->bytes.size() <= inline_bytes_max && !(*found)->policy()->encrypt) return run();
    host_.executor.post([run, weak = std::weak_ptr(alive_)] {
        if (weak.lock()) run();
    });
}

// How often values really change is learned from those that are made anew.
void Cache::note_written(CacheSpace& space, std::uint64_t hash, const CacheValue& value, bool is_seen) const {
    if (space.policy()->ttlMs <= 0) return;
    const std::uint64_t bytes = XXH3_64bits(value.bytes.data(), value.bytes.size());
    const std::int64_t made_ms = value.meta.created_ms;
    is_seen ? space.changes.remember(hash, bytes, made_ms) : space.changes.wrote(hash, bytes, made_ms);
}

void Cache::put_now(CachePut put, CacheSpace& space, std::function<void(Result<CachePutOutcome>)> done) {
    const auto policy = space.policy();
    const std::uint64_t hash = MemoryStore::hash_of(put.key.name);
    const CacheKey key = put.key;
    const auto before = look_in_memory(space, key, hash, false);
    const bool is_there = before && now_ms() < before->value->meta.fresh_until_ms && !before->value->meta.is_negative;
    const auto join = std::make_shared<WriteJoin>();
    join->done = std::move(done);
    join->outcome.replaced = before.has_value();
    if ((put.only_if_absent && is_there) || put.ttl_ms == 0) {
        if (put.only_if_absent && is_there) return join->leave({}, {});
        // It is not to be kept; what was there before is outdated all the same.
        return remove(space.name, key, [join](const Result<CacheInvalidated>&) { join->leave({}, {}); });
    }
    const CacheValue value = make_value(space, *policy, put, 0);
    if (before) space.changes.saw(now_ms() - before->value->meta.created_ms, value.bytes != before->value->bytes);
    note_written(space, hash, value, before.has_value());
    join->outcome.expires_at_ms = value.meta.fresh_until_ms;
    const bool is_through = policy->write == CacheWrite::through;
    const DoneFor done_for = [&](TierGate& gate) -> CacheTier::Done {
        if (!is_through) return {};
        const std::lock_guard lock(join->mutex);
        ++join->waiting;
        return [join, name = gate.name()](const Result<void>& result) { join->leave(name, result); };
    };
    // What is under way for this key is older; the version is given under the lock, after it.
    CacheValue versioned = value;
    const Staged staged = keep(
        space, key, hash, versioned, *policy, gates_.size(),
        [&] {
            overtake(space, key);
            versioned.meta.version_ms = invalidations_.version(now_ms());
            return false;
        },
        done_for);
    if (InvalidationJournal* const file = journal_.load(std::memory_order_acquire))
        file->note_version(versioned.meta.version_ms);
    space.counters.puts.fetch_add(1, std::memory_order_relaxed);
    {
        const std::lock_guard lock(join->mutex);
        if (staged.memory != PutOutcome::refused) join->outcome.tiers.emplace_back("memory");
        if (staged.memory == PutOutcome::replaced) join->outcome.replaced = true;
        join->outcome.stored = staged.memory != PutOutcome::refused || !staged.gates.empty();
        if (!is_through)
            for (const TierGate* const gate : staged.gates) join->outcome.tiers.push_back(gate->name());
    }
    changed(space, key);
    push(space, key, *policy, staged);
    if (staged.error) {
        std::function<void(Result<CachePutOutcome>)> answer;
        {
            const std::lock_guard lock(join->mutex);
            answer = std::exchange(join->done, [](const Result<CachePutOutcome>&) {});
        }
        answer(std::unexpected(*staged.error));
    }
    join->leave({}, {});
}

void Cache::changed(CacheSpace& space, const CacheKey& key) {
    const TierSelection selection{space.name, key.name, {}, {}, {}, false};
    for (const auto& gate : gates_)
        if (gate->is_shared() && space.policy()->tier(gate->name()).enabled) gate->announce(selection);
    if (InvalidationJournal* const file = journal_.load(std::memory_order_acquire);
        file != nullptr && file->is_shared())
        static_cast<void>(file->append({FrameKind::key, invalidations_.version(now_ms()), space.name, key.name}));
    if (!space.has_dependents.load(std::memory_order_relaxed)) return;
    CacheSelection dependents;
    dependents.tag = dependency_tag(space.name, key);
    const std::int64_t version = invalidations_.cut_tag({}, *dependents.tag, now_ms());
    cut(dependents, version);
    CacheSelection told;
    told.space = space.name;
    told.key = key;
    tell(CacheNotice{std::move(told), "dependency", {}, 0});
}

void Cache::touch(const std::string& space_name, const CacheKey& key, std::optional<std::int64_t> ttl_ms,
                  std::function<void(Result<bool>)> done) {
    const auto found = space(space_name);
    if (!found) return done(std::unexpected(found.error()));
    CacheSpace& space = **found;
    const std::uint64_t hash = MemoryStore::hash_of(key.name);
    const std::uint64_t writes = stripe_writes_[stripe_of(hash)].load();
    CacheGet request;
    request.space = space_name;
    request.key = key;
    request.is_prefetch = true;
    get(std::move(request), [this, &space, key, hash, writes, ttl_ms, done = std::move(done)](Result<CacheRead> read) {
        if (!read) return done(std::unexpected(read.error()));
        if (!read->value) return done(false);
        const auto policy = space.policy();
        CacheValue moved = *read->value;
        const std::int64_t now = now_ms();
        const std::int64_t ttl = std::clamp<std::int64_t>(ttl_ms.value_or(policy->ttlMs), 1, cache_ttl_ms_max);
        const std::int64_t grace = moved.meta.gone_at_ms - moved.meta.fresh_until_ms;
        moved.meta.fresh_until_ms = now + ttl;
        moved.meta.gone_at_ms = moved.meta.fresh_until_ms + (moved.meta.sliding_ms > 0 ? 0 : grace);
        if (moved.meta.sliding_ms > 0) moved.meta.sliding_ms = ttl;
        const bool was_promoted = read->source != "memory"; // that wrote to the stripe itself
        const Staged staged = keep(space, key, hash, moved, *policy, gates_.size(),
                                   [&] {
                                       const auto now_there = look_in_memory(space, key, hash, false);
                                       if (now_there) return now_there->value->meta.version_ms != moved.meta.version_ms;
                                       return was_promoted || stripe_writes_[stripe_of(hash)].load() != writes;
                                   },
                                   {});
        if (staged.is_kept) push(space, key, *policy, staged);
        done(true);
    });
}

void Cache::has(const std::string& space, const CacheKey& key, CacheReadDone done) {
    CacheGet request;
    request.space = space;
    request.key = key;
    request.is_prefetch = true;
    get(std::move(request), std::move(done));
}

} // namespace pillion
