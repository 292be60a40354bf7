// From a key's hash to its entry: open addressing in buckets of one cache line, nine entries with a byte of each one's
// hash, and how many keys were pushed on to later buckets, after F14 (Bronson, Shi, Facebook, 2019). In 64 tables that
// grow by themselves and by half, so that none takes long. Private to memory_store: looked into under a read lock or
// the store's mutex, changed under the write lock.
#pragma once

#include "modules/memory_store/memory_entry.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pillion {

class EntryIndex {
    // Pointers take 48 bits: the kernel hands out no higher addresses to who does not ask for them.
    struct alignas(64) Bucket {
        static constexpr unsigned entries_max = 9;
        static constexpr std::size_t pointer_bytes = 6;
        static_assert(std::endian::native == std::endian::little);

        MemoryEntry* entry(unsigned place) const {
            std::uintptr_t address = 0;
            std::memcpy(&address, &pointers[place * pointer_bytes], pointer_bytes);
            return reinterpret_cast<MemoryEntry*>(address);
        }
        void set_entry(unsigned place, const MemoryEntry* entry) {
            const auto address = reinterpret_cast<std::uintptr_t>(entry);
            std::memcpy(&pointers[place * pointer_bytes], &address, pointer_bytes);
        }

        std::array<std::uint8_t, entries_max * pointer_bytes> pointers{};
        std::array<std::uint8_t, entries_max> tags{}; // 0: free
        std::uint8_t passed = 0;                      // keys that found this bucket full; 255: that or more
    };
    static_assert(sizeof(Bucket) == 64);

  public:
    struct Table {
        std::unique_ptr<Bucket[]> buckets = std::make_unique<Bucket[]>(1);
        std::uint32_t bucket_count = 1;
        std::uint32_t used = 0;
    };

    // The entry under this hash for which `matches(entry)`, or null.
    template <class Matches>
    MemoryEntry* find(std::uint64_t hash, const Matches& matches) const {
        const Table& table = tables_[table_of(hash)];
        std::uint32_t at = home(table, hash);
        for (std::uint32_t tries = 0; tries < table.bucket_count; ++tries) {
            const Bucket& bucket = table.buckets[at];
            for (std::uint32_t found = find_tag(bucket, tag_of(hash)); found != 0; found &= found - 1) {
                MemoryEntry* const entry = bucket.entry(static_cast<unsigned>(__builtin_ctz(found)));
                // What follows the key is wanted too, and need not wait until the keys are compared.
                __builtin_prefetch(reinterpret_cast<const char*>(entry) + 64);
                __builtin_prefetch(reinterpret_cast<const char*>(entry) + 128);
                if (matches(*entry)) return entry;
            }
            if (bucket.passed == 0) break;
            at = at + 1 == table.bucket_count ? 0 : at + 1;
        }
        return nullptr;
    }

    // Makes the table that another key of this hash needs, while readers go on; the table that is there, if it has
    // room, is left alone. `hash_of(entry)` tells the hash of an entry's key.
    template <class HashOf>
    std::optional<Table> prepare(std::uint64_t hash, const HashOf& hash_of) const {
        const Table& old = tables_[table_of(hash)];
        if (old.used < old.bucket_count * used_max) return std::nullopt;
        Table grown;
        grown.bucket_count = old.bucket_count + std::max(old.bucket_count / 2, 1U);
        grown.buckets = std::make_unique<Bucket[]>(grown.bucket_count);
        for (std::uint32_t i = 0; i < old.bucket_count; ++i) {
            if (i + 2 < old.bucket_count) prefetch(old.buckets[i + 2]);
            for (std::uint32_t used = all & ~find_tag(old.buckets[i], 0); used != 0; used &= used - 1) {
                MemoryEntry* const entry = old.buckets[i].entry(static_cast<unsigned>(__builtin_ctz(used)));
                place(grown, hash_of(*entry), entry);
            }
        }
        return grown;
    }
    // Exchanges the table; the one that was there comes back.
    void exchange(std::uint64_t hash, Table& table) { std::swap(tables_[table_of(hash)], table); }
    // After prepare() and exchange().
    void insert(std::uint64_t hash, MemoryEntry* entry) { place(tables_[table_of(hash)], hash, entry); }
    void replace(std::uint64_t hash, const MemoryEntry* entry, const MemoryEntry* by);
    void erase(std::uint64_t hash, const MemoryEntry* entry);

