// What the program's operator new and operator delete (sidecar/allocation_operators.cpp) tell while somebody samples
// allocations (modules/profiler). The sink is null otherwise: then an allocation, and its end, costs one relaxed load
// and one branch more. A program without those operators tells nothing. Any thread.
#pragma once

#include <atomic>
#include <cstddef>

namespace pillion {

class AllocationSink {
  public:
    // Any thread, many at once, and late: a thread that has read the pointer may call it long after the sink was taken
    // away, so a sink is never destroyed. Allocations that a call makes by itself are told, too.

    // `block` was given for `bytes` asked for; `caller` is where operator new returns to.
    virtual void allocated(const void* block, std::size_t bytes, const void* caller) noexcept = 0;
    // `block` is about to be given back; not null.
    virtual void freed(const void* block) noexcept = 0;

  protected:
    ~AllocationSink() = default;
};

inline constinit std::atomic<AllocationSink*> allocation_sink{nullptr};

} // namespace pillion
