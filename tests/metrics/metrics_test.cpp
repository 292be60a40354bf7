// Snapshot, per-method statistics, distributions and samples, through the engine and through its methods.
#include "modules/metrics/metrics_rpc.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

using namespace pillion;

namespace {

struct Sink final : CallSink {
    void answered(Call&, const Result<std::string_view>&) override {}
    void progressed(Call&, double, std::string_view) override {}
};

const Counter test_counter{"pillion.test.metrics", "Things counted by a test", "{thing}"};

struct Fixture {
    ManualClock clock;
    ManualTimers timers{clock};
    MemoryPools pools;
    Memory memory{pools, timers, clock, [] { return MemoryReading{}; }};
    MethodTable table;
    Histogram batch_size, queue_wait_ns;
    IpcReadings ipc{.batch_size = &batch_size, .queue_wait_ns = &queue_wait_ns};
    ProcessReadings process{.started_wall_ms = 1'699'999'999'990, .user_ns = 0, .system_ns = 0, .resident_bytes = 1000};
    Metrics metrics{clock, table, memory, [this] { return ipc; }, [this] { return process; }};

    Fixture() {
        table.add(metrics_methods(metrics));
        std::vector<Method> methods;
        methods.push_back(
            method("rpc.ping", "", Lane::direct, [](const NoParams&) -> Result<Page> { return Page{}; }).alias("ping"));
        methods.push_back(method("rpc.idle", "", Lane::direct, [](const NoParams&) -> Result<Page> { return Page{}; }));
        table.add(std::move(methods));
    }
    MethodStats& stats(std::string_view name) { return *table.find(name)->stats; }

    Result<std::string> run(std::string_view name) {
        const Method* const found = table.find(name);
        REQUIRE(found != nullptr);
        Sink sink;
        Call call(*found, pools.buffers, sink);
        Buffer out(pools.buffers);
        PILLION_TRY(found->run(call, out));
        return std::string(out.view());
    }
    nlohmann::json call(std::string_view name) {
        const auto text = run(name);
        REQUIRE(text);
        return nlohmann::json::parse(*text);
    }
};

bool is_near(double value, double expected) { return std::abs(value - expected) <= expected * 0.01; }

} // namespace

TEST_CASE("a snapshot before anything happened is finite and empty", "[metrics]") {
    Fixture it;
    const auto snapshot = it.call("metrics.snapshot");
    CHECK(snapshot["ipc"]["requests"] == 0);
    CHECK(snapshot["ipc"]["successRate"] == 1.0);
    CHECK(snapshot["ipc"]["latency"]["meanUs"] == 0.0);
    CHECK(snapshot["ipc"]["cache"]["hitRatio"] == 0.0);
    CHECK(snapshot["runtime"]["uptimeMs"] == 0.0);
    CHECK(snapshot["runtime"]["cpuPercent"] == 0.0);
    CHECK(snapshot["startup"].empty());
    CHECK(snapshot["pools"].size() == 5);
    CHECK(snapshot["counters"].contains("pillion.test.metrics"));
}

