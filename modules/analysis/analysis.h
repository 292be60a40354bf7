// What the time series say: trends, anomalies, changes, leaks, bottlenecks, hot paths, a score from 0 to 100 whose
// parts are shown, and one report of it all as a page. It reads the series and keeps nothing but the path of its last
// report. Owned by the composition root; any thread may call; a call costs up to some hundred milliseconds, so never
// from a thread that answers. With nothing asked of it, it has started and opened nothing.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "modules/series/series.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// --- Leaks
// ------------------------------------------------------------------------------------------------------------

enum class MemoryCourse : std::uint8_t {
    unknown, // too little was seen
    steady,  // whatever it does, it comes back
    bounded, // it grew, and grows ever less
    leak,    // it grows on
};

struct LeakConfig {
    // The least growth that is called a leak: over a minute eight times as much, falling with the square root of the
    // window's length to these.
    std::int64_t bytes_min = 4 * 1024 * 1024;
    double share_min = 0.15; // of the level where the growth began
};

struct MemoryVerdict {
    MemoryCourse course = MemoryCourse::unknown;
    double bytes_per_hour = 0;      // of a leak, through the window's minima
    double bytes_per_hour_low = 0;  // and where it lies with 95 % confidence
    double bytes_per_hour_high = 0; //
    double grown_bytes = 0;         // since then
    double level_bytes = 0;         // now, by the latest minima
    double confidence = 0;          // that the growth is no chance, after all windows that were looked at
    std::int64_t since_ms = 0;      // from when on the growth is seen
    std::int64_t window_ms = 0;     // over which it was judged
};
// Judges the private memory of one process or component. Points ascend in time and may lie closer together the newer
// they are, each the minimum of its stretch. What lies before the last restart counts nothing.
Result<MemoryVerdict> judge_memory(std::span<const SeriesPoint> points, const LeakConfig& config = {},
                                   std::int64_t restarted_ms = 0);

struct Leak {
    std::string component{}; // empty where the process belongs to none
    std::string process{};
    std::string role{}; // self, shell or child
    MemoryVerdict verdict{};
};
// All that is judged: each process that the monitor recorded, leaks first, the fastest before the others. For a host
// that raises alerts: call it once a minute or rarer; what is a leak then is to be raised, what is no more, resolved.
Result<std::vector<Leak>> find_leaks(Series& series, const LeakConfig& config = {});
std::string describe(const Leak& leak);

} // namespace pillion
