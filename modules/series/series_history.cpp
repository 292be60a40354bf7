// What outlives the process: the compressed blocks as they are, a row each, keyed by series, resolution and number. A
// block that has grown is written again whole: at most 60 buckets, under a kilobyte. Everything happens in writes of
// the store, on its thread: the first also reads what is there, so that blocks that both runs had a part in are joined
// before they are written. A damaged row is left out and written over in time.
#include "ipc/base/log.h"
#include "modules/series/series_engine.h"
#include "modules/storage/storage.h"

#include <algorithm>
#include <array>
#include <map>

namespace pillion {

namespace {

constexpr std::int64_t sweep_ms = 3'600'000; // how often rows are looked through for what has expired

constexpr const char* schema =
    "CREATE TABLE series (id INTEGER PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, kind INTEGER NOT NULL,"
    " unit TEXT NOT NULL, help TEXT NOT NULL, is_custom INTEGER NOT NULL, at_ms INTEGER NOT NULL, UNIQUE (name, "
    "labels));"
    "CREATE TABLE series_block (series INTEGER NOT NULL, level INTEGER NOT NULL, number INTEGER NOT NULL,"
    " bytes BLOB NOT NULL, PRIMARY KEY (series, level, number)) WITHOUT ROWID";

using Levels = std::array<std::int64_t, series_resolutions_count>;

// The buckets from `first` on that those of the next finer resolution add up to.
std::vector<SeriesBucket> add_up(const std::vector<SeriesKept>& blocks, std::size_t level, std::int64_t first) {
    const SeriesResolution& finer = series_resolutions[level - 1];
    const std::int64_t parts = series_resolutions[level].step_ms / finer.step_ms;
    std::vector<SeriesBucket> sums, buckets;
    for (const SeriesKept& block : blocks) {
        if (block.level != level - 1 || (block.number + 1) * finer.block <= first * parts) continue;
        buckets.clear();
        decode_block(block.number, finer.block, block.bytes, buckets);
        for (SeriesBucket& part : buckets) {
            part.index /= parts;
            if (part.index < first) continue;
            if (!sums.empty() && sums.back().index == part.index)
                sums.back().merge(part);
            else
                sums.push_back(std::move(part));
        }
    }
    return sums;
}

// A bucket goes into the coarser one when it is over, so a process that was killed leaves parts whose sum was never
// kept: it is made up here. The first blocks that are new by that, by resolution.
Levels make_up(std::vector<SeriesKept>& blocks) {
    Levels new_from;
    new_from.fill(SeriesTimeline::nothing_dirty);
    for (std::size_t level = 2; level < series_resolutions_count; ++level) {
        const std::int64_t size = series_resolutions[level].block;
        SeriesKept* latest = nullptr;
        for (SeriesKept& block : blocks)
            if (block.level == level && (latest == nullptr || block.number > latest->number)) latest = &block;
        std::vector<SeriesBucket> kept;
        if (latest != nullptr) decode_block(latest->number, size, latest->bytes, kept);
        std::map<std::int64_t, SeriesBlock> made; // by number
        const auto append = [&](const SeriesBucket& bucket) {
            const std::int64_t number = bucket.index / size;
            made.try_emplace(number, number).first->second.append(bucket, size);
        };
        std::vector<SeriesBucket> sums = add_up(blocks, level, kept.empty() ? 0 : kept.back().index);
        if (!kept.empty() && !sums.empty() && sums[0].index == kept.back().index) {
            if (sums[0].count > kept.back().count) // an earlier run had a part in it too, or nobody
                kept.pop_back();
            else
                sums.erase(sums.begin());
        }
        if (sums.empty()) continue;
        for (const std::vector<SeriesBucket>* buckets : {&kept, &sums})
            for (const SeriesBucket& bucket : *buckets) append(bucket);
        std::erase_if(blocks,
                      [&](const SeriesKept& block) { return block.level == level && made.contains(block.number); });
        for (auto& [number, block] : made) {
            blocks.push_back({level, number, std::move(block.bytes)});
            new_from[level] = std::min(new_from[level], number);
        }
    }
    return new_from;
}

struct Row {
    std::string name, labels, unit, help;
    SeriesKind kind;
    bool is_custom;
    std::int64_t at_ms;
    std::vector<SeriesKept> blocks;
};

Result<std::vector<SeriesKept>> read_blocks(Database& database, std::int64_t series) {
    Statement& statement =
        *PILLION_TRY(database.prepared("SELECT level, number, bytes FROM series_block WHERE series = ? ORDER BY 1, 2"));
    statement.with(series);
    std::vector<SeriesKept> blocks;
    while (PILLION_TRY(statement.step())) {
        const std::int64_t level = statement.integer(0), number = statement.integer(1);
        constexpr std::int64_t number_max = 1'000'000'000; // of blocks: thousands of years
        if (level < 1 || level >= static_cast<std::int64_t>(series_resolutions_count) || number < 0 ||
            number > number_max)
            continue;
        blocks.push_back({static_cast<std::size_t>(level), number, std::string(statement.text(2))});
    }
    return blocks;
}

Result<void> write_row(Database& database, const Row& row) {
    Statement& put_series = *PILLION_TRY(
        database.prepared("INSERT INTO series (name, labels, kind, unit, help, is_custom, at_ms) VALUES (?,?,?,?,?,?,?)"
                          " ON CONFLICT (name, labels) DO UPDATE SET kind = excluded.kind, unit = excluded.unit,"
                          " help = excluded.help, is_custom = excluded.is_custom, at_ms = excluded.at_ms"));
    PILLION_TRY(put_series
                    .with(std::string_view(row.name), std::string_view(row.labels), static_cast<int>(row.kind),
                          std::string_view(row.unit), std::string_view(row.help), row.is_custom ? 1 : 0, row.at_ms)
                    .run());
    Statement& find = *PILLION_TRY(database.prepared("SELECT id FROM series WHERE name = ? AND labels = ?"));
    find.with(std::string_view(row.name), std::string_view(row.labels));
    if (!PILLION_TRY(find.step())) return {};
    const std::int64_t id = find.integer(0);
    find.reset();
    Statement& put = *PILLION_TRY(database.prepared("INSERT OR REPLACE INTO series_block VALUES (?,?,?,?)"));
    for (const SeriesKept& block : row.blocks)
        PILLION_TRY(put.with(id, static_cast<std::int64_t>(block.level), block.number, Blob{block.bytes}).run());
    return {};
}

Result<void> forget(Database& database, std::size_t level, const char* comparison, std::int64_t number) {
    const std::string sql = std::string("DELETE FROM series_block WHERE level = ? AND number ") + comparison + " ?";
    Statement statement = PILLION_TRY(database.prepare(sql));
    return statement.with(static_cast<std::int64_t>(level), number).run();
}

std::int64_t block_at(std::size_t level, std::int64_t at_ms) {
    return at_ms / series_resolutions[level].step_ms / series_resolutions[level].block;
}

} // namespace

void Series::add_schema(Store& store) { store.add_schema("series", {schema}); }

void Series::Engine::arm() {
    if (is_armed || is_stopped || host.store == nullptr) return;
    is_armed = true;
    timer = host.timers.after_ms(flush_ms, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
            {
                const std::lock_guard lock(self->mutex);
                self->is_armed = false;
                if (self->is_stopped) return;
            }
            self->flush();
        }
    });
}

