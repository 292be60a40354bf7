// A program that answers JSON-RPC lines on stdin/stdout, and one running instance of it over two pipes.
// Everything here belongs to the benchmark's main thread, except that the throughput row writes to
// input() from a second one. Whatever goes wrong with a peer is thrown as PeerFailure: it ends that peer's part
// in the row (contest.cpp catches it) and nothing else.
#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace pillion::bench {

struct PeerProgram {
    std::string name;
    std::vector<std::string> arguments; // the first is the path to execute
    bool is_slow = false;               // takes part in fewer rounds, with fewer requests
};

class PeerFailure : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Peers' stderr is dropped unless this is called first.
void show_peer_errors();

class PeerProcess {
  public:
    static std::unique_ptr<PeerProcess> start(const PeerProgram& program);
    // Kills what stop() has not ended.
    ~PeerProcess();
    PeerProcess(const PeerProcess&) = delete;
    PeerProcess& operator=(const PeerProcess&) = delete;

    pid_t pid() const { return pid_; }
    int input() const { return input_; }
    int output() const { return output_; }

    void write_all(std::string_view bytes);
    // The next line without its newline; valid until the next call. Not to be mixed with reads from output().
    std::string_view read_line();

    // Moves every thread it has now to one core; threads started later inherit that.
    void pin_to(int core);
    void set_pipe_bytes(int bytes);
    std::string describe_pipes() const;

    // Closes stdin and waits: a peer must then end by itself, with status 0.
    void stop();

  private:
    PeerProcess(pid_t pid, int input, int output) : pid_(pid), input_(input), output_(output) {}
    void close_pipes();

    pid_t pid_;
    int input_;
    int output_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

// While one lives, the process has so many seconds; then it and its children are killed, and its silence becomes an end
// of file that the reader notices. The latest one counts.
class Watch {
  public:
    explicit Watch(const PeerProcess& process, unsigned seconds = 30);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
};

} // namespace pillion::bench
