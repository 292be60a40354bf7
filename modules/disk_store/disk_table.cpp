// Checksums are XXH3-64 of the record, mixed with the key's hash and the time it is gone: a record in another key's
// place, or with another end, does not pass.
#include "modules/disk_store/disk_table.h"

#include <algorithm>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

const std::vector<const char*> disk_migrations{
    // In front what a get needs: SQLite decodes a row from its beginning.
    "CREATE TABLE disk_entries (hash INTEGER PRIMARY KEY, value_id INTEGER NOT NULL, gone_at INTEGER,"
    " checksum INTEGER NOT NULL, space BLOB NOT NULL, name BLOB NOT NULL, parts BLOB NOT NULL,"
    " created INTEGER NOT NULL, bytes INTEGER NOT NULL, made_in INTEGER NOT NULL, priority INTEGER NOT NULL,"
    " uses INTEGER NOT NULL, used INTEGER NOT NULL);"
    "CREATE TABLE disk_values (id INTEGER PRIMARY KEY, record BLOB NOT NULL);"
    "CREATE TABLE disk_totals (entries INTEGER NOT NULL, bytes INTEGER NOT NULL);"
    "INSERT INTO disk_totals VALUES (0, 0)"};

namespace {

constexpr std::int64_t row_bytes = 96; // what a row costs besides its key and its value

std::int64_t checksum_of(std::string_view record, std::int64_t hash, std::int64_t gone_at_ms) {
    const std::uint64_t where =
        static_cast<std::uint64_t>(hash) + static_cast<std::uint64_t>(gone_at_ms) * XXH_PRIME64_1;
    return static_cast<std::int64_t>(XXH3_64bits(record.data(), record.size()) ^ XXH64_avalanche(where));
}

// Ends a look at rows before its end.
class Reset {
  public:
    explicit Reset(Statement& statement) : statement_(statement) {}
    Reset(const Reset&) = delete;
    ~Reset() { statement_.reset(); }

  private:
    Statement& statement_;
};

std::int64_t time_of(const Statement& row, int column) { return row.is_null(column) ? never_ms : row.integer(column); }

void bind_time(Statement& statement, int parameter, std::int64_t time_ms) {
    if (time_ms == never_ms)
        statement.bind_null(parameter);
    else
        statement.bind(parameter, time_ms);
}

// Value and size of what stands in a key's place.
struct Place {
    std::int64_t value_id = 0;
    std::int64_t bytes = 0;
};

Result<std::optional<Place>> find_place(Database& database, std::int64_t hash) {
    Statement& find = *PILLION_TRY(database.prepared("SELECT value_id, bytes FROM disk_entries WHERE hash = ?1"));
    const Reset reset(find);
    if (!PILLION_TRY(find.with(hash).step())) return std::nullopt;
    return Place{find.integer(0), find.integer(1)};
}

Result<std::int64_t> insert_value(Database& database, std::string_view record) {
    Statement& insert = *PILLION_TRY(database.prepared("INSERT INTO disk_values (record) VALUES (?1)"));
    PILLION_TRY(insert.with(Blob{record}).run());
    return database.last_row_id();
}

Result<void> replace_value(Database& database, std::int64_t id, std::string_view record) {
    Statement& update = *PILLION_TRY(database.prepared("UPDATE disk_values SET record = ?2 WHERE id = ?1"));
    PILLION_TRY(update.with(id, Blob{record}).run());
    if (database.changes() > 0) return {};
    Statement& insert = *PILLION_TRY(database.prepared("INSERT INTO disk_values (id, record) VALUES (?1, ?2)"));
    return insert.with(id, Blob{record}).run();
}

} // namespace

std::int64_t disk_hash(std::string_view space, std::string_view name) {
    return static_cast<std::int64_t>(
        XXH3_64bits_withSeed(name.data(), name.size(), XXH3_64bits(space.data(), space.size())));
}

std::int64_t disk_bytes(const TierKey& key, const TierValue& value) {
    return row_bytes +
           static_cast<std::int64_t>(key.space.size() + key.name.size() + key.parts.size() + value.record.size());
}