TEST_CASE("a snapshot tells what the wire counted", "[metrics]") {
    Fixture it;
    it.ipc.requests = 10;
    it.ipc.errors = 1;
    it.ipc.batches = 2;
    it.ipc.bytes_in = 500;
    it.ipc.queue_depth = 3;
    it.ipc.cache_hits = 9;
    it.ipc.cache_misses = 1;
    it.batch_size.record(40);
    it.queue_wait_ns.record(5'000);
    it.stats("rpc.ping").latency_ns.record(10'000);
    it.stats("rpc.idle").latency_ns.record(30'000);
    test_counter.add(3);
    const auto ipc = it.call("get_performance_metrics")["ipc"];
    CHECK(ipc["successRate"] == Approx(0.9));
    CHECK(ipc["batchSize"]["p50"] == 40);
    CHECK(is_near(ipc["queueWait"]["p99Us"], 5.0));
    CHECK(ipc["queueDepth"] == 3);
    CHECK(ipc["cache"]["hitRatio"] == Approx(0.9));
    CHECK(ipc["latency"]["count"] == 2);
    CHECK(is_near(ipc["latency"]["meanUs"], 20.0));
    CHECK(is_near(ipc["latency"]["maxUs"], 30.0));
    CHECK(it.metrics.snapshot().counters["pillion.test.metrics"] >= 3);
}

TEST_CASE("readings without histograms are a snapshot with zeros", "[metrics]") {
    Fixture it;
    it.ipc = {};
    CHECK(it.call("metrics.snapshot")["ipc"]["queueWait"]["p50Us"] == 0.0);
}

TEST_CASE("startup is the time from the parent's spawn to serving", "[metrics]") {
    Fixture it;
    it.clock.advance_ms(5);
    it.metrics.mark_ready();
    const MetricsStartup startup = it.metrics.snapshot().startup;
    CHECK(startup.spawnToReadyMs == 15.0);
    CHECK(startup.readyAt == 1'700'000'000'005);
    CHECK(startup.residentAtReadyBytes == 1000u);
}

TEST_CASE("a wall clock set back during startup gives no negative time", "[metrics]") {
    Fixture it;
    it.clock.jump_wall_ms(-60'000);
    it.metrics.mark_ready();
    CHECK(it.metrics.snapshot().startup.spawnToReadyMs == 0.0);
}

TEST_CASE("an unknown process start is left out", "[metrics]") {
    Fixture it;
    it.process.started_wall_ms = 0;
    it.metrics.mark_ready();
    CHECK(it.metrics.snapshot().startup.readyAt);
    CHECK_FALSE(it.metrics.snapshot().startup.spawnToReadyMs);
}

TEST_CASE("CPU use is over the time since the previous snapshot, and the resident average over all readings",
          "[metrics]") {
    Fixture it;
    it.metrics.mark_ready();
    it.clock.advance_ms(1000);
    it.process.user_ns = 200'000'000;
    it.process.system_ns = 50'000'000;
    it.process.resident_bytes = 3000;
    const MetricsRuntime runtime = it.metrics.snapshot().runtime;
    CHECK(runtime.cpuPercent == Approx(25.0));
    CHECK(runtime.cpuUserMs == Approx(200.0));
    CHECK(runtime.uptimeMs == Approx(1000.0));
    CHECK(runtime.residentAverageBytes == 2000);
    CHECK(it.metrics.snapshot().runtime.cpuPercent == Approx(25.0)); // at once: the interval is too short for a new one
    it.clock.advance_ms(1000);
    CHECK(it.metrics.snapshot().runtime.cpuPercent == 0.0);
}

TEST_CASE("only methods that were called are listed, unless all are asked for", "[metrics]") {
    Fixture it;
    it.stats("rpc.ping").latency_ns.record(10'000);
    it.stats("rpc.ping").errors.fetch_add(1);
    it.stats("rpc.ping").cache_hits.fetch_add(2);
    const auto items = it.call("metrics.methods")["items"];
    REQUIRE(items.size() == 1);
    CHECK(items[0]["name"] == "rpc.ping");
    CHECK(items[0]["requests"] == 1);
    CHECK(items[0]["errors"] == 1);
    CHECK(items[0]["cacheHits"] == 2);
    CHECK(is_near(items[0]["p99Us"], 10.0));
    CHECK(it.metrics.methods(true).size() == it.table.all().size());
}

TEST_CASE("the histogram of an unknown method is not found and names the nearest", "[metrics]") {
    Fixture it;
    const auto result = it.metrics.histogram("rpc.pong", std::nullopt, 64);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::not_found);
    CHECK(result.error().field == "/method");
    CHECK(result.error().hint == "rpc.ping");
}

TEST_CASE("the histogram of an unknown metric is not found and names the nearest", "[metrics]") {
    Fixture it;
    const auto result = it.metrics.histogram(std::nullopt, "latncy", 64);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::not_found);
    CHECK(result.error().hint == "latency");
}

TEST_CASE("a metric that is not kept per method is refused for one", "[metrics]") {
    Fixture it;
    const auto result = it.metrics.histogram("rpc.ping", "queueWait", 64);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::invalid_params);
}

TEST_CASE("a histogram has every value in a bucket, within its borders", "[metrics]") {
    Fixture it;
    for (std::uint64_t ns = 100; ns <= 1'000'000; ns += 100) it.stats("rpc.ping").latency_ns.record(ns);
    for (const std::size_t most : {1u, 2u, 10u, 64u, 2500u}) {
        CAPTURE(most);
        const auto result = it.metrics.histogram("ping", std::nullopt, most);
        REQUIRE(result);
        CHECK(result->method == "rpc.ping");
        CHECK(result->count == 10'000);
        CHECK(result->buckets.size() <= most);
        std::uint64_t count = 0;
        double end = 0;
        for (const MetricsBucket& bucket : result->buckets) {
            CHECK(bucket.fromUs >= end);
            CHECK(bucket.toUs > bucket.fromUs);
            end = bucket.toUs;
            count += bucket.count;
        }
        CHECK(count == 10'000);
        CHECK(end >= 1000.0);
        CHECK(is_near(result->p50Us, 500));
        CHECK(is_near(result->p99Us, 990));
    }
}

TEST_CASE("the largest value there is has a bucket with borders", "[metrics]") {
    Fixture it;
    it.stats("rpc.ping").latency_ns.record(~std::uint64_t{0});
    for (const std::size_t most : {1u, 64u}) {
        const auto result = it.metrics.histogram("rpc.ping", std::nullopt, most);
        REQUIRE(result);
        REQUIRE(result->buckets.size() == 1);
        CHECK(result->buckets[0].toUs > result->buckets[0].fromUs);
    }
}

TEST_CASE("a histogram without values is empty, not an error", "[metrics]") {
    Fixture it;
    const auto histogram = it.call("metrics.histogram");
    CHECK(histogram["count"] == 0);
    CHECK(histogram["buckets"].empty());
    CHECK(it.metrics.histogram(std::nullopt, "queueWait", 64)->count == 0);
}

TEST_CASE("reset clears one method or all", "[metrics]") {
    Fixture it;
    it.stats("rpc.ping").latency_ns.record(10);
    it.stats("rpc.idle").latency_ns.record(10);
    it.stats("rpc.idle").coalesced.fetch_add(1);
    CHECK(it.metrics.reset("ping") == std::size_t{1});
    CHECK(it.stats("rpc.ping").latency_ns.count() == 0);
    CHECK(it.stats("rpc.idle").latency_ns.count() == 1);
    CHECK(it.call("metrics.reset")["methods"] == 1);
    CHECK(it.metrics.methods(false).empty());
    CHECK(it.metrics.reset("rpc.pong").error().code == ErrorCode::not_found);
}

TEST_CASE("a sample has the rates of its interval", "[metrics]") {
    Fixture it;
    it.metrics.mark_ready();
    Metrics::Interval interval;
    it.clock.advance_ms(1000);
    it.ipc.requests = 100;
    it.stats("rpc.ping").latency_ns.record(1'000'000);
    CHECK(it.metrics.sample(interval).requestsPerSecond == Approx(100));
    it.clock.advance_ms(500);
    it.ipc.requests = 200;
    it.process.user_ns = 50'000'000;
    it.stats("rpc.ping").latency_ns.record(10'000);
    const MetricsSample sample = it.metrics.sample(interval);
    CHECK(sample.requests == 200);
    CHECK(sample.requestsPerSecond == Approx(200));
    CHECK(sample.intervalMs == Approx(500));
    CHECK(sample.cpuPercent == Approx(10));
    CHECK(is_near(sample.p50Us, 10)); // not the slow one of the interval before
    CHECK(is_near(sample.p99Us, 10));
    it.clock.advance_ms(1000);
    CHECK(it.metrics.sample(interval).p99Us == 0);
}

TEST_CASE("samples in one instant repeat the rates and do not divide by zero", "[metrics]") {
    Fixture it;
    CHECK(it.metrics.sample().requestsPerSecond == 0);
    it.clock.advance_ms(1000);
    it.ipc.requests = 10;
    CHECK(it.metrics.sample().requestsPerSecond == Approx(10));
    it.ipc.requests = 20;
    const MetricsSample sample = it.metrics.sample();
    CHECK(sample.requestsPerSecond == Approx(10));
    CHECK(sample.requests == 20);
}

TEST_CASE("a jump of the wall clock changes no rate", "[metrics]") {
    Fixture it;
    it.clock.jump_wall_ms(-86'400'000);
    it.clock.advance_ms(1000);
    it.ipc.requests = 10;
    CHECK(it.metrics.sample().requestsPerSecond == Approx(10));
}

TEST_CASE("each subscription has an interval of its own", "[metrics]") {
    Fixture it;
    Metrics::Interval fast, slow;
    it.metrics.sample(fast);
    it.metrics.sample(slow);
    it.clock.advance_ms(100);
    it.ipc.requests = 10;
    CHECK(it.metrics.sample(fast).requestsPerSecond == Approx(100));
    it.clock.advance_ms(900);
    CHECK(it.metrics.sample(fast).requestsPerSecond == 0);
    CHECK(it.metrics.sample(slow).requestsPerSecond == Approx(10));
}

TEST_CASE("a reset between two samples leaves the percentiles those of what came after", "[metrics]") {
    Fixture it;
    Metrics::Interval interval;
    it.clock.advance_ms(1000);
    for (int i = 0; i < 10; ++i) it.stats("rpc.ping").latency_ns.record(1'000'000);
    it.metrics.sample(interval);
    it.metrics.reset(std::nullopt);
    it.stats("rpc.ping").latency_ns.record(10'000);
    it.clock.advance_ms(1000);
    CHECK(is_near(it.metrics.sample(interval).p99Us, 10));
}

TEST_CASE("the process this runs in can be read", "[metrics]") {
    const ProcessReadings process = read_process();
    CHECK(process.resident_bytes > 0);
    CHECK(process.started_wall_ms > 0);
    CHECK(process.user_ns + process.system_ns > 0);
}
