// What is made of raw counters: rates, sums, and when there are none.
#include "modules/monitor/monitor_rates.h"
#include "tests/monitor/monitor_support.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace pillion;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

// Readings a second apart unless told otherwise.
struct Machine {
    TreeReading tree{.boot_ns = 1000 * second_ns};
    MachineReading machine{};
    SurroundingsReading surroundings{};
    MonitorMemory memory{};
    MonitorRates rates{};
    std::map<std::int64_t, std::string> components{};
    std::int64_t now_ns = 500 * second_ns;
    std::int64_t surroundings_ns = 0;

    Machine() {
        machine.cores = {{.index = 0}, {.index = 1}};
        machine.cpu = CoreReading{.index = -1};
    }
    ProcessReading& add(std::int64_t pid, std::int64_t parent, MonitorRole role = MonitorRole::child) {
        tree.processes.push_back(
            {.pid = pid, .parent = parent, .started_ns = 900 * second_ns, .role = role, .name = "app"});
        return tree.processes.back();
    }
    ProcessReading& process(std::int64_t pid) { return *std::ranges::find(tree.processes, pid, &ProcessReading::pid); }
    void remove(std::int64_t pid) {
        std::erase_if(tree.processes, [pid](const ProcessReading& process) { return process.pid == pid; });
    }
    MonitorMeasure read() {
        return rates.next({.now_ns = now_ns,
                           .wall_ms = now_ns / 1'000'000,
                           .stale_ns = 30 * second_ns,
                           .tree = tree,
                           .machine = machine,
                           .surroundings = surroundings,
                           .surroundings_ns = surroundings_ns,
                           .memory = memory},
                          [this](std::int64_t pid) { return components[pid]; });
    }
    void advance(std::int64_t ns = second_ns) {
        now_ns += ns;
        tree.boot_ns += ns;
    }
};

} // namespace

TEST_CASE("the first reading has no rates", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self).cpu_ns = 5 * second_ns;
    machine.machine.cpu->total = 100;
    const MonitorSample sample = machine.read().sample;
    CHECK_FALSE(sample.spanMs);
    CHECK_FALSE(sample.processes[0].cpuPercent);
    CHECK_FALSE(sample.total.cpuPercent);
    CHECK_FALSE(sample.system.cpuPercent);
    CHECK(sample.processes[0].cpuSeconds == 5);
}

TEST_CASE("processor time is told in percent of one core and of all", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self);
    machine.read();
    machine.advance(2 * second_ns);
    machine.process(10).cpu_ns = second_ns;
    const MonitorSample sample = machine.read().sample;
    CHECK(sample.spanMs == 2000);
    CHECK(sample.processes[0].cpuPercent == 50.0);
    CHECK(sample.processes[0].cpuMachinePercent == 25.0);
    CHECK(sample.total.cpuPercent == 50.0);
}

TEST_CASE("processor time never reads as more than all cores", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self);
    machine.read();
    machine.advance();
    machine.process(10).cpu_ns = 3 * second_ns;
    const MonitorSample sample = machine.read().sample;
    CHECK(sample.processes[0].cpuPercent == 200.0);
    CHECK(sample.total.cpuMachinePercent == 100.0);
}

TEST_CASE("disk bytes of a process are told per second", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self).read_bytes = 1000;
    machine.read();
    machine.advance(2 * second_ns);
    machine.process(10).read_bytes = 5000;
    const MonitorMeasure measure = machine.read();
    CHECK(measure.sample.processes[0].readBytesPerSecond == 2000.0);
    CHECK_FALSE(measure.sample.processes[0].writtenBytesPerSecond);
    CHECK(measure.rises[0].read_bytes == 4000);
}

