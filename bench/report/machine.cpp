#include "machine.h"

#include <array>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace pillion::bench {

namespace {

// The rest of the first line of `path` that starts with `name`, without separators and quotes.
std::string find_setting(const char* path, std::string_view name) {
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        if (!line.starts_with(name)) continue;
        const auto start = line.find_first_not_of(" \t:=\"", name.size());
        const auto end = line.find_last_not_of("\" ");
        if (start == std::string::npos) return {};
        return line.substr(start, end + 1 - start);
    }
    return {};
}

// False if a program has said nothing for so long that it never will.
bool is_readable(int file) {
    constexpr int silence_ms_max = 5'000;
    pollfd waited{.fd = file, .events = POLLIN, .revents = 0};
    return poll(&waited, 1, silence_ms_max) == 1;
}

} // namespace

Machine read_machine() {
    Machine machine;
    machine.processor = find_setting("/proc/cpuinfo", "model name");
    machine.cores = std::thread::hardware_concurrency();
    machine.memory_gib = std::strtod(find_setting("/proc/meminfo", "MemTotal:").c_str(), nullptr) / (1024.0 * 1024.0);
    machine.distribution = find_setting("/etc/os-release", "PRETTY_NAME");
    utsname names{};
    if (uname(&names) == 0) machine.kernel = std::string(names.sysname) + ' ' + names.release + ' ' + names.machine;
    std::ifstream("/proc/loadavg") >> machine.load_average;
    return machine;
}

std::string_view compiler() {
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "g++ " __VERSION__;
#endif
}

std::string_view optimisation() {
#if defined(__OPTIMIZE__)
    return "optimised";
#else
    return "not optimised";
#endif
}

std::string output_of(const std::vector<std::string>& arguments) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return {};
    std::vector<char*> argv;
    for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);

    std::string output;
    if (error == 0) {
        std::array<char, 4096> chunk{};
        ssize_t got = -1;
        while (is_readable(ends[0]) && (got = read(ends[0], chunk.data(), chunk.size())) > 0) {
            output.append(chunk.data(), static_cast<std::size_t>(got));
        }
        if (got != 0) kill(pid, SIGKILL);
        int status = 0;
        waitpid(pid, &status, 0);
        if (status != 0) output.clear();
    }
    close(ends[0]);
    return output;
}

} // namespace pillion::bench
