#include "ipc/base/clock.h"
#include "ipc/timers.h"
#include "modules/analysis/analysis.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

using namespace pillion;

namespace {

constexpr double megabyte = 1024 * 1024;

// One point every two seconds, with noise of 1 %.
template <class Level>
std::vector<SeriesPoint> memory(std::int64_t seconds, Level level) {
    std::mt19937_64 random(5);
    std::normal_distribution<double> noise(1, 0.01);
    std::vector<SeriesPoint> points;
    for (std::int64_t second = 0; second < seconds; second += 2)
        points.push_back({1'700'000'000'000 + second * 1000, level(static_cast<double>(second)) * noise(random)});
    return points;
}

double tooth(double second, double period, double height) { return std::fmod(second, period) / period * height; }

} // namespace

TEST_CASE("a megabyte a second is found within a minute of data after the first seconds", "[leaks]") {
    const auto points = memory(76, [](double second) { return (8 + second) * megabyte; });
    const MemoryVerdict verdict = judge_memory(points).value();
    REQUIRE(verdict.course == MemoryCourse::leak);
    CHECK(verdict.bytes_per_hour == Approx(3600 * megabyte).epsilon(0.1));
    CHECK(verdict.bytes_per_hour_low < 3600 * megabyte);
    CHECK(verdict.bytes_per_hour_high > 3600 * megabyte);
    CHECK(verdict.confidence > 0.999);
}

TEST_CASE("a megabyte a minute is found under the sawtooth of garbage collection", "[leaks]") {
    const auto points =
        memory(4 * 3600, [](double second) { return (100 + second / 60 + tooth(second, 90, 60)) * megabyte; });
    const MemoryVerdict verdict = judge_memory(points).value();
    REQUIRE(verdict.course == MemoryCourse::leak);
    CHECK(verdict.bytes_per_hour == Approx(60 * megabyte).epsilon(0.15));
}

TEST_CASE("garbage collection alone is no leak, however long a tooth is", "[leaks]") {
    for (const double period : {20.0, 90.0, 600.0, 1800.0})
        for (std::int64_t seconds = 7200; seconds < 8100; seconds += 120) {
            const auto points =
                memory(seconds, [&](double second) { return (100 + tooth(second, period, 60)) * megabyte; });
            CHECK(judge_memory(points).value().course == MemoryCourse::steady);
        }
}

TEST_CASE("a start that takes memory and a single step are no leak", "[leaks]") {
    CHECK(judge_memory(memory(3600, [](double second) { return std::min(40 + second, 200.0) * megabyte; }))
              .value()
              .course != MemoryCourse::leak);
    CHECK(judge_memory(memory(3600, [](double second) { return (second < 2000 ? 100 : 180) * megabyte; }))
              .value()
              .course != MemoryCourse::leak);
}

TEST_CASE("growth that nears a limit is told from a leak", "[leaks]") {
    const auto points =
        memory(3 * 3600, [](double second) { return (80 + 120 * (1 - std::exp(-second / 2400))) * megabyte; });
    const MemoryVerdict verdict = judge_memory(points).value();
    CHECK(verdict.course == MemoryCourse::bounded);
    CHECK(verdict.level_bytes == Approx(197 * megabyte).epsilon(0.05));
}

