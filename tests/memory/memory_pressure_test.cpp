// The pressure level: how readings are judged, how it settles, and when it is sampled at all.
#include "modules/memory/memory.h"

#include <catch2/catch.hpp>

using namespace pillion;

namespace {

using enum MemoryLevel;

// A machine of 100 bytes, of which this share is in use.
MemoryReading in_use(std::uint64_t percent) { return {.system = {.totalBytes = 100, .availableBytes = 100 - percent}}; }

struct Fixture {
    ManualClock clock;
    ManualTimers timers{clock};
    MemoryPools pools;
    MemoryReading reading = in_use(10);
    int readings = 0;
    std::vector<MemoryPressure> published;
    Memory memory{pools, timers, clock, [this] {
                      ++readings;
                      return reading;
                  }};

    Fixture() {
        memory.set_publisher([this](const MemoryPressure& now) { published.push_back(now); });
    }
    void read_times(int times) {
        for (int i = 0; i < times; ++i) timers.advance_ms(2000);
    }
};

} // namespace

TEST_CASE("memory in use is normal, warning or critical by its share", "[memory]") {
    CHECK(judge_memory(in_use(74), {}).reading == normal);
    CHECK(judge_memory(in_use(75), {}).reading == warning);
    CHECK(judge_memory(in_use(89), {}).reading == warning);
    CHECK(judge_memory(in_use(90), {}).reading == critical);
    CHECK(judge_memory(in_use(90), {}).reason == MemoryReason::available);
    CHECK(judge_memory(in_use(90), {}).detail == "90 % of the machine's memory is in use");
}

TEST_CASE("the worst sign is the reason", "[memory]") {
    MemoryReading reading = in_use(80);
    reading.cgroup = MemoryCgroup{.path = "/", .limitBytes = 1000, .usageBytes = 990, .workingSetBytes = 950};
    const MemoryPressure pressure = judge_memory(reading, {});
    CHECK(pressure.reading == critical);
    CHECK(pressure.reason == MemoryReason::cgroup);
    CHECK(pressure.cgroupShare == Approx(0.95));
}

TEST_CASE("file cache that fills a group to its limit is no pressure", "[memory]") {
    MemoryReading reading = in_use(10);
    reading.cgroup = MemoryCgroup{.path = "/", .limitBytes = 1000, .usageBytes = 1000, .workingSetBytes = 200};
    CHECK(judge_memory(reading, {}).reading == normal);
}

TEST_CASE("stalls warn where some tasks wait and are critical where all do", "[memory]") {
    MemoryReading reading = in_use(10);
    reading.stall = MemoryStall{.someAvg10Percent = 10};
    CHECK(judge_memory(reading, {}).reading == warning);
    reading.stall = MemoryStall{.someAvg10Percent = 40, .fullAvg10Percent = 10};
    CHECK(judge_memory(reading, {}).reading == critical);
    CHECK(judge_memory(reading, {}).reason == MemoryReason::stall);
    reading.stall = MemoryStall{.someAvg10Percent = 9.9, .fullAvg10Percent = 9.9};
    CHECK(judge_memory(reading, {}).reading == normal);
}

TEST_CASE("a budget is judged only where one is set", "[memory]") {
    MemoryReading reading = in_use(10);
    reading.resident_bytes = 95;
    CHECK(judge_memory(reading, {}).reading == normal);
    CHECK_FALSE(judge_memory(reading, {}).budgetShare);
    CHECK(judge_memory(reading, {.budget_bytes = 100}).reason == MemoryReason::budget);
    CHECK(judge_memory(reading, {.budget_bytes = 100}).reading == critical);
}

TEST_CASE("a system that tells nothing is under no pressure", "[memory]") {
    const MemoryPressure pressure = judge_memory({}, {});
    CHECK(pressure.reading == normal);
    CHECK(pressure.reason == MemoryReason::none);
    CHECK_FALSE(pressure.usedShare);
}

TEST_CASE("two readings in a row raise the level and three lower it", "[memory]") {
    PressureFilter filter;
    CHECK_FALSE(filter.observe(warning));
    CHECK(filter.observe(warning));
    CHECK(filter.level() == warning);
    CHECK_FALSE(filter.observe(normal));
    CHECK_FALSE(filter.observe(normal));
    CHECK(filter.observe(normal));
    CHECK(filter.level() == normal);
}

