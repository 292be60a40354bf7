// Courses of private memory that nothing was tuned on: causes that the others do not have, and scales far from theirs.
// Pure, seeded; one value every two seconds, NaN where none was taken.
#pragma once

#include "memory_courses.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace pillion::bench {

enum class OtherMemory {
    tiny,           // half a megabyte to four
    huge,           // 4 to 64 GB
    still,          // the same value for hours, then another
    sleeps,         // the machine sleeps for hours
    sessions,       // steps up for hours, all given back at the end of a session
    batch_ramps,    // jobs that take memory evenly for up to three hours and give it back
    holidays,       // working days, and some on which nobody works
    adaptive_heap,  // the collector lets its heap grow until it is large enough
    swapped,        // what is idle is taken away and comes back as it is used
    fragmentation,  // grows with the logarithm of time
    idle_collector, // collects when there is nothing else to do
    tabs            // processes of one name that come and go
};
inline constexpr std::size_t other_memory_count = 12;
std::string name_of(OtherMemory kind);

std::vector<double> other_course(OtherMemory kind, std::size_t count, std::mt19937_64& random);

} // namespace pillion::bench
