// How the configuration of the shared tiers looks on the wire and in the file. Constants; any thread.
#pragma once

#include "ipc/wire_type.h"
#include "modules/remote_store/remote_store.h"

namespace pillion {

PILLION_WIRE(
    RedisConfig,
    PILLION_FIELD(url, "redis://[user:password@]host[:port][/db] or unix:///path?db=n; empty for no Redis.", defaulted, secret),
    PILLION_FIELD(connectMs, "Longest time to make a connection, in milliseconds.", between(10, 60'000), defaulted),
    PILLION_FIELD(commandMs, "Longest silence of the server before a call fails, in milliseconds.", between(10, 60'000),
                  defaulted),
    PILLION_FIELD(backoffMsMin, "First pause after a failed connection; doubles each time.", between(10, 60'000),
                  defaulted),
    PILLION_FIELD(backoffMsMax, "Longest pause after failed connections.", between(10, 3'600'000), defaulted),
    PILLION_FIELD(queuedCallsMax, "Calls that may wait; more are refused.", between(16, 1'000'000), defaulted),
    PILLION_FIELD(queuedBytesMax, "Bytes that may wait; more are refused.", between(65'536, 4'294'967'296), defaulted))

PILLION_WIRE(
    PostgresConfig,
    PILLION_FIELD(url,
                  "postgresql://[user:password@]host[:port]/database or keyword=value pairs; empty for no PostgreSQL.",
                  defaulted, secret),
    PILLION_FIELD(schema, "The schema of the cache's tables; made at first use.", between(1, 48), defaulted),
    PILLION_FIELD(connections, "Connections for reads and writes; one more hears invalidations.", between(1, 16),
                  defaulted),
    PILLION_FIELD(connectMs, "Longest time to make a connection, in milliseconds.", between(10, 60'000), defaulted),
    PILLION_FIELD(commandMs, "Longest time of a statement, in milliseconds.", between(10, 60'000), defaulted),
    PILLION_FIELD(backoffMsMin, "First pause after a failed connection; doubles each time.", between(10, 60'000),
                  defaulted),
    PILLION_FIELD(backoffMsMax, "Longest pause after failed connections.", between(10, 3'600'000), defaulted),
    PILLION_FIELD(queuedCallsMax, "Calls that may wait on each connection; more are refused.", between(16, 1'000'000),
                  defaulted),
    PILLION_FIELD(queuedBytesMax, "Bytes that may wait on each connection; more are refused.",
                  between(65'536, 4'294'967'296), defaulted),
    PILLION_FIELD(cleanIntervalMs, "Time between removals of expired entries, in milliseconds; 0 for never.",
                  between(0, 86'400'000), defaulted))

} // namespace pillion
