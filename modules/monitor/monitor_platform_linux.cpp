// proc(5). The tree is walked along /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN), a few files per process however
// many the machine runs; a process of many threads has all of them asked only every few readings. Where the kernel has
// no such files, all processes are asked for their parent, the more seldom the more there are. A child counts if its
// own stat names the parent it was found at, so that a pid used again or a process that moved elsewhere is not taken
// for ours. The name in field 2 of stat may hold anything: fields are counted from the last closing bracket.
#include "modules/monitor/monitor_linux.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <set>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::int64_t threads_each_reading = 4;
constexpr std::int64_t readings_between_walks_max = 10;
constexpr std::int64_t readings_between_counts = 10;
constexpr std::int64_t processes_each_scan = 500;
constexpr long proc_file_system = 0x9fa0;

std::int64_t clock_ns(clockid_t clock) {
    timespec now{};
    if (::clock_gettime(clock, &now) != 0) return 0;
    return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Stat {
    std::string_view command;
    char state = '?';
    std::array<std::uint64_t, 25> fields{}; // by their number in proc(5)
};

bool parse_stat(std::string_view text, Stat& stat) {
    const std::size_t open = text.find('('), close = text.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return false;
    stat.command = text.substr(open + 1, close - open - 1);
    std::string_view rest = text.substr(close + 1);
    const std::string_view state = text::take_word(rest);
    if (state.size() != 1) return false;
    stat.state = state[0];
    for (std::size_t field = 4; field < stat.fields.size(); ++field) {
        const std::string_view word = text::take_word(rest);
        const auto value = text::number(word.starts_with('-') ? "0" : word);
        if (!value) return false;
        stat.fields[field] = *value;
    }
    return true;
}

MonitorState state_of(char letter) {
    switch (letter) {
    case 'R':
        return MonitorState::running;
    case 'S':
    case 'I':
        return MonitorState::sleeping;
    case 'D':
        return MonitorState::waiting;
    case 'T':
    case 't':
        return MonitorState::stopped;
    case 'Z':
    case 'X':
        return MonitorState::zombie;
    default:
        return MonitorState::other;
    }
}

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

} // namespace

struct LinuxMonitorPlatform::Gaps {
    std::vector<MonitorGap>& list;
    void add(std::string what, std::string why, std::int64_t processes) {
        for (MonitorGap& gap : list)
            if (gap.what == what && gap.why == why) {
                gap.processes += processes;
                return;
            }
        list.push_back({std::move(what), std::move(why), processes});
    }
};

std::unique_ptr<MonitorPlatform> create_monitor_platform(MonitorPlatformOptions options) {
    return std::make_unique<LinuxMonitorPlatform>(std::move(options));
}

LinuxMonitorPlatform::LinuxMonitorPlatform(MonitorPlatformOptions options)
    : options_(std::move(options)), files_(options_.root), tick_ns_(1'000'000'000 / ::sysconf(_SC_CLK_TCK)),
      page_bytes_(static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))) {}

std::int64_t LinuxMonitorPlatform::thread_cpu_ns() const { return clock_ns(CLOCK_THREAD_CPUTIME_ID); }

std::string_view LinuxMonitorPlatform::process_path(std::int64_t pid, std::string_view file) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), pid).ptr;
    process_path_.assign("/proc/").append(digits.data(), end).append(file);
    return process_path_;
}

TreeReading LinuxMonitorPlatform::read_tree() {
    TreeReading tree{.boot_ns = clock_ns(CLOCK_BOOTTIME)};
    Gaps gaps{tree.gaps};
    gaps.add("process.network", "the system does not count it by process", 0);
    ++readings_;
    const std::int64_t self = options_.pid != 0 ? options_.pid : std::int64_t{::getpid()};
    if (!has_children_files_)
        has_children_files_ =
            files_.exists(std::string(process_path(self, "/task/")) + std::to_string(self) + "/children");

    struct Found {
        std::int64_t pid, parent;
    };
    std::vector<Found> found{{self, 0}};
    std::set<std::int64_t> known{self};
    for (std::size_t at = 0; at < found.size(); ++at) {
        const auto [pid, parent] = found[at];
        if (tree.processes.size() >= processes_max) {
            tree.left_out = static_cast<std::int64_t>(found.size() - at);
            break;
        }
        ProcessReading process;
        Seen* const seen = read_process(pid, process);
        if (seen == nullptr) {
            if (pid == self) gaps.add("processes", "/proc shows not even this process: " + files_.why(), 0);
            continue;
        }
        if (pid == self) {
            process.role = MonitorRole::self;
            read_shell(process.parent, tree, gaps);
            known.insert(process.parent);
        } else if (process.parent != parent)
            continue;
        if (parent == self && !options_.mark_variable.empty()) {
            if (!seen->mark) seen->mark = read_mark(pid);
            process.mark = *seen->mark;
        }
        read_counters(process, *seen, gaps);
        for (const std::int64_t child : children(process, *seen))
            if (known.insert(child).second) found.push_back({child, pid});
        tree.processes.push_back(std::move(process));
    }
    std::erase_if(seen_, [this](const auto& entry) { return entry.second.reading != readings_; });
    return tree;
}

