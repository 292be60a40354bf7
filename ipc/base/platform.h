// What differs between operating systems and is needed by the wire. Linux is in platform_linux.cpp; another system is
// another file with the same functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pillion::platform {

// Names the calling thread for debuggers and profilers; at most 15 characters.
void name_thread(const char* name);

// Makes a pipe hold at least this many bytes, where the system allows it. False if it is no pipe or may not.
bool enlarge_pipe(int descriptor, std::size_t bytes);

// A descriptor for the same pipe whose non-blocking mode is its own, so that no other process that shares the pipe's
// end is affected; -1 where there is none to be had (then `descriptor` is what there is).
int reopen_nonblocking(int descriptor);

bool is_socket(int descriptor);

// Signals the calling process with `signal` when its parent ends. The signal may also come when only the parent's
// thread that spawned us ended; parent_is_gone() tells.
void signal_on_parent_death(int signal);
// Whether the process that was the parent at start has ended. Async-signal-safe.
bool parent_is_gone();
// Whether it ended before signal_on_parent_death() was asked to tell; a parent whose pid is not visible cannot be known.
bool parent_changed_since_start();

// The default data directory for an app: $XDG_DATA_HOME or ~/.local/share, then the id.
std::string data_directory(std::string_view app_id);

struct ProcessMemory {
    std::uint64_t resident_bytes = 0;
    std::uint64_t proportional_bytes = 0; // PSS: shared pages divided among their users; 0 where unknown
    std::uint64_t private_bytes = 0;      // pages no other process has; 0 where unknown
    std::uint64_t peak_bytes = 0;         // highest resident size so far
};
ProcessMemory process_memory();
// The resident size alone: a few microseconds, where process_memory() walks every mapping.
std::uint64_t resident_bytes();
// The highest resident size so far, without that walk either. (Not getrusage: its maximum survives exec, so it would be
// that of a shell that forked us.)
std::uint64_t peak_resident_bytes();

struct ProcessCpu {
    std::int64_t user_ns = 0;
    std::int64_t system_ns = 0;
};
ProcessCpu process_cpu();

// The content of a file in which the system describes itself (/proc, /sys), whole; absent if it cannot be read, as on
// systems that have no such files.
std::optional<std::string> find_system_text(const std::string& path);

// Wall time at which this process was started by its parent, in milliseconds since the epoch; 0 where unknown.
std::int64_t process_start_wall_ms();

} // namespace pillion::platform