bool selection_matches(const TierSelection& selection, const DiskRow& row, std::int64_t now_ms) {
    if (!selection.space.empty() && selection.space != row.space) return false;
    if (selection.name && *selection.name != row.name) return false;
    if (selection.pattern && !glob_match(*selection.pattern, row.parts.empty() ? row.name : row.parts)) return false;
    if (selection.created_before_ms && row.created_ms >= *selection.created_before_ms) return false;
    return !selection.expired || row.gone_at_ms <= now_ms;
}

Result<DiskFound> find_entry(Database& database, const TierKey& key, std::int64_t hash, std::int64_t now_ms) {
    Statement& find = *PILLION_TRY(database.prepared(
        "SELECT e.gone_at, e.checksum, e.space, e.name, v.record FROM disk_entries e CROSS JOIN disk_values v"
        " ON v.id = e.value_id WHERE e.hash = ?1"));
    const Reset reset(find);
    find.bind(1, hash);
    if (!PILLION_TRY(find.step()) || find.text(2) != key.space || find.text(3) != key.name) return DiskFound{};
    DiskFound found{.checksum = find.integer(1), .value = {.gone_at_ms = time_of(find, 0)}};
    found.state = DiskState::expired;
    if (found.value.gone_at_ms <= now_ms) return found;
    const std::string_view record = find.text(4);
    found.state = DiskState::damaged;
    if (checksum_of(record, hash, found.value.gone_at_ms) != found.checksum) return found;
    found.state = DiskState::whole;
    found.value.record = record;
    return found;
}

Result<void> put_entry(Database& database, const TierKey& key, std::int64_t hash, const TierValue& value,
                       std::int64_t now_ms, DiskChange& change) {
    const auto place = PILLION_TRY(find_place(database, hash));
    std::int64_t value_id = 0;
    if (place) {
        value_id = place->value_id;
        PILLION_TRY(replace_value(database, value_id, value.record));
    } else {
        value_id = PILLION_TRY(insert_value(database, value.record));
    }
    const auto glance = glance_record(value.record);
    const std::int64_t bytes = disk_bytes(key, value);
    Statement& put = *PILLION_TRY(database.prepared(
        "INSERT INTO disk_entries VALUES (?1, ?2, ?3, ?8, ?9, ?10, ?11, ?4, ?5, ?6, ?7, 0, 0) ON CONFLICT (hash) DO "
        "UPDATE SET gone_at = excluded.gone_at, created = excluded.created, bytes = excluded.bytes, made_in = "
        "excluded.made_in, priority = excluded.priority, checksum = excluded.checksum, space = excluded.space, name = "
        "excluded.name, parts = excluded.parts"));
    put.bind(1, hash);
    put.bind(2, value_id);
    bind_time(put, 3, value.gone_at_ms);
    put.bind(4, glance ? glance->created_ms : now_ms);
    put.bind(5, bytes);
    put.bind(6, glance ? glance->made_in_ms : std::int64_t{0});
    put.bind(7, static_cast<std::int64_t>(glance ? glance->priority : RecordMeta{}.priority));
    put.bind(8, checksum_of(value.record, hash, value.gone_at_ms));
    put.bind(9, Blob{key.space});
    put.bind(10, Blob{key.name});
    put.bind(11, Blob{key.parts});
    PILLION_TRY(put.run());
    change.entries += place ? 0 : 1;
    change.bytes += bytes - (place ? place->bytes : 0);
    return {};
}

Result<void> remove_row(Database& database, const DiskRow& row, DiskChange& change) {
    Statement& entry = *PILLION_TRY(database.prepared("DELETE FROM disk_entries WHERE hash = ?1"));
    PILLION_TRY(entry.with(row.hash).run());
    Statement& value = *PILLION_TRY(database.prepared("DELETE FROM disk_values WHERE id = ?1"));
    PILLION_TRY(value.with(row.value_id).run());
    change.entries -= 1;
    change.bytes -= row.bytes;
    return {};
}

