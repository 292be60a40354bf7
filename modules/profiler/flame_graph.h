// A profile as a flame graph: an SVG that needs nothing else, and can be searched and looked into where it is opened in
// a browser. Pure; any thread.
#pragma once

#include "modules/profiler/stack_profile.h"

#include <string>

namespace pillion {

// The same profile gives the same bytes.
std::string flame_graph(const StackProfile& profile, StackMeasure measure = StackMeasure::samples);

} // namespace pillion
