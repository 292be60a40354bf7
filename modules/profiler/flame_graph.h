// A profile as a flame graph: a self-contained SVG without scripts. Pure; any thread.
#pragma once

#include "modules/profiler/stack_profile.h"

#include <string>

namespace pillion {

// The same profile gives the same bytes.
std::string flame_graph(const StackProfile& profile, StackMeasure measure = StackMeasure::samples);

} // namespace pillion
