// From samples of addresses to a profile with names. Reads symbol tables; any thread.
#pragma once

#include "modules/profiler/cpu_profile.h"
#include "modules/profiler/sampler.h"

namespace pillion {

// hz and times are the caller's to fill in.
CpuProfile build_profile(const std::vector<RawSample>& samples, const std::map<std::int32_t, std::string>& threads);

} // namespace pillion
