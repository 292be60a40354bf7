#include "modules/cache/cache.h"

#include "ipc/base/log.h"
#include "ipc/base/number_text.h"
#include "ipc/nearest.h"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

CacheKey composite_key(std::string parts) {
    const XXH128_hash_t hash = XXH3_128bits(parts.data(), parts.size());
    return {"#" + hex_digits(hash.high64) + hex_digits(hash.low64), std::move(parts)};
}

Result<void> check_cache_key(const CacheKey& key) {
    if (key.name.empty())
        return fail(ErrorCode::invalid_params, "the key is empty: give at least one character", "/key");
    if (key.name.size() > cache_key_bytes_max || key.parts.size() > cache_key_bytes_max)
        return fail(ErrorCode::invalid_params,
                    "the key has " + std::to_string(std::max(key.name.size(), key.parts.size())) + " bytes; at most " +
                        std::to_string(cache_key_bytes_max) + " are possible",
                    "/key");
    return {};
}

Result<void> check_cache_config(const CacheConfig& config) {
    for (const auto& [name, spec] : config.namespaces) {
        PILLION_TRY(check_space_name(name));
        const CachePolicy* const base = find_ready_made_policy(name);
        PILLION_TRY(apply_spec(base == nullptr ? CachePolicy{} : *base, spec, "/namespaces/" + name));
    }
    return {};
}

Cache::Cache(CacheHost host) : host_(std::move(host)), time_(host_.clock), alive_(std::make_shared<Cache*>(this)) {
    const TierGate::Host gate_host{
        host_.clock, host_.timers, host_.executor,
        [this, weak = std::weak_ptr(alive_)](const CacheTrouble& trouble) {
            if (weak.lock()) tell(trouble);
        },
        [this, weak = std::weak_ptr(alive_)](TierGate& gate, const CacheTier::Notice& notice) {
            if (weak.lock()) heed(gate, notice);
        }};
    for (CacheTierSource& source : host_.tiers)
        if (gates_.size() < cache_tiers_max) gates_.push_back(std::make_shared<TierGate>(std::move(source), gate_host));
}

Cache::~Cache() { stop(); }

std::string Cache::joint_id(const CacheSpace& space, const CacheKey& key) {
    return space.name + '\0' + key.name + '\0' + key.parts;
}

// Namespaces.

Result<void> Cache::configure(const CacheConfig& config) {
    PILLION_TRY(check_cache_config(config));
    std::vector<std::string> made;
    {
        const std::lock_guard lock(spaces_mutex_);
        config_ = config;
        for (const auto& space : spaces_) made.push_back(space->name);
    }
    for (const std::string& name : made)
        if (config.namespaces.contains(name)) {
            CachePolicy policy = PILLION_TRY(policy_for(name));
            PILLION_TRY(apply_policy(name, std::move(policy)));
        }
    return {};
}

CacheConfig Cache::config() const {
    const std::lock_guard lock(spaces_mutex_);
    return config_;
}

// What a namespace that is not in use yet would have; with spaces_mutex_ not held.
Result<CachePolicy> Cache::policy_for(std::string_view name) const {
    const CachePolicy* const ready_made = find_ready_made_policy(name);
    const std::lock_guard lock(spaces_mutex_);
    const auto configured = config_.namespaces.find(std::string(name));
    if (ready_made == nullptr && configured == config_.namespaces.end()) {
        NearestName nearest(name);
        for (const std::string_view known : ready_made_spaces()) nearest.consider(known);
        for (const auto& [known, spec] : config_.namespaces) nearest.consider(known);
        for (const auto& space : spaces_) nearest.consider(space->name);
        std::string text = "there is no namespace \"" + std::string(name.substr(0, 80)) + "\"";
        if (!nearest.best().empty()) text += "; did you mean \"" + std::string(nearest.best()) + "\"?";
        return fail(ErrorCode::invalid_params, std::move(text), "/namespace",
                    "cache.setPolicy or the section cache.namespaces makes a new one");
    }
    const CachePolicy base = ready_made == nullptr ? CachePolicy{} : *ready_made;
    return configured == config_.namespaces.end() ? base : apply_spec(base, configured->second, "/namespaces");
}

