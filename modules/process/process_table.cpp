// proc(5): fields 3, 4, 5, 14 to 17 and 22 of /proc/PID/stat. The name in field 2 may hold anything, so the fields are
// counted from the last closing bracket.
#include "modules/process/process_table.h"

#include "modules/process/descriptor.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pillion::process_table {

namespace {

// What getdents64(2) fills in; the C library declares it only for its own readdir, which allocates.
struct DirectoryEntry {
    std::uint64_t inode;
    std::int64_t offset;
    std::uint16_t length;
    std::uint8_t type;
    char name[1];
};

Descriptor open_file(pid_t pid, const char* file) {
    std::array<char, 48> path{};
    std::snprintf(path.data(), path.size(), "/proc/%d/%s", pid, file);
    return Descriptor(::open(path.data(), O_RDONLY | O_CLOEXEC));
}

ssize_t read_some(int descriptor, char* to, std::size_t bytes_max) {
    ssize_t got = 0;
    do got = ::read(descriptor, to, bytes_max);
    while (got < 0 && errno == EINTR);
    return got;
}

} // namespace

bool read(pid_t pid, Entry& entry) {
    const Descriptor file = open_file(pid, "stat");
    if (!file.is_open()) return false;
    std::array<char, 1024> text{};
    const ssize_t length = read_some(file.number(), text.data(), text.size() - 1);
    if (length <= 0) return false;
    const char* at = std::strrchr(text.data(), ')');
    if (at == nullptr || at[1] != ' ') return false;
    entry.pid = pid;
    entry.state = at[2];
    at += 3;
    std::array<std::uint64_t, 23> fields{};
    for (std::size_t field = 4; field < fields.size(); ++field) {
        char* end = nullptr;
        fields[field] = static_cast<std::uint64_t>(std::strtoll(at, &end, 10));
        if (end == at) return false;
        at = end;
    }
    entry.parent = static_cast<pid_t>(fields[4]);
    entry.group = static_cast<pid_t>(fields[5]);
    entry.cpu_ticks = fields[14] + fields[15] + fields[16] + fields[17];
    entry.start_ticks = fields[22];
    return true;
}

void visit_all(void (*visit)(void* context, const Entry& entry), void* context) {
    const Descriptor folder(::open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.is_open()) return;
    alignas(DirectoryEntry) std::array<char, 16 * 1024> buffer;
    for (;;) {
        const long length = ::syscall(SYS_getdents64, folder.number(), buffer.data(), buffer.size());
        if (length <= 0) return;
        for (long at = 0; at < length;) {
            const auto* const found = reinterpret_cast<const DirectoryEntry*>(buffer.data() + at);
            at += found->length;
            const char* const name = static_cast<const char*>(found->name);
            if (name[0] < '1' || name[0] > '9') continue;
            Entry entry;
            if (read(static_cast<pid_t>(std::strtol(name, nullptr, 10)), entry)) visit(context, entry);
        }
    }
}

bool has_environment(pid_t pid, std::string_view beginning) {
    const Descriptor file = open_file(pid, "environ");
    if (!file.is_open() || beginning.empty()) return false;
    std::array<char, 4096> text;
    bool matches = true;
    std::size_t matched = 0;
    for (;;) {
        const ssize_t length = read_some(file.number(), text.data(), text.size());
        if (length <= 0) return false;
        for (std::size_t at = 0; at < static_cast<std::size_t>(length); ++at) {
            const char byte = text[at];
            matches = matches && byte == beginning[matched];
            if (matches && ++matched == beginning.size()) return true;
            if (byte == '\0') {
                matches = true;
                matched = 0;
            }
        }
    }
}

bool is_alive(pid_t pid, std::uint64_t start_ticks) {
    Entry entry;
    return read(pid, entry) && entry.start_ticks == start_ticks && entry.is_alive();
}

int open_descriptor(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

bool send_signal(pid_t pid, std::uint64_t start_ticks, int signal) {
    const Descriptor process(open_descriptor(pid));
    // Looked at after the descriptor holds the process fast: what is the same now stays the same.
    return process.is_open() && is_alive(pid, start_ticks) &&
           ::syscall(SYS_pidfd_send_signal, process.number(), signal, nullptr, 0) == 0;
}

} // namespace pillion::process_table
