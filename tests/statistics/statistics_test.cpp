#include "modules/statistics/statistics.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

using namespace pillion;
using namespace pillion::statistics;

namespace {

std::vector<double> normal(std::size_t count, double center, double deviation, unsigned seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> draw(center, deviation);
    std::vector<double> values(count);
    for (double& value : values) value = draw(random);
    return values;
}

} // namespace

TEST_CASE("a median, a quantile and a deviation are those of the values", "[statistics]") {
    const std::vector<double> values{5, 1, 4, 2, 3};
    CHECK(median(values).value() == 3);
    CHECK(mean(values).value() == Approx(3));
    CHECK(median(std::vector<double>{4, 1}).value() == 2.5);
    CHECK(quantile(values, 0.25).value() == 2);
    CHECK(quantile(values, 0).value() == 1);
    CHECK(quantile(values, 1).value() == 5);
    CHECK(median_absolute_deviation(values).value() == Approx(1.4826));
    CHECK(robust_z(10, std::vector<double>{10, 10, 10}).value() == 0);
    CHECK(robust_z(12, std::vector<double>{10, 10, 10}, 1).value() == 2);
}

TEST_CASE("what is not a number, or too little, is refused with what was wrong", "[statistics]") {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    CHECK(median({}).error().message == "a median needs at least 1 values, not 0");
    CHECK(median(std::vector<double>{1, nan}).error().message ==
          "a median needs finite values up to 1e150; that at index 1 is nan");
    CHECK(median(std::vector<double>{infinity}).error().code == ErrorCode::invalid_params);
    CHECK(median(std::vector<double>{1e200}).error().message ==
          "a median needs finite values up to 1e150; that at index 0 is larger");
    CHECK_FALSE(quantile(std::vector<double>{1}, 1.5));
    CHECK_FALSE(quantile(std::vector<double>{1}, nan));
    CHECK_FALSE(robust_z(nan, std::vector<double>{1}));
    CHECK_FALSE(mann_whitney({}, std::vector<double>{1}));
    CHECK_FALSE(hodges_lehmann(std::vector<double>{1}, std::vector<double>{nan}));
    CHECK_FALSE(hodges_lehmann(std::vector<double>{1}, std::vector<double>{1}, 1));
    CHECK(compare(std::vector<double>{1, 2, 3, 4}, std::vector<double>{1, 2, 3, 4, 5}).error().code ==
          ErrorCode::failed_precondition);
    CHECK_FALSE(compare(std::vector<double>(5, 1.0), std::vector<double>(5, 1.0), nan));
    CHECK_FALSE(bootstrap_quantile(std::vector<double>{1}, 0.5));
    CHECK_FALSE(bootstrap_quantile(std::vector<double>{1, 2}, 0.5, {.rounds = 10}));
    CHECK_FALSE(change_points(std::vector<double>(9, 1.0)));
}

TEST_CASE("few values have no interval of a far quantile", "[statistics]") {
    const std::vector<double> values = normal(30, 0, 1, 1);
    CHECK(quantile_interval(values, 0.99).error().code == ErrorCode::failed_precondition);
    const Estimate middle = quantile_interval(values, 0.5).value();
    CHECK(middle.interval.low < middle.value);
    CHECK(middle.interval.high > middle.value);
}

TEST_CASE("the interval of a quantile holds it as often as it says", "[statistics]") {
    int exact = 0;
    int bootstrapped = 0;
    for (unsigned seed = 0; seed < 1000; ++seed) {
        const std::vector<double> values = normal(60, 0, 1, seed);
        const Interval a = quantile_interval(values, 0.8).value().interval;
        const Interval b = bootstrap_quantile(values, 0.8, {.rounds = 400, .seed = seed}).value().interval;
        const double truth = 0.8416;
        exact += a.low <= truth && truth <= a.high;
        bootstrapped += b.low <= truth && truth <= b.high;
    }
    CHECK(exact >= 945);
    CHECK(bootstrapped >= 915);
}

TEST_CASE("a rank test of few values is exact", "[statistics]") {
    const std::vector<double> low{1, 2, 3, 4, 5};
    const std::vector<double> high{6, 7, 8, 9, 10};
    CHECK(mann_whitney(low, high, Alternative::greater).value().probability == Approx(1.0 / 252));
    CHECK(mann_whitney(low, high, Alternative::less).value().probability == Approx(1));
    CHECK(mann_whitney(low, high).value().probability == Approx(2.0 / 252));
    CHECK(mann_whitney(low, high).value().u == 25);
    CHECK(mann_whitney(low, high).value().superiority == 1);
    // What R's wilcox.test says of these.
    const std::vector<double> x{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46};
    const std::vector<double> y{1.15, 0.88, 0.90, 0.74, 1.21};
    CHECK(mann_whitney(y, x, Alternative::greater).value().u == 35);
    CHECK(mann_whitney(y, x, Alternative::greater).value().probability == Approx(0.1272).margin(1e-4));
}

TEST_CASE("a shift lies in its interval, and is exact for equal steps", "[statistics]") {
    const std::vector<double> before{1, 2, 3, 4, 5, 6, 7, 8};
    std::vector<double> after;
    for (const double value : before) after.push_back(value + 5);
    const Estimate shift = hodges_lehmann(before, after).value();
    CHECK(shift.value == 5);
    CHECK(shift.interval.low < 5);
    CHECK(shift.interval.high > 5);
    int held = 0;
    for (unsigned seed = 0; seed < 400; ++seed) {
        const Interval interval =
            hodges_lehmann(normal(40, 10, 2, seed), normal(50, 11, 2, seed + 1000)).value().interval;
        held += interval.low <= 1 && 1 <= interval.high;
    }
    CHECK(held >= 368);
    CHECK(held <= 393);
}

