#include "modules/memory_store/entry_index.h"

#include <algorithm>

namespace pillion {

void EntryIndex::place(Table& table, std::uint64_t hash, const MemoryEntry* entry) {
    std::uint32_t at = home(table, hash);
    for (;; at = at + 1 == table.bucket_count ? 0 : at + 1) {
        Bucket& bucket = table.buckets[at];
        if (const std::uint32_t free = find_tag(bucket, 0); free != 0) {
            const auto place = static_cast<unsigned>(__builtin_ctz(free));
            bucket.tags[place] = tag_of(hash);
            bucket.set_entry(place, entry);
            ++table.used;
            return;
        }
        if (bucket.passed < 255) ++bucket.passed;
    }
}

void EntryIndex::replace(std::uint64_t hash, const MemoryEntry* entry, const MemoryEntry* by) {
    Table& table = tables_[table_of(hash)];
    std::uint32_t at = home(table, hash);
    for (std::uint32_t tries = 0; tries < table.bucket_count; ++tries) {
        Bucket& bucket = table.buckets[at];
        for (std::uint32_t found = find_tag(bucket, tag_of(hash)); found != 0; found &= found - 1) {
            const auto place = static_cast<unsigned>(__builtin_ctz(found));
            if (bucket.entry(place) == entry) return bucket.set_entry(place, by);
        }
        at = at + 1 == table.bucket_count ? 0 : at + 1;
    }
}

void EntryIndex::erase(std::uint64_t hash, const MemoryEntry* entry) {
    Table& table = tables_[table_of(hash)];
    std::uint32_t at = home(table, hash);
    for (std::uint32_t tries = 0; tries < table.bucket_count; ++tries) {
        Bucket& bucket = table.buckets[at];
        for (std::uint32_t found = find_tag(bucket, tag_of(hash)); found != 0; found &= found - 1) {
            const auto place = static_cast<unsigned>(__builtin_ctz(found));
            if (bucket.entry(place) != entry) continue;
            bucket.tags[place] = 0;
            --table.used;
            return;
        }
        // A count that has stopped at its highest stays there: it only costs a look.
        if (bucket.passed < 255) --bucket.passed;
        at = at + 1 == table.bucket_count ? 0 : at + 1;
    }
}

void EntryIndex::settle(std::uint64_t& rank, std::uint32_t bucket, std::vector<Ranked>& found) const {
    std::sort(found.begin(), found.end(), [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
    const std::uint64_t table = rank >> 58;
    const std::uint64_t buckets = tables_[table].bucket_count;
    if (bucket + 1 == buckets) {
        rank = (table + 1) << 58; // of the last table: 0
    } else {
        // The least low half whose home is the next bucket.
        const std::uint64_t low = (((std::uint64_t{bucket} + 1) << 32) + buckets - 1) / buckets;
        rank = table << 58 | low << 26;
    }
}

std::size_t EntryIndex::bytes() const {
    std::size_t buckets = 0;
    for (const Table& table : tables_) buckets += table.bucket_count;
    return buckets * sizeof(Bucket);
}

} // namespace pillion
