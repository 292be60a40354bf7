// Processor time of a tree: the sum of what its processes used would lose all who ended between two readings. The
// kernel adds a process's time to its parent's when it is waited for, so the rise of "own and reaped" over the tree,
// less what those that are gone had, counts everyone once. Where a parent does not wait (it ignores SIGCHLD) nothing is
// added, and that figure may even fall: then the sum over the living is the better one. Of the shell only its own time
// counts, since its other children are not ours.
#include "modules/monitor/monitor_rates.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace pillion {

namespace {

template <class Number>
Number rise_of(Number now, Number before) {
    return now > before ? now - before : Number{};
}

// Nothing where the counter went back: then it began anew at an unknown time.
std::optional<double> rate_of(std::uint64_t now, std::uint64_t before, double span_s) {
    if (now < before || span_s <= 0) return std::nullopt;
    return static_cast<double>(now - before) / span_s;
}

template <class Reading, class Key>
const Reading* find_before(const std::vector<Reading>& readings, Key Reading::*key, const Key& wanted) {
    const auto at = std::ranges::find(readings, wanted, key);
    return at == readings.end() ? nullptr : &*at;
}

std::optional<double> busy_percent(const CoreReading& now, const CoreReading* before) {
    if (before == nullptr || now.total <= before->total || now.busy < before->busy) return std::nullopt;
    const double share = static_cast<double>(now.busy - before->busy) / static_cast<double>(now.total - before->total);
    return 100 * std::min(share, 1.0);
}

void add(std::optional<double>& sum, const std::optional<double>& part) {
    if (part) sum = sum.value_or(0) + *part;
}

void add(MonitorTotals& totals, const MonitorProcess& process) {
    ++totals.processes;
    totals.threads += process.threads;
    totals.descriptors += process.descriptors.value_or(0);
    add(totals.cpuPercent, process.cpuPercent);
    add(totals.cpuMachinePercent, process.cpuMachinePercent);
    const MonitorBasis basis = process.proportionalBytes ? MonitorBasis::proportional : MonitorBasis::resident;
    totals.memoryBasis = totals.processes == 1 || basis == totals.memoryBasis ? basis : MonitorBasis::mixed;
    totals.memoryBytes += process.proportionalBytes.value_or(process.residentBytes);
    totals.privateBytes += process.privateBytes.value_or(0);
    add(totals.readBytesPerSecond, process.readBytesPerSecond);
    add(totals.writtenBytesPerSecond, process.writtenBytesPerSecond);
}

MonitorProcess describe(const ProcessReading& reading, const std::optional<MonitorMemory::Known>& known,
                        std::int64_t now_ns) {
    MonitorProcess process{.pid = reading.pid,
                           .parentPid = reading.parent,
                           .role = reading.role,
                           .name = reading.name,
                           .state = reading.state,
                           .startedAt = reading.started_ms,
                           .cpuSeconds = static_cast<double>(reading.cpu_ns) / 1e9,
                           .residentBytes = reading.resident_bytes,
                           .threads = reading.threads,
                           .descriptors = reading.descriptors,
                           .readBytes = reading.read_bytes,
                           .writtenBytes = reading.written_bytes};
    if (known) {
        process.proportionalBytes = known->memory.proportional_bytes;
        process.privateBytes = known->memory.private_bytes;
        process.swappedBytes = known->memory.swapped_bytes;
        process.memoryAgeMs = (now_ns - known->at_ns) / 1'000'000;
    }
    return process;
}

std::vector<MonitorGap> merge(std::vector<MonitorGap> gaps) {
    std::vector<MonitorGap> merged;
    for (MonitorGap& gap : gaps) {
        const auto same = std::ranges::find_if(
            merged, [&gap](const MonitorGap& other) { return other.what == gap.what && other.why == gap.why; });
        if (same == merged.end())
            merged.push_back(std::move(gap));
        else
            same->processes += gap.processes;
    }
    return merged;
}

} // namespace

