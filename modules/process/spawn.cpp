// vfork and execve: the address space is not copied, however large the caches are. Until it has become its program the
// child shares our memory, so it only makes system calls on what was prepared. All signals are blocked in the calling
// thread meanwhile, so that no handler of ours runs in the child. Errors come back over a pipe that execve closes.
//
// The child announces its group to the guard itself, before execve: there is no moment in which a SIGKILL of Pillion
// leaves a program that nobody knows of.
#include "modules/process/spawn.h"

#include "modules/process/output_tail.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace pillion {

namespace {

enum class Step : int { group, parent, descriptors, priority, memory_limit, working_directory, execute };

struct StepFailure {
    Step step;
    int error;
};

// What the child needs, as system calls want it.
struct PreparedPlan {
    const SpawnPlan& plan;
    std::vector<char*> arguments{};
    std::vector<char*> environment{};
    pid_t parent = 0;
    int errors = -1;
};

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> found;
    found.reserve(strings.size() + 1);
    for (const std::string& text : strings) found.push_back(const_cast<char*>(text.c_str()));
    found.push_back(nullptr);
    return found;
}

// From here to execve everything runs in the child: async-signal-safe calls only, no allocation, no destructors.
void tell_guard(const PreparedPlan& prepared, GuardRecord::Kind kind) {
    if (prepared.plan.guard < 0) return;
    // A guard that does not take it at once still finds the child by its mark.
    const GuardRecord record{kind, ::getpid()};
    ::send(prepared.plan.guard, &record, sizeof record, MSG_NOSIGNAL | MSG_DONTWAIT);
}

[[noreturn]] void give_up(const PreparedPlan& prepared, Step step, int error) {
    tell_guard(prepared, GuardRecord::Kind::remove);
    const StepFailure failure{step, error};
    const ssize_t written = ::write(prepared.errors, &failure, sizeof failure);
    _exit(written == sizeof failure ? 127 : 126);
}

void place_descriptors(const PreparedPlan& prepared) {
    for (int number = 0; number < 3; ++number)
        if (::dup2(prepared.plan.standard[static_cast<std::size_t>(number)], number) < 0)
            give_up(prepared, Step::descriptors, errno);
    if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
    // Before Linux 5.11: what others may have opened without O_CLOEXEC is found one by one.
    for (int number = 3; number < 4096; ++number) ::fcntl(number, F_SETFD, FD_CLOEXEC);
}

void limit_resources(const PreparedPlan& prepared) {
    const SpawnPlan& plan = prepared.plan;
    if (plan.niceness != 0 && ::setpriority(PRIO_PROCESS, 0, plan.niceness) != 0)
        give_up(prepared, Step::priority, errno);
    if (plan.memory_bytes_max <= 0) return;
    // RLIMIT_DATA counts private writable memory. RLIMIT_AS would count what runtimes such as V8 or Go only reserve.
    const auto bytes = static_cast<rlim_t>(plan.memory_bytes_max);
    const rlimit limit{bytes, bytes};
    if (::setrlimit(RLIMIT_DATA, &limit) != 0) give_up(prepared, Step::memory_limit, errno);
}

void reset_signals() {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &standard, nullptr);
}

// Before execve: a program that does it by itself can be ended while it is loaded.
void ignore_signals() {
    struct sigaction ignored {};
    ignored.sa_handler = SIG_IGN;
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGUSR1, SIGUSR2})
        ::sigaction(signal, &ignored, nullptr);
}

void unblock_signals() {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void run_child(const PreparedPlan& prepared) {
    const SpawnPlan& plan = prepared.plan;
    if (plan.lifetime == SpawnPlan::Lifetime::outlives_parent) {
        if (::setsid() < 0) give_up(prepared, Step::group, errno);
    } else {
        if (::setpgid(0, 0) != 0) give_up(prepared, Step::group, errno);
        if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) give_up(prepared, Step::parent, errno);
        if (::getppid() != prepared.parent) _exit(0); // it died before it could be watched
    }
    tell_guard(prepared, GuardRecord::Kind::add);
    place_descriptors(prepared);
    limit_resources(prepared);
    if (!plan.working_directory.empty() && ::chdir(plan.working_directory.c_str()) != 0)
        give_up(prepared, Step::working_directory, errno);
    reset_signals();
    if (plan.lifetime == SpawnPlan::Lifetime::outlives_parent) ignore_signals();
    unblock_signals();
    ::execve(plan.program.c_str(), prepared.arguments.data(), prepared.environment.data());
    give_up(prepared, Step::execute, errno);
}

// A frame of its own, so that the child disturbs no variable of the caller.
[[gnu::noinline]] pid_t fork_child(const PreparedPlan& prepared) {
    const pid_t pid = ::vfork();
    if (pid == 0) run_child(prepared);
    return pid;
}

std::string reason_of(const SpawnPlan& plan, StepFailure failure) {
    const std::string system = std::strerror(failure.error);
    switch (failure.step) {
    case Step::group:
        return "could not get a process group of its own: " + system;
    case Step::parent:
        return "could not be tied to the life of Pillion: " + system;
    case Step::descriptors:
        return "could not get its standard streams: " + system;
    case Step::priority:
        return "could not get the niceness " + std::to_string(plan.niceness) + ": " + system;
    case Step::memory_limit:
        return "could not get the memory limit of " + std::to_string(plan.memory_bytes_max) + " bytes: " + system;
    case Step::working_directory:
        return "could not enter the working directory '" + plan.working_directory + "': " + system;
    case Step::execute:
        break;
    }
    if (failure.error == ENOEXEC)
        return "'" + plan.program +
               "' is no program for this machine; a script must begin with a line such as #!/bin/sh";
    if (failure.error == ENOENT)
        return "'" + plan.program + "' exists, but the interpreter or loader that it names does not";
    if (failure.error == E2BIG) return "its arguments and environment are larger than the system allows";
    return "'" + plan.program + "' could not be executed: " + system;
}

