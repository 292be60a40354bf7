// Calls of a tier that wait for their answer, and notices that a test can wait for. Any thread.
#pragma once

#include "modules/remote_store/remote_store.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <vector>

namespace pillion::test {

// Longer than anything here may take; a test that reaches it has failed.
inline constexpr std::chrono::seconds patience{20};

template <class T, class Start>
Result<T> wait_for(Start&& start) {
    const auto promise = std::make_shared<std::promise<Result<T>>>();
    auto answered = promise->get_future();
    start([promise](Result<T> result) { promise->set_value(std::move(result)); });
    if (answered.wait_for(patience) != std::future_status::ready) {
        FAIL("a tier did not answer");
    }
    return answered.get();
}

inline TierKey key_of(std::string name, std::string space = "query", std::string parts = "") {
    return {std::move(space), std::move(name), std::move(parts)};
}
inline std::string json_record(std::string_view payload, std::int64_t created_ms = 1'700'000'000'000) {
    RecordMeta meta;
    meta.created_ms = created_ms;
    meta.plain_bytes = static_cast<std::uint32_t>(payload.size());
    return encode_record(meta, payload);
}

inline Result<std::optional<TierValue>> get(CacheTier& tier, const TierKey& key) {
    return wait_for<std::optional<TierValue>>([&](auto got) { tier.get(key, got); });
}
inline Result<void> put(CacheTier& tier, const TierKey& key, std::string record, std::int64_t gone_at_ms = never_ms) {
    return wait_for<void>([&](auto done) { tier.put(key, {std::move(record), gone_at_ms}, done); });
}
inline Result<void> remove(CacheTier& tier, const TierKey& key) {
    return wait_for<void>([&](auto done) { tier.remove(key, done); });
}
inline Result<std::uint64_t> invalidate(CacheTier& tier, TierSelection selection) {
    return wait_for<std::uint64_t>([&](auto counted) { tier.invalidate(std::move(selection), counted); });
}
inline Result<std::vector<TierKey>> list(CacheTier& tier, TierSelection selection, std::string after = "",
                                         std::size_t limit = 100) {
    return wait_for<std::vector<TierKey>>(
        [&](auto listed) { tier.list(std::move(selection), std::move(after), limit, listed); });
}
inline Result<void> probe(CacheTier& tier) {
    return wait_for<void>([&](auto done) { tier.probe(done); });
}
inline Result<std::vector<SpaceStats>> survey(RemoteStore& tier) {
    return wait_for<std::vector<SpaceStats>>([&](auto surveyed) { tier.survey(surveyed); });
}

// The record under the key, "" if there is none; fails the test on an error.
inline std::string record_at(CacheTier& tier, const TierKey& key) {
    const auto got = get(tier, key);
    if (!got) FAIL(got.error().message);
    return *got ? (*got)->record : std::string();
}

class Notices {
  public:
    void listen_to(CacheTier& tier) {
        tier.on_notice([this](const CacheTier::Notice& notice) {
            const std::lock_guard lock(mutex_);
            heard_.push_back(notice);
            changed_.notify_all();
        });
    }
    // The next one; fails the test where none comes.
    CacheTier::Notice next() {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, patience, [this] { return taken_ < heard_.size(); })) FAIL("no notice came");
        return heard_[taken_++];
    }
    bool none_left() const {
        const std::lock_guard lock(mutex_);
        return taken_ == heard_.size();
    }

  private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<CacheTier::Notice> heard_;
    std::size_t taken_ = 0;
};

} // namespace pillion::test