TEST_CASE("a comparison tells what rose, fell, stayed and what cannot be told", "[statistics]") {
    const std::vector<double> before = normal(30, 100, 5, 1);
    CHECK(compare(before, normal(30, 115, 5, 2)).value().change == Change::higher);
    CHECK(compare(before, normal(30, 85, 5, 2)).value().change == Change::lower);
    CHECK(compare(before, before).value().change == Change::same);
    CHECK(compare(normal(200, 100, 1, 3), normal(200, 101, 1, 4)).value().change == Change::same);
    CHECK(compare(normal(6, 100, 30, 5), normal(6, 105, 30, 6)).value().change == Change::undecided);
    CHECK(compare(std::vector<double>(10, 0.0), std::vector<double>(10, 0.0)).value().change == Change::same);
    CHECK(compare(std::vector<double>(10, 0.0), std::vector<double>(10, 1.0)).value().change == Change::higher);
    CHECK(name_of(Change::higher) == "higher");
}

TEST_CASE("a bootstrap with the same seed gives the same", "[statistics]") {
    const std::vector<double> values = normal(50, 10, 1, 7);
    const Estimate one = bootstrap_quantile(values, 0.95).value();
    const Estimate two = bootstrap_quantile(values, 0.95).value();
    CHECK(one.interval.low == two.interval.low);
    CHECK(one.interval.high == two.interval.high);
    CHECK(one.interval.low <= one.value);
    CHECK(one.value <= one.interval.high);
    const Estimate shift = bootstrap_quantile_shift(values, normal(50, 14, 1, 8), 0.5).value();
    CHECK(shift.interval.low > 3);
    CHECK(shift.interval.high < 5);
}

TEST_CASE("a step is found where it is, and outliers are none", "[statistics]") {
    std::vector<double> values = normal(100, 10, 1, 11);
    const std::vector<double> later = normal(60, 13, 1, 12);
    values.insert(values.end(), later.begin(), later.end());
    values[20] = 500;
    values[130] = -300;
    const auto changes = change_points(values).value();
    REQUIRE(changes.size() == 1);
    CHECK(changes[0].index >= 97);
    CHECK(changes[0].index <= 103);
    CHECK(changes[0].shift == Approx(3).margin(0.6));
    CHECK(change_points(normal(200, 10, 1, 13)).value().empty());
    CHECK(change_points(std::vector<double>(50, 3.0)).value().empty());
}

TEST_CASE("a stretch that comes and goes has two changes", "[statistics]") {
    std::vector<double> values = normal(120, 10, 1, 21);
    for (std::size_t index = 50; index < 75; ++index) values[index] += 4;
    const auto changes = change_points(values).value();
    REQUIRE(changes.size() == 2);
    CHECK(std::abs(static_cast<int>(changes[0].index) - 50) <= 2);
    CHECK(std::abs(static_cast<int>(changes[1].index) - 75) <= 2);
}

TEST_CASE("a change below the minimum effect is passed over", "[statistics]") {
    std::vector<double> values = normal(100, 1000, 1, 31);
    for (std::size_t index = 50; index < 100; ++index) values[index] += 5;
    CHECK(change_points(values).value().empty());
    CHECK(change_points(values, {.minimum_effect = 0.001}).value().size() == 1);
}

TEST_CASE("errors are shared out between the directions as asked", "[statistics]") {
    const std::vector<double> before{10, 11, 12, 13, 14, 15, 16, 17};
    std::vector<double> after{11.5, 12.5, 13.5, 15.5, 16.5, 17.5, 18.5, 19.5};
    const auto even = compare(before, after).value();
    const auto upwards = compare(before, after, Compare{.higher_share = 0.8}).value();
    CHECK(even.probability == Approx(even.test.probability));
    CHECK(upwards.probability == Approx(even.probability / 2 / 0.8));
    CHECK(upwards.test.probability == even.test.probability);
    for (const double share : {0.0, 1.0, -1.0, std::numeric_limits<double>::quiet_NaN()})
        CHECK_FALSE(compare(before, after, Compare{.higher_share = share}));
}

TEST_CASE("runs that resemble the ones before them count for less", "[statistics]") {
    std::vector<double> before;
    std::vector<double> after;
    for (int index = 0; index < 30; ++index) {
        before.push_back(100 + 5 * std::sin(index * 0.3) + 0.01 * index);
        after.push_back(103 + 5 * std::sin(index * 0.3 + 1) + 0.01 * index);
    }
    const auto plain = compare(before, after).value();
    const auto corrected = compare(before, after, Compare{.correlation = Correlation::corrected}).value();
    CHECK(corrected.probability > plain.probability);
    CHECK(corrected.shift.interval.high - corrected.shift.interval.low >
          plain.shift.interval.high - plain.shift.interval.low);
    CHECK(corrected.shift.value == plain.shift.value);
}

TEST_CASE("the exact test knows all arrangements of thirty and thirty", "[statistics]") {
    std::vector<double> low;
    std::vector<double> high;
    for (int index = 0; index < 30; ++index) {
        low.push_back(index);
        high.push_back(index + 100);
    }
    // One of 60! / (30! 30!) arrangements on either side.
    CHECK(mann_whitney(low, high).value().probability == Approx(2 / 1.18264581564861424e17).epsilon(1e-9));
    CHECK(mann_whitney(low, high, Alternative::less).value().probability == Approx(1));
}
