#include "modules/benchmarks/benchmarks.h"

#include <catch2/catch.hpp>
#include <random>

using namespace pillion;
using enum BenchmarkVerdict;

namespace {

// Latencies as they are: skewed, and now and then much longer.
std::vector<double> latencies(std::mt19937_64& random, std::size_t count, double factor = 1) {
    std::lognormal_distribution<double> usual(std::log(100'000.0), 0.05);
    std::bernoulli_distribution is_long(0.03);
    std::vector<double> samples;
    for (std::size_t index = 0; index < count; ++index)
        samples.push_back(usual(random) * factor * (is_long(random) ? 4 : 1));
    return samples;
}

BenchmarkRun run_of(std::vector<double> samples, const std::string& name = "ipc.ping") {
    BenchmarkRun run;
    run.machine.fingerprint = "m";
    run.results.push_back({.name = name, .suite = "ipc", .samples = std::move(samples)});
    return run;
}

BenchmarkVerdict verdict(const BenchmarkRun& before, const BenchmarkRun& after) {
    return compare_benchmarks(before, after).verdict;
}

} // namespace

TEST_CASE("a slowdown of 10 % is found with 30 runs, and none where there is none", "[benchmarks]") {
    constexpr int trials = 400;
    std::mt19937_64 random(20);
    int found = 0;
    int false_alarms = 0;
    int unclear_ones = 0;
    for (int trial = 0; trial < trials; ++trial) {
        const BenchmarkRun before = run_of(latencies(random, 30));
        found += verdict(before, run_of(latencies(random, 30, 1.10))) == slower ? 1 : 0;
        const BenchmarkVerdict unchanged = verdict(before, run_of(latencies(random, 30)));
        false_alarms += unchanged == slower ? 1 : 0;
        unclear_ones += unchanged == unclear ? 1 : 0;
    }
    CHECK(found >= trials * 95 / 100);
    CHECK(false_alarms < trials * 5 / 100);
    CHECK(unclear_ones < trials * 5 / 100);
}

TEST_CASE("many benchmarks at once raise no more false alarms than one", "[benchmarks]") {
    constexpr int trials = 60;
    std::mt19937_64 random(21);
    int false_alarms = 0;
    for (int trial = 0; trial < trials; ++trial) {
        BenchmarkRun before = run_of({});
        BenchmarkRun after = run_of({});
        before.results.clear();
        after.results.clear();
        for (int index = 0; index < 20; ++index) {
            const std::string name = std::to_string(index);
            before.results.push_back({.name = name, .suite = "x", .samples = latencies(random, 30)});
            after.results.push_back({.name = name, .suite = "x", .samples = latencies(random, 30)});
        }
        false_alarms += verdict(before, after) == slower ? 1 : 0;
    }
    CHECK(false_alarms <= trials * 5 / 100);
}

TEST_CASE("a measurement is the same as itself, and faster where it is", "[benchmarks]") {
    std::mt19937_64 random(1);
    const BenchmarkRun run = run_of(latencies(random, 30));
    CHECK(verdict(run, run) == same);
    CHECK(verdict(run, run_of(latencies(random, 30, 0.7))) == faster);
}

TEST_CASE("a change below the minimum effect is none, however sure it is", "[benchmarks]") {
    std::vector<double> before(50, 100);
    std::vector<double> after(50, 103);
    for (std::size_t index = 0; index < 50; ++index) {
        before[index] += 0.01 * static_cast<double>(index % 7);
        after[index] += 0.01 * static_cast<double>(index % 5);
    }
    CHECK(verdict(run_of(before), run_of(after)) == same);
    CHECK(compare_benchmarks(run_of(before), run_of(after), {.minimumEffectPercent = 1}).verdict == slower);
}

TEST_CASE("what cannot be told is said to be unclear, with the reason", "[benchmarks]") {
    std::mt19937_64 random(2);
    const BenchmarkRun good = run_of(latencies(random, 30));
    const auto reason = [&](const BenchmarkRun& after) {
        const BenchmarkComparison comparison = compare_benchmarks(good, after);
        CHECK(comparison.verdict == unclear);
        return comparison.changes.at(0).reason;
    };
    CHECK(reason(run_of(latencies(random, 9))) == "the second measurement has 9 runs, where 10 are needed");
    CHECK(reason(run_of(latencies(random, 30), "other")) == "it is not in the second measurement");
    BenchmarkRun broken = good;
    broken.results[0].error = "it did not answer";
    CHECK(reason(broken) == "it failed in the second measurement: it did not answer");
    broken = good;
    broken.results[0].samples[3] = 0;
    CHECK(reason(broken) == "the second measurement has samples that are no durations");
    broken.results[0].samples[3] = std::numeric_limits<double>::quiet_NaN();
    CHECK(reason(broken) == "the second measurement has samples that are no durations");
    std::vector<double> wild;
    for (int index = 0; index < 30; ++index) wild.push_back(index % 2 == 0 ? 60'000 : 170'000);
    CHECK(reason(run_of(wild)).starts_with("the runs differ too much among themselves"));
}

TEST_CASE("measurements of different machines are not judged", "[benchmarks]") {
    std::mt19937_64 random(3);
    const BenchmarkRun before = run_of(latencies(random, 30));
    BenchmarkRun after = run_of(latencies(random, 30, 2));
    after.machine.fingerprint = "other";
    const BenchmarkComparison comparison = compare_benchmarks(before, after);
    CHECK(comparison.verdict == unclear);
    CHECK(comparison.reasons.at(0).starts_with("they were measured on different machines"));
    CHECK(comparison.changes.at(0).verdict == slower); // what is known is shown all the same
}

TEST_CASE("measurements without benchmarks cannot be compared", "[benchmarks]") {
    BenchmarkRun nothing = run_of({});
    nothing.results.clear();
    CHECK(verdict(nothing, nothing) == unclear);
}

TEST_CASE("in noise only a change well beyond the minimum effect counts", "[benchmarks]") {
    std::mt19937_64 random(4);
    BenchmarkRun before = run_of(latencies(random, 60));
    before.results[0].noisy = true;
    CHECK(verdict(before, run_of(latencies(random, 60, 1.07))) == unclear);
    CHECK(verdict(before, run_of(latencies(random, 60, 1.20))) == slower);
    CHECK(verdict(before, run_of(latencies(random, 60, 0.80))) == faster);
}

TEST_CASE("in noise what leaves the fastest run as it was is no slowdown", "[benchmarks]") {
    std::mt19937_64 random(5);
    const BenchmarkRun before = run_of(latencies(random, 60));
    std::vector<double> samples = latencies(random, 60);
    for (std::size_t run = 0; run < samples.size(); ++run)
        if (run % 5 != 0) samples[run] *= 2; // other programs had the processor
    BenchmarkRun after = run_of(samples);
    CHECK(verdict(before, after) == slower);
    after.results[0].noisy = true;
    const BenchmarkComparison comparison = compare_benchmarks(before, after);
    CHECK(comparison.verdict == unclear);
    CHECK(comparison.changes.at(0).reason.find("the fastest run changed by") != std::string::npos);
}
