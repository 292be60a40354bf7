// How many components ran at each moment of a start, summed up so that any stretch of time can be asked for in
// O(log n). Private to the module; built from a timeline, constant afterwards.
#pragma once

#include "modules/startup/startup_timeline.h"

#include <cstdint>
#include <vector>

namespace pillion {

// The end of the start, or the last thing that happened so far.
std::int64_t startup_end_ns(const StartupTimeline& timeline);

class StartupSweep {
  public:
    explicit StartupSweep(const StartupTimeline& timeline);

    // The time between two moments in which anything ran, shared out: of a moment in which k ran, 1/k.
    double share_ns(std::int64_t from_ns, std::int64_t to_ns) const { return at(to_ns).share - at(from_ns).share; }
    // The number that ran, summed over the time between two moments.
    double running_ns(std::int64_t from_ns, std::int64_t to_ns) const {
        return at(to_ns).running - at(from_ns).running;
    }
    // How long nothing ran between the beginning and the end.
    double idle_ns() const { return idle_ns_; }

  private:
    struct Sum {
        std::int64_t at_ns = 0; // up to here:
        double share = 0;
        double running = 0;
        std::uint32_t count = 0; // that run from here on
    };
    Sum at(std::int64_t ns) const;

    std::vector<Sum> sums_;
    double idle_ns_ = 0;
};

} // namespace pillion
