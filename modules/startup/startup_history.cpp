// A start is a row of `startup_start` and a row of `startup_sample` for each component that became ready. Expected
// durations are medians of a short window: they follow a change once it fills more than half of it, and one odd start
// in between moves them little.
#include "modules/startup/startup_history.h"

#include "modules/startup/startup_statistics.h"
#include "modules/startup/startup_sweep.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

namespace {

// Up to this many at once on average counts as having run alone.
constexpr double alone_max = 1.25;

std::uint64_t fingerprint_of(const StartupTimeline& timeline) {
    std::vector<const StartupEntry*> entries;
    for (const StartupEntry& entry : timeline.entries) entries.push_back(&entry);
    std::ranges::sort(entries, {}, &StartupEntry::name);
    std::string text = std::to_string(timeline.lanes);
    for (const StartupEntry* entry : entries) {
        text += '\n' + entry->name;
        text += entry->was_cached ? "\tcached" : "";
        text += '\t' + std::to_string(static_cast<int>(entry->state));
        std::vector<std::string_view> needs;
        for (const std::uint32_t dependency : entry->dependencies) needs.push_back(timeline.entries[dependency].name);
        std::ranges::sort(needs);
        for (const std::string_view need : needs) text.append("\t").append(need);
    }
    return XXH3_64bits(text.data(), text.size());
}

Result<std::vector<StartupRecord>> read_starts(Database& database) {
    std::map<std::int64_t, StartupRecord> by_id;
    Statement starts =
        PILLION_TRY(database.prepare("SELECT id, wall_ms, total_ns, critical_ns, fingerprint FROM startup_start"));
    while (PILLION_TRY(starts.step()))
        by_id[starts.integer(0)] = {.wall_ms = starts.integer(1),
                                    .total_ns = starts.integer(2),
                                    .critical_ns = starts.integer(3),
                                    .fingerprint = static_cast<std::uint64_t>(starts.integer(4))};
    Statement samples =
        PILLION_TRY(database.prepare("SELECT start, name, own_ns, concurrency, cached FROM startup_sample"));
    while (PILLION_TRY(samples.step()))
        if (const auto at = by_id.find(samples.integer(0)); at != by_id.end())
            at->second.samples.push_back({.name = std::string(samples.text(1)),
                                          .own_ns = samples.integer(2),
                                          .concurrency = samples.number(3),
                                          .was_cached = samples.integer(4) != 0});
    std::vector<StartupRecord> found;
    for (auto& [id, record] : by_id) found.push_back(std::move(record));
    return found;
}

Result<void> write_start(Database& database, const StartupRecord& record) {
    Statement start = PILLION_TRY(database.prepare(
        "INSERT INTO startup_start (wall_ms, total_ns, critical_ns, fingerprint) VALUES (?, ?, ?, ?)"));
    PILLION_TRY(
        start.with(record.wall_ms, record.total_ns, record.critical_ns, static_cast<std::int64_t>(record.fingerprint))
            .run());
    const std::int64_t id = database.last_row_id();
    Statement insert = PILLION_TRY(database.prepare(
        "INSERT INTO startup_sample (start, name, own_ns, concurrency, cached) VALUES (?, ?, ?, ?, ?)"));
    for (const StartupSample& sample : record.samples)
        PILLION_TRY(
            insert.with(id, std::string_view(sample.name), sample.own_ns, sample.concurrency, sample.was_cached ? 1 : 0)
                .run());
    Statement oldest = PILLION_TRY(database.prepare(
        "DELETE FROM startup_start WHERE id NOT IN (SELECT id FROM startup_start ORDER BY id DESC LIMIT ?)"));
    PILLION_TRY(oldest.with(static_cast<std::int64_t>(StartupHistory::starts_max)).run());
    return database.execute("DELETE FROM startup_sample WHERE start NOT IN (SELECT id FROM startup_start)");
}

} // namespace

