// Child processes, supervised: each runs in a process group of its own, what it prints is read without blocking, its
// end is noticed at once, its whole tree can be stopped, and none outlives Pillion, however Pillion ends.
//
// A ProcessHost is owned by the composition root and lives longer than its processes; the Io lives longer than it.
// Handlers run on the io thread and must not block; any other call may come from any thread. A handler may run before
// spawn() has returned to a caller on another thread.
//
// What a child starts belongs to it: once the child has ended, by itself or not, its descendants are ended too. They
// are known by their parents, their process group and a variable that all of them inherit (PILLION_RUN_ID).
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/io.h"
#include "modules/process/readiness.h"
#include "modules/process/restart_policy.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pillion {

struct ProcessSpec {
    std::string name{};                                             // the component; stands in every error
    std::vector<std::string> command{};                             // program (looked up in PATH) and arguments
    std::vector<std::pair<std::string, std::string>> environment{}; // beside what we have ourselves
    std::string working_directory{};                                // empty: ours
    std::int64_t memory_bytes_max = 0;                              // of the address space's data; 0: no limit
    int niceness = 0;                                               // 0..19
    bool has_input = false;                                         // a pipe for stdin, else /dev/null
    std::size_t input_bytes_max = 64 * 1024 * 1024; // waiting to be read by the child; then write() refuses
    std::int64_t stop_grace_ms = 5000;              // from SIGTERM to SIGKILL
};

struct ProcessExit {
    std::optional<int> code{};   // exit status, or
    std::optional<int> signal{}; // the signal that ended it
    bool was_requested = false;  // stop() or kill() came first
    std::int64_t ran_ms = 0;
    std::string last_lines{}; // the end of what it wrote to stderr (or stdout), for people
    // "exited with status 3 after 120 ms: <last line>", "was killed by SIGSEGV after ..."
    std::string describe() const;
};

// The process tree's use of the machine, by proportional set size so that shared pages count once.
struct ProcessUsage {
    std::uint64_t memory_bytes = 0;
    std::int64_t cpu_ns = 0;
    std::uint32_t processes = 0;
};

struct ProcessHandlers {
    std::function<void(std::string_view bytes)> on_output{};    // stdout as it comes; empty: captured for last_lines
    std::function<void(std::string_view line)> on_error_line{}; // stderr by lines, cut at 8 KiB
    std::function<void(const ProcessExit&)> on_exit{};          // once, after all output was delivered
};

class Process {
  public:
    virtual ~Process() = default;
    virtual std::int64_t pid() const = 0;
    virtual const ProcessSpec& spec() const = 0;
    virtual bool is_running() const = 0;
    // Queues bytes for stdin. -32004 if too much is waiting already, -32005 if the process has ended or closed it.
    virtual Result<void> write(std::string bytes) = 0;
    virtual void close_input() = 0;
    // While paused the child's stdout is not read: its pipe fills and it waits. on_exit waits too, for what was not
    // delivered yet; stop() and kill() end the pause.
    virtual void pause_output() = 0;
    virtual void resume_output() = 0;
    // SIGTERM to the whole tree, SIGKILL to what is left after the grace. on_exit follows.
    virtual void stop() = 0;
    // SIGKILL to the whole tree, now.
    virtual void kill() = 0;
    virtual std::string last_lines() const = 0;
    // Reads /proc; some hundred microseconds. Zeros once it has ended.
    virtual ProcessUsage usage() const = 0;
    // Shows the observer the last lines of stdout and then each new one, until it answers true. On the io thread.
    virtual void observe_output_lines(std::function<bool(std::string_view line)> observer) { (void)observer; }
};

struct ProcessHostOptions {
    std::string data_directory{}; // where the ledger of running children lies; empty: no ledger
    std::string guard_program{};  // the pillion binary itself; empty: no guard (tests of other modules)
    std::size_t processes_max = 256;
};

// A child of an earlier run that was still alive and has been ended.
struct Leftover {
    std::string name;
    std::int64_t pid = 0;
};

class ProcessHost {
  public:
    ProcessHost(Io& io, const Clock& clock, ProcessHostOptions options);
    ~ProcessHost();
    ProcessHost(const ProcessHost&) = delete;

    // Starts it. A missing program, a wrong folder or a refused fork is an error that names `spec.name`, -32005 or
    // -32602; it comes from here, not from on_exit.
    Result<std::shared_ptr<Process>> spawn(ProcessSpec spec, ProcessHandlers handlers);

    // Ends what crashed earlier runs on this data directory left alive: children whose pid, start time and executable
    // all match what was written down, and whoever carries the run's mark. Takes up to 3 s if they do not want to go.
    std::vector<Leftover> end_leftovers();

    // Stops every process and waits until all are gone, at most `wait_ms_max`; then they are killed. Later spawns are
    // refused with -32005. Not on the io thread.
    void stop_all(std::int64_t wait_ms_max);

    std::size_t running() const;

  private:
    struct State;
    std::shared_ptr<State> state_;
};

class Guard;

// Children that another module starts and waits for by itself, as bare as a shell would. No ProcessHost takes them for
// orphans. Used by one thread at a time.
class PlainChildren {
  public:
    PlainChildren();
    // Whoever carries the mark and is left is ended, if there is a guard.
    ~PlainChildren();
    PlainChildren(const PlainChildren&) = delete;

    // From now on whoever carries the mark is ended should Pillion be killed. `program` is the pillion binary itself.
    Result<void> guard(const std::string& program);
    // NAME=VALUE, for the environment of those that are to be ended; empty while there is no guard.
    const std::string& mark() const { return mark_; }
    // Calls `start`, which starts one and returns its pid.
    Result<pid_t> start(const std::function<Result<pid_t>()>& start);
    // Waits for its end; its status, as waitpid tells it.
    static int reap(pid_t pid);

  private:
    std::unique_ptr<Guard> guard_;
    std::string mark_;
};

// A TCP port of the loopback interface that nobody listens on now, and that was not handed out in the last minutes.
Result<std::uint16_t> find_free_port();

// The guard: a process of our own binary that outlives a SIGKILL of Pillion by as long as it takes to end every child.
// main() asks for it before anything else: `if (is_guard(argc, argv)) return run_guard(argc, argv);`
bool is_guard(int argc, const char* const* argv);
int run_guard(int argc, const char* const* argv);

} // namespace pillion
