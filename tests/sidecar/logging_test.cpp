#include "sidecar/logging.h"

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sys/socket.h>
#include <unistd.h>

using namespace pillion;

namespace {

struct Pipe {
    std::array<int, 2> ends{-1, -1};
    Pipe() { REQUIRE(::pipe(ends.data()) == 0); }
    ~Pipe() {
        ::close(ends[0]);
        if (ends[1] != -1) ::close(ends[1]);
    }
    std::string read_all() {
        ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
        std::string out;
        std::array<char, 65536> block{};
        for (ssize_t got; (got = ::read(ends[0], block.data(), block.size())) > 0;)
            out.append(block.data(), static_cast<std::size_t>(got));
        return out;
    }
    void fill() {
        ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
        const std::string page(4096, 'x');
        while (::write(ends[1], page.data(), page.size()) > 0) {
        }
        ::fcntl(ends[1], F_SETFL, 0); // blocking again: a plain write would now wait for ever
    }
};

// Gives the process its quiet logging back.
struct Installed {
    explicit Installed(int descriptor, LogConfig config = {}) {
        set_log_descriptor(descriptor);
        REQUIRE(install_logging(config));
    }
    ~Installed() {
        set_log_sink(nullptr);
        set_log_descriptor(STDERR_FILENO);
    }
};

} // namespace

TEST_CASE("a line has the time, the level, who says it and what", "[logging]") {
    Pipe pipe;
    const Installed installed(pipe.ends[1]);
    log(LogLevel::warning, "ipc", "something is slow");
    log(LogLevel::info, "ipc", "too quiet to be written");
    CHECK(std::regex_match(pipe.read_all(),
                           std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning ipc: something is slow\n)")));
}

TEST_CASE("control characters cannot forge a line or drive a terminal", "[logging]") {
    CHECK(escaped_for_log("a\nb\r\tc") == "a\\nb\\r\\tc");
    CHECK(escaped_for_log("\x1b[31m\x7f") == "\\x1b[31m\\x7f");
    CHECK(escaped_for_log("\xc2\x9b"
                          "31m") == "\\x9b31m");
    CHECK(escaped_for_log("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
}

TEST_CASE("logging to a full pipe returns, and the loss is told once there is room", "[logging]") {
    Pipe pipe;
    pipe.fill();
    const Installed installed(pipe.ends[1]);
    for (int i = 0; i < 1000; ++i) log(LogLevel::error, "test", "nobody reads this"); // would hang here
    (void)pipe.read_all();
    log(LogLevel::error, "test", "first");
    log(LogLevel::error, "test", "second");
    const std::string text = pipe.read_all();
    CHECK(text.find("error test: first (1000 lines before this one could not be written)\n") != std::string::npos);
    CHECK(text.ends_with("error test: second\n"));
}

TEST_CASE("a full socket does not block either", "[logging]") {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    LineWriter writer(ends[1]);
    for (int i = 0; i < 5000 && writer.dropped() == 0; ++i) writer.write(std::string(1000, 'x'));
    CHECK(writer.dropped() == 1);
    ::close(ends[0]);
    writer.write("the reader is gone"); // no SIGPIPE
    CHECK(writer.dropped() == 2);
    ::close(ends[1]);
}

TEST_CASE("a pipe whose reader is gone and a closed descriptor only count", "[logging]") {
    Pipe pipe;
    ::close(pipe.ends[0]);
    LineWriter gone(pipe.ends[1]);
    gone.write("line");
    CHECK(gone.dropped() == 1);
    LineWriter closed(-1);
    closed.write("line");
    CHECK(closed.dropped() == 1);
}

TEST_CASE("a long line is cut between characters to what a pipe takes in one piece", "[logging]") {
    Pipe pipe;
    LineWriter writer(pipe.ends[1]);
    std::string line = "x";
    for (int i = 0; i < 5000; ++i) line += "\xc3\xbc";
    writer.write(line);
    const std::string text = pipe.read_all();
    CHECK(text.size() <= LineWriter::line_bytes_max);
    CHECK(text.size() > LineWriter::line_bytes_max - 8);
    CHECK(text.ends_with("\xc3\xbc...\n"));
}

TEST_CASE("the file gets every line and is rotated, keeping as many as configured", "[logging]") {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("pillion_log_test_" + std::to_string(::getpid()));
    Pipe pipe;
    {
        const Installed installed(pipe.ends[1], {.file = folder / "pillion.log", .fileBytesMax = 4096, .files = 2});
        for (int i = 0; i < 300; ++i) log(LogLevel::error, "test", "a line of some length for the file");
        log(LogLevel::error, "test", "the last one");
    }
    std::ifstream file(folder / "pillion.log");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    CHECK(text.ends_with("Z error test: the last one\n"));
    CHECK(text.size() <= 4096);
    CHECK(std::filesystem::exists(folder / "pillion.1.log"));
    CHECK_FALSE(std::filesystem::exists(folder / "pillion.2.log"));
    std::filesystem::remove_all(folder);
}

TEST_CASE("a file that cannot be opened is an error that names the key", "[logging]") {
    const auto installed = install_logging({.file = "/proc/nonexistent/pillion.log"});
    set_log_sink(nullptr);
    REQUIRE_FALSE(installed);
    CHECK(installed.error().message.starts_with("log.file: "));
}