TEST_CASE("readings that go to and fro change nothing", "[memory]") {
    PressureFilter filter;
    for (int i = 0; i < 50; ++i) CHECK_FALSE(filter.observe(i % 2 == 0 ? critical : normal));
    CHECK(filter.level() == normal);
}

TEST_CASE("the level rises to the lower of two readings and falls to the highest of three", "[memory]") {
    PressureFilter filter;
    CHECK_FALSE(filter.observe(critical));
    CHECK(filter.observe(warning));
    CHECK(filter.level() == warning);
    CHECK_FALSE(filter.observe(critical));
    CHECK(filter.observe(critical));
    CHECK_FALSE(filter.observe(normal));
    CHECK_FALSE(filter.observe(warning));
    CHECK(filter.observe(normal));
    CHECK(filter.level() == warning);
}

TEST_CASE("nothing is sampled until somebody asks", "[memory]") {
    Fixture it;
    it.read_times(10);
    CHECK(it.readings == 0);
    CHECK_FALSE(it.memory.pressure().sampled);
    CHECK(it.readings == 1);
}

TEST_CASE("a subscription is told when the level changes, and only then", "[memory]") {
    Fixture it;
    it.memory.set_subscribed(true);
    it.read_times(5);
    CHECK(it.published.empty());
    it.reading = in_use(80);
    it.read_times(1);
    CHECK(it.published.empty());
    it.read_times(5);
    REQUIRE(it.published.size() == 1);
    CHECK(it.published[0].level == warning);
    CHECK(it.published[0].reason == MemoryReason::available);
    CHECK(it.published[0].since == it.published[0].at);
    it.reading = in_use(10);
    it.read_times(2);
    CHECK(it.published.size() == 1);
    it.read_times(1);
    REQUIRE(it.published.size() == 2);
    CHECK(it.published[1].level == normal);
    CHECK(it.published[1].reason == MemoryReason::none);
    CHECK(it.published[1].detail.empty());
}

TEST_CASE("sampling ends with the last subscription", "[memory]") {
    Fixture it;
    it.memory.set_subscribed(true);
    it.read_times(3);
    CHECK(it.readings == 3);
    it.memory.set_subscribed(false);
    it.read_times(3);
    CHECK(it.readings == 3);
    it.memory.set_subscribed(true);
    it.memory.set_subscribed(true);
    it.read_times(3);
    CHECK(it.readings == 6);
}

TEST_CASE("a module that reacts is told the level and keeps the sampling going", "[memory]") {
    Fixture it;
    std::vector<MemoryLevel> told;
    it.memory.on_pressure([&](const MemoryPressure& now) { told.push_back(now.level); });
    it.memory.set_subscribed(true);
    it.memory.set_subscribed(false);
    it.reading = in_use(95);
    it.read_times(2);
    CHECK(told == std::vector{critical});
}

TEST_CASE("the level asked for is the settled one while it is sampled", "[memory]") {
    Fixture it;
    it.memory.set_subscribed(true);
    it.reading = in_use(95);
    CHECK(it.memory.pressure().level == normal);
    CHECK(it.memory.pressure().reading == critical);
    it.read_times(2);
    it.reading = in_use(10);
    const MemoryPressure pressure = it.memory.pressure();
    CHECK(pressure.level == critical);
    CHECK(pressure.reading == normal);
    CHECK(pressure.reason == MemoryReason::available);
    CHECK(pressure.sampled);
}

TEST_CASE("critical memory empties the pools", "[memory]") {
    Fixture it;
    { Buffer(it.pools.buffers).append("x"); }
    REQUIRE(it.pools.buffers.stats(0).idle == 1);
    it.memory.set_subscribed(true);
    it.reading = in_use(80);
    it.read_times(2);
    CHECK(it.pools.buffers.stats(0).idle == 1);
    it.reading = in_use(95);
    it.read_times(2);
    CHECK(it.pools.buffers.stats(0).idle == 0);
    CHECK(it.memory.stats().optimizations.pressureResponses == 1);
}

TEST_CASE("a new interval counts from when it is set", "[memory]") {
    Fixture it;
    it.memory.set_subscribed(true);
    REQUIRE(it.memory.configure({.pressureIntervalMs = 100}));
    it.timers.advance_ms(1000);
    CHECK(it.readings == 10);
}

TEST_CASE("nothing is read or told after stop", "[memory]") {
    Fixture it;
    it.memory.set_subscribed(true);
    it.memory.stop();
    it.memory.set_subscribed(false);
    it.memory.set_subscribed(true);
    it.read_times(5);
    CHECK(it.readings == 0);
}
