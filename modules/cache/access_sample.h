// The latest requests of a namespace, sampled by key so that what is kept of them is a faithful miniature of the whole
// stream (SHARDS with a bounded number of keys; Waldspurger, Park, Garthwaite, Ahmad, FAST 2015): a key is in the
// sample or it is not, by its hash, and a cache scaled down by the same rate hits as often as the full one.
//
// Owned by a namespace. Any thread; recording allocates only while the ring grows to its full size.
#pragma once

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

    // Whether a key's requests are recorded at all: ask before record(), it costs nothing.
    bool wants(std::uint64_t hash) const { return (mix(hash) & mask_.load(std::memory_order_relaxed)) == 0; }
    void record(std::uint64_t hash, std::uint32_t weight);
    // What was asked for lately and was not there weighs this, as is known now that it is written.
    void weigh(std::uint64_t hash, std::uint32_t weight);

    struct Picture {
        std::vector<SampledAccess> accesses; // oldest first
        double rate = 1;                     // share of the keys that is in it
    };
    Picture picture() const;
    void clear();

  private:
    // The low bits of the store's hash choose its shard: others choose the sample.
    static std::uint64_t mix(std::uint64_t hash) { return (hash * 0x9E3779B97F4A7C15ULL) >> 32; }

    std::atomic<std::uint64_t> mask_{0};
    mutable std::mutex mutex_; // guards what follows
    std::vector<SampledAccess> ring_;
    std::size_t next_ = 0;
    std::uint64_t since_thinning_ = 0;
};

} // namespace pillion
