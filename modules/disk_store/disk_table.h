// The tier's tables and what is asked of them, on a connection that the caller has. Keys and what is known of them are
// apart from values, so that looking through all keys reads few pages. Private to the module; no state.
//
// Large values are in the table too: of 256 KiB to 4 MiB, files of their own are read at twice the speed but written no
// faster, and a crash would leave files that nothing refers to.
#pragma once

#include "modules/cache_entry/cache_entry.h"
#include "modules/storage/storage.h"

#include <functional>

namespace pillion {

extern const std::vector<const char*> disk_migrations;

// The row of a key. Of two keys with one hash the later put stays.
std::int64_t disk_hash(std::string_view space, std::string_view name);

// What a transaction changes of the totals, and why entries went.
struct DiskChange {
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
    std::uint64_t evicted = 0;
    std::uint64_t expired = 0;
};

struct DiskTotals {
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
};

enum class DiskState : std::uint8_t { absent, expired, damaged, whole };
struct DiskFound {
    DiskState state = DiskState::absent;
    std::int64_t checksum = 0; // as it is kept
    TierValue value{};         // if whole
};

// A row without its value.
struct DiskRow {
    std::int64_t hash = 0;
    std::int64_t value_id = 0;
    std::int64_t gone_at_ms = 0;
    std::int64_t created_ms = 0;
    std::int64_t bytes = 0;
    std::int64_t made_in_ms = 0;
    std::int64_t priority = 0;
    std::int64_t uses = 0;
    std::int64_t used_ms = 0;
    std::string_view space{}, name{}, parts{}; // until the next row
};

// What an entry counts for in the quota.
std::int64_t disk_bytes(const TierKey& key, const TierValue& value);
bool selection_matches(const TierSelection& selection, const DiskRow& row, std::int64_t now_ms);

Result<DiskFound> find_entry(Database& database, const TierKey& key, std::int64_t hash, std::int64_t now_ms);
Result<void> put_entry(Database& database, const TierKey& key, std::int64_t hash, const TierValue& value,
                       std::int64_t now_ms, DiskChange& change);
Result<void> remove_entry(Database& database, const TierKey& key, std::int64_t hash, DiskChange& change);
// Only if it is still the one with this checksum.
Result<void> discard_entry(Database& database, std::int64_t hash, std::int64_t checksum, DiskChange& change);
Result<void> remove_row(Database& database, const DiskRow& row, DiskChange& change);
Result<void> add_uses(Database& database, std::int64_t hash, std::int64_t uses, std::int64_t used_ms);
Result<void> clear_entries(Database& database, DiskChange& change);

// Rows from `hash` on, in order of hashes, until `visit` says false or `limit` is reached. The hash to go on with;
// nothing when the end was reached.
Result<std::optional<std::int64_t>> visit_rows(Database& database, std::int64_t from, std::int64_t limit,
                                               const std::function<bool(const DiskRow&)>& visit);

Result<DiskTotals> add_to_totals(Database& database, const DiskChange& change);
Result<DiskTotals> read_totals(Database& database);

} // namespace pillion
