// Time as a dependency. Everything that waits, expires or measures takes a Clock, so that tests move time by hand.
// Any thread. Standard library only.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace pillion {

class Clock {
  public:
    virtual ~Clock() = default;
    // Monotonic nanoseconds; never goes back, stands still while the machine sleeps. For durations and deadlines.
    virtual std::int64_t now_ns() const = 0;
    // Milliseconds since the Unix epoch; may jump. For what people read and what outlives the process.
    virtual std::int64_t wall_ms() const = 0;
};

class SystemClock final : public Clock {
  public:
    std::int64_t now_ns() const override {
        return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
    }
    std::int64_t wall_ms() const override {
        return std::chrono::system_clock::now().time_since_epoch() / std::chrono::milliseconds(1);
    }
};

// The process's clock, for composition and for call sites that only measure themselves.
inline const Clock& system_clock() {
    static const SystemClock clock;
    return clock;
}

// A clock that stands still until a test moves it.
class ManualClock final : public Clock {
  public:
    std::int64_t now_ns() const override { return now_ns_.load(std::memory_order_relaxed); }
    std::int64_t wall_ms() const override { return wall_ms_.load(std::memory_order_relaxed); }
    void advance_ms(std::int64_t ms) {
        now_ns_.fetch_add(ms * 1'000'000, std::memory_order_relaxed);
        wall_ms_.fetch_add(ms, std::memory_order_relaxed);
    }
    // The wall clock is set, as a user or NTP would; monotonic time does not notice.
    void jump_wall_ms(std::int64_t ms) { wall_ms_.fetch_add(ms, std::memory_order_relaxed); }

  private:
    std::atomic<std::int64_t> now_ns_{1'000'000'000};
    std::atomic<std::int64_t> wall_ms_{1'700'000'000'000};
};

} // namespace pillion
