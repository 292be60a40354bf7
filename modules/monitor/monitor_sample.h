// What the monitor tells: one sample of the tree of processes and of the machine, and what the machine is. Plain data
// that is passed by value and never changed after it was made; any thread. Percentages of CPU are of one core where
// nothing else is said, so that 250 means two and a half cores.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

enum class MonitorRole : std::uint8_t { self, shell, child };
enum class MonitorState : std::uint8_t { running, sleeping, waiting, stopped, zombie, other };
// What a figure of memory is made of: proportional does not count shared pages twice, resident may.
enum class MonitorBasis : std::uint8_t { proportional, mixed, resident };

struct MonitorProcess {
    std::int64_t pid = 0;
    std::int64_t parentPid = 0;
    MonitorRole role = MonitorRole::child;
    std::string name{};
    std::optional<std::string> component{};
    MonitorState state = MonitorState::other;
    std::int64_t startedAt = 0;
    std::optional<double> cpuPercent{};
    std::optional<double> cpuMachinePercent{};
    double cpuSeconds = 0;
    std::uint64_t residentBytes = 0;
    std::optional<std::uint64_t> proportionalBytes{};
    std::optional<std::uint64_t> privateBytes{};
    std::optional<std::uint64_t> swappedBytes{};
    std::optional<std::int64_t> memoryAgeMs{};
    std::int64_t threads = 0;
    std::optional<std::int64_t> descriptors{};
    std::optional<std::uint64_t> readBytes{};
    std::optional<std::uint64_t> writtenBytes{};
    std::optional<double> readBytesPerSecond{};
    std::optional<double> writtenBytesPerSecond{};
};

// Sums over processes. Those that could not be known are left out of a sum; memory falls back to resident bytes.
struct MonitorTotals {
    std::int64_t processes = 0;
    std::int64_t threads = 0;
    std::int64_t descriptors = 0;
    std::optional<double> cpuPercent{};
    std::optional<double> cpuMachinePercent{};
    std::uint64_t memoryBytes = 0;
    MonitorBasis memoryBasis = MonitorBasis::proportional;
    std::uint64_t privateBytes = 0;
    std::optional<double> readBytesPerSecond{};
    std::optional<double> writtenBytesPerSecond{};
};

struct MonitorComponent {
    std::string component{};
    MonitorTotals totals{};
};

struct MonitorPressure {
    std::string resource{};
    double someAvg10Percent = 0;
    double someAvg60Percent = 0;
    std::optional<double> fullAvg10Percent{};
    std::optional<double> fullAvg60Percent{};
};

struct MonitorDisk {
    std::string name{};
    std::optional<double> readBytesPerSecond{};
    std::optional<double> writtenBytesPerSecond{};
    std::optional<double> busyPercent{};
};

struct MonitorFileSystem {
    std::string mountpoint{};
    std::string type{};
    std::uint64_t totalBytes = 0;
    std::uint64_t availableBytes = 0;
    double usedShare = 0;
};

struct MonitorNetwork {
    std::string name{};
    std::uint64_t receivedBytes = 0;
    std::uint64_t sentBytes = 0;
    std::optional<double> receivedBytesPerSecond{};
    std::optional<double> sentBytesPerSecond{};
    std::uint64_t errors = 0;
};

struct MonitorPower {
    bool onBattery = false;
    std::optional<double> chargePercent{};
};

// The process's control group, of those above it the one that binds; absent limits bind nothing.
struct MonitorCgroup {
    std::optional<double> cpuLimitCores{};
    std::optional<double> cpuUsedCores{};
    std::optional<double> throttledPercent{};
    std::optional<std::uint64_t> memoryLimitBytes{};
    std::optional<std::uint64_t> memoryUsedBytes{};
};

struct MonitorSystem {
    std::int64_t cores = 0;
    double effectiveCores = 0;
    std::optional<double> cpuPercent{};
    std::vector<double> corePercents{};
    std::optional<double> load1{};
    std::optional<double> load5{};
    std::optional<double> load15{};
    std::uint64_t memoryBytes = 0;
    std::uint64_t memoryAvailableBytes = 0;
    std::optional<double> memoryUsedShare{};
    std::uint64_t swapBytes = 0;
    std::uint64_t swapUsedBytes = 0;
    std::vector<MonitorPressure> pressure{};
    std::vector<MonitorDisk> disks{};
    std::vector<MonitorFileSystem> fileSystems{};
    std::vector<MonitorNetwork> networks{};
    std::optional<MonitorPower> power{};
    std::optional<double> hottestCelsius{};
    std::optional<MonitorCgroup> cgroup{};
};

// Whether work that can wait should: what a scheduler of background work asks.
struct MonitorConditions {
    std::optional<double> busyCpuPercent{};
    std::optional<double> othersCpuPercent{};
    bool onBattery = false;
    std::optional<double> hottestCelsius{};
};

// Something that could not be seen, and why.
struct MonitorGap {
    std::string what{};
    std::string why{};
    std::int64_t processes = 0;
    friend bool operator==(const MonitorGap&, const MonitorGap&) = default;
};

struct MonitorSample {
    std::int64_t at = 0;
    std::optional<std::int64_t> spanMs{};
    std::int64_t sleptMs = 0;
    std::vector<MonitorProcess> processes{};
    std::int64_t leftOut = 0;
    MonitorTotals total{};
    std::vector<MonitorComponent> components{};
    MonitorSystem system{};
    MonitorConditions background{};
    double readingMs = 0;
    std::optional<double> costPercent{};
    std::vector<MonitorGap> unavailable{};
};

// What does not change from second to second.
struct MonitorMachine {
    std::string os{};
    std::string kernel{};
    std::string architecture{};
    std::string cpuModel{};
    std::int64_t cores = 0;
    double effectiveCores = 0;
    std::uint64_t memoryBytes = 0;
    std::uint64_t effectiveMemoryBytes = 0;
    std::uint64_t swapBytes = 0;
    std::vector<MonitorFileSystem> fileSystems{};
    std::optional<std::string> desktop{};
    std::optional<std::string> session{};
    std::optional<std::string> container{};
    bool isVirtual = false;
    std::optional<std::int64_t> bootedAt{};
    std::map<std::string, std::string> versions{};
    std::vector<MonitorGap> unavailable{};
};

} // namespace pillion
