// A preload is judged once: a hit if it is used within the window, wasted otherwise. Precision and recall then say what
// they say of any classifier, and the sum of the predicted probabilities shows whether the model is calibrated.
#include "modules/prediction/prediction.h"

#include <algorithm>

namespace pillion {

void PreloadJudge::waste(Entries::iterator entry) const {
    const Preload& preload = entry->second.preload;
    ++worth_.wasted;
    worth_.expectedHits += preload.probability;
    worth_.wastedCpuMs += static_cast<double>(preload.cpu_ns) / 1e6;
    worth_.wastedBytes += preload.memory_bytes;
    pending_.erase(entry);
}

void PreloadJudge::expire() const {
    const std::int64_t oldest_ns = clock_.now_ns() - options_.window_ms * 1'000'000;
    for (auto entry = pending_.begin(); entry != pending_.end();) {
        const auto next = std::next(entry);
        if (entry->second.at_ns < oldest_ns) {
            // It is still there, so a later use is not a miss.
            if (late_.size() >= options_.pending_max) late_.erase(late_.begin());
            late_[entry->first] = entry->second;
            waste(entry);
        }
        entry = next;
    }
}

void PreloadJudge::preloaded(std::string_view name, const Preload& preload) {
    const std::lock_guard lock(mutex_);
    std::string key(name);
    if (const auto entry = pending_.find(key); entry != pending_.end()) {
        entry->second.preload = preload;
        return;
    }
    if (pending_.size() >= options_.pending_max) expire();
    if (pending_.size() >= options_.pending_max)
        waste(std::ranges::min_element(pending_, {}, [](const auto& entry) { return entry.second.at_ns; }));
    late_.erase(key);
    pending_.emplace(std::move(key), Pending{preload, clock_.now_ns()});
    ++worth_.preloads;
}

void PreloadJudge::used(std::string_view name, PreloadUse use) {
    const std::lock_guard lock(mutex_);
    const std::string key(name);
    const auto entry = pending_.find(key);
    if (entry == pending_.end()) {
        if (late_.erase(key) > 0)
            ++worth_.lateHits;
        else if (use == PreloadUse::was_loaded)
            ++worth_.misses;
        return;
    }
    const Pending& pending = entry->second;
    if (pending.at_ns < clock_.now_ns() - options_.window_ms * 1'000'000) {
        waste(entry);
        ++worth_.lateHits;
        return;
    }
    ++worth_.hits;
    worth_.expectedHits += pending.preload.probability;
    // Whoever had to load all the same (the preload had not come through yet) was saved nothing.
    if (use == PreloadUse::was_there) worth_.savedMs += static_cast<double>(pending.preload.load_ns) / 1e6;
    pending_.erase(entry);
}

void PreloadJudge::unloaded(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const std::string key(name);
    late_.erase(key);
    if (const auto entry = pending_.find(key); entry != pending_.end()) waste(entry);
}

PreloadWorth PreloadJudge::worth() const {
    const std::lock_guard lock(mutex_);
    expire();
    PreloadWorth worth = worth_;
    worth.pending = pending_.size();
    for (const auto& [name, pending] : pending_) worth.heldBytes += pending.preload.memory_bytes;
    const auto share = [](std::uint64_t part, std::uint64_t rest) {
        return part + rest == 0 ? 0 : static_cast<double>(part) / static_cast<double>(part + rest);
    };
    worth.precision = share(worth.hits, worth.wasted);
    worth.recall = share(worth.hits, worth.misses);
    return worth;
}

void PreloadJudge::forget() {
    const std::lock_guard lock(mutex_);
    pending_.clear();
    late_.clear();
    worth_ = {};
}

} // namespace pillion
