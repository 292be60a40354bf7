#include "modules/cache/active_strategy.h"

#include <algorithm>
#include <unordered_map>

namespace pillion {

namespace {

// A JSON string of the key.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(c);
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += "\\u00";
            out.push_back("0123456789abcdef"[c >> 4 & 15]);
            out.push_back("0123456789abcdef"[c & 15]);
        } else {
            out.push_back(c);
        }
    }
    out.push_back('"');
    return out;
}

CacheKey key_of(const std::string& text) {
    return !text.empty() && (text.front() == '{' || text.front() == '[') ? composite_key(text) : CacheKey{text, {}};
}

// What the first * of the pattern stands for in the text; nothing if it does not match.
std::optional<std::string> star_of(const std::string& pattern, const std::string& text) {
    if (!glob_match(pattern, text)) return std::nullopt;
    const std::size_t star = pattern.find('*');
    if (star == std::string::npos) return "";
    const std::string tail = pattern.substr(star + 1);
    for (std::size_t end = text.size() + 1; end-- > star;)
        if (glob_match(tail, std::string_view(text).substr(end))) return text.substr(star, end - star);
    return "";
}

std::string with_star(const std::string& key, const std::string& star) {
    const std::size_t at = key.find('*');
    return at == std::string::npos ? key : key.substr(0, at) + star + key.substr(at + 1);
}

} // namespace

CacheLoad load_for(const CacheLoadTemplate& load, const CacheKey& key) {
    static constexpr std::string_view hole = "\"{key}\"";
    const std::string value = key.parts.empty() ? quoted(key.name) : key.parts;
    CacheLoad made{load.method, load.params};
    for (std::size_t at = made.params.find(hole); at != std::string::npos;
         at = made.params.find(hole, at + value.size()))
        made.params.replace(at, hole.size(), value);
    return made;
}

CacheStrategies::CacheStrategies(Cache& cache) : cache_(cache), alive_(std::make_shared<CacheStrategies*>(this)) {
    const std::weak_ptr weak(alive_);
    cache_.on_accessed([this, weak](CacheSpace& space, const CacheKey& key, const CacheRead& read,
                                    const std::optional<CacheLoad>& load) {
        if (weak.lock()) accessed(space, key, read, load);
    });
    cache_.on_invalidated([this, weak](const CacheNotice& notice) {
        if (weak.lock()) invalidated(notice);
    });
    cache_.set_dynamic_ttl([this, weak](CacheSpace& space) -> std::optional<std::int64_t> {
        if (!weak.lock()) return std::nullopt;
        const ActivePointer active = find_for(space.name);
        if (!active || !active->strategy.dynamicTtl) return std::nullopt;
        const auto ttl = space.changes.ttl_ms(active->strategy.changedShare);
        if (!ttl) return std::nullopt;
        return std::clamp(*ttl, active->strategy.ttlMsMin, active->strategy.ttlMsMax);
    });
}

CacheStrategies::~CacheStrategies() { stop(); }

CacheStrategies::ActivePointer CacheStrategies::find_for(const std::string& space) {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, active] : by_name_)
        if (active->strategy.space == space) return active;
    return nullptr;
}

