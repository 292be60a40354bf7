// What the monitor needs to know of an operating system: raw counters of processes and of the machine. Linux is in
// monitor_platform_linux*.cpp; another system is another file with the same class behind create_monitor_platform().
// Owned by the Monitor, which calls it from one thread at a time. A reader that is refused says so in `gaps` and gives
// what remains; nothing here fails.
#pragma once

#include "modules/monitor/monitor_sample.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pillion {

// Counters are totals since the process began.
struct ProcessReading {
    std::int64_t pid = 0;
    std::int64_t parent = 0;
    std::int64_t started_ns = 0; // since boot; with the pid it names one process for good
    std::int64_t started_ms = 0; // on the wall clock as it stood when the process was first seen
    MonitorRole role = MonitorRole::child;
    MonitorState state = MonitorState::other;
    std::string name{};
    std::string mark{}; // of a child of this process: the value of the variable that options name; empty if unknown
    std::int64_t cpu_ns = 0;
    std::int64_t reaped_cpu_ns = 0; // of children that ended and were waited for, with theirs
    std::uint64_t resident_bytes = 0;
    std::int64_t threads = 0;
    std::optional<std::int64_t> descriptors{};
    std::optional<std::uint64_t> read_bytes{};
    std::optional<std::uint64_t> written_bytes{};
};

struct TreeReading {
    std::int64_t boot_ns = 0;                // time since boot, sleep included
    std::vector<ProcessReading> processes{}; // parents before their children
    std::int64_t left_out = 0;               // processes past the bound
    std::vector<MonitorGap> gaps{};
};

// What a walk of all mappings of a process tells: dear in a large process.
struct MappedMemory {
    std::optional<std::uint64_t> proportional_bytes{};
    std::uint64_t private_bytes = 0; // where maps may not be walked, the anonymous ones
    std::optional<std::uint64_t> swapped_bytes{};
};
struct MappedMemoryReading {
    std::optional<MappedMemory> memory{};
    std::string why{}; // not all of it could be known; empty if the process has ended
};

struct CoreReading {
    std::int64_t index = 0;
    std::uint64_t busy = 0; // of one unit, whichever
    std::uint64_t total = 0;
};
struct DiskReading {
    std::string name{};
    std::uint64_t read_bytes = 0;
    std::uint64_t written_bytes = 0;
    std::uint64_t busy_ms = 0;
};
struct NetworkReading {
    std::string name{};
    std::uint64_t received_bytes = 0;
    std::uint64_t sent_bytes = 0;
    std::uint64_t errors = 0;
};

// What moves from second to second.
struct MachineReading {
    std::int64_t asleep_ns = 0; // that the machine has slept since boot
    std::optional<CoreReading> cpu{};
    std::vector<CoreReading> cores{};
    std::optional<double> load1{}, load5{}, load15{};
    std::uint64_t memory_bytes = 0;
    std::uint64_t memory_available_bytes = 0;
    std::uint64_t swap_bytes = 0;
    std::uint64_t swap_free_bytes = 0;
    std::vector<MonitorPressure> pressure{};
    std::vector<DiskReading> disks{};
    std::vector<NetworkReading> networks{};
    std::vector<MonitorGap> gaps{};
};

struct CgroupReading {
    std::optional<double> cpu_limit_cores{};
    std::optional<std::uint64_t> cpu_used_ns{}; // of the group that has that limit
    std::uint64_t periods = 0;                  // of the quota, and those in which it was used up
    std::uint64_t throttled_periods = 0;
    std::optional<std::uint64_t> memory_limit_bytes{};
    std::optional<std::uint64_t> memory_used_bytes{}; // without file pages that the kernel would drop first
};

// What moves slowly and costs more.
struct SurroundingsReading {
    std::vector<MonitorFileSystem> file_systems{};
    std::optional<MonitorPower> power{};
    std::optional<double> hottest_celsius{};
    std::optional<CgroupReading> cgroup{};
    std::int64_t cores_allowed = 0; // by the affinity of this process; 0 where unknown
    std::vector<MonitorGap> gaps{};
};

class MonitorPlatform {
  public:
    static constexpr std::size_t processes_max = 1000;

    virtual ~MonitorPlatform() = default;
    // This process, the one that started it, and all that descends from this one.
    virtual TreeReading read_tree() = 0;
    virtual MappedMemoryReading read_memory(const ProcessReading& process) = 0;
    virtual MachineReading read_machine() = 0;
    virtual SurroundingsReading read_surroundings() = 0;
    virtual MonitorMachine describe() = 0;
    // Processor time of the calling thread.
    virtual std::int64_t thread_cpu_ns() const = 0;
};

// What of the free bytes may be had: a part may be reserved for the superuser.
struct FileSystemSpace {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;
    std::uint64_t available_bytes = 0;
};

struct MonitorPlatformOptions {
    std::string root{};                 // where the system's files stand; empty: the real ones
    std::int64_t pid = 0;               // of this process; 0: the real one
    std::string mark_variable{};        // which children inherit from the one they descend from; empty: none
    std::vector<std::string> folders{}; // beside / and the home folder, those whose file systems matter
    // A variable of the environment, and the space of the file system at a path; empty: the real ones.
    std::function<std::optional<std::string>(const std::string& name)> variable{};
    std::function<std::optional<FileSystemSpace>(const std::string& path)> space{};
};
std::unique_ptr<MonitorPlatform> create_monitor_platform(MonitorPlatformOptions options);

} // namespace pillion
