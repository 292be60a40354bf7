// What stands behind Series: the series by name and labels, and what is said of them. Part of series.
#pragma once

#include "modules/series/series.h"
#include "modules/series/series_timeline.h"

#include <map>
#include <tuple>
#include <unordered_map>

namespace pillion {

class Database;

struct SeriesEntry {
    std::string name;
    SeriesLabels labels;
    SeriesTimeline timeline{};
    std::optional<double> base{}; // an observed counter's latest reading
    std::int64_t base_ns = 0;
    double value = 0; // gauge: latest; counter: total
    std::uint64_t count = 0;
    double sum = 0;
    SeriesCells cells{}; // histogram: all since the start
    std::int64_t began_ms = 0;
    std::int64_t at_ms = 0;
    std::size_t bytes_counted = 0;
};

struct SeriesName {
    std::string help, unit;
    SeriesKind kind = SeriesKind::gauge;
    bool is_custom = false;
    std::vector<std::size_t> entries{};
    std::optional<std::size_t> overflow{};
};

// A compressed block as it stands in the store.
struct SeriesKept {
    std::size_t level = 0;
    std::int64_t number = 0;
    std::string bytes{};
};

struct Series::Engine : std::enable_shared_from_this<Series::Engine> {
    Engine(const Host& its_host, const SeriesLimits& its_limits) : host(its_host), limits(its_limits) {}

    // mutex is held by the caller of all of these.
    std::int64_t now_ms();
    Result<SeriesEntry*> entry(const SeriesSpec& spec, const SeriesLabels& labels, bool is_custom);
    std::size_t make_entry(SeriesName& series, std::string_view name, const SeriesLabels& labels, std::string key);
    void add(SeriesEntry& entry, SeriesKind kind, SeriesBucket bucket);
    void count_bytes(SeriesEntry& entry);
    void arm();

    Result<void> observe(const SeriesSpec& spec, const SeriesLabels& labels, double value, bool is_custom);
    Result<SeriesAnswer> query(const SeriesQuery& query, bool whole);

    void flush(); // locks for itself
    // History, in series_history.cpp. These two run on the store's thread and lock for themselves.
    Result<void> load_rows(Database& database);
    Result<void> write_rows(Database& database);
    void take_history(std::string_view name, const SeriesLabels& labels, const SeriesSpec& spec, bool is_custom,
                      std::vector<SeriesKept>& blocks, std::int64_t now);
    void written(const Result<void>& done);

    const Host host;
    const SeriesLimits limits;

    mutable std::mutex mutex; // guards what follows
    std::vector<std::unique_ptr<SeriesEntry>> entries;
    std::unordered_map<std::string, std::size_t> by_key;
    std::map<std::string, SeriesName, std::less<>> names;
    std::vector<std::span<const SeriesSpec>> reserved;
    bool is_reserved(std::string_view name) const;
    SeriesStats stats{};
    SeriesHistory kept{};
    std::optional<std::int64_t> axis_ms{}; // now_ms() at axis_ns
    std::int64_t axis_ns = 0;
    TimerId timer{};
    bool is_armed = false;
    bool recorded_since_flush = false;
    bool is_loaded = false;
    bool is_stopped = false;
    std::optional<std::int64_t> forget_after_ms{}; // what is kept of a future that was not one
    // What the write under way writes: entry, level, first block. It is to be written again should that fail.
    std::vector<std::tuple<std::size_t, std::size_t, std::int64_t>> writing{};
    std::int64_t swept_at_ms = 0;
    std::int64_t load_again_ns = std::numeric_limits<std::int64_t>::min();
};

std::string series_key(std::string_view name, const SeriesLabels& labels);

} // namespace pillion
