// The processes of the machine as /proc shows them. Allocates nothing, so that the guard may use it. Any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <sys/types.h>

namespace pillion::process_table {

struct Entry {
    pid_t pid = 0;
    char state = 'X';
    pid_t parent = 0;
    pid_t group = 0;
    std::uint64_t start_ticks = 0; // since boot; with the pid it names one process for good
    std::uint64_t cpu_ticks = 0;   // its own and that of the children it has waited for

    bool is_alive() const { return state != 'Z' && state != 'X'; }
};

// False if there is no such process.
bool read(pid_t pid, Entry& entry);

// Calls visit(context, entry) for every process.
void visit_all(void (*visit)(void* context, const Entry& entry), void* context);

template <class Visitor>
void for_each(Visitor&& visitor) {
    visit_all([](void* context, const Entry& entry) { (*static_cast<Visitor*>(context))(entry); }, &visitor);
}

// Whether an entry of the environment that the process was started with begins with `beginning`; a zero at its end asks
// for the whole entry.
bool has_environment(pid_t pid, std::string_view beginning);

// Whether that very process is alive.
bool is_alive(pid_t pid, std::uint64_t start_ticks);

// Signals that very process: one that got its pid later is safe.
bool send_signal(pid_t pid, std::uint64_t start_ticks, int signal);

// A descriptor that becomes readable when the process ends; -1 if there is no such process.
int open_descriptor(pid_t pid);

} // namespace pillion::process_table