Result<void> remove_entry(Database& database, const TierKey& key, std::int64_t hash, DiskChange& change) {
    Statement& find = *PILLION_TRY(
        database.prepared("SELECT value_id, bytes FROM disk_entries WHERE hash = ?1 AND space = ?2 AND name = ?3"));
    DiskRow row{.hash = hash};
    {
        const Reset reset(find);
        if (!PILLION_TRY(find.with(hash, Blob{key.space}, Blob{key.name}).step())) return {};
        row.value_id = find.integer(0);
        row.bytes = find.integer(1);
    }
    return remove_row(database, row, change);
}

Result<void> discard_entry(Database& database, std::int64_t hash, std::int64_t checksum, DiskChange& change) {
    Statement& find =
        *PILLION_TRY(database.prepared("SELECT value_id, bytes FROM disk_entries WHERE hash = ?1 AND checksum = ?2"));
    DiskRow row{.hash = hash};
    {
        const Reset reset(find);
        if (!PILLION_TRY(find.with(hash, checksum).step())) return {};
        row.value_id = find.integer(0);
        row.bytes = find.integer(1);
    }
    return remove_row(database, row, change);
}

Result<void> add_uses(Database& database, std::int64_t hash, std::int64_t uses, std::int64_t used_ms) {
    Statement& update = *PILLION_TRY(
        database.prepared("UPDATE disk_entries SET uses = uses + ?2, used = max(used, ?3) WHERE hash = ?1"));
    return update.with(hash, uses, used_ms).run();
}

Result<void> clear_entries(Database& database, DiskChange& change) {
    const DiskTotals totals = PILLION_TRY(read_totals(database));
    PILLION_TRY(database.execute("DELETE FROM disk_entries; DELETE FROM disk_values"));
    change.entries = -totals.entries;
    change.bytes = -totals.bytes;
    return {};
}

Result<std::optional<std::int64_t>> visit_rows(Database& database, std::int64_t from, std::int64_t limit,
                                               const std::function<bool(const DiskRow&)>& visit) {
    Statement& read = *PILLION_TRY(database.prepared(
        "SELECT hash, value_id, gone_at, created, bytes, made_in, priority, uses, used, space, name, parts FROM "
        "disk_entries WHERE hash >= ?1 ORDER BY hash LIMIT ?2"));
    const Reset reset(read);
    read.bind(1, from);
    read.bind(2, limit);
    std::int64_t last = from;
    for (std::int64_t count = 1; PILLION_TRY(read.step()); ++count) {
        const DiskRow row{.hash = read.integer(0),
                          .value_id = read.integer(1),
                          .gone_at_ms = time_of(read, 2),
                          .created_ms = read.integer(3),
                          .bytes = read.integer(4),
                          .made_in_ms = read.integer(5),
                          .priority = read.integer(6),
                          .uses = read.integer(7),
                          .used_ms = read.integer(8),
                          .space = read.text(9),
                          .name = read.text(10),
                          .parts = read.text(11)};
        // Only a damaged tree has them out of order: who goes on from there would go round.
        if (row.hash < last) return fail(ErrorCode::corrupt, "the disk tier's rows are out of order");
        last = row.hash;
        if ((!visit(row) || count == limit) && last != std::numeric_limits<std::int64_t>::max()) return last + 1;
    }
    return std::nullopt;
}

Result<DiskTotals> add_to_totals(Database& database, const DiskChange& change) {
    if (change.entries != 0 || change.bytes != 0) {
        Statement& update =
            *PILLION_TRY(database.prepared("UPDATE disk_totals SET entries = entries + ?1, bytes = bytes + ?2"));
        PILLION_TRY(update.with(change.entries, change.bytes).run());
    }
    return read_totals(database);
}

Result<DiskTotals> read_totals(Database& database) {
    Statement& read = *PILLION_TRY(database.prepared("SELECT entries, bytes FROM disk_totals"));
    const Reset reset(read);
    read.reset();
    if (!PILLION_TRY(read.step())) return fail(ErrorCode::corrupt, "the disk tier's totals are missing");
    return DiskTotals{read.integer(0), read.integer(1)};
}

} // namespace pillion
