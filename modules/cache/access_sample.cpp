#include "modules/cache/access_sample.h"

#include <algorithm>
#include <unordered_set>

namespace pillion {

namespace {

// More different keys than this are not needed for a good miniature; half of them then go.
constexpr std::size_t keys_max = 8192;

} // namespace

AccessSample::~AccessSample() {
    for (auto& stretch : stretches_) delete[] stretch.load();
}

AccessSample::Slot* AccessSample::make_stretch(std::size_t index) {
    const std::lock_guard lock(mutex_);
    Slot* stretch = stretches_[index].load(std::memory_order_acquire);
    if (stretch == nullptr) {
        stretch = new Slot[stretch_slots];
        stretches_[index].store(stretch, std::memory_order_release);
    }
    return stretch;
}

std::vector<SampledAccess> AccessSample::accesses() const {
    const std::uint64_t end = next_.load(std::memory_order_relaxed);
    const std::uint64_t count = std::min<std::uint64_t>(end, accesses_max);
    std::vector<SampledAccess> all;
    all.reserve(count);
    for (std::uint64_t at = end - count; at < end; ++at) {
        const std::size_t place = at % accesses_max;
        const Slot* const stretch = stretches_[place / stretch_slots].load(std::memory_order_acquire);
        if (stretch == nullptr) continue; // about to be written
        const Slot& slot = stretch[place % stretch_slots];
        all.push_back({slot.hash.load(std::memory_order_relaxed), slot.weight.load(std::memory_order_relaxed)});
    }
    return all;
}

void AccessSample::thin() {
    std::vector<SampledAccess> kept = accesses();
    std::unordered_set<std::uint64_t> keys;
    for (const SampledAccess& access : kept) keys.insert(access.hash);
    if (keys.size() <= keys_max) return;
    mask_.store(mask_.load(std::memory_order_relaxed) * 2 + 1, std::memory_order_relaxed);
    std::erase_if(kept, [this](const SampledAccess& access) { return !wants(access.hash); });
    for (std::size_t i = 0; i < kept.size(); ++i) {
        Slot& slot = slot_at(i);
        slot.hash.store(kept[i].hash, std::memory_order_relaxed);
        slot.weight.store(kept[i].weight, std::memory_order_relaxed);
    }
    next_.store(kept.size(), std::memory_order_relaxed);
}

void AccessSample::weigh(std::uint64_t hash, std::uint32_t weight) {
    constexpr std::uint64_t looked_back_max = 64;
    const std::uint64_t end = next_.load(std::memory_order_relaxed);
    for (std::uint64_t back = 1; back <= std::min(looked_back_max, end); ++back) {
        Slot& slot = slot_at(end - back);
        if (slot.hash.load(std::memory_order_relaxed) != hash) continue;
        std::uint32_t unknown = 0;
        slot.weight.compare_exchange_strong(unknown, weight, std::memory_order_relaxed);
        return;
    }
}

AccessSample::Picture AccessSample::picture() const {
    return {accesses(), 1.0 / static_cast<double>(mask_.load(std::memory_order_relaxed) + 1)};
}

void AccessSample::clear() {
    next_.store(0, std::memory_order_relaxed);
    mask_.store(0, std::memory_order_relaxed);
}

} // namespace pillion
