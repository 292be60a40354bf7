// Two measurements differ where the Mann-Whitney test says that their samples do (corrected by Holm, A Simple
// Sequentially Rejective Multiple Test Procedure, 1979, for how many benchmarks are asked at once) and the shift
// between them, by Hodges and Lehmann, is at least the minimum effect. They are the same where the shift's interval
// leaves no room for a slowdown of two and a half times that. Everything else is said to be unclear: a quiet "no
// regression" that rests on too little would be worse. Samples of a disturbed measurement are not independent of it,
// whatever a test says, so there a change has to be two and a half times as large before it counts, and the fastest run
// has to show it too: what other programs do to a measurement makes some runs slower and leaves the fastest as they
// were (Chen and Revels, Robust Benchmarking in Noisy Environments, 2016), while a slower program is slower in all of
// them. What is asked is whether it became slower: of the errors that the confidence allows, five in six are spent on
// that, which finds more at the same total.
#include "ipc/base/number_text.h"
#include "modules/benchmarks/benchmarks.h"
#include "modules/statistics/statistics.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::size_t runs_min = 10;
constexpr double room_factor = 2.5;
constexpr double noise_factor = 2.5;
constexpr double floor_factor = 1.25; // by which the fastest run has to show it
constexpr double slower_share = 0.85;

const BenchmarkResult* find_result(const BenchmarkRun& run, const std::string& name) {
    const auto at = std::ranges::find(run.results, name, &BenchmarkResult::name);
    return at == run.results.end() ? nullptr : &*at;
}

std::string percent(double value) { return formatted("%+.1f %%", value); }
std::string plain_percent(double value) { return formatted("%.3g %%", value); }

// What keeps these from being compared; empty if nothing does.
std::string obstacle(const BenchmarkResult& result, std::string_view which) {
    if (result.error) return "it failed in the " + std::string(which) + " measurement: " + *result.error;
    if (result.samples.size() < runs_min)
        return "the " + std::string(which) + " measurement has " + std::to_string(result.samples.size()) +
               " runs, where " + std::to_string(runs_min) + " are needed";
    if (std::ranges::any_of(result.samples, [](double ns) { return !(ns > 0); }))
        return "the " + std::string(which) + " measurement has samples that are no durations";
    return {};
}

// Holm: the smallest probability counts as often as there are tests, the next one once less, and none less than those
// before it.
void correct(std::vector<BenchmarkChange*> tested) {
    std::ranges::sort(tested, {}, [](const BenchmarkChange* change) { return change->probability; });
    double least = 0;
    for (std::size_t index = 0; index < tested.size(); ++index) {
        least = std::max(least, std::min(1.0, tested[index]->probability * static_cast<double>(tested.size() - index)));
        tested[index]->probability = least;
    }
}

// What decides whether a change is one, beyond the change itself.
struct Circumstances {
    bool is_noisy = false;
    double floor_percent = 0; // by which the fastest run changed
};

void decide(BenchmarkChange& change, const Circumstances& around, const BenchmarkComparisonOptions& options) {
    const double least = options.minimumEffectPercent;
    const double counts_from = around.is_noisy ? noise_factor * least : least;
    const double size = std::abs(change.changePercent);
    const bool is_significant = change.probability < 1 - options.confidencePercent / 100;
    const BenchmarkInterval interval = change.intervalPercent.value_or(BenchmarkInterval{});
    const double floor_percent = change.changePercent > 0 ? around.floor_percent : -around.floor_percent;
    const bool is_throughout = !around.is_noisy || floor_percent >= floor_factor * least;
    if (is_significant && size >= counts_from && is_throughout) {
        change.verdict = change.changePercent > 0 ? BenchmarkVerdict::slower : BenchmarkVerdict::faster;
    } else if (is_significant && size >= least) {
        change.reason = size < counts_from
                            ? "measured in noise, where only a change from " + plain_percent(counts_from) + " on counts"
                            : "measured in noise, which may be all that changed: the fastest run changed by " +
                                  percent(around.floor_percent) + " only";
    } else if (interval.high <= room_factor * least) {
        change.verdict = BenchmarkVerdict::same;
    } else {
        change.reason = "the runs differ too much among themselves: it may be anything from " + percent(interval.low) +
                        " to " + percent(interval.high);
    }
}

BenchmarkVerdict overall(const std::vector<BenchmarkChange>& changes) {
    const auto any = [&](BenchmarkVerdict verdict) {
        return std::ranges::any_of(changes, [&](const auto& change) { return change.verdict == verdict; });
    };
    using enum BenchmarkVerdict;
    for (const BenchmarkVerdict verdict : {slower, unclear, faster})
        if (any(verdict)) return verdict;
    return same;
}

} // namespace

BenchmarkComparison compare_benchmarks(const BenchmarkRun& before, const BenchmarkRun& after,
                                       const BenchmarkComparisonOptions& options) {
    BenchmarkComparison comparison{.minimumEffectPercent = options.minimumEffectPercent};
    std::vector<BenchmarkChange*> tested;
    std::vector<Circumstances> around;
    comparison.changes.reserve(before.results.size());
    around.reserve(before.results.size());
    for (const BenchmarkResult& old : before.results) {
        BenchmarkChange& change = comparison.changes.emplace_back(BenchmarkChange{.name = old.name});
        const BenchmarkResult* const now = find_result(after, old.name);
        around.push_back({.is_noisy = old.noisy || (now != nullptr && now->noisy)});
        change.reason = now == nullptr ? "it is not in the second measurement" : obstacle(old, "first");
        if (change.reason.empty()) change.reason = obstacle(*now, "second");
        if (!change.reason.empty()) continue;
        const auto compared =
            statistics::compare(old.samples, now->samples,
                                statistics::Compare{.minimum_effect = options.minimumEffectPercent / 100,
                                                    .confidence = options.confidencePercent / 100,
                                                    .higher_share = slower_share,
                                                    .correlation = statistics::Correlation::corrected});
        if (!compared) {
            change.reason = compared.error().message;
            continue;
        }
        change.beforeNs = compared->before_median;
        change.afterNs = compared->after_median;
        change.changePercent = compared->shift_share.value * 100;
        // Nothing takes less than no time, whatever the scatter of what it took before.
        change.intervalPercent = {std::max(compared->shift_share.interval.low * 100, -100.0),
                                  compared->shift_share.interval.high * 100};
        change.probability = compared->probability;
        around.back().floor_percent = (std::ranges::min(now->samples) / std::ranges::min(old.samples) - 1) * 100;
        tested.push_back(&change);
    }
    correct(tested);
    for (std::size_t index = 0; index < comparison.changes.size(); ++index)
        if (comparison.changes[index].reason.empty()) decide(comparison.changes[index], around[index], options);

    comparison.verdict = overall(comparison.changes);
    if (before.machine.fingerprint != after.machine.fingerprint)
        comparison.reasons.push_back("they were measured on different machines: " + before.machine.processor + " (" +
                                     std::to_string(before.machine.cores) + " cores) and " + after.machine.processor +
                                     " (" + std::to_string(after.machine.cores) + " cores)");
    if (comparison.changes.empty())
        comparison.reasons.emplace_back("the first measurement has no benchmarks");
    else if (tested.empty())
        comparison.reasons.emplace_back("no benchmark was measured well enough in both");
    if (!comparison.reasons.empty()) comparison.verdict = BenchmarkVerdict::unclear;
    return comparison;
}

} // namespace pillion