StartupRecord startup_record(const StartupTimeline& timeline) {
    const std::int64_t end_ns = startup_end_ns(timeline);
    StartupRecord record{.wall_ms = timeline.wall_ms, .total_ns = end_ns - timeline.began_ns};
    record.critical_ns =
        timeline.critical_done_ns < 0 ? record.total_ns : timeline.critical_done_ns - timeline.began_ns;
    if (timeline.is_done() && timeline.verdict != StartupVerdict::failed) record.fingerprint = fingerprint_of(timeline);
    const StartupSweep sweep(timeline);
    for (const StartupEntry& entry : timeline.entries) {
        if (entry.state != StartupState::ready) continue;
        const std::int64_t own_ns = entry.finished_ns - entry.started_ns;
        const double running_ns = sweep.running_ns(entry.started_ns, entry.finished_ns);
        record.samples.push_back({.name = entry.name,
                                  .own_ns = own_ns,
                                  .concurrency = own_ns > 0 ? running_ns / static_cast<double>(own_ns) : 1,
                                  .was_cached = entry.was_cached});
    }
    return record;
}

void StartupHistory::add_schema(Store& store) {
    store.add_schema("startup", {"CREATE TABLE startup_start (id INTEGER PRIMARY KEY AUTOINCREMENT, wall_ms INTEGER,"
                                 " total_ns INTEGER, critical_ns INTEGER, fingerprint INTEGER);"
                                 "CREATE TABLE startup_sample (start INTEGER, name TEXT, own_ns INTEGER,"
                                 " concurrency REAL, cached INTEGER, PRIMARY KEY (start, name)) WITHOUT ROWID;"});
}

Result<void> StartupHistory::load() {
    {
        const std::lock_guard lock(mutex_);
        if (is_loaded_ || store_ == nullptr) return {};
    }
    std::vector<StartupRecord> found;
    const Result<void> read = store_->read([&found](Database& database) -> Result<void> {
        found = PILLION_TRY(read_starts(database));
        return {};
    });
    if (!read) return read;
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_loaded_, true)) return {};
    // What was recorded before this may have been read back.
    const std::deque<StartupRecord> recorded = std::exchange(starts_, {});
    known_.clear();
    for (const StartupRecord& record : found)
        if (std::ranges::find(recorded, record.wall_ms, &StartupRecord::wall_ms) == recorded.end()) learn(record);
    for (const StartupRecord& record : recorded) learn(record);
    return {};
}

void StartupHistory::learn(const StartupRecord& record) {
    starts_.push_back(record);
    if (starts_.size() > starts_max) starts_.pop_front();
    for (const StartupSample& sample : record.samples) {
        if (sample.was_cached) continue;
        std::deque<StartupSample>& samples = known_[sample.name].samples;
        samples.push_back(sample);
        if (samples.size() > recent_max) samples.pop_front();
    }
}

void StartupHistory::fill(std::vector<StartupNode>& nodes) const {
    const std::lock_guard lock(mutex_);
    for (StartupNode& node : nodes) {
        const auto known = known_.find(node.name);
        if (known == known_.end()) continue;
        std::vector<double> all, alone;
        for (const StartupSample& sample : known->second.samples) {
            all.push_back(static_cast<double>(sample.own_ns));
            if (sample.concurrency <= alone_max) alone.push_back(all.back());
        }
        // Where it never ran alone, its quicker runs are the nearest to that.
        const double solo_ns = alone.empty() ? quantile_of(all, 0.25) : median_of(std::move(alone));
        if (!node.solo_ns) node.solo_ns = static_cast<std::int64_t>(solo_ns);
        if (!node.expected_ns) node.expected_ns = static_cast<std::int64_t>(median_of(std::move(all)));
    }
}

void StartupHistory::record(const StartupTimeline& timeline) {
    const auto record = std::make_shared<const StartupRecord>(startup_record(timeline));
    {
        const std::lock_guard lock(mutex_);
        learn(*record);
    }
    if (store_ != nullptr) store_->write([record](Database& database) { return write_start(database, *record); });
}

std::vector<StartupRecord> StartupHistory::starts() const {
    const std::lock_guard lock(mutex_);
    return {starts_.begin(), starts_.end()};
}

Result<std::uint64_t> StartupHistory::forget() {
    // Loaded first, so that the number is right and nothing comes back later.
    PILLION_TRY(load());
    if (store_ != nullptr)
        PILLION_TRY(store_->write_and_wait([](Database& database) {
            return database.execute("DELETE FROM startup_sample; DELETE FROM startup_start;");
        }));
    const std::lock_guard lock(mutex_);
    known_.clear();
    return std::exchange(starts_, {}).size();
}

} // namespace pillion
