// Thirty runs against thirty, over families of latencies and amounts of noise, through the comparison that
// `pillion bench compare` makes. Beside it the most that any test that is told neither level could find: of a shift by
// d between two samples of n, a normal tail at d * sqrt(n I / 2) less the quantile of its errors, with I the Fisher
// information of the logarithm's place (van der Vaart: Asymptotic Statistics, 1998, 15.5).
#include "modules/benchmarks/benchmark_measure.h"
#include "modules/benchmarks/benchmarks.h"
#include "rows.h"

#include <array>
#include <cmath>
#include <functional>
#include <random>

namespace pillion::bench {

namespace {

constexpr std::size_t runs = 30;
constexpr double slowdown = 1.1;

double normal(std::mt19937_64& random) { return std::normal_distribution<double>()(random); }
double uniform(std::mt19937_64& random) { return std::uniform_real_distribution<double>()(random); }

struct Family {
    std::string name;
    std::vector<double> noises; // percent
    // Fills a measurement in the order of its runs; the median is near 1 ms.
    std::function<void(std::vector<double>&, double noise, std::mt19937_64&)> draw;
    double information = 0; // times the square of the noise; 0: no such bound
};

std::vector<Family> families() {
    const auto each = [](auto one) {
        return [one](std::vector<double>& values, double noise, std::mt19937_64& random) {
            for (double& value : values) value = 1e6 * one(noise / 100, random);
        };
    };
    return {
        {"log-normal",
         {5, 8, 10, 12, 15},
         each([](double noise, auto& random) { return std::exp(noise * normal(random)); }),
         1},
        {"gamma",
         {5, 8, 10, 12, 15},
         each([](double noise, auto& random) {
             return std::gamma_distribution<double>(1 / (noise * noise), noise * noise)(random);
         }),
         1},
        {"two modes 15 % apart", {3, 5, 8}, each([](double noise, auto& random) {
             return (uniform(random) < 0.3 ? 1.15 : 1) * std::exp(noise * normal(random));
         })},
        {"one in eight two to ten times as slow", {5, 8, 10}, each([](double noise, auto& random) {
             const double value = std::exp(noise * normal(random));
             return uniform(random) < 0.125 ? value * (2 + 8 * uniform(random)) : value;
         })},
        {"floor and exponential tail", {5, 10, 15, 20}, each([](double noise, auto& random) {
             return 1 - noise * std::log(1 - uniform(random));
         })},
        {"student t, 2 degrees of freedom", {3, 5, 8}, each([](double noise, auto& random) {
             return std::exp(noise * std::min(20.0, std::student_t_distribution<double>(2)(random)));
         })},
        {"correlated by 0.4 from run to run",
         {3, 5, 8},
         [](std::vector<double>& values, double noise, auto& random) {
             double rest = normal(random);
             for (double& value : values) {
                 rest = 0.4 * rest + std::sqrt(1 - 0.16) * normal(random);
                 value = 1e6 * std::exp(noise / 100 * rest);
             }
         }},
        {"read in steps of 2 %", {5, 8, 10}, each([](double noise, auto& random) {
             return std::round(std::exp(noise * normal(random)) * 50) / 50;
         })},
    };
}

BenchmarkRun run_of(std::vector<double> samples) {
    BenchmarkRun run;
    BenchmarkResult& result = run.results.emplace_back();
    result.name = "it";
    result.samples = std::move(samples);
    result.noise = noise_of(result.samples, 0, 0, 0, 0);
    result.noisy = !result.noise.empty();
    return run;
}

double tail(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }

} // namespace

void measure_comparisons(const Effort& effort, Report& report) {
    for (std::size_t kind = 0; const Family& family : families()) {
        for (const double noise : family.noises) {
            double found = 0;
            double wrong = 0;
            double wrong_faster = 0;
            const int trials = effort.comparisons * 5;
            for (int trial = 0; trial < trials; ++trial) {
                std::mt19937_64 random(effort.seed + 7'000'000 + 100'000 * kind + static_cast<unsigned>(trial));
                std::vector<double> before(runs), same(runs), slower(runs);
                family.draw(before, noise, random);
                family.draw(same, noise, random);
                family.draw(slower, noise, random);
                for (double& value : slower) value *= slowdown;
                const BenchmarkRun base = run_of(before);
                found += compare_benchmarks(base, run_of(slower)).verdict == BenchmarkVerdict::slower;
                const BenchmarkVerdict verdict = compare_benchmarks(base, run_of(same)).verdict;
                wrong += verdict == BenchmarkVerdict::slower;
                wrong_faster += verdict == BenchmarkVerdict::faster;
            }
            const std::string title = family.name + ", " + std::to_string(static_cast<int>(noise)) + " %";
            const std::string key = "compare_" + std::to_string(kind) + "_" + std::to_string(static_cast<int>(noise));
            std::string note;
            if (family.information > 0) {
                const double best = std::log(slowdown) * 100 / noise * std::sqrt(runs * family.information / 2);
                note =
                    "no test can find more than " + std::to_string(std::lround(1000 * tail(1.645 - best)) / 10) + " %";
            }
            report.add({.key = key + "_found",
                        .title = "10 % slower found: " + title,
                        .unit = "%",
                        .reference = "",
                        .goal = {.figure_min = 95},
                        .figures = {{"pillion", {100 * found / trials}}},
                        .note = note});
            report.add({.key = key + "_false",
                        .title = "called slower where nothing changed: " + title,
                        .unit = "%",
                        .reference = "",
                        .goal = {.figure_max = 5},
                        .figures = {{"pillion", {100 * wrong / trials}}},
                        .note = "faster: " + std::to_string(100 * wrong_faster / trials).substr(0, 4) + " %"});
        }
        ++kind;
    }
}

} // namespace pillion::bench
