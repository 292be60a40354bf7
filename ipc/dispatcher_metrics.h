// The wire's counters. Recorded by ipc/, read by whoever shows them.
#pragma once

#include "ipc/base/metric.h"

namespace pillion::metrics {

inline const Counter requests{"pillion.rpc.requests", "Requests received", "{request}"};
inline const Counter notifications{"pillion.rpc.notifications", "Notifications received", "{notification}"};
inline const Counter batches{"pillion.rpc.batches", "Batches received", "{batch}"};
inline const Counter errors{"pillion.rpc.errors", "Requests answered with an error", "{error}"};
inline const Counter bytes_in{"pillion.rpc.bytes_in", "Bytes read from stdin", "By"};
inline const Counter events_sent{"pillion.events.sent", "Events sent", "{event}"};
inline const Counter events_dropped{"pillion.events.dropped", "Events dropped because they were not read in time",
                                    "{event}"};

} // namespace pillion::metrics
