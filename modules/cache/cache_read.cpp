// A read looks in memory, then walks down the tiers, then loads; what it finds goes up into everything faster. Reads of
// one key that are under way at once share one walk and one load. Refreshing before a value is too old is decided by
// chance, the likelier the nearer its end and the longer it took to make: XFetch (Vattani, Chierichetti, Lowenstein,
// "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015). Soft and hard timeouts and serving stale values on
// errors are as FusionCache has them.
#include "modules/cache/cache_reading.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace pillion {

namespace {

bool is_fresh(const CacheValue& value, std::int64_t now) { return now < value.meta.fresh_until_ms; }

} // namespace

std::optional<Cache::Found> Cache::look_in_memory(CacheSpace& space, const CacheKey& key, std::uint64_t hash,
                                                  bool counted) {
    MemoryStore* const store = space.find_store();
    if (store == nullptr) return std::nullopt;
    std::string record;
    EntryInfo info;
    auto copy = [&](std::string_view bytes, const EntryInfo& entry) {
        record = bytes;
        info = entry;
    };
    const std::int64_t now = now_ms();
    if (!(counted ? store->read(key.name, hash, now, copy) : store->peek(key.name, hash, now, copy)))
        return std::nullopt;
    auto decoded = decode_record(record);
    if (!decoded || decoded->meta.parts != key.parts) return std::nullopt;
    if (!invalidations_.counts(space.name, decoded->meta)) {
        store->remove(key.name, hash);
        return std::nullopt;
    }
    auto value = std::make_shared<CacheValue>();
    value->meta = std::move(decoded->meta);
    value->bytes = decoded->payload;
    if (value->meta.sliding_ms > 0) value->meta.fresh_until_ms = value->meta.gone_at_ms = info.gone_at_ms;
    return Found{std::move(value), info};
}

// Fresh, and as young as it is wanted.
bool Cache::serves(const Reading& reading, const CacheValue& value) {
    const std::int64_t now = now_ms();
    const auto& age_ms_max = reading.request.max_age_ms;
    return is_fresh(value, now) && (!age_ms_max || now - value.meta.created_ms <= *age_ms_max);
}

void Cache::get(CacheGet request, CacheReadDone done) {
    if (const auto possible = ready(); !possible) return done(std::unexpected(possible.error()));
    if (const auto checked = check_cache_key(request.key); !checked) return done(std::unexpected(checked.error()));
    const auto found = space(request.space);
    if (!found) return done(std::unexpected(found.error()));
    if (request.load && !host_.loader)
        return done(fail(ErrorCode::unavailable, "nothing here can load a value", "/load"));
    auto reading = std::make_shared<Reading>();
    reading->space = *found;
    reading->policy = (*found)->policy();
    reading->hash = MemoryStore::hash_of(request.key.name);
    reading->began_ns = host_.clock.now_ns();
    reading->request = std::move(request);
    reading->done = std::move(done);
    catch_up();
    start_reading(std::move(reading));
}

void Cache::start_reading(std::shared_ptr<Reading> reading) {
    CacheSpace& space = *reading->space;
    const CacheGet& request = reading->request;
    const std::int64_t now = now_ms();
    auto found = look_in_memory(space, request.key, reading->hash, true);
    if (found && !request.refresh) {
        reading->info = found->info;
        const CacheValue& value = *found->value;
        if (serves(*reading, value)) {
            reading->step("memory", "hit", 0);
            space.counters.memory_hits.fetch_add(1, std::memory_order_relaxed);
            slide(space, request.key, reading->hash, value, found->info);
            if (request.load && refreshes_early(*reading->policy, value) && !backs_off(joint_id(space, request.key))) {
                reading->refreshing = true;
                reading->stale = found->value;
                load(reading, true);
            }
            return finish(reading, found->value, "memory");
        }
    }
    space.counters.memory_misses.fetch_add(1, std::memory_order_relaxed);
    if (found && !found->value->meta.is_negative) reading->stale = found->value;
    reading->step("memory", reading->stale ? "stale" : "miss", 0);
    if (reading->stale && !request.refresh) {
        const bool is_wanted =
            now - found->value->meta.fresh_until_ms <= request.stale_ok_ms && request.stale_ok_ms > 0;
        const bool waits_badly =
            request.load && (backs_off(joint_id(space, request.key)) || any_tier_is_slow(*reading->policy));
        if (is_wanted || waits_badly) {
            if (request.load && !backs_off(joint_id(space, request.key))) {
                reading->refreshing = true;
                load(reading, true);
            }
            return finish(reading, reading->stale, "memory");
        }
    }
    if (request.only_memory) return finish(reading, nullptr, {});
    if (request.refresh && request.load) return load(reading, false);
    walk(reading);
}

