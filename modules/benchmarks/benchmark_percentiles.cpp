// Operations of one run are alike more than those of different runs, so the bootstrap (Efron, Bootstrap Methods:
// Another Look at the Jackknife, Ann. Statist. 7, 1979) draws whole runs: a cluster bootstrap with the percentile
// interval. All operations are sorted once; a draw gives each run a weight, and a quantile is where the weights add up
// to it.
#include "ipc/base/number_text.h"
#include "modules/benchmarks/benchmark_measure.h"
#include "modules/statistics/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>

namespace pillion {

namespace {

constexpr int rounds = 400;
constexpr std::size_t runs_min = 5;
constexpr std::array<double, 3> shares{0.50, 0.95, 0.99};

struct Operation {
    double ns;
    std::size_t run;
};

// The values that these shares of the weight do not exceed (nearest rank).
std::array<double, shares.size()> weighted_quantiles(const std::vector<Operation>& sorted,
                                                     const std::vector<std::uint32_t>& weights, double total) {
    std::array<double, shares.size()> values{};
    std::size_t next = 0;
    double sum = 0;
    for (const Operation& operation : sorted) {
        sum += weights[operation.run];
        while (next < shares.size() && sum >= std::ceil(shares[next] * total)) values[next++] = operation.ns;
        if (next == shares.size()) break;
    }
    return values;
}

BenchmarkInterval middle_95_percent(std::vector<double>& values) {
    std::ranges::sort(values);
    const auto at = [&values](double share) {
        return values[static_cast<std::size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
    };
    return {at(0.025), at(0.975)};
}

std::string percent(double value) { return formatted("%.0f %%", value); }

} // namespace

OperationPercentiles percentiles_of(const std::vector<std::vector<double>>& runs, Intervals intervals) {
    std::vector<Operation> operations;
    for (std::size_t run = 0; run < runs.size(); ++run)
        for (const double ns : runs[run]) operations.push_back({ns, run});
    std::ranges::sort(operations, {}, &Operation::ns);
    std::vector<std::uint32_t> weights(runs.size(), 1);
    const auto plain = weighted_quantiles(operations, weights, static_cast<double>(operations.size()));
    OperationPercentiles percentiles{.p50 = plain[0], .p95 = plain[1], .p99 = plain[2]};
    if (intervals == Intervals::unwanted || runs.size() < runs_min) return percentiles;

    std::mt19937_64 random(1); // equal samples give equal intervals
    std::uniform_int_distribution<std::size_t> any_run(0, runs.size() - 1);
    std::array<std::vector<double>, shares.size()> drawn;
    for (int round = 0; round < rounds; ++round) {
        std::ranges::fill(weights, 0U);
        double total = 0;
        for (std::size_t draw = 0; draw < runs.size(); ++draw) {
            const std::size_t run = any_run(random);
            ++weights[run];
            total += static_cast<double>(runs[run].size());
        }
        const auto values = weighted_quantiles(operations, weights, total);
        for (std::size_t index = 0; index < shares.size(); ++index) drawn[index].push_back(values[index]);
    }
    percentiles.p50_interval = middle_95_percent(drawn[0]);
    percentiles.p95_interval = middle_95_percent(drawn[1]);
    percentiles.p99_interval = middle_95_percent(drawn[2]);
    return percentiles;
}

std::vector<std::string> noise_of(const std::vector<double>& samples, double cpu_wait_percent, double stolen_percent,
                                  double frequency_low, double frequency_high) {
    constexpr double cpu_wait_percent_max = 15;
    constexpr double stolen_percent_max = 2;
    constexpr double frequency_ratio_max = 1.15;
    constexpr double outlier_z = 5;
    constexpr double outlier_percent_max = 25; // fewer do nothing to medians and ranks
    constexpr double drift_probability = 0.001;
    constexpr double drift_share_min = 0.05;
    constexpr std::size_t samples_min = 10;

    std::vector<std::string> noise;
    if (cpu_wait_percent > cpu_wait_percent_max)
        noise.push_back("other programs kept the processors busy: tasks waited " + percent(cpu_wait_percent) +
                        " of the time");
    if (stolen_percent > stolen_percent_max)
        noise.push_back("the machine's host took " + percent(stolen_percent) + " of the processors' time");
    if (frequency_low > 0 && frequency_high > frequency_ratio_max * frequency_low)
        noise.push_back("the processors' clock went from " + std::to_string(std::lround(frequency_low)) + " to " +
                        std::to_string(std::lround(frequency_high)) + " MHz");
    if (samples.size() < samples_min) return noise;

    const auto middle = statistics::median(samples);
    if (!middle) return noise;
    const auto outliers = std::ranges::count_if(samples, [&](double sample) {
        const auto z = statistics::robust_z(sample, samples, std::abs(*middle) * 0.005);
        return z && std::abs(*z) > outlier_z;
    });
    const double outlier_percent = static_cast<double>(outliers) * 100 / static_cast<double>(samples.size());
    if (outlier_percent > outlier_percent_max) noise.push_back(percent(outlier_percent) + " of the runs stand far out");

    const std::span<const double> all(samples);
    const auto halves = statistics::compare(all.first(samples.size() / 2), all.subspan(samples.size() / 2));
    if (halves && halves->test.probability < drift_probability && std::abs(halves->shift_share.value) > drift_share_min)
        noise.push_back("the second half of the runs was " + percent(std::abs(halves->shift_share.value) * 100) +
                        (halves->shift_share.value > 0 ? " slower" : " faster") + " than the first");
    return noise;
}

} // namespace pillion
