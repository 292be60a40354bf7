// Pools, statistics and optimisation, through the engine and through its methods.
#include "modules/memory/memory_rpc.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <thread>

using namespace pillion;

namespace {

struct Sink final : CallSink {
    std::vector<std::pair<double, std::string>> progress;
    void answered(Call&, const Result<std::string_view>&) override {}
    void progressed(Call&, double percentage, std::string_view message) override {
        progress.emplace_back(percentage, message);
    }
};

struct Fixture {
    ManualClock clock;
    ManualTimers timers{clock};
    MemoryPools pools;
    Memory memory{pools, timers, clock, [] {
                      return MemoryReading{.system = {.totalBytes = 1000, .availableBytes = 900},
                                           .cgroup =
                                               MemoryCgroup{.path = "/app", .usageBytes = 7, .workingSetBytes = 5},
                                           .stall = MemoryStall{.someAvg10Percent = 0.5}};
                  }};
    Sink sink;
    MethodTable table;

    Fixture() { table.add(memory_methods(memory)); }

    nlohmann::json call(std::string_view name) {
        const Method* const method = table.find(name);
        REQUIRE(method != nullptr);
        BufferPool answers; // the pools under test stay as they are
        Call call(*method, answers, sink);
        Buffer out(answers);
        REQUIRE(method->run(call, out));
        return nlohmann::json::parse(out.view());
    }

    // Leaves this many idle blocks in a size class.
    void leave_idle(std::size_t size_class, std::size_t blocks) {
        std::vector<char*> held;
        std::size_t bytes = BufferPool::class_bytes[size_class];
        for (std::size_t i = 0; i < blocks; ++i) held.push_back(pools.buffers.acquire(bytes));
        for (char* const block : held) pools.buffers.release(block, bytes);
    }
};

} // namespace

TEST_CASE("the pools are listed with how well they serve", "[memory]") {
    Fixture it;
    it.leave_idle(1, 1);
    it.leave_idle(1, 1);
    const auto pools = it.call("memory.pools")["items"];
    REQUIRE(pools.size() == 5);
    CHECK(pools[1]["name"] == "medium");
    CHECK(pools[1]["hits"] == 1);
    CHECK(pools[1]["misses"] == 1);
    CHECK(pools[1]["hitRatio"] == 0.5);
    CHECK(pools[1]["bytes"] == 8192);
    CHECK(pools[3]["name"] == "strings");
    CHECK(pools[3]["capacity"] == 100);
    CHECK(pools[4]["name"] == "maps");
    CHECK(pools[4]["capacity"] == 50);
    CHECK(pools[4]["hitRatio"] == 0.0);
}

TEST_CASE("the desktop system's names answer too", "[memory]") {
    Fixture it;
    CHECK(it.call("get_memory_pool_stats")["page"]["total"] == 5);
    CHECK(it.call("optimize_memory").contains("steps"));
}

