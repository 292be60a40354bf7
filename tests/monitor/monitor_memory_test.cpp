// Which memory maps are walked when, and at what cost.
#include "modules/monitor/monitor_memory.h"
#include "tests/monitor/monitor_support.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace pillion;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
using Pids = std::vector<std::int64_t>;

struct Walker {
    FakePlatform platform{};
    TreeReading tree{};
    MonitorMemory memory{};
    std::int64_t now_ns = 100 * second_ns;

    explicit Walker(std::int64_t processes) {
        for (std::int64_t pid = 1; pid <= processes; ++pid) {
            tree.processes.push_back({.pid = pid, .started_ns = pid, .resident_bytes = 100 << 20});
            platform.memory[pid] = {.memory = MappedMemory{.private_bytes = static_cast<std::uint64_t>(pid)}};
        }
    }
    Pids update(std::int64_t after_ns = 0) {
        now_ns += after_ns;
        platform.walks.clear();
        memory.update(platform, tree, now_ns);
        return platform.walks;
    }
};

} // namespace

TEST_CASE("new processes are walked at once, known ones when their figures are old", "[monitor]") {
    Walker walker(3);
    CHECK(walker.update() == Pids{1, 2, 3});
    CHECK(walker.update(second_ns).empty());
    CHECK(walker.update(8 * second_ns).empty());
    CHECK(walker.update(second_ns) == Pids{1, 2, 3});
    REQUIRE(walker.memory.find(walker.tree.processes[1]).has_value());
    CHECK(walker.memory.find(walker.tree.processes[1])->memory.private_bytes == 2);
}

TEST_CASE("a process whose resident size moved is walked earlier", "[monitor]") {
    Walker walker(3);
    walker.update();
    walker.tree.processes[1].resident_bytes += 5 << 20;
    CHECK(walker.update(second_ns / 2).empty());
    CHECK(walker.update(second_ns / 2) == Pids{2});
    walker.tree.processes[1].resident_bytes -= 8 << 20;
    CHECK(walker.update(second_ns) == Pids{2});
    walker.tree.processes[1].resident_bytes += 2 << 20; // less than one part in 32
    CHECK(walker.update(second_ns).empty());
}

TEST_CASE("walks take no more than their share of a core over time", "[monitor]") {
    Walker walker(10);
    walker.platform.walk_ns = 4'000'000;
    walker.update();
    std::size_t walks = 0;
    constexpr std::int64_t seconds = 1000;
    for (std::int64_t second = 0; second < seconds; ++second) {
        for (ProcessReading& process : walker.tree.processes) process.resident_bytes += 16 << 20;
        walks += walker.update(second_ns).size();
    }
    const double share = static_cast<double>(walks) * 4e6 / (seconds * 1e9);
    CHECK(share <= MonitorMemory::core_share_max * 1.05);
    CHECK(share >= MonitorMemory::core_share_max * 0.8);
}

TEST_CASE("where time is short the oldest figures are renewed first, so that none starves", "[monitor]") {
    Walker walker(10);
    walker.platform.walk_ns = 4'000'000;
    std::map<std::int64_t, int> walks;
    for (int second = 0; second < 400; ++second) {
        for (ProcessReading& process : walker.tree.processes) process.resident_bytes += 16 << 20;
        for (const std::int64_t pid : walker.update(second_ns)) ++walks[pid];
    }
    REQUIRE(walks.size() == 10);
    const auto by_walks = [](const auto& one, const auto& other) { return one.second < other.second; };
    const auto [fewest, most] = std::minmax_element(walks.begin(), walks.end(), by_walks);
    CHECK(most->second - fewest->second <= 2);
}

TEST_CASE("a storm of new processes leaves a bounded debt", "[monitor]") {
    Walker walker(1000);
    walker.platform.walk_ns = 1'000'000;
    const std::size_t walks = walker.update().size();
    CHECK(walks >= 20);
    CHECK(walks <= 26);
    CHECK(walker.update(second_ns / 2).size() <= 1);
}

TEST_CASE("a process that refuses is told, and asked again as any other", "[monitor]") {
    Walker walker(2);
    walker.platform.memory[2] = {.memory{}, .why = "not permitted"};
    walker.update();
    CHECK_FALSE(walker.memory.find(walker.tree.processes[1]));
    CHECK(walker.memory.gaps() == std::vector<MonitorGap>{{"process.memory.proportional", "not permitted", 1}});
    CHECK(walker.update(5 * second_ns).empty());
    CHECK(walker.update(5 * second_ns) == Pids{1, 2});
}

