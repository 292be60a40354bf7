// Things to do later. A component that waits takes a Timers; in the product that is the io thread (io.h), in tests a
// ManualTimers that moves when told.
#pragma once

#include "ipc/base/clock.h"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace pillion {

// Names one scheduled task; the default one names none.
struct TimerId {
    std::int64_t at_ns = 0;
    std::uint64_t sequence = 0;
    friend auto operator<=>(const TimerId&, const TimerId&) = default;
};

class Timers {
  public:
    virtual ~Timers() = default;
    // Runs the task once, `delay_ms` from now, on the timers' thread. The task must not block. Any thread.
    virtual TimerId after_ms(std::int64_t delay_ms, std::function<void()> task) = 0;
    // True if the task was still waiting: then it will not run. Any thread.
    virtual bool cancel(TimerId timer) = 0;
};

// Tasks by the time they are due, first come first served among equals. Any thread.
class TimerQueue {
  public:
    TimerId add(std::int64_t at_ns, std::function<void()> task);
    bool remove(TimerId timer);
    std::optional<std::int64_t> next_ns() const;
    // Takes one task that is due.
    std::function<void()> take_due(std::int64_t now_ns);

  private:
    mutable std::mutex mutex_;
    std::map<TimerId, std::function<void()>> tasks_;
    std::uint64_t sequence_ = 0;
};

// Timers of a test: advance() moves the clock and runs what falls due, in order, on the calling thread.
class ManualTimers final : public Timers {
  public:
    explicit ManualTimers(ManualClock& clock) : clock_(clock) {}
    TimerId after_ms(std::int64_t delay_ms, std::function<void()> task) override {
        return queue_.add(clock_.now_ns() + delay_ms * 1'000'000, std::move(task));
    }
    bool cancel(TimerId timer) override { return queue_.remove(timer); }
    void advance_ms(std::int64_t ms);

  private:
    ManualClock& clock_;
    TimerQueue queue_;
};

} // namespace pillion
