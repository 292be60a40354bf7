// Whether and when an ended process is started again: a pure function of how often and how fast it ended. Durations
// come from the monotonic clock alone, so neither a set wall clock nor a suspended machine matters.
//
// Owned by whoever supervises the process; not thread-safe.
#pragma once

#include "ipc/base/clock.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

namespace pillion {

struct ProcessExit;

enum class RestartRule : std::uint8_t { never, on_failure, always };

struct RestartOptions {
    RestartRule rule = RestartRule::on_failure;
    std::int64_t initial_ms = 500; // before the first restart
    std::int64_t max_ms = 30'000;
    double factor = 2.0;
    double jitter = 0.2;           // of the delay, to either side, so that components that fell together rise apart
    std::uint32_t crashes_max = 5; // ends within the window; one more and it is given up
    std::int64_t window_ms = 60'000;
    std::int64_t healthy_ms = 30'000; // having run this long, earlier ends are forgotten
};

struct RestartDecision {
    enum class Action : std::uint8_t { leave, restart, give_up };
    Action action = Action::leave;
    std::int64_t delay_ms = 0; // before the restart
    std::string reason{};      // for people: "was asked to stop", "ended 6 times within 60 s: ..."
};

class RestartPolicy {
  public:
    // `random` answers numbers in [0, 1).
    RestartPolicy(RestartOptions options, const Clock& clock, std::function<double()> random);

    RestartDecision ended(const ProcessExit& exit);
    // Somebody started it by hand, or gave it a new configuration: a new beginning.
    void reset();
    std::uint32_t restarts() const { return restarts_; }

  private:
    std::int64_t next_delay_ms();

    RestartOptions options_;
    const Clock& clock_;
    std::function<double()> random_;
    std::deque<std::int64_t> ends_ns_; // within the window
    double delay_ms_ = 0;              // the last one, without jitter; 0 before the first
    std::uint32_t restarts_ = 0;
};

} // namespace pillion
