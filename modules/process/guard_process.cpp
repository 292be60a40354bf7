// The guard: reads which groups live until its socket ends, which happens when Pillion has ended in any way, even by
// SIGKILL. Then it ends what is left: SIGTERM, a second, SIGKILL.
//
// It is started once, lives as long as Pillion and should cost nothing: no allocation, no thread, static tables. Its
// own session and its deafness to signals, both of which it is started with (spawn.cpp), keep it alive when a whole
// terminal or process group is ended.
#include "modules/process/guard.h"
#include "modules/process/process.h"
#include "modules/process/process_table.h"
#include "modules/process/spawn.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace pillion {

namespace {

struct Member {
    pid_t pid;
    std::uint64_t start_ticks;
};

constexpr int passes_max = 16;
constexpr int rounds_until_kill = 50; // of 20 ms
constexpr int rounds_max = 250;
constexpr long round_ns = 20'000'000;

std::array<pid_t, 4096> groups;
std::size_t group_count;
std::array<Member, 16384> members; // everybody who belonged to a tree at some look
std::size_t member_count;
std::array<char, 160> mark;

bool has_group(pid_t group) {
    for (std::size_t at = 0; at < group_count; ++at)
        if (groups[at] == group) return true;
    return false;
}

bool has_member(pid_t pid) {
    for (std::size_t at = 0; at < member_count; ++at)
        if (members[at].pid == pid) return true;
    return false;
}

void take_in(GuardRecord record) {
    if (record.kind == GuardRecord::Kind::add && group_count < groups.size() && !has_group(record.group))
        groups[group_count++] = record.group;
    if (record.kind != GuardRecord::Kind::remove) return;
    for (std::size_t at = 0; at < group_count; ++at)
        if (groups[at] == record.group) groups[at] = groups[--group_count];
}

// Looks until nobody new is found, since a process may stand in the table before its parent.
void find_members() {
    const pid_t self = ::getpid();
    std::size_t before = 0;
    int pass = 0;
    do {
        before = member_count;
        process_table::for_each([self](const process_table::Entry& entry) {
            if (!entry.is_alive() || entry.pid == self || member_count == members.size() || has_member(entry.pid))
                return;
            if (!has_group(entry.group) && !has_member(entry.parent) &&
                !process_table::has_environment(entry.pid, mark.data()))
                return;
            if (process_table::has_environment(entry.pid, "PILLION_GUARD=")) return;
            members[member_count++] = {entry.pid, entry.start_ticks};
        });
    } while (member_count > before && ++pass < passes_max);
}

std::size_t signal_members(std::size_t first, int signal) {
    std::size_t alive = 0;
    for (std::size_t at = first; at < member_count; ++at)
        if (process_table::send_signal(members[at].pid, members[at].start_ticks, signal)) ++alive;
    return alive;
}

void end_all() {
    std::size_t told = 0;
    for (int round = 0; round < rounds_max; ++round) {
        find_members();
        signal_members(told, SIGTERM);
        signal_members(told, SIGCONT); // a stopped process gets its SIGTERM only when it goes on
        told = member_count;
        if (signal_members(0, round < rounds_until_kill ? 0 : SIGKILL) == 0) return;
        const timespec wait{0, round_ns};
        ::nanosleep(&wait, nullptr);
    }
}

} // namespace

bool is_guard(int argc, const char* const* argv) { return argc == 3 && std::strcmp(argv[1], "--guard") == 0; }

int run_guard(int, const char* const* argv) {
    ::prctl(PR_SET_NAME, "pillion-guard");
    std::snprintf(mark.data(), mark.size(), "%s=%s.", run_variable, argv[2]);
    for (;;) {
        GuardRecord record{};
        const ssize_t got = ::recv(STDIN_FILENO, &record, sizeof record, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got != sizeof record) break;
        if (record.kind == GuardRecord::Kind::quit) return 0;
        take_in(record);
    }
    end_all();
    return 0;
}

} // namespace pillion
