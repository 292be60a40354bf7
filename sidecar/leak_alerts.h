// Which leaks are told of, and when a leak is over: one that is found is raised at once, but is over only when several
// looks in a row did not find it and the memory has come back, or it was not found for half the time over which it was
// judged: near the limits of the test a leak that goes on is missed now and then, and one rise is to be told of once. A
// process that has ended or begun anew leaks no more. Owned by MonitoringParts, on its executor's thread.
#pragma once

#include "modules/alerts/alerts.h"
#include "modules/analysis/analysis.h"

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace pillion {

class LeakAlerts {
  public:
    static constexpr int looks_without = 3;

    struct Changes {
        std::vector<AlertNotice> raise{};
        std::vector<std::string> resolve{}; // keys
    };
    // What follows from one look. `is_running` tells whether such a process still is.
    Changes look(std::span<const Leak> judged, const std::function<bool(const Leak&)>& is_running);

  private:
    struct Standing {
        Leak leak{};
        int looks_without = 0;
    };
    std::map<std::string, Standing> standing_; // by key
};

} // namespace pillion
