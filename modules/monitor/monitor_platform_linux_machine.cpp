// The machine as proc(5) and sysfs show it. Of block devices only those count that stand on hardware: partitions, loop,
// device-mapper and RAID devices would count the same bytes again. Of file systems only those that matter to Pillion
// are asked, and no network ones, since statvfs(2) waits for a server that is gone. A CPU quota above the process's
// group binds too, so all ancestors are asked, as for memory (memory_system.cpp).
#include "modules/memory/memory.h"
#include "modules/monitor/monitor_linux.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::uint64_t sector_bytes = 512; // of /proc/diskstats, whatever the device's own
constexpr std::string_view network_types[] = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "9p", "autofs"};

std::int64_t clock_ns(clockid_t clock) {
    timespec now{};
    if (::clock_gettime(clock, &now) != 0) return 0;
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// "cpu3 user nice system idle iowait irq softirq steal ..."; time of guests is in that of users already.
std::optional<CoreReading> parse_core(std::string_view line) {
    std::string_view label = text::take_word(line);
    if (!label.starts_with("cpu")) return std::nullopt;
    label.remove_prefix(3);
    CoreReading core{.index = label.empty() ? -1 : static_cast<std::int64_t>(text::number(label).value_or(0))};
    std::array<std::uint64_t, 8> times{};
    std::size_t count = 0;
    for (; count < times.size(); ++count) {
        const auto time = text::number(text::take_word(line));
        if (!time) break;
        times[count] = *time;
        core.total += *time;
    }
    if (count < 4) return std::nullopt;
    core.busy = core.total - times[3] - times[4];
    return core;
}

// mountinfo writes blanks and backslashes as three octal digits.
std::string unescape(std::string_view text) {
    std::string plain;
    const auto is_octal = [](char digit) { return digit >= '0' && digit <= '7'; };
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '\\' && at + 3 < text.size() && is_octal(text[at + 1]) && is_octal(text[at + 2]) &&
            is_octal(text[at + 3])) {
            plain += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0'));
            at += 3;
        } else
            plain += text[at];
    }
    return plain;
}

struct Mount {
    std::string point{};
    std::string type{};
};

// "36 35 98:0 /mounted/folder /mount/point options fields... - type source options"
std::optional<Mount> parse_mount(std::string_view line) {
    std::string_view point;
    for (int field = 0; field < 5; ++field) point = text::take_word(line);
    const std::size_t dash = line.find(" - ");
    if (point.empty() || dash == std::string_view::npos) return std::nullopt;
    std::string_view rest = line.substr(dash + 3);
    return Mount{unescape(point), std::string(text::take_word(rest))};
}

bool holds(const std::string& point, const std::string& folder) {
    if (point == "/") return true;
    return folder.starts_with(point) && (folder.size() == point.size() || folder[point.size()] == '/');
}

bool is_network_type(const std::string& type) {
    return std::ranges::find(network_types, type) != std::end(network_types) ||
           (type.starts_with("fuse.") && type != "fuse.portal");
}

std::optional<FileSystemSpace> space_at(const std::string& path) {
    struct statvfs system {};
    if (::statvfs(path.c_str(), &system) != 0) return std::nullopt;
    const auto bytes = [&system](fsblkcnt_t blocks) { return std::uint64_t{blocks} * system.f_frsize; };
    return FileSystemSpace{bytes(system.f_blocks), bytes(system.f_bfree), bytes(system.f_bavail)};
}

// As df(1) has it: what is reserved for the superuser is neither used nor to be had.
double used_share(const FileSystemSpace& space) {
    const std::uint64_t used = space.total_bytes - std::min(space.free_bytes, space.total_bytes);
    const std::uint64_t reachable = used + space.available_bytes;
    return reachable == 0 ? 0 : static_cast<double>(used) / static_cast<double>(reachable);
}