MonitorMeasure MonitorRates::next(const MonitorReadings& readings, const ComponentOf& component_of) {
    MonitorMeasure measure;
    MonitorSample& sample = measure.sample;
    sample.at = readings.wall_ms;
    sample.leftOut = readings.tree.left_out;
    span_s_ = 0;
    if (read_ns_) {
        const std::int64_t slept_ns = readings.machine.asleep_ns - machine_.asleep_ns;
        const std::int64_t span_ns = readings.now_ns - *read_ns_;
        if (slept_ns >= asleep_ns_min)
            sample.sleptMs = slept_ns / 1'000'000;
        else if (span_ns > 0 && span_ns <= readings.stale_ns)
            span_s_ = static_cast<double>(span_ns) / 1e9;
        if (span_s_ > 0) sample.spanMs = span_ns / 1'000'000;
    }
    measure_machine(readings, measure);
    measure_processes(readings, component_of, measure);
    for (const auto* gaps : {&readings.tree.gaps, &readings.machine.gaps, &readings.surroundings.gaps})
        sample.unavailable.insert(sample.unavailable.end(), gaps->begin(), gaps->end());
    std::ranges::copy(readings.memory.gaps(), std::back_inserter(sample.unavailable));
    sample.unavailable = merge(std::move(sample.unavailable));
    machine_ = readings.machine;
    read_ns_ = readings.now_ns;
    return measure;
}

// A process whose parent ended has become a child of ours: it still belongs to where it was, or to what was started
// with the same mark.
std::string MonitorRates::component(const ProcessReading& reading, const Process* before,
                                    const ComponentOf& component_of) {
    if (reading.role != MonitorRole::child) return {};
    if (component_of)
        if (std::string named = component_of(reading.pid); !named.empty()) {
            if (!reading.mark.empty()) marked_[reading.mark] = named;
            return named;
        }
    if (const auto parent = processes_.find(reading.parent);
        parent != processes_.end() && !parent->second.component.empty())
        return parent->second.component;
    if (before != nullptr && !before->component.empty()) return before->component;
    const auto marked = reading.mark.empty() ? marked_.end() : marked_.find(reading.mark);
    return marked == marked_.end() ? std::string() : marked->second;
}

void MonitorRates::measure_processes(const MonitorReadings& readings, const ComponentOf& component_of,
                                     MonitorMeasure& measure) {
    MonitorSample& sample = measure.sample;
    const auto cores = static_cast<double>(std::max<std::int64_t>(sample.system.cores, 1));
    Processes before = std::move(processes_);
    processes_.clear();
    TreeTime tree;
    ComponentTimes components;
    std::set<std::string_view> marks;
    for (const ProcessReading& reading : readings.tree.processes) {
        const auto found = before.find(reading.pid);
        const bool is_known = found != before.end() && found->second.started_ns == reading.started_ns;
        Process now{reading.started_ns,
                    reading.role,
                    reading.cpu_ns,
                    reading.reaped_cpu_ns,
                    reading.read_bytes.value_or(0),
                    reading.written_bytes.value_or(0),
                    component(reading, is_known ? &found->second : nullptr, component_of)};
        const double age_s = static_cast<double>(readings.tree.boot_ns - reading.started_ns) / 1e9;
        const bool is_young = !is_known && span_s_ > 0 && age_s <= span_s_ + 0.1;
        const Process then = is_known ? found->second : is_young ? Process{} : now;
        const ProcessRise rise{.cpu_ns = rise_of(now.cpu_ns, then.cpu_ns),
                               .read_bytes = rise_of(now.read_bytes, then.read_bytes),
                               .written_bytes = rise_of(now.written_bytes, then.written_bytes)};
        const std::int64_t whole_ns = reading.role == MonitorRole::shell
                                          ? rise.cpu_ns
                                          : now.cpu_ns + now.reaped_cpu_ns - then.cpu_ns - then.reaped_cpu_ns;
        tree.living_ns += rise.cpu_ns;
        tree.whole_ns += whole_ns;
        if (!now.component.empty()) {
            components[now.component].living_ns += rise.cpu_ns;
            components[now.component].whole_ns += whole_ns;
        }
        if (is_known) before.erase(found);
        if (!reading.mark.empty()) marks.insert(reading.mark);

        MonitorProcess process = describe(reading, readings.memory.find(reading), readings.now_ns);
        if (!now.component.empty()) process.component = now.component;
        if (span_s_ > 0 && (is_known || is_young)) {
            process.cpuPercent = std::min(static_cast<double>(rise.cpu_ns) / 1e7 / span_s_, 100 * cores);
            process.cpuMachinePercent = *process.cpuPercent / cores;
            if (reading.read_bytes) process.readBytesPerSecond = static_cast<double>(rise.read_bytes) / span_s_;
            if (reading.written_bytes)
                process.writtenBytesPerSecond = static_cast<double>(rise.written_bytes) / span_s_;
        }
        processes_[reading.pid] = std::move(now);
        measure.rises.push_back(rise);
        sample.processes.push_back(std::move(process));
    }
    for (const auto& [pid, gone] : before) {
        if (gone.role == MonitorRole::shell) continue;
        tree.whole_ns -= gone.cpu_ns + gone.reaped_cpu_ns;
        if (const auto at = components.find(gone.component); at != components.end())
            at->second.whole_ns -= gone.cpu_ns + gone.reaped_cpu_ns;
    }
    std::erase_if(marked_, [&marks](const auto& marked) { return !marks.contains(marked.first); });
    add_totals(tree, components, sample);
}