TEST_CASE("a counter that goes back gives no rise", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self).cpu_ns = second_ns;
    machine.process(10).read_bytes = 1000;
    machine.machine.networks = {{.name = "eth0", .received_bytes = 5000, .sent_bytes = 100}};
    machine.machine.disks = {{.name = "sda", .read_bytes = 5000}};
    machine.machine.cpu = CoreReading{.busy = 500, .total = 1000};
    machine.read();
    machine.advance();
    machine.process(10).cpu_ns = 0;
    machine.process(10).read_bytes = 1;
    machine.machine.networks[0].received_bytes = 7;
    machine.machine.disks[0].read_bytes = 7;
    machine.machine.cpu = CoreReading{.busy = 5, .total = 1100};
    const MonitorMeasure measure = machine.read();
    CHECK(measure.sample.processes[0].cpuPercent == 0.0);
    CHECK(measure.rises[0].cpu_ns == 0);
    CHECK(measure.rises[0].read_bytes == 0);
    CHECK_FALSE(measure.sample.system.networks[0].receivedBytesPerSecond);
    CHECK(measure.sample.system.networks[0].sentBytesPerSecond == 0.0);
    CHECK_FALSE(measure.sample.system.disks[0].readBytesPerSecond);
    CHECK_FALSE(measure.sample.system.cpuPercent);
    CHECK(measure.network_received_bytes == 0);
}

TEST_CASE("a sample across a sleep says how long and has no rates", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self);
    machine.machine.networks = {{.name = "eth0"}};
    machine.read();
    machine.advance();
    machine.machine.asleep_ns += 8 * 3600 * second_ns;
    machine.tree.boot_ns += 8 * 3600 * second_ns;
    machine.process(10).cpu_ns = second_ns;
    const MonitorSample across = machine.read().sample;
    CHECK(across.sleptMs == 8 * 3600 * 1000);
    CHECK_FALSE(across.spanMs);
    CHECK_FALSE(across.processes[0].cpuPercent);
    CHECK_FALSE(across.system.networks[0].receivedBytesPerSecond);
    machine.advance();
    const MonitorSample after = machine.read().sample;
    CHECK(after.sleptMs == 0);
    CHECK(after.processes[0].cpuPercent == 0.0);
}

TEST_CASE("clocks that are read one after the other make no sleep", "[monitor]") {
    Machine machine;
    machine.read();
    machine.advance();
    machine.machine.asleep_ns += 3'000'000;
    CHECK(machine.read().sample.sleptMs == 0);
}

TEST_CASE("after a longer pause a reading is only the new base", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self);
    machine.read();
    machine.advance(31 * second_ns);
    machine.process(10).cpu_ns = second_ns;
    CHECK_FALSE(machine.read().sample.spanMs);
    machine.advance(29 * second_ns);
    CHECK(machine.read().sample.spanMs == 29'000);
}

TEST_CASE("time that stands still or goes back gives no rates", "[monitor]") {
    for (const std::int64_t step_ns : {std::int64_t{0}, -second_ns}) {
        CAPTURE(step_ns);
        Machine machine;
        machine.add(10, 1, MonitorRole::self);
        machine.read();
        machine.advance(step_ns);
        machine.process(10).cpu_ns = second_ns;
        CHECK_FALSE(machine.read().sample.processes[0].cpuPercent);
    }
}

TEST_CASE("a pid that was used again is another process", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self);
    machine.add(11, 10).cpu_ns = 100 * second_ns;
    machine.read();
    machine.advance();
    machine.process(11).started_ns = machine.tree.boot_ns - second_ns / 2;
    machine.process(11).cpu_ns = second_ns / 4;
    const MonitorMeasure measure = machine.read();
    CHECK(measure.sample.processes[1].cpuPercent == 25.0);
    CHECK(measure.rises[1].cpu_ns == second_ns / 4);
}

TEST_CASE("an old process that is seen for the first time brings no rise", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self);
    machine.read();
    machine.advance();
    machine.add(11, 10).cpu_ns = 50 * second_ns;
    const MonitorMeasure measure = machine.read();
    CHECK_FALSE(measure.sample.processes[1].cpuPercent);
    CHECK(measure.rises[1].cpu_ns == 0);
    CHECK(measure.sample.total.cpuPercent == 0.0);
}