Result<void> CacheStrategies::create(CacheStrategy strategy) {
    if (strategy.name.empty()) return fail(ErrorCode::invalid_params, "a strategy needs a name", "/name");
    CacheSpace* const space = PILLION_TRY(cache_.space(strategy.space));
    for (const CacheInvalidationRule& rule : strategy.invalidation) {
        PILLION_TRY(check_glob(rule.onPattern));
        if (rule.pattern) PILLION_TRY(check_glob(*rule.pattern));
    }
    for (const CachePrefetchRule& rule : strategy.prefetch) PILLION_TRY(check_glob(rule.pattern));
    if (const ActivePointer other = find_for(strategy.space); other && other->strategy.name != strategy.name)
        return fail(ErrorCode::conflict,
                    "the namespace \"" + strategy.space + "\" has the strategy \"" + other->strategy.name +
                        "\" already",
                    "/namespace");
    CachePolicy policy = *space->policy();
    if (strategy.eviction) policy.eviction = *strategy.eviction;
    if (strategy.maxBytes) policy.maxBytes = *strategy.maxBytes;
    for (const auto& gate : cache_.tiers()) {
        CacheTierPolicy tier = policy.tier(gate->name());
        tier.enabled = strategy.layout == CacheLayout::hybrid ||
                       (strategy.layout == CacheLayout::disk && !gate->is_shared()) ||
                       (strategy.layout == CacheLayout::distributed && gate->is_shared());
        policy.tiers[gate->name()] = tier;
    }
    PILLION_TRY(cache_.apply_policy(strategy.space, std::move(policy)));
    const auto active = std::make_shared<Active>();
    active->space = space;
    if (strategy.learnedPrefetch)
        active->predictor = std::make_unique<Predictor>(PredictorOptions{.scope = "cache." + strategy.space,
                                                                         .names_max = 20'000,
                                                                         .contexts_max = 32'768,
                                                                         .names_bytes_max = 2 << 20},
                                                        cache_.clock());
    active->judge = std::make_unique<PreloadJudge>(PreloadJudgeOptions{}, cache_.clock());
    space->is_learned = strategy.learnedPrefetch || !strategy.prefetch.empty();
    active->strategy = std::move(strategy);
    {
        const std::lock_guard lock(mutex_);
        if (by_name_.size() >= strategies_max && !by_name_.contains(active->strategy.name))
            return fail(ErrorCode::exhausted,
                        "there are " + std::to_string(strategies_max) + " strategies; no more are possible");
        ActivePointer& place = by_name_[active->strategy.name];
        if (place) {
            const std::lock_guard old(place->mutex);
            place->is_over = true;
            for (const auto& timer : place->timers) cache_.timers().cancel(*timer);
        }
        place = active;
    }
    const auto& warm_up = active->strategy.warmUp;
    if (warm_up && warm_up->atStart) {
        std::vector<CacheKey> keys;
        for (const std::string& key : warm_up->keys) keys.push_back(key_of(key));
        warm(active->strategy.space, std::move(keys), active->strategy.load, {}, [](const Result<CacheWarmed>&) {});
    }
    plan(active);
    return {};
}

// Arms what a strategy does from time to time.
void CacheStrategies::plan(const ActivePointer& active) {
    const auto every = [&](std::optional<std::int64_t> interval_ms, std::function<void(const ActivePointer&)> act) {
        if (!interval_ms) return;
        const auto slot = std::make_shared<TimerId>(); // of the next tick
        {
            const std::lock_guard lock(active->mutex);
            active->timers.push_back(slot);
        }
        // The tick is kept by the timer that will run it.
        const auto tick = std::make_shared<std::function<void()>>();
        const auto arm = [this, interval = *interval_ms, slot, weak_tick = std::weak_ptr(tick),
                          weak = std::weak_ptr(active)] {
            const auto again = weak_tick.lock();
            const auto still = weak.lock();
            if (!again || !still) return;
            const std::lock_guard lock(still->mutex);
            if (!still->is_over) *slot = cache_.timers().after_ms(interval, [again] { (*again)(); });
        };
        *tick = [weak = std::weak_ptr(active), alive = std::weak_ptr(alive_), act = std::move(act), arm] {
            const auto still = weak.lock();
            if (!alive.lock() || !still) return;
            act(still);
            arm();
        };
        arm();
    };
    if (active->strategy.warmUp)
        every(active->strategy.warmUp->everyMs, [this](const ActivePointer& due) {
            std::vector<CacheKey> keys;
            for (const std::string& key : due->strategy.warmUp->keys) keys.push_back(key_of(key));
            warm(due->strategy.space, std::move(keys), due->strategy.load, {}, [](const Result<CacheWarmed>&) {});
        });
    every(active->strategy.autoTuneMs, [this](const ActivePointer& due) {
        const std::int64_t window_ms = std::clamp<std::int64_t>(*due->strategy.autoTuneMs / 4, 100, 60'000);
        optimize(due->strategy.space, window_ms, [](const Result<CacheOptimization>&) {});
    });
}

std::vector<CacheStrategyStatus> CacheStrategies::list() {
    std::vector<ActivePointer> all;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, active] : by_name_) all.push_back(active);
    }
    std::vector<CacheStrategyStatus> statuses;
    for (const ActivePointer& active : all) {
        CacheStrategyStatus status{active->strategy, active->judge->worth(), {}, active->space->changes.estimate(), {}};
        if (active->strategy.dynamicTtl)
            if (const auto ttl = active->space->changes.ttl_ms(active->strategy.changedShare))
                status.ttl_ms = std::clamp(*ttl, active->strategy.ttlMsMin, active->strategy.ttlMsMax);
        const std::lock_guard lock(active->mutex);
        status.optimizations = active->optimizations;
        statuses.push_back(std::move(status));
    }
    return statuses;
}

