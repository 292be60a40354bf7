// Warming up, and optimising: trial, measurement, and taking back what did not help.
#include "modules/cache/active_strategy.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::size_t optimizations_kept = 8;
constexpr std::int64_t requests_min = 50; // of a window that is to say anything
constexpr double worse_by = 0.01;         // in hit ratio: less may be chance

} // namespace

struct CacheStrategies::Warming {
    std::string space;
    std::vector<CacheKey> keys;
    std::optional<CacheLoadTemplate> load;
    Progress progress;
    std::function<void(Result<CacheWarmed>)> done;
    std::mutex mutex; // guards what follows
    std::size_t next = 0, running = 0, ended = 0;
    bool is_advancing = false;
    CacheWarmed outcome{};
};

void CacheStrategies::warm(const std::string& space, std::vector<CacheKey> keys, std::optional<CacheLoadTemplate> load,
                           const Progress& progress, std::function<void(Result<CacheWarmed>)> done) {
    if (const auto known = cache_.space(space); !known) return done(std::unexpected(known.error()));
    const auto warming = std::make_shared<Warming>();
    warming->space = space;
    warming->keys = std::move(keys);
    warming->load = std::move(load);
    warming->progress = progress;
    warming->done = std::move(done);
    warming->outcome.asked = warming->keys.size();
    go_on(warming);
}

// Keeps parallel_max reads under way. Reads that end at once come back here before they return: they leave a note for
// the loop that started them.
void CacheStrategies::go_on(const std::shared_ptr<Warming>& warming) {
    std::unique_lock lock(warming->mutex);
    if (std::exchange(warming->is_advancing, true)) return;
    while (warming->next < warming->keys.size() && warming->running < parallel_max) {
        CacheGet request;
        request.space = warming->space;
        request.key = warming->keys[warming->next++];
        request.is_prefetch = true;
        if (warming->load) request.load = load_for(*warming->load, request.key);
        ++warming->running;
        lock.unlock();
        cache_.get(std::move(request), [this, warming, weak = std::weak_ptr(alive_)](const Result<CacheRead>& read) {
            {
                const std::lock_guard counting(warming->mutex);
                --warming->running;
                ++warming->ended;
                CacheWarmed& outcome = warming->outcome;
                ++(!read                      ? outcome.failed
                   : !read->value             ? outcome.missing
                   : read->source == "memory" ? outcome.present
                   : read->source == "loader" ? outcome.loaded
                                              : outcome.found);
            }
            if (weak.lock()) go_on(warming);
        });
        lock.lock();
    }
    warming->is_advancing = false;
    const bool is_over = warming->ended == warming->keys.size();
    const double percentage =
        warming->keys.empty() ? 100
                              : 100.0 * static_cast<double>(warming->ended) / static_cast<double>(warming->keys.size());
    const auto done = is_over ? std::exchange(warming->done, nullptr) : nullptr;
    lock.unlock();
    if (warming->progress) warming->progress(percentage);
    if (done) done(warming->outcome);
}

// Optimising.

struct CacheStrategies::Optimizing {
    CacheSpace* space = nullptr;
    std::int64_t window_ms = 0;
    CacheMeasure start{}; // counters when the window began
    CachePolicy old_policy{};
    CacheOptimization outcome{};
    std::function<void(Result<CacheOptimization>)> done{};
};

// Requests and hits so far; the ratio holds the hits until two of them are subtracted.
CacheMeasure CacheStrategies::measure(const CacheSpace& space) {
    const CacheSpaceCounters& counters = space.counters;
    const std::uint64_t hits = counters.memory_hits;
    return {static_cast<double>(hits), static_cast<std::int64_t>(hits + counters.memory_misses)};
}

namespace {

CacheMeasure between_measures(const CacheMeasure& start, const CacheMeasure& end) {
    const std::int64_t requests = end.requests - start.requests;
    return {requests == 0 ? 0 : (end.hitRatio - start.hitRatio) / static_cast<double>(requests), requests};
}

} // namespace