// Memory's time moves at every read that finds an eighth of it gone; the slower tiers are told as often.
void Cache::slide(CacheSpace& space, const CacheKey& key, std::uint64_t hash, const CacheValue& value,
                  const EntryInfo& info) {
    const std::int64_t now = now_ms();
    const std::int64_t sliding = value.meta.sliding_ms;
    if (sliding == 0 || info.gone_at_ms - now >= sliding - sliding / 8) return;
    CacheValue moved = value;
    moved.meta.fresh_until_ms = moved.meta.gone_at_ms = now + sliding;
    const auto policy = space.policy();
    Staged staged;
    {
        const std::lock_guard lock(stripe(hash));
        if (MemoryStore* const store = space.find_store())
            if (!store->touch(key.name, hash, now, now + sliding)) return; // it went meanwhile
        stage(space, key, moved, gates_.size(), *policy, {}, staged);
    }
    for (TierGate* const gate : staged.gates) gate->push_later(policy->writeBackMs);
}

// The walk.

void Cache::walk(const std::shared_ptr<Reading>& reading) {
    CacheSpace& space = *reading->space;
    const CacheKey& key = reading->request.key;
    WalkPointer mine;
    {
        const std::lock_guard lock(joints_mutex_);
        WalkPointer& joint = walks_[joint_id(space, key)];
        reading->coalesced = joint != nullptr;
        if (!joint) {
            joint = mine = std::make_shared<Walk>();
            joint->space = &space;
            joint->key = key;
            joint->hash = reading->hash;
            joint->version = invalidations_.version(now_ms());
            joint->stale = reading->stale;
        }
        joint->waiting.push_back([this, reading](const Looked& looked) { walked(reading, looked); });
    }
    if (reading->stale && !reading->request.refresh) {
        const std::int64_t soft_ms = reading->request.load ? reading->policy->softLoadTimeoutMs : std::int64_t{0};
        if (soft_ms > 0) arm(reading, soft_ms, [this, reading] { on_soft_timeout(reading); });
    }
    if (mine)
        step(mine);
    else
        space.counters.coalesced.fetch_add(1, std::memory_order_relaxed);
}

void Cache::step(const WalkPointer& walk) {
    const auto policy = walk->space->policy();
    for (; walk->tier < gates_.size(); ++walk->tier) {
        TierGate& gate = *gates_[walk->tier];
        const CacheTierPolicy tier = policy->tier(gate.name());
        if (!tier.enabled) continue;
        return gate.read(tier_key(*walk->space, walk->key), walk->stale ? tier.softTimeoutMs : tier.hardTimeoutMs,
                         [this, walk, weak = std::weak_ptr(alive_)](TierRead read) {
                             if (weak.lock()) read_tier(walk, std::move(read));
                         });
    }
    end_walk(walk, walk->stale, {});
}

void Cache::read_tier(const WalkPointer& walk, TierRead read) {
    TierGate& gate = *gates_[walk->tier];
    CacheTierCounters& counters = walk->space->counters.tiers[walk->tier];
    std::string outcome(tier_outcome_name(read.outcome));
    CacheValuePtr value;
    if (read.outcome == TierOutcome::hit) value = open_record(walk, gate, read.value, outcome);
    counters.latency_ns.record(static_cast<std::uint64_t>(read.waited_ms * 1'000'000));
    const auto count = [](std::atomic<std::uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); };
    switch (read.outcome) {
    case TierOutcome::hit:
    case TierOutcome::miss:
        count(value ? counters.hits : counters.misses);
        break;
    case TierOutcome::skipped:
        count(counters.skipped);
        break;
    case TierOutcome::timeout:
        count(counters.timeouts);
        break;
    case TierOutcome::error:
        count(counters.errors);
    }
    const std::int64_t now = now_ms();
    if (value && !is_fresh(*value, now)) {
        outcome = "stale";
        if (!value->meta.is_negative && (!walk->stale || walk->stale->meta.version_ms < value->meta.version_ms))
            walk->stale = value;
        value = nullptr;
    }
    walk->answer.steps.push_back({gate.name(), outcome, read.waited_ms});
    if (value) return end_walk(walk, std::move(value), gate.name());
    ++walk->tier;
    step(walk);
}

