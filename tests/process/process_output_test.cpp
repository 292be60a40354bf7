// What children print, and what is written to them.
#include "ipc/base/platform.h"
#include "modules/process/output_tail.h"
#include "tests/support/process_fixture.h"

using namespace pillion;
using namespace pillion::process_test;

namespace {

constexpr std::size_t kMiB = 1024 * 1024;

#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t held_bytes_max = 512 * kMiB; // it keeps what was freed for a while
#else
constexpr std::size_t held_bytes_max = 64 * kMiB;
#endif

std::vector<std::string> cut(const std::vector<std::string>& parts) {
    LineCutter cutter;
    std::vector<std::string> lines;
    const auto take = [&](std::string_view line) { lines.emplace_back(line.substr(0, 20)); };
    for (const std::string& part : parts) cutter.append(part, take);
    cutter.finish(take);
    return lines;
}

} // namespace

TEST_CASE("lines are put together from parts and cut at their limit", "[process]") {
    CHECK(cut({"on", "e\ntwo\r\n", "\n", "rest"}) == std::vector<std::string>{"one", "two", "", "rest"});
    const std::string endless(3 * LineCutter::line_bytes_max, 'x');
    CHECK(cut({endless, endless, "\nnext\n"}) == std::vector<std::string>{std::string(20, 'x'), "next"});
}

TEST_CASE("a tail keeps the last twenty lines and eight KiB", "[process]") {
    OutputTail tail;
    CHECK(tail.lines().empty());
    for (int number = 0; number < 100; ++number) tail.append("line " + std::to_string(number) + "\n");
    const std::string lines = tail.lines();
    CHECK(lines.starts_with("line 80\n"));
    CHECK(lines.ends_with("\nline 99"));
    for (int count = 0; count < 1000; ++count) tail.append(std::string(1000, 'y'));
    CHECK(tail.lines() == std::string(OutputTail::bytes_max, 'y'));
    tail.append("\nlast words\n");
    CHECK(tail.lines() == "last words");
}

