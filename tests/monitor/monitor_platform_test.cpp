// The tree of processes, out of a /proc that was written for the test.
#include "tests/monitor/monitor_support.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace pillion;

namespace {

std::vector<std::int64_t> pids(const TreeReading& tree) {
    std::vector<std::int64_t> pids;
    for (const ProcessReading& process : tree.processes) pids.push_back(process.pid);
    return pids;
}

const ProcessReading& process(const TreeReading& tree, std::int64_t pid) {
    const auto at = std::ranges::find(tree.processes, pid, &ProcessReading::pid);
    REQUIRE(at != tree.processes.end());
    return *at;
}

const MonitorGap* find_gap(const std::vector<MonitorGap>& gaps, std::string_view what) {
    const auto at = std::ranges::find(gaps, what, &MonitorGap::what);
    return at == gaps.end() ? nullptr : &*at;
}

using Pids = std::vector<std::int64_t>;

} // namespace

TEST_CASE("the tree is the shell, Pillion and all that descends from Pillion, parents first", "[monitor]") {
    FakeSystem system;
    system.add(50, {.parent = 1, .command = "shell", .children = "100 60 "});
    system.add(60, {.parent = 50, .command = "other"});
    system.add(100, {.parent = 50, .command = "pillion", .children = "101 102 "});
    system.add(101, {.parent = 100, .children = "103 "});
    system.add(102, {.parent = 100});
    system.add(103, {.parent = 101});
    const TreeReading tree = system.platform()->read_tree();
    CHECK(pids(tree) == Pids{50, 100, 101, 102, 103});
    CHECK(process(tree, 50).role == MonitorRole::shell);
    CHECK(process(tree, 100).role == MonitorRole::self);
    CHECK(process(tree, 103).role == MonitorRole::child);
    CHECK(process(tree, 103).parent == 101);
    CHECK(tree.left_out == 0);
}

TEST_CASE("a process's counters are read", "[monitor]") {
    FakeSystem system;
    system.add(1, {.parent = 0, .command = "systemd"});
    system.add(100, {.state = 'R', .threads = 3, .user_ticks = 150, .system_ticks = 50, .reaped_ticks = 7});
    system.write("/proc/100/fd/0", "");
    system.write("/proc/100/fd/1", "");
    const TreeReading tree = system.platform()->read_tree();
    const ProcessReading& self = process(tree, 100);
    const std::int64_t tick_ns = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
    CHECK(self.cpu_ns == 200 * tick_ns);
    CHECK(self.reaped_cpu_ns == 7 * tick_ns);
    CHECK(self.started_ns == 100 * tick_ns);
    CHECK(self.threads == 3);
    CHECK(self.state == MonitorState::running);
    CHECK(self.resident_bytes == 50 * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    CHECK(self.read_bytes == 4096u);
    CHECK(self.written_bytes == 8192u);
    CHECK(self.descriptors == 2);
}

TEST_CASE("a name may hold brackets, blanks and a newline", "[monitor]") {
    for (const char* command : {"a) S 1 (b", "(((", ")", "two words", "line\nbreak", ""}) {
        CAPTURE(command);
        FakeSystem system;
        system.add(100, {.parent = 0, .command = command, .threads = 4});
        const TreeReading tree = system.platform()->read_tree();
        REQUIRE(pids(tree) == Pids{100});
        CHECK(tree.processes[0].name == command);
        CHECK(tree.processes[0].threads == 4);
    }
}

TEST_CASE("a process is named by its executable, also when that was replaced", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0, .command = "MainThread", .children = "101 102 103 "});
    system.add(101, {.parent = 100, .command = "short-name-of-1"});
    system.add(102, {.parent = 100, .command = "kept"});
    system.add(103, {.parent = 100, .command = "kept"});
    system.link("/proc/100/exe", "/usr/bin/node");
    system.link("/proc/101/exe", "/opt/app/short-name-of-15-and-more");
    system.link("/proc/102/exe", "/opt/app/worker (deleted)");
    const TreeReading tree = system.platform()->read_tree();
    CHECK(process(tree, 100).name == "node");
    CHECK(process(tree, 101).name == "short-name-of-15-and-more");
    CHECK(process(tree, 102).name == "worker");
    CHECK(process(tree, 103).name == "kept");
}

