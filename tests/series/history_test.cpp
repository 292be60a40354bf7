// What outlives the process, and what happens when it cannot.
#include "modules/series/series_block.h"
#include "tests/series/series_fixture.h"

#include <catch2/catch.hpp>
#include <random>

using namespace pillion;
using enum SeriesFunction;

namespace {

struct Runs {
    TemporaryFolder folder;
    ManualClock clock;
    ManualTimers timers{clock};
    std::string path = folder.path() + "/state.db";

    std::unique_ptr<Store> store() {
        auto made = std::make_unique<Store>(StoreOptions{.path = path}, clock);
        Series::add_schema(*made);
        return made;
    }
    void record(Series& series, int seconds, double value) {
        for (int i = 0; i < seconds; ++i) {
            REQUIRE(series.observe(test_gauge, {{"part", "one:two"}}, value));
            timers.advance_ms(1000);
        }
    }
    // A run of Pillion that records this for so long and ends.
    void run(int seconds, double value) {
        const auto kept = store();
        Series series({.clock = clock, .timers = timers, .store = kept.get()});
        record(series, seconds, value);
        series.stop();
        kept->stop();
    }
    std::optional<double> ask(SeriesFunction function, std::int64_t over_ms) {
        const auto kept = store();
        Series series({.clock = clock, .timers = timers, .store = kept.get()});
        const auto answer = series.query({.name = "test.bytes",
                                          .labels = {{"part", "one:two"}},
                                          .from_ms = series.now_ms() - over_ms,
                                          .step_ms = 10 * over_ms,
                                          .function = function});
        std::optional<double> value;
        if (answer && !answer->lines.empty()) value = answer->lines[0].points.at(0).value;
        series.stop();
        kept->stop();
        return value;
    }
};

} // namespace

TEST_CASE("history is there after a restart", "[series]") {
    Runs it;
    it.run(700, 5);
    it.run(300, 11);
    CHECK(it.ask(count, 7'000'000) == 1000.0);
    CHECK(*it.ask(avg, 7'000'000) == Approx((700 * 5 + 300 * 11) / 1000.0));
    it.timers.advance_ms(12 * 3'600'000);
    CHECK(it.ask(count, 20 * 3'600'000) == 1000.0);
    it.timers.advance_ms(std::int64_t{5} * 86'400'000);
    CHECK(it.ask(count, std::int64_t{10} * 86'400'000) == 1000.0);
    it.timers.advance_ms(std::int64_t{40} * 86'400'000);
    CHECK_FALSE(it.ask(count, std::int64_t{29} * 86'400'000));
}

TEST_CASE("many short runs within one bucket add up", "[series]") {
    Runs it;
    for (int i = 0; i < 20; ++i) it.run(3, 4);
    CHECK(it.ask(count, 7'000'000) == 60.0);
    CHECK(it.ask(count, 20 * 3'600'000) == 60.0);
    CHECK(it.ask(count, std::int64_t{10} * 86'400'000) == 60.0);
}

