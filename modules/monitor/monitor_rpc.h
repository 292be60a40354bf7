// How the monitor looks on the wire: descriptions of its structs, the methods `monitor.*`, the event of the topic
// `monitor`. Constants; any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/monitor/monitor.h"

#include <vector>

namespace pillion {

PILLION_ENUM(MonitorRole, "self", "shell", "child")
PILLION_ENUM(MonitorState, "running", "sleeping", "waiting", "stopped", "zombie", "other")
PILLION_ENUM(MonitorBasis, "proportional", "mixed", "resident")

PILLION_WIRE(MonitorConfig,
             PILLION_FIELD(enabled,
                           "Whether processes and the machine are watched from the start on, not only while somebody "
                           "asks for it.",
                           defaulted, live),
             PILLION_FIELD(intervalMs, "Time between two samples, in milliseconds, where a client asked for no other.",
                           between(Monitor::interval_ms_min, Monitor::interval_ms_max), defaulted, live),
             PILLION_FIELD(leaksMs, "Time between two searches for processes that leak memory, in milliseconds.",
                           between(1000, 3'600'000), defaulted, live))

PILLION_WIRE(
    MonitorProcess, PILLION_FIELD(pid, "Its process id."),
    PILLION_FIELD(parentPid, "The process that started it, or took it over."),
    PILLION_FIELD(role, "`self` is Pillion, `shell` the program that started it, `child` what descends from Pillion."),
    PILLION_FIELD(name, "Its executable; of a process of another user the first 15 characters of its name."),
    PILLION_FIELD(component, "The component or backend it was started for; descendants belong to it too."),
    PILLION_FIELD(state, "What it is doing; `waiting` is for a disk."),
    PILLION_FIELD(startedAt, "When it started, in milliseconds since the Unix epoch."),
    PILLION_FIELD(cpuPercent, "Processor time, in percent of one core; absent without an earlier reading."),
    PILLION_FIELD(cpuMachinePercent, "The same in percent of all cores."),
    PILLION_FIELD(cpuSeconds, "Processor time since it started."), PILLION_FIELD(residentBytes, "Resident memory."),
    PILLION_FIELD(proportionalBytes,
                  "Memory with shared pages divided among their users (PSS); absent where not permitted."),
    PILLION_FIELD(privateBytes, "Memory that no other process has; where its maps are refused, memory of no file."),
    PILLION_FIELD(swappedBytes, "Memory that is swapped out."),
    PILLION_FIELD(
        memoryAgeMs,
        "How old these three are, in milliseconds: they are dear to read, so they are not read each time. What "
        "the resident memory has moved by since is added."),
    PILLION_FIELD(threads, "Its threads."), PILLION_FIELD(descriptors, "Its open descriptors."),
    PILLION_FIELD(readBytes, "Bytes it read from disks since it started."),
    PILLION_FIELD(writtenBytes, "Bytes it wrote to disks since it started."),
    PILLION_FIELD(readBytesPerSecond, "Bytes read from disks per second."),
    PILLION_FIELD(writtenBytesPerSecond, "Bytes written to disks per second."))

PILLION_WIRE(
    MonitorTotals, PILLION_FIELD(processes, "How many processes."), PILLION_FIELD(threads, "Their threads."),
    PILLION_FIELD(descriptors, "Their open descriptors, where known."),
    PILLION_FIELD(cpuPercent, "Processor time, in percent of one core, with that of processes that have ended since."),
    PILLION_FIELD(cpuMachinePercent, "The same in percent of all cores."),
    PILLION_FIELD(memoryBytes, "Memory, shared pages counted once: the sum of proportional memory, and of resident "
                               "memory where that is not known."),
    PILLION_FIELD(memoryBasis, "What that sum is made of; `resident` and `mixed` may count shared pages twice."),
    PILLION_FIELD(privateBytes, "Memory that only one process has, where known."),
    PILLION_FIELD(readBytesPerSecond, "Bytes read from disks per second."),
    PILLION_FIELD(writtenBytesPerSecond, "Bytes written to disks per second."))

PILLION_WIRE(MonitorComponent, PILLION_FIELD(component, "The component or backend."),
             PILLION_FIELD(totals, "Its processes together."))

PILLION_WIRE(MonitorPressure, PILLION_FIELD(resource, "What was waited for: `cpu`, `memory` or `io`."),
             PILLION_FIELD(someAvg10Percent, "Percent of the last 10 s in which some task waited."),
             PILLION_FIELD(someAvg60Percent, "The same of the last 60 s."),
             PILLION_FIELD(fullAvg10Percent, "Percent of the last 10 s in which all tasks waited."),
             PILLION_FIELD(fullAvg60Percent, "The same of the last 60 s."))

PILLION_WIRE(MonitorDisk, PILLION_FIELD(name, "The device; partitions and devices made of others are left out."),
             PILLION_FIELD(readBytesPerSecond, "Bytes read per second."),
             PILLION_FIELD(writtenBytesPerSecond, "Bytes written per second."),
             PILLION_FIELD(busyPercent, "Percent of the time in which it had something to do."))

PILLION_WIRE(MonitorFileSystem, PILLION_FIELD(mountpoint, "Where it is mounted."), PILLION_FIELD(type, "Its type."),
             PILLION_FIELD(totalBytes, "Its size."), PILLION_FIELD(availableBytes, "What may still be written."),
             PILLION_FIELD(usedShare, "Share in use of what is not reserved for the superuser, 0 to 1, as df has it."))

PILLION_WIRE(MonitorNetwork, PILLION_FIELD(name, "The interface."),
             PILLION_FIELD(receivedBytes, "Bytes received since it is up."),
             PILLION_FIELD(sentBytes, "Bytes sent since it is up."),
             PILLION_FIELD(receivedBytesPerSecond, "Bytes received per second."),
             PILLION_FIELD(sentBytesPerSecond, "Bytes sent per second."),
             PILLION_FIELD(errors, "Errors of receiving and sending since it is up."))

PILLION_WIRE(MonitorPower, PILLION_FIELD(onBattery, "Whether it runs on its battery."),
             PILLION_FIELD(chargePercent, "Charge of the battery; the mean of several."))

PILLION_WIRE(MonitorCgroup, PILLION_FIELD(cpuLimitCores, "Most cores it may use at once; absent without a limit."),
             PILLION_FIELD(cpuUsedCores, "Cores that the group with that limit uses, over the last seconds."),
             PILLION_FIELD(throttledPercent, "Percent of the scheduler's periods in which the limit stopped it."),
             PILLION_FIELD(memoryLimitBytes, "Most memory it may use; absent without a limit."),
             PILLION_FIELD(memoryUsedBytes,
                           "What counts against that: all that is charged but file pages that would be dropped first."))

PILLION_WIRE(MonitorSystem, PILLION_FIELD(cores, "Processor cores that are switched on."),
             PILLION_FIELD(effectiveCores, "Cores to be had, by the affinity and the control group's quota."),
             PILLION_FIELD(cpuPercent, "Busy time, in percent of all cores."),
             PILLION_FIELD(corePercents, "Of each core."),
             PILLION_FIELD(load1, "Tasks that run or wait to, mean of 1 min."), PILLION_FIELD(load5, "Mean of 5 min."),
             PILLION_FIELD(load15, "Mean of 15 min."), PILLION_FIELD(memoryBytes, "Memory; 0 where unknown."),
             PILLION_FIELD(memoryAvailableBytes, "What could be had without swapping."),
             PILLION_FIELD(memoryUsedShare, "Share of the memory that could not, 0 to 1."),
             PILLION_FIELD(swapBytes, "Swap; 0 for none."), PILLION_FIELD(swapUsedBytes, "Swap in use."),
             PILLION_FIELD(pressure, "Time lost to waiting, by resource (PSI)."), PILLION_FIELD(disks, "Disks."),
             PILLION_FIELD(fileSystems, "The file systems of the root, the home folder and the data directory."),
             PILLION_FIELD(networks, "Network interfaces, loopback among them."),
             PILLION_FIELD(power, "Battery; absent without one."),
             PILLION_FIELD(hottestCelsius, "Temperature of the hottest zone, where told."),
             PILLION_FIELD(cgroup, "The process's control group; absent where there is none."))

PILLION_WIRE(MonitorConditions, PILLION_FIELD(busyCpuPercent, "Busy time, in percent of all cores."),
             PILLION_FIELD(othersCpuPercent, "Of that, what is not of Pillion's tree."),
             PILLION_FIELD(onBattery, "Whether the machine runs on its battery."),
             PILLION_FIELD(hottestCelsius, "Temperature of the hottest zone, where told."))

PILLION_WIRE(MonitorGap, PILLION_FIELD(what, "What could not be seen."), PILLION_FIELD(why, "Why."),
             PILLION_FIELD(processes, "Of how many processes; 0 where it is no matter of processes."))

PILLION_WIRE(MonitorSample, PILLION_FIELD(at, "When it was read, in milliseconds since the Unix epoch."),
             PILLION_FIELD(spanMs,
                           "What rates span, in milliseconds; absent where there are none: at the first reading, after "
                           "a pause and after a sleep of the machine."),
             PILLION_FIELD(sleptMs, "How long the machine slept since the reading before, in milliseconds."),
             PILLION_FIELD(processes,
                           "Pillion, the program that started it, and all that descends from Pillion; a parent "
                           "stands before its children."),
             PILLION_FIELD(leftOut, "Processes that are not listed because there are too many."),
             PILLION_FIELD(total, "All these together."), PILLION_FIELD(components, "The same by component."),
             PILLION_FIELD(system, "The machine."),
             PILLION_FIELD(background, "What work that can wait should look at before it begins."),
             PILLION_FIELD(readingMs, "Processor time that this reading took, in milliseconds."),
             PILLION_FIELD(costPercent, "Processor time that readings take, in percent of one core."),
             PILLION_FIELD(unavailable, "What could not be seen, and why."))

PILLION_WIRE(MonitorMachine, PILLION_FIELD(os, "The operating system with its version."),
             PILLION_FIELD(kernel, "Its kernel."), PILLION_FIELD(architecture, "The processor's architecture."),
             PILLION_FIELD(cpuModel, "The processor."), PILLION_FIELD(cores, "Processor cores that are switched on."),
             PILLION_FIELD(effectiveCores, "Cores to be had, by the affinity and the control group's quota."),
             PILLION_FIELD(memoryBytes, "Memory; 0 where unknown."),
             PILLION_FIELD(effectiveMemoryBytes, "Memory to be had, by the control group's limit."),
             PILLION_FIELD(swapBytes, "Swap; 0 for none."),
             PILLION_FIELD(fileSystems, "The file systems of the root, the home folder and the data directory."),
             PILLION_FIELD(desktop, "The desktop, where there is one."),
             PILLION_FIELD(session, "The kind of session, `wayland` or `x11`."),
             PILLION_FIELD(container, "What it runs in: `flatpak`, `snap`, `podman` or `docker`."),
             PILLION_FIELD(isVirtual, "Whether the processor says that it is a virtual machine's."),
             PILLION_FIELD(bootedAt, "When the machine was started, in milliseconds since the Unix epoch."),
             PILLION_FIELD(versions, "Versions of programs and libraries, by name."),
             PILLION_FIELD(unavailable, "What could not be seen, and why."))

struct MonitorStartParams {
    std::optional<std::int64_t> intervalMs{};
};
PILLION_WIRE(MonitorStartParams,
             PILLION_FIELD(intervalMs,
                           "Time between two samples, in milliseconds; that of the configuration if absent.",
                           between(Monitor::interval_ms_min, Monitor::interval_ms_max)))

PILLION_WIRE(MonitorStatus,
             PILLION_FIELD(running, "Whether samples are taken: it was started, or somebody wants them."),
             PILLION_FIELD(started, "Whether it was started and not stopped."),
             PILLION_FIELD(intervalMs, "Time between two samples, in milliseconds."),
             PILLION_FIELD(samples, "Samples taken so far."),
             PILLION_FIELD(latestAt, "When the latest was taken, in milliseconds since the Unix epoch."),
             PILLION_FIELD(costPercent, "Processor time that samples take, in percent of one core."))

inline constexpr Event monitor_sample_event =
    event<MonitorSample>("monitor.sample", "monitor", EventKind::sample, "Processes and the machine were read.");

// The methods; `monitor` outlives them.
std::vector<Method> monitor_methods(Monitor& monitor);

} // namespace pillion