TEST_CASE("a process whose maps are refused but whose pages are counted is a gap with a figure", "[monitor]") {
    Walker walker(1);
    walker.platform.memory[1] = {.memory = MappedMemory{.private_bytes = 50}, .why = "not permitted"};
    walker.update();
    CHECK(walker.memory.gaps().size() == 1);
    REQUIRE(walker.memory.find(walker.tree.processes[0]).has_value());
    CHECK(walker.memory.find(walker.tree.processes[0])->memory.private_bytes == 50);
    CHECK_FALSE(walker.memory.find(walker.tree.processes[0])->memory.proportional_bytes);
}

TEST_CASE("a process that ended is forgotten, and one with its pid begins anew", "[monitor]") {
    Walker walker(2);
    walker.update();
    walker.tree.processes[0].started_ns = 77;
    CHECK_FALSE(walker.memory.find(walker.tree.processes[0]));
    CHECK(walker.update(second_ns) == Pids{1});
    walker.tree.processes.erase(walker.tree.processes.begin());
    walker.update(second_ns);
    walker.tree.processes.insert(walker.tree.processes.begin(), {.pid = 1, .started_ns = 77});
    CHECK_FALSE(walker.memory.find(walker.tree.processes[0]));
}

TEST_CASE("a process that ends while it is walked is no gap", "[monitor]") {
    Walker walker(1);
    walker.platform.memory[1] = {};
    walker.update();
    CHECK_FALSE(walker.memory.find(walker.tree.processes[0]));
    CHECK(walker.memory.gaps().empty());
}

TEST_CASE("a zombie is not walked: it has no memory", "[monitor]") {
    Walker walker(1);
    walker.tree.processes[0].state = MonitorState::zombie;
    CHECK(walker.update().empty());
    REQUIRE(walker.memory.find(walker.tree.processes[0]).has_value());
    CHECK(walker.memory.find(walker.tree.processes[0])->memory.private_bytes == 0);
}

TEST_CASE("until it is walked anew, memory is carried on by what the resident size moved by", "[monitor]") {
    Walker walker(1);
    ProcessReading& process = walker.tree.processes[0];
    process.resident_bytes = 4 << 20;
    walker.platform.memory[1] = {.memory = MappedMemory{.proportional_bytes = 1 << 20, .private_bytes = 200}};
    walker.update();
    process.resident_bytes = 100 << 20;
    walker.update(second_ns / 2);
    auto known = walker.memory.find(process);
    REQUIRE(known);
    CHECK(known->memory.private_bytes == (96 << 20) + 200);
    CHECK(known->memory.proportional_bytes == std::uint64_t{97 << 20});
    process.resident_bytes = 2 << 20;
    known = walker.memory.find(process);
    CHECK(known->memory.private_bytes == 0);
    CHECK(known->memory.proportional_bytes == 0U);
    process.resident_bytes = (4 << 20) + 4096; // that is nothing
    CHECK(walker.memory.find(process)->memory.private_bytes == 200);
}

TEST_CASE("a program that starts others all the time does not starve the rest", "[monitor]") {
    Walker walker(2);
    walker.platform.walk_ns = 2'000'000;
    std::map<std::int64_t, int> walks;
    for (int second = 0; second < 200; ++second) {
        for (int child = 0; child < 10; ++child)
            walker.tree.processes.push_back({.pid = 1000 + child, .started_ns = 1'000'000 + second});
        for (ProcessReading& process : walker.tree.processes)
            if (process.pid < 1000) process.resident_bytes += 16 << 20;
        for (const std::int64_t pid : walker.update(second_ns)) ++walks[std::min<std::int64_t>(pid, 1000)];
        walker.tree.processes.resize(2);
    }
    const double share = (walks[1] + walks[2] + walks[1000]) * 2e6 / 200e9;
    CHECK(share <= MonitorMemory::core_share_max * 1.2);
    CHECK(walks[1] >= 20);
    CHECK(walks[2] >= 20);
    CHECK(walks[1000] >= 20);
}
