// The parts of the benchmark: each measures by turns and makes rows of its own. One thread calls them.
#pragma once

#include "report.h"

#include <string>

namespace pillion::bench {

struct CacheBench {
    std::string pillion{};                       // path of the program
    std::string redis = "/usr/bin/redis-server"; // absent: without it
    std::string home{};                          // a folder of its own
    bool is_quick = false;

    int rounds(int full) const { return is_quick ? (full + 3) / 4 : full; }
};

// Hits and invalidation through the program.
void measure_wire(const CacheBench& bench, Report& report);
// Hits in this process.
void measure_library(const CacheBench& bench, Report& report);

} // namespace pillion::bench
