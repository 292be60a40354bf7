#include "modules/benchmarks/benchmark_measure.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace pillion;

namespace {

// Takes as long as it is told, on a clock that nothing else moves.
class FakeCase final : public BenchmarkCase {
  public:
    FakeCase(ManualClock& clock, std::vector<std::int64_t> durations_ms, std::string& order, char name)
        : clock_(clock), durations_ms_(std::move(durations_ms)), order_(order), name_(name) {}
    Result<double> operate() override {
        if (durations_ms_.empty()) return fail(ErrorCode::unavailable, "it is broken");
        const std::int64_t ms = durations_ms_[count_++ % durations_ms_.size()];
        clock_.advance_ms(ms);
        order_ += name_;
        return static_cast<double>(ms) * 1e6;
    }

  private:
    ManualClock& clock_;
    const std::vector<std::int64_t> durations_ms_;
    std::string& order_;
    const char name_;
    std::size_t count_ = 0;
};

struct Fixture {
    ManualClock clock;
    std::string order;
    BenchmarkControl control;
    BenchmarkSettings settings{.runs = 10, .runsMax = 20, .warmupMs = 0, .timeMs = 1'000'000};
    MachineActivity activity{};
    std::vector<BenchmarkSubject> subjects;

    void add(char name, std::vector<std::int64_t> durations_ms) {
        subjects.push_back(
            {std::string(1, name), "fake", std::make_unique<FakeCase>(clock, std::move(durations_ms), order, name)});
    }
    Result<std::vector<BenchmarkResult>> measure() {
        return measure_benchmarks(std::move(subjects), settings,
                                  {.clock = clock, .activity = [this] { return activity; }, .control = control});
    }
};

} // namespace

TEST_CASE("runs of different benchmarks take turns", "[benchmarks]") {
    Fixture fixture;
    fixture.add('a', {10});
    fixture.add('b', {10});
    const auto results = fixture.measure();
    REQUIRE(results);
    CHECK(fixture.order.starts_with("abababab"));
}

TEST_CASE("a benchmark is done when its median is known, or at the most runs", "[benchmarks]") {
    Fixture fixture;
    fixture.add('a', {10});
    fixture.add('b', {10, 30, 20, 50, 40});
    const auto results = fixture.measure();
    REQUIRE(results);
    CHECK(results->at(0).runs == 10);
    CHECK(results->at(1).runs == 20);
    CHECK(results->at(1).p50Ns == 30e6);
    CHECK(results->at(1).maxNs == 50e6);
    REQUIRE(results->at(1).p50IntervalNs);
    CHECK(results->at(1).p50IntervalNs->low <= 30e6);
    CHECK(results->at(1).p50IntervalNs->high >= 30e6);
}

TEST_CASE("time past its limit ends a benchmark at the least runs, and ten times that at any", "[benchmarks]") {
    Fixture fixture;
    fixture.settings.timeMs = 50;
    fixture.add('a', {10, 30, 20, 50, 40});
    fixture.add('b', {100});
    const auto results = fixture.measure();
    REQUIRE(results);
    CHECK(results->at(0).runs == 10);
    CHECK(results->at(1).runs == 5);
}

TEST_CASE("short operations share a run, whose sample is their median", "[benchmarks]") {
    Fixture fixture;
    fixture.add('a', {1, 1, 2, 1, 5});
    const auto results = fixture.measure();
    REQUIRE(results);
    CHECK(results->at(0).operations > results->at(0).runs * 4);
    CHECK(results->at(0).samples.at(0) == 1e6);
}

TEST_CASE("a benchmark that fails says why, and the others go on", "[benchmarks]") {
    Fixture fixture;
    fixture.add('a', {});
    fixture.add('b', {10});
    const auto results = fixture.measure();
    REQUIRE(results);
    CHECK(results->at(0).error == "it is broken");
    CHECK(results->at(0).runs == 0);
    CHECK_FALSE(results->at(1).error);
}

TEST_CASE("a cancelled measurement ends at once", "[benchmarks]") {
    Fixture fixture;
    fixture.add('a', {10});
    fixture.control.is_cancelled = [&fixture] { return fixture.order.size() >= 3; };
    const auto results = fixture.measure();
    REQUIRE_FALSE(results);
    CHECK(results.error().code == ErrorCode::cancelled);
    CHECK(fixture.order.size() == 3);
}

TEST_CASE("progress grows from nothing to nearly everything", "[benchmarks]") {
    Fixture fixture;
    std::vector<double> told;
    fixture.control.progress = [&told](double percentage, std::string_view) { told.push_back(percentage); };
    fixture.add('a', {300, 100, 200});
    REQUIRE(fixture.measure());
    REQUIRE(told.size() > 5);
    CHECK(std::is_sorted(told.begin(), told.end()));
    CHECK(told.front() == 0);
    CHECK(told.back() > 50);
    CHECK(told.back() < 100);
}

TEST_CASE("noise is named, and a quiet machine has none", "[benchmarks]") {
    std::vector<double> quiet;
    for (int index = 0; index < 30; ++index) quiet.push_back(1000 + index * 7 % 11);
    CHECK(noise_of(quiet, 5, 0, 3000, 3100).empty());
    CHECK(noise_of(quiet, 40, 0, 0, 0).at(0).find("tasks waited 40 %") != std::string::npos);
    CHECK(noise_of(quiet, 0, 9, 0, 0).at(0).find("host took 9 %") != std::string::npos);
    CHECK(noise_of(quiet, 0, 0, 1000, 3000).at(0).find("from 1000 to 3000 MHz") != std::string::npos);
    std::vector<double> far_out = quiet;
    for (std::size_t index = 0; index < 30; index += 6) far_out[index] *= 3;
    CHECK(noise_of(far_out, 0, 0, 0, 0).empty()); // ranks bear that
    for (std::size_t index = 2; index < 30; index += 6) far_out[index] *= 3;
    CHECK(noise_of(far_out, 0, 0, 0, 0).at(0).find("stand far out") != std::string::npos);
    std::vector<double> drifting = quiet;
    for (std::size_t index = 15; index < 30; ++index) drifting[index] *= 1.2;
    CHECK(noise_of(drifting, 0, 0, 0, 0).at(0).find("slower than the first") != std::string::npos);
}

TEST_CASE("what differs between runs widens the interval of a percentile", "[benchmarks]") {
    const std::vector<std::vector<double>> alike(20, std::vector<double>{10, 11, 12, 13, 14});
    std::vector<std::vector<double>> different;
    for (int run = 0; run < 20; ++run) different.push_back(std::vector<double>(5, 10 + run % 5));
    const auto narrow = percentiles_of(alike, Intervals::wanted).p50_interval;
    const auto wide = percentiles_of(different, Intervals::wanted).p50_interval;
    REQUIRE(narrow);
    REQUIRE(wide);
    CHECK(narrow->high - narrow->low < wide->high - wide->low);
    CHECK_FALSE(percentiles_of({{1, 2}, {3}}, Intervals::wanted).p50_interval);
}
