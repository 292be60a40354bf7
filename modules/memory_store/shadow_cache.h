// A cache of keys without values: what a policy of a given capacity would hold. The adaptive policy runs several beside
// the real store to see which would hit most; simulations use them as references. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace pillion {

enum class ShadowPolicy : std::uint8_t { lru, arc, s3fifo, tinylfu };
inline constexpr ShadowPolicy shadow_policies[] = {ShadowPolicy::lru, ShadowPolicy::arc, ShadowPolicy::s3fifo,
                                                   ShadowPolicy::tinylfu};
std::string_view shadow_policy_name(ShadowPolicy policy);

struct ShadowSpec {
    ShadowPolicy policy = ShadowPolicy::lru;
    // Of the capacity: the small queue of s3fifo, the window of tinylfu.
    double window_share = 0.1;
    // s3fifo: while the main queue has room, one in so many of the keys that the small queue lets go moves over all the
    // same, so that a loop longer than the cache leaves something behind. 0: none.
    std::uint32_t fills_one_in = 0;
    // s3fifo: hits in the small queue that take a key to the main one.
    std::uint8_t count_to_stay = 2;
    // s3fifo: of the capacity, keys remembered after they went; with none, nothing comes back to the main queue so.
    double ghosts_share = 0.9;
};
// With the shares of their authors.
ShadowSpec shadow_spec(ShadowPolicy policy);

// Both hold at once.
struct ShadowCapacity {
    std::uint64_t weight_max = 0;
    std::uint64_t entries_max = UINT64_MAX;
};

class ShadowCache {
  public:
    virtual ~ShadowCache() = default;
    // A request for the key: true if it was there. If it was not, it comes in, if the policy wants it and it fits.
    virtual bool access(std::uint64_t hash, std::uint32_t weight) = 0;
    virtual bool contains(std::uint64_t hash) const = 0;
    virtual void remove(std::uint64_t hash) = 0;
    // Takes effect with the next access.
    virtual void resize(ShadowCapacity capacity) = 0;
    // Where the hashes of keys go that are let go of from now on; null: nowhere.
    virtual void report_evicted(std::vector<std::uint64_t>* evicted) = 0;
    // Of memory that it takes.
    virtual std::size_t bytes() const = 0;
};

std::unique_ptr<ShadowCache> make_shadow_cache(const ShadowSpec& spec, ShadowCapacity capacity);

} // namespace pillion
