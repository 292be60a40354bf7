// What of a sample becomes series, under which names and labels.
#include "modules/monitor/monitor_series.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

using namespace pillion;

namespace {

struct Written {
    std::map<std::pair<std::string, SeriesLabels>, double> values{};
    MonitorSeriesWriter writer{};

    void write(const MonitorMeasure& measure) {
        values.clear();
        writer.write(measure, [this](const SeriesSpec& series, const SeriesLabels& labels, double value) {
            CHECK(values.try_emplace({std::string(series.name), labels}, value).second);
        });
    }
    std::optional<double> find(const std::string& name, const SeriesLabels& labels = {}) const {
        const auto at = values.find({name, labels});
        return at == values.end() ? std::nullopt : std::optional(at->second);
    }
};

MonitorProcess process(std::int64_t pid, std::string name, MonitorRole role = MonitorRole::child) {
    return {.pid = pid, .role = role, .name = std::move(name), .residentBytes = 100, .threads = 2};
}

const SeriesLabels worker{{"role", "child"}, {"process", "worker"}, {"component", "search"}};

SeriesLabels with(SeriesLabels labels, const std::string& name, const std::string& value) {
    labels[name] = value;
    return labels;
}

MonitorMeasure two_workers() {
    MonitorMeasure measure;
    for (const std::int64_t pid : {1, 2}) {
        MonitorProcess one = process(pid, "worker");
        one.component = "search";
        one.cpuPercent = 50;
        one.privateBytes = 40;
        one.proportionalBytes = 60;
        one.descriptors = 5;
        one.readBytes = 1000;
        measure.sample.processes.push_back(std::move(one));
        measure.rises.push_back({.cpu_ns = 500'000'000, .read_bytes = 10, .written_bytes = 20});
    }
    return measure;
}

} // namespace

TEST_CASE("processes of equal labels are summed", "[monitor]") {
    Written written;
    written.write(two_workers());
    CHECK(written.find("process.cpu.utilization", worker) == 1.0);
    CHECK(written.find("process.cpu.time", worker) == 1.0);
    CHECK(written.find("process.memory.usage", worker) == 200.0);
    CHECK(written.find("process.memory.private", worker) == 80.0);
    CHECK(written.find("process.memory.proportional", worker) == 120.0);
    CHECK(written.find("process.thread.count", worker) == 4.0);
    CHECK(written.find("process.open_file_descriptor.count", worker) == 10.0);
    CHECK(written.find("process.disk.io", with(worker, "direction", "read")) == 20.0);
    CHECK(written.find("process.disk.io", with(worker, "direction", "write")) == 40.0);
}

TEST_CASE("a counter rises on when one of the processes ends", "[monitor]") {
    Written written;
    MonitorMeasure measure = two_workers();
    written.write(measure);
    measure.sample.processes.pop_back();
    measure.rises.pop_back();
    written.write(measure);
    CHECK(written.find("process.cpu.time", worker) == 1.5);
}

TEST_CASE("a counter of labels that were gone begins anew", "[monitor]") {
    Written written;
    written.write(two_workers());
    written.write({});
    CHECK_FALSE(written.find("process.cpu.time", worker));
    written.write(two_workers());
    CHECK(written.find("process.cpu.time", worker) == 1.0);
}

TEST_CASE("what is not known makes no series", "[monitor]") {
    Written written;
    MonitorMeasure measure;
    measure.sample.processes = {process(1, "worker")};
    measure.rises.resize(1);
    written.write(measure);
    const SeriesLabels labels{{"role", "child"}, {"process", "worker"}};
    CHECK(written.find("process.memory.usage", labels) == 100.0);
    for (const char* name : {"process.cpu.utilization", "process.memory.private", "process.memory.proportional",
                             "process.open_file_descriptor.count"}) {
        CAPTURE(name);
        CHECK_FALSE(written.find(name, labels));
    }
    CHECK_FALSE(written.find("process.disk.io", with(labels, "direction", "read")));
}

TEST_CASE("private memory that is known of only some of the processes is left out", "[monitor]") {
    Written written;
    MonitorMeasure measure = two_workers();
    measure.sample.processes[1].privateBytes.reset();
    written.write(measure);
    CHECK_FALSE(written.find("process.memory.private", worker));
    CHECK(written.find("process.memory.proportional", worker) == 120.0);
    measure.sample.processes[1].proportionalBytes.reset();
    written.write(measure);
    CHECK_FALSE(written.find("process.memory.proportional", worker));
}