TEST_CASE("a process that runs another program is named anew", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0, .command = "pillion"});
    system.link("/proc/100/exe", "/usr/bin/pillion");
    const auto platform = system.platform();
    CHECK(platform->read_tree().processes[0].name == "pillion");
    system.add(100, {.parent = 0, .command = "python3"});
    system.link("/proc/100/exe", "/usr/bin/python3.11");
    CHECK(platform->read_tree().processes[0].name == "python3.11");
}

TEST_CASE("children of all threads are found", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0, .threads = 3, .children = "101 "});
    system.write("/proc/100/task/110/children", "102 103 ");
    system.write("/proc/100/task/111/children", "");
    for (const std::int64_t child : {101, 102, 103}) system.add(child, {.parent = 100});
    CHECK(pids(system.platform()->read_tree()).size() == 4);
}

TEST_CASE("of a child with many threads the others than the first are asked every few readings", "[monitor]") {
    FakeSystem system;
    system.add(90, {.parent = 0, .children = "100 "});
    system.add(100, {.parent = 90, .threads = 12});
    system.write("/proc/100/task/110/children", "");
    const auto platform = system.platform(90);
    CHECK(pids(platform->read_tree()) == Pids{90, 100});
    system.add(101, {.parent = 100});
    system.add(102, {.parent = 100});
    system.write("/proc/100/task/100/children", "101 ");
    system.write("/proc/100/task/110/children", "102 ");
    CHECK(pids(platform->read_tree()) == Pids{90, 100, 101});
    CHECK(pids(platform->read_tree()) == Pids{90, 100, 101});
    Pids all = pids(platform->read_tree());
    std::ranges::sort(all);
    CHECK(all == Pids{90, 100, 101, 102});
    all = pids(platform->read_tree()); // and is remembered until the next time
    std::ranges::sort(all);
    CHECK(all == Pids{90, 100, 101, 102});
}

TEST_CASE("of Pillion itself all threads are asked each time, however many", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0, .threads = 200});
    system.write("/proc/100/task/110/children", "");
    const auto platform = system.platform();
    CHECK(pids(platform->read_tree()) == Pids{100});
    system.add(101, {.parent = 100});
    system.write("/proc/100/task/110/children", "101 ");
    CHECK(pids(platform->read_tree()) == Pids{100, 101});
}

TEST_CASE("without children files all processes are asked for their parent", "[monitor]") {
    FakeSystem system;
    system.add(50, {.parent = 1});
    system.add(100, {.parent = 50});
    system.add(101, {.parent = 100});
    system.add(102, {.parent = 101});
    system.add(103, {.parent = 50});
    for (const char* pid : {"50", "100", "101", "102", "103"})
        system.remove(std::string("/proc/") + pid + "/task/" + pid + "/children");
    CHECK(pids(system.platform()->read_tree()) == Pids{50, 100, 101, 102});
}

TEST_CASE("a process that ended between being listed and being read is left out", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0, .children = "101 102 "});
    system.add(102, {.parent = 100});
    system.remove("/proc/102/io");
    system.remove("/proc/102/fd");
    const TreeReading tree = system.platform()->read_tree();
    CHECK(pids(tree) == Pids{100, 102});
    CHECK(find_gap(tree.gaps, "process.disk.io") == nullptr);
    CHECK(find_gap(tree.gaps, "process.open_file_descriptor.count") == nullptr);
}

TEST_CASE("a pid that went to a process of another parent is not ours", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0, .children = "101 102 "});
    system.add(101, {.parent = 7});
    system.add(102, {.parent = 100});
    CHECK(pids(system.platform()->read_tree()) == Pids{100, 102});
}

TEST_CASE("processes that name each other as parents end no walk in a circle", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 101, .children = "101 "});
    system.add(101, {.parent = 100, .children = "100 101 102 "});
    system.add(102, {.parent = 101, .children = "102 101 100 "});
    CHECK(pids(system.platform()->read_tree()).size() == 2); // the shell is not its own grandchild
}

