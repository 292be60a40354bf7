// What of a backend changes while it runs: calls at a time, room in its queue, and methods whose answers are kept. A
// rule that no longer holds stays where it is, because flights point at it, but is not found any more; its answers go.
#include "modules/backends/backend.h"

namespace pillion {

Result<void> Backend::tune(BackendTuning tuning) {
    const auto wrong = [this](std::string message) {
        return pillion::fail(ErrorCode::invalid_params, "backend \"" + name_ + "\": " + std::move(message));
    };
    if (tuning.concurrency.value_or(1) < 1 || tuning.queueMax.value_or(1) < 1)
        return wrong("concurrency and queueMax are at least 1");
    Turn turn(*this);
    for (const auto& [method, kept_ms] : tuning.kept_ms) {
        if (kept_ms < 1)
            return wrong("answers of " + method + " cannot be kept for " + std::to_string(kept_ms) + " ms");
        if (rules_.find(method, {}) != nullptr) return wrong("a cache rule covers " + method + " already");
        if (!tuned_rules_.contains(method) && tuned_rules_.size() >= BackendRepeats::methods_max)
            return wrong("answers of " + std::to_string(BackendRepeats::methods_max) +
                         " methods were kept for a while; no more are possible");
    }
    for (const auto& [method, rule] : tuned_rules_)
        if (!tuning.kept_ms.contains(method))
            cache_.erase_if([&rule](const KeptAnswer& kept) { return kept.rule == &rule; });
    for (const auto& [method, kept_ms] : tuning.kept_ms) {
        BackendCacheRule& rule = tuned_rules_[method];
        rule.methods = {method};
        rule.ttlMs = kept_ms;
    }
    tuning_ = std::move(tuning);
    pump(turn);
    counts_.queueHighWater = static_cast<std::int64_t>(queue_.size());
    return {};
}

BackendTuning Backend::tuning() const {
    const std::lock_guard lock(mutex_);
    return tuning_;
}

BackendTuning Backend::limits() const {
    BackendTuning now = tuning();
    if (!now.concurrency) now.concurrency = spec_.concurrency;
    if (!now.queueMax) now.queueMax = spec_.queueMax;
    return now;
}

std::vector<BackendRepeated> Backend::repeats() const {
    const std::lock_guard lock(mutex_);
    std::vector<BackendRepeated> methods = repeats_.read();
    std::erase_if(methods,
                  [this](const BackendRepeated& repeated) { return tuning_.kept_ms.contains(repeated.method); });
    return methods;
}

Result<void> Backends::tune(std::string_view name, BackendTuning tuning) {
    const auto backend = PILLION_TRY(find(name));
    return backend->tune(std::move(tuning));
}

Result<BackendTuning> Backends::tuning(std::string_view name) const {
    const auto backend = PILLION_TRY(find(name));
    return backend->tuning();
}

Result<BackendTuning> Backends::limits(std::string_view name) const {
    const auto backend = PILLION_TRY(find(name));
    return backend->limits();
}

} // namespace pillion
