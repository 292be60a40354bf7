// Makes a sample of raw counters: differences, rates, shares and sums. Knows no clock and no system: what it is given
// decides. Belongs to the Monitor's reading thread.
#pragma once

#include "modules/monitor/monitor_memory.h"
#include "modules/monitor/monitor_platform.h"
#include "modules/monitor/monitor_sample.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace pillion {

struct MonitorReadings {
    std::int64_t now_ns = 0; // monotonic
    std::int64_t wall_ms = 0;
    std::int64_t stale_ns = 0; // the longest time that rates may span
    const TreeReading& tree;
    const MachineReading& machine;
    const SurroundingsReading& surroundings;
    std::int64_t surroundings_ns = 0; // when those were read, monotonic
    const MonitorMemory& memory;
};

// By how much counters rose since the previous readings; nothing where there were none.
struct ProcessRise {
    std::int64_t cpu_ns = 0;
    std::uint64_t read_bytes = 0;
    std::uint64_t written_bytes = 0;
};
struct MonitorMeasure {
    MonitorSample sample{};
    std::vector<ProcessRise> rises{}; // in the order of the sample's processes
    std::uint64_t disk_read_bytes = 0;
    std::uint64_t disk_written_bytes = 0;
    std::uint64_t network_received_bytes = 0; // loopback left out
    std::uint64_t network_sent_bytes = 0;
};

class MonitorRates {
  public:
    using ComponentOf = std::function<std::string(std::int64_t pid)>;
    // Monotonic time stands still while the machine sleeps; the clocks are read one after the other, hence a slack.
    static constexpr std::int64_t asleep_ns_min = 500'000'000;

    MonitorMeasure next(const MonitorReadings& readings, const ComponentOf& component_of);
    // When the previous readings were taken.
    std::optional<std::int64_t> read_ns() const { return read_ns_; }

  private:
    struct Process {
        std::int64_t started_ns = 0;
        MonitorRole role = MonitorRole::child;
        std::int64_t cpu_ns = 0;
        std::int64_t reaped_cpu_ns = 0;
        std::uint64_t read_bytes = 0;
        std::uint64_t written_bytes = 0;
        std::string component{};
    };
    using Processes = std::unordered_map<std::int64_t, Process>;
    struct Cgroup {
        std::int64_t at_ns = 0;
        CgroupReading reading{};
        MonitorCgroup told{};
    };

    void measure_processes(const MonitorReadings& readings, const ComponentOf& component_of, MonitorMeasure& measure);
    // Processor time of some processes and of those below them that ended, each counted once.
    struct TreeTime {
        std::int64_t living_ns = 0, whole_ns = 0;
        double ns() const { return static_cast<double>(std::max(living_ns, whole_ns)); }
    };
    using ComponentTimes = std::map<std::string, TreeTime, std::less<>>;
    std::string component(const ProcessReading& reading, const Process* before, const ComponentOf& component_of);
    void add_totals(const TreeTime& tree, const ComponentTimes& components, MonitorSample& sample) const;
    void set_time(const TreeTime& time, MonitorTotals& totals, std::int64_t cores) const;
    void measure_machine(const MonitorReadings& readings, MonitorMeasure& measure);
    void measure_devices(const MonitorReadings& readings, MonitorMeasure& measure);
    void measure_cgroup(const MonitorReadings& readings, MonitorSample& sample);

    std::optional<std::int64_t> read_ns_;
    double span_s_ = 0; // between the readings that are compared; 0: they cannot be
    Processes processes_;
    std::map<std::string, std::string> marked_; // components by the mark of their processes
    MachineReading machine_;
    std::optional<Cgroup> cgroup_;
};

} // namespace pillion
