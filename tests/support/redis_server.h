// A real Redis of a test's own, on a Unix socket and a port of loopback. Used by one test thread.
#pragma once

#include "tests/support/server_process.h"

namespace pillion::test {

class RedisServer {
  public:
    // `options` as on its command line: {"--maxmemory", "2mb"}.
    explicit RedisServer(std::vector<std::string> options = {}) : options_(std::move(options)), port_(free_port()) {
        start();
    }

    void start() {
        std::vector<std::string> command{"redis-server", "--port",      std::to_string(port_),
                                         "--bind",       "127.0.0.1",   "--unixsocket",
                                         socket(),       "--save",      "",
                                         "--appendonly", "no",          "--dir",
                                         folder_.path(), "--daemonize", "no"};
        command.insert(command.end(), options_.begin(), options_.end());
        process_.start(command, "The server is now ready to accept connections at");
    }
    // What it held is gone.
    void kill() { process_.end(SIGKILL); }
    void restart() {
        kill();
        start();
    }
    void freeze() const { process_.freeze(); }
    void thaw() const { process_.thaw(); }

    std::string socket() const { return folder_.path() + "/redis.sock"; }
    int port() const { return port_; }
    std::string url() const { return "unix://" + socket(); }
    // What redis-cli prints for a command, given as the shell takes it.
    std::string cli(const std::string& command) const { return output_of("redis-cli -s " + socket() + " " + command); }

  private:
    TemporaryFolder folder_;
    std::vector<std::string> options_;
    int port_;
    ServerProcess process_; // last: ends before the folder goes
};

} // namespace pillion::test
