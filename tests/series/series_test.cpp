// Recording, resolutions, functions and limits.
#include "tests/series/series_fixture.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

using namespace pillion;
using enum SeriesFunction;

TEST_CASE("a gauge is read back with its mean, extremes, sum, count and last value", "[series]") {
    SeriesFixture it;
    for (const double value : {10.0, 20.0, 60.0}) {
        REQUIRE(it.series.observe(test_gauge, {}, value));
        it.clock.advance_ms(1000);
    }
    CHECK(it.value("test.bytes", avg, 60'000) == 30.0);
    CHECK(it.value("test.bytes", min, 60'000) == 10.0);
    CHECK(it.value("test.bytes", max, 60'000) == 60.0);
    CHECK(it.value("test.bytes", sum, 60'000) == 90.0);
    CHECK(it.value("test.bytes", count, 60'000) == 3.0);
    CHECK(it.value("test.bytes", last, 60'000) == 60.0);
    CHECK(it.value("test.bytes", delta, 60'000) == 50.0);
    CHECK(it.value("test.bytes", percentile, 60'000, 50) == 20.0);
}

TEST_CASE("a counter read once a second has its rate, and its first reading is only a base", "[series]") {
    SeriesFixture it;
    for (int second = 0; second < 100; ++second) {
        REQUIRE(it.series.observe(test_counter, {}, 1'000'000.0 + 7 * second));
        it.clock.advance_ms(1000);
    }
    CHECK(it.value("test.requests", rate, 50'000) == Approx(7));
    CHECK(it.value("test.requests", increase, 300'000) == 99.0 * 7);
    CHECK(it.value("test.requests", max, 300'000) == Approx(7));
    CHECK(it.value("test.requests", last, 300'000) == 1'000'000.0 + 7 * 99);
}

TEST_CASE("a counter that starts anew is counted from nought, never downwards", "[series]") {
    SeriesFixture it;
    for (const double total : {100.0, 110.0, 4.0, 9.0}) {
        REQUIRE(it.series.observe(test_counter, {}, total));
        it.clock.advance_ms(1000);
    }
    CHECK(it.value("test.requests", increase, 60'000) == 10.0 + 4 + 5);
    for (const SeriesPoint& point : it.points(
             {.name = "test.requests", .from_ms = it.series.now_ms() - 500'000, .step_ms = 1000, .function = increase}))
        CHECK(point.value >= 0);
}

TEST_CASE("a pause of the one who samples gives no rate for it, and no peak after it", "[series]") {
    SeriesFixture it;
    double total = 0;
    const auto sample = [&](int seconds) {
        for (int i = 0; i < seconds; ++i) {
            REQUIRE(it.series.observe(test_counter, {}, total += 10));
            it.clock.advance_ms(1000);
        }
    };
    sample(20);
    it.clock.advance_ms(3'600'000);
    total += 1e6; // while nobody looked
    sample(20);
    for (const SeriesPoint& point : it.points(
             {.name = "test.requests", .from_ms = it.series.now_ms() - 500'000, .step_ms = 1000, .function = rate}))
        CHECK(point.value <= 10.001);
}

TEST_CASE("a machine that slept for eight hours leaves a gap and right rates", "[series]") {
    SeriesFixture it;
    double total = 0;
    for (int i = 0; i < 60; ++i) {
        if (i == 30) it.clock.jump_wall_ms(8 * 3'600'000); // the monotonic clock stood still
        REQUIRE(it.series.observe(test_counter, {}, total += 5));
        it.clock.advance_ms(1000);
    }
    const auto points =
        it.points({.name = "test.requests", .from_ms = it.series.now_ms() - 9 * 3'600'000, .function = rate});
    REQUIRE(points.size() >= 2);
    for (const SeriesPoint& point : points) CHECK(point.value == Approx(5).epsilon(0.05));
    CHECK(it.value("test.requests", rate, 10 * 3'600'000) == Approx(5).epsilon(0.01));
    CHECK(it.value("test.requests", increase, 10 * 3'600'000) == 59.0 * 5);
}

TEST_CASE("a wall clock set back by an hour drops what would be the future, and rates stay right", "[series]") {
    SeriesFixture it;
    double total = 0;
    for (int i = 0; i < 120; ++i) {
        if (i == 60) it.clock.jump_wall_ms(-3'600'000);
        REQUIRE(it.series.observe(test_counter, {}, total += 5));
        it.clock.advance_ms(1000);
    }
    const std::int64_t now = it.series.now_ms();
    CHECK(now == it.clock.wall_ms());
    const auto points =
        it.points({.name = "test.requests", .from_ms = now - 500'000, .step_ms = 1000, .function = rate});
    REQUIRE(points.size() >= 59);
    for (const SeriesPoint& point : points) {
        CHECK(point.at_ms <= now);
        CHECK(point.value == Approx(5).epsilon(0.01));
    }
}

TEST_CASE("a wall clock set back a little is not followed", "[series]") {
    SeriesFixture it;
    const std::int64_t before = it.series.now_ms();
    it.clock.jump_wall_ms(-20'000);
    CHECK(it.series.now_ms() == before);
}

TEST_CASE("each resolution agrees with the others", "[series]") {
    SeriesFixture it;
    std::mt19937 random(7);
    std::vector<double> values;
    it.clock.jump_wall_ms(600'000 - it.clock.wall_ms() % 600'000); // a whole ten minutes
    for (int second = 0; second < 3600 * 3; ++second) {
        values.push_back(std::round(1e9 + 1e6 * std::sin(second / 100.0)) + static_cast<double>(random() % 1000));
        REQUIRE(it.series.observe(test_gauge, {}, values.back()));
        it.clock.advance_ms(1000);
    }
    const auto mean = [&](std::size_t seconds) {
        double sum = 0;
        for (std::size_t i = values.size() - seconds; i < values.size(); ++i) sum += values[i];
        return sum / static_cast<double>(seconds);
    };
    CHECK(*it.value("test.bytes", avg, 600'000) == Approx(mean(600)).epsilon(1e-9));
    CHECK(*it.value("test.bytes", avg, 3'600'000) == Approx(mean(3600)).epsilon(1e-9));
    CHECK(*it.value("test.bytes", avg, 3 * 3'600'000) == Approx(mean(3600 * 3)).epsilon(1e-9));
    CHECK(*it.value("test.bytes", count, 3 * 3'600'000) == 3600.0 * 3);
    const auto answer = it.series.query({.name = "test.bytes", .from_ms = it.series.now_ms() - 3 * 3'600'000});
    REQUIRE(answer);
    CHECK(answer->resolution_ms == 60'000);
    const auto fine = it.series.query({.name = "test.bytes", .from_ms = it.series.now_ms() - 500'000});
    CHECK(fine->resolution_ms == 1'000);
    CHECK(fine->lines[0].points.size() == 500);
}

TEST_CASE("fractions survive being compressed to a ten-millionth", "[series]") {
    SeriesFixture it;
    std::mt19937_64 random(3);
    std::uniform_real_distribution<double> any(-1e6, 1e6);
    std::vector<double> values;
    for (int i = 0; i < 300; ++i) {
        values.push_back(i % 7 == 0 ? 0.0 : i % 5 == 0 ? std::trunc(any(random)) : any(random));
        REQUIRE(it.series.observe(test_gauge, {}, values.back()));
        it.clock.advance_ms(1000);
    }
    const auto points =
        it.points({.name = "test.bytes", .from_ms = it.series.now_ms() - 500'000, .step_ms = 1000, .function = last});
    REQUIRE(points.size() == values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        CHECK(points[i].value == Approx(values[i]).epsilon(2e-7).margin(1e-12));
}

TEST_CASE("percentiles of a histogram are within 1 % over every step and over labels", "[series]") {
    SeriesFixture it;
    std::vector<double> all;
    for (int i = 1; i <= 5000; ++i) {
        const double value = 1e-6 * std::pow(1.01, i % 2000);
        all.push_back(value);
        REQUIRE(it.series.observe(test_times, {{"half", i % 2 == 0 ? "even" : "odd"}}, value));
        if (i % 50 == 0) it.clock.advance_ms(1000);
    }
    std::ranges::sort(all);
    for (const double share : {1.0, 50.0, 95.0, 99.0, 100.0}) {
        const auto value = it.series.value({.name = "test.time",
                                            .from_ms = it.series.now_ms() - 300'000,
                                            .function = percentile,
                                            .percentile = share,
                                            .aggregate = SeriesAggregate::sum});
        REQUIRE(value);
        const double exact = all[static_cast<std::size_t>(std::ceil(share / 100 * 5000)) - 1];
        CHECK(**value == Approx(exact).epsilon(0.01));
    }
}

TEST_CASE("labels are summed, averaged and grouped", "[series]") {
    SeriesFixture it;
    const auto put = [&](const char* process, const char* kind, double value) {
        REQUIRE(it.series.observe(test_gauge, {{"process", process}, {"kind", kind}}, value));
    };
    put("a", "rss", 1), put("b", "rss", 3), put("a", "pss", 10);
    const auto ask = [&](SeriesAggregate aggregate, std::vector<std::string> by, SeriesLabels labels) {
        return it.series
            .query({.name = "test.bytes",
                    .labels = std::move(labels),
                    .step_ms = 3'600'000,
                    .function = last,
                    .aggregate = aggregate,
                    .by = std::move(by)})
            ->lines;
    };
    CHECK(ask(SeriesAggregate::none, {}, {}).size() == 3);
    CHECK(ask(SeriesAggregate::sum, {}, {})[0].points[0].value == 14);
    CHECK(ask(SeriesAggregate::avg, {}, {{"kind", "rss"}})[0].points[0].value == 2);
    const auto by = ask(SeriesAggregate::max, {"process"}, {});
    REQUIRE(by.size() == 2);
    CHECK(by[0].labels == SeriesLabels{{"process", "a"}});
    CHECK(by[0].points[0].value == 10);
    CHECK(ask(SeriesAggregate::none, {}, {{"kind", "uss"}}).empty());
    const auto apart = it.series.query({.name = "test.bytes", .function = last, .by = {"process"}});
    CHECK(apart.error().field == "/by");
    const auto several = it.series.value({.name = "test.bytes", .from_ms = 0, .function = last});
    CHECK(several.error().code == ErrorCode::invalid_params);
    const auto each = it.series.values({.name = "test.bytes", .from_ms = 0, .function = last});
    REQUIRE(each->lines.size() == 3);
    for (const SeriesLine& line : each->lines) CHECK(line.points.size() == 1);
}

TEST_CASE("what is not a number is refused", "[series]") {
    SeriesFixture it;
    const double infinity = std::numeric_limits<double>::infinity();
    for (const SeriesSpec& spec : {test_counter, test_gauge, test_times})
        for (const double value : {std::nan(""), infinity, -infinity}) {
            const auto done = it.series.record(spec, {}, value);
            REQUIRE_FALSE(done);
            CHECK(done.error().code == ErrorCode::invalid_params);
            CHECK(done.error().field == "/value");
            CHECK_FALSE(it.series.observe(spec, {}, value));
        }
    CHECK_FALSE(it.series.record(test_counter, {}, -1));
    CHECK_FALSE(it.series.record(test_times, {}, -0.5));
    CHECK(it.series.record(test_gauge, {}, -1));
    CHECK(it.series.stats().recorded == 1);
}

TEST_CASE("a name keeps its kind, its unit and its owner", "[series]") {
    SeriesFixture it;
    REQUIRE(it.series.record(test_gauge, {}, 1));
    CHECK(it.series.record({"test.bytes", "", "By", SeriesKind::counter}, {}, 1).error().code == ErrorCode::conflict);
    CHECK(it.series.record({"test.bytes", "", "s", SeriesKind::gauge}, {}, 1).error().field == "/unit");
    REQUIRE(it.series.observe(test_counter, {}, 1));
    CHECK(it.series.record(test_counter, {}, 1).error().code == ErrorCode::conflict);
}

TEST_CASE("names and labels that no format could carry are refused", "[series]") {
    SeriesFixture it;
    for (const char* const name : {"", "1st", "with space", "line\nbreak", "\xc3\xa4"})
        CHECK(it.series.record({name, "", "", SeriesKind::gauge}, {}, 1).error().field == "/name");
    CHECK_FALSE(it.series.record({std::string(129, 'x'), "", "", SeriesKind::gauge}, {}, 1));
    CHECK_FALSE(it.series.record(test_gauge, {{"a-b", "1"}}, 1));
    CHECK_FALSE(it.series.record(test_gauge, {{"a", std::string(129, 'x')}}, 1));
    SeriesLabels many;
    for (int i = 0; i < 11; ++i) many["l" + std::to_string(i)] = "x";
    CHECK_FALSE(it.series.record(test_gauge, many, 1));
    CHECK(it.series.stats().series == 0);
}

TEST_CASE("a million label values make twenty series and an overflow that keeps the values", "[series]") {
    SeriesFixture it;
    for (int i = 0; i < 1'000'000; ++i) REQUIRE(it.series.record(test_counter, {{"user", std::to_string(i)}}, 1));
    const SeriesStats stats = it.series.stats();
    CHECK(stats.series == 21);
    CHECK(stats.overflowed == 999'980);
    CHECK(stats.bytes < 100'000);
    const auto rest = it.series.value({.name = "test.requests",
                                       .labels = {{"overflow", "true"}},
                                       .from_ms = it.series.now_ms() - 60'000,
                                       .function = increase});
    CHECK(*rest == 999'980.0);
}

TEST_CASE("a million names are refused past the limit, exactly and counted", "[series]") {
    SeriesFixture it;
    std::optional<Error> refusal;
    for (int i = 0; i < 100'000; ++i) {
        const std::string name = "name" + std::to_string(i);
        if (auto done = it.series.record({name, "", "", SeriesKind::gauge}, {}, 1); !done) refusal = done.error();
    }
    REQUIRE(refusal);
    CHECK(refusal->code == ErrorCode::exhausted);
    CHECK(it.series.stats().series == 1000);
    CHECK(it.series.stats().refused == 99'000);
    CHECK(it.series.observe(test_gauge, {}, 1)); // Pillion's own have room left
}

TEST_CASE("queries that make no sense are refused", "[series]") {
    SeriesFixture it;
    REQUIRE(it.series.observe(test_gauge, {}, 1));
    REQUIRE(it.series.observe(test_times, {}, 1));
    const auto code = [&](SeriesQuery query) { return it.series.query(query).error().field; };
    CHECK(it.series.query({.name = "none"}).error().code == ErrorCode::not_found);
    CHECK(code({.name = "test.bytes", .function = rate}) == "/function");
    CHECK(code({.name = "test.time", .function = delta}) == "/function");
    CHECK(code({.name = "test.bytes", .from_ms = 20, .to_ms = 10}) == "/from");
    CHECK(code({.name = "test.bytes", .from_ms = -1}) == "/from");
    CHECK(code({.name = "test.bytes", .step_ms = -5}) == "/step");
    CHECK(code({.name = "test.bytes", .from_ms = 1, .step_ms = 1}) == "/step"); // a point per ten minutes since 1970
    CHECK(code({.name = "test.time", .function = percentile, .percentile = 101}) == "/percentile");
    CHECK(code({.name = "test.bytes", .to_ms = std::numeric_limits<std::int64_t>::max()}) == "/from");
    CHECK(it.series.query({.name = "test.bytes", .step_ms = std::numeric_limits<std::int64_t>::max()}));
}

TEST_CASE("memory stays under its bound, and the oldest goes first", "[series]") {
    ManualClock clock;
    ManualTimers timers(clock);
    Series series({.clock = clock, .timers = timers}, {.bytes_max = 100'000});
    std::mt19937 random(5);
    for (int second = 0; second < 5000; ++second) {
        for (const char* const name : {"a", "b", "c", "d", "e", "f", "g", "h"})
            REQUIRE(series.observe({name, "", "", SeriesKind::gauge}, {}, static_cast<double>(random())));
        clock.advance_ms(1000);
    }
    CHECK(series.stats().bytes <= 100'000);
    CHECK(series.stats().dropped_blocks > 0);
    const auto recent = series.value({.name = "a", .from_ms = series.now_ms() - 30'000, .function = count});
    CHECK(*recent == 30.0);
}

TEST_CASE("a hundred series take little memory", "[series]") {
    SeriesFixture it;
    std::mt19937 random(5);
    for (int second = 0; second < 3 * 3600; ++second) {
        for (int i = 0; i < 100; ++i) {
            // A third stands still, a third counts, a third is a size that wanders.
            const std::string name = "s" + std::to_string(i);
            if (i % 3 == 0) REQUIRE(it.series.observe({name, "", "", SeriesKind::gauge}, {}, 5));
            if (i % 3 == 1) REQUIRE(it.series.observe({name, "", "", SeriesKind::counter}, {}, 9.0 * second));
            if (i % 3 == 2)
                REQUIRE(it.series.observe({name, "", "", SeriesKind::gauge}, {},
                                          1e8 + 4096.0 * static_cast<double>(random() % 1000)));
        }
        it.clock.advance_ms(1000);
        if (second % 60 == 0) it.series.flush();
    }
    INFO("bytes " << it.series.stats().bytes);
    CHECK(it.series.stats().bytes < 2'000'000);
    CHECK(it.series.stats().bytes > 100'000);
}

TEST_CASE("no client records under a name of Pillion's own, measured already or not", "[series]") {
    SeriesFixture it;
    static constexpr SeriesSpec own[] = {{"system.load", "Load.", "1", SeriesKind::gauge}};
    it.series.reserve(own);
    for (const std::string_view name : {"system.load", "pillion.anything"}) {
        const auto refused = it.series.record({name, "", "", SeriesKind::gauge}, {}, 1);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::conflict);
        CHECK(refused.error().message == "\"" + std::string(name) + "\" is measured by Pillion itself");
    }
    CHECK(it.series.record({"system.loads", "", "", SeriesKind::gauge}, {}, 1));
    CHECK(it.series.observe(own[0], {}, 0.5));
    CHECK(it.value("system.load", SeriesFunction::last, 10'000) == 0.5);
}

TEST_CASE("what is too large to be summed up is refused, so that no answer holds an infinity", "[series]") {
    SeriesFixture it;
    for (const double value : {1.7e308, 1.1e150, -1.1e150}) {
        const auto refused = it.series.record({"big", "", "", SeriesKind::gauge}, {}, value);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().field == "/value");
        CHECK(refused.error().message.find("is too large to be summed up; values are from -1e+150 to 1e+150") !=
              std::string::npos);
    }
    for (int i = 0; i < 100; ++i) REQUIRE(it.series.record({"big", "", "", SeriesKind::gauge}, {}, Series::value_max));
    CHECK(std::isfinite(*it.value("big", SeriesFunction::sum, 10'000)));
}