void MonitorRates::set_time(const TreeTime& time, MonitorTotals& totals, std::int64_t cores) const {
    totals.cpuPercent = std::min(time.ns() / 1e7 / span_s_, 100 * static_cast<double>(cores));
    totals.cpuMachinePercent = *totals.cpuPercent / static_cast<double>(cores);
}

void MonitorRates::add_totals(const TreeTime& tree, const ComponentTimes& components, MonitorSample& sample) const {
    const std::int64_t cores = std::max<std::int64_t>(sample.system.cores, 1);
    std::map<std::string_view, MonitorTotals> totals;
    for (const MonitorProcess& process : sample.processes) {
        add(sample.total, process);
        if (process.component) add(totals[*process.component], process);
    }
    for (auto& [name, total] : totals) {
        const auto time = components.find(name);
        if (total.cpuPercent && time != components.end()) set_time(time->second, total, cores);
        sample.components.push_back({std::string(name), total});
    }
    if (span_s_ > 0 && !sample.processes.empty()) set_time(tree, sample.total, cores);
    if (sample.system.cpuPercent)
        sample.background.othersCpuPercent =
            std::max(*sample.system.cpuPercent - sample.total.cpuMachinePercent.value_or(0), 0.0);
}

void MonitorRates::measure_machine(const MonitorReadings& readings, MonitorMeasure& measure) {
    const MachineReading& machine = readings.machine;
    const SurroundingsReading& surroundings = readings.surroundings;
    MonitorSample& sample = measure.sample;
    MonitorSystem& system = sample.system;
    system.cores = static_cast<std::int64_t>(machine.cores.size());
    system.effectiveCores = static_cast<double>(system.cores);
    if (surroundings.cores_allowed > 0)
        system.effectiveCores = std::min(system.effectiveCores, static_cast<double>(surroundings.cores_allowed));
    if (span_s_ > 0 && machine.cpu) {
        system.cpuPercent = busy_percent(*machine.cpu, machine_.cpu ? &*machine_.cpu : nullptr);
        for (const CoreReading& core : machine.cores)
            system.corePercents.push_back(
                busy_percent(core, find_before(machine_.cores, &CoreReading::index, core.index)).value_or(0));
    }
    system.load1 = machine.load1;
    system.load5 = machine.load5;
    system.load15 = machine.load15;
    system.memoryBytes = machine.memory_bytes;
    system.memoryAvailableBytes = machine.memory_available_bytes;
    if (machine.memory_bytes > 0) {
        const std::uint64_t used = rise_of(machine.memory_bytes, machine.memory_available_bytes);
        system.memoryUsedShare = static_cast<double>(used) / static_cast<double>(machine.memory_bytes);
    }
    system.swapBytes = machine.swap_bytes;
    system.swapUsedBytes = rise_of(machine.swap_bytes, machine.swap_free_bytes);
    system.pressure = machine.pressure;
    system.fileSystems = surroundings.file_systems;
    system.power = surroundings.power;
    system.hottestCelsius = surroundings.hottest_celsius;
    measure_devices(readings, measure);
    measure_cgroup(readings, sample);
    sample.background = {.busyCpuPercent = system.cpuPercent,
                         .onBattery = system.power && system.power->onBattery,
                         .hottestCelsius = system.hottestCelsius};
}