TEST_CASE("a rise that has just become clear waits until it stays so", "[leaks]") {
    const auto rising = [](double second) { return (100 + std::max(0.0, second - 7200) / 30) * megabyte; };
    std::int64_t found = 0;
    for (std::int64_t seconds = 7200; seconds < 10'800 && found == 0; seconds += 20)
        if (judge_memory(memory(seconds, rising)).value().course == MemoryCourse::leak) found = seconds;
    CHECK(found > 7200 + 300);
    CHECK(found < 7200 + 2400);
}

TEST_CASE("a leak that ended is none", "[leaks]") {
    const auto points =
        memory(4 * 3600, [](double second) { return (100 + std::min(second, 5400.0) / 30) * megabyte; });
    CHECK(judge_memory(points).value().course != MemoryCourse::leak);
}

TEST_CASE("what was before a restart counts nothing", "[leaks]") {
    const auto points = memory(2 * 3600, [](double second) {
        const double age = std::fmod(second, 3600);
        return (50 + 30 * (1 - std::exp(-age / 60))) * megabyte;
    });
    CHECK(judge_memory(points, {}, 1'700'000'000'000 + 3'600'000).value().course == MemoryCourse::steady);
    CHECK(judge_memory(points, {}, 1'700'000'000'000 + 7'190'000).value().course == MemoryCourse::unknown);
}

TEST_CASE("a machine that slept for eight hours does not make a leak", "[leaks]") {
    auto points = memory(7200, [](double second) { return (100 + tooth(second, 60, 30)) * megabyte; });
    for (auto& point : points)
        if (point.at_ms >= 1'700'003'600'000) point.at_ms += 8 * 3'600'000;
    CHECK(judge_memory(points).value().course == MemoryCourse::steady);
}

TEST_CASE("too little is unknown, and what is no memory is refused", "[leaks]") {
    CHECK(judge_memory({}).value().course == MemoryCourse::unknown);
    CHECK(judge_memory(memory(40, [](double) { return megabyte; })).value().course == MemoryCourse::unknown);
    auto points = memory(100, [](double) { return megabyte; });
    points[7].value = -1;
    CHECK(judge_memory(points).error().code == ErrorCode::invalid_params);
    points[7].value = std::numeric_limits<double>::quiet_NaN();
    CHECK_FALSE(judge_memory(points));
    points[7].value = 1;
    points[8].at_ms = points[7].at_ms;
    CHECK(judge_memory(points).error().message == "the points of a series ascend in time, each later than the last");
}

TEST_CASE("the leaking component and its process are named", "[leaks]") {
    ManualClock clock;
    ManualTimers timers(clock);
    Series series({.clock = clock, .timers = timers});
    CHECK(find_leaks(series).value().empty());
    constexpr SeriesSpec spec{"process.memory.private", "Private bytes.", "By", SeriesKind::gauge};
    for (int second = 0; second < 90; ++second) {
        const double own = 20 * megabyte;
        REQUIRE(series.observe(spec, {{"role", "self"}, {"process", "pillion"}}, own));
        REQUIRE(series.observe(spec, {{"role", "child"}, {"process", "indexer"}, {"component", "search"}},
                               (10 + second) * megabyte));
        clock.advance_ms(1000);
    }
    const auto leaks = find_leaks(series).value();
    REQUIRE(leaks.size() == 2);
    CHECK(leaks[0].component == "search");
    CHECK(leaks[0].process == "indexer");
    CHECK(leaks[0].role == "child");
    CHECK(leaks[0].verdict.course == MemoryCourse::leak);
    CHECK(describe(leaks[0]).starts_with("component search, process indexer: private memory grows by 36"));
    CHECK(leaks[1].verdict.course == MemoryCourse::steady);
    CHECK(describe(leaks[1]) == "process pillion: private memory is steady at 20 MiB");
    clock.advance_ms(600'000); // nothing is seen of them any more
    CHECK(find_leaks(series).value().empty());
}

TEST_CASE("a cache that fills is no leak of the process that holds it", "[leaks]") {
    ManualClock clock;
    ManualTimers timers(clock);
    Series series({.clock = clock, .timers = timers});
    constexpr SeriesSpec spec{"process.memory.private", "Private bytes.", "By", SeriesKind::gauge};
    constexpr SeriesSpec cache{"pillion.cache.bytes", "Held.", "By", SeriesKind::gauge};
    for (int second = 0; second < 100; ++second) {
        const double held = second * megabyte;
        REQUIRE(series.observe(spec, {{"role", "self"}, {"process", "pillion"}}, 20 * megabyte + 1.05 * held));
        REQUIRE(series.observe(cache, {{"namespace", "pages"}}, held / 2));
        REQUIRE(series.observe(cache, {{"namespace", "images"}}, held / 2));
        clock.advance_ms(1000);
    }
    const auto leaks = find_leaks(series).value();
    REQUIRE(leaks.size() == 1);
    CHECK(leaks[0].verdict.course == MemoryCourse::steady);
    CHECK(leaks[0].verdict.level_bytes < 30 * megabyte);
}
