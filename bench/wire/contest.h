// A contest is one measurement that all peers take in turns, round by round, so that whatever the machine
// does meanwhile hits all of them. Main thread only.
#pragma once

#include "peer_process.h"
#include "report.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pillion::bench {

struct Contestant {
    PeerProgram program;
    std::unique_ptr<PeerProcess> process; // kept between rounds by contests that want it
    std::string failure;
};

struct Contest {
    std::vector<Row> rows; // measure() returns one figure for each of them
    int rounds = 1;
    int rounds_slow = 1; // of these, how many slow peers take part in; at least 1
    // Once per peer, unmeasured: start it, verify it, warm it up.
    std::function<void(Contestant&)> prepare = [](Contestant&) {};
    std::function<std::vector<double>(Contestant&)> measure;
    // Once per peer after the last round: what to say about it below the table; empty for nothing.
    std::function<std::string(Contestant&)> remark = [](Contestant&) { return std::string(); };
};

// Runs the contest and adds its rows to the report.
void run(Contest contest, const std::vector<PeerProgram>& programs, Report& report);

} // namespace pillion::bench