void CacheStrategies::optimize(const std::string& space_name, std::int64_t window_ms,
                               std::function<void(Result<CacheOptimization>)> done) {
    const auto space = cache_.space(space_name);
    if (!space) return done(std::unexpected(space.error()));
    if (const std::size_t seen = (*space)->sample.picture().accesses.size(); seen < tuning_requests_min)
        return done(fail(ErrorCode::failed_precondition,
                         "only " + std::to_string(seen) + " requests were seen; " +
                             std::to_string(tuning_requests_min) + " are needed to learn from",
                         "/namespace"));
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(optimizing_[space_name], true))
            return done(fail(ErrorCode::conflict, "the namespace \"" + space_name + "\" is being optimised already"));
    }
    const auto run = std::make_shared<Optimizing>();
    run->space = *space;
    run->window_ms = window_ms;
    run->start = measure(**space);
    run->old_policy = *(*space)->policy();
    run->outcome.space = space_name;
    run->done = std::move(done);
    cache_.timers().after_ms(window_ms, [this, run, weak = std::weak_ptr(alive_)] {
        if (!weak.lock()) return run->done(fail(ErrorCode::unavailable, "Pillion is ending"));
        cache_.executor().post([this, run, weak] {
            if (weak.lock()) apply_best(run);
        });
    });
}

void CacheStrategies::apply_best(const std::shared_ptr<Optimizing>& run) {
    CacheOptimization& outcome = run->outcome;
    outcome.before = between_measures(run->start, measure(*run->space));
    outcome.at_ms = cache_.now_ms();
    const MemoryStoreConfig present = run->old_policy.store_config();
    outcome.candidates = tune(run->space->sample.picture(), present, cache_.config().memoryBytesMax);
    const TuningCandidate best = outcome.candidates.front();
    for (const TuningCandidate& candidate : outcome.candidates)
        if (candidate.eviction == present.policy && candidate.maxBytes == run->old_policy.maxBytes)
            outcome.predictedNow = candidate.hitRatio;
    outcome.predictedBest = best.hitRatio;
    outcome.eviction = best.eviction;
    outcome.maxBytes = best.maxBytes;
    const bool is_present = best.eviction == run->old_policy.eviction && best.maxBytes == run->old_policy.maxBytes;
    CachePolicy policy = run->old_policy;
    policy.eviction = best.eviction;
    policy.maxBytes = best.maxBytes;
    if (is_present) {
        outcome.reason = "the present policy and size are the best of those tried";
        return judge(run);
    }
    if (const auto applied = cache_.apply_policy(outcome.space, std::move(policy)); !applied) {
        outcome.reason = applied.error().message;
        return judge(run);
    }
    outcome.applied = true;
    run->start = measure(*run->space);
    cache_.timers().after_ms(run->window_ms, [this, run, weak = std::weak_ptr(alive_)] {
        if (!weak.lock()) return run->done(fail(ErrorCode::unavailable, "Pillion is ending"));
        judge(run);
    });
}

void CacheStrategies::judge(const std::shared_ptr<Optimizing>& run) {
    CacheOptimization& outcome = run->outcome;
    if (outcome.applied) {
        outcome.after = between_measures(run->start, measure(*run->space));
        const bool can_tell = outcome.before.requests >= requests_min && outcome.after->requests >= requests_min;
        if (!can_tell) {
            outcome.reason = "too few requests in the windows to compare; the prediction stands";
        } else if (outcome.after->hitRatio < outcome.before.hitRatio - worse_by) {
            outcome.rolledBack = true;
            outcome.reason = "it hit less than before: the old policy and size are back";
            // A change that somebody made meanwhile stays.
            CachePolicy back = *run->space->policy();
            back.eviction = run->old_policy.eviction;
            back.maxBytes = run->old_policy.maxBytes;
            if (const auto restored = cache_.apply_policy(outcome.space, std::move(back)); !restored)
                outcome.reason = restored.error().message;
        } else {
            outcome.reason = "applied, and measured to be no worse";
        }
    }
    {
        const std::lock_guard lock(mutex_);
        optimizing_.erase(outcome.space);
        for (const auto& [name, active] : by_name_) {
            if (active->strategy.space != outcome.space) continue;
            const std::lock_guard history(active->mutex);
            active->optimizations.push_back(outcome);
            if (active->optimizations.size() > optimizations_kept)
                active->optimizations.erase(active->optimizations.begin());
        }
    }
    run->done(outcome);
}

} // namespace pillion
