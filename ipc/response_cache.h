// Answers of deterministic methods, kept as the bytes that will be sent: a hit is one copy. Keyed by method and
// canonical params (RFC 8785); bounded by bytes and entries, least recently used first. Any thread.
#pragma once

#include "ipc/base/clock.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace pillion {

struct Method;
struct RequestMeta;

struct CachedAnswer {
    std::string json;
    const Method* method = nullptr;
    std::int64_t stored_ns = 0;
    std::int64_t ttl_ms = 0;
};

struct ResponseCacheStats {
    std::size_t entries = 0, bytes = 0, entries_max = 0, bytes_max = 0;
    std::uint64_t hits = 0, misses = 0, coalesced = 0, evictions = 0, invalidations = 0;
};

class ResponseCache {
  public:
    ResponseCache(std::size_t entries_max, std::size_t bytes_max) : entries_max_(entries_max), bytes_max_(bytes_max) {}

    // Params longer than this are not worth a key; such requests are not cached.
    static constexpr std::size_t key_bytes_max = 64 * 1024;
    // Builds the key of a request into `key`; false if it has none (too long, a member twice).
    static bool make_key(std::string& key, const Method& method, std::string_view params, const RequestMeta& meta);

    // The answer kept under this key, however old; null if there is none.
    std::shared_ptr<const CachedAnswer> find(std::string_view key);
    // Keeps an answer, unless something was invalidated since `generation` was read: it may be older than that.
    void store(std::string key, std::string_view json, const Method& method, std::int64_t now_ns,
               std::uint64_t generation);
    std::uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
    // Drops the answers of all methods that name this event in `invalidated_by`; how many.
    std::size_t invalidate_by(std::string_view event);
    // Drops everything; the bytes freed.
    std::size_t clear();

    void count_hit() { hits_.fetch_add(1, std::memory_order_relaxed); }
    void count_miss() { misses_.fetch_add(1, std::memory_order_relaxed); }
    void count_coalesced() { coalesced_.fetch_add(1, std::memory_order_relaxed); }
    ResponseCacheStats stats() const;

  private:
    struct Entry {
        std::string key;
        std::shared_ptr<const CachedAnswer> answer;
    };
    using Entries = std::list<Entry>;
    static std::size_t bytes_of(const Entry& entry) {
        return sizeof(Entry) + sizeof(CachedAnswer) + entry.key.size() + entry.answer->json.size();
    }
    void erase(Entries::iterator entry);

    const std::size_t entries_max_, bytes_max_;
    mutable std::mutex mutex_;
    Entries entries_;                                                // most recently used first; guarded by mutex_
    std::unordered_map<std::string_view, Entries::iterator> by_key_; // guarded by mutex_
    std::size_t bytes_ = 0;                                          // guarded by mutex_
    std::uint64_t evictions_ = 0, invalidations_ = 0;                // guarded by mutex_
    std::atomic<std::uint64_t> generation_{0};
    std::atomic<std::uint64_t> hits_{0}, misses_{0}, coalesced_{0};
};

} // namespace pillion
