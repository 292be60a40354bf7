// Tiers that several machines share: Redis and PostgreSQL. Made by the composition root where they are configured; the
// cache owns and calls them. Any thread may call; answers and notices come on the tier's own threads, which end with
// stop(). A tier that nothing was asked of has opened no library, no connection and no thread.
//
// What is promised:
// - A call never blocks its caller. Calls wait in a bounded queue (past it: -32004) and are answered at the latest when
//   the exchange before them and their own are over, each of which ends after `commandMs` without progress.
// - Calls for one key take effect in the order they were made. A sweep (invalidate, list) sees all that was called
//   before it, and runs in slices between other calls.
// - A connection that was lost is made again and what was under way is sent once more: all calls may be repeated. While
//   there is none, calls fail at once with -32005 until the next attempt is due; the pause between attempts doubles,
//   with jitter, from `backoffMsMin` to `backoffMsMax`. probe() does not wait for it.
// - Invalidations of others are heard on a connection of their own. Where that was lost, `uncertain` is said when it is
//   back: until then nobody else's writes could be heard, and what is held here goes on being served. What could not be announced is announced after the next connection.
// - No password appears in any text.
//
// Durability: Redis keeps what it is configured to keep. PostgreSQL commits without waiting for its disk
// (synchronous_commit off): a crash of the database server may lose what it was given in the last 0.6 s, an end of
// Pillion loses nothing that was answered.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "modules/cache_entry/cache_entry.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pillion {

// Section `cache.redis`. Described in remote_store_rpc.h.
struct RedisConfig {
    std::string
        url{}; // redis://[user:password@]host[:port][/db], unix://[user:password@]/path[?db=n]; empty: no such tier
    std::int64_t connectMs = 1000;
    std::int64_t commandMs = 1000;
    std::int64_t backoffMsMin = 100;
    std::int64_t backoffMsMax = 30'000;
    std::int64_t queuedCallsMax = 8192;
    std::int64_t queuedBytesMax = 67'108'864;
};

// Section `cache.postgres`. Described in remote_store_rpc.h.
struct PostgresConfig {
    std::string
        url{}; // postgresql://[user:password@]host[:port]/database or "host=... dbname=..."; empty: no such tier
    std::string schema = "pillion";
    std::int64_t connections = 2; // one more hears invalidations
    std::int64_t connectMs = 3000;
    std::int64_t commandMs = 2000;
    std::int64_t backoffMsMin = 100;
    std::int64_t backoffMsMax = 30'000;
    std::int64_t queuedCallsMax = 8192;
    std::int64_t queuedBytesMax = 67'108'864;
    std::int64_t cleanIntervalMs = 300'000; // between removals of what is expired; 0: never
};

// What bounds on single fields cannot say. The messages name the faulty part, never the whole address.
Result<void> check_redis_config(const RedisConfig& config);
Result<void> check_postgres_config(const PostgresConfig& config);

// What a namespace holds. In Redis `bytes` is what the values take, in PostgreSQL what the rows take.
struct SpaceStats {
    std::string space{};
    std::string table{}; // PostgreSQL
    std::uint64_t entries = 0;
    std::uint64_t expired = 0; // of these, still to be cleaned up
    std::uint64_t bytes = 0;
    std::uint64_t hits = 0; // PostgreSQL; written down every few seconds
};

// To clean up one namespace or all at once: invalidate({.space = ..., .expired = true}).
class RemoteStore : public CacheTier {
  public:
    using Surveyed = std::function<void(Result<std::vector<SpaceStats>>)>;
    // Counts what this app keeps, by namespace. Looks at every entry: for people, not for every second.
    virtual void survey(Surveyed surveyed) = 0;
};

// `app` keeps apart what several apps keep on one server. Fails where the configuration is wrong; the server is not
// looked for until the first call.
Result<std::unique_ptr<RemoteStore>> create_redis_tier(const RedisConfig& config, std::string app, const Clock& clock);
Result<std::unique_ptr<RemoteStore>> create_postgres_tier(const PostgresConfig& config, std::string app,
                                                          const Clock& clock);

} // namespace pillion