TEST_CASE("optimize frees the pools' spare blocks and says so", "[memory]") {
    Fixture it;
    it.leave_idle(2, 10);
    {
        auto string = it.pools.strings.acquire(), other = it.pools.strings.acquire();
        string->assign(1000, 'x');
    }
    const auto result = it.call("memory.optimize");
    CHECK(it.pools.buffers.stats(2).idle == 0);
    CHECK(it.pools.strings.stats([](const std::string&) { return std::size_t{0}; }).idle == 0);
    CHECK(result["level"] == "normal");
    CHECK(result["steps"][0]["name"] == "pools");
    CHECK(result["steps"][0]["freedBytes"].get<std::size_t>() >= 10 * 65'536 + 1000);
    CHECK(result["steps"].back()["name"] == "heap");
    CHECK(result["freedBytes"].get<std::size_t>() >= 10 * 65'536 + 1000);
    CHECK(result["residentBeforeBytes"].get<std::size_t>() > 0);
    CHECK(result["skipped"].empty());
    const auto history = it.call("memory.stats")["optimizations"];
    CHECK(history["runs"] == 1);
    CHECK(history["freedBytes"] == result["freedBytes"]);
}

TEST_CASE("optimize leaves what is handed out alone", "[memory]") {
    Fixture it;
    Buffer buffer(it.pools.buffers);
    buffer.append("still here");
    it.memory.optimize(OptimizeLevel::aggressive);
    CHECK(buffer.view() == "still here");
    CHECK(it.pools.buffers.stats(0).in_use == 1);
}

TEST_CASE("a light optimisation keeps some blocks of each class", "[memory]") {
    Fixture it;
    it.leave_idle(0, 100);
    it.memory.optimize(OptimizeLevel::light);
    CHECK(it.pools.buffers.stats(0).idle == Memory::buffers_kept);
}

TEST_CASE("registered optimizers run in order, are told the level and are summed", "[memory]") {
    Fixture it;
    std::vector<std::string> ran;
    it.memory.add_optimizer("first", [&](OptimizeLevel level) {
        CHECK(level == OptimizeLevel::aggressive);
        ran.push_back("first");
        return Freed{1'000'000'000'000, 3};
    });
    it.memory.add_optimizer("second", [&](OptimizeLevel) {
        ran.push_back("second");
        return Freed{1, 4};
    });
    const MemoryOptimization done = it.memory.optimize(OptimizeLevel::aggressive);
    CHECK(ran == std::vector<std::string>{"first", "second"});
    CHECK(done.freedBytes == 1'000'000'000'001);
    CHECK(done.removedEntries == 7);
    CHECK(done.steps.size() == 4);
}

TEST_CASE("optimize reports its progress to the request", "[memory]") {
    Fixture it;
    it.call("memory.optimize");
    REQUIRE(it.sink.progress.size() == 2);
    CHECK(it.sink.progress[0] == std::pair<double, std::string>(0.0, "pools"));
    CHECK(it.sink.progress[1] == std::pair<double, std::string>(50.0, "heap"));
}

TEST_CASE("a cancelled optimisation stops between steps", "[memory]") {
    Fixture it;
    bool cancelled = false;
    it.memory.add_optimizer("cancels", [&](OptimizeLevel) {
        cancelled = true;
        return Freed{};
    });
    it.memory.add_optimizer("never", [](OptimizeLevel) -> Freed {
        FAIL("a step ran after the cancellation");
        return {};
    });
    const MemoryOptimization done =
        it.memory.optimize(OptimizeLevel::normal, {.is_cancelled = [&] { return cancelled; }});
    CHECK(done.steps.size() == 2);
    CHECK(done.skipped == std::vector<std::string>{"never", "heap"});
}

TEST_CASE("no step begins when the time is up", "[memory]") {
    Fixture it;
    it.memory.add_optimizer("slow", [&](OptimizeLevel) {
        it.clock.advance_ms(450);
        return Freed{};
    });
    const MemoryOptimization done = it.memory.optimize(OptimizeLevel::normal);
    CHECK(done.skipped == std::vector<std::string>{"heap"});
    CHECK(done.durationMs == 450);
    CHECK(done.steps.back().durationMs == 450);
}

TEST_CASE("two optimisations at once run one after the other", "[memory]") {
    Fixture it;
    std::atomic<int> inside{0}, most{0};
    it.memory.add_optimizer("alone", [&](OptimizeLevel) {
        most = std::max(most.load(), ++inside);
        std::this_thread::yield();
        --inside;
        return Freed{};
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { it.memory.optimize(OptimizeLevel::light); });
    for (std::thread& thread : threads) thread.join();
    CHECK(most == 1);
    CHECK(it.memory.stats().optimizations.runs == 4);
}

TEST_CASE("memory.stats tells process, heap, caches, system and group", "[memory]") {
    Fixture it;
    it.memory.add_cache_source("answers", [] { return MemoryCache{.name = {}, .bytes = 100, .entries = 2}; });
    it.memory.add_cache_source("values", [] { return MemoryCache{.name = {}, .bytes = 50, .entries = 1}; });
    const auto stats = it.call("memory.stats");
    CHECK(stats["process"]["residentBytes"].get<std::size_t>() > 0);
    CHECK(stats["process"]["peakBytes"] >= stats["process"]["residentBytes"]);
    CHECK_FALSE(stats["heap"]["allocator"].get<std::string>().empty());
    CHECK(stats["caches"].size() == 2);
    CHECK(stats["caches"][0]["name"] == "answers");
    CHECK(stats["cachesBytes"] == 150);
    CHECK(stats["system"]["totalBytes"] == 1000);
    CHECK(stats["cgroup"]["path"] == "/app");
    CHECK_FALSE(stats["cgroup"].contains("limitBytes"));
    CHECK(stats["stall"]["someAvg10Percent"] == 0.5);
}

TEST_CASE("memory.pressure answers without being sampled", "[memory]") {
    Fixture it;
    const auto pressure = it.call("memory.pressure");
    CHECK(pressure["level"] == "normal");
    CHECK(pressure["reason"] == "none");
    CHECK(pressure["sampled"] == false);
    CHECK(pressure["usedShare"] == Approx(0.1));
    CHECK_FALSE(pressure.contains("cgroupShare"));
}

TEST_CASE("a smaller capacity takes effect on idle blocks at once", "[memory]") {
    Fixture it;
    it.leave_idle(0, 20);
    REQUIRE(it.memory.configure({.poolSmall = 5, .poolStrings = 7}));
    CHECK(it.pools.buffers.stats(0).idle <= 5);
    CHECK(it.memory.pools()[0].capacity == 5);
    CHECK(it.memory.pools()[3].capacity == 7);
    CHECK(it.memory.config().poolSmall == 5);
}

TEST_CASE("a configuration whose warning is over its critical share is refused and changes nothing", "[memory]") {
    Fixture it;
    const auto result = it.memory.configure({.poolSmall = 5, .warningShare = 0.95, .criticalShare = 0.9});
    REQUIRE_FALSE(result);
    CHECK(result.error().field == "/memory/warningShare");
    CHECK(it.memory.pools()[0].capacity == BufferPool::default_capacity[0]);
}

TEST_CASE("the configuration section has its bounds checked", "[memory]") {
    std::string scratch;
    for (const char* text :
         {R"({"poolSmall":-1})", R"({"poolLarge":4097})", R"({"warningShare":0})", R"({"criticalShare":1.1})",
          R"({"pressureIntervalMs":99})", R"({"budgetBytes":-1})", R"({"pools":1})", R"({"poolSmall":"many"})"}) {
        CAPTURE(text);
        MemoryConfig config;
        scratch.clear();
        CHECK_FALSE(wire::decode_value(wire::type_of<MemoryConfig>, text, &config, scratch));
    }
    MemoryConfig config;
    scratch.clear();
    REQUIRE(wire::decode_value(wire::type_of<MemoryConfig>, R"({"budgetBytes":5})", &config, scratch));
    CHECK(config.budgetBytes == 5);
    CHECK(config.poolStrings == 100);
}

TEST_CASE("crowded pools that nobody used for half a minute are trimmed", "[memory]") {
    Fixture it;
    it.leave_idle(2, 60);
    it.clock.advance_ms(Memory::idle_ms);
    CHECK(it.memory.trim_idle() == 0); // the window in which they were filled
    CHECK(it.pools.buffers.stats(2).idle == 60);
    it.clock.advance_ms(Memory::idle_ms - 1);
    CHECK(it.memory.trim_idle() == 0);
    it.clock.advance_ms(1);
    CHECK(it.memory.trim_idle() == 44 * 65'536);
    CHECK(it.pools.buffers.stats(2).idle == Memory::buffers_kept);
    CHECK(it.memory.stats().optimizations.idleTrimmedBytes == 44 * 65'536);
}

TEST_CASE("pools that are busy or hold little are left alone", "[memory]") {
    Fixture it;
    it.leave_idle(2, 60);
    it.leave_idle(0, 200);
    for (int window = 0; window < 3; ++window) {
        it.leave_idle(2, 60);
        it.clock.advance_ms(Memory::idle_ms);
        CHECK(it.memory.trim_idle() == 0);
    }
    CHECK(it.pools.buffers.stats(0).idle == 200);
}