Result<CacheSpace*> Cache::space(std::string_view name) {
    if (CacheSpace* const known = find_space(name)) return known;
    CachePolicy policy = PILLION_TRY(policy_for(name));
    PILLION_TRY(apply_policy(name, std::move(policy)));
    return find_space(name);
}

std::vector<CacheSpace*> Cache::spaces() {
    std::vector<std::string> names;
    for (const std::string_view name : ready_made_spaces()) names.emplace_back(name);
    for (const auto& [name, spec] : config().namespaces) names.push_back(name);
    for (const std::string& name : names)
        if (find_space(name) == nullptr) static_cast<void>(space(name));
    std::vector<CacheSpace*> all;
    {
        const std::lock_guard lock(spaces_mutex_);
        for (const auto& space : spaces_) all.push_back(space.get());
    }
    std::ranges::sort(all, {}, [](const CacheSpace* space) { return space->name; });
    return all;
}

Result<CachePolicy> Cache::set_policy(std::string_view name, const CacheNamespaceSpec& spec) {
    PILLION_TRY(check_space_name(name));
    CachePolicy base;
    if (CacheSpace* const known = find_space(name))
        base = *known->policy();
    else if (const auto configured = policy_for(name))
        base = *configured;
    const CachePolicy policy = PILLION_TRY(apply_spec(std::move(base), spec, "/policy"));
    if (const auto applied = apply_policy(name, policy); !applied) {
        Error error = applied.error();
        if (error.field != "/namespace" && !error.field.empty()) error.field = "/policy" + error.field;
        return std::unexpected(std::move(error));
    }
    return policy;
}

Result<void> Cache::apply_policy(std::string_view name, CachePolicy policy) {
    if (policy.encrypt && !host_.codec.seal)
        return fail(ErrorCode::unavailable, "this build cannot encrypt values", "/encrypt");
    for (const auto& [tier, settings] : policy.tiers) {
        if (tier == "memory" || std::ranges::any_of(gates_, [&](const auto& gate) { return gate->name() == tier; }))
            continue;
        return fail(ErrorCode::invalid_params, "there is no tier \"" + tier + "\"", "/tiers/" + tier,
                    gates_.empty() ? "memory" : "memory, " + gates_.front()->name());
    }
    PILLION_TRY(check_memory_store_config(policy.store_config()));
    const std::lock_guard lock(spaces_mutex_);
    if (CacheSpace* const known = find_space(name)) {
        known->set_policy(std::move(policy));
        return {};
    }
    if (spaces_.size() >= spaces_max)
        return fail(ErrorCode::exhausted,
                    "there are " + std::to_string(spaces_max) + " namespaces; no more are possible", "/namespace");
    CacheSpace* const made =
        spaces_.emplace_back(std::make_unique<CacheSpace>(std::string(name), std::move(policy))).get();
    made->has_dependents = name == "voiceProfiles";
    if (share_ < 1) made->set_share(share_);
    std::size_t at = std::hash<std::string_view>{}(name);
    while (space_slots_[at % space_slots_.size()].load(std::memory_order_relaxed) != nullptr) ++at;
    space_slots_[at % space_slots_.size()].store(made, std::memory_order_release);
    return {};
}

// The journal, and what others say.

InvalidationJournal* Cache::journal() {
    std::call_once(journal_once_, [this] {
        if (host_.data_directory.empty()) return;
        auto opened = InvalidationJournal::open(
            host_.data_directory + "/cache.journal", [this](const JournalFrame& frame) { apply_frame(frame); },
            [this](const InvalidationJournal::Apply& keep) {
                invalidations_.visit([&](std::string_view space, std::string_view tag, std::int64_t version) {
                    keep({FrameKind::cut, version, std::string(space), std::string(tag)});
                });
                const std::lock_guard lock(spaces_mutex_);
                for (const auto& space : spaces_)
                    if (space->has_dependents) keep({FrameKind::source, 0, space->name, {}});
            },
            [this] {
                invalidations_.cut_all(now_ms());
                tell(CacheTrouble{"journal",
                                  "cache.journal",
                                  {},
                                  {},
                                  "the journal of invalidations is damaged; all that was kept before counts as void"});
            });
        if (!opened) return tell(CacheTrouble{"journal", "cache.journal", {}, {}, opened.error().message});
        owned_journal_ = std::move(*opened);
        invalidations_.follow(owned_journal_->noted_version());
        journal_.store(owned_journal_.get(), std::memory_order_release);
    });
    return journal_.load(std::memory_order_acquire);
}