Error spawn_error(const SpawnPlan& plan, const std::string& reason) {
    return {ErrorCode::unavailable, "'" + plan.component + "' could not be started: " + reason};
}

bool contains_zero(const std::string& text) { return text.find('\0') != std::string::npos; }

bool is_folder(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string search_path(const ProcessSpec& spec) {
    for (const auto& [name, value] : spec.environment)
        if (name == "PATH") return value;
    const char* const path = std::getenv("PATH");
    return path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
}

// A path as the child will see it from its working directory.
std::string seen_from(const ProcessSpec& spec, const std::string& path) {
    return path.starts_with('/') || spec.working_directory.empty() ? path : spec.working_directory + "/" + path;
}

std::unexpected<Error> refuse(const ProcessSpec& spec, const std::string& reason, std::string hint) {
    return fail(ErrorCode::unavailable, "'" + spec.name + "' could not be started: " + reason, {}, std::move(hint));
}

} // namespace

Result<void> check_spec(const ProcessSpec& spec) {
    const auto invalid = [&](const std::string& what) {
        return fail(ErrorCode::invalid_params, "'" + spec.name + "' cannot be started: " + what);
    };
    if (spec.command.empty() || spec.command.front().empty())
        return invalid("its command is empty; it should be a program and its arguments");
    if (std::ranges::any_of(spec.command, contains_zero)) return invalid("its command contains a zero byte");
    for (const auto& [name, value] : spec.environment) {
        if (name.empty() || name.find('=') != std::string::npos || contains_zero(name))
            return invalid("'" + readable(name) + "' is no name for an environment variable");
        if (contains_zero(value)) return invalid("the environment variable " + name + " contains a zero byte");
    }
    if (spec.niceness < 0 || spec.niceness > 19)
        return invalid("its niceness is " + std::to_string(spec.niceness) + "; it should be 0 to 19");
    if (spec.memory_bytes_max < 0)
        return invalid("its memory limit is " + std::to_string(spec.memory_bytes_max) +
                       " bytes; it should be 0 for none, or more");
    return {};
}

Result<std::string> resolve_program(const ProcessSpec& spec) {
    if (!spec.working_directory.empty() && !is_folder(spec.working_directory))
        return refuse(spec, "its working directory '" + spec.working_directory + "' is no folder",
                      "create it, or correct the component's working directory");
    const std::string& program = spec.command.front();
    if (program.find('/') != std::string::npos) {
        const std::string path = seen_from(spec, program);
        if (::access(path.c_str(), F_OK) != 0)
            return refuse(spec, "the program '" + program + "' does not exist",
                          "correct the first word of its command");
        if (is_folder(path)) return refuse(spec, "'" + program + "' is a folder", "name a program in it");
        if (::access(path.c_str(), X_OK) != 0)
            return refuse(spec, "'" + program + "' is not executable", "chmod +x " + program);
        return program;
    }
    const std::string folders = search_path(spec);
    std::string not_executable;
    for (std::size_t begin = 0; begin <= folders.size();) {
        const std::size_t end = std::min(folders.find(':', begin), folders.size());
        const std::string folder = folders.substr(begin, end - begin);
        begin = end + 1;
        const std::string path = (folder.empty() ? "." : folder) + "/" + program;
        const std::string seen = seen_from(spec, path);
        if (::access(seen.c_str(), F_OK) != 0 || is_folder(seen)) continue;
        if (::access(seen.c_str(), X_OK) == 0) return path;
        not_executable = path;
    }
    if (!not_executable.empty())
        return refuse(spec, "'" + not_executable + "' is not executable", "chmod +x " + not_executable);
    return refuse(spec, "the program '" + program + "' was not found in PATH", "install it, or give its whole path");
}

std::vector<std::string> environment_with(const std::vector<std::pair<std::string, std::string>>& variables) {
    std::vector<std::string> found;
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
        const std::string_view text = *variable;
        const std::string_view name = text.substr(0, text.find('='));
        if (std::ranges::none_of(variables, [name](const auto& ours) { return ours.first == name; }))
            found.emplace_back(text);
    }
    for (const auto& [name, value] : variables) found.push_back(name + "=" + value);
    return found;
}

Descriptor above_standard(Descriptor descriptor) {
    if (descriptor.number() > STDERR_FILENO) return descriptor;
    return Descriptor(::fcntl(descriptor.number(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

Result<Pipe> make_pipe(const std::string& component) {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) == 0) {
        Pipe pipe{above_standard(Descriptor(ends[0])), above_standard(Descriptor(ends[1]))};
        if (pipe.read.is_open() && pipe.write.is_open()) return pipe;
    }
    return fail(ErrorCode::exhausted,
                "'" + component + "' could not be started: no pipe could be made for it: " + std::strerror(errno));
}

Result<pid_t> spawn_process(const SpawnPlan& plan) {
    Pipe errors = PILLION_TRY(make_pipe(plan.component));
    const PreparedPlan prepared{plan, pointers(plan.arguments), pointers(plan.environment), ::getpid(),
                                errors.write.number()};
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = fork_child(prepared);
    const int fork_error = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0)
        return std::unexpected(
            spawn_error(plan, std::string("the system refused a process: ") + std::strerror(fork_error)));
    errors.write.reset();
    StepFailure failure{};
    ssize_t got = 0;
    do got = ::read(errors.read.number(), &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    if (got != sizeof failure) return pid;
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return std::unexpected(spawn_error(plan, reason_of(plan, failure)));
}

} // namespace pillion
