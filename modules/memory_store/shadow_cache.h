// A cache of keys without values: what a policy of a given capacity would hold. The adaptive policy runs several beside
// the real store to see which would hit most; simulations use them as references. One thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace pillion {

enum class ShadowPolicy : std::uint8_t { lru, arc, s3fifo, tinylfu };
inline constexpr ShadowPolicy shadow_policies[] = {ShadowPolicy::lru, ShadowPolicy::arc, ShadowPolicy::s3fifo,
                                                   ShadowPolicy::tinylfu};
std::string_view shadow_policy_name(ShadowPolicy policy);

// Both hold at once.
struct ShadowCapacity {
    std::uint64_t weight_max = 0;
    std::uint64_t entries_max = UINT64_MAX;
};

class ShadowCache {
  public:
    virtual ~ShadowCache() = default;
    // A request for the key: true if it was there. If it was not, it comes in, if the policy wants it.
    virtual bool access(std::uint64_t hash, std::uint32_t weight) = 0;
    virtual bool contains(std::uint64_t hash) const = 0;
    virtual void remove(std::uint64_t hash) = 0;
    virtual void resize(ShadowCapacity capacity) = 0;
};

std::unique_ptr<ShadowCache> make_shadow_cache(ShadowPolicy policy, ShadowCapacity capacity);

} // namespace pillion