TEST_CASE("what stands in messages is valid UTF-8 without control characters", "[process]") {
    CHECK(readable("caf\xC3\xA9 \xF0\x9F\x98\x80\ttab") == "caf\xC3\xA9 \xF0\x9F\x98\x80\ttab");
    CHECK(readable("\x1B[31;1mred\x1B[0m\x07") == "red");
    CHECK(readable("\xC3") == "\xEF\xBF\xBD");
    CHECK(readable("\xC0\xAF\xED\xA0\x80") == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    CHECK(readable("\x1B[") == "");
}

TEST_CASE("a child's end is described by status or signal and its last line", "[process]") {
    CHECK(ProcessExit{.code = 3, .ran_ms = 120, .last_lines = "first\nno such file"}.describe() ==
          "exited with status 3 after 120 ms: no such file");
    CHECK(ProcessExit{.signal = 11, .ran_ms = 5}.describe() == "was killed by SIGSEGV after 5 ms");
}

TEST_CASE("a child that dies at once tells its status and its last words", "[process]") {
    Fixture fixture;
    Observed observed;
    fixture.shell("echo starting; echo broken >&2; exit 3", observed);
    const ProcessExit exit = observed.exit();
    CHECK(exit.code == 3);
    CHECK_FALSE(exit.signal.has_value());
    CHECK_FALSE(exit.was_requested);
    CHECK(exit.last_lines == "broken");
    CHECK(observed.output() == "starting\n");
    CHECK(observed.exits() == 1);
}

TEST_CASE("a child killed by a signal tells which", "[process]") {
    Fixture fixture;
    Observed observed;
    fixture.shell("kill -SEGV $$", observed);
    CHECK(observed.exit().signal == SIGSEGV);
}

TEST_CASE("a hundred MB on stderr come through by lines, and none is kept", "[process]") {
    Fixture fixture;
    Observed observed;
    const std::uint64_t before = platform::resident_bytes();
    fixture.python("import sys\nline = 'x' * 999 + '\\n'\nfor _ in range(1000): sys.stderr.write(line * 100)",
                   observed);
    CHECK(observed.exit().code == 0);
    CHECK(observed.error_lines() == 100'000);
    CHECK(platform::resident_bytes() < before + held_bytes_max);
}

TEST_CASE("a hundred MB without a line end are cut and not held", "[process]") {
    Fixture fixture;
    Observed observed;
    std::atomic<std::size_t> bytes{0};
    ProcessHandlers handlers = observed.handlers();
    handlers.on_output = [&](std::string_view part) { bytes += part.size(); };
    const std::uint64_t before = platform::resident_bytes();
    const auto process = fixture.host.spawn(
        {.name = "endless",
         .command = {"python3", "-c",
                     "import sys\nfor s in (sys.stdout, sys.stderr):\n for _ in range(50): s.write('y' * 1000000)"}},
        handlers);
    REQUIRE(process.has_value());
    CHECK(observed.exit().last_lines.size() == OutputTail::bytes_max);
    CHECK(bytes == 50'000'000);
    CHECK(observed.error_lines() == 1);
    CHECK(observed.longest_error_line() == LineCutter::line_bytes_max);
    CHECK(platform::resident_bytes() < before + held_bytes_max);
}

TEST_CASE("a child that closes its output lives on", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("echo bye; exec 1>&- 2>&-; read word; exit 7", observed, {.has_input = true});
    CHECK(observed.output() == "bye\n");
    fixture.pass_io();
    CHECK(process->is_running());
    REQUIRE(process->write("go\n").has_value());
    CHECK(observed.exit().code == 7);
}

TEST_CASE("what is written arrives whole, and the closed input ends it", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("cat | wc -c", observed, {.has_input = true});
    for (int count = 0; count < 50; ++count) REQUIRE(process->write(std::string(100'000, 'z')).has_value());
    process->close_input();
    CHECK(observed.output() == "5000000\n");
    CHECK(observed.exit().code == 0);
    const auto late = process->write("late");
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code == ErrorCode::unavailable);
}

TEST_CASE("writing to a child that never reads is refused at the bound", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("exec sleep 1000", observed, {.has_input = true, .input_bytes_max = kMiB});
    Result<void> written;
    std::size_t bytes = 0;
    for (; written && bytes < 16 * kMiB; bytes += 1000) written = process->write(std::string(1000, 'z'));
    REQUIRE_FALSE(written.has_value());
    CHECK(written.error().code == ErrorCode::exhausted);
    CHECK(bytes < 2 * kMiB + 2000);
    CHECK(process->is_running());
}

TEST_CASE("writing to a child that closed its input is an error, not a signal", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("exec 0<&-; echo closed; exec sleep 1000", observed, {.has_input = true});
    observed.output();
    const auto written = process->write("anybody?\n");
    REQUIRE_FALSE(written.has_value());
    CHECK(written.error().code == ErrorCode::unavailable);
}

TEST_CASE("a child without input refuses to be written to", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("cat; exec sleep 1000", observed);
    const auto written = process->write("x");
    REQUIRE_FALSE(written.has_value());
    CHECK(written.error().code == ErrorCode::failed_precondition);
}

TEST_CASE("a paused output is delivered in full once resumed, before the end is told", "[process]") {
    Fixture fixture;
    Observed observed;
    std::shared_ptr<Process> process;
    fixture.io.post([&] {
        process = *fixture.host.spawn({.name = "a", .command = {"sh", "-c", "seq 1 1000"}}, observed.handlers());
        process->pause_output();
    });
    fixture.pass_io();
    REQUIRE(Watched(process->pid()).ends());
    fixture.pass_io();
    CHECK(observed.exits() == 0);
    CHECK(observed.output_bytes() == 0);
    process->resume_output();
    CHECK(observed.exit().code == 0);
    CHECK(observed.output_bytes() == 3893);
}

TEST_CASE("a stop ends a pause", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("yes", observed);
    process->pause_output();
    process->stop();
    CHECK(observed.exit().was_requested);
}

TEST_CASE("the use of a tree counts its processes and their memory", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("sleep 1000 & sleep 1000 & echo up; wait", observed);
    observed.output();
    const ProcessUsage usage = process->usage();
    CHECK(usage.processes == 3);
    CHECK(usage.memory_bytes > 0);
    process->kill();
    observed.exit();
    CHECK(process->usage().processes == 0);
}
