// Exponential backoff with equal jitter to both sides, and a sliding window of ends for the crash loop.
#include "modules/process/restart_policy.h"

#include "modules/process/process.h"

#include <algorithm>
#include <utility>

namespace pillion {

RestartPolicy::RestartPolicy(RestartOptions options, const Clock& clock, std::function<double()> random)
    : options_(options), clock_(clock), random_(std::move(random)) {}

void RestartPolicy::reset() {
    ends_ns_.clear();
    delay_ms_ = 0;
}

std::int64_t RestartPolicy::next_delay_ms() {
    const auto initial = static_cast<double>(std::max<std::int64_t>(options_.initial_ms, 0));
    const double next = delay_ms_ == 0 ? initial : delay_ms_ * std::max(options_.factor, 1.0);
    delay_ms_ = std::min(next, static_cast<double>(std::max(options_.max_ms, options_.initial_ms)));
    const double jitter = delay_ms_ * std::clamp(options_.jitter, 0.0, 1.0) * (2.0 * random_() - 1.0);
    return std::max<std::int64_t>(0, static_cast<std::int64_t>(delay_ms_ + jitter));
}

RestartDecision RestartPolicy::ended(const ProcessExit& exit) {
    using Action = RestartDecision::Action;
    if (exit.was_requested) return {Action::leave, 0, "was asked to stop"};
    if (options_.rule == RestartRule::never)
        return {Action::leave, 0, exit.describe() + "; its rule is never to restart"};
    const bool is_success = exit.code && *exit.code == 0;
    if (options_.rule == RestartRule::on_failure && is_success)
        return {Action::leave, 0, "ended well; its rule is to restart on failure"};
    if (exit.ran_ms >= options_.healthy_ms) reset();
    const std::int64_t now_ns = clock_.now_ns();
    while (!ends_ns_.empty() && now_ns - ends_ns_.front() > options_.window_ms * 1'000'000) ends_ns_.pop_front();
    ends_ns_.push_back(now_ns);
    if (ends_ns_.size() > options_.crashes_max)
        return {Action::give_up, 0,
                "ended " + std::to_string(ends_ns_.size()) + " times within " +
                    std::to_string(options_.window_ms / 1000) + " s, more than the " +
                    std::to_string(options_.crashes_max) + " allowed; the last time it " + exit.describe()};
    ++restarts_;
    return {Action::restart, next_delay_ms(), exit.describe()};
}

} // namespace pillion