void MonitorRates::measure_devices(const MonitorReadings& readings, MonitorMeasure& measure) {
    MonitorSystem& system = measure.sample.system;
    for (const DiskReading& disk : readings.machine.disks) {
        MonitorDisk told{.name = disk.name};
        if (const DiskReading* before = find_before(machine_.disks, &DiskReading::name, disk.name)) {
            told.readBytesPerSecond = rate_of(disk.read_bytes, before->read_bytes, span_s_);
            told.writtenBytesPerSecond = rate_of(disk.written_bytes, before->written_bytes, span_s_);
            if (const auto busy = rate_of(disk.busy_ms, before->busy_ms, span_s_))
                told.busyPercent = std::min(*busy / 10, 100.0);
            measure.disk_read_bytes += rise_of(disk.read_bytes, before->read_bytes);
            measure.disk_written_bytes += rise_of(disk.written_bytes, before->written_bytes);
        }
        system.disks.push_back(std::move(told));
    }
    for (const NetworkReading& network : readings.machine.networks) {
        MonitorNetwork told{.name = network.name,
                            .receivedBytes = network.received_bytes,
                            .sentBytes = network.sent_bytes,
                            .errors = network.errors};
        if (const NetworkReading* before = find_before(machine_.networks, &NetworkReading::name, network.name)) {
            told.receivedBytesPerSecond = rate_of(network.received_bytes, before->received_bytes, span_s_);
            told.sentBytesPerSecond = rate_of(network.sent_bytes, before->sent_bytes, span_s_);
            if (network.name != "lo") {
                measure.network_received_bytes += rise_of(network.received_bytes, before->received_bytes);
                measure.network_sent_bytes += rise_of(network.sent_bytes, before->sent_bytes);
            }
        }
        system.networks.push_back(std::move(told));
    }
}

// The group is read less often than the rest: its rates span the time between its own readings.
void MonitorRates::measure_cgroup(const MonitorReadings& readings, MonitorSample& sample) {
    const auto& now = readings.surroundings.cgroup;
    if (!now) return cgroup_.reset();
    if (!cgroup_ || cgroup_->at_ns != readings.surroundings_ns) {
        Cgroup next{.at_ns = readings.surroundings_ns,
                    .reading = *now,
                    .told = {.cpuLimitCores = now->cpu_limit_cores,
                             .memoryLimitBytes = now->memory_limit_bytes,
                             .memoryUsedBytes = now->memory_used_bytes}};
        const double span_ns = cgroup_ && span_s_ > 0 ? static_cast<double>(next.at_ns - cgroup_->at_ns) : 0;
        if (span_ns > 0 && now->cpu_used_ns && cgroup_->reading.cpu_used_ns)
            next.told.cpuUsedCores = rate_of(*now->cpu_used_ns, *cgroup_->reading.cpu_used_ns, span_ns);
        if (span_ns > 0 && now->periods > cgroup_->reading.periods)
            next.told.throttledPercent =
                100 * static_cast<double>(rise_of(now->throttled_periods, cgroup_->reading.throttled_periods)) /
                static_cast<double>(now->periods - cgroup_->reading.periods);
        cgroup_ = next;
    } else if (span_s_ == 0) {
        cgroup_->told.cpuUsedCores.reset();
        cgroup_->told.throttledPercent.reset();
    }
    if (now->cpu_limit_cores)
        sample.system.effectiveCores = std::min(sample.system.effectiveCores, *now->cpu_limit_cores);
    sample.system.cgroup = cgroup_->told;
}

} // namespace pillion
