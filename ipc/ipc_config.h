// The `ipc` section of the configuration.
#pragma once

#include "ipc/base/limits.h"
#include "ipc/wire_type.h"

namespace pillion {

struct IpcConfig {
    std::int64_t messageBytesMax = limits::message_bytes;
    std::int64_t nestingMax = limits::nesting;
    std::int64_t batchMax = limits::batch;
    std::int64_t workers = 0;
    std::int64_t inFlightCallsMax = limits::in_flight_calls;
    std::int64_t inFlightBytesMax = limits::in_flight_bytes;
    std::int64_t pipeBytes = 1024 * 1024;
    std::int64_t shutdownMs = limits::shutdown_ms;
    std::int64_t cacheEntriesMax = 1024;
    std::int64_t cacheBytesMax = 8 * 1024 * 1024;
};
PILLION_WIRE(
    IpcConfig,
    PILLION_FIELD(messageBytesMax, "Largest message in bytes.", between(1024, 1024.0 * 1024 * 1024), defaulted),
    PILLION_FIELD(nestingMax, "Deepest nesting of arrays and objects.", between(4, limits::nesting_ceiling), defaulted),
    PILLION_FIELD(batchMax, "Most members of a batch.", between(1, 100'000), defaulted),
    PILLION_FIELD(workers, "Threads for slow methods; 0 means one per core and at least two.", between(0, 64),
                  defaulted),
    PILLION_FIELD(inFlightCallsMax, "Requests accepted and not yet answered; past it reading stops.",
                  between(1, 1'000'000), defaulted),
    PILLION_FIELD(inFlightBytesMax, "Bytes of their params; past it reading stops.",
                  between(1024, 4.0 * 1024 * 1024 * 1024), defaulted),
    PILLION_FIELD(
        pipeBytes,
        "Size that stdin and stdout are enlarged to where they are pipes and the system allows it; 0 leaves them.",
        between(0, 16.0 * 1024 * 1024), defaulted),
    PILLION_FIELD(
        shutdownMs,
        "How long accepted requests may still take at the end, and how long a reader may pause while the last "
        "answers are written, in milliseconds.",
        between(0, 600'000), defaulted),
    PILLION_FIELD(cacheEntriesMax, "Answers kept in the response cache; 0 turns it off.", between(0, 1'000'000),
                  defaulted),
    PILLION_FIELD(cacheBytesMax, "Bytes of the response cache.", between(0, 4.0 * 1024 * 1024 * 1024), defaulted))

} // namespace pillion