CacheValuePtr Cache::open_record(const WalkPointer& walk, TierGate& gate, const TierValue& sealed,
                                 std::string& outcome) {
    const TierKey key = tier_key(*walk->space, walk->key);
    const auto policy = walk->space->policy();
    outcome = "invalid";
    const auto decoded = decode_record(sealed.record);
    Result<CacheValue> opened = fail(ErrorCode::corrupt, "the record is damaged");
    if (decoded) {
        if (decoded->meta.parts != walk->key.parts) return nullptr;
        invalidations_.follow(decoded->meta.version_ms);
        if (!invalidations_.counts(walk->space->name, decoded->meta) || !gate.trusts(key, decoded->meta))
            return nullptr;
        if (host_.codec.open)
            opened = host_.codec.open(key, sealed.record, policy->encrypt);
        else if (!decoded->meta.is_compressed && decoded->meta.key_id == 0)
            opened = CacheValue{decoded->meta, std::string(decoded->payload)};
    }
    if (!opened) {
        // Intact, encrypted and shared: another machine's, whose key is another. It is not ours to remove.
        const bool is_foreign = decoded && decoded->meta.key_id != 0 && gate.is_shared();
        const bool is_damaged = opened.error().code == ErrorCode::corrupt && !is_foreign;
        outcome = is_damaged ? "corrupt" : "error";
        if (is_damaged) set_aside(*walk, gate, sealed, opened.error());
        if (is_foreign)
            tell(CacheTrouble{"unreadable", gate.name(), walk->space->name, walk->key.text(), opened.error().message});
        return nullptr;
    }
    auto value = std::make_shared<CacheValue>(std::move(*opened));
    RecordMeta& meta = value->meta;
    const std::int64_t now = now_ms();
    // Made in the future: the clock was set back since. It lives no longer from now on than it was to live.
    if (const std::int64_t ahead = meta.created_ms - now; ahead > CacheTime::leap_ms) {
        for (std::int64_t* const moment : {&meta.created_ms, &meta.fresh_until_ms, &meta.gone_at_ms})
            if (*moment != never_ms) *moment -= ahead;
        walk->rewrites = true;
    }
    if (now >= meta.gone_at_ms) {
        outcome = "expired";
        return nullptr;
    }
    outcome = "hit";
    return value;
}

// A record that does not open is moved out of the way once; what is asked for is then a miss.
void Cache::set_aside(Walk& walk, TierGate& gate, const TierValue& sealed, const Error& error) {
    walk.space->counters.corrupt.fetch_add(1, std::memory_order_relaxed);
    walk.answer.damage =
        Error{ErrorCode::corrupt, "the value in the tier \"" + gate.name() + "\" failed its check; it was set aside",
              "/key", "asking again is a miss"};
    const TierKey key = tier_key(*walk.space, walk.key);
    keep_damaged_record(host_.data_directory, key, sealed.record);
    gate.stage(key, std::nullopt, invalidations_.version(now_ms()), 1000, {});
    gate.push(key);
    tell(CacheTrouble{"corrupt", gate.name(), walk.space->name, walk.key.text(), error.message});
}

void Cache::end_walk(const WalkPointer& walk, CacheValuePtr value, std::string source) {
    const auto promote = [&](std::size_t tiers_end) {
        const auto policy = walk->space->policy();
        const Staged staged = keep(*walk->space, walk->key, walk->hash, *value, *policy, tiers_end,
                                   [&walk] { return walk->is_overtaken.load(std::memory_order_acquire); }, {});
        push(*walk->space, walk->key, *policy, staged);
    };
    if (value && !source.empty()) promote(walk->rewrites ? walk->tier + 1 : walk->tier);
    walk->answer.value = std::move(value);
    walk->answer.source = std::move(source);
    std::vector<std::function<void(const Looked&)>> waiting;
    {
        const std::lock_guard lock(joints_mutex_);
        if (const auto at = walks_.find(joint_id(*walk->space, walk->key)); at != walks_.end() && at->second == walk)
            walks_.erase(at);
        waiting.swap(walk->waiting);
    }
    for (const auto& go_on : waiting) go_on(walk->answer);
}

void Cache::walked(const std::shared_ptr<Reading>& reading, const Looked& looked) {
    for (const CacheStep& step : looked.steps) reading->step(step.where, step.outcome, step.waitedMs);
    const CacheGet& request = reading->request;
    const std::int64_t now = now_ms();
    if (looked.value && serves(*reading, *looked.value)) return finish(reading, looked.value, looked.source);
    if (looked.damage && !request.load) return finish(reading, *looked.damage);
    if (looked.value && !looked.value->meta.is_negative) reading->stale = looked.value;
    if (request.load) {
        if (reading->stale && backs_off(joint_id(*reading->space, request.key)))
            return finish(reading, reading->stale, looked.source);
        return load(reading, false);
    }
    const bool is_stale_wanted =
        reading->stale && request.stale_ok_ms > 0 && now - reading->stale->meta.fresh_until_ms <= request.stale_ok_ms;
    finish(reading, is_stale_wanted ? reading->stale : nullptr, looked.source);
}

