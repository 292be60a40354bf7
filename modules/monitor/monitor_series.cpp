#include "modules/monitor/monitor_series.h"

#include <algorithm>

namespace pillion {

namespace {

using enum SeriesKind;

// Labels of those of processes: role (self, shell, child), process (its executable), component (where it has one).
constexpr SeriesSpec cpu_time{"process.cpu.time", "Processor time used.", "s", counter};
constexpr SeriesSpec cpu_utilization{"process.cpu.utilization", "Processor time used per second; 1 is one core.", "1",
                                     gauge};
constexpr SeriesSpec memory_usage{"process.memory.usage", "Resident memory.", "By", gauge};
constexpr SeriesSpec memory_private{"process.memory.private", "Memory that no other process has.", "By", gauge};
constexpr SeriesSpec memory_proportional{"process.memory.proportional",
                                         "Memory, with shared pages divided among their users.", "By", gauge};
constexpr SeriesSpec thread_count{"process.thread.count", "Threads.", "{thread}", gauge};
constexpr SeriesSpec descriptor_count{"process.open_file_descriptor.count", "Open descriptors.", "{file_descriptor}",
                                      gauge};
// Labels: role, process, component as the others; direction (read, write).
constexpr SeriesSpec process_disk_io{"process.disk.io", "Bytes read from and written to disks.", "By", counter};
constexpr SeriesSpec tree_memory{
    "pillion.tree.memory", "Memory of Pillion, its shell and all children, shared pages counted once.", "By", gauge};
constexpr SeriesSpec tree_cpu{"pillion.tree.cpu.utilization", "Processor time of the tree per second; 1 is one core.",
                              "1", gauge};
constexpr SeriesSpec tree_processes{"pillion.tree.processes", "Processes of the tree.", "{process}", gauge};
constexpr SeriesSpec system_cpu{
    "system.cpu.utilization",
    "Share of all cores that is busy; of the control group's quota where that is nearer to its limit.", "1", gauge};
constexpr SeriesSpec system_load{"system.load", "Load of the last minute; 1 is one task per core.", "1", gauge};
constexpr SeriesSpec system_memory{"system.memory.utilization",
                                   "Share of memory in use; of the control group's limit where that is nearer.", "1",
                                   gauge};
constexpr SeriesSpec system_memory_available{"system.memory.available", "Memory to be had without swapping.", "By",
                                             gauge};
constexpr SeriesSpec system_swap{"system.swap.utilization", "Share of swap in use.", "1", gauge};
// Labels: resource (cpu, memory, io), kind (some, full).
constexpr SeriesSpec system_pressure{"system.pressure", "Share of the last 10 s in which tasks waited for a resource.",
                                     "1", gauge};
// Labels: mountpoint.
constexpr SeriesSpec system_filesystem{"system.filesystem.utilization", "Share of a file system in use.", "1", gauge};
// Labels: direction (read, write).
constexpr SeriesSpec system_disk_io{"system.disk.io", "Bytes read from and written to all disks.", "By", counter};
// Labels: direction (receive, transmit).
constexpr SeriesSpec system_network_io{"system.network.io", "Bytes of all network interfaces, loopback left out.", "By",
                                       counter};
constexpr SeriesSpec battery_charge{"system.battery.charge", "Charge of the battery.", "1", gauge};

constexpr SeriesSpec all_series[] = {
    cpu_time,       cpu_utilization,  memory_usage,      memory_private, memory_proportional,
    thread_count,   descriptor_count, process_disk_io,   tree_memory,    tree_cpu,
    tree_processes, system_cpu,       system_load,       system_memory,  system_memory_available,
    system_swap,    system_pressure,  system_filesystem, system_disk_io, system_network_io,
    battery_charge};

std::string_view role_name(MonitorRole role) {
    return role == MonitorRole::self ? "self" : role == MonitorRole::shell ? "shell" : "child";
}

// What processes of equal labels add up to. An absent member is known of none of them; figures of memory maps count
// only where they are known of all, or the sum would jump when the last one is walked.
struct Sum {
    bool is_self = false;
    std::optional<double> cpu{}, private_bytes{}, proportional_bytes{}, descriptors{};
    bool is_private_known = true, is_proportional_known = true;
    double resident_bytes = 0;
    double threads = 0;
    bool has_io = false;
    double cpu_s_rise = 0, read_rise = 0, written_rise = 0;
};

void add(std::optional<double>& sum, double part) { sum = sum.value_or(0) + part; }

void add(Sum& sum, const MonitorProcess& process, const ProcessRise& rise) {
    sum.is_self = process.role == MonitorRole::self;
    if (process.cpuPercent) add(sum.cpu, *process.cpuPercent / 100);
    if (process.privateBytes) add(sum.private_bytes, static_cast<double>(*process.privateBytes));
    if (process.proportionalBytes) add(sum.proportional_bytes, static_cast<double>(*process.proportionalBytes));
    if (process.descriptors) add(sum.descriptors, static_cast<double>(*process.descriptors));
    sum.is_private_known = sum.is_private_known && process.privateBytes;
    sum.is_proportional_known = sum.is_proportional_known && process.proportionalBytes;
    sum.resident_bytes += static_cast<double>(process.residentBytes);
    sum.threads += static_cast<double>(process.threads);
    sum.has_io = sum.has_io || process.readBytes || process.writtenBytes;
    sum.cpu_s_rise += static_cast<double>(rise.cpu_ns) / 1e9;
    sum.read_rise += static_cast<double>(rise.read_bytes);
    sum.written_rise += static_cast<double>(rise.written_bytes);
}

SeriesLabels with(SeriesLabels labels, std::string name, std::string value) {
    labels.emplace(std::move(name), std::move(value));
    return labels;
}

void write_if_known(const MonitorSink& sink, const SeriesSpec& series, const SeriesLabels& labels,
                    const std::optional<double>& value) {
    if (value) sink(series, labels, *value);
}

} // namespace

std::span<const SeriesSpec> monitor_series() { return all_series; }

void MonitorSeriesWriter::write(const MonitorMeasure& measure, const MonitorSink& sink) {
    write_processes(measure, sink);
    write_machine(measure, sink);
}

void MonitorSeriesWriter::write_processes(const MonitorMeasure& measure, const MonitorSink& sink) {
    std::map<SeriesLabels, Sum> sums;
    for (std::size_t i = 0; i < measure.sample.processes.size(); ++i) {
        const MonitorProcess& process = measure.sample.processes[i];
        SeriesLabels labels{{"role", std::string(role_name(process.role))}, {"process", process.name}};
        if (process.component) labels.emplace("component", *process.component);
        add(sums[std::move(labels)], process, measure.rises[i]);
    }
    std::map<SeriesLabels, Totals> totals;
    for (const auto& [labels, sum] : sums) {
        const auto before = totals_.find(labels);
        Totals& total = totals[labels] = before == totals_.end() ? Totals{} : before->second;
        total.cpu_s += sum.cpu_s_rise;
        total.read_bytes += sum.read_rise;
        total.written_bytes += sum.written_rise;
        if (!sum.is_self) { // the sampler of Pillion's own metrics has these of itself
            sink(cpu_time, labels, total.cpu_s);
            sink(memory_usage, labels, sum.resident_bytes);
        }
        write_if_known(sink, cpu_utilization, labels, sum.cpu);
        if (sum.is_private_known) write_if_known(sink, memory_private, labels, sum.private_bytes);
        if (sum.is_proportional_known) write_if_known(sink, memory_proportional, labels, sum.proportional_bytes);
        sink(thread_count, labels, sum.threads);
        write_if_known(sink, descriptor_count, labels, sum.descriptors);
        if (sum.has_io) {
            sink(process_disk_io, with(labels, "direction", "read"), total.read_bytes);
            sink(process_disk_io, with(labels, "direction", "write"), total.written_bytes);
        }
    }
    totals_ = std::move(totals);
    const MonitorTotals& total = measure.sample.total;
    if (total.processes == 0) return;
    sink(tree_memory, {}, static_cast<double>(total.memoryBytes));
    sink(tree_processes, {}, static_cast<double>(total.processes));
    if (total.cpuPercent) sink(tree_cpu, {}, *total.cpuPercent / 100);
}

void MonitorSeriesWriter::write_machine(const MonitorMeasure& measure, const MonitorSink& sink) {
    const MonitorSystem& system = measure.sample.system;
    std::optional<double> group_cpu, group_memory;
    if (system.cgroup) {
        const MonitorCgroup& group = *system.cgroup;
        if (group.cpuLimitCores && *group.cpuLimitCores > 0 && group.cpuUsedCores)
            group_cpu = std::min(*group.cpuUsedCores / *group.cpuLimitCores, 1.0);
        if (group.memoryLimitBytes && group.memoryUsedBytes)
            group_memory = *group.memoryLimitBytes == 0 ? 1.0
                                                        : static_cast<double>(*group.memoryUsedBytes) /
                                                              static_cast<double>(*group.memoryLimitBytes);
    }
    if (system.cpuPercent) sink(system_cpu, {}, std::max(*system.cpuPercent / 100, group_cpu.value_or(0)));
    if (system.load1 && system.cores > 0) sink(system_load, {}, *system.load1 / static_cast<double>(system.cores));
    if (system.memoryUsedShare) {
        sink(system_memory, {}, std::max(*system.memoryUsedShare, group_memory.value_or(0)));
        sink(system_memory_available, {}, static_cast<double>(system.memoryAvailableBytes));
    }
    if (system.swapBytes > 0)
        sink(system_swap, {}, static_cast<double>(system.swapUsedBytes) / static_cast<double>(system.swapBytes));
    for (const MonitorPressure& pressure : system.pressure) {
        const SeriesLabels labels{{"resource", pressure.resource}};
        sink(system_pressure, with(labels, "kind", "some"), pressure.someAvg10Percent / 100);
        if (pressure.fullAvg10Percent)
            sink(system_pressure, with(labels, "kind", "full"), *pressure.fullAvg10Percent / 100);
    }
    for (const MonitorFileSystem& files : system.fileSystems)
        sink(system_filesystem, {{"mountpoint", files.mountpoint}}, files.usedShare);
    if (!system.disks.empty()) {
        disks_.read_bytes += static_cast<double>(measure.disk_read_bytes);
        disks_.written_bytes += static_cast<double>(measure.disk_written_bytes);
        sink(system_disk_io, {{"direction", "read"}}, disks_.read_bytes);
        sink(system_disk_io, {{"direction", "write"}}, disks_.written_bytes);
    }
    if (!system.networks.empty()) {
        received_bytes_ += static_cast<double>(measure.network_received_bytes);
        sent_bytes_ += static_cast<double>(measure.network_sent_bytes);
        sink(system_network_io, {{"direction", "receive"}}, received_bytes_);
        sink(system_network_io, {{"direction", "transmit"}}, sent_bytes_);
    }
    if (system.power && system.power->chargePercent) sink(battery_charge, {}, *system.power->chargePercent / 100);
}

} // namespace pillion
