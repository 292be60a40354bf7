// The ending of whole trees, whatever their members do against it.
#include "tests/support/process_fixture.h"

#include <atomic>
#include <future>

using namespace pillion;
using namespace pillion::process_test;

TEST_CASE("a stop is SIGTERM, and is told as requested", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("exec sleep 1000", observed);
    process->stop();
    const ProcessExit exit = observed.exit();
    CHECK(exit.signal == SIGTERM);
    CHECK(exit.was_requested);
    CHECK_FALSE(process->is_running());
    CHECK(fixture.host.running() == 0);
}

TEST_CASE("a child may end in its own way when asked to stop", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process =
        fixture.shell("trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.01; done", observed);
    observed.output();
    process->stop();
    CHECK(observed.exit().code == 0);
    CHECK(observed.output(2) == "up\nsaved\n");
}

TEST_CASE("a tree that ignores SIGTERM is killed after the grace, the grandchild in its own session too", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.python(stubborn_tree, observed, {.stop_grace_ms = 100});
    const auto tree = watch_all(observed.output());
    REQUIRE(tree.size() == 2);
    process->stop();
    CHECK(observed.exit().signal == SIGKILL);
    for (const Watched& member : tree) CHECK(member.ends());
}

TEST_CASE("a kill does not wait for the grace", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.python(stubborn_tree, observed, {.stop_grace_ms = 3'600'000});
    const auto tree = watch_all(observed.output());
    process->stop();
    process->kill();
    CHECK(observed.exit().signal == SIGKILL);
    for (const Watched& member : tree) CHECK(member.ends());
}

TEST_CASE("a stopped process is ended too", "[process]") {
    Fixture fixture;
    Observed observed;
    const auto process = fixture.shell("echo up; kill -STOP $$", observed, {.stop_grace_ms = 3'600'000});
    observed.output();
    process->stop();
    CHECK(observed.exit().signal == SIGTERM);
}

TEST_CASE("what a child leaves behind is ended after it", "[process]") {
    Fixture fixture;
    Observed observed;
    fixture.shell("setsid sleep 1000 & echo $!; exit 4", observed);
    const auto left = watch_all(observed.output());
    const ProcessExit exit = observed.exit();
    CHECK(exit.code == 4);
    CHECK_FALSE(exit.was_requested);
    for (const Watched& member : left) CHECK(member.ends());
}

TEST_CASE("a descendant that keeps the pipe open and ignores SIGTERM does not hold up the news of the end",
          "[process]") {
    Fixture fixture;
    Observed observed;
    fixture.shell("trap '' TERM; setsid sleep 1000 & echo $!; exit 0", observed, {.stop_grace_ms = 3'600'000});
    const auto left = watch_all(observed.output());
    CHECK(observed.exit().code == 0);
    REQUIRE(left.size() == 1);
    CHECK_FALSE(left.front().is_gone());
    fixture.host.stop_all(0);
    CHECK(left.front().ends());
}

TEST_CASE("orphans that end while their child lives on do not stay as zombies", "[process]") {
    Fixture fixture;
    Observed observed;
    fixture.shell("(setsid sleep 0.01 & echo $!); exec sleep 1000", observed);
    const std::int64_t pid = std::stoll(observed.output());
    const Watched orphan(pid);
    REQUIRE(orphan.ends());
    for (int looks = 0; looks < 1000 && std::filesystem::exists("/proc/" + std::to_string(pid)); ++looks)
        ::poll(nullptr, 0, 10);
    CHECK_FALSE(std::filesystem::exists("/proc/" + std::to_string(pid)));
}

TEST_CASE("stopping everything ends who dropped the mark, the group and the parent", "[process]") {
    Fixture fixture;
    Observed observed;
    fixture.python("import os, time\n"
                   "if os.fork() == 0:\n"
                   " os.setsid()\n"
                   " if os.fork(): os._exit(0)\n"
                   " os.execve('/bin/sh', ['sh', '-c', 'echo $$; exec sleep 1000'], {})\n"
                   "time.sleep(1000)",
                   observed);
    const auto lost = watch_all(observed.output());
    REQUIRE(lost.size() == 1);
    fixture.host.stop_all(5000);
    CHECK(lost.front().is_gone());
}

TEST_CASE("a hundred children at once start, print and are stopped", "[process]") {
    Fixture fixture;
    std::vector<Observed> observed(100);
    std::vector<Watched> watched;
    for (std::size_t number = 0; number < observed.size(); ++number)
        watched.emplace_back(
            fixture.shell("echo " + std::to_string(number) + "; exec sleep 1000", observed[number])->pid());
    for (std::size_t number = 0; number < observed.size(); ++number)
        CHECK(observed[number].output() == std::to_string(number) + "\n");
    CHECK(fixture.host.running() == 100);
    fixture.host.stop_all(20'000);
    CHECK(fixture.host.running() == 0);
    for (const Watched& child : watched) CHECK(child.is_gone());
    for (Observed& child : observed) CHECK(child.exit().was_requested);
}

TEST_CASE("a stop in the middle of starts leaves nothing running", "[process]") {
    Fixture fixture;
    std::vector<Watched> started;
    std::atomic<bool> is_refused{false};
    std::promise<void> first;
    std::thread starter([&] {
        while (!is_refused) {
            const auto process = fixture.host.spawn({.name = "a", .command = {"sleep", "1000"}}, {});
            is_refused = !process;
            if (!process) continue;
            started.emplace_back((*process)->pid());
            if (started.size() == 3) first.set_value();
        }
    });
    first.get_future().wait();
    fixture.host.stop_all(10'000);
    starter.join();
    CHECK(started.size() >= 3);
    for (const Watched& child : started) CHECK(child.is_gone());
    CHECK(fixture.host.running() == 0);
}

TEST_CASE("a process outlives its host as an object that does nothing", "[process]") {
    std::shared_ptr<Process> process;
    Observed observed;
    {
        Fixture fixture;
        process = fixture.shell("exec sleep 1000", observed, {.has_input = true});
    }
    CHECK_FALSE(process->is_running());
    CHECK_FALSE(process->write("x").has_value());
    process->stop();
    process->resume_output();
    CHECK(process->usage().processes == 0);
}

TEST_CASE("an io thread that ends before the host leaves no child", "[process]") {
    Io io(system_clock());
    std::optional<Watched> child;
    {
        ProcessHost host(io, system_clock(), {});
        const auto process = host.spawn({.name = "a", .command = {"python3", "-c", stubborn_tree}}, {});
        REQUIRE(process.has_value());
        child.emplace((*process)->pid());
        io.stop();
    }
    CHECK(child->is_gone());
}
