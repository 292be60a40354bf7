#include "modules/benchmarks/benchmark_child.h"

#include "ipc/base/clock.h"
#include "ipc/base/platform.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace pillion {

namespace {

constexpr std::int64_t slice_ms = 100; // how soon a cancellation is seen
constexpr std::int64_t end_ms_max = 3'000;
constexpr std::int64_t cancelled_end_ms_max = 300;
constexpr std::size_t errors_shown = 300;

struct SpawnFiles {
    int input; // descriptors, or -1 for /dev/null
    int output;
    std::string errors; // a file's path; empty for /dev/null
};

Result<pid_t> spawn(const std::vector<std::string>& command, ChildEnvironment environment, const SpawnFiles& files) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::vector<char*> variables;
    for (char** variable = environ; *variable != nullptr; ++variable)
        if (environment == ChildEnvironment::as_ours || !std::string_view(*variable).starts_with("PILLION_"))
            variables.push_back(*variable);
    variables.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    if (files.input >= 0)
        posix_spawn_file_actions_adddup2(&actions, files.input, STDIN_FILENO);
    else
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (files.output >= 0)
        posix_spawn_file_actions_adddup2(&actions, files.output, STDOUT_FILENO);
    else
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    const std::string errors = files.errors.empty() ? "/dev/null" : files.errors;
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    sigset_t defaults;
    sigemptyset(&defaults);
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) sigaddset(&defaults, signal);
    sigset_t unblocked;
    sigemptyset(&unblocked);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, &unblocked);
    posix_spawnattr_setpgroup(&attributes, 0); // so that all it starts can be ended with it
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    pid_t pid = -1;
    const int failed = posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), variables.data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == 0) return pid;
    const ErrorCode code = failed == ENOENT   ? ErrorCode::not_found
                           : failed == EACCES ? ErrorCode::denied
                                              : ErrorCode::unavailable;
    return fail(code, command[0] + " cannot be started: " + std::strerror(failed));
}

enum class Ended : std::uint8_t { by_itself, not_in_time, cancelled };

Ended await_end(pid_t pid, const ChildLimits& limits) {
    const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    const std::int64_t until_ns = system_clock().now_ns() + limits.wait_ms_max * 1'000'000;
    Ended ended = Ended::not_in_time;
    while (process >= 0) {
        const std::int64_t left_ms = (until_ns - system_clock().now_ns()) / 1'000'000 + 1;
        if (left_ms <= 0) break;
        pollfd waiting{.fd = process, .events = POLLIN, .revents = 0};
        if (poll(&waiting, 1, static_cast<int>(std::min(left_ms, slice_ms))) == 1) {
            ended = Ended::by_itself;
            break;
        }
        if (limits.is_cancelled && limits.is_cancelled()) {
            ended = Ended::cancelled;
            break;
        }
    }
    if (process >= 0) close(process);
    return ended;
}