TEST_CASE("more processes than the bound are counted, not read", "[monitor]") {
    FakeSystem system;
    std::string children;
    const auto count = static_cast<std::int64_t>(MonitorPlatform::processes_max) + 20;
    for (std::int64_t pid = 1000; pid < 1000 + count; ++pid) {
        system.add(pid, {.parent = 100});
        children += std::to_string(pid) + " ";
    }
    system.add(100, {.parent = 0, .children = children});
    const TreeReading tree = system.platform()->read_tree();
    CHECK(tree.processes.size() == MonitorPlatform::processes_max);
    CHECK(tree.left_out == 21);
}

TEST_CASE("a missing /proc gives no processes and says so", "[monitor]") {
    FakeSystem system;
    const TreeReading tree = system.platform()->read_tree();
    CHECK(tree.processes.empty());
    const MonitorGap* const gap = find_gap(tree.gaps, "processes");
    REQUIRE(gap != nullptr);
    CHECK(gap->why == "/proc shows not even this process: the system does not offer it");
}

TEST_CASE("a malformed stat is no process", "[monitor]") {
    for (const char* text : {"", "100", "100 (", "100 (app)", "100 (app) S", "100 (app) SS 0 1", "100 )app( S 0 1 1",
                             "100 (app) S 0 1 1 x -1 1 1 1 1 1 1 1 1 1 20 0 1 0 5 5 5", "\n\n\n", "\0\0\0"}) {
        CAPTURE(text);
        FakeSystem system;
        system.add(100, {.parent = 0});
        system.write("/proc/100/stat", text);
        const TreeReading tree = system.platform()->read_tree();
        CHECK(tree.processes.empty());
        CHECK(find_gap(tree.gaps, "processes") != nullptr);
    }
}

TEST_CASE("a shell that cannot be seen is told with the reason", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0});
    const auto platform = system.platform();
    CHECK(find_gap(platform->read_tree().gaps, "shell")->why == "it is in another pid namespace");
    system.add(100, {.parent = 50});
    CHECK(find_gap(platform->read_tree().gaps, "shell")->why == "/proc does not show it: the system does not offer it");
    system.add(1, {.parent = 0, .command = "systemd"});
    system.add(100, {.parent = 1});
    CHECK(find_gap(platform->read_tree().gaps, "shell")->why == "it has ended");
    CHECK(pids(platform->read_tree()) == Pids{100});
    system.add(1, {.parent = 0, .command = "app"}); // a container's first process
    CHECK(pids(platform->read_tree()) == Pids{1, 100});
}

TEST_CASE("files that may not be read leave figures absent and are told once for all processes", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0, .children = "101 "});
    system.add(101, {.parent = 100});
    for (const char* pid : {"100", "101"})
        for (const char* file : {"/io", "/fd"}) { // a link to itself refuses everybody, the superuser too
            system.remove(std::string("/proc/") + pid + file);
            system.link(std::string("/proc/") + pid + file, file + 1);
        }
    const auto platform = system.platform();
    for (int reading = 0; reading < 2; ++reading) {
        const TreeReading tree = platform->read_tree();
        CHECK_FALSE(process(tree, 101).read_bytes);
        CHECK_FALSE(process(tree, 101).descriptors);
        REQUIRE(find_gap(tree.gaps, "process.disk.io") != nullptr);
        CHECK(find_gap(tree.gaps, "process.disk.io")->processes == 2);
        REQUIRE(find_gap(tree.gaps, "process.open_file_descriptor.count") != nullptr);
        CHECK(find_gap(tree.gaps, "process.open_file_descriptor.count")->processes == 2);
    }
}

TEST_CASE("that network traffic is not told by process is said", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0});
    CHECK(find_gap(system.platform()->read_tree().gaps, "process.network") != nullptr);
}

TEST_CASE("a zombie has no memory, no descriptors and is no gap", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0, .children = "101 "});
    system.add(101, {.parent = 100, .state = 'Z', .pages = 0});
    system.remove("/proc/101/io");
    const TreeReading tree = system.platform()->read_tree();
    CHECK(process(tree, 101).state == MonitorState::zombie);
    CHECK(process(tree, 101).resident_bytes == 0);
    CHECK_FALSE(process(tree, 101).descriptors);
    CHECK(tree.gaps.size() == 2); // the shell and the network
}