// "0-3,8" as 5.
std::int64_t count_list(std::string_view list) {
    std::int64_t count = 0;
    while (!list.empty()) {
        const std::string_view part = list.substr(0, list.find(','));
        list.remove_prefix(std::min(part.size() + 1, list.size()));
        const std::size_t dash = part.find('-');
        const auto low = text::number(part);
        const auto high = dash == std::string_view::npos ? low : text::number(part.substr(dash + 1));
        if (!low || !high || *high < *low || *high - *low >= 65'536) return 0;
        count += static_cast<std::int64_t>(*high - *low) + 1;
    }
    return count;
}

std::string_view without_blanks(std::string_view text) {
    const std::size_t begin = std::min(text.find_first_not_of(" \t\n"), text.size());
    const std::size_t end = text.find_last_not_of(" \t\n");
    return end == std::string_view::npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

} // namespace

std::optional<std::string> LinuxMonitorPlatform::variable(const std::string& name) const {
    if (options_.variable) return options_.variable(name);
    const char* const value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::optional<std::string> LinuxMonitorPlatform::first_line(std::string_view path) {
    auto text = files_.find(path);
    if (!text) return std::nullopt;
    return std::string(without_blanks(text::take_line(*text)));
}

MachineReading LinuxMonitorPlatform::read_machine() {
    MachineReading machine{.asleep_ns = clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC)};
    read_processors(machine);
    read_memory_and_load(machine);
    read_pressure(machine);
    read_disks(machine);
    read_networks(machine);
    return machine;
}

void LinuxMonitorPlatform::read_processors(MachineReading& machine) {
    auto text = files_.find("/proc/stat");
    for (std::string_view rest = text.value_or(""); rest.starts_with("cpu");) {
        const auto core = parse_core(text::take_line(rest));
        if (!core) continue;
        if (core->index < 0)
            machine.cpu = core;
        else
            machine.cores.push_back(*core);
    }
    if (!machine.cpu) machine.gaps.push_back({"system.cpu", files_.why()});
}

void LinuxMonitorPlatform::read_memory_and_load(MachineReading& machine) {
    if (const auto text = files_.find("/proc/meminfo")) {
        const auto bytes = [&text](std::string_view label) { return text::labelled(*text, label).value_or(0) * 1024; };
        machine.memory_bytes = bytes("MemTotal:");
        machine.memory_available_bytes = bytes("MemAvailable:");
        machine.swap_bytes = bytes("SwapTotal:");
        machine.swap_free_bytes = bytes("SwapFree:");
    } else
        machine.gaps.push_back({"system.memory", files_.why()});
    if (auto text = files_.find("/proc/loadavg")) {
        machine.load1 = text::decimal(text::take_word(*text));
        machine.load5 = text::decimal(text::take_word(*text));
        machine.load15 = text::decimal(text::take_word(*text));
    } else
        machine.gaps.push_back({"system.load", files_.why()});
}

void LinuxMonitorPlatform::read_pressure(MachineReading& machine) {
    for (const char* const resource : {"cpu", "memory", "io"}) {
        const auto text = files_.find(std::string("/proc/pressure/") + resource);
        const auto stall = text ? parse_stall(*text) : std::nullopt;
        if (!stall) {
            machine.gaps.push_back({std::string("system.pressure.") + resource, files_.why()});
            continue;
        }
        MonitorPressure pressure{.resource = resource,
                                 .someAvg10Percent = stall->someAvg10Percent,
                                 .someAvg60Percent = stall->someAvg60Percent};
        if (text->find("full ") != std::string_view::npos) { // of the processor it has been told since Linux 5.13
            pressure.fullAvg10Percent = stall->fullAvg10Percent;
            pressure.fullAvg60Percent = stall->fullAvg60Percent;
        }
        machine.pressure.push_back(std::move(pressure));
    }
}

bool LinuxMonitorPlatform::is_real_disk(std::string_view name) {
    const auto known = real_disks_.find(name);
    if (known != real_disks_.end()) return known->second;
    std::string folder(name);
    std::ranges::replace(folder, '/', '!'); // as sysfs writes "cciss/c0d0"
    const bool is_real =
        files_.exists("/sys/block/" + folder) && !files_.exists("/sys/devices/virtual/block/" + folder);
    return real_disks_[std::string(name)] = is_real;
}

void LinuxMonitorPlatform::read_disks(MachineReading& machine) {
    const auto text = files_.find("/proc/diskstats");
    if (!text) return machine.gaps.push_back({"system.disk.io", files_.why()});
    for (std::string_view rest = *text; !rest.empty();) {
        std::string_view line = text::take_line(rest);
        text::take_word(line);
        text::take_word(line);
        const std::string_view name = text::take_word(line);
        std::array<std::uint64_t, 10> fields{};
        bool is_whole = !name.empty();
        for (std::uint64_t& field : fields) {
            const auto value = text::number(text::take_word(line));
            is_whole = is_whole && value;
            field = value.value_or(0);
        }
        if (!is_whole || !is_real_disk(name)) continue;
        machine.disks.push_back({.name = std::string(name),
                                 .read_bytes = fields[2] * sector_bytes,
                                 .written_bytes = fields[6] * sector_bytes,
                                 .busy_ms = fields[9]});
    }
    if (machine.disks.empty() && !files_.exists("/sys/block"))
        machine.gaps.push_back({"system.disk.io", "without /sys/block disks cannot be told from their partitions"});
}

void LinuxMonitorPlatform::read_networks(MachineReading& machine) {
    const auto text = files_.find("/proc/net/dev");
    if (!text) return machine.gaps.push_back({"system.network.io", files_.why()});
    for (std::string_view rest = *text; !rest.empty();) {
        const std::string_view line = text::take_line(rest);
        const std::size_t colon = line.rfind(':');     // an alias has one in its name
        if (colon == std::string_view::npos) continue; // the heading
        std::array<std::uint64_t, 11> fields{};
        std::string_view counts = line.substr(colon + 1);
        for (std::uint64_t& field : fields) field = text::number(text::take_word(counts)).value_or(0);
        machine.networks.push_back({.name = std::string(without_blanks(line.substr(0, colon))),
                                    .received_bytes = fields[0],
                                    .sent_bytes = fields[8],
                                    .errors = fields[2] + fields[10]});
    }
}

SurroundingsReading LinuxMonitorPlatform::read_surroundings() {
    SurroundingsReading surroundings;
    real_disks_.clear(); // a name may be another device by now
    surroundings.cores_allowed = cores_allowed();
    read_file_systems(surroundings);
    read_power(surroundings);
    read_temperature(surroundings);
    read_cgroup(surroundings);
    return surroundings;
}

std::int64_t LinuxMonitorPlatform::cores_allowed() {
    constexpr std::string_view label = "Cpus_allowed_list:";
    const auto text = files_.find("/proc/self/status");
    for (std::string_view rest = text.value_or(""); !rest.empty();) {
        const std::string_view line = text::take_line(rest);
        if (line.starts_with(label)) return count_list(without_blanks(line.substr(label.size())));
    }
    return 0;
}

void LinuxMonitorPlatform::read_file_systems(SurroundingsReading& surroundings) {
    const auto text = files_.find("/proc/self/mountinfo");
    if (!text) return surroundings.gaps.push_back({"system.filesystem", files_.why()});
    std::vector<Mount> mounts;
    for (std::string_view rest = *text; !rest.empty();)
        if (auto mount = parse_mount(text::take_line(rest))) mounts.push_back(std::move(*mount));
    std::vector<std::string> folders = options_.folders;
    folders.emplace_back("/");
    if (const auto home = variable("HOME"); home && home->starts_with('/')) folders.push_back(*home);
    for (const std::string& folder : folders) {
        const Mount* holder = nullptr; // of those of equal length the last one: it lies over the others
        for (const Mount& mount : mounts)
            if (holds(mount.point, folder) && (holder == nullptr || mount.point.size() >= holder->point.size()))
                holder = &mount;
        if (holder == nullptr || std::ranges::find(surroundings.file_systems, holder->point,
                                                   &MonitorFileSystem::mountpoint) != surroundings.file_systems.end())
            continue;
        if (is_network_type(holder->type)) {
            MonitorGap gap{"system.filesystem " + holder->point, "a " + holder->type + " may wait for its server"};
            if (std::ranges::find(surroundings.gaps, gap) == surroundings.gaps.end())
                surroundings.gaps.push_back(std::move(gap));
            continue;
        }
        const auto space = options_.space ? options_.space(holder->point) : space_at(holder->point);
        if (!space || space->total_bytes == 0) continue;
        surroundings.file_systems.push_back({.mountpoint = holder->point,
                                             .type = holder->type,
                                             .totalBytes = space->total_bytes,
                                             .availableBytes = std::min(space->available_bytes, space->total_bytes),
                                             .usedShare = used_share(*space)});
    }
}

// Batteries of mice and headsets (scope "Device") are not the machine's.
void LinuxMonitorPlatform::read_power(SurroundingsReading& surroundings) {
    constexpr std::string_view folder = "/sys/class/power_supply/";
    bool is_mains_online = false, is_discharging = false;
    double charge_sum = 0;
    int batteries = 0, charges = 0;
    for (const std::string& name : files_.names(folder)) {
        const std::string supply = std::string(folder) + name + "/";
        const std::string type = first_line(supply + "type").value_or("");
        if (type != "Battery") {
            is_mains_online = is_mains_online || first_line(supply + "online").value_or("0") != "0";
            continue;
        }
        if (first_line(supply + "scope") == "Device") continue;
        ++batteries;
        is_discharging = is_discharging || first_line(supply + "status") == "Discharging";
        if (const auto capacity = text::decimal(first_line(supply + "capacity").value_or(""))) {
            charge_sum += std::clamp(*capacity, 0.0, 100.0);
            ++charges;
        }
    }
    if (batteries == 0) return;
    surroundings.power = MonitorPower{.onBattery = is_discharging && !is_mains_online};
    if (charges > 0) surroundings.power->chargePercent = charge_sum / charges;
}

void LinuxMonitorPlatform::read_temperature(SurroundingsReading& surroundings) {
    constexpr std::string_view folder = "/sys/class/thermal/";
    for (const std::string& name : files_.names(folder)) {
        if (!name.starts_with("thermal_zone")) continue;
        const auto milli = text::decimal(first_line(std::string(folder) + name + "/temp").value_or(""));
        if (!milli || *milli <= 0 || *milli > 150'000) continue; // sensors that are off tell nonsense
        surroundings.hottest_celsius = std::max(surroundings.hottest_celsius.value_or(0), *milli / 1000);
    }
}

void LinuxMonitorPlatform::read_cgroup(SurroundingsReading& surroundings) {
    const TextReader read = [this](const std::string& path) -> std::optional<std::string> {
        const auto text = files_.find(path);
        return text ? std::optional<std::string>(*text) : std::nullopt;
    };
    CgroupReading group;
    if (const auto memory = find_cgroup_memory(read)) {
        group.memory_limit_bytes = memory->limitBytes;
        group.memory_used_bytes = memory->workingSetBytes;
    }
    read_cpu_quota(group);
    if (group.memory_used_bytes || group.cpu_limit_cores) surroundings.cgroup = group;
}

void LinuxMonitorPlatform::read_cpu_quota(CgroupReading& group) {
    struct Hierarchy {
        bool is_unified;
        std::string_view controller, mount, usage_mount;
    };
    constexpr Hierarchy hierarchies[] = {{true, "", "/sys/fs/cgroup", ""},
                                         {true, "", "/sys/fs/cgroup/unified", ""},
                                         {false, "cpu", "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpuacct"},
                                         {false, "cpu", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct"}};
    const auto groups = files_.find("/proc/self/cgroup");
    const std::string all(groups.value_or(""));
    for (const Hierarchy& hierarchy : hierarchies) {
        std::string at = parse_cgroup_path(all, hierarchy.controller).value_or("");
        for (bool is_root = at.empty(); !is_root;) {
            is_root = at == "/";
            const std::string name = is_root ? "/" : at + "/";
            const std::string folder = std::string(hierarchy.mount) + name;
            std::optional<std::uint64_t> quota, period;
            if (hierarchy.is_unified) {
                auto text = files_.find(folder + "cpu.max").value_or("");
                quota = text::number(text::take_word(text)); // "max" is no number
                period = text::number(text);
            } else {
                quota = text::number(files_.find(folder + "cpu.cfs_quota_us").value_or("")); // -1 is none either
                period = text::number(files_.find(folder + "cpu.cfs_period_us").value_or(""));
            }
            if (quota && period && *period > 0) {
                const double cores = static_cast<double>(*quota) / static_cast<double>(*period);
                if (!group.cpu_limit_cores || cores < *group.cpu_limit_cores) {
                    const auto usage = files_.find(folder + "cpu.stat").value_or("");
                    group.cpu_limit_cores = cores;
                    group.periods = text::labelled(usage, "nr_periods ").value_or(0);
                    group.throttled_periods = text::labelled(usage, "nr_throttled ").value_or(0);
                    group.cpu_used_ns =
                        hierarchy.is_unified
                            ? text::labelled(usage, "usage_usec ").transform([](auto us) { return us * 1000; })
                            : text::number(files_.find(std::string(hierarchy.usage_mount) + name + "cpuacct.usage")
                                               .value_or(""));
                }
            }
            const std::size_t slash = at.rfind('/');
            at = slash == 0 || slash == std::string::npos ? "/" : at.substr(0, slash);
        }
    }
}

void LinuxMonitorPlatform::describe_names(MonitorMachine& machine) {
    machine.os = "Linux";
    auto release = files_.find("/etc/os-release");
    if (!release) release = files_.find("/usr/lib/os-release");
    for (std::string_view rest = release.value_or(""); !rest.empty();) {
        constexpr std::string_view label = "PRETTY_NAME=";
        std::string_view line = text::take_line(rest);
        if (!line.starts_with(label)) continue;
        line.remove_prefix(label.size());
        const bool is_quoted = line.size() >= 2 && (line.front() == '"' || line.front() == '\'');
        machine.os = is_quoted ? line.substr(1, line.size() - 2) : line;
    }
    const auto processors = files_.find("/proc/cpuinfo");
    for (std::string_view rest = processors.value_or(""); !rest.empty();) {
        const std::string_view line = text::take_line(rest);
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        if (machine.cpuModel.empty() && (line.starts_with("model name") || line.starts_with("Model")))
            machine.cpuModel = without_blanks(line.substr(colon + 1));
        if (line.starts_with("flags") && line.find(" hypervisor") != std::string_view::npos) machine.isVirtual = true;
    }
}

MonitorMachine LinuxMonitorPlatform::describe() {
    MonitorMachine machine;
    const MachineReading now = read_machine();
    const SurroundingsReading surroundings = read_surroundings();
    utsname system{};
    ::uname(&system);
    machine.architecture = static_cast<const char*>(system.machine);
    machine.kernel = first_line("/proc/sys/kernel/osrelease").value_or(static_cast<const char*>(system.release));
    describe_names(machine);
    machine.cores = static_cast<std::int64_t>(now.cores.size());
    machine.effectiveCores = static_cast<double>(machine.cores);
    if (surroundings.cores_allowed > 0)
        machine.effectiveCores = std::min(machine.effectiveCores, static_cast<double>(surroundings.cores_allowed));
    machine.memoryBytes = machine.effectiveMemoryBytes = now.memory_bytes;
    if (const auto& group = surroundings.cgroup) {
        machine.effectiveCores =
            std::min(machine.effectiveCores, group->cpu_limit_cores.value_or(machine.effectiveCores));
        if (group->memory_limit_bytes)
            machine.effectiveMemoryBytes = std::min(machine.effectiveMemoryBytes, *group->memory_limit_bytes);
    }
    machine.swapBytes = now.swap_bytes;
    machine.fileSystems = surroundings.file_systems;
    machine.desktop = variable("XDG_CURRENT_DESKTOP");
    machine.session = variable("XDG_SESSION_TYPE");
    if (!machine.session && variable("WAYLAND_DISPLAY")) machine.session = "wayland";
    if (!machine.session && variable("DISPLAY")) machine.session = "x11";
    if (files_.exists("/.flatpak-info"))
        machine.container = "flatpak";
    else if (variable("SNAP_NAME"))
        machine.container = "snap";
    else if (files_.exists("/run/.containerenv"))
        machine.container = "podman";
    else if (files_.exists("/.dockerenv"))
        machine.container = "docker";
    if (const std::int64_t boot_ns = clock_ns(CLOCK_BOOTTIME); boot_ns > 0)
        machine.bootedAt = (clock_ns(CLOCK_REALTIME) - boot_ns) / 1'000'000;
    std::array<char, 64> library{}; // "glibc 2.36"
    if (::confstr(_CS_GNU_LIBC_VERSION, library.data(), library.size()) > 0) {
        std::string_view rest = library.data();
        const std::string_view name = text::take_word(rest);
        machine.versions[std::string(name)] = text::take_word(rest);
    }
    machine.unavailable = now.gaps;
    machine.unavailable.insert(machine.unavailable.end(), surroundings.gaps.begin(), surroundings.gaps.end());
    return machine;
}

} // namespace pillion
