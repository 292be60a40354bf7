// Compares a start with those before it. Private to the module; a pure function, any thread.
#pragma once

#include "modules/startup/startup_report.h"

#include <vector>

namespace pillion {

StartupComparison compare_startup(const StartupTimeline& timeline, const std::vector<StartupRecord>& earlier);

} // namespace pillion