// Ends of a read.

void Cache::arm(const std::shared_ptr<Reading>& reading, std::int64_t ms, std::function<void()> late) {
    const TimerId timer = host_.timers.after_ms(ms, [late = std::move(late), weak = std::weak_ptr(alive_)] {
        if (weak.lock()) late();
    });
    const std::lock_guard lock(reading->mutex);
    reading->timers.push_back(timer);
}

void Cache::on_soft_timeout(const std::shared_ptr<Reading>& reading) {
    reading->step("flight", "timeout", static_cast<double>(reading->policy->softLoadTimeoutMs));
    reading->refreshing = true;
    finish(reading, reading->stale, "memory");
}

CacheReadDone Cache::take_done(Reading& reading) {
    std::vector<TimerId> timers;
    CacheReadDone done;
    {
        const std::lock_guard lock(reading.mutex);
        done = std::exchange(reading.done, nullptr);
        timers.swap(reading.timers);
    }
    for (const TimerId timer : timers) host_.timers.cancel(timer);
    return done;
}

void Cache::finish(const std::shared_ptr<Reading>& reading, Error error) {
    if (const auto done = take_done(*reading)) {
        reading->space->counters.misses.fetch_add(1, std::memory_order_relaxed);
        done(std::unexpected(std::move(error)));
    }
}

void Cache::finish(const std::shared_ptr<Reading>& reading, CacheValuePtr value, std::string source) {
    const auto done = take_done(*reading);
    if (!done) return;
    CacheSpace& space = *reading->space;
    const std::int64_t now = now_ms();
    CacheRead read;
    read.coalesced = reading->coalesced;
    read.refreshing = reading->refreshing;
    read.source = std::move(source);
    std::uint64_t weight = reading->info.weight_bytes;
    if (value) {
        read.age_ms = std::max<std::int64_t>(0, now - value->meta.created_ms);
        read.ttl_ms = value->meta.fresh_until_ms == never_ms ? never_ms : value->meta.fresh_until_ms - now;
        read.freshness = value->meta.is_negative                            ? CacheFreshness::negative
                         : is_fresh(*value, now) || read.source == "loader" ? CacheFreshness::fresh
                                                                            : CacheFreshness::stale;
        read.accesses = reading->info.accesses + 1;
        read.last_access_ms = reading->info.last_access_ms;
        weight = std::max<std::uint64_t>(weight, value->bytes.size() + MemoryStore::entry_overhead_bytes);
        if (!value->meta.is_negative) read.value = std::move(value);
    }
    CacheSpaceCounters& counters = space.counters;
    std::atomic<std::uint64_t>& counter = read.source == "loader" || read.freshness == CacheFreshness::miss
                                              ? counters.misses
                                          : read.freshness == CacheFreshness::fresh ? counters.hits
                                          : read.freshness == CacheFreshness::stale ? counters.stale
                                                                                    : counters.negative;
    counter.fetch_add(1, std::memory_order_relaxed);
    if (read.source == "memory")
        counters.memory_ns.record(static_cast<std::uint64_t>(host_.clock.now_ns() - reading->began_ns));
    if (space.sample.wants(reading->hash))
        space.sample.record(reading->hash, static_cast<std::uint32_t>(std::min<std::uint64_t>(weight, UINT32_MAX)));
    if (reading->request.explain) {
        const std::lock_guard lock(reading->mutex);
        read.steps = reading->steps;
    }
    if (accessed_ && space.is_learned.load(std::memory_order_relaxed) && !reading->request.is_prefetch)
        accessed_(space, reading->request.key, read, reading->request.load);
    done(std::move(read));
}

bool Cache::refreshes_early(const CachePolicy& policy, const CacheValue& value) {
    if (value.meta.fresh_until_ms == never_ms || value.meta.sliding_ms > 0) return false;
    const std::int64_t now = now_ms();
    const auto life = static_cast<double>(value.meta.fresh_until_ms - value.meta.created_ms);
    if (policy.eagerRefresh > 0 && static_cast<double>(now - value.meta.created_ms) >= policy.eagerRefresh * life)
        return true;
    if (value.meta.made_in_ms <= 0) return false;
    thread_local std::minstd_rand random(std::random_device{}());
    const double chance = std::uniform_real_distribution<double>(1e-9, 1)(random);
    return static_cast<double>(now) - static_cast<double>(value.meta.made_in_ms) * std::log(chance) >=
           static_cast<double>(value.meta.fresh_until_ms);
}

} // namespace pillion
