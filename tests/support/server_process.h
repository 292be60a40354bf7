// A server program that a test starts for itself: in a temporary folder of its own, ended with the test. Its output is
// read by a thread, which knows by a line of it when the server is ready. Used by one test thread.
#pragma once

#include "tests/support/temporary_folder.h"

#include <array>
#include <condition_variable>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <netinet/in.h>
#include <signal.h>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace pillion::test {

// A port of loopback that nobody uses now.
inline int free_port() {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    const bool is_bound = bind(listening, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                          getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size) == 0;
    close(listening);
    if (!is_bound) throw std::runtime_error("there is no free port");
    return ntohs(address.sin_port);
}

class ServerProcess {
  public:
    ServerProcess() = default;
    ~ServerProcess() { end(SIGKILL); }
    ServerProcess(const ServerProcess&) = delete;

    // Starts the program and waits until it says `ready`.
    void start(const std::vector<std::string>& command, const std::string& ready) {
        std::array<int, 2> output{};
        if (pipe2(output.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe can be made");
        std::vector<char*> arguments;
        for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
        arguments.push_back(nullptr);
        process_ = fork();
        if (process_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            dup2(output[1], STDOUT_FILENO);
            dup2(output[1], STDERR_FILENO);
            execvp(arguments[0], arguments.data());
            _exit(127);
        }
        close(output[1]);
        said_.clear();
        is_ready_ = is_over_ = false;
        reader_ = std::thread([this, ready, from = output[0]] { read_output(from, ready); });
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return is_ready_ || is_over_; });
        if (is_ready_) return;
        const std::string said = said_;
        lock.unlock();
        end(SIGKILL);
        throw std::runtime_error(command[0] + " did not start: " + said);
    }
    void end(int signal) {
        if (process_ > 0) {
            kill(process_, SIGCONT);
            kill(process_, signal);
            waitpid(process_, nullptr, 0);
            process_ = -1;
        }
        if (reader_.joinable()) reader_.join();
    }
    // The process and its children stop where they are.
    void freeze() const { signal_all(SIGSTOP); }
    void thaw() const { signal_all(SIGCONT); }
    bool is_running() const { return process_ > 0; }

  private:
    void read_output(int from, const std::string& ready) {
        std::array<char, 4096> chunk{};
        while (true) {
            const ssize_t count = read(from, chunk.data(), chunk.size());
            const std::lock_guard lock(mutex_);
            if (count <= 0) break;
            said_.append(chunk.data(), static_cast<std::size_t>(count));
            if (said_.find(ready) != std::string::npos) is_ready_ = true;
            if (said_.size() > 65'536) said_.erase(0, said_.size() - 4096);
            changed_.notify_all();
        }
        close(from);
        const std::lock_guard lock(mutex_);
        is_over_ = true;
        changed_.notify_all();
    }
    void signal_all(int signal) const {
        for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
            std::ifstream stat(entry.path() / "stat");
            std::string name, state;
            pid_t process = 0, parent = 0;
            if (stat >> process >> name >> state >> parent && (process == process_ || parent == process_))
                kill(process, signal);
        }
    }

    pid_t process_ = -1;
    std::thread reader_;
    std::mutex mutex_; // guards what follows
    std::condition_variable changed_;
    std::string said_;
    bool is_ready_ = false;
    bool is_over_ = false;
};

// What a program prints; throws where it does not succeed.
inline std::string output_of(const std::string& command) {
    FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
    std::string out;
    std::array<char, 4096> chunk{};
    while (const std::size_t count = fread(chunk.data(), 1, chunk.size(), pipe)) out.append(chunk.data(), count);
    if (pclose(pipe) != 0) throw std::runtime_error(command + " failed: " + out);
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

} // namespace pillion::test