TEST_CASE("memory maps give proportional, private and swapped bytes", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0});
    system.write("/proc/100/smaps_rollup", "55b1-7ffd ---p 00000000 00:00 0 [rollup]\nRss: 4056 kB\nPss: 905 kB\n"
                                           "Pss_Dirty: 576 kB\nPrivate_Clean: 8 kB\nPrivate_Dirty: 252 kB\n"
                                           "Private_Hugetlb: 2048 kB\nSwap: 16 kB\nSwapPss: 12 kB\n");
    const auto platform = system.platform();
    const auto reading = platform->read_memory(platform->read_tree().processes[0]);
    REQUIRE(reading.memory);
    CHECK(reading.memory->proportional_bytes == 905u * 1024);
    CHECK(reading.memory->private_bytes == (8u + 252 + 2048) * 1024);
    CHECK(reading.memory->swapped_bytes == 12u * 1024);
    CHECK(reading.why.empty());
}

TEST_CASE("memory maps that are not there are told with the reason", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0});
    const auto platform = system.platform();
    const auto reading = platform->read_memory(platform->read_tree().processes[0]);
    CHECK_FALSE(reading.memory);
    CHECK(reading.why == "the system does not offer it");
}

TEST_CASE("where maps are refused, private memory is that of no file", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0});
    system.write("/proc/100/statm", "9000 500 120 10 0 400 0\n");
    const auto platform = system.platform();
    const auto reading = platform->read_memory(platform->read_tree().processes[0]);
    REQUIRE(reading.memory);
    CHECK(reading.memory->private_bytes == 380 * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
    CHECK_FALSE(reading.memory->proportional_bytes);
    CHECK(reading.why == "the system does not offer it; private memory is that of no file");
    for (const char* text : {"", "9000", "9000 500", "9000 100 500 0", "a b c"}) {
        CAPTURE(text);
        system.write("/proc/100/statm", text);
        CHECK_FALSE(platform->read_memory(platform->read_tree().processes[0]).memory);
    }
}

TEST_CASE("memory maps of a process that has its pid from another are neither told nor a gap", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0});
    system.write("/proc/100/smaps_rollup", "Pss: 905 kB\n");
    const auto platform = system.platform();
    const ProcessReading before = platform->read_tree().processes[0];
    system.add(100, {.parent = 0, .start_ticks = 101});
    const auto reading = platform->read_memory(before);
    CHECK_FALSE(reading.memory);
    CHECK(reading.why.empty());
}

TEST_CASE("a process that uses a pid again begins anew", "[monitor]") {
    FakeSystem system;
    system.add(100, {.parent = 0, .children = "101 "});
    system.add(101, {.parent = 100, .command = "first"});
    system.link("/proc/101/exe", "/usr/bin/first");
    const auto platform = system.platform();
    CHECK(process(platform->read_tree(), 101).name == "first");
    system.add(101, {.parent = 100, .command = "first", .start_ticks = 200});
    system.link("/proc/101/exe", "/usr/bin/second");
    CHECK(process(platform->read_tree(), 101).name == "second");
}

TEST_CASE("children of ours carry the mark they were started with, others are not asked for theirs", "[monitor]") {
    FakeSystem system;
    system.add(50, {.parent = 1, .command = "shell"});
    system.add(100, {.parent = 50, .command = "pillion", .children = "101 102 "});
    system.add(101, {.parent = 100, .children = "103 "});
    system.add(102, {.parent = 100});
    system.add(103, {.parent = 101});
    using namespace std::string_literals;
    system.write("/proc/101/environ", "LANG=C\0RUN_ID_2=no\0RUN_ID=abc.1\0TERM=dumb\0"s);
    system.write("/proc/103/environ", "RUN_ID=abc.1\0"s);
    MonitorPlatformOptions options{.root = system.root(), .pid = 100, .mark_variable = "RUN_ID"};
    const auto tree = create_monitor_platform(std::move(options))->read_tree();
    std::map<std::int64_t, std::string> marks;
    for (const ProcessReading& process : tree.processes) marks[process.pid] = process.mark;
    CHECK(marks == std::map<std::int64_t, std::string>{{50, ""}, {100, ""}, {101, "abc.1"}, {102, ""}, {103, ""}});
}