TEST_CASE("what the sampler says of Pillion itself is not said twice", "[monitor]") {
    Written written;
    MonitorMeasure measure;
    measure.sample.processes = {process(1, "pillion", MonitorRole::self), process(2, "app", MonitorRole::shell)};
    measure.rises.resize(2);
    written.write(measure);
    const SeriesLabels self{{"role", "self"}, {"process", "pillion"}}, shell{{"role", "shell"}, {"process", "app"}};
    CHECK_FALSE(written.find("process.cpu.time", self));
    CHECK_FALSE(written.find("process.memory.usage", self));
    CHECK(written.find("process.thread.count", self) == 2.0);
    CHECK(written.find("process.memory.usage", shell) == 100.0);
    CHECK(written.find("process.cpu.time", shell) == 0.0);
}

TEST_CASE("the whole tree has series without labels", "[monitor]") {
    Written written;
    MonitorMeasure measure;
    measure.sample.total = {.processes = 7, .memoryBytes = 12345};
    measure.sample.total.cpuPercent = 130;
    written.write(measure);
    CHECK(written.find("pillion.tree.memory") == 12345.0);
    CHECK(written.find("pillion.tree.processes") == 7.0);
    CHECK(written.find("pillion.tree.cpu.utilization") == 1.3);
}

TEST_CASE("the machine's series are shares from 0 to 1", "[monitor]") {
    Written written;
    MonitorMeasure measure;
    MonitorSystem& system = measure.sample.system;
    system.cores = 4;
    system.cpuPercent = 25;
    system.load1 = 2;
    system.memoryUsedShare = 0.5;
    system.memoryAvailableBytes = 777;
    system.swapBytes = 1000;
    system.swapUsedBytes = 250;
    system.pressure = {{.resource = "io", .someAvg10Percent = 10, .fullAvg10Percent = 5}, {.resource = "cpu"}};
    system.fileSystems = {{.mountpoint = "/home", .usedShare = 0.75}};
    system.power = MonitorPower{.onBattery = true, .chargePercent = 80};
    written.write(measure);
    CHECK(written.find("system.cpu.utilization") == 0.25);
    CHECK(written.find("system.load") == 0.5);
    CHECK(written.find("system.memory.utilization") == 0.5);
    CHECK(written.find("system.memory.available") == 777.0);
    CHECK(written.find("system.swap.utilization") == 0.25);
    CHECK(written.find("system.pressure", {{"resource", "io"}, {"kind", "some"}}) == 0.1);
    CHECK(written.find("system.pressure", {{"resource", "io"}, {"kind", "full"}}) == 0.05);
    CHECK(written.find("system.pressure", {{"resource", "cpu"}, {"kind", "some"}}) == 0.0);
    CHECK_FALSE(written.find("system.pressure", {{"resource", "cpu"}, {"kind", "full"}}));
    CHECK(written.find("system.filesystem.utilization", {{"mountpoint", "/home"}}) == 0.75);
    CHECK(written.find("system.battery.charge") == 0.8);
}

TEST_CASE("a control group that is nearer to its limit stands for the machine", "[monitor]") {
    Written written;
    MonitorMeasure measure;
    MonitorSystem& system = measure.sample.system;
    system.cpuPercent = 25;
    system.memoryUsedShare = 0.5;
    system.cgroup =
        MonitorCgroup{.cpuLimitCores = 2, .cpuUsedCores = 1.8, .memoryLimitBytes = 1000, .memoryUsedBytes = 950};
    written.write(measure);
    CHECK(written.find("system.cpu.utilization") == 0.9);
    CHECK(written.find("system.memory.utilization") == 0.95);
    system.cgroup = MonitorCgroup{.memoryLimitBytes = 0, .memoryUsedBytes = 950};
    written.write(measure);
    CHECK(written.find("system.cpu.utilization") == 0.25);
    CHECK(written.find("system.memory.utilization") == 1.0);
}

TEST_CASE("bytes of disks and networks are counted up from the start", "[monitor]") {
    Written written;
    MonitorMeasure measure;
    measure.sample.system.disks = {{.name = "sda"}};
    measure.sample.system.networks = {{.name = "eth0"}};
    measure.disk_read_bytes = 10;
    measure.network_sent_bytes = 30;
    written.write(measure);
    written.write(measure);
    CHECK(written.find("system.disk.io", {{"direction", "read"}}) == 20.0);
    CHECK(written.find("system.disk.io", {{"direction", "write"}}) == 0.0);
    CHECK(written.find("system.network.io", {{"direction", "transmit"}}) == 60.0);
    CHECK(written.find("system.network.io", {{"direction", "receive"}}) == 0.0);
}

TEST_CASE("a sample that knows nothing writes nothing", "[monitor]") {
    Written written;
    written.write({});
    CHECK(written.values.empty());
}

TEST_CASE("every series has a name of its own, a help text and a unit", "[monitor]") {
    std::set<std::string_view> names;
    for (const SeriesSpec& series : monitor_series()) {
        CAPTURE(series.name);
        CHECK(names.insert(series.name).second);
        CHECK(series.help.ends_with('.'));
        CHECK_FALSE(series.unit.empty());
    }
    CHECK(names.size() == 21);
}
