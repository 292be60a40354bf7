// Values as files: written into the folder `leases` of the data directory, readable until their lease ends, then
// removed. Owned by whoever makes the methods; any thread may ask, files are written on the caller's.
//
// The names hold the time their lease ends, so that what a killed process left is removed by the next one, and what
// another sidecar on the same directory still leases is not.
#pragma once

#include "ipc/base/error.h"
#include "ipc/timers.h"
#include "modules/cache/cache_time.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace pillion {

struct CacheLease {
    std::string path{};
    std::int64_t until_ms = 0; // wall clock
};

class CacheLeases {
  public:
    static constexpr std::int64_t lease_ms_max = 86'400'000;
    static constexpr std::size_t leases_max = 1024;

    CacheLeases(std::string data_directory, Timers& timers, const Clock& clock);
    ~CacheLeases() { stop(); }
    CacheLeases(const CacheLeases&) = delete;

    // -32007 without a data directory, -32004 when too many are out or the disk is full.
    Result<CacheLease> grant(std::string_view bytes, std::string_view content_type, std::int64_t lease_ms);
    // Removes what this process has leased; nothing is granted afterwards.
    void stop();

  private:
    struct State;
    static void remove_leftovers(const std::string& folder, std::int64_t wall_ms);
    static void end(const std::weak_ptr<State>& state, const std::string& path);

    const std::string folder_;
    Timers& timers_;
    const Clock& clock_;
    std::shared_ptr<State> state_;
};

// A file that a user wants kept, read whole. -32602 where it is none, -32004 where it is larger than `bytes_max`.
Result<std::string> read_file_value(const std::string& path, std::int64_t bytes_max);

} // namespace pillion
