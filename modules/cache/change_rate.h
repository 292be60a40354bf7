// How often the values of a namespace really change, from what is seen when they are fetched or written anew: the
// estimator of Cho and Garcia-Molina ("Estimating Frequency of Change", 2003), which is unbiased although a value that
// changed twice between two looks counts once. Dynamic times to live are made of it. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

namespace pillion {

class ChangeRate {
  public:
    // A value was seen again after this long, changed or not.
    void saw(std::int64_t interval_ms, bool changed);
    // A value (its hash) was written under a key (its hash): the same, where the latest one before is remembered. So
    // values that are gone when their time is over are known as well. Bounded: the latest key of each place.
    void wrote(std::uint64_t key, std::uint64_t value, std::int64_t now_ms);
    // As wrote(), by somebody who has called saw() for it.
    void remember(std::uint64_t key, std::uint64_t value, std::int64_t now_ms);

    struct Estimate {
        double looks = 0;
        double changes = 0;
        double changes_per_hour = 0;
    };
    // None before there were enough looks to say anything.
    std::optional<Estimate> estimate() const;
    // The time to live at whose end this share of values has changed.
    std::optional<std::int64_t> ttl_ms(double changed_share) const;
    // The same if one more had changed than was seen: of values that were never seen to change this is what so many
    // looks are good for.
    std::optional<std::int64_t> cautious_ttl_ms(double changed_share) const;

  private:
    static constexpr double looks_min = 10;
    static constexpr double looks_kept = 500; // then older looks fade

    static constexpr std::size_t places = 1024; // 24 KiB, from the first write on
    struct Place {
        std::uint64_t key = 0;
        std::uint64_t value = 0;
        std::int64_t at_ms = 0;
    };

    static std::int64_t ttl_ms(double changed_share, double changes_per_hour);
    std::optional<Place> replace(std::uint64_t key, std::uint64_t value, std::int64_t now_ms);

    mutable std::mutex mutex_; // guards what follows
    double looks_ = 0;
    double changes_ = 0;
    double interval_sum_ms_ = 0;
    std::unique_ptr<Place[]> places_{};
};

} // namespace pillion
