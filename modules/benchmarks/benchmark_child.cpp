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
constexpr std::int64_t early_end_ms_max = 300; // from a closed pipe to the end
constexpr std::size_t errors_shown = 300;

struct SpawnFiles {
    int input; // descriptors, or -1 for /dev/null
    int output;
    int errors;              // a descriptor, or -1 for the file
    std::string errors_file; // a path
};

Result<pid_t> spawn_plain(const std::vector<std::string>& command, ChildEnvironment environment,
                          const SpawnFiles& files, const std::string& mark) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::vector<char*> variables;
    const std::string_view mark_name = std::string_view(mark).substr(0, mark.find('=') + 1);
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text = *variable;
        if (environment == ChildEnvironment::without_settings && text.starts_with("PILLION_")) continue;
        if (!mark_name.empty() && text.starts_with(mark_name)) continue;
        variables.push_back(*variable);
    }
    if (!mark.empty()) variables.push_back(const_cast<char*>(mark.c_str()));
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
    if (files.errors >= 0)
        posix_spawn_file_actions_adddup2(&actions, files.errors, STDERR_FILENO);
    else
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, files.errors_file.c_str(),
                                         O_WRONLY | O_CREAT | O_TRUNC, 0600);
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

Result<pid_t> spawn(PlainChildren& children, const std::vector<std::string>& command, ChildEnvironment environment,
                    const SpawnFiles& files) {
    return children.start([&] { return spawn_plain(command, environment, files, children.mark()); });
}

enum class Ended : std::uint8_t { by_itself, not_in_time, cancelled };

Ended await_end(pid_t pid, std::int64_t wait_ms_max, const std::function<bool()>& is_cancelled) {
    const int process = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    const std::int64_t until_ns = system_clock().now_ns() + wait_ms_max * 1'000'000;
    Ended ended = Ended::not_in_time;
    while (process >= 0) {
        const std::int64_t left_ms = (until_ns - system_clock().now_ns()) / 1'000'000 + 1;
        if (left_ms <= 0) break;
        pollfd waiting{.fd = process, .events = POLLIN, .revents = 0};
        if (poll(&waiting, 1, static_cast<int>(std::min(left_ms, slice_ms))) == 1) {
            ended = Ended::by_itself;
            break;
        }
        if (is_cancelled && is_cancelled()) {
            ended = Ended::cancelled;
            break;
        }
    }
    if (process >= 0) close(process);
    return ended;
}

std::string last_of(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    if (text.size() > errors_shown) text = "..." + text.substr(text.size() - errors_shown);
    std::ranges::replace(text, '\n', ' ');
    return text.empty() ? text : ": " + text;
}

std::string last_of_file(const std::string& path) { return last_of(platform::find_system_text(path).value_or("")); }

// " failed with exit status 3"; empty where it ended well.
std::string end_of(int status) {
    if (WIFSIGNALED(status))
        return " was ended by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
    return WEXITSTATUS(status) == 0 ? "" : " failed with exit status " + std::to_string(WEXITSTATUS(status));
}

// A pipe of ours and its; both are closed on exec.
struct PipeEnds {
    int read = -1;
    int write = -1;
    static Result<PipeEnds> create() {
        std::array<int, 2> ends{-1, -1};
        if (pipe2(ends.data(), O_CLOEXEC) != 0) return fail(ErrorCode::exhausted, "no pipe can be made");
        return PipeEnds{ends[0], ends[1]};
    }
};

// The message of an error response, as the product writes them; the response itself where there is none.
std::string error_message_of(std::string_view response) {
    constexpr std::string_view before = R"("message":")";
    const std::size_t at = response.find(before);
    if (at == std::string_view::npos) return std::string(response.substr(0, errors_shown));
    std::string message;
    for (std::size_t index = at + before.size(); index < response.size() && response[index] != '"'; ++index) {
        if (response[index] == '\\') ++index;
        if (index < response.size()) message += response[index];
    }
    return "with an error: " + message;
}

class ClosedLater {
  public:
    explicit ClosedLater(int descriptor) : descriptor_(descriptor) {}
    ~ClosedLater() { close(descriptor_); }
    ClosedLater(const ClosedLater&) = delete;