void Cache::catch_up() {
    InvalidationJournal* const file = journal();
    if (file != nullptr && file->is_behind()) file->catch_up();
}

void Cache::apply_frame(const JournalFrame& frame) {
    invalidations_.follow(frame.version);
    CacheSelection selection;
    selection.only_memory = true;
    if (!frame.space.empty()) selection.space = frame.space;
    switch (frame.kind) {
    case FrameKind::cut:
        invalidations_.learn(frame.space, frame.text, frame.version);
        if (!frame.text.empty()) return; // tags are looked at when they are read
        break;
    case FrameKind::key:
        selection.key = CacheKey{frame.text, {}};
        break;
    case FrameKind::pattern:
        selection.pattern = frame.text;
        break;
    case FrameKind::source:
        if (const auto source = space(frame.space)) (*source)->has_dependents = true;
        return;
    case FrameKind::lost:
        break;
    }
    std::vector<CacheSpace*> affected;
    {
        const std::lock_guard lock(spaces_mutex_);
        for (const auto& space : spaces_)
            if (frame.space.empty() || space->name == frame.space) affected.push_back(space.get());
    }
    const std::uint64_t entries = invalidate_memory(selection, affected, frame.version);
    if (entries > 0) tell(CacheNotice{std::move(selection), "notice", "journal", entries});
}

void Cache::heed(TierGate& gate, const CacheTier::Notice& notice) {
    CacheSelection selection;
    selection.only_memory = true;
    std::vector<CacheSpace*> affected;
    if (!notice.selection.space.empty()) selection.space = notice.selection.space;
    if (notice.selection.name) selection.key = CacheKey{*notice.selection.name, {}};
    selection.pattern = notice.selection.pattern;
    selection.tag = notice.selection.tag;
    for (CacheSpace* const space : spaces())
        if ((!selection.space || space->name == *selection.space) && space->policy()->tier(gate.name()).enabled)
            affected.push_back(space);
    if (notice.selection.tag && !notice.uncertain) { // its version speaks for itself; passing it on would echo for ever
        const auto version = notice.selection.created_before_ms;
        if (version) invalidations_.learn(notice.selection.space, *notice.selection.tag, *version);
        note_cut(selection,
                 version ? *version : invalidations_.cut_tag(notice.selection.space, *notice.selection.tag, now_ms()));
        return tell(CacheNotice{std::move(selection), "notice", gate.name(), 0});
    }
    // Uncertain: what memory and the tiers before this one hold of shared namespaces may be outdated. Memory is
    // dropped; a local tier between is distrusted by version.
    const std::int64_t version = invalidations_.version(now_ms());
    const std::uint64_t entries = invalidate_memory(selection, affected, version);
    for (const auto& faster : gates_) {
        if (faster.get() == &gate) break;
        for (const CacheSpace* const space : affected) {
            if (!space->policy()->tier(faster->name()).enabled) continue;
            TierSelection local = notice.selection;
            local.space = space->name;
            local.tag.reset();
            faster->invalidate(local, version + 1, 1000, [](const Result<std::uint64_t>&) {});
        }
    }
    tell(CacheNotice{std::move(selection), notice.uncertain ? "uncertain" : "notice", gate.name(), entries});
}

void Cache::tell(const CacheNotice& notice) {
    for (const auto& listener : invalidated_) listener(notice);
}

void Cache::tell(const CacheTrouble& trouble) {
    log(LogLevel::warning, "cache",
        trouble.kind + " " + trouble.where + (trouble.detail.empty() ? "" : ": " + trouble.detail));
    for (const auto& listener : troubled_) listener(trouble);
}

// Memory.

Cache::MemoryUse Cache::memory_use() {
    MemoryUse use;
    const std::lock_guard lock(spaces_mutex_);
    for (const auto& space : spaces_)
        if (const MemoryStore* const store = space->find_store()) {
            const MemoryStoreStats stats = store->stats();
            use.bytes += stats.bytes;
            use.entries += stats.entries;
        }
    return use;
}

