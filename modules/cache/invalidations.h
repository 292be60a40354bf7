// Which records do not count any more although they may still stand somewhere: everything written before a moment, per
// namespace and per tag. A tag of any number of entries is invalidated by one entry in a table (FusionCache's
// RemoveByTag works alike); what it covers is found out when it is read. Owned by the cache; any thread.
//
// Time here is a logical clock (Lamport 1978) that keeps close to milliseconds since the epoch: it never goes back,
// each invalidation makes it tick, and it follows every version that is seen in a record. So a value whose making began
// before an invalidation is older than it, whatever the wall clock does.
#pragma once

#include "modules/cache_entry/cache_entry.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace pillion {

class Invalidations {
  public:
    // The oldest tags go past this; then everything written before the youngest of those that went is taken as void.
    static constexpr std::size_t tags_max = 100'000;

    // The version of what is begun to be made now.
    std::int64_t version(std::int64_t now_ms);
    // Follows a version seen elsewhere.
    void follow(std::int64_t version);

    // What was written before now is void; the new version.
    std::int64_t cut(std::string_view space, std::int64_t now_ms);
    std::int64_t cut_all(std::int64_t now_ms);
    std::int64_t cut_tag(std::string_view space, std::string_view tag, std::int64_t now_ms); // space empty: in all
    // The same as told by somebody else.
    void learn(std::string_view space, std::string_view tag, std::int64_t version);

    // Whether a record of this version and these tags still counts.
    bool counts(std::string_view space, const RecordMeta& meta) const;
    // The same without its tags: enough where nothing was invalidated by tag since the record was last checked.
    bool counts_untagged(std::string_view space, std::int64_t version) const;
    // Records at least this new need no look at their tags.
    std::int64_t last_tag_cut() const { return last_tag_cut_.load(std::memory_order_acquire); }
    std::int64_t last_cut() const { return last_cut_.load(std::memory_order_acquire); }

    // Calls visit(space, tag, version) for all that is known, for the journal.
    void
    visit(const std::function<void(std::string_view space, std::string_view tag, std::int64_t version)>& visit) const;
    std::size_t tags() const;

  private:
    std::int64_t tick(std::int64_t now_ms);
    void keep(std::string_view space, std::string_view tag, std::int64_t version);
    std::int64_t floor_of(std::string_view space) const; // with mutex_ held

    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    using Versions = std::unordered_map<std::string, std::int64_t, TextHash, std::equal_to<>>;

    std::atomic<std::int64_t> clock_{0};
    std::atomic<std::int64_t> last_tag_cut_{0};
    std::atomic<std::int64_t> last_cut_{0}; // of a namespace or of all
    mutable std::shared_mutex mutex_;       // guards what follows
    std::int64_t floor_ = 0;
    Versions spaces_;
    std::map<std::string, Versions, std::less<>> tags_; // by namespace, "" for all
    std::size_t tag_count_ = 0;
};

} // namespace pillion
