// Loading: one run per key at a time, whoever asks and whoever stops asking. Its result is kept unless its key was
// written or invalidated since it began.
#include "modules/cache/cache_reading.h"

#include <algorithm>

namespace pillion {

namespace {

// A loader that never answers is given up after so many times the namespace's timeout, so that its key is not stuck.
constexpr std::int64_t give_up_factor = 4;

} // namespace

bool Cache::backs_off(const std::string& id) {
    const std::lock_guard lock(joints_mutex_);
    const auto at = backoffs_.find(id);
    return at != backoffs_.end() && at->second > now_ms();
}

void Cache::back_off(const std::string& id, std::int64_t ms) {
    if (ms <= 0) return;
    const std::lock_guard lock(joints_mutex_);
    if (backoffs_.size() >= backoffs_max) backoffs_.clear();
    backoffs_[id] = now_ms() + ms;
}

void Cache::load(const std::shared_ptr<Reading>& reading, bool in_background) {
    CacheSpace& space = *reading->space;
    const CacheGet& request = reading->request;
    if (in_background) space.counters.refreshes.fetch_add(1, std::memory_order_relaxed);
    LoadPointer mine;
    {
        const std::lock_guard lock(joints_mutex_);
        LoadPointer& joint = loads_[joint_id(space, request.key)];
        if (joint && !in_background) {
            reading->coalesced = true;
            space.counters.coalesced.fetch_add(1, std::memory_order_relaxed);
        }
        if (!joint) {
            joint = mine = std::make_shared<Load>();
            joint->space = &space;
            joint->key = request.key;
            joint->hash = reading->hash;
            joint->version = invalidations_.version(now_ms());
        }
        if (!in_background)
            joint->waiting.push_back([this, reading](const LoadAnswer& answer) { on_loaded(reading, answer); });
    }
    if (!in_background) {
        const std::int64_t hard_ms = reading->policy->loadTimeoutMs;
        arm(reading, hard_ms, [this, reading, hard_ms] {
            on_loaded(reading,
                      {fail(ErrorCode::timeout, "the value was not loaded within " + std::to_string(hard_ms) + " ms"),
                       static_cast<double>(hard_ms)});
        });
    }
    if (!mine) return;
    // Another's load may have ended since we looked: what it brought was in memory before it made way for this one.
    if (!in_background && !request.refresh)
        if (const auto found = look_in_memory(space, request.key, reading->hash, false);
            found && serves(*reading, *found->value))
            return end_load(mine, {found->value, 0});
    run_load(mine, request, reading->stale, reading->policy->loadTimeoutMs * give_up_factor);
}

void Cache::run_load(const LoadPointer& load, const CacheGet& request, CacheValuePtr stale, std::int64_t give_up_ms) {
    CacheLoadRequest wanted{load->space->name, load->key, *request.load, {}, {}};
    if (stale) {
        wanted.etag = stale->meta.etag;
        wanted.last_modified = stale->meta.last_modified;
    }
    const std::weak_ptr alive(alive_);
    const TimerId timer = host_.timers.after_ms(give_up_ms, [this, load, alive] {
        if (!alive.lock()) return;
        load->is_overtaken = true;
        end_load(load, {fail(ErrorCode::timeout, "the loader never answered"), 0});
    });
    load->space->counters.loads.fetch_add(1, std::memory_order_relaxed);
    const std::int64_t began_ns = host_.clock.now_ns();
    const auto once = std::make_shared<std::atomic<bool>>(false);
    host_.loader(wanted, [this, load, request, stale, began_ns, alive, timer, once](Result<CacheLoaded> result) {
        if (!alive.lock() || once->exchange(true)) return;
        host_.timers.cancel(timer);
        loaded(load, request, stale, std::move(result), began_ns);
    });
}

void Cache::loaded(const LoadPointer& load, const CacheGet& request, CacheValuePtr stale, Result<CacheLoaded> result,
                   std::int64_t began_ns) {
    CacheSpace& space = *load->space;
    const auto policy = space.policy();
    const std::int64_t took_ns = host_.clock.now_ns() - began_ns;
    const double took_ms = static_cast<double>(took_ns) / 1'000'000;
    space.counters.load_ns.record(static_cast<std::uint64_t>(took_ns));
    const bool is_absent = !result && result.error().code == ErrorCode::not_found && policy->negativeTtlMs > 0;
    if (!result && !is_absent) {
        space.counters.load_errors.fetch_add(1, std::memory_order_relaxed);
        if (stale) back_off(joint_id(space, load->key), policy->backoffMs);
        return end_load(load, {std::unexpected(result.error()), took_ms});
    }
    CachePut put;
    put.space = space.name;
    put.key = load->key;
    put.ttl_ms = request.ttl_ms;
    put.tags = request.tags;
    put.made_in_ms = took_ns / 1'000'000;
    if (is_absent) {
        put.is_negative = true;
        put.ttl_ms = policy->negativeTtlMs;
        put.grace_ms = 0;
    } else {
        const bool is_same = result->not_modified && stale;
        if (result->not_modified && !stale)
            return end_load(load,
                            {fail(ErrorCode::internal_error, "the loader calls unchanged what is not here"), took_ms});
        put.bytes = is_same ? stale->bytes : std::move(result->bytes);
        put.content_type = is_same ? stale->meta.content_type : result->content_type;
        put.etag = is_same && result->etag.empty() ? stale->meta.etag : result->etag;
        put.last_modified =
            is_same && result->last_modified.empty() ? stale->meta.last_modified : result->last_modified;
        if (result->ttl_ms) put.ttl_ms = *result->ttl_ms;
        if (result->grace_ms) put.grace_ms = *result->grace_ms;
        const std::vector<std::string>& tags = is_same && result->tags.empty() ? stale->meta.tags : result->tags;
        for (const std::string& tag : tags)
            if (std::ranges::find(put.tags, tag) == put.tags.end()) put.tags.push_back(tag);
        if (stale) space.changes.saw(now_ms() - stale->meta.created_ms, !is_same && stale->bytes != put.bytes);
    }
    const bool is_kept = put.ttl_ms != 0;
    auto value = std::make_shared<const CacheValue>(make_value(space, *policy, put, load->version));
    if (!is_absent) note_written(space, load->hash, *value, stale != nullptr);
    Staged staged;
    if (is_kept) {
        staged = keep(space, load->key, load->hash, *value, *policy, gates_.size(),
                      [&load] { return load->is_overtaken.load(std::memory_order_acquire); }, {});
        push(space, load->key, *policy, staged);
    }
    end_load(load, {value, took_ms});
}

void Cache::end_load(const LoadPointer& load, LoadAnswer answer) {
    std::vector<std::function<void(const LoadAnswer&)>> waiting;
    {
        const std::lock_guard lock(joints_mutex_);
        if (const auto at = loads_.find(joint_id(*load->space, load->key)); at != loads_.end() && at->second == load)
            loads_.erase(at);
        waiting.swap(load->waiting);
    }
    for (const auto& go_on : waiting) go_on(answer);
}

void Cache::on_loaded(const std::shared_ptr<Reading>& reading, const LoadAnswer& answer) {
    reading->step("loader", answer.value ? "hit" : "error", answer.took_ms);
    if (answer.value) return finish(reading, *answer.value, "loader");
    if (reading->stale && answer.value.error().code != ErrorCode::not_found)
        return finish(reading, reading->stale, "memory");
    finish(reading, answer.value.error());
}

} // namespace pillion
