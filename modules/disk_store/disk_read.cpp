// Of hits only one in eight is noted, as eight uses: enough to tell what is hot, and cheap. Notes are written once a
// minute: each write puts pages into the journal, from where reads are slower than from the mapped file.
#include "ipc/base/log.h"
#include "modules/disk_store/disk_engine.h"

#include <algorithm>
#include <cmath>

namespace pillion {

namespace {

constexpr std::uint64_t hits_noted = 8;
// Spread by the golden ratio: every eighth would always meet the same ones of a loop.
constexpr bool is_noted(std::uint64_t hit) { return (hit * 0x9e3779b97f4a7c15ULL) >> 61 == 0; }

constexpr std::size_t touches_max = 16'384; // keys; more are not noted until these are written
constexpr std::int64_t touches_kept_ms = 60'000;
constexpr std::size_t gets_in_a_look = 64; // bounds how long one look keeps the journal from being folded in
constexpr std::int64_t rows_in_a_look = 4096;
constexpr std::size_t name_bytes_max = 64 * 1024;

} // namespace

Result<void> DiskStore::Engine::check_key(const TierKey& key) {
    if (key.name.size() <= name_bytes_max && key.space.size() <= name_bytes_max) return {};
    return fail(ErrorCode::invalid_params,
                "a key of " + std::to_string(key.name.size()) + " bytes is over the limit of 64 KiB");
}

void DiskStore::Engine::get(Get get) {
    bool is_first = false;
    {
        const std::lock_guard lock(gets_mutex);
        is_first = gets.empty();
        gets.push_back(std::move(get));
    }
    if (!is_first || getter.post([this] { serve_gets(); })) return;
    serve_gets(); // stopped: all are refused
}

void DiskStore::Engine::serve_gets() {
    std::vector<Get> taken;
    {
        const std::lock_guard lock(gets_mutex);
        taken.swap(gets);
    }
    std::vector<TierKey> keys;
    keys.reserve(taken.size());
    for (Get& get : taken) keys.push_back(std::move(get.key));
    for (std::size_t at = 0; at < keys.size(); at += gets_in_a_look) {
        const std::size_t count = std::min(gets_in_a_look, keys.size() - at);
        auto found = find_many(std::span(keys).subspan(at, count));
        for (std::size_t index = 0; index < count; ++index) taken[at + index].got(std::move(found[index]));
    }
}

DiskStore::Engine::Found DiskStore::Engine::find(const TierKey& key, Counting counting) {
    PILLION_TRY(check_key(key));
    const std::int64_t hash = disk_hash(key.space, key.name);
    TierValue queued;
    struct Look {
        const TierKey& key;
        std::int64_t hash;
        std::int64_t now_ms;
        Result<DiskFound> result{};
    } look{key, hash, clock.wall_ms()};
    const auto seen = queue.is_empty() ? DiskQueue::Seen::nothing : queue.look(key, hash, queued);
    if (seen == DiskQueue::Seen::value) {
        const bool is_gone = queued.gone_at_ms <= look.now_ms;
        look.result = DiskFound{.state = is_gone ? DiskState::expired : DiskState::whole, .value = std::move(queued)};
    } else if (seen == DiskQueue::Seen::nothing && !is_stopped) {
        const auto done = store.read([&look](Database& database) -> Result<void> {
            look.result = find_entry(database, look.key, look.hash, look.now_ms);
            if (!look.result) return std::unexpected(look.result.error());
            return {};
        });
        if (!done) look.result = std::unexpected(done.error());
    } else if (is_stopped) {
        look.result = fail(ErrorCode::unavailable, "the disk tier has been stopped, Pillion is ending");
    }
    return found(key, hash, std::move(look.result), counting);
}

// One read transaction for all, which saves each the locks of its own.
std::vector<DiskStore::Engine::Found> DiskStore::Engine::find_many(std::span<const TierKey> keys) {
    std::vector<Found> answers;
    answers.reserve(keys.size());
    if (keys.size() == 1 || is_stopped) {
        for (const TierKey& key : keys) answers.push_back(find(key, Counting::yes));
        return answers;
    }
    const std::int64_t now_ms = clock.wall_ms();
    std::vector<Result<DiskFound>> looks(keys.size());
    // What is queued is looked at before what is committed: an operation is always in one of the two.
    std::vector<std::size_t> on_disk;
    for (std::size_t index = 0; index < keys.size(); ++index) {
        const TierKey& key = keys[index];
        if (const auto checked = check_key(key); !checked) {
            looks[index] = std::unexpected(checked.error());
            continue;
        }
        TierValue queued;
        const auto seen =
            queue.is_empty() ? DiskQueue::Seen::nothing : queue.look(key, disk_hash(key.space, key.name), queued);
        if (seen == DiskQueue::Seen::nothing) on_disk.push_back(index);
        if (seen == DiskQueue::Seen::value)
            looks[index] = DiskFound{.state = queued.gone_at_ms <= now_ms ? DiskState::expired : DiskState::whole,
                                     .value = std::move(queued)};
    }
    const auto done = on_disk.empty() ? Result<void>{} : store.read([&](Database& database) -> Result<void> {
        PILLION_TRY(database.execute("BEGIN"));
        Result<void> failed{};
        for (const std::size_t index : on_disk) {
            const TierKey& key = keys[index];
            looks[index] = find_entry(database, key, disk_hash(key.space, key.name), now_ms);
            if (!looks[index]) failed = std::unexpected(looks[index].error());
        }
        PILLION_TRY(database.execute("COMMIT"));
        return failed;
    });
    for (const std::size_t index : on_disk)
        if (!done && looks[index] && looks[index]->state == DiskState::absent)
            looks[index] = std::unexpected(done.error());
    for (std::size_t index = 0; index < keys.size(); ++index)
        answers.push_back(
            found(keys[index], disk_hash(keys[index].space, keys[index].name), std::move(looks[index]), Counting::yes));
    return answers;
}

// What a look at the disk comes to.
DiskStore::Engine::Found DiskStore::Engine::found(const TierKey& key, std::int64_t hash, Result<DiskFound> result,
                                                  Counting counting) {
    const bool counts = counting == Counting::yes;
    if (counts) reads.fetch_add(1, std::memory_order_relaxed);
    if (!result) {
        errors.fetch_add(1, std::memory_order_relaxed);
        return std::unexpected(std::move(result).error());
    }
    switch (result->state) {
    case DiskState::whole:
        if (counts && is_noted(hits.fetch_add(1, std::memory_order_relaxed)))
            touch(hash, static_cast<std::int64_t>(hits_noted));
        return std::move(result->value);
    case DiskState::damaged:
        damaged.fetch_add(1, std::memory_order_relaxed);
        log(LogLevel::warning, "cache", "a record of " + key.space + " on disk is damaged; it is removed");
        write({.kind = DiskOperation::Kind::discard, .hash = hash, .checksum = result->checksum});
        break;
    case DiskState::expired:
    case DiskState::absent:
        break;
    }
    return std::nullopt;
}

// Some rows, so that no look at the file lasts long.
Result<std::optional<std::int64_t>> DiskStore::Engine::visit(std::int64_t from,
                                                             const std::function<bool(const DiskRow&)>& row) {
    std::optional<std::int64_t> next;
    PILLION_TRY(store.read([&](Database& database) -> Result<void> {
        auto visited = visit_rows(database, from, rows_in_a_look, row);
        if (!visited) return std::unexpected(std::move(visited).error());
        next = *visited;
        return {};
    }));
    return next;
}

Result<std::vector<TierKey>> DiskStore::Engine::list(const TierSelection& selection, const std::string& after,
                                                     std::size_t limit) {
    if (selection.pattern) PILLION_TRY(check_glob(*selection.pattern));
    std::vector<TierKey> keys;
    if (selection.tag || limit == 0) return keys;
    std::optional<std::int64_t> from = std::numeric_limits<std::int64_t>::min();
    if (!after.empty()) {
        const std::size_t end = after.find('\0');
        if (selection.space.empty() && end == std::string::npos)
            return fail(ErrorCode::invalid_params, "a list of all spaces goes on after a space, a NUL and a name");
        const std::int64_t last = selection.space.empty()
                                      ? disk_hash(std::string_view(after).substr(0, end), after.substr(end + 1))
                                      : disk_hash(selection.space, after);
        if (last == std::numeric_limits<std::int64_t>::max()) return keys;
        from = last + 1;
    }
    const std::int64_t now_ms = clock.wall_ms();
    const auto keep = [&](const DiskRow& row) {
        const bool is_there = selection.expired || row.gone_at_ms > now_ms;
        if (is_there && selection_matches(selection, row, now_ms))
            keys.push_back({std::string(row.space), std::string(row.name), std::string(row.parts)});
        return keys.size() < limit;
    };
    while (from && keys.size() < limit) from = PILLION_TRY(visit(*from, keep));
    return keys;
}

namespace {

struct Hot {
    double heat = 0;
    std::int64_t bytes = 0;
    TierKey key{};
};
// With std::*_heap: the coldest on top.
bool is_hotter(const Hot& a, const Hot& b) { return a.heat > b.heat; }

} // namespace

Result<std::uint64_t> DiskStore::Engine::hottest(std::uint64_t bytes_max,
                                                 const std::function<bool(TierKey, TierValue)>& take) {
    const std::int64_t now_ms = clock.wall_ms();
    const auto limit = static_cast<std::int64_t>(
        std::min<std::uint64_t>(bytes_max, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
    std::vector<Hot> heap;
    std::int64_t kept = 0;
    const auto consider = [&](const DiskRow& row) {
        if (row.gone_at_ms <= now_ms || row.bytes > limit) return true;
        const std::int64_t idle_ms = std::max<std::int64_t>(now_ms - std::max(row.used_ms, row.created_ms), 0);
        const double heat = (static_cast<double>(row.uses) + 1.0) / (static_cast<double>(idle_ms) + 60'000.0);
        if (kept + row.bytes > limit && heat <= heap.front().heat) return true;
        heap.push_back({heat, row.bytes, {std::string(row.space), std::string(row.name), std::string(row.parts)}});
        std::ranges::push_heap(heap, is_hotter);
        for (kept += row.bytes; kept > limit; heap.pop_back()) {
            std::ranges::pop_heap(heap, is_hotter);
            kept -= heap.back().bytes;
        }
        return true;
    };
    std::optional<std::int64_t> from = std::numeric_limits<std::int64_t>::min();
    while (from) from = PILLION_TRY(visit(*from, consider));
    std::ranges::sort(heap, is_hotter);
    std::uint64_t count = 0;
    for (Hot& hot : heap) {
        auto value = PILLION_TRY(find(hot.key, Counting::no));
        if (!value) continue;
        ++count;
        if (!take(std::move(hot.key), std::move(*value))) break;
    }
    return count;
}

void DiskStore::Engine::touch(std::int64_t hash, std::int64_t uses) {
    const std::int64_t now_ms = clock.wall_ms();
    {
        const std::lock_guard lock(touches_mutex);
        if (touches_flushed_ms == 0) touches_flushed_ms = now_ms;
        const std::int64_t kept_ms = now_ms - touches_flushed_ms;
        if (touches.size() < touches_max || touches.contains(hash)) {
            DiskTouch& touch = touches[hash];
            touch.uses += uses;
            touch.used_ms = now_ms;
        }
        if (kept_ms >= 0 && kept_ms < touches_kept_ms) return;
    }
    flush_touches();
}

TierStats DiskStore::Engine::stats() {
    // Other sidecars change the totals too.
    if (store.stats().is_open && !is_stopped)
        static_cast<void>(store.read([this](Database& database) -> Result<void> {
            const DiskTotals totals = PILLION_TRY(read_totals(database));
            entries = totals.entries;
            bytes = totals.bytes;
            return {};
        }));
    const auto count = [](std::int64_t number) {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(number, 0));
    };
    const std::lock_guard lock(trouble_mutex);
    return {.is_up = is_up,
            .trouble = trouble,
            .entries = count(entries),
            .bytes = count(bytes),
            .reads = reads,
            .hits = hits,
            .writes = writes,
            .errors = errors,
            .evicted = evicted,
            .expired = expired,
            .damaged = damaged};
}

} // namespace pillion
