#include "modules/cache/access_sample.h"

#include <algorithm>
#include <unordered_set>

namespace pillion {

namespace {

// More different keys than this are not needed for a good miniature; half of them then go.
constexpr std::size_t keys_max = 8192;

} // namespace

void AccessSample::record(std::uint64_t hash, std::uint32_t weight) {
    const std::lock_guard lock(mutex_);
    if (ring_.size() < accesses_max) {
        ring_.push_back({hash, weight});
    } else {
        ring_[next_] = {hash, weight};
        next_ = (next_ + 1) % accesses_max;
    }
    if (++since_thinning_ < accesses_max) return;
    since_thinning_ = 0;
    std::unordered_set<std::uint64_t> keys;
    for (const SampledAccess& access : ring_) keys.insert(access.hash);
    if (keys.size() <= keys_max) return;
    std::rotate(ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(next_), ring_.end());
    next_ = 0;
    mask_.store(mask_.load(std::memory_order_relaxed) * 2 + 1, std::memory_order_relaxed);
    std::erase_if(ring_, [this](const SampledAccess& access) { return !wants(access.hash); });
}

void AccessSample::weigh(std::uint64_t hash, std::uint32_t weight) {
    constexpr std::size_t looked_back_max = 64;
    const std::lock_guard lock(mutex_);
    for (std::size_t back = 1; back <= std::min(looked_back_max, ring_.size()); ++back) {
        SampledAccess& access = ring_[(next_ + ring_.size() - back) % ring_.size()];
        if (access.hash != hash) continue;
        if (access.weight == 0) access.weight = weight;
        return;
    }
}

AccessSample::Picture AccessSample::picture() const {
    const std::lock_guard lock(mutex_);
    Picture picture;
    picture.accesses.reserve(ring_.size());
    for (std::size_t i = 0; i < ring_.size(); ++i) picture.accesses.push_back(ring_[(next_ + i) % ring_.size()]);
    picture.rate = 1.0 / static_cast<double>(mask_.load(std::memory_order_relaxed) + 1);
    return picture;
}

void AccessSample::clear() {
    const std::lock_guard lock(mutex_);
    ring_ = {};
    next_ = 0;
    since_thinning_ = 0;
    mask_.store(0, std::memory_order_relaxed);
}

} // namespace pillion
