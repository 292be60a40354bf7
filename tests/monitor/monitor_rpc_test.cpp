// The monitor on the wire.
#include "modules/monitor/monitor_rpc.h"
#include "tests/monitor/monitor_support.h"
#include "tests/support/wire_fixture.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace pillion;
using nlohmann::json;

namespace {

struct Wire {
    ManualClock clock{};
    ManualTimers timers{clock};
    FakePlatform* platform = nullptr;
    std::unique_ptr<Monitor> monitor = make();
    test::WireFixture wire{monitor_methods(*monitor)};

    std::unique_ptr<Monitor> make() {
        auto owned = std::make_unique<FakePlatform>();
        platform = owned.get();
        platform->tree.boot_ns = 1'000'000'000'000;
        platform->tree.processes = {{.pid = 10, .role = MonitorRole::self, .name = "pillion"},
                                    {.pid = 11, .parent = 10, .name = "worker"}};
        platform->memory[11] = {.memory = MappedMemory{.proportional_bytes = 700, .private_bytes = 600}};
        platform->tree.gaps = {{"process.network", "the system does not count it by process"}};
        return std::make_unique<Monitor>(Monitor::Host{.timers = timers, .clock = clock, .platform = std::move(owned)});
    }
};

} // namespace

TEST_CASE("start and stop answer with how it stands", "[monitor]") {
    Wire wire;
    json answer = wire.wire.ask(R"({"jsonrpc":"2.0","id":1,"method":"monitor.start","params":{"intervalMs":500}})");
    CHECK(answer["result"] == json({{"running", true}, {"started", true}, {"intervalMs", 500}, {"samples", 0}}));
    wire.timers.advance_ms(1000);
    answer = wire.wire.ask(R"({"jsonrpc":"2.0","id":2,"method":"monitor.stop"})");
    CHECK(answer["result"]["running"] == false);
    CHECK(answer["result"]["samples"] == 3);
    CHECK(answer["result"]["latestAt"] == wire.clock.wall_ms());
}

TEST_CASE("an interval out of bounds, or none that is a number, is refused", "[monitor]") {
    Wire wire;
    for (const char* interval : {"99", "3600001", "-1", "0", "\"fast\"", "1.5", "1e99", "[]"}) {
        CAPTURE(interval);
        const json answer =
            wire.wire.ask(std::string(R"({"jsonrpc":"2.0","id":1,"method":"monitor.start","params":{"intervalMs":)") +
                          interval + "}}");
        CHECK(answer["error"]["code"] == -32602);
    }
}

TEST_CASE("a sample has the tree, its sums and what could not be seen, under both names", "[monitor]") {
    for (const char* name : {"monitor.sample", "get_resource_stats"}) {
        CAPTURE(name);
        Wire wire;
        wire.wire.send(std::string(R"({"jsonrpc":"2.0","id":1,"method":")") + name + "\"}");
        CHECK(wire.wire.is_silent());
        wire.timers.advance_ms(Monitor::pair_ms);
        const json sample = wire.wire.next()["result"];
        REQUIRE(sample["processes"].size() == 2);
        CHECK(sample["processes"][0]["role"] == "self");
        CHECK(sample["processes"][1]["privateBytes"] == 600);
        CHECK(sample["processes"][1]["cpuPercent"] == 0);
        CHECK_FALSE(sample["processes"][1].contains("descriptors"));
        CHECK(sample["total"]["processes"] == 2);
        CHECK(sample["total"]["memoryBasis"] == "mixed");
        CHECK(sample["spanMs"] == Monitor::pair_ms);
        CHECK(sample["unavailable"][0]["what"] == "process.network");
    }
}

TEST_CASE("the machine is described under both names", "[monitor]") {
    for (const char* name : {"monitor.system", "get_system_info_summary"}) {
        Wire wire;
        const json answer = wire.wire.ask(std::string(R"({"jsonrpc":"2.0","id":1,"method":")") + name + "\"}");
        CHECK(answer["result"]["os"] == "Test");
    }
}

TEST_CASE("a request that waits for a sample is answered when the monitor closes", "[monitor]") {
    Wire wire;
    wire.wire.send(R"({"jsonrpc":"2.0","id":1,"method":"monitor.sample"})");
    wire.monitor->close();
    CHECK(wire.wire.next()["error"]["code"] == -32603);
}
