// How often the values of a namespace really change, from what is seen when they are fetched or written anew: the
// estimator of Cho and Garcia-Molina ("Estimating Frequency of Change", 2003), which is unbiased although a value that
// changed twice between two looks counts once. Dynamic times to live are made of it. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

namespace pillion {

class ChangeRate {
  public:
    // A value was seen again after this long, changed or not.
    void saw(std::int64_t interval_ms, bool changed);

    struct Estimate {
        double looks = 0;
        double changes = 0;
        double changes_per_hour = 0;
    };
    // None before there were enough looks to say anything.
    std::optional<Estimate> estimate() const;
    // The time to live at whose end this share of values has changed.
    std::optional<std::int64_t> ttl_ms(double changed_share) const;

  private:
    static constexpr double looks_min = 10;
    static constexpr double looks_kept = 500; // then older looks fade

    mutable std::mutex mutex_; // guards what follows
    double looks_ = 0;
    double changes_ = 0;
    double interval_sum_ms_ = 0;
};

} // namespace pillion
