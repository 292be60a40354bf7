// From a key's hash to its slot: open addressing in buckets of one cache line, twelve slots with a byte of each one's
// hash, and how many keys were pushed on to later buckets, after F14 (Bronson, Shi, Facebook, 2019). In 64 tables that
// grow by themselves and by half, so that none takes long. Private to memory_store: looked into under a read lock or
// the store's mutex, changed under the write lock.
#pragma once

#include "modules/memory_store/memory_store_slots.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pillion {

class SlotIndex {
    struct alignas(64) Bucket {
        static constexpr unsigned slots_max = 12;
        std::array<std::uint8_t, slots_max> tags{}; // 0: free
        std::uint8_t passed = 0;                    // keys that found this bucket full; 255: that or more
        std::array<std::uint8_t, 3> unused{};
        std::array<SlotId, slots_max> slots{};
    };

  public:
    struct Table {
        std::unique_ptr<Bucket[]> buckets = std::make_unique<Bucket[]>(1);
        std::uint32_t bucket_count = 1;
        std::uint32_t used = 0;
    };

    // The slot under this hash for which `matches(slot)`, or no_slot.
    template <class Matches>
    SlotId find(std::uint64_t hash, const Matches& matches) const {
        const Table& table = tables_[table_of(hash)];
        std::uint32_t at = home(table, hash);
        for (std::uint32_t tries = 0; tries < table.bucket_count; ++tries) {
            const Bucket& bucket = table.buckets[at];
            for (std::uint32_t found = find_tag(bucket, tag_of(hash)); found != 0; found &= found - 1) {
                const SlotId slot = bucket.slots[static_cast<unsigned>(__builtin_ctz(found))];
                if (matches(slot)) return slot;
            }
            if (bucket.passed == 0) break;
            at = at + 1 == table.bucket_count ? 0 : at + 1;
        }
        return no_slot;
    }

    // Makes the table that another key of this hash needs, while readers go on; the table that is there, if it has
    // room, is left alone. `hash_of(slot)` tells the hash of a slot's key.
    template <class HashOf>
    std::optional<Table> prepare(std::uint64_t hash, const HashOf& hash_of) const {
        const Table& old = tables_[table_of(hash)];
        if (old.used < old.bucket_count * used_max) return std::nullopt;
        Table grown;
        grown.bucket_count = old.bucket_count + std::max(old.bucket_count / 2, 1U);
        grown.buckets = std::make_unique<Bucket[]>(grown.bucket_count);
        for (std::uint32_t i = 0; i < old.bucket_count; ++i) {
            for (unsigned j = 0; j < Bucket::slots_max; ++j) {
                if (old.buckets[i].tags[j] != 0)
                    place(grown, hash_of(old.buckets[i].slots[j]), old.buckets[i].slots[j]);
            }
        }
        return grown;
    }
    // Exchanges the table; the one that was there comes back.
    void exchange(std::uint64_t hash, Table& table) { std::swap(tables_[table_of(hash)], table); }
    // After prepare() and exchange().
    void insert(std::uint64_t hash, SlotId slot) { place(tables_[table_of(hash)], hash, slot); }
    void erase(std::uint64_t hash, SlotId slot);

    std::size_t bytes() const;

  private:
    static constexpr unsigned used_max = 10; // of a bucket's slots, on average

    static std::size_t table_of(std::uint64_t hash) { return hash >> 58; }
    static std::uint32_t home(const Table& table, std::uint64_t hash) {
        return static_cast<std::uint32_t>((hash & 0xFFFFFFFF) * table.bucket_count >> 32);
    }
    static std::uint8_t tag_of(std::uint64_t hash) {
        const auto tag = static_cast<std::uint8_t>(hash >> 40);
        return tag == 0 ? 1 : tag;
    }
    static std::uint32_t find_tag(const Bucket& bucket, std::uint8_t tag) {
        constexpr std::uint32_t all = (1U << Bucket::slots_max) - 1;
#if defined(__SSE2__)
        const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(&bucket));
        const __m128i same = _mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)));
        return static_cast<std::uint32_t>(_mm_movemask_epi8(same)) & all;
#else
        std::uint32_t found = 0;
        for (unsigned i = 0; i < Bucket::slots_max; ++i)
            found |= static_cast<std::uint32_t>(bucket.tags[i] == tag) << i;
        return found & all;
#endif
    }
    static void place(Table& table, std::uint64_t hash, SlotId slot);

    std::array<Table, 64> tables_;
};

} // namespace pillion
