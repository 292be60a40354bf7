#include "ipc/response_cache.h"

#include "ipc/json_text.h"
#include "ipc/method.h"

#include <algorithm>

namespace pillion {

bool ResponseCache::make_key(std::string& key, const Method& method, std::string_view params, const RequestMeta& meta) {
    if (params.size() > key_bytes_max) return false;
    key.assign(method.name).push_back('\n');
    if (method.is_list) { // the page asked for shapes the answer as params do
        key.append(std::to_string(meta.page.value_or(1))).append(" ").append(std::to_string(meta.limit.value_or(20)));
        key.append(meta.sortOrder == SortOrder::desc ? " desc " : " asc ")
            .append(meta.sortBy.value_or(std::string_view{}))
            .append("\n");
    }
    return append_canonical(key, params.empty() ? "{}" : params, "_meta");
}

std::shared_ptr<const CachedAnswer> ResponseCache::find(std::string_view key) {
    const std::lock_guard lock(mutex_);
    const auto at = by_key_.find(key);
    if (at == by_key_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, at->second);
    return at->second->answer;
}

void ResponseCache::erase(Entries::iterator entry) {
    bytes_ -= bytes_of(*entry);
    by_key_.erase(entry->key);
    entries_.erase(entry);
}

void ResponseCache::store(std::string key, std::string_view json, const Method& method, std::int64_t now_ns,
                          std::uint64_t generation) {
    auto answer =
        std::make_shared<const CachedAnswer>(CachedAnswer{std::string(json), &method, now_ns, method.cacheable.ttl_ms});
    const std::lock_guard lock(mutex_);
    if (generation != generation_.load(std::memory_order_relaxed)) return;
    if (const auto at = by_key_.find(key); at != by_key_.end()) erase(at->second);
    Entry entry{std::move(key), std::move(answer)};
    const std::size_t bytes = bytes_of(entry);
    if (bytes > bytes_max_ || entries_max_ == 0) return;
    while (!entries_.empty() && (bytes_ + bytes > bytes_max_ || entries_.size() >= entries_max_)) {
        erase(std::prev(entries_.end()));
        ++evictions_;
    }
    entries_.push_front(std::move(entry));
    by_key_.emplace(entries_.front().key, entries_.begin());
    bytes_ += bytes;
}

std::size_t ResponseCache::invalidate_by(std::string_view event) {
    const std::lock_guard lock(mutex_);
    generation_.fetch_add(1, std::memory_order_acq_rel);
    std::size_t dropped = 0;
    for (auto entry = entries_.begin(); entry != entries_.end();) {
        const auto current = entry++;
        const auto& events = current->answer->method->cacheable.invalidated_by;
        if (std::find(events.begin(), events.end(), event) == events.end()) continue;
        erase(current);
        ++dropped;
    }
    invalidations_ += dropped;
    return dropped;
}

std::size_t ResponseCache::clear() {
    const std::lock_guard lock(mutex_);
    generation_.fetch_add(1, std::memory_order_acq_rel);
    const std::size_t freed_bytes = bytes_;
    invalidations_ += entries_.size();
    by_key_.clear();
    entries_.clear();
    bytes_ = 0;
    return freed_bytes;
}

ResponseCacheStats ResponseCache::stats() const {
    const std::lock_guard lock(mutex_);
    return {entries_.size(),   bytes_,     entries_max_,  bytes_max_, hits_.load(), misses_.load(),
            coalesced_.load(), evictions_, invalidations_};
}

} // namespace pillion