  private:
    const int descriptor_;
};

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
                                       ChildEnvironment environment, ChildSurroundings around) {
    ServedChild child(std::move(around)); // closes what it has been given, whatever comes
    const auto [its_input, our_input] = PILLION_TRY(PipeEnds::create());
    child.input_ = our_input;
    const ClosedLater input(its_input);
    const auto [our_output, its_output] = PILLION_TRY(PipeEnds::create());
    child.output_ = our_output;
    const ClosedLater output(its_output);
    const auto [our_errors, its_errors] = PILLION_TRY(PipeEnds::create());
    child.errors_ = our_errors;
    const ClosedLater errors(its_errors);
    std::vector<std::string> command{program, "serve"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    child.pid_ =
        PILLION_TRY(spawn(child.around_.children, command, environment,
                          {.input = its_input, .output = its_output, .errors = its_errors, .errors_file = {}}));
    return child;
}

ServedChild::ServedChild(ServedChild&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), input_(std::exchange(other.input_, -1)),
      output_(std::exchange(other.output_, -1)), errors_(std::exchange(other.errors_, -1)),
      around_(std::move(other.around_)), text_(std::move(other.text_)), given_(other.given_) {}

ServedChild::~ServedChild() {
    for (const int descriptor : {input_, output_, errors_})
        if (descriptor >= 0) close(descriptor);
    if (pid_ < 0) return;
    const bool is_cancelled = around_.is_cancelled && around_.is_cancelled();
    const std::int64_t wait_ms_max = is_cancelled ? cancelled_end_ms_max : end_ms_max;
    if (await_end(pid_, wait_ms_max, {}) != Ended::by_itself) kill(-pid_, SIGKILL);
    PlainChildren::reap(pid_);
}

std::unexpected<Error> ServedChild::ended_early() {
    std::string how;
    if (await_end(pid_, early_end_ms_max, {}) == Ended::by_itself)
        how = end_of(PlainChildren::reap(std::exchange(pid_, -1)));
    std::string text(64 * 1024, '\0'); // what a pipe holds
    const int flags = fcntl(errors_, F_GETFL);
    fcntl(errors_, F_SETFL, flags | O_NONBLOCK);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read(errors_, text.data(), text.size()))));
    return fail(ErrorCode::unavailable,
                "the measured process" + (how.empty() ? " ended too early" : how) + last_of(std::move(text)));
}

Result<void> ServedChild::await(int descriptor, short events, std::int64_t until_ns) {
    while (true) {
        const std::int64_t left_ms = (until_ns - system_clock().now_ns()) / 1'000'000 + 1;
        if (left_ms <= 0)
            return fail(ErrorCode::timeout,
                        "the measured process did not answer within " + std::to_string(around_.wait_ms_max) + " ms");
        pollfd waiting{.fd = descriptor, .events = events, .revents = 0};
        if (poll(&waiting, 1, static_cast<int>(std::min(left_ms, slice_ms))) > 0) return {};
        if (around_.is_cancelled && around_.is_cancelled()) return fail(ErrorCode::cancelled, "cancelled");
    }
}

// A message fits the pipe or its reader takes it while we write: nothing else is under way.
Result<void> ServedChild::send(std::string_view text) {
    const WithoutPipeSignal guard;
    const std::int64_t until_ns = system_clock().now_ns() + around_.wait_ms_max * 1'000'000;
    while (!text.empty()) {
        PILLION_TRY(await(input_, POLLOUT, until_ns));
        constexpr std::size_t pipe_part = 4096; // what a pipe that is ready takes without waiting
        const ssize_t wrote = write(input_, text.data(), std::min(text.size(), pipe_part));
        if (wrote > 0) text.remove_prefix(static_cast<std::size_t>(wrote));
        if (wrote < 0 && errno != EINTR && errno != EAGAIN) return ended_early();
    }
    return {};
}

Result<std::string_view> ServedChild::receive() {
    text_.erase(0, given_);
    given_ = 0;
    const std::int64_t until_ns = system_clock().now_ns() + around_.wait_ms_max * 1'000'000;
    std::size_t searched = 0;
    std::size_t end = 0;
    while ((end = text_.find('\n', searched)) == std::string::npos) {
        searched = text_.size();
        PILLION_TRY(await(output_, POLLIN, until_ns));
        std::array<char, 64 * 1024> chunk;
        const ssize_t got = read(output_, chunk.data(), chunk.size());
        if (got == 0) return ended_early();
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
    return fail(ErrorCode::failed_precondition, "the measured process answered " + error_message_of(answer));
}

Result<void> run_command(const std::vector<std::string>& command, const std::string& errors,
                         const ChildSurroundings& around) {
    const pid_t pid = PILLION_TRY(spawn(around.children, command, ChildEnvironment::as_ours,
                                        {.input = -1, .output = -1, .errors = -1, .errors_file = errors}));
    const Ended ended = await_end(pid, around.wait_ms_max, around.is_cancelled);
    // Its group, not yet reaped and so still its own: what it left running would disturb the runs that follow.
    kill(-pid, SIGKILL);
    const int status = PlainChildren::reap(pid);
    if (ended == Ended::cancelled) return fail(ErrorCode::cancelled, "cancelled");
    if (ended == Ended::not_in_time)
        return fail(ErrorCode::timeout, command[0] + " did not end within " + std::to_string(around.wait_ms_max) +
                                            " ms and was killed" + last_of_file(errors));
    if (const std::string how = end_of(status); !how.empty())
        return fail(ErrorCode::failed_precondition, command[0] + how + last_of_file(errors));
    return {};
}

} // namespace pillion