Cache::MemoryUse Cache::set_share(double share) {
    const MemoryUse before = memory_use();
    {
        const std::lock_guard lock(spaces_mutex_);
        share_ = share;
        for (const auto& space : spaces_) space->set_share(share);
    }
    const MemoryUse after = memory_use();
    return {before.bytes - std::min(before.bytes, after.bytes),
            before.entries - std::min(before.entries, after.entries)};
}

// All namespaces together stay within memoryBytesMax: the largest gives up what is too much, and may grow again.
void Cache::keep_within_budget() {
    const std::int64_t budget = config().memoryBytesMax;
    for (int round = 0; round < 4; ++round) {
        const MemoryUse use = memory_use();
        const auto excess = static_cast<std::int64_t>(use.bytes) - budget;
        next_budget_look_bytes_.store(std::max<std::int64_t>(64 * 1024, -excess / 4), std::memory_order_relaxed);
        if (excess <= 0) return;
        CacheSpace* largest = nullptr;
        MemoryStoreStats held;
        for (CacheSpace* const space : spaces())
            if (const MemoryStore* const store = space->find_store())
                if (const MemoryStoreStats stats = store->stats(); largest == nullptr || stats.bytes > held.bytes) {
                    largest = space;
                    held = stats;
                }
        if (largest == nullptr || held.bytes == 0) return;
        const double keep = std::max(0.0, static_cast<double>(held.bytes) - static_cast<double>(excess) * 1.1);
        const std::lock_guard lock(spaces_mutex_);
        largest->set_share(std::clamp(keep / static_cast<double>(largest->policy()->maxBytes), 0.001, 1.0));
        largest->set_share(share_);
    }
}

void Cache::arm_sweep() {
    if (sweeping_.exchange(true)) return;
    host_.timers.after_ms(sweep_ms, [this, weak = std::weak_ptr(alive_)] {
        if (weak.lock()) sweep();
    });
}

void Cache::sweep() {
    if (stopped_) return;
    bool any = false;
    for (CacheSpace* const space : spaces())
        if (MemoryStore* const store = space->find_store()) {
            store->sweep(now_ms());
            any = any || store->stats().entries > 0;
        }
    catch_up();
    {
        const std::lock_guard lock(joints_mutex_);
        std::erase_if(backoffs_, [now = now_ms()](const auto& entry) { return entry.second <= now; });
    }
    sweeping_ = false;
    if (any) arm_sweep();
}

// Tiers.

bool Cache::is_slow(const TierGate& gate) const {
    const std::lock_guard lock(spaces_mutex_);
    return gate.state() == TierState::down || gate.read_ms() > static_cast<double>(config_.slowTierMs);
}

bool Cache::any_tier_is_slow(const CachePolicy& policy) const {
    return std::ranges::any_of(gates_, [&](const auto& gate) {
        return gate->is_shared() && policy.tier(gate->name()).enabled && is_slow(*gate);
    });
}

void Cache::warm_restart() {
    if (!host_.hottest || config().warmBytes == 0) return;
    host_.executor.post([this, weak = std::weak_ptr(alive_)] {
        if (!weak.lock() || stopped_) return;
        journal();
        host_.hottest(config().warmBytes, [this, weak](const CacheHost::Hot& hot) {
            if (!weak.lock() || stopped_) return;
            for (const auto& [key, value] : hot) {
                const auto space = this->space(key.space);
                if (!space) continue;
                CacheGet request;
                request.space = key.space;
                request.key = {key.name, key.parts};
                if ((*space)->find_store() == nullptr ||
                    !look_in_memory(**space, request.key, MemoryStore::hash_of(key.name), false))
                    get(std::move(request), [](const Result<CacheRead>&) {});
            }
        });
    });
}

void Cache::stop() {
    if (stopped_.exchange(true)) return;
    for (const auto& gate : gates_) gate->flush();
    for (const auto& gate : gates_) gate->stop();
    alive_.reset();
}

Result<void> Cache::ready() const {
    if (!stopped_) return {};
    return fail(ErrorCode::unavailable, "Pillion is ending");
}

} // namespace pillion
