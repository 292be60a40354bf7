#include "ipc/base/metric.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace pillion;

namespace {

const Counter shared_counter{"test.shared", "Counted by several threads", "{count}"};
const Counter other_counter{"test.other", "Counted beside it", "{count}"};

double error_of(std::uint64_t reported, std::uint64_t recorded) {
    return std::fabs(static_cast<double>(reported) - static_cast<double>(recorded)) / static_cast<double>(recorded);
}

} // namespace

// The least and the largest were reported as the ends of their buckets: up to 1.6 % off.
TEST_CASE("a histogram reports any value from 1 to 2^42 within 1 %", "[metric]") {
    double worst = 0;
    const auto check = [&worst](std::uint64_t value) {
        Histogram histogram;
        histogram.record(value);
        const HistogramSummary summary = histogram.summary();
        for (const std::uint64_t reported : {summary.min, summary.max, summary.p50, summary.p95, summary.p99})
            worst = std::max(worst, error_of(reported, value));
    };
    for (std::uint64_t value = 1; value < 600; ++value) check(value);
    for (unsigned bit = 9; bit < 42; ++bit)
        for (const std::uint64_t offset : {-1, 0, 1}) check((std::uint64_t{1} << bit) + offset);
    std::mt19937_64 random(1);
    for (int round = 0; round < 300; ++round) check(1 + (random() >> 22 >> random() % 40));
    check(Histogram::value_max);
    CHECK(worst <= 0.01);
}

TEST_CASE("buckets follow each other without gap or overlap", "[metric]") {
    for (std::size_t bucket = 0; bucket < Histogram::buckets; ++bucket) {
        REQUIRE(Histogram::bucket_of(Histogram::lowest_of(bucket)) == bucket);
        REQUIRE(Histogram::lowest_of(bucket) < Histogram::lowest_of(bucket + 1));
        REQUIRE(Histogram::bucket_of(Histogram::lowest_of(bucket + 1) - 1) == bucket);
    }
    CHECK(Histogram::bucket_of(Histogram::value_max) == Histogram::buckets - 1);
}

TEST_CASE("percentiles of known values are right", "[metric]") {
    Histogram histogram;
    for (std::uint64_t value = 1; value <= 100; ++value) histogram.record(value);
    CHECK(histogram.count() == 100);
    CHECK(histogram.percentile(0) == 1);
    CHECK(histogram.percentile(0.01) == 1);
    CHECK(histogram.percentile(0.02) == 2);
    CHECK(histogram.percentile(0.5) == 50);
    CHECK(histogram.percentile(0.95) == 95);
    CHECK(histogram.percentile(0.99) == 99);
    CHECK(histogram.percentile(0.991) == 100);
    CHECK(histogram.percentile(1) == 100);
    const HistogramSummary summary = histogram.summary();
    CHECK(summary.min == 1);
    CHECK(summary.max == 100);
    CHECK(summary.sum == 5050);
    CHECK(summary.mean() == 50.5);
}

TEST_CASE("percentiles of large samples are within 1 % of the exact ones", "[metric]") {
    std::mt19937_64 random(9);
    std::lognormal_distribution<double> latency(11, 1.2);
    Histogram histogram;
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 20'000; ++i) {
        values.push_back(static_cast<std::uint64_t>(latency(random)) + 1);
        histogram.record(values.back());
    }
    std::sort(values.begin(), values.end());
    for (const double share : {0.01, 0.5, 0.9, 0.95, 0.99, 0.999})
        CHECK(error_of(histogram.percentile(share), values[static_cast<std::size_t>(std::ceil(share * 20'000)) - 1]) <=
              0.01);
}

TEST_CASE("an empty histogram reports nothing", "[metric]") {
    Histogram histogram;
    CHECK(histogram.count() == 0);
    CHECK(histogram.percentile(0.5) == 0);
    CHECK(histogram.summary().count == 0);
    CHECK(histogram.summary().mean() == 0);
    int visits = 0;
    histogram.visit([&](auto, auto, auto) { ++visits; });
    CHECK(visits == 0);
    histogram.reset();
    histogram.merge(Histogram{});
    CHECK(histogram.count() == 0);
}

TEST_CASE("values over the largest count as the largest, and zero counts", "[metric]") {
    Histogram histogram;
    histogram.record(~std::uint64_t{0});
    histogram.record(0);
    CHECK(histogram.summary().min == 0);
    CHECK(error_of(histogram.summary().max, Histogram::value_max) <= 0.01);
    CHECK(histogram.summary().sum == Histogram::value_max);
}

TEST_CASE("merging adds and resetting empties", "[metric]") {
    Histogram a, b;
    a.record(1);
    b.record(2);
    b.record(3);
    a.merge(b);
    CHECK(a.summary().count == 3);
    CHECK(a.summary().sum == 6);
    CHECK(b.summary().count == 2);
    a.reset();
    CHECK(a.count() == 0);
    CHECK(a.summary().sum == 0);
    a.merge(b);
    CHECK(a.summary().max == 3);
}

TEST_CASE("a histogram loses no record of several threads", "[metric]") {
    Histogram histogram;
    std::vector<std::thread> threads;
    for (std::uint64_t thread = 0; thread < 4; ++thread)
        threads.emplace_back([&histogram, thread] {
            for (std::uint64_t i = 0; i < 5000; ++i) histogram.record(thread * 1000 + i % 10);
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(histogram.count() == 20'000);
}

TEST_CASE("a counter sums living and ended threads", "[metric]") {
    const std::uint64_t before = shared_counter.value();
    const std::uint64_t other_before = other_counter.value();
    shared_counter.add();
    shared_counter.add(9);
    for (int round = 0; round < 3; ++round) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([] {
                for (int n = 0; n < 1000; ++n) shared_counter.add();
                other_counter.add(2);
            });
        for (std::thread& thread : threads) thread.join();
    }
    CHECK(shared_counter.value() - before == 12'010);
    CHECK(other_counter.value() - other_before == 24);
}

TEST_CASE("a counter can be read while others count", "[metric]") {
    const std::uint64_t before = shared_counter.value();
    std::thread thread([] {
        for (int n = 0; n < 20'000; ++n) shared_counter.add();
    });
    std::uint64_t last = before;
    bool went_back = false;
    for (int n = 0; n < 200; ++n) {
        const std::uint64_t now = shared_counter.value();
        went_back = went_back || now < last;
        last = now;
    }
    thread.join();
    CHECK_FALSE(went_back);
    CHECK(shared_counter.value() - before == 20'000);
}

TEST_CASE("all counters can be listed", "[metric]") {
    int found = 0;
    for (const Counter* counter = Counter::first(); counter != nullptr; counter = counter->next())
        found += counter->name.starts_with("test.");
    CHECK(found == 2);
}
