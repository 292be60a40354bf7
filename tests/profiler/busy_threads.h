// Threads that keep a processor busy until they are told to stop, for tests of the profiler.
#pragma once

#include "ipc/base/platform.h"

#include <atomic>
#include <cstdint>
#include <thread>

namespace pillion::test {

// ThreadSanitizer keeps a signal back until the thread is at a place that suits it, and then hands over the registers
// of before: the stack they point to is another's by now. Whom samples are counted for holds there, what is above does
// not.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool has_stacks = false;
#else
inline constexpr bool has_stacks = true;
#endif

// Not inlined, so that it is one frame; not static, so that it has one name.
[[gnu::noinline]] inline std::uint64_t spin_in_place(std::uint64_t rounds) {
    std::uint64_t sum = rounds;
    for (std::uint64_t i = 0; i < rounds; ++i) {
        sum = sum * 6364136223846793005u + 1442695040888963407u;
        asm volatile("" : "+r"(sum));
    }
    return sum;
}

[[gnu::noinline]] inline std::uint64_t spin_for_a_while(std::uint64_t rounds) {
    const std::uint64_t sum = spin_in_place(rounds);
    asm volatile("" ::: "memory"); // no tail call
    return sum + 1;
}

class BusyThread {
  public:
    explicit BusyThread(const char* name)
        : thread_([this, name] {
              platform::name_thread(name);
              while (!ends_.load(std::memory_order_relaxed)) sum_.fetch_add(spin_for_a_while(20'000));
          }) {}
    ~BusyThread() {
        ends_ = true;
        thread_.join();
    }
    BusyThread(const BusyThread&) = delete;

  private:
    std::atomic<bool> ends_{false};
    std::atomic<std::uint64_t> sum_{0};
    std::thread thread_;
};

} // namespace pillion::test
