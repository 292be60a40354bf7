// The monitor's platform on Linux: /proc and /sys. Its processes are in monitor_platform_linux.cpp, the machine in
// monitor_platform_linux_machine.cpp. Files are opened for each reading: keeping them open would save a microsecond
// apiece and cost two descriptors for every process.
#pragma once

#include "modules/monitor/monitor_files.h"
#include "modules/monitor/monitor_platform.h"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pillion {

class LinuxMonitorPlatform final : public MonitorPlatform {
  public:
    explicit LinuxMonitorPlatform(MonitorPlatformOptions options);

    TreeReading read_tree() override;
    MappedMemoryReading read_memory(const ProcessReading& process) override;
    MachineReading read_machine() override;
    SurroundingsReading read_surroundings() override;
    MonitorMachine describe() override;
    std::int64_t thread_cpu_ns() const override;

  private:
    // What need not be asked again while a pid is the same process.
    struct Seen {
        std::int64_t started_ns = 0;
        std::int64_t started_ms = 0;
        std::string command{}; // as /proc/PID/stat has it; changes with an exec
        std::string name{};
        std::optional<std::string> mark{}; // once it was looked for
        std::vector<std::int64_t> children{};
        std::int64_t walked = 0;  // the reading in which the children of all threads were asked for
        std::int64_t counted = 0; // the same of descriptors, where they must be listed
        std::optional<std::int64_t> descriptors{};
        std::int64_t reading = 0;
    };
    struct Gaps;

    Seen* read_process(std::int64_t pid, ProcessReading& process);
    void read_name(std::int64_t pid, std::string_view command, Seen& seen);
    std::string read_mark(std::int64_t pid);
    void read_counters(ProcessReading& process, Seen& seen, Gaps& gaps);
    void read_shell(std::int64_t pid, TreeReading& tree, Gaps& gaps);
    void read_descriptors(ProcessReading& process, Seen& seen, Gaps& gaps);
    std::vector<std::int64_t> children(const ProcessReading& process, Seen& seen);
    void add_children_of_thread(std::int64_t pid, std::string_view thread, std::vector<std::int64_t>& to);
    std::span<const std::int64_t> scanned_children(std::int64_t pid);
    std::string_view process_path(std::int64_t pid, std::string_view file);

    void read_processors(MachineReading& machine);
    void read_memory_and_load(MachineReading& machine);
    void read_pressure(MachineReading& machine);
    void read_disks(MachineReading& machine);
    void read_networks(MachineReading& machine);
    bool is_real_disk(std::string_view name);
    void read_file_systems(SurroundingsReading& surroundings);
    void read_power(SurroundingsReading& surroundings);
    void read_temperature(SurroundingsReading& surroundings);
    void read_cgroup(SurroundingsReading& surroundings);
    void read_cpu_quota(CgroupReading& group);
    std::int64_t cores_allowed();
    void describe_names(MonitorMachine& machine);
    std::optional<std::string> variable(const std::string& name) const;
    std::optional<std::string> first_line(std::string_view path);

    const MonitorPlatformOptions options_;
    SystemFiles files_;
    const std::int64_t tick_ns_;
    const std::uint64_t page_bytes_;
    std::int64_t readings_ = 0;
    std::string process_path_;
    std::unordered_map<std::int64_t, Seen> seen_;
    std::optional<bool> has_children_files_;
    std::optional<bool> counts_descriptors_; // the size of /proc/PID/fd is their number, since Linux 6.2
    std::map<std::int64_t, std::vector<std::int64_t>> scanned_;
    std::int64_t scan_due_ = 0;
    std::map<std::string, bool, std::less<>> real_disks_;
};

} // namespace pillion
