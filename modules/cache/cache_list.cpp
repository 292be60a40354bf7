#include "modules/cache/cache.h"

namespace pillion {

Result<std::vector<CacheEntryInfo>> Cache::list(const std::optional<std::string>& space_name,
                                                const std::string& pattern, std::size_t limit) {
    if (!pattern.empty()) PILLION_TRY(check_glob(pattern));
    std::vector<CacheSpace*> chosen;
    if (space_name)
        chosen.push_back(PILLION_TRY(space(*space_name)));
    else
        chosen = spaces();
    std::vector<CacheEntryInfo> entries;
    const std::int64_t now = now_ms();
    for (CacheSpace* const space : chosen) {
        const MemoryStore* const store = space->find_store();
        if (store == nullptr) continue;
        std::uint64_t cursor = 0;
        do {
            for (const StoredEntry& stored : store->list(cursor, 512, now)) {
                CacheEntryInfo entry;
                bool is_there = false;
                store->peek(stored.key, MemoryStore::hash_of(stored.key), now,
                            [&](std::string_view record, const EntryInfo& info) {
                                const auto decoded = decode_record(record);
                                if (!decoded) return;
                                entry.meta = decoded->meta;
                                entry.bytes = record.size();
                                entry.accesses = info.accesses;
                                entry.last_access_ms = info.last_access_ms;
                                if (entry.meta.sliding_ms > 0) entry.meta.fresh_until_ms = info.gone_at_ms;
                                is_there = true;
                            });
                if (!is_there || !invalidations_.counts(space->name, entry.meta)) continue;
                entry.space = space->name;
                entry.key = {stored.key, entry.meta.parts};
                if (!pattern.empty() && !glob_match(pattern, entry.key.text())) continue;
                entry.ttl_ms = entry.meta.fresh_until_ms == never_ms ? never_ms : entry.meta.fresh_until_ms - now;
                entries.push_back(std::move(entry));
                if (entries.size() >= limit) return entries;
            }
        } while (cursor != 0);
    }
    return entries;
}

} // namespace pillion
