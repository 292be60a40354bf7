// Starting a child, and what stands in the errors when it cannot be started.
#include "tests/support/process_fixture.h"

using namespace pillion;
using namespace pillion::process_test;

namespace {

Error start_error(ProcessSpec spec) {
    Fixture fixture;
    const auto process = fixture.host.spawn(std::move(spec), {});
    REQUIRE_FALSE(process.has_value());
    CHECK(fixture.host.running() == 0);
    return process.error();
}

} // namespace

TEST_CASE("a program that is not in PATH is an error that names the component and the program", "[process]") {
    const Error error = start_error({.name = "indexer", .command = {"no-such-program-here"}});
    CHECK(error.code == ErrorCode::unavailable);
    CHECK(error.message == "'indexer' could not be started: the program 'no-such-program-here' was not found in PATH");
    CHECK(error.hint == "install it, or give its whole path");
}

TEST_CASE("a program that does not exist, is a folder or is not executable is an error that says so", "[process]") {
    const TemporaryFolder folder;
    const std::string plain = folder.write("plain", "text");
    CHECK(start_error({.name = "a", .command = {folder.path() + "/none"}}).message ==
          "'a' could not be started: the program '" + folder.path() + "/none' does not exist");
    CHECK(start_error({.name = "a", .command = {folder.path()}}).message.ends_with("is a folder"));
    CHECK(start_error({.name = "a", .command = {plain}}).message.ends_with("is not executable"));
}

TEST_CASE("a script without an interpreter is an error that comes from spawn", "[process]") {
    const TemporaryFolder folder;
    const std::string nothing = folder.write("nothing", "just words");
    const std::string lost = folder.write("lost", "#!/no/such/interpreter\n");
    for (const auto& path : {nothing, lost}) std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    CHECK(start_error({.name = "a", .command = {nothing}})
              .message.ends_with("a script must begin with a line such as #!/bin/sh"));
    CHECK(start_error({.name = "a", .command = {lost}})
              .message.ends_with("the interpreter or loader that it names does not"));
}

TEST_CASE("a working directory that is no folder is an error", "[process]") {
    const Error error = start_error({.name = "a", .command = {"true"}, .working_directory = "/no/such/folder"});
    CHECK(error.code == ErrorCode::unavailable);
    CHECK(error.message == "'a' could not be started: its working directory '/no/such/folder' is no folder");
}

TEST_CASE("what cannot be passed on to a child is invalid", "[process]") {
    CHECK(start_error({.name = "a"}).code == ErrorCode::invalid_params);
    CHECK(start_error({.name = "a", .command = {"true", std::string("x\0y", 3)}}).code == ErrorCode::invalid_params);
    CHECK(start_error({.name = "a", .command = {"true"}, .environment = {{"A=B", "c"}}}).code ==
          ErrorCode::invalid_params);
    CHECK(start_error({.name = "a", .command = {"true"}, .niceness = 20}).code == ErrorCode::invalid_params);
    CHECK(start_error({.name = "a", .command = {"true"}, .memory_bytes_max = -1}).code == ErrorCode::invalid_params);
}

TEST_CASE("arguments larger than the system allows are an error from spawn", "[process]") {
    const Error error = start_error({.name = "a", .command = {"true", std::string(4 * 1024 * 1024, 'x')}});
    CHECK(error.message == "'a' could not be started: its arguments and environment are larger than the system allows");
}

TEST_CASE("a child gets its environment, folder, niceness and memory limit", "[process]") {
    const TemporaryFolder folder;
    Fixture fixture;
    Observed observed;
    fixture.shell("echo $GREETING; pwd -P; nice; ulimit -d", observed,
                  {.environment = {{"GREETING", "hello"}},
                   .working_directory = folder.path(),
                   .memory_bytes_max = 256 << 20,
                   .niceness = 5});
    CHECK(observed.output(4) ==
          "hello\n" + std::filesystem::canonical(folder.path()).string() + "\n5\n" + std::to_string(256 << 10) + "\n");
    CHECK(observed.exit().code == 0);
}

TEST_CASE("a child has no descriptor but its three, a group of its own, and no signal blocked or ignored",
          "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.python("import os\n"
                                        "print([fd for fd in range(3, 256) if os.path.exists(f'/proc/self/fd/{fd}')])\n"
                                        "print(os.getpgid(0) == os.getpid())\n"
                                        "status = open('/proc/self/status').read().split()\n"
                                        "print(status[status.index('SigBlk:') + 1])\n",
                                        observed);
    CHECK(observed.output(3) == "[]\nTrue\n0000000000000000\n");
    Observed plain;
    fixture.shell("exec grep SigIgn /proc/self/status", plain);
    CHECK(plain.output() == "SigIgn:\t0000000000000000\n");
}

TEST_CASE("a host takes no more processes than it is allowed", "[process]") {
    Fixture fixture({.processes_max = 1});
    Observed observed;
    fixture.shell("exec sleep 1000", observed);
    const auto second = fixture.host.spawn({.name = "second", .command = {"true"}}, {});
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == ErrorCode::exhausted);
}

TEST_CASE("a host that has stopped everything starts nothing more", "[process]") {
    Fixture fixture;
    Observed observed;
    fixture.shell("exec sleep 1000", observed);
    fixture.host.stop_all(5000);
    CHECK(observed.exit().was_requested);
    const auto late = fixture.host.spawn({.name = "late", .command = {"true"}}, {});
    REQUIRE_FALSE(late.has_value());
    CHECK(late.error().code == ErrorCode::unavailable);
}

TEST_CASE("spawn works on the io thread too", "[process]") {
    Fixture fixture;
    Observed observed;
    bool has_started = false;
    fixture.io.post(
        [&] { has_started = fixture.host.spawn({.name = "a", .command = {"true"}}, observed.handlers()).has_value(); });
    CHECK(observed.exit().code == 0);
    CHECK(has_started);
}

TEST_CASE("two free ports are never the same", "[process]") {
    std::vector<std::uint16_t> ports;
    for (int count = 0; count < 100; ++count) {
        const auto port = find_free_port();
        REQUIRE(port.has_value());
        CHECK(std::find(ports.begin(), ports.end(), *port) == ports.end());
        ports.push_back(*port);
    }
}
