// What the machine and the process's control group say about memory. The parsers are pure, so that tests feed them
// text; read_system_memory() is the one that touches the system: a handful of small files, some 100 us. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace pillion {

struct MemorySystem {
    std::uint64_t totalBytes = 0;     // 0 where unknown
    std::uint64_t availableBytes = 0; // what could be had without swapping
};

struct MemoryCgroup {
    std::int32_t version = 2;
    std::string path;                          // the group whose limit is nearest, seen from the hierarchy's root
    std::optional<std::uint64_t> limitBytes{}; // absent: unlimited
    std::uint64_t usageBytes = 0;
    std::uint64_t workingSetBytes = 0; // usage without file pages that the kernel would drop first
};

// Pressure stall information: the share of time, in percent, in which some or all tasks waited for memory.
struct MemoryStall {
    double someAvg10Percent = 0;
    double someAvg60Percent = 0;
    double fullAvg10Percent = 0;
    double fullAvg60Percent = 0;
};

struct MemoryReading {
    MemorySystem system;
    std::optional<MemoryCgroup> cgroup{};
    std::optional<MemoryStall> stall{};
    std::uint64_t resident_bytes = 0; // of this process
};
using MemoryReader = std::function<MemoryReading()>;
// The content of a file; absent if it cannot be read.
using TextReader = std::function<std::optional<std::string>(const std::string& path)>;

// /proc/meminfo.
MemorySystem parse_meminfo(std::string_view text);
// /proc/pressure/memory or a group's memory.pressure; absent if it is not of that form.
std::optional<MemoryStall> parse_stall(std::string_view text);
// memory.max, memory.limit_in_bytes and the like: absent for "max", for v1's "as much as there is" and for what is no
// number.
std::optional<std::uint64_t> parse_limit(std::string_view text);
// The process's group out of /proc/self/cgroup: v2's where `controller` is empty. Absent if it is in none.
std::optional<std::string> parse_cgroup_path(std::string_view text, std::string_view controller);

// Of the process's group and all above it, the one that is nearest to its limit; the process's own if none has one.
std::optional<MemoryCgroup> find_cgroup_memory(const TextReader& read);
// The machine's, or the group's where the machine has none.
std::optional<MemoryStall> find_stall(const TextReader& read);

MemoryReading read_system_memory();

} // namespace pillion
