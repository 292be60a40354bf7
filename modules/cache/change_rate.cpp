#include "modules/cache/change_rate.h"

#include <algorithm>
#include <cmath>

namespace pillion {

void ChangeRate::saw(std::int64_t interval_ms, bool changed) {
    if (interval_ms <= 0) return;
    const std::lock_guard lock(mutex_);
    looks_ += 1;
    changes_ += changed ? 1 : 0;
    interval_sum_ms_ += static_cast<double>(interval_ms);
    if (looks_ < looks_kept) return;
    looks_ /= 2;
    changes_ /= 2;
    interval_sum_ms_ /= 2;
}

void ChangeRate::wrote(std::uint64_t key, std::uint64_t value, std::int64_t now_ms) {
    if (const auto before = replace(key, value, now_ms)) saw(now_ms - before->at_ms, before->value != value);
}

void ChangeRate::remember(std::uint64_t key, std::uint64_t value, std::int64_t now_ms) { replace(key, value, now_ms); }

// What was remembered of the key.
std::optional<ChangeRate::Place> ChangeRate::replace(std::uint64_t key, std::uint64_t value, std::int64_t now_ms) {
    const std::lock_guard lock(mutex_);
    if (!places_) places_ = std::make_unique<Place[]>(places);
    Place& place = places_[key % places];
    const Place before = place;
    place = {key, value, now_ms};
    return before.key == key && before.at_ms > 0 ? std::optional(before) : std::nullopt;
}

std::optional<ChangeRate::Estimate> ChangeRate::estimate() const {
    const std::lock_guard lock(mutex_);
    if (looks_ < looks_min) return std::nullopt;
    const double per_interval = -std::log((looks_ - changes_ + 0.5) / (looks_ + 0.5));
    const double interval_ms = interval_sum_ms_ / looks_;
    return Estimate{looks_, changes_, per_interval / interval_ms * 3'600'000};
}

std::optional<std::int64_t> ChangeRate::ttl_ms(double changed_share) const {
    const auto now = estimate();
    if (!now) return std::nullopt;
    if (now->changes_per_hour <= 0) return std::nullopt;
    return ttl_ms(changed_share, now->changes_per_hour);
}

std::optional<std::int64_t> ChangeRate::cautious_ttl_ms(double changed_share) const {
    const std::lock_guard lock(mutex_);
    if (looks_ < looks_min) return std::nullopt;
    const double unchanged = std::max(0.0, looks_ - changes_ - 1);
    const double per_interval = -std::log((unchanged + 0.5) / (looks_ + 0.5));
    return ttl_ms(changed_share, per_interval / (interval_sum_ms_ / looks_) * 3'600'000);
}

std::int64_t ChangeRate::ttl_ms(double changed_share, double changes_per_hour) {
    const double hours = -std::log(1 - std::clamp(changed_share, 0.001, 0.999)) / changes_per_hour;
    return static_cast<std::int64_t>(std::min(hours * 3'600'000, 3.0e12));
}

} // namespace pillion
