#include "modules/cache/cache_space.h"

#include <algorithm>

namespace pillion {

CacheSpace::CacheSpace(std::string space_name, CachePolicy policy)
    : name(std::move(space_name)), policy_(std::make_shared<const CachePolicy>(std::move(policy))) {
    heed_policy();
}

void CacheSpace::heed_policy() {
    eager_percent = policy_->eagerRefresh > 0
                        ? std::min<std::int64_t>(90, static_cast<std::int64_t>(policy_->eagerRefresh * 100))
                        : 90;
}

void CacheSpace::set_policy(CachePolicy policy) {
    const std::lock_guard lock(mutex_);
    policy_ = std::make_shared<const CachePolicy>(std::move(policy));
    heed_policy();
    if (owned_) owned_->configure(policy_->store_config());
}

MemoryStore& CacheSpace::store() {
    if (MemoryStore* const made = find_store()) return *made;
    const std::lock_guard lock(mutex_);
    if (!owned_) {
        owned_ = std::make_unique<MemoryStore>(policy_->store_config());
        if (share_ < 1) owned_->set_share(share_);
        store_.store(owned_.get(), std::memory_order_release);
    }
    return *owned_;
}

std::uint64_t CacheSpace::set_share(double share) {
    const std::lock_guard lock(mutex_);
    share_ = std::clamp(share, 0.001, 1.0); // a store cannot do with nothing
    return owned_ ? owned_->set_share(share_) : 0;
}

} // namespace pillion
