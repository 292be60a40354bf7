// The latest requests of a namespace, sampled by key so that what is kept of them is a faithful miniature of the whole
// stream (SHARDS with a bounded number of keys; Waldspurger, Park, Garthwaite, Ahmad, FAST 2015): a key is in the
// sample or it is not, by its hash, and a cache scaled down by the same rate hits as often as the full one.
//
// Owned by a namespace. Any thread; recording waits for nobody and allocates only while the ring grows to its full
// size. Where threads overtake each other in the ring an access may be lost or weigh what another one does.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace pillion {

struct SampledAccess {
    std::uint64_t hash = 0;
    std::uint32_t weight = 0; // bytes; 0 where unknown: it was not there
};

class AccessSample {
  public:
    static constexpr std::size_t accesses_max = 32'768;

    AccessSample() = default;
    ~AccessSample();
    AccessSample(const AccessSample&) = delete;

    // Whether a key's requests are recorded at all: ask before record(), it costs nothing.
    bool wants(std::uint64_t hash) const { return (mix(hash) & mask_.load(std::memory_order_relaxed)) == 0; }
    void record(std::uint64_t hash, std::uint32_t weight) {
        const std::uint64_t at = next_.fetch_add(1, std::memory_order_relaxed);
        Slot& slot = slot_at(at);
        slot.hash.store(hash, std::memory_order_relaxed);
        slot.weight.store(weight, std::memory_order_relaxed);
        if ((at + 1) % accesses_max == 0) thin();
    }
    // What was asked for lately and was not there weighs this, as is known now that it is written.
    void weigh(std::uint64_t hash, std::uint32_t weight);

    struct Picture {
        std::vector<SampledAccess> accesses; // oldest first
        double rate = 1;                     // share of the keys that is in it
    };
    Picture picture() const;
    void clear();

  private:
    struct Slot {
        std::atomic<std::uint64_t> hash{0};
        std::atomic<std::uint32_t> weight{0};
    };
    static constexpr std::size_t stretch_slots = 2048;

    // The low bits of the store's hash choose its shard: others choose the sample.
    static std::uint64_t mix(std::uint64_t hash) { return (hash * 0x9E3779B97F4A7C15ULL) >> 32; }
    Slot& slot_at(std::uint64_t at) {
        const std::size_t place = at % accesses_max;
        Slot* const stretch = stretches_[place / stretch_slots].load(std::memory_order_acquire);
        return (stretch != nullptr ? stretch : make_stretch(place / stretch_slots))[place % stretch_slots];
    }
    Slot* make_stretch(std::size_t index);
    std::vector<SampledAccess> accesses() const;
    void thin();

    std::atomic<std::uint64_t> mask_{0};
    std::atomic<std::uint64_t> next_{0};
    std::array<std::atomic<Slot*>, accesses_max / stretch_slots> stretches_{}; // made when they are reached
    std::mutex mutex_;                                                         // one at a time makes a stretch
};

} // namespace pillion