// mutex is held. Names that Pillion measures itself by now keep what they say of themselves.
void Series::Engine::take_history(std::string_view name, const SeriesLabels& labels, const SeriesSpec& spec,
                                  bool is_custom, std::vector<SeriesKept>& blocks, std::int64_t now) {
    const auto found = this->entry(spec, labels, is_custom);
    SeriesEntry* entry = found ? *found : nullptr;
    if (entry == nullptr || entry->name != name || entry->labels != labels) return;
    const Levels new_from = make_up(blocks);
    for (const SeriesKept& block : blocks) entry->timeline.insert(block.level, block.number, block.bytes);
    for (std::size_t level = 0; level < new_from.size(); ++level) {
        std::int64_t& dirty = entry->timeline.dirty_from[level];
        dirty = std::min(dirty, new_from[level]);
    }
    entry->timeline.drop_future(now);
    entry->timeline.expire(now);
    count_bytes(*entry);
}

Result<void> Series::Engine::load_rows(Database& database) {
    {
        const std::lock_guard lock(mutex);
        if (is_loaded) return {};
    }
    std::vector<std::pair<std::int64_t, Row>> rows;
    const std::size_t rows_max = limits.series_max / 2; // what is measured now needs room too
    {
        Statement& statement = *PILLION_TRY(database.prepared(
            "SELECT id, name, labels, kind, unit, help, is_custom, at_ms FROM series ORDER BY at_ms DESC LIMIT ?"));
        statement.with(static_cast<std::int64_t>(rows_max));
        while (PILLION_TRY(statement.step())) {
            const std::int64_t kind = statement.integer(3);
            if (kind < 0 || kind > 2) continue;
            rows.push_back({statement.integer(0),
                            {.name = std::string(statement.text(1)),
                             .labels = std::string(statement.text(2)),
                             .unit = std::string(statement.text(4)),
                             .help = std::string(statement.text(5)),
                             .kind = static_cast<SeriesKind>(kind),
                             .is_custom = statement.integer(6) != 0,
                             .at_ms = statement.integer(7),
                             .blocks = {}}});
        }
    }
    for (auto& [id, row] : rows) row.blocks = PILLION_TRY(read_blocks(database, id));
    const std::lock_guard lock(mutex);
    if (is_loaded) return {};
    is_loaded = true;
    const std::int64_t now = now_ms();
    for (auto& [id, row] : rows) {
        const auto labels = read_series_labels(row.labels);
        if (!labels) continue;
        const SeriesSpec spec{.name = row.name, .help = row.help, .unit = row.unit, .kind = row.kind};
        const std::uint64_t refused = stats.refused, overflowed = stats.overflowed;
        take_history(row.name, *labels, spec, row.is_custom, row.blocks, now);
        stats.refused = refused; // those are about values
        stats.overflowed = overflowed;
    }
    return {};
}

