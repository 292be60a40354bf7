// posix_spawn shares the parent's address space until exec, so the size of the benchmark does not weigh on the
// time to start a peer. The watch is an alarm whose handler kills: no thread that could disturb a measurement.

#include "peer_process.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pillion::bench {

namespace {

constexpr std::size_t read_buffer_bytes = 4 * 1024 * 1024;
constexpr unsigned stop_seconds_max = 6; // Pillion's own limit for finishing is 5

bool peer_errors_shown = false;
std::atomic<pid_t> watched_pid{0};

void kill_watched(int) {
    const pid_t pid = watched_pid.load();
    if (pid > 0) kill(-pid, SIGKILL);
}

[[noreturn]] void fail(const std::string& what) { throw PeerFailure(what + ": " + std::strerror(errno)); }

} // namespace

void show_peer_errors() { peer_errors_shown = true; }

std::unique_ptr<PeerProcess> PeerProcess::start(const PeerProgram& program) {
    std::array<int, 2> to_peer{};
    std::array<int, 2> from_peer{};
    if (pipe2(to_peer.data(), O_CLOEXEC) != 0 || pipe2(from_peer.data(), O_CLOEXEC) != 0) fail("pipe");
    std::vector<char*> arguments;
    for (const auto& argument : program.arguments) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to_peer[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, from_peer[1], STDOUT_FILENO);
    if (!peer_errors_shown) {
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    }
    // A group of its own, so that killing it kills what it has started too and no pipe stays open.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    pid_t pid = 0;
    const int error = posix_spawn(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(to_peer[0]);
    close(from_peer[1]);
    if (error != 0) {
        close(to_peer[1]);
        close(from_peer[0]);
        throw PeerFailure(program.arguments[0] + ": " + std::strerror(error));
    }
    return std::unique_ptr<PeerProcess>(new PeerProcess(pid, to_peer[1], from_peer[0]));
}

PeerProcess::~PeerProcess() {
    close_pipes();
    if (pid_ <= 0) return;
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

void PeerProcess::close_pipes() {
    if (input_ >= 0) close(input_);
    if (output_ >= 0) close(output_);
    input_ = -1;
    output_ = -1;
}

void PeerProcess::write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = write(input_, bytes.data(), bytes.size());
        if (written < 0) fail("cannot write to it");
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

std::string_view PeerProcess::read_line() {
    if (buffer_.empty()) buffer_.resize(read_buffer_bytes);
    std::size_t searched = begin_;
    for (;;) {
        if (const void* found = std::memchr(buffer_.data() + searched, '\n', end_ - searched)) {
            const auto newline = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
            const std::string_view line(buffer_.data() + begin_, newline - begin_);
            begin_ = newline + 1;
            return line;
        }
        searched = end_;
        if (begin_ > 0) {
            std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
            searched -= begin_;
            end_ -= begin_;
            begin_ = 0;
        }
        if (end_ == buffer_.size()) throw PeerFailure("its answer is longer than any that was asked for");
        const ssize_t got = read(output_, buffer_.data() + end_, buffer_.size() - end_);
        if (got < 0) fail("cannot read from it");
        if (got == 0) throw PeerFailure("it ended, or was killed for its silence, before it had answered");
        end_ += static_cast<std::size_t>(got);
    }
}

void PeerProcess::pin_to(int core) {
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(static_cast<std::size_t>(core), &cores);
    const std::string tasks = "/proc/" + std::to_string(pid_) + "/task";
    for (const auto& entry : std::filesystem::directory_iterator(tasks)) {
        const pid_t thread = std::stoi(entry.path().filename().string());
        if (sched_setaffinity(thread, sizeof cores, &cores) != 0) fail("cannot pin it");
    }
}

void PeerProcess::set_pipe_bytes(int bytes) {
    for (const int end : {input_, output_}) {
        if (fcntl(end, F_SETPIPE_SZ, bytes) < 0) fail("cannot set the size of its pipes");
    }
}

std::string PeerProcess::describe_pipes() const {
    return std::to_string(fcntl(input_, F_GETPIPE_SZ) / 1024) + "/" +
           std::to_string(fcntl(output_, F_GETPIPE_SZ) / 1024) + " KiB";
}

void PeerProcess::stop() {
    const Watch watch(*this, stop_seconds_max);
    close_pipes();
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    if (WIFSIGNALED(status)) throw PeerFailure("it was ended by signal " + std::to_string(WTERMSIG(status)));
    if (status != 0) throw PeerFailure("it ended with status " + std::to_string(WEXITSTATUS(status)));
}

Watch::Watch(const PeerProcess& process, unsigned seconds) {
    struct sigaction action = {};
    action.sa_handler = kill_watched;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    watched_pid = process.pid();
    alarm(seconds);
}

Watch::~Watch() {
    alarm(0);
    watched_pid = 0;
}

} // namespace pillion::bench
