// Takes samples of what the program allocates by operator new, and follows each until it is given back. Owned by the
// Profiler. What C code allocates is not seen: malloc() of libraries, and memory mapped from the system.
//
// While none exists, or after end(), an allocation costs what ipc/base/allocation_hook.h says. One at a time; create()
// and end() on one thread at a time, the rest on any.
#pragma once

#include "ipc/base/error.h"
#include "modules/profiler/sample_arena.h"
#include "modules/profiler/sampler.h"

namespace pillion {

class AllocationSampler {
  public:
    static constexpr std::size_t samples_max = 32'768;

    // -32005 where this program's operator new tells nothing: one that is built with a sanitizer.
    static Result<std::unique_ptr<AllocationSampler>> create(std::int64_t interval_bytes);
    ~AllocationSampler();
    AllocationSampler(const AllocationSampler&) = delete;

    // No sample comes after this, and what lives now counts as alive.
    void end();

    std::uint64_t samples() const { return arena_->samples(); }
    std::uint64_t dropped() const { return arena_->dropped(); }
    // Names by thread id, as they were when each was last sampled.
    std::map<std::int32_t, std::string> threads() const;
    // The samples so far. The addresses are valid as long as the sampler.
    std::vector<RawSample> read() const;

  private:
    AllocationSampler(std::int64_t interval_bytes, std::unique_ptr<SampleArena> arena)
        : interval_bytes_(interval_bytes), arena_(std::move(arena)) {}

    const std::int64_t interval_bytes_;
    std::unique_ptr<SampleArena> arena_;
    bool has_ended_ = false;
};

} // namespace pillion
