#include "modules/analysis/analysis.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

using namespace pillion;

namespace {

// A point a minute for six hours.
std::vector<SeriesPoint> minutes(const std::function<double(std::mt19937_64&)>& draw, unsigned seed) {
    std::mt19937_64 random(seed);
    std::vector<SeriesPoint> points;
    for (int index = 0; index < 360; ++index) points.push_back({1'700'000'000'000 + index * 60'000, draw(random)});
    return points;
}

double normal(std::mt19937_64& random) { return 100 + 5 * std::normal_distribution<double>()(random); }
double student(std::mt19937_64& random) { return 100 + 5 * std::student_t_distribution<double>(3)(random); }

std::vector<std::size_t> indices(const std::vector<SeriesPoint>& points) {
    std::vector<std::size_t> found;
    const std::vector<AnomalyPoint> anomalies = find_anomalies(points).value();
    for (const AnomalyPoint& point : anomalies) found.push_back(point.index);
    return found;
}

} // namespace

TEST_CASE("a value far off the few that a metric takes is an anomaly", "[analysis]") {
    std::vector<SeriesPoint> points;
    std::mt19937_64 random(11);
    std::normal_distribution<double> normal;
    for (int index = 0; index < 300; ++index)
        points.push_back({1'700'000'000'000 + index * 60'000, std::clamp(std::round(3 + normal(random)), 1.0, 5.0)});
    CHECK(find_anomalies(points).value().empty());
    points[120].value = 18;
    const auto found = find_anomalies(points).value();
    REQUIRE(found.size() == 1);
    CHECK(found[0].index == 120);
}

TEST_CASE("what stands ten deviations out of normal noise is found in most series", "[anomalies]") {
    int found = 0;
    for (unsigned seed = 0; seed < 50; ++seed) {
        auto points = minutes(normal, seed);
        points[200].value = 150;
        found += indices(points) == std::vector<std::size_t>{200};
    }
    CHECK(found >= 38);
}

TEST_CASE("several anomalies do not hide each other", "[anomalies]") {
    auto points = minutes(normal, 1);
    for (const std::size_t index : {57U, 150U, 151U, 290U}) points[index].value += 75;
    CHECK(indices(points) == std::vector<std::size_t>{57, 150, 151, 290});
    points[20].value -= 75;
    CHECK(indices(points) == std::vector<std::size_t>{20, 57, 150, 151, 290});
}

TEST_CASE("noise is no anomaly, whatever its tails", "[anomalies]") {
    const auto pareto = [](std::mt19937_64& random) {
        return 20 * std::pow(1 - std::uniform_real_distribution<double>()(random), -1 / 3.0);
    };
    int alarms = 0;
    for (unsigned seed = 0; seed < 30; ++seed) {
        CHECK(indices(minutes(normal, seed)).empty());
        alarms += !indices(minutes(student, seed)).empty();
        alarms += !indices(minutes(pareto, seed)).empty();
    }
    CHECK(alarms <= 3);
}

TEST_CASE("one other value among equal ones is an anomaly, a rare state of a count is not", "[anomalies]") {
    auto points = minutes([](auto&) { return 0.37; }, 1);
    CHECK(indices(points).empty());
    points[100].value = 0.9;
    CHECK(indices(points) == std::vector<std::size_t>{100});
    const auto rare = [](std::mt19937_64& random) { return random() % 100 == 0 ? 1.0 : 0.0; };
    for (unsigned seed = 0; seed < 20; ++seed) CHECK(indices(minutes(rare, seed)).empty());
}

TEST_CASE("anomalies are refused of what is no number and of too few points", "[anomalies]") {
    auto points = minutes(normal, 1);
    points[7].value = std::numeric_limits<double>::quiet_NaN();
    CHECK(find_anomalies(points).error().code == ErrorCode::invalid_params);
    points.resize(anomaly_points_min - 1);
    CHECK_FALSE(find_anomalies(points));
    CHECK_FALSE(find_anomalies({}));
}
