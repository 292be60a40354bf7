#include "modules/process/guard.h"

#include "modules/process/known_children.h"
#include "modules/process/process_table.h"
#include "modules/process/spawn.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace pillion {

namespace {

constexpr int end_wait_ms_max = 200;
constexpr int work_wait_ms_max = 6'000; // it gives up by itself before

void tell(int socket, GuardRecord record) {
    if (socket >= 0) ::send(socket, &record, sizeof record, MSG_NOSIGNAL | MSG_DONTWAIT);
}

} // namespace

std::string run_mark(const std::string& run_id) { return std::string(run_variable) + "=" + run_id + "."; }

Guard::~Guard() { end(); }

bool Guard::is_running() {
    if (pid_ == 0) return false;
    if (::waitpid(pid_, nullptr, WNOHANG) == 0) return true;
    known_children().remove(pid_);
    pid_ = 0;
    socket_.reset();
    return false;
}

Result<void> Guard::ensure(const std::string& program, const std::string& run_id, const std::vector<pid_t>& groups) {
    if (is_running()) return {};
    std::array<int, 2> ends{-1, -1};
    // Not a pipe: records stay whole, and a dead guard costs no SIGPIPE.
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail(ErrorCode::exhausted, std::string("the guard got no socket: ") + std::strerror(errno));
    Descriptor ours = above_standard(Descriptor(ends[0]));
    const Descriptor its = above_standard(Descriptor(ends[1]));
    const Descriptor null = above_standard(Descriptor(::open("/dev/null", O_RDWR | O_CLOEXEC)));
    const auto children = known_children().lock();
    const pid_t pid = PILLION_TRY(spawn_process({.component = "guard",
                                                 .program = program,
                                                 .arguments = {program, "--guard", run_id},
                                                 .environment = {std::string(guard_variable) + "=" + run_id},
                                                 .working_directory = "/",
                                                 .standard = {its.number(), null.number(), null.number()},
                                                 .lifetime = SpawnPlan::Lifetime::outlives_parent}));
    children.add(pid);
    pid_ = pid;
    socket_ = std::move(ours);
    for (const pid_t group : groups) tell(socket_.number(), {GuardRecord::Kind::add, group});
    return {};
}

void Guard::forget(pid_t group) { tell(socket_.number(), {GuardRecord::Kind::remove, group}); }

void Guard::end() {
    tell(socket_.number(), {GuardRecord::Kind::quit, 0});
    await_end(end_wait_ms_max);
}

void Guard::end_all() { await_end(work_wait_ms_max); }

void Guard::await_end(int wait_ms_max) {
    if (pid_ == 0) return;
    const Descriptor process(process_table::open_descriptor(pid_));
    socket_.reset();
    pollfd end{process.number(), POLLIN, 0};
    while (process.is_open() && ::poll(&end, 1, wait_ms_max) < 0 && errno == EINTR) {
    }
    ::waitpid(pid_, nullptr, WNOHANG);
    known_children().remove(pid_);
    pid_ = 0;
}

} // namespace pillion
