// Draws a start as an SVG Gantt chart that needs nothing else to be seen. Any thread.
#pragma once

#include "modules/startup/startup_report.h"
#include "modules/startup/startup_timeline.h"

#include <string>

namespace pillion {

enum class StartupRows : std::uint8_t {
    components, // a row for each, in order of their start
    lanes,      // a row for each lane
};

struct StartupPlotOptions {
    StartupRows rows = StartupRows::components;
    std::uint32_t width = 1200; // pixels; the height follows from the rows
};

// A start that goes on is drawn up to the last thing that happened.
std::string startup_plot(const StartupTimeline& timeline, const StartupReport& report,
                         const StartupPlotOptions& options = {});

} // namespace pillion