// The process that started this one stands first in the list. With init as parent there is no shell any more.
void LinuxMonitorPlatform::read_shell(std::int64_t pid, TreeReading& tree, Gaps& gaps) {
    if (pid <= 0) return gaps.add("shell", "it is in another pid namespace", 0);
    ProcessReading shell;
    Seen* const seen = read_process(pid, shell);
    if (seen == nullptr) return gaps.add("shell", "/proc does not show it: " + files_.why(), 0);
    if (pid == 1 && (seen->command == "init" || seen->command == "systemd"))
        return gaps.add("shell", "it has ended", 0);
    shell.role = MonitorRole::shell;
    read_counters(shell, *seen, gaps);
    tree.processes.push_back(std::move(shell));
}

LinuxMonitorPlatform::Seen* LinuxMonitorPlatform::read_process(std::int64_t pid, ProcessReading& process) {
    const auto text = files_.find(process_path(pid, "/stat"));
    Stat stat;
    if (!text || !parse_stat(*text, stat)) return nullptr;
    const auto ticks = [this](std::uint64_t count) { return static_cast<std::int64_t>(count) * tick_ns_; };
    process.pid = pid;
    process.parent = static_cast<std::int64_t>(stat.fields[4]);
    process.state = state_of(stat.state);
    process.cpu_ns = ticks(stat.fields[14] + stat.fields[15]);
    process.reaped_cpu_ns = ticks(stat.fields[16] + stat.fields[17]);
    process.threads = static_cast<std::int64_t>(stat.fields[20]);
    process.started_ns = ticks(stat.fields[22]);
    process.resident_bytes = process.state == MonitorState::zombie ? 0 : stat.fields[24] * page_bytes_;
    Seen& seen = seen_[pid];
    if (seen.started_ns != process.started_ns || seen.reading == 0) {
        seen = Seen{.started_ns = process.started_ns};
        seen.started_ms = (clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + process.started_ns) / 1'000'000;
    }
    seen.reading = readings_;
    process.started_ms = seen.started_ms;
    if (seen.command != stat.command || seen.name.empty()) read_name(pid, stat.command, seen);
    process.name = seen.name;
    return &seen;
}

void LinuxMonitorPlatform::read_name(std::int64_t pid, std::string_view command, Seen& seen) {
    constexpr std::string_view deleted = " (deleted)";
    seen.mark.reset();
    seen.command = command; // before the buffer that it points into is used again
    std::string executable = files_.find_link(process_path(pid, "/exe")).value_or("");
    if (executable.ends_with(deleted)) executable.resize(executable.size() - deleted.size());
    seen.name = executable.substr(executable.rfind('/') + 1);
    if (seen.name.empty()) seen.name = seen.command;
}

// As the process was started with it.
std::string LinuxMonitorPlatform::read_mark(std::int64_t pid) {
    std::string_view rest = files_.find(process_path(pid, "/environ")).value_or("");
    while (!rest.empty()) {
        const std::string_view entry = rest.substr(0, rest.find('\0'));
        rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
        if (entry.starts_with(options_.mark_variable) && entry.substr(options_.mark_variable.size()).starts_with('='))
            return std::string(entry.substr(options_.mark_variable.size() + 1));
    }
    return {};
}

// A process that ends between two files leaves them absent, which is no gap.
void LinuxMonitorPlatform::read_counters(ProcessReading& process, Seen& seen, Gaps& gaps) {
    if (process.state == MonitorState::zombie) return;
    if (const auto text = files_.find(process_path(process.pid, "/io"))) {
        process.read_bytes = text::labelled(*text, "read_bytes:");
        process.written_bytes = text::labelled(*text, "write_bytes:");
    } else if (!files_.is_absent() || process.role == MonitorRole::self)
        gaps.add("process.disk.io", files_.why(), 1);
    read_descriptors(process, seen, gaps);
}

