// The cache's clock: milliseconds that look like wall time and never go back. Within a process it runs by monotonic
// time, so that setting the clock back makes nothing immortal; a leap of the wall clock ahead of it by more than a
// minute (the machine slept, or the clock was set) is followed. Any thread.
#pragma once

#include "ipc/base/clock.h"

#include <atomic>
#include <cstdint>

namespace pillion {

class CacheTime {
  public:
    static constexpr std::int64_t leap_ms = 60'000;

    explicit CacheTime(const Clock& clock) : clock_(clock), offset_ms_(clock.wall_ms() - clock.now_ns() / 1'000'000) {}

    std::int64_t now_ms() { return at_ns(clock_.now_ns()); }
    // The same for a reading of the monotonic clock that the caller has already. Looks at the wall clock once a second.
    std::int64_t at_ns(std::int64_t now_ns) {
        if (now_ns >= next_look_ns_.load(std::memory_order_relaxed)) look(now_ns);
        return now_ns / 1'000'000 + offset_ms_.load(std::memory_order_relaxed);
    }

  private:
    void look(std::int64_t now_ns) {
        next_look_ns_.store(now_ns + 1'000'000'000, std::memory_order_relaxed);
        const std::int64_t offset_ms = clock_.wall_ms() - now_ns / 1'000'000;
        if (offset_ms > offset_ms_.load(std::memory_order_relaxed) + leap_ms)
            offset_ms_.store(offset_ms, std::memory_order_relaxed);
    }

    const Clock& clock_;
    std::atomic<std::int64_t> offset_ms_;
    std::atomic<std::int64_t> next_look_ns_{0};
};

} // namespace pillion
