// Room for samples, mapped beforehand: taking some is one atomic addition, without a lock and without an allocation.
// Owned by the sampler that fills it. take() on any thread, in signal handlers too; read() on any, at any time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace pillion {

struct ArenaSample {
    std::int32_t thread = 0;
    std::uint32_t weight = 1;
    bool is_cut = false;
    std::span<const std::uint64_t> words{};
};

class SampleArena {
  public:
    static constexpr std::size_t words_each_max = 255; // of one sample

    // Null where there is no memory.
    static std::unique_ptr<SampleArena> create();
    ~SampleArena();
    SampleArena(const SampleArena&) = delete;

    // Where the sample's words begin; null, and counted, if there is no room.
    std::uint64_t* take(const ArenaSample& sample);
    void drop() { dropped_.fetch_add(1, std::memory_order_relaxed); }
    // The samples so far, which are valid as long as the arena.
    std::vector<ArenaSample> read() const;

    // Their weights together.
    std::uint64_t samples() const { return samples_.load(std::memory_order_relaxed); }
    std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

  private:
    explicit SampleArena(std::uint64_t* words) : words_(words) {}

    std::uint64_t* const words_;
    std::atomic<std::size_t> used_{0};
    std::atomic<std::uint64_t> samples_{0};
    std::atomic<std::uint64_t> dropped_{0};
};

} // namespace pillion