    // Entries in an order that is their hashes', so that whoever goes through them in many steps meets each that stays
    // exactly once, whatever comes and goes and grows meanwhile.
    struct Ranked {
        std::uint64_t rank;
        MemoryEntry* entry;
    };
    // The few entries from `rank` on that are in its bucket, in order; `rank` moves on behind them, and is 0 after the
    // last bucket.
    template <class HashOf>
    void step(std::uint64_t& rank, std::vector<Ranked>& found, const HashOf& hash_of) const {
        found.clear();
        const Table& table = tables_[rank >> 58];
        const std::uint32_t wanted = home_of_low(table, rank >> 26 & 0xFFFFFFFF);
        std::uint32_t at = wanted;
        for (std::uint32_t tries = 0; tries < table.bucket_count; ++tries) {
            const Bucket& bucket = table.buckets[at];
            prefetch(bucket);
            for (std::uint32_t used = all & ~find_tag(bucket, 0); used != 0; used &= used - 1) {
                MemoryEntry* const entry = bucket.entry(static_cast<unsigned>(__builtin_ctz(used)));
                const std::uint64_t hash = hash_of(*entry);
                if (home(table, hash) == wanted && rank_of(hash) >= rank) found.push_back({rank_of(hash), entry});
            }
            if (bucket.passed == 0) break;
            at = at + 1 == table.bucket_count ? 0 : at + 1;
        }
        settle(rank, wanted, found);
    }

    std::size_t bytes() const;

  private:
    static constexpr std::uint32_t all = (1U << Bucket::entries_max) - 1;
    static constexpr std::uint32_t used_max = 7; // of a bucket's places, on average

    static std::size_t table_of(std::uint64_t hash) { return hash >> 58; }
    // Rises with the hash's low half, however many buckets there are.
    static std::uint32_t home_of_low(const Table& table, std::uint64_t low) {
        return static_cast<std::uint32_t>(low * table.bucket_count >> 32);
    }
    static std::uint32_t home(const Table& table, std::uint64_t hash) { return home_of_low(table, hash & 0xFFFFFFFF); }
    // The table, the low half, the rest.
    static std::uint64_t rank_of(std::uint64_t hash) {
        return hash >> 58 << 58 | (hash & 0xFFFFFFFF) << 26 | (hash >> 32 & ((1ULL << 26) - 1));
    }
    static std::uint8_t tag_of(std::uint64_t hash) {
        const auto tag = static_cast<std::uint8_t>(hash >> 40);
        return tag == 0 ? 1 : tag;
    }
    static std::uint32_t find_tag(const Bucket& bucket, std::uint8_t tag) {
#if defined(__SSE2__)
        // The last quarter of the line: six bytes of pointers, the tags, `passed`.
        const auto* const last = reinterpret_cast<const char*>(&bucket) + 48;
        const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(last));
        const __m128i same = _mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)));
        return static_cast<std::uint32_t>(_mm_movemask_epi8(same)) >> 6 & all;
#else
        std::uint32_t found = 0;
        for (unsigned i = 0; i < Bucket::entries_max; ++i)
            found |= static_cast<std::uint32_t>(bucket.tags[i] == tag) << i;
        return found;
#endif
    }
    // What has to be read of each entry to know its hash lies anywhere in memory: all at once rather than one by one.
    static void prefetch(const Bucket& bucket) {
        for (std::uint32_t used = all & ~find_tag(bucket, 0); used != 0; used &= used - 1) {
            const auto* const entry = bucket.entry(static_cast<unsigned>(__builtin_ctz(used)));
            __builtin_prefetch(entry);
            __builtin_prefetch(reinterpret_cast<const char*>(entry) + MemoryEntry::head_bytes + 16);
        }
    }
    static void place(Table& table, std::uint64_t hash, const MemoryEntry* entry);
    void settle(std::uint64_t& rank, std::uint32_t bucket, std::vector<Ranked>& found) const;

    std::array<Table, 64> tables_;
};

} // namespace pillion