Result<void> Series::Engine::write_rows(Database& database) {
    std::vector<Row> rows;
    std::optional<std::int64_t> forget_after;
    std::int64_t now = 0;
    bool sweeps = false;
    {
        const std::lock_guard lock(mutex);
        now = now_ms();
        forget_after = std::exchange(forget_after_ms, std::nullopt);
        sweeps = now - swept_at_ms >= sweep_ms || now < swept_at_ms;
        if (sweeps) swept_at_ms = now;
        writing.clear();
        for (std::size_t index = 0; index < entries.size(); ++index) {
            SeriesEntry& entry = *entries[index];
            entry.timeline.expire(now);
            count_bytes(entry);
            Row row{.name = entry.name,
                    .labels = {},
                    .unit = {},
                    .help = {},
                    .kind = {},
                    .is_custom = false,
                    .at_ms = entry.at_ms,
                    .blocks = {}};
            for (std::size_t level = 1; level < series_resolutions_count; ++level) {
                std::int64_t& dirty = entry.timeline.dirty_from[level];
                if (dirty == SeriesTimeline::nothing_dirty) continue;
                for (const SeriesBlock& block : entry.timeline.blocks(level))
                    if (block.number >= dirty) row.blocks.push_back({level, block.number, block.bytes});
                writing.emplace_back(index, level, dirty);
                dirty = SeriesTimeline::nothing_dirty;
            }
            if (row.blocks.empty()) continue;
            const SeriesName& series = names.find(entry.name)->second;
            row.labels = series_labels_text(entry.labels);
            row.unit = series.unit;
            row.help = series.help;
            row.kind = series.kind;
            row.is_custom = series.is_custom;
            rows.push_back(std::move(row));
        }
    }
    if (forget_after)
        for (std::size_t level = 1; level < series_resolutions_count; ++level)
            PILLION_TRY(forget(database, level, ">", block_at(level, *forget_after)));
    for (const Row& row : rows) PILLION_TRY(write_row(database, row));
    if (!sweeps) return {};
    for (std::size_t level = 1; level < series_resolutions_count; ++level)
        PILLION_TRY(forget(database, level, "<", block_at(level, now - series_resolutions[level].keep_ms)));
    return database.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM series_block)");
}

void Series::Engine::written(const Result<void>& done) {
    bool is_news = false;
    {
        const std::lock_guard lock(mutex);
        if (done) {
            kept.is_kept = true;
            kept.trouble.clear();
            kept.at_ms = now_ms();
            ++kept.writes;
        } else {
            is_news = kept.trouble != done.error().message;
            kept.is_kept = false;
            kept.trouble = done.error().message;
            ++kept.failures;
            for (const auto& [index, level, number] : writing) {
                std::int64_t& dirty = entries[index]->timeline.dirty_from[level];
                dirty = std::min(dirty, number);
            }
        }
        writing.clear();
    }
    if (is_news)
        log(LogLevel::warning, "metrics",
            "the history of metrics is not kept, recording goes on: " + done.error().message);
}

void Series::Engine::flush() {
    {
        const std::lock_guard lock(mutex);
        if (host.store == nullptr || is_stopped || !std::exchange(recorded_since_flush, false)) return;
    }
    host.store->write(
        [self = shared_from_this()](Database& database) -> Result<void> {
            PILLION_TRY(self->load_rows(database));
            return self->write_rows(database);
        },
        [self = shared_from_this()](const Result<void>& done) { self->written(done); });
}

void Series::load() {
    Engine& self = *engine_;
    {
        const std::lock_guard lock(self.mutex);
        if (self.host.store == nullptr || self.is_loaded || self.is_stopped) return;
        const std::int64_t now_ns = self.host.clock.now_ns();
        if (now_ns < self.load_again_ns) return; // what failed a moment ago will fail again
        self.load_again_ns = now_ns + flush_ms * 1'000'000;
    }
    const auto done = self.host.store->read([&self](Database& database) { return self.load_rows(database); });
    const std::lock_guard lock(self.mutex);
    if (!done) self.kept.trouble = done.error().message;
}

void Series::flush() { engine_->flush(); }

void Series::stop() {
    Engine& self = *engine_;
    {
        const std::lock_guard lock(self.mutex);
        if (std::exchange(self.is_stopped, true)) return;
        self.host.timers.cancel(self.timer);
        if (self.host.store == nullptr || self.stats.recorded == 0) return;
        for (const auto& each : self.entries) each->timeline.seal();
    }
    self.written(self.host.store->write_and_wait([&self](Database& database) -> Result<void> {
        PILLION_TRY(self.load_rows(database));
        return self.write_rows(database);
    }));
}

} // namespace pillion