TEST_CASE("history is written once a minute while something is recorded, and not otherwise", "[series]") {
    Runs it;
    const auto kept = it.store();
    Series series({.clock = it.clock, .timers = it.timers, .store = kept.get()});
    CHECK_FALSE(kept->stats().is_open);
    it.record(series, 180, 1);
    kept->flush();
    CHECK(series.history().is_kept);
    const std::uint64_t writes = series.history().writes;
    CHECK(writes >= 2);
    CHECK(writes <= 3);
    it.timers.advance_ms(600'000);
    kept->flush();
    CHECK(series.history().writes <= writes + 1);
    series.stop();
    kept->stop();
}

TEST_CASE("nothing recorded and nothing asked opens no file", "[series]") {
    Runs it;
    const auto kept = it.store();
    {
        Series series({.clock = it.clock, .timers = it.timers, .store = kept.get()});
        it.timers.advance_ms(600'000);
        series.stop();
    }
    CHECK_FALSE(kept->stats().is_open);
}

TEST_CASE("a store that cannot be written loses history, not the running series, and says so", "[series]") {
    Runs it;
    it.path = "/proc/nowhere/state.db";
    const auto kept = it.store();
    Series series({.clock = it.clock, .timers = it.timers, .store = kept.get()});
    it.record(series, 200, 2);
    CHECK_FALSE(series.history().is_kept);
    CHECK(series.history().failures >= 1);
    CHECK_FALSE(series.history().trouble.empty());
    CHECK(series.query({.name = "test.bytes", .step_ms = 7'200'000, .function = count})->lines[0].points[0].value ==
          200);
    series.stop();
    kept->stop();
}

TEST_CASE("what a failed write left is written by the next", "[series]") {
    Runs it;
    {
        const auto kept = it.store();
        Series series({.clock = it.clock, .timers = it.timers, .store = kept.get()});
        REQUIRE(
            kept->write_and_wait([](Database& db) { return db.execute("ALTER TABLE series_block RENAME TO away"); }));
        it.record(series, 125, 2);
        kept->flush();
        CHECK(series.history().failures >= 1);
        REQUIRE(
            kept->write_and_wait([](Database& db) { return db.execute("ALTER TABLE away RENAME TO series_block"); }));
        it.record(series, 65, 2);
        kept->flush();
        CHECK(series.history().is_kept);
        series.stop();
        kept->stop();
    }
    CHECK(it.ask(count, 7'000'000) == 190.0);
}

TEST_CASE("damaged rows of history are left out", "[series]") {
    Runs it;
    it.run(700, 5);
    {
        const auto kept = it.store();
        REQUIRE(kept->write_and_wait([](Database& db) {
            return db.execute("UPDATE series_block SET bytes = x'ffffffffffffffffffffff' WHERE level = 1;"
                              "INSERT INTO series VALUES (77, 'odd', '9:broken', 1, '', '', 1, 5);"
                              "INSERT INTO series VALUES (78, 'odd', '', 9, '', '', 1, 5);"
                              "INSERT INTO series_block VALUES (77, 9, -4, x'00'), (78, 1, 999999999999, x'00')");
        }));
        kept->stop();
    }
    CHECK_FALSE(it.ask(count, 7'000'000));
    CHECK(it.ask(count, 20 * 3'600'000) == 700.0); // the coarser resolution is whole
}

TEST_CASE("a clock set back between two runs leaves nothing in the future", "[series]") {
    Runs it;
    it.run(700, 5);
    it.clock.jump_wall_ms(-86'400'000);
    it.run(60, 1);
    CHECK(it.ask(count, 7'000'000) == 60.0);
}

TEST_CASE("random bytes are never a block, and blocks come back as they were", "[series]") {
    std::mt19937_64 random(11);
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes(random() % 64, '\0');
        for (char& c : bytes) c = static_cast<char>(random());
        std::vector<SeriesBucket> buckets;
        decode_block(static_cast<std::int64_t>(random() % 1'000'000), 60, bytes, buckets);
        for (const SeriesBucket& bucket : buckets) CHECK(std::isfinite(bucket.last));
    }
    SeriesBlock block(100);
    std::vector<SeriesBucket> written, read;
    for (std::int64_t index = 6000; index < 6060; index += 1 + static_cast<std::int64_t>(random() % 3)) {
        SeriesBucket bucket{
            .index = index, .min = -5, .max = 1e18, .sum = 7.5e300, .last = 3, .count = random(), .covered_ms = 1000};
        bucket.cells = {{0, 1}, {70'000, random()}};
        written.push_back(bucket);
        block.append(bucket, 60);
    }
    REQUIRE(decode_block(100, 60, block.bytes, read));
    REQUIRE(read.size() == written.size());
    for (std::size_t i = 0; i < read.size(); ++i) {
        CHECK(read[i].index == written[i].index);
        CHECK(read[i].count == written[i].count);
        CHECK(read[i].sum == written[i].sum);
        CHECK(read[i].max == Approx(written[i].max));
        CHECK(read[i].cells == written[i].cells);
    }
}

TEST_CASE("a process that is killed loses a minute, in every resolution", "[series]") {
    Runs it;
    it.run(300, 4); // ends well in the midst of a bucket of ten minutes
    {
        const auto kept = it.store();
        Series killed({.clock = it.clock, .timers = it.timers, .store = kept.get()});
        it.record(killed, 1500, 4);
        kept->stop(); // nothing more reaches the file
    }
    for (const std::int64_t over_ms : {7'000'000LL, 20 * 3'600'000LL, 10 * 86'400'000LL}) {
        CAPTURE(over_ms);
        const auto count_kept = it.ask(count, over_ms);
        REQUIRE(count_kept);
        CHECK(*count_kept >= 1800 - 70);
        CHECK(*count_kept <= 1800);
        CHECK(it.ask(sum, over_ms) == 4 * *count_kept);
    }
    it.run(1, 4); // what was made up is kept by now
    it.timers.advance_ms(30 * 3'600'000);
    CHECK(*it.ask(count, std::int64_t{10} * 86'400'000) >= 1800 - 70);
}
