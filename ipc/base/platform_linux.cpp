#include "ipc/base/platform.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pillion::platform {

namespace {

const pid_t parent_at_start = getppid();

// A file of /proc, whole; empty if it cannot be read.
std::string read_proc(const char* path) {
    std::string text;
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return text;
    char chunk[4096];
    for (ssize_t n; (n = read(file, chunk, sizeof chunk)) > 0;) text.append(chunk, static_cast<std::size_t>(n));
    close(file);
    return text;
}

// The number of kibibytes behind a label such as "VmRSS:", in bytes; 0 if it is not there.
std::uint64_t kib_field(const std::string& text, std::string_view label) {
    std::size_t at = text.find(label);
    if (at == std::string::npos) return 0;
    at = text.find_first_not_of(" \t", at + label.size());
    if (at == std::string::npos) return 0;
    std::uint64_t kib = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), kib);
    return kib * 1024;
}

} // namespace

void name_thread(const char* name) { prctl(PR_SET_NAME, name); }

bool enlarge_pipe(int descriptor, std::size_t bytes) {
    const int now = fcntl(descriptor, F_GETPIPE_SZ);
    if (now < 0) return false;
    if (static_cast<std::size_t>(now) >= bytes) return true;
    return fcntl(descriptor, F_SETPIPE_SZ, static_cast<int>(bytes)) >= 0;
}

int reopen_nonblocking(int descriptor) {
    struct stat status {};
    if (fstat(descriptor, &status) != 0 || !S_ISFIFO(status.st_mode)) return -1;
    char path[32];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
}

bool is_socket(int descriptor) {
    struct stat status {};
    return fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode);
}

void signal_on_parent_death(int signal) { prctl(PR_SET_PDEATHSIG, signal); }

bool parent_changed_since_start() { return getppid() != parent_at_start; }

bool parent_is_gone() {
    // A parent outside our pid namespace reads as 0 before and after its death: then the signal has to be believed.
    return parent_changed_since_start() || getppid() == 0;
}

std::string data_directory(std::string_view app_id) {
    std::string base;
    if (const char* xdg = std::getenv("XDG_DATA_HOME"); xdg != nullptr && xdg[0] == '/')
        base = xdg;
    else if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/')
        base = std::string(home) + "/.local/share";
    else
        base = "/tmp/pillion-" + std::to_string(getuid());
    return base + "/" + std::string(app_id);
}

ProcessMemory process_memory() {
    ProcessMemory memory;
    const std::string status = read_proc("/proc/self/status");
    memory.resident_bytes = kib_field(status, "VmRSS:");
    memory.peak_bytes = kib_field(status, "VmHWM:");
    const std::string rollup = read_proc("/proc/self/smaps_rollup");
    memory.proportional_bytes = kib_field(rollup, "\nPss:");
    memory.private_bytes = kib_field(rollup, "Private_Clean:") + kib_field(rollup, "Private_Dirty:");
    return memory;
}

std::uint64_t resident_bytes() {
    const std::string statm = read_proc("/proc/self/statm");
    std::uint64_t pages = 0;
    if (const std::size_t space = statm.find(' '); space != std::string::npos)
        std::from_chars(statm.data() + space + 1, statm.data() + statm.size(), pages);
    return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t peak_resident_bytes() { return kib_field(read_proc("/proc/self/status"), "VmHWM:"); }

ProcessCpu process_cpu() {
    struct rusage usage {};
    getrusage(RUSAGE_SELF, &usage);
    const auto ns = [](const timeval& time) { return (std::int64_t{time.tv_sec} * 1'000'000 + time.tv_usec) * 1000; };
    return {ns(usage.ru_utime), ns(usage.ru_stime)};
}

std::optional<std::string> find_system_text(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    std::string text;
    char chunk[4096];
    ssize_t n;
    while ((n = read(file, chunk, sizeof chunk)) > 0) text.append(chunk, static_cast<std::size_t>(n));
    close(file);
    if (n < 0) return std::nullopt;
    return text;
}

std::int64_t process_start_wall_ms() {
    const std::string stat = read_proc("/proc/self/stat");
    std::size_t at = stat.rfind(')'); // the name before it may hold anything
    for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
    if (at == std::string::npos) return 0;
    std::uint64_t ticks = 0;
    std::from_chars(stat.data() + at + 1, stat.data() + stat.size(), ticks);
    timespec now{}, boot{};
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    const auto ms = [](const timespec& time) { return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000; };
    return ms(now) - ms(boot) +
           static_cast<std::int64_t>(ticks * 1000 / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
}

} // namespace pillion::platform