Result<CacheStrategy> CacheStrategies::derive(CacheStrategy wanted, const std::vector<SampledAccess>* workload) {
    CacheSpace* const space = PILLION_TRY(cache_.space(wanted.space));
    AccessSample::Picture picture = space->sample.picture();
    if (workload != nullptr) picture = {*workload, 1};
    if (picture.accesses.size() < tuning_requests_min)
        return fail(ErrorCode::failed_precondition,
                    "only " + std::to_string(picture.accesses.size()) + " requests were seen; " +
                        std::to_string(tuning_requests_min) + " are needed to learn from",
                    workload == nullptr ? "/namespace" : "/workload");
    const auto policy = space->policy();
    const std::vector<TuningCandidate> candidates =
        tune(picture, policy->store_config(), cache_.config().memoryBytesMax);
    if (!wanted.eviction) wanted.eviction = candidates.front().eviction;
    if (!wanted.maxBytes) wanted.maxBytes = candidates.front().maxBytes;
    if (foreseeable_share(picture) > wanted.prefetchProbability) wanted.learnedPrefetch = true;
    if (space->changes.estimate()) wanted.dynamicTtl = true;
    return wanted;
}

// Fetching ahead.

void CacheStrategies::accessed(CacheSpace& space, const CacheKey& key, const CacheRead& read,
                               const std::optional<CacheLoad>& load) {
    const ActivePointer active = find_for(space.name);
    if (!active) return;
    const std::string& text = key.text();
    if (load) {
        const std::lock_guard lock(active->mutex);
        if (active->loads.size() >= loads_remembered) active->loads.erase(active->loads.begin());
        active->loads[text] = *load;
    }
    active->judge->used(text, read.source == "memory" ? PreloadUse::was_there : PreloadUse::was_loaded);
    for (const CachePrefetchRule& rule : active->strategy.prefetch)
        if (const auto star = star_of(rule.pattern, text))
            for (const std::string& next : rule.keys) fetch_ahead(active, with_star(next, *star), 1);
    if (!active->predictor) return;
    active->predictor->observe(text);
    for (const Prediction& next : active->predictor->predict(3, active->strategy.prefetchProbability))
        if (next.name != text) fetch_ahead(active, next.name, next.probability);
}

void CacheStrategies::fetch_ahead(const ActivePointer& active, const std::string& text, double probability) {
    CacheGet request;
    request.space = active->strategy.space;
    request.key = key_of(text);
    request.is_prefetch = true;
    bool is_there = false;
    if (const MemoryStore* const store = active->space->find_store())
        is_there = store->peek(request.key.name, MemoryStore::hash_of(request.key.name), cache_.now_ms(),
                               [](std::string_view, const EntryInfo&) {});
    if (is_there) return;
    {
        const std::lock_guard lock(active->mutex);
        if (const auto at = active->loads.find(text); at != active->loads.end())
            request.load = at->second;
        else if (active->strategy.load)
            request.load = load_for(*active->strategy.load, request.key);
    }
    const std::int64_t began_ns = cache_.clock().now_ns();
    cache_.get(std::move(request), [this, weak = std::weak_ptr(alive_), active, text, probability,
                                    began_ns](const Result<CacheRead>& read) {
        if (!weak.lock() || !read || !read->value) return;
        active->judge->preloaded(text, {.probability = probability,
                                        .memory_bytes = read->value->bytes.size(),
                                        .load_ns = cache_.clock().now_ns() - began_ns});
    });
}

void CacheStrategies::invalidated(const CacheNotice& notice) {
    std::vector<ActivePointer> concerned;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [name, active] : by_name_)
            if (!active->strategy.invalidation.empty()) concerned.push_back(active);
    }
    for (const ActivePointer& active : concerned)
        for (const CacheInvalidationRule& rule : active->strategy.invalidation) {
            if (!notice.selection.space || *notice.selection.space != rule.onNamespace) continue;
            if (rule.onNamespace == active->strategy.space) continue; // would go on for ever
            if (notice.selection.key && !glob_match(rule.onPattern, notice.selection.key->text())) continue;
            CacheSelection selection;
            selection.space = active->strategy.space;
            selection.pattern = rule.pattern;
            cache_.invalidate(std::move(selection), [](const Result<CacheInvalidated>&) {});
        }
}

void CacheStrategies::stop() {
    alive_.reset();
    const std::lock_guard lock(mutex_);
    for (const auto& [name, active] : by_name_) {
        const std::lock_guard old(active->mutex);
        active->is_over = true;
        for (const auto& timer : active->timers) cache_.timers().cancel(*timer);
    }
    by_name_.clear();
}

} // namespace pillion