TEST_CASE("the time of children that came and went counts in the tree", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self);
    machine.add(11, 10).cpu_ns = 2 * second_ns;
    machine.read();
    machine.advance();
    machine.remove(11); // it used another 0.3 s, then its parent waited for it; one more came and went
    machine.process(10).reaped_cpu_ns = 2 * second_ns + 3 * second_ns / 10 + 2 * second_ns / 10;
    const MonitorSample sample = machine.read().sample;
    CHECK(sample.total.cpuPercent == Approx(50));
    CHECK(sample.processes[0].cpuPercent == 0.0);
}

TEST_CASE("the time of children that came and went counts in their component", "[monitor]") {
    Machine machine;
    machine.components = {{11, "search"}, {12, "files"}};
    machine.add(10, 1, MonitorRole::self);
    machine.add(11, 10);
    machine.add(12, 10);
    machine.add(13, 11).cpu_ns = second_ns;
    machine.read();
    machine.advance();
    machine.remove(13);
    machine.process(11).reaped_cpu_ns = second_ns + second_ns / 2;
    machine.process(12).cpu_ns = second_ns / 10;
    const MonitorSample sample = machine.read().sample;
    REQUIRE(sample.components.size() == 2);
    CHECK(*sample.components[0].totals.cpuPercent == Approx(10));
    CHECK(*sample.components[1].totals.cpuPercent == Approx(50));
    CHECK(*sample.components[1].totals.cpuMachinePercent == Approx(25));
    CHECK(*sample.total.cpuPercent == Approx(60));
}

TEST_CASE("children that nobody waits for do not make the tree's time fall", "[monitor]") {
    Machine machine;
    machine.add(10, 1, MonitorRole::self);
    machine.add(11, 10).cpu_ns = 2 * second_ns;
    machine.read();
    machine.advance();
    machine.remove(11);
    machine.process(10).cpu_ns = second_ns / 10;
    CHECK(machine.read().sample.total.cpuPercent == Approx(10));
}

TEST_CASE("what the shell's other children use is not ours", "[monitor]") {
    Machine machine;
    machine.add(9, 1, MonitorRole::shell);
    machine.add(10, 9, MonitorRole::self);
    machine.read();
    machine.advance();
    machine.process(9).cpu_ns = second_ns / 10;
    machine.process(9).reaped_cpu_ns = second_ns;
    CHECK(machine.read().sample.total.cpuPercent == Approx(10));
}

TEST_CASE("descendants belong to the component of the nearest one above", "[monitor]") {
    Machine machine;
    machine.components = {{10, "never asked"}, {11, "search"}, {13, "files"}};
    machine.add(9, 1, MonitorRole::shell);
    machine.add(10, 9, MonitorRole::self);
    machine.add(11, 10);
    machine.add(12, 11);
    machine.add(13, 12);
    machine.add(14, 10);
    machine.add(15, 13);
    const MonitorSample sample = machine.read().sample;
    std::vector<std::string> components;
    for (const MonitorProcess& process : sample.processes) components.push_back(process.component.value_or("-"));
    CHECK(components == std::vector<std::string>{"-", "-", "search", "search", "files", "-", "files"});
    REQUIRE(sample.components.size() == 2);
    CHECK(sample.components[0].component == "files");
    CHECK(sample.components[0].totals.processes == 2);
    CHECK(sample.components[1].component == "search");
}

TEST_CASE("a process whose parent ended stays with its component", "[monitor]") {
    Machine machine;
    machine.components = {{11, "search"}};
    machine.add(10, 1, MonitorRole::self);
    machine.add(11, 10).mark = "run.1";
    machine.add(12, 11);
    machine.read();
    machine.advance();
    machine.process(12).parent = 10;    // its parent ended between two readings
    machine.add(13, 10).mark = "run.1"; // a daemon that was never seen below its component
    machine.add(14, 10).mark = "run.2";
    machine.add(15, 10);
    MonitorSample sample = machine.read().sample;
    std::vector<std::string> components;
    for (const MonitorProcess& process : sample.processes) components.push_back(process.component.value_or("-"));
    CHECK(components == std::vector<std::string>{"-", "search", "search", "search", "-", "-"});
    machine.remove(11);
    machine.components.clear();
    machine.advance();
    sample = machine.read().sample;
    CHECK(sample.processes[1].component == "search");
    CHECK(sample.processes[2].component == "search");
}

