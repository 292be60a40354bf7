#include "modules/memory_store/memory_store_index.h"

namespace pillion {

void SlotIndex::place(Table& table, std::uint64_t hash, SlotId slot) {
    std::uint32_t at = home(table, hash);
    for (;; at = at + 1 == table.bucket_count ? 0 : at + 1) {
        Bucket& bucket = table.buckets[at];
        if (const std::uint32_t free = find_tag(bucket, 0); free != 0) {
            const auto place = static_cast<unsigned>(__builtin_ctz(free));
            bucket.tags[place] = tag_of(hash);
            bucket.slots[place] = slot;
            ++table.used;
            return;
        }
        if (bucket.passed < 255) ++bucket.passed;
    }
}

void SlotIndex::erase(std::uint64_t hash, SlotId slot) {
    Table& table = tables_[table_of(hash)];
    std::uint32_t at = home(table, hash);
    for (std::uint32_t tries = 0; tries < table.bucket_count; ++tries) {
        Bucket& bucket = table.buckets[at];
        for (std::uint32_t found = find_tag(bucket, tag_of(hash)); found != 0; found &= found - 1) {
            const auto place = static_cast<unsigned>(__builtin_ctz(found));
            if (bucket.slots[place] != slot) continue;
            bucket.tags[place] = 0;
            --table.used;
            return;
        }
        // A count that has stopped at its highest stays there: it only costs a look.
        if (bucket.passed < 255) --bucket.passed;
        at = at + 1 == table.bucket_count ? 0 : at + 1;
    }
}

std::size_t SlotIndex::bytes() const {
    std::size_t buckets = 0;
    for (const Table& table : tables_) buckets += table.bucket_count;
    return buckets * sizeof(Bucket);
}

} // namespace pillion