void LinuxMonitorPlatform::read_descriptors(ProcessReading& process, Seen& seen, Gaps& gaps) {
    if (!counts_descriptors_) {
        struct statfs system {};
        struct stat status {};
        counts_descriptors_ = ::statfs(files_.path("/proc"), &system) == 0 && system.f_type == proc_file_system &&
                              ::stat(files_.path("/proc/self/fd"), &status) == 0 && status.st_size > 0;
    }
    struct stat status {};
    if (*counts_descriptors_ && ::stat(files_.path(process_path(process.pid, "/fd")), &status) == 0 &&
        status.st_size > 0) {
        process.descriptors = status.st_size;
        return;
    }
    if (seen.counted == 0 || readings_ - seen.counted >= readings_between_counts) {
        seen.counted = readings_;
        const auto names = files_.names(process_path(process.pid, "/fd"));
        seen.descriptors = files_.error() == 0 ? std::optional(static_cast<std::int64_t>(names.size())) : std::nullopt;
        if (files_.is_absent() && process.role != MonitorRole::self)
            seen.counted = 0;
        else if (files_.error() != 0)
            gaps.add("process.open_file_descriptor.count", files_.why(), 1);
    } else if (!seen.descriptors)
        gaps.add("process.open_file_descriptor.count", "not permitted", 1);
    process.descriptors = seen.descriptors;
}

std::vector<std::int64_t> LinuxMonitorPlatform::children(const ProcessReading& process, Seen& seen) {
    if (!*has_children_files_) {
        const auto scanned = scanned_children(process.pid);
        return {scanned.begin(), scanned.end()};
    }
    // A new child of ours is seen at once; a webview's grandchild may take some readings.
    const std::int64_t due =
        process.role == MonitorRole::self
            ? 1
            : std::clamp<std::int64_t>(process.threads / threads_each_reading, 1, readings_between_walks_max);
    std::vector<std::int64_t> now;
    if (seen.walked == 0 || readings_ - seen.walked >= due) {
        seen.walked = readings_;
        if (process.threads <= 1)
            add_children_of_thread(process.pid, std::to_string(process.pid), now);
        else
            for (const std::string& thread : files_.names(process_path(process.pid, "/task")))
                add_children_of_thread(process.pid, thread, now);
    } else {
        now = seen.children;
        add_children_of_thread(process.pid, std::to_string(process.pid), now);
        std::ranges::sort(now);
        const auto repeated = std::ranges::unique(now);
        now.erase(repeated.begin(), repeated.end());
    }
    return seen.children = std::move(now);
}

void LinuxMonitorPlatform::add_children_of_thread(std::int64_t pid, std::string_view thread,
                                                  std::vector<std::int64_t>& to) {
    process_path(pid, "/task/");
    process_path_.append(thread).append("/children");
    auto rest = files_.find(process_path_).value_or("");
    for (std::string_view word = text::take_word(rest); !word.empty(); word = text::take_word(rest))
        if (const auto child = text::number(word)) to.push_back(static_cast<std::int64_t>(*child));
}

std::span<const std::int64_t> LinuxMonitorPlatform::scanned_children(std::int64_t pid) {
    if (readings_ >= scan_due_) {
        scanned_.clear();
        std::int64_t count = 0;
        for (const std::string& name : files_.names("/proc")) {
            if (!is_number(name)) continue;
            const auto text = files_.find("/proc/" + name + "/stat");
            Stat stat;
            if (!text || !parse_stat(*text, stat)) continue;
            ++count;
            scanned_[static_cast<std::int64_t>(stat.fields[4])].push_back(
                static_cast<std::int64_t>(text::number(name).value_or(0)));
        }
        scan_due_ = readings_ + std::max<std::int64_t>(count / processes_each_scan, 1);
    }
    const auto at = scanned_.find(pid);
    return at == scanned_.end() ? std::span<const std::int64_t>() : std::span(at->second);
}

MappedMemoryReading LinuxMonitorPlatform::read_memory(const ProcessReading& process) {
    MappedMemoryReading reading;
    if (const auto text = files_.find(process_path(process.pid, "/smaps_rollup"))) {
        const auto bytes = [&text](std::string_view label) { return text::labelled(*text, label).value_or(0) * 1024; };
        reading.memory = {.proportional_bytes = bytes("Pss:"),
                          .private_bytes =
                              bytes("Private_Clean:") + bytes("Private_Dirty:") + bytes("Private_Hugetlb:"),
                          .swapped_bytes = bytes("SwapPss:")};
    } else {
        reading.why = files_.why();
        // Sandboxed processes refuse their maps to their own user too, but not these counts of pages.
        auto pages = files_.find(process_path(process.pid, "/statm")).value_or("");
        text::take_word(pages);
        const auto resident = text::number(text::take_word(pages)), shared = text::number(text::take_word(pages));
        if (resident && shared && *resident >= *shared) {
            reading.memory = MappedMemory{.private_bytes = (*resident - *shared) * page_bytes_};
            reading.why += "; private memory is that of no file";
        }
    }
    // The pid may have gone to another process since the tree was read.
    const auto text = files_.find(process_path(process.pid, "/stat"));
    Stat stat;
    if (!text || !parse_stat(*text, stat) ||
        static_cast<std::int64_t>(stat.fields[22]) * tick_ns_ != process.started_ns)
        return {};
    return reading;
}

} // namespace pillion