int reap(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

std::string last_of(const std::string& file) {
    std::string text = platform::find_system_text(file).value_or("");
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    if (text.size() > errors_shown) text = "..." + text.substr(text.size() - errors_shown);
    std::ranges::replace(text, '\n', ' ');
    return text.empty() ? text : ": " + text;
}

// Our own write to a child that is gone is an error, not the end of us, whatever the process makes of SIGPIPE.
class WithoutPipeSignal {
  public:
    WithoutPipeSignal() {
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    ~WithoutPipeSignal() {
        const timespec at_once{};
        if (sigismember(&before_, SIGPIPE) == 0) sigtimedwait(&pipe_, nullptr, &at_once);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    WithoutPipeSignal(const WithoutPipeSignal&) = delete;

  private:
    sigset_t pipe_{};
    sigset_t before_{};
};

} // namespace

Result<ServedChild> ServedChild::start(const std::string& program, const std::vector<std::string>& arguments,
                                       ChildEnvironment environment, ChildLimits limits) {
    std::array<int, 2> input{-1, -1};
    std::array<int, 2> output{-1, -1};
    if (pipe2(input.data(), O_CLOEXEC) != 0) return fail(ErrorCode::exhausted, "no pipe can be made");
    if (pipe2(output.data(), O_CLOEXEC) != 0) {
        close(input[0]);
        close(input[1]);
        return fail(ErrorCode::exhausted, "no pipe can be made");
    }
    std::vector<std::string> command{program, "serve"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const auto pid = spawn(command, environment, {.input = input[0], .output = output[1], .errors = {}});
    close(input[0]);
    close(output[1]);
    ServedChild child;
    child.input_ = input[1];
    child.output_ = output[0];
    child.limits_ = std::move(limits);
    if (!pid) return std::unexpected(pid.error());
    child.pid_ = *pid;
    return child;
}

ServedChild::ServedChild(ServedChild&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)), limits_(std::move(other.limits_)), text_(std::move(other.text_)),
      given_(other.given_) {}

ServedChild& ServedChild::operator=(ServedChild&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(input_, other.input_);
    std::swap(output_, other.output_);
    std::swap(limits_, other.limits_);
    std::swap(text_, other.text_);
    std::swap(given_, other.given_);
    return *this;
}

ServedChild::~ServedChild() {
    if (input_ >= 0) close(input_);
    if (output_ >= 0) close(output_);
    if (pid_ < 0) return;
    const bool is_cancelled = limits_.is_cancelled && limits_.is_cancelled();
    const std::int64_t wait_ms_max = is_cancelled ? cancelled_end_ms_max : end_ms_max;
    if (await_end(pid_, {.wait_ms_max = wait_ms_max, .is_cancelled = {}}) != Ended::by_itself) kill(-pid_, SIGKILL);
    reap(pid_);
}

Result<void> ServedChild::await(int descriptor, short events, std::int64_t until_ns) {
    while (true) {
        const std::int64_t left_ms = (until_ns - system_clock().now_ns()) / 1'000'000 + 1;
        if (left_ms <= 0)
            return fail(ErrorCode::timeout,
                        "the measured process did not answer within " + std::to_string(limits_.wait_ms_max) + " ms");
        pollfd waiting{.fd = descriptor, .events = events, .revents = 0};
        if (poll(&waiting, 1, static_cast<int>(std::min(left_ms, slice_ms))) > 0) return {};
        if (limits_.is_cancelled && limits_.is_cancelled()) return fail(ErrorCode::cancelled, "cancelled");
    }
}

// A message fits the pipe or its reader takes it while we write: nothing else is under way.
Result<void> ServedChild::send(std::string_view text) {
    const WithoutPipeSignal guard;
    const std::int64_t until_ns = system_clock().now_ns() + limits_.wait_ms_max * 1'000'000;
    while (!text.empty()) {
        PILLION_TRY(await(input_, POLLOUT, until_ns));
        constexpr std::size_t pipe_part = 4096; // what a pipe that is ready takes without waiting
        const ssize_t wrote = write(input_, text.data(), std::min(text.size(), pipe_part));
        if (wrote > 0) text.remove_prefix(static_cast<std::size_t>(wrote));
        if (wrote < 0 && errno != EINTR && errno != EAGAIN)
            return fail(ErrorCode::unavailable,
                        std::string("the measured process ended too early: ") + std::strerror(errno));
    }
    return {};
}

Result<std::string_view> ServedChild::receive() {
    text_.erase(0, given_);
    given_ = 0;
    const std::int64_t until_ns = system_clock().now_ns() + limits_.wait_ms_max * 1'000'000;
    std::size_t searched = 0;
    std::size_t end = 0;
    while ((end = text_.find('\n', searched)) == std::string::npos) {
        searched = text_.size();
        PILLION_TRY(await(output_, POLLIN, until_ns));
        std::array<char, 64 * 1024> chunk;
        const ssize_t got = read(output_, chunk.data(), chunk.size());
        if (got == 0) return fail(ErrorCode::unavailable, "the measured process ended too early");
        if (got > 0) text_.append(chunk.data(), static_cast<std::size_t>(got));
        if (got < 0 && errno != EINTR) return fail(ErrorCode::unavailable, "the measured process cannot be read");
    }
    given_ = end + 1;
    return std::string_view(text_).substr(0, end);
}

Result<std::string_view> ServedChild::call(std::string_view text) {
    PILLION_TRY(send(text));
    const std::string_view answer = PILLION_TRY(receive());
    // Requests here have an id of one digit, and responses are written as {"jsonrpc":"2.0","id":1,"result":...
    if (answer.starts_with('[')) return answer;
    constexpr std::size_t head = std::string_view(R"({"jsonrpc":"2.0","id":1,)").size();
    if (answer.substr(std::min(head, answer.size())).starts_with("\"result\"")) return answer;
    return fail(ErrorCode::failed_precondition,
                "the measured process answered " + std::string(answer.substr(0, errors_shown)));
}

Result<void> run_command(const std::vector<std::string>& command, const std::string& errors,
                         const ChildLimits& limits) {
    const pid_t pid =
        PILLION_TRY(spawn(command, ChildEnvironment::as_ours, {.input = -1, .output = -1, .errors = errors}));
    const Ended ended = await_end(pid, limits);
    if (ended != Ended::by_itself) kill(-pid, SIGKILL);
    const int status = reap(pid);
    if (ended == Ended::cancelled) return fail(ErrorCode::cancelled, "cancelled");
    if (ended == Ended::not_in_time)
        return fail(ErrorCode::timeout, command[0] + " did not end within " + std::to_string(limits.wait_ms_max) +
                                            " ms and was killed" + last_of(errors));
    if (WIFSIGNALED(status))
        return fail(ErrorCode::failed_precondition, command[0] + " was ended by signal " +
                                                        std::to_string(WTERMSIG(status)) + " (" +
                                                        strsignal(WTERMSIG(status)) + ")" + last_of(errors));
    if (WEXITSTATUS(status) != 0)
        return fail(ErrorCode::failed_precondition,
                    command[0] + " failed with exit status " + std::to_string(WEXITSTATUS(status)) + last_of(errors));
    return {};
}

} // namespace pillion
