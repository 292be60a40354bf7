#include "modules/statistics/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

using namespace pillion;
using namespace pillion::statistics;

namespace {

std::vector<double> times(std::size_t count) {
    std::vector<double> all(count);
    std::iota(all.begin(), all.end(), 0.0);
    return all;
}

// Each value keeps `memory` of the one before.
std::vector<double> noise(std::size_t count, double memory, unsigned seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> draw;
    std::vector<double> values(count);
    double value = 0;
    for (double& each : values) each = value = memory * value + draw(random);
    return values;
}

} // namespace

TEST_CASE("a straight line has its slope, and outliers do not turn it", "[statistics]") {
    std::vector<double> values;
    for (const double time : times(50)) values.push_back(3 * time + 7);
    values[10] = 5000;
    values[40] = -9000;
    const Trend found = trend(times(50), values).value();
    CHECK(found.slope == Approx(3));
    CHECK(found.line(0) == Approx(7));
    CHECK(found.probability < 1e-9);
    CHECK(found.slope_interval.low <= 3);
    CHECK(found.slope_interval.high >= 3);
}

TEST_CASE("the test of a trend is exact for few values", "[statistics]") {
    // One order of eight rises throughout.
    CHECK(trend(times(8), times(8)).value().probability == Approx(2.0 / 40320).epsilon(0.01));
    CHECK(trend(times(8), std::vector<double>(8, 4.0)).value().probability == 1);
    CHECK(trend(times(8), std::vector<double>(8, 4.0)).value().slope == 0);
}

TEST_CASE("noise has no trend more often than was asked, correlated or not", "[statistics]") {
    int white = 0;
    int correlated = 0;
    for (unsigned seed = 0; seed < 400; ++seed) {
        white += trend(times(60), noise(60, 0, seed)).value().probability < 0.05;
        correlated += trend(times(120), noise(120, 0.5, seed)).value().probability < 0.05;
    }
    CHECK(white <= 30);
    CHECK(correlated <= 50);
}

TEST_CASE("a trend needs times that ascend and values that are numbers", "[statistics]") {
    CHECK(trend(times(7), times(7)).error().code == ErrorCode::failed_precondition);
    CHECK_FALSE(trend(times(9), times(8)));
    CHECK_FALSE(trend(std::vector<double>(8, 1.0), times(8)));
    std::vector<double> values = times(8);
    values[3] = std::numeric_limits<double>::quiet_NaN();
    CHECK_FALSE(trend(times(8), values));
}

TEST_CASE("many values are thinned and keep their slope", "[statistics]") {
    std::vector<double> values = noise(20'000, 0, 1);
    for (std::size_t index = 0; index < values.size(); ++index) values[index] += 0.01 * static_cast<double>(index);
    CHECK(trend(times(values.size()), values).value().slope == Approx(0.01).epsilon(0.02));
}

TEST_CASE("a season is taken apart from the level and from outliers", "[statistics]") {
    std::vector<double> values = noise(240, 0, 3);
    for (std::size_t index = 0; index < values.size(); ++index)
        values[index] = 100 + 20 * std::sin(static_cast<double>(index) * 2 * 3.14159265 / 24) + values[index];
    values[100] += 200;
    const Seasons seasons = decompose(values, 24).value();
    CHECK(seasons.strength > 0.9);
    CHECK(seasons.rest[100] > 150);
    CHECK(seasons.season[6] == Approx(20).margin(2.5));
    CHECK(seasons.season[18] == Approx(-20).margin(2.5));
    CHECK(decompose(noise(240, 0, 4), 24).value().strength < 0.4);
    CHECK_FALSE(decompose(values, 1));
    CHECK_FALSE(decompose(values, 100));
}

TEST_CASE("smoothing follows, and refuses weights that are none", "[statistics]") {
    const std::vector<double> means = smoothed(std::vector<double>{0, 10, 10}, 0.5).value();
    CHECK(means == std::vector<double>{0, 5, 7.5});
    CHECK_FALSE(smoothed(std::vector<double>{1}, 0));
    CHECK_FALSE(smoothed(std::vector<double>{1}, std::numeric_limits<double>::quiet_NaN()));
}

TEST_CASE("correlated noise has no changes, and a change is not taken for correlation", "[statistics]") {
    int wrong = 0;
    int found = 0;
    for (unsigned seed = 0; seed < 100; ++seed) {
        std::vector<double> values = noise(300, 0.8, seed);
        for (double& value : values) value = 100 + 10 * value;
        wrong += !change_points(values).value().empty();
        values = noise(40, 0, seed);
        for (std::size_t index = 0; index < values.size(); ++index)
            values[index] = (100 + 3 * values[index]) * (index < 25 ? 1 : 1.1);
        const auto changes = change_points(values).value();
        found += changes.size() == 1 && changes[0].index >= 23 && changes[0].index <= 27;
    }
    CHECK(wrong <= 5);
    CHECK(found >= 90);
}
