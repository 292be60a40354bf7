// What a child and its descendants use, walked along /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN): a few files
// per process, however many processes the machine runs.
#include "ipc/base/platform.h"
#include "modules/process/child_process.h"
#include "modules/process/process_table.h"

#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace pillion {

namespace {

void add_children(pid_t pid, std::vector<pid_t>& pids) {
    std::error_code error;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    for (std::filesystem::directory_iterator task(tasks, error), none; !error && task != none; task.increment(error)) {
        const std::string text = platform::find_system_text(task->path().string() + "/children").value_or("");
        const char* at = text.c_str();
        for (char* end = nullptr;; at = end) {
            const long child = std::strtol(at, &end, 10);
            if (end == at) break;
            pids.push_back(static_cast<pid_t>(child));
        }
    }
}

std::uint64_t memory_bytes(pid_t pid) {
    const std::string folder = "/proc/" + std::to_string(pid);
    const std::string rollup = platform::find_system_text(folder + "/smaps_rollup").value_or("");
    if (const std::size_t at = rollup.find("\nPss:"); at != std::string::npos)
        return std::strtoull(rollup.c_str() + at + 5, nullptr, 10) * 1024;
    const std::string pages = platform::find_system_text(folder + "/statm").value_or("");
    const std::size_t resident = pages.find(' ');
    if (resident == std::string::npos) return 0;
    return std::strtoull(pages.c_str() + resident, nullptr, 10) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace

ProcessUsage ChildProcess::usage() const {
    ProcessUsage usage;
    if (!is_running() || !process_table::is_alive(pid_, start_ticks_)) return usage;
    const std::int64_t tick_ns = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
    std::vector<pid_t> pids{pid_};
    for (std::size_t at = 0; at < pids.size(); ++at) {
        process_table::Entry entry;
        if (!process_table::read(pids[at], entry) || !entry.is_alive()) continue;
        ++usage.processes;
        usage.memory_bytes += memory_bytes(pids[at]);
        usage.cpu_ns += static_cast<std::int64_t>(entry.cpu_ticks) * tick_ns;
        add_children(pids[at], pids);
    }
    return usage;
}

} // namespace pillion