TEST_CASE("a process that has ended and was not waited for holds no memory, which is known", "[monitor]") {
    Machine machine;
    FakePlatform platform;
    machine.add(10, 1, MonitorRole::self).resident_bytes = 1000;
    machine.add(11, 10).state = MonitorState::zombie;
    platform.memory[10] = {.memory = MappedMemory{.proportional_bytes = 700, .private_bytes = 600}};
    machine.memory.update(platform, machine.tree, machine.now_ns);
    const MonitorTotals total = machine.read().sample.total;
    CHECK(total.memoryBytes == 700);
    CHECK(total.memoryBasis == MonitorBasis::proportional);
}

TEST_CASE("memory is summed by proportional size, with resident size where that is unknown", "[monitor]") {
    Machine machine;
    FakePlatform platform;
    machine.add(10, 1, MonitorRole::self).resident_bytes = 1000;
    machine.add(11, 10).resident_bytes = 500;
    platform.memory[10] = {.memory = MappedMemory{.proportional_bytes = 700, .private_bytes = 600}};
    platform.memory[11] = {.memory = MappedMemory{.proportional_bytes = 300, .private_bytes = 200}};
    machine.memory.update(platform, machine.tree, machine.now_ns);
    MonitorTotals total = machine.read().sample.total;
    CHECK(total.memoryBytes == 1000);
    CHECK(total.privateBytes == 800);
    CHECK(total.memoryBasis == MonitorBasis::proportional);

    machine.add(12, 10).resident_bytes = 50;
    platform.memory[12] = {.memory{}, .why = "not permitted"};
    machine.memory.update(platform, machine.tree, machine.now_ns);
    const MonitorSample sample = machine.read().sample;
    CHECK(sample.total.memoryBytes == 1050);
    CHECK(sample.total.memoryBasis == MonitorBasis::mixed);
    CHECK_FALSE(sample.processes[2].privateBytes);
    REQUIRE(sample.unavailable.size() == 1);
    CHECK(sample.unavailable[0] == MonitorGap{"process.memory.proportional", "not permitted", 1});

    machine.remove(10);
    machine.remove(11);
    machine.memory.update(platform, machine.tree, machine.now_ns);
    CHECK(machine.read().sample.total.memoryBasis == MonitorBasis::resident);
}

TEST_CASE("the age of memory figures is told", "[monitor]") {
    Machine machine;
    FakePlatform platform;
    machine.add(10, 1, MonitorRole::self);
    platform.memory[10] = {.memory = MappedMemory{}};
    machine.memory.update(platform, machine.tree, machine.now_ns);
    machine.advance(3 * second_ns);
    CHECK(machine.read().sample.processes[0].memoryAgeMs == 3000);
}

TEST_CASE("the machine's rates are of all cores, of each disk and each interface", "[monitor]") {
    Machine machine;
    machine.machine.cpu = CoreReading{.busy = 100, .total = 1000};
    machine.machine.cores = {{.index = 0, .busy = 50, .total = 500}, {.index = 1, .busy = 50, .total = 500}};
    machine.machine.disks = {{.name = "sda", .read_bytes = 10, .written_bytes = 0, .busy_ms = 0}};
    machine.machine.networks = {{.name = "lo"}, {.name = "eth0", .received_bytes = 10}};
    machine.read();
    machine.advance(2 * second_ns);
    machine.machine.cpu = CoreReading{.busy = 200, .total = 1400};
    machine.machine.cores = {{.index = 1, .busy = 150, .total = 700}, {.index = 2, .busy = 1, .total = 1}};
    machine.machine.disks[0] = {.name = "sda", .read_bytes = 2010, .written_bytes = 4000, .busy_ms = 500};
    machine.machine.disks.push_back({.name = "sdb", .read_bytes = 1'000'000});
    machine.machine.networks[0].received_bytes = 99;
    machine.machine.networks[1].received_bytes = 210;
    const MonitorMeasure measure = machine.read();
    const MonitorSystem& system = measure.sample.system;
    CHECK(system.cpuPercent == 25.0);
    CHECK(system.corePercents == std::vector<double>{50, 0});
    CHECK(system.disks[0].readBytesPerSecond == 1000.0);
    CHECK(system.disks[0].busyPercent == 25.0);
    CHECK_FALSE(system.disks[1].readBytesPerSecond); // it has just been plugged in
    CHECK(system.networks[1].receivedBytesPerSecond == 100.0);
    CHECK(measure.disk_read_bytes == 2000);
    CHECK(measure.disk_written_bytes == 4000);
    CHECK(measure.network_received_bytes == 200); // without loopback
}

