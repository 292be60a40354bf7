// Which processes have their memory maps walked now. A walk (PSS, private bytes) costs in proportion to a process's
// size, some milliseconds for a browser, so walks spend at most a set share of a core: a new process is walked at once,
// on credit, others when their resident size moved or the figure has grown old, the oldest figure first. Until then
// what the resident size has moved by since the walk is added to its figures: nearly all that a process comes to hold
// is its own. Belongs to the Monitor's reading thread.
#pragma once

#include "modules/monitor/monitor_platform.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pillion {

class MonitorMemory {
  public:
    static constexpr double core_share_max = 0.001;
    static constexpr std::int64_t credit_ns_max = 5'000'000;  // what unspent time adds up to, new and known apart
    static constexpr std::int64_t debt_ns_max = 20'000'000;   // that new processes may leave
    static constexpr std::int64_t old_ns = 10'000'000'000;    // a figure is walked anew
    static constexpr std::int64_t moved_ns = 1'000'000'000;   // the same where the resident size moved
    static constexpr std::uint64_t moved_bytes = 1024 * 1024; // by that, or by a share of 1/32, whichever is more

    struct Known {
        MappedMemory memory{};
        std::int64_t at_ns = 0;
    };

    void update(MonitorPlatform& platform, const TreeReading& tree, std::int64_t now_ns);
    // As it was walked, carried on by what the resident size says now.
    std::optional<Known> find(const ProcessReading& process) const;
    // Processes whose memory could not be known, by reason.
    std::vector<MonitorGap> gaps() const;

  private:
    struct Entry {
        std::optional<Known> known{};
        std::uint64_t resident_bytes = 0; // when it was walked
        std::optional<std::int64_t> asked_ns{};
        std::string why{};
        bool is_seen = false;
    };
    using Key = std::pair<std::int64_t, std::int64_t>; // pid and start
    static bool has_moved(const Entry& entry, const ProcessReading& process);
    static bool is_due(const Entry& entry, const ProcessReading& process, std::int64_t now_ns);
    std::int64_t walk(MonitorPlatform& platform, const ProcessReading& process, Entry& entry, std::int64_t now_ns);

    std::map<Key, Entry> entries_;
    std::int64_t credit_ns_ = credit_ns_max;
    std::int64_t new_credit_ns_ = credit_ns_max; // of new processes
    std::optional<std::int64_t> updated_ns_;
};

} // namespace pillion
