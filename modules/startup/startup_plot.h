// Draws a start as an SVG Gantt chart that needs nothing else to be seen: a row for each component, in order of their
// start. Any thread.
#pragma once

#include "modules/startup/startup_report.h"
#include "modules/startup/startup_timeline.h"

#include <cstdint>
#include <string>

namespace pillion {

struct StartupPlotOptions {
    std::uint32_t width = 1200; // pixels, more where long names need it; the height follows from the rows
};

// A start that goes on is drawn up to the last thing that happened.
std::string startup_plot(const StartupTimeline& timeline, const StartupReport& report,
                         const StartupPlotOptions& options = {});

} // namespace pillion
