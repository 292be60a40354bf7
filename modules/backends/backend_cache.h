// Answers of one backend that may be given again, as the bytes that will be sent; bounded by entries and bytes, least
// recently used first. One thread at a time; the backend locks.
#pragma once

#include "modules/backends/backend_spec.h"

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pillion {

struct KeptAnswer {
    std::string method{};
    std::string params{}; // as sent, to ask again
    std::string uri{};    // of an MCP resource; empty for anything else
    std::shared_ptr<const std::string> json{};
    const BackendCacheRule* rule = nullptr;
    std::int64_t stored_ns = 0;
    std::optional<std::int64_t> ttl_ms{}; // absent: until invalidated
    bool is_suspect = false;              // kept from an earlier process: given, and asked again when one runs
    bool is_refreshed = false;            // asked by ourselves, not by a caller
};

class BackendCache {
  public:
    BackendCache(std::size_t entries_max, std::size_t bytes_max) : entries_max_(entries_max), bytes_max_(bytes_max) {}

    // However old; null if there is none. Valid until the next change.
    KeptAnswer* find(std::string_view key);
    // Keeps it, unless something was invalidated since `generation` was read: it may be older than that.
    bool store(std::string key, KeptAnswer answer, std::uint64_t generation);
    // Counts what may make answers void, also those on their way.
    std::uint64_t generation() const { return generation_; }
    void bump_generation() { ++generation_; }

    // Drops those that `is_void` accepts; how many.
    template <class Predicate>
    std::size_t erase_if(Predicate is_void) {
        ++generation_;
        std::size_t dropped = 0;
        for (auto entry = entries_.begin(); entry != entries_.end();) {
            const auto current = entry++;
            if (!is_void(current->answer)) continue;
            erase(current);
            ++dropped;
        }
        return dropped;
    }
    template <class Visitor>
    void visit(Visitor visitor) {
        for (Entry& entry : entries_) visitor(entry.key, entry.answer);
    }

    std::size_t entries() const { return entries_.size(); }
    std::size_t bytes() const { return bytes_; }
    std::uint64_t evictions() const { return evictions_; }

  private:
    struct Entry {
        std::string key;
        KeptAnswer answer;
    };
    using Entries = std::list<Entry>;
    static std::size_t bytes_of(const Entry& entry) {
        return sizeof(Entry) + 2 * entry.key.size() + entry.answer.params.size() + entry.answer.json->size();
    }
    void erase(Entries::iterator entry);

    const std::size_t entries_max_, bytes_max_;
    Entries entries_; // most recently used first
    std::unordered_map<std::string_view, Entries::iterator> by_key_;
    std::size_t bytes_ = 0;
    std::uint64_t evictions_ = 0;
    std::uint64_t generation_ = 0;
};

} // namespace pillion
