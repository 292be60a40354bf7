#include "modules/backends/backend_cache.h"

#include <iterator>

namespace pillion {

KeptAnswer* BackendCache::find(std::string_view key) {
    const auto at = by_key_.find(key);
    if (at == by_key_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, at->second);
    return &at->second->answer;
}

void BackendCache::erase(Entries::iterator entry) {
    bytes_ -= bytes_of(*entry);
    by_key_.erase(entry->key);
    entries_.erase(entry);
}

bool BackendCache::store(std::string key, KeptAnswer answer, std::uint64_t generation) {
    if (generation != generation_) return false;
    if (const auto at = by_key_.find(key); at != by_key_.end()) erase(at->second);
    Entry entry{std::move(key), std::move(answer)};
    const std::size_t bytes = bytes_of(entry);
    if (bytes > bytes_max_ || entries_max_ == 0) return false;
    while (!entries_.empty() && (bytes_ + bytes > bytes_max_ || entries_.size() >= entries_max_)) {
        erase(std::prev(entries_.end()));
        ++evictions_;
    }
    entries_.push_front(std::move(entry));
    by_key_.emplace(entries_.front().key, entries_.begin());
    bytes_ += bytes;
    return true;
}

} // namespace pillion
