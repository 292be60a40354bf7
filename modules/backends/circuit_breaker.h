// Keeps calls away from what fails all the time: after so many failures in a row it opens for a while, then lets one
// call through to see (half open), closes at its success and opens for twice as long at its failure. One thread at a
// time; its owner locks.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pillion {

enum class BreakerState : std::uint8_t { closed, open, halfOpen };

class CircuitBreaker {
  public:
    CircuitBreaker(std::int64_t failures_max, std::int64_t open_ms, std::int64_t open_ms_max)
        : failures_max_(failures_max), open_ms_first_(open_ms), open_ms_max_(open_ms_max), open_ms_(open_ms) {}

    // Whether a call may go; the one that opens the half-open state is the probe. Its outcome must be told.
    bool allow(std::int64_t now_ns) {
        if (state_ == BreakerState::closed) return true;
        if (probing_ || now_ns < next_try_ns_) return false;
        state_ = BreakerState::halfOpen;
        probing_ = true;
        return true;
    }
    void succeeded() {
        failures_ = 0;
        state_ = BreakerState::closed;
        probing_ = false;
        open_ms_ = open_ms_first_;
    }
    // True if this failure opened it.
    bool failed(std::int64_t now_ns) {
        ++failures_;
        if (state_ == BreakerState::halfOpen) {
            open_ms_ = std::min(open_ms_ * 2, open_ms_max_);
        } else if (state_ == BreakerState::open || failures_ < failures_max_) {
            return false;
        }
        state_ = BreakerState::open;
        probing_ = false;
        next_try_ns_ = now_ns + open_ms_ * 1'000'000;
        ++openings_;
        return true;
    }
    // The probe ended without saying anything, as when its caller went away.
    void abandoned() { probing_ = false; }

    BreakerState state() const { return state_; }
    // How long calls are still refused; 0 where the next one is a probe.
    std::int64_t wait_ms(std::int64_t now_ns) const {
        return std::max<std::int64_t>(0, (next_try_ns_ - now_ns + 999'999) / 1'000'000);
    }
    std::uint64_t openings() const { return openings_; }
    std::int64_t failures() const { return failures_; }

  private:
    const std::int64_t failures_max_, open_ms_first_, open_ms_max_;
    BreakerState state_ = BreakerState::closed;
    bool probing_ = false;
    std::int64_t failures_ = 0;
    std::int64_t open_ms_;
    std::int64_t next_try_ns_ = 0;
    std::uint64_t openings_ = 0;
};

} // namespace pillion
