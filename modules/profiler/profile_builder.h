// From samples of addresses to a profile with names. Reads symbol tables; any thread.
#pragma once

#include "modules/profiler/sampler.h"
#include "modules/profiler/stack_profile.h"

namespace pillion {

// hz and times are the caller's to fill in.
StackProfile build_profile(const std::vector<RawSample>& samples, const std::map<std::int32_t, std::string>& threads);

} // namespace pillion
