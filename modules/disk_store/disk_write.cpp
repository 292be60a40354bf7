#include "ipc/base/log.h"
#include "modules/disk_store/disk_engine.h"

namespace pillion {

namespace {

constexpr std::uint64_t removals_of_a_turn = 2000; // bounds how long an invalidation holds up other writes
constexpr std::uint64_t share_of_an_entry = 4;     // the most that one may take of all
constexpr std::int64_t rows_of_a_turn = 50'000;
constexpr std::int64_t swept_for_each_put = 2;
constexpr const char* pages_freed_in_a_turn = "PRAGMA incremental_vacuum(1000)";
constexpr std::uint64_t removals_worth_a_vacuum = 1000;

bool selects_all(const TierSelection& selection) {
    return selection.space.empty() && !selection.name && !selection.pattern && !selection.created_before_ms &&
           !selection.expired;
}

// Pages that were given back leave the file when the journal is brought into it. By a connection of its own, because
// that is nothing for the middle of a transaction; while others read, it is left to the next time.
void shorten_file(Store& store) {
    const auto shortened = store.read([&store](Database&) -> Result<void> {
        Database own =
            PILLION_TRY(Database::open({.path = store.path(), .durability = Durability::relaxed, .busy_wait_ms = 100}));
        return own.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    });
    if (!shortened) log(LogLevel::info, "disk", "the file is as long as it was: " + shortened.error().message);
}

} // namespace

Result<void> DiskStore::Engine::check_size(const DiskOperation& operation) const {
    if (operation.kind != DiskOperation::Kind::put && operation.kind != DiskOperation::Kind::remove) return {};
    PILLION_TRY(check_key(operation.key));
    const auto entry_bytes = static_cast<std::uint64_t>(disk_bytes(operation.key, operation.value));
    if (entry_bytes <= options.bytes_max / share_of_an_entry) return {};
    return fail(ErrorCode::exhausted, "an entry of " + std::to_string(entry_bytes) + " bytes is over a " +
                                          std::to_string(share_of_an_entry) + "th of the disk tier's " +
                                          std::to_string(options.bytes_max));
}

// A refusal comes on the worker's thread, like every answer; once that has ended, at once.
void DiskStore::Engine::write(DiskOperation operation) {
    Result<void> refusal{};
    if (is_stopped)
        refusal = fail(ErrorCode::unavailable, "the disk tier has been stopped, Pillion is ending");
    else if (const Result<void> fits = check_size(operation); !fits)
        refusal = fits;
    else if (!queue.add(operation, options.queued_bytes_max))
        refusal = fail(ErrorCode::exhausted,
                       "the disk does not keep up: " + std::to_string(options.queued_bytes_max) + " bytes wait for it");
    if (refusal) return start_writing();
    errors.fetch_add(1, std::memory_order_relaxed);
    const auto refused = std::make_shared<DiskOperation>(std::move(operation));
    if (!worker.post([refused, refusal] { refused->answer(refusal); })) refused->answer(refusal);
}

// The Store may have to open the file, or to wait: not on the caller's thread.
void DiskStore::Engine::start_writing() {
    {
        const std::lock_guard lock(write_mutex);
        if (is_writing) return;
        is_writing = true;
    }
    if (!worker.post([this] { write_batch(); })) write_batch();
}

// is_writing is set, so this is the only one.
void DiskStore::Engine::write_batch() {
    batch = queue.take();
    store.write([this](Database& database) { return run_batch(database); },
                [this](const Result<void>& result) { batch_done(result); });
}

void DiskStore::Engine::batch_done(const Result<void>& result) {
    if (result) {
        entries = batch_totals.entries;
        bytes = batch_totals.bytes;
        evicted.fetch_add(batch_change.evicted, std::memory_order_relaxed);
        expired.fetch_add(batch_change.expired, std::memory_order_relaxed);
    }
    note(result);
    queue.finish(batch, result); // what wants another turn is gone from it
    for (DiskOperation& operation : batch) {
        std::atomic<std::uint64_t>& counter = result ? writes : errors;
        if (operation.kind == DiskOperation::Kind::put) counter.fetch_add(1, std::memory_order_relaxed);
        if (operation.kind == DiskOperation::Kind::vacuum && result) shorten_file(store);
        operation.answer(result);
    }
    {
        const std::lock_guard lock(write_mutex);
        if (queue.is_empty()) {
            is_writing = false;
            written.notify_all();
            return;
        }
    }
    write_batch();
}

Result<void> DiskStore::Engine::run_batch(Database& database) {
    batch_change = {};
    std::int64_t puts = 0;
    for (DiskOperation& operation : batch) {
        PILLION_TRY(run(database, operation, batch_change));
        puts += operation.kind == DiskOperation::Kind::put ? 1 : 0;
    }
    const std::int64_t now_ms = clock.wall_ms();
    if (puts > 0) PILLION_TRY(eviction.sweep(database, puts * swept_for_each_put, now_ms, batch_change));
    batch_totals = PILLION_TRY(add_to_totals(database, batch_change));
    const auto bytes_max = static_cast<std::int64_t>(options.bytes_max);
    if (puts == 0 || batch_totals.bytes <= bytes_max) return {};
    DiskChange room;
    PILLION_TRY(eviction.make_room(database, batch_totals.bytes, bytes_max, now_ms, room));
    batch_totals = PILLION_TRY(add_to_totals(database, room));
    batch_change.evicted += room.evicted;
    batch_change.expired += room.expired;
    return {};
}

Result<void> DiskStore::Engine::run(Database& database, DiskOperation& operation, DiskChange& change) {
    switch (operation.kind) {
    case DiskOperation::Kind::put:
        return put_entry(database, operation.key, operation.hash, operation.value, clock.wall_ms(), change);
    case DiskOperation::Kind::remove:
        return remove_entry(database, operation.key, operation.hash, change);
    case DiskOperation::Kind::discard:
        return discard_entry(database, operation.hash, operation.checksum, change);
    case DiskOperation::Kind::invalidate:
        return invalidate(database, operation, change);
    case DiskOperation::Kind::touch:
        for (const auto& [hash, touch] : operation.touches)
            PILLION_TRY(add_uses(database, hash, touch.uses, touch.used_ms));
        return {};
    case DiskOperation::Kind::vacuum:
        return run_vacuum(database, operation);
    case DiskOperation::Kind::probe: // that a transaction begins and ends is what it asks
        return database.execute("UPDATE disk_totals SET entries = entries");
    }
    return {};
}

// A turn of it; readers take what it selects for gone until the last one is committed.
Result<void> DiskStore::Engine::invalidate(Database& database, DiskOperation& operation, DiskChange& change) {
    const TierSelection& selection = operation.selection;
    operation.is_finished = true;
    if (selection.tag) return {};
    DiskChange gone;
    if (selects_all(selection)) {
        PILLION_TRY(clear_entries(database, gone));
    } else if (selection.name && !selection.space.empty() && !selection.pattern && !selection.created_before_ms &&
               !selection.expired) {
        const TierKey key{.space = selection.space, .name = *selection.name};
        PILLION_TRY(remove_entry(database, key, disk_hash(key.space, key.name), gone));
    } else {
        const std::int64_t now_ms = clock.wall_ms();
        std::vector<DiskRow> rows;
        const auto next = PILLION_TRY(visit_rows(database, operation.from, rows_of_a_turn, [&](const DiskRow& row) {
            if (selection_matches(selection, row, now_ms)) rows.push_back(row);
            return rows.size() < removals_of_a_turn;
        }));
        for (const DiskRow& row : rows) PILLION_TRY(remove_row(database, row, gone));
        operation.is_finished = !next;
        if (next) operation.from = *next;
    }
    operation.count += static_cast<std::uint64_t>(-gone.entries);
    change.entries += gone.entries;
    change.bytes += gone.bytes;
    if (operation.is_finished && operation.count >= removals_worth_a_vacuum) {
        DiskOperation vacuum{.kind = DiskOperation::Kind::vacuum};
        queue.add(vacuum, options.queued_bytes_max);
    }
    return {};
}

Result<void> DiskStore::Engine::run_vacuum(Database& database, DiskOperation& operation) {
    PILLION_TRY(database.execute(pages_freed_in_a_turn));
    operation.is_finished = is_stopped || PILLION_TRY(database.integer("PRAGMA freelist_count")) == 0;
    return {};
}

void DiskStore::Engine::flush_touches() {
    DiskOperation operation{.kind = DiskOperation::Kind::touch};
    {
        const std::lock_guard lock(touches_mutex);
        operation.touches.swap(touches);
        touches_flushed_ms = clock.wall_ms();
    }
    if (!operation.touches.empty()) write(std::move(operation));
}

// What is known of the tier's health after a write.
void DiskStore::Engine::note(const Result<void>& result) {
    const std::lock_guard lock(trouble_mutex);
    if (result) {
        if (!trouble.empty()) log(LogLevel::info, "cache", "the disk tier takes writes again");
        trouble.clear();
        is_up = true;
        return;
    }
    // A disk that is nearly full takes small values between large ones that it refuses.
    constexpr std::int64_t telling_again_ns = 60'000'000'000;
    const std::int64_t now_ns = clock.now_ns();
    if (trouble.empty() && (!trouble_told_ns || now_ns - *trouble_told_ns >= telling_again_ns)) {
        log(LogLevel::warning, "cache", "the disk tier does not take writes: " + result.error().message);
        trouble_told_ns = now_ns;
    }
    trouble = result.error().message;
    // With the disk full, or the file locked, what is there can still be read.
    is_up = store.stats().is_open;
}

void DiskStore::Engine::stop() {
    if (is_stopped) return;
    flush_touches();
    is_stopped = true;
    getter.stop();
    worker.stop();
    std::unique_lock lock(write_mutex);
    written.wait(lock, [this] { return !is_writing; });
}

} // namespace pillion
