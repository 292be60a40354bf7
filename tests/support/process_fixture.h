// What tests of child processes share: an io thread with a host, what a child printed and how it ended, and processes
// that are watched by descriptor so that their numbers cannot lie.
#pragma once

#include "modules/process/process.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <poll.h>
#include <sstream>
#include <sys/syscall.h>
#include <unistd.h>

namespace pillion::process_test {

inline constexpr auto wait_max = std::chrono::seconds(30);

class TemporaryFolder {
  public:
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "pillion-process-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~TemporaryFolder() {
        std::error_code error;
        std::filesystem::remove_all(path_, error);
    }
    std::string path() const { return path_.string(); }
    std::string write(const std::string& name, const std::string& text) const {
        std::filesystem::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name) << text;
        return path_ / name;
    }

  private:
    std::filesystem::path path_;
};

// A process of anybody's.
class Watched {
  public:
    explicit Watched(std::int64_t pid) : descriptor_(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))) {}
    Watched(Watched&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    ~Watched() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    bool is_gone(int wait_ms = 0) const {
        pollfd end{descriptor_, POLLIN, 0};
        if (descriptor_ < 0) return true;
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
        for (;;) {
            // SIGCHLD interrupts a poll.
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
            const int ready = ::poll(&end, 1, std::max(0, static_cast<int>(left.count())));
            if (ready == 1) return true;
            if (ready == 0) return false;
        }
    }
    bool ends() const { return is_gone(30'000); }

  private:
    int descriptor_;
};

// What one child did. Its handlers run on the io thread and may outlive it.
class Observed {
  public:
    ProcessHandlers handlers() {
        const auto state = state_;
        return {[state](std::string_view bytes) { state->change([&] { state->output += bytes; }); },
                [state](std::string_view line) {
                    state->change([&] {
                        ++state->error_lines;
                        state->longest_error_line = std::max(state->longest_error_line, line.size());
                    });
                },
                [state](const ProcessExit& exit) { state->change([&] { state->exits.push_back(exit); }); }};
    }
    ProcessExit exit() {
        wait([this] { return !state_->exits.empty(); });
        return get(&State::exits).front();
    }
    std::size_t exits() { return get(&State::exits).size(); }
    // What came so far, at least this many lines.
    std::string output(std::size_t lines = 1) {
        wait([&] { return static_cast<std::size_t>(std::ranges::count(state_->output, '\n')) >= lines; });
        return get(&State::output);
    }
    std::size_t output_bytes() { return get(&State::output).size(); }
    std::size_t error_lines() { return get(&State::error_lines); }
    std::size_t longest_error_line() { return get(&State::longest_error_line); }

  private:
    struct State {
        template <class Change>
        void change(Change&& change) {
            const std::lock_guard lock(mutex);
            change();
            changed.notify_all();
        }
        std::mutex mutex;
        std::condition_variable changed;
        std::string output;
        std::size_t error_lines = 0;
        std::size_t longest_error_line = 0;
        std::vector<ProcessExit> exits;
    };
    template <class Condition>
    void wait(Condition&& condition) {
        std::unique_lock lock(state_->mutex);
        if (!state_->changed.wait_for(lock, wait_max, condition))
            FAIL("the child did not do what it should; it printed " << state_->output);
    }
    template <class Member>
    Member get(Member State::*member) {
        const std::lock_guard lock(state_->mutex);
        return state_.get()->*member;
    }

    std::shared_ptr<State> state_ = std::make_shared<State>();
};

struct Fixture {
    explicit Fixture(ProcessHostOptions options = {}) : host(io, system_clock(), std::move(options)) {}
    ~Fixture() { host.stop_all(0); }

    std::shared_ptr<Process> start(ProcessSpec spec, Observed& observed) {
        auto process = host.spawn(std::move(spec), observed.handlers());
        if (!process) FAIL(process.error().message);
        return *process;
    }
    std::shared_ptr<Process> shell(const std::string& script, Observed& observed, ProcessSpec spec = {}) {
        if (spec.name.empty()) spec.name = "script";
        spec.command = {"sh", "-c", script};
        return start(std::move(spec), observed);
    }
    std::shared_ptr<Process> python(const std::string& script, Observed& observed, ProcessSpec spec = {}) {
        if (spec.name.empty()) spec.name = "script";
        spec.command = {"python3", "-c", script};
        return start(std::move(spec), observed);
    }
    // Everything that was posted to the io thread before has run.
    void pass_io() {
        std::mutex mutex;
        std::condition_variable passed;
        bool has_passed = false;
        io.post([&] {
            const std::lock_guard lock(mutex);
            has_passed = true;
            passed.notify_all();
        });
        std::unique_lock lock(mutex);
        REQUIRE(passed.wait_for(lock, wait_max, [&] { return has_passed; }));
    }

    Io io{system_clock()};
    ProcessHost host;
};

// Ignores SIGTERM, as does its grandchild in a session of its own whose parent has ended; prints both pids.
inline constexpr const char* stubborn_tree = R"(
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
read_end, write_end = os.pipe()
child = os.fork()
if child == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(write_end, str(os.getpid()).encode())
        while True: signal.pause()
    os._exit(0)
os.waitpid(child, 0)
print(os.getpid(), os.read(read_end, 32).decode(), flush=True)
while True: signal.pause()
)";

// The processes whose pids stand in a line.
inline std::vector<Watched> watch_all(const std::string& line) {
    std::vector<Watched> found;
    std::istringstream words(line);
    for (std::int64_t pid = 0; words >> pid;) found.emplace_back(pid);
    return found;
}

} // namespace pillion::process_test