TEST_CASE("background work is told how busy others are, and whether the battery is used", "[monitor]") {
    Machine machine;
    machine.surroundings.power = MonitorPower{.onBattery = true};
    machine.surroundings.hottest_celsius = 55;
    machine.add(10, 1, MonitorRole::self);
    machine.read();
    machine.advance();
    machine.machine.cpu = CoreReading{.busy = 60, .total = 100};
    machine.process(10).cpu_ns = second_ns / 2;
    const MonitorConditions background = machine.read().sample.background;
    CHECK(background.busyCpuPercent == 60.0);
    CHECK(background.othersCpuPercent == Approx(35));
    CHECK(background.onBattery);
    CHECK(background.hottestCelsius == 55.0);
}

TEST_CASE("a control group's rates span its own readings", "[monitor]") {
    Machine machine;
    machine.surroundings_ns = machine.now_ns;
    machine.surroundings.cgroup = CgroupReading{.cpu_limit_cores = 1.5, .cpu_used_ns = 0};
    MonitorSample sample = machine.read().sample;
    REQUIRE(sample.system.cgroup);
    CHECK_FALSE(sample.system.cgroup->cpuUsedCores);
    CHECK(sample.system.effectiveCores == 1.5);
    machine.advance();
    CHECK_FALSE(machine.read().sample.system.cgroup->cpuUsedCores);
    machine.advance(4 * second_ns);
    machine.surroundings_ns = machine.now_ns;
    machine.surroundings.cgroup =
        CgroupReading{.cpu_limit_cores = 1.5, .cpu_used_ns = 5'000'000'000, .periods = 50, .throttled_periods = 10};
    sample = machine.read().sample;
    CHECK(sample.system.cgroup->cpuUsedCores == 1.0);
    CHECK(sample.system.cgroup->throttledPercent == 20.0);
    machine.advance();
    CHECK(machine.read().sample.system.cgroup->cpuUsedCores == 1.0); // the latest known
}

TEST_CASE("the cores to be had are the fewest of those on, those allowed and the quota", "[monitor]") {
    Machine machine;
    CHECK(machine.read().sample.system.effectiveCores == 2);
    machine.surroundings.cores_allowed = 1;
    CHECK(machine.read().sample.system.effectiveCores == 1);
    machine.surroundings.cgroup = CgroupReading{.cpu_limit_cores = 0.25};
    CHECK(machine.read().sample.system.effectiveCores == 0.25);
}

TEST_CASE("no processes and a machine that tells nothing make an empty sample", "[monitor]") {
    Machine machine;
    machine.machine = {};
    machine.read();
    machine.advance();
    const MonitorSample sample = machine.read().sample;
    CHECK(sample.processes.empty());
    CHECK(sample.total.processes == 0);
    CHECK_FALSE(sample.total.cpuPercent);
    CHECK_FALSE(sample.system.memoryUsedShare);
    CHECK_FALSE(sample.background.busyCpuPercent);
}

TEST_CASE("equal gaps are told once with the number of processes", "[monitor]") {
    Machine machine;
    machine.tree.gaps = {{"a", "why", 2}};
    machine.machine.gaps = {{"a", "why", 1}, {"a", "another why", 1}};
    machine.surroundings.gaps = {{"b", "why"}};
    const auto gaps = machine.read().sample.unavailable;
    CHECK(gaps == std::vector<MonitorGap>{{"a", "why", 3}, {"a", "another why", 1}, {"b", "why", 0}});
}
