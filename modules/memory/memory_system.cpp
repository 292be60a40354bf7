// Control groups: v2 has one hierarchy (memory.max, memory.current), v1 one per controller (memory.limit_in_bytes,
// memory.usage_in_bytes). A limit anywhere above binds too, so all ancestors are asked. In a container the path in
// /proc/self/cgroup may be the host's and not exist below the mount: then only its ancestors, at least the root,
// answer. The working set is usage less inactive file pages, as Kubernetes reckons it: those are a cache that costs
// nobody.
#include "modules/memory/memory_system.h"

#include "ipc/base/platform.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace pillion {

namespace {

// v1 says "no limit" as the largest page count; no machine has an EiB.
constexpr std::uint64_t no_limit_bytes = std::uint64_t{1} << 60;

struct Hierarchy {
    std::int32_t version;
    std::string_view controller;
    std::string_view mount;
    std::string_view limit_file, usage_file, inactive_label;
};
constexpr Hierarchy hierarchies[] = {
    {2, "", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "},
    {2, "", "/sys/fs/cgroup/unified", "memory.max", "memory.current", "inactive_file "},
    {1, "memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "},
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\n");
    if (first == std::string_view::npos) return std::nullopt;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data() + first, text.data() + text.size(), number);
    if (error != std::errc()) return std::nullopt;
    return number;
}

// Calls visit(line) for each line until it returns false.
template <class Visitor>
void each_line(std::string_view text, Visitor visit) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        if (!visit(text.substr(0, end)) || end == std::string_view::npos) return;
        text.remove_prefix(end + 1);
    }
}

// The number behind a label that begins a line.
std::optional<std::uint64_t> labelled(std::string_view text, std::string_view label) {
    std::optional<std::uint64_t> found;
    each_line(text, [&](std::string_view line) {
        if (!line.starts_with(label)) return true;
        found = parse_number(line.substr(label.size()));
        return false;
    });
    return found;
}

std::optional<double> percent_behind(std::string_view line, std::string_view label) {
    const std::size_t at = line.find(label);
    if (at == std::string_view::npos) return std::nullopt;
    double percent = 0;
    const auto [end, error] = std::from_chars(line.data() + at + label.size(), line.data() + line.size(), percent);
    if (error != std::errc() || !std::isfinite(percent) || percent < 0 || percent > 100) return std::nullopt;
    return percent;
}

std::string group_file(std::string_view mount, std::string_view group, std::string_view name) {
    std::string path(mount);
    if (group != "/") path += group;
    path += '/';
    return path += name;
}

std::optional<MemoryCgroup> read_group(const Hierarchy& hierarchy, std::string_view group, const TextReader& read) {
    const auto usage_text = read(group_file(hierarchy.mount, group, hierarchy.usage_file));
    const auto usage = usage_text ? parse_number(*usage_text) : std::nullopt;
    if (!usage) return std::nullopt;
    MemoryCgroup memory{.version = hierarchy.version, .path = std::string(group), .limitBytes{}, .usageBytes = *usage};
    if (const auto limit = read(group_file(hierarchy.mount, group, hierarchy.limit_file)))
        memory.limitBytes = parse_limit(*limit);
    const auto details = read(group_file(hierarchy.mount, group, "memory.stat"));
    const std::uint64_t inactive = details ? labelled(*details, hierarchy.inactive_label).value_or(0) : 0;
    memory.workingSetBytes = *usage - std::min(*usage, inactive);
    return memory;
}

double used_share(const MemoryCgroup& group) {
    if (!group.limitBytes) return -1;
    if (*group.limitBytes == 0) return 1;
    return static_cast<double>(group.workingSetBytes) / static_cast<double>(*group.limitBytes);
}

std::string_view parent_of(std::string_view group) {
    const std::size_t slash = group.rfind('/');
    return slash == 0 || slash == std::string_view::npos ? "/" : group.substr(0, slash);
}

} // namespace

MemorySystem parse_meminfo(std::string_view text) {
    return {.totalBytes = labelled(text, "MemTotal:").value_or(0) * 1024,
            .availableBytes = labelled(text, "MemAvailable:").value_or(0) * 1024};
}

std::optional<MemoryStall> parse_stall(std::string_view text) {
    MemoryStall stall;
    bool some_seen = false, sound = true;
    each_line(text, [&](std::string_view line) {
        const bool some = line.starts_with("some "), full = line.starts_with("full ");
        if (!some && !full) return true;
        const auto avg10 = percent_behind(line, "avg10="), avg60 = percent_behind(line, "avg60=");
        if (!avg10 || !avg60) return sound = false;
        (some ? stall.someAvg10Percent : stall.fullAvg10Percent) = *avg10;
        (some ? stall.someAvg60Percent : stall.fullAvg60Percent) = *avg60;
        some_seen = some_seen || some;
        return true;
    });
    if (!some_seen || !sound) return std::nullopt;
    return stall;
}

std::optional<std::uint64_t> parse_limit(std::string_view text) {
    const auto limit = parse_number(text);
    if (!limit || *limit >= no_limit_bytes) return std::nullopt;
    return limit;
}

std::optional<std::string> parse_cgroup_path(std::string_view text, std::string_view controller) {
    std::optional<std::string> path;
    each_line(text, [&](std::string_view line) { // "4:cpu,memory:/group" or "0::/group"
        const std::size_t first = line.find(':');
        const std::size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
        if (second == std::string_view::npos || line.substr(second + 1, 1) != "/") return true;
        std::string_view controllers = line.substr(first + 1, second - first - 1);
        bool found = controller.empty() && controllers.empty();
        while (!found && !controllers.empty()) {
            const std::size_t comma = controllers.find(',');
            found = !controller.empty() && controllers.substr(0, comma) == controller;
            controllers.remove_prefix(comma == std::string_view::npos ? controllers.size() : comma + 1);
        }
        if (found) path = std::string(line.substr(second + 1));
        return !found;
    });
    return path;
}

std::optional<MemoryCgroup> find_cgroup_memory(const TextReader& read) {
    const auto groups = read("/proc/self/cgroup");
    if (!groups) return std::nullopt;
    std::optional<MemoryCgroup> tightest;
    for (const Hierarchy& hierarchy : hierarchies) {
        const auto own = parse_cgroup_path(*groups, hierarchy.controller);
        if (!own) continue;
        for (std::string_view group = *own;; group = parent_of(group)) {
            auto memory = read_group(hierarchy, group, read);
            if (memory && (!tightest || used_share(*memory) > used_share(*tightest))) tightest = std::move(memory);
            if (group == "/") break;
        }
    }
    return tightest;
}

std::optional<MemoryStall> find_stall(const TextReader& read) {
    if (const auto machine = read("/proc/pressure/memory"))
        if (const auto stall = parse_stall(*machine)) return stall;
    const auto groups = read("/proc/self/cgroup");
    const auto own = groups ? parse_cgroup_path(*groups, "") : std::nullopt;
    const auto text = own ? read(group_file("/sys/fs/cgroup", *own, "memory.pressure")) : std::nullopt;
    return text ? parse_stall(*text) : std::nullopt;
}

MemoryReading read_system_memory() {
    const TextReader read = platform::find_system_text;
    MemoryReading reading;
    if (const auto meminfo = read("/proc/meminfo")) reading.system = parse_meminfo(*meminfo);
    reading.cgroup = find_cgroup_memory(read);
    reading.stall = find_stall(read);
    reading.resident_bytes = platform::resident_bytes();
    return reading;
}

} // namespace pillion
