// A request trace in the Trace Event Format of Chrome, as Perfetto and chrome://tracing open it. Pure; any thread.
#pragma once

#include "modules/profiler/request_trace.h"

#include <string>

namespace pillion {

std::string trace_events(const RequestTraceSteps& trace, std::int64_t process_id);

} // namespace pillion
