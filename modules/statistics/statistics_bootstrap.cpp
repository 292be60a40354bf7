// The bootstrap of Efron (Bootstrap Methods: Another Look at the Jackknife, Ann. Statist. 7, 1979) with the percentile
// interval. Nothing is resampled value by value: the k-th smallest of n draws from a sample of n is the sample's value
// at floor(n * U), where U is the k-th smallest of n uniform numbers and thus Beta(k, n + 1 - k) distributed; the next
// larger one follows from it. So a round costs the same for any number of values.
#include "modules/statistics/statistics_parts.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

namespace pillion::statistics {

namespace {

class QuantileDraws {
  public:
    QuantileDraws(Values values, double share) : values_(sorted(values)), count_(static_cast<double>(values.size())) {
        const double position = share * (count_ - 1);
        below_ = std::min(static_cast<std::size_t>(position), values.size() - 1);
        part_ = position - static_cast<double>(below_);
        const auto rank = static_cast<double>(below_ + 1);
        low_ = std::gamma_distribution<double>(rank, 1);
        high_ = std::gamma_distribution<double>(count_ + 1 - rank, 1);
    }
    double value() const {
        return values_[below_] * (1 - part_) + values_[std::min(below_ + 1, values_.size() - 1)] * part_;
    }
    double draw(std::mt19937_64& random) {
        const double low = low_(random);
        const double high = high_(random);
        const double place = low / (low + high);
        const double value = at(place);
        if (part_ <= 0) return value;
        // The smallest of the n - k numbers that are uniform between here and 1.
        const double rest = count_ - static_cast<double>(below_ + 1);
        const double gap = 1 - std::pow(1 - uniform_(random), 1 / rest);
        return value * (1 - part_) + at(place + (1 - place) * gap) * part_;
    }

  private:
    double at(double place) const {
        return values_[std::min(static_cast<std::size_t>(place * count_), values_.size() - 1)];
    }

    const std::vector<double> values_;
    const double count_;
    std::size_t below_ = 0;
    double part_ = 0;
    std::gamma_distribution<double> low_{};
    std::gamma_distribution<double> high_{};
    std::uniform_real_distribution<double> uniform_{};
};

Result<void> check_bootstrap(Values values, double share, const Bootstrap& options) {
    PILLION_TRY(check(values, 2, "a bootstrap"));
    PILLION_TRY(check_between(share, 0, 1, "the share of a quantile"));
    PILLION_TRY(check_between(options.confidence, 0, 1, "a confidence"));
    if (options.rounds < 100 || options.rounds > 1'000'000)
        return fail(ErrorCode::invalid_params,
                    "a bootstrap takes 100 to 1,000,000 rounds, not " + std::to_string(options.rounds));
    return {};
}

Interval interval_of(std::vector<double>& draws, double confidence) {
    std::ranges::sort(draws);
    return {quantile_of_sorted(draws, (1 - confidence) / 2), quantile_of_sorted(draws, (1 + confidence) / 2)};
}

} // namespace

Result<Estimate> bootstrap_quantile(Values values, double share, const Bootstrap& options) {
    PILLION_TRY(check_bootstrap(values, share, options));
    std::mt19937_64 random(options.seed);
    QuantileDraws source(values, share);
    std::vector<double> draws(options.rounds);
    for (double& draw : draws) draw = source.draw(random);
    return Estimate{.value = source.value(), .interval = interval_of(draws, options.confidence)};
}

Result<Estimate> bootstrap_quantile_shift(Values before, Values after, double share, const Bootstrap& options) {
    PILLION_TRY(check_bootstrap(before, share, options));
    PILLION_TRY(check_bootstrap(after, share, options));
    std::mt19937_64 random(options.seed);
    QuantileDraws earlier(before, share);
    QuantileDraws later(after, share);
    std::vector<double> draws(options.rounds);
    for (double& draw : draws) draw = later.draw(random) - earlier.draw(random);
    return Estimate{.value = later.value() - earlier.value(), .interval = interval_of(draws, options.confidence)};
}

} // namespace pillion::statistics
