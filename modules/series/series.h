// Time series: what was measured, over time, under a name and labels. Four resolutions are kept: 1 s for 10 minutes,
// 10 s for 2 hours, 1 minute for a day, 10 minutes for 30 days. Whoever measures declares a constant beside its use:
//
//     inline constexpr SeriesSpec cpu_time{"process.cpu.time", "CPU time used.", "s", SeriesKind::counter};
//     ... series.observe(cpu_time, {{"component", "search"}}, seconds_so_far);
//
// Owned by the composition root; any thread may call. With nothing recorded and nothing asked it holds no memory, has
// set no timer and opened no file. The three coarser resolutions are kept in the store given, written once a minute and
// at stop(); when that fails (a full disk) recording goes on and history() says why. Two sidecars on one data directory
// write the same history: of a stretch that both wrote, the one written last stays.
//
// Time: the axis is the wall clock as it stood at the first use, carried on by the monotonic clock. A wall clock that
// is set forward, or a machine that slept, leaves a gap. One set back by up to a minute is not followed; by more, the
// buckets that would lie in the future are dropped. Counters rise by what they rose between two readings at most
// `stale_ns` of monotonic time apart; a reading below the previous one is a restart from 0; after a longer pause a
// reading is only the new base.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/base/metric.h"
#include "ipc/timers.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pillion {

class Store;

enum class SeriesKind : std::uint8_t {
    counter,   // a sum that only rises
    gauge,     // a value as it is now
    histogram, // a distribution of values from 0
};

// What is measured: a constant of the one who measures.
struct SeriesSpec {
    std::string_view name; // dotted, as OpenTelemetry names are
    std::string_view help;
    std::string_view unit; // UCUM: "s", "By", "1", "{request}"
    SeriesKind kind = SeriesKind::gauge;
};

using SeriesLabels = std::map<std::string, std::string>;
// As one text: lengths before the parts, so that no value can look like another label; and back.
std::string series_labels_text(const SeriesLabels& labels);
std::optional<SeriesLabels> read_series_labels(std::string_view text);

struct SeriesResolution {
    std::int64_t step_ms;
    std::int64_t keep_ms;
    std::int64_t block; // buckets compressed together
};
inline constexpr SeriesResolution series_resolutions[] = {
    {1'000, 600'000, 60}, {10'000, 7'200'000, 60}, {60'000, 86'400'000, 60}, {600'000, 2'592'000'000, 144}};
inline constexpr std::size_t series_resolutions_count = std::size(series_resolutions);

struct SeriesLimits {
    std::size_t series_max = 2000;            // names times label sets, those of Pillion's own included
    std::size_t custom_max = 1000;            // of these, what clients may make
    std::size_t label_sets_max = 20;          // of one custom name; what comes past it goes to `overflow="true"`
    std::size_t own_label_sets_max = 200;     // of one name of Pillion's own
    std::size_t labels_max = 10;              // of one series
    std::size_t bytes_max = 32 * 1024 * 1024; // past it the oldest blocks of the largest series go
};

// What a function makes of the buckets in each step.
enum class SeriesFunction : std::uint8_t {
    rate,     // counter, histogram: rise (number of values) per second
    increase, // counter, histogram: rise (number of values)
    avg,      // mean; of a counter that of its rate
    min,      // of a counter that of its rate from bucket to bucket
    max,
    sum,        // of the values; of a counter its rise
    count,      // how many values were recorded
    last,       // the latest; of a counter its total since Pillion started
    percentile, // of a histogram exact to 1 %; of others over the buckets' means
    delta,      // gauge: last value less the last one before; counter: as increase
};

// How the series that match become one, per value of the labels in `by`.
enum class SeriesAggregate : std::uint8_t { none, sum, avg, min, max };

struct SeriesQuery {
    std::string name{};
    SeriesLabels labels{};    // those a series must have, others are free
    std::int64_t from_ms = 0; // both of the wall clock, as now_ms(); 0: an hour before `to_ms`
    std::int64_t to_ms = 0;   // 0: now
    std::int64_t step_ms = 0; // 0: chosen, so that there are at most 1,000 points
    SeriesFunction function = SeriesFunction::avg;
    double percentile = 95; // 0 to 100
    SeriesAggregate aggregate = SeriesAggregate::none;
    std::vector<std::string> by{};
};

struct SeriesPoint {
    std::int64_t at_ms = 0; // the beginning of its step
    double value = 0;
};

struct SeriesLine {
    SeriesLabels labels{};
    std::vector<SeriesPoint> points{}; // ascending; a step without data has none
};

struct SeriesAnswer {
    std::string unit{};
    SeriesKind kind = SeriesKind::gauge;
    std::int64_t from_ms = 0;
    std::int64_t to_ms = 0;
    std::int64_t step_ms = 0;
    std::int64_t resolution_ms = 0; // of the buckets that were read
    std::vector<SeriesLine> lines{};
};

// One log-linear bucket of a histogram: values from `low` up to `high`, which differ by at most 1/64.
struct SeriesCell {
    double low = 0;
    double high = 0;
    std::uint64_t count = 0;
};

// A series as it stands.
struct SeriesState {
    std::string name{};
    std::string help{};
    std::string unit{};
    SeriesKind kind = SeriesKind::gauge;
    bool is_custom = false;
    SeriesLabels labels{};
    double value = 0;                // gauge: latest; counter: total; histogram: mean; all since Pillion started
    std::uint64_t count = 0;         // histogram: values recorded
    double sum = 0;                  // histogram: their sum
    std::vector<SeriesCell> cells{}; // histogram, ascending
    std::int64_t began_ms = 0;       // since when the totals count
    std::int64_t at_ms = 0;          // of the latest value; 0: none since Pillion started, only history
};

struct SeriesStats {
    std::size_t series = 0;
    std::size_t custom = 0;
    std::size_t bytes = 0;            // memory, within a few percent
    std::uint64_t recorded = 0;       // values
    std::uint64_t refused = 0;        // values refused for a limit
    std::uint64_t overflowed = 0;     // values that went to an overflow series
    std::uint64_t dropped_blocks = 0; // for bytes_max
};

// How it stands with what outlives the process.
struct SeriesHistory {
    bool is_kept = false;   // the latest write succeeded
    std::int64_t at_ms = 0; // of the latest write that did
    std::uint64_t writes = 0;
    std::uint64_t failures = 0;
    std::string trouble{}; // of the latest write or of loading; empty when there was none
};

class Series {
  public:
    static constexpr std::size_t points_max = 11'000;         // of one line
    static constexpr std::size_t answer_points_max = 110'000; // of all lines together
    static constexpr std::int64_t stale_ns = 30'000'000'000;  // between two readings of a counter
    static constexpr std::int64_t flush_ms = 60'000;
    static constexpr double value_max = 1e150; // of either sign: what is larger could not be summed up

    struct Host {
        const Clock& clock;
        Timers& timers;
        Store* store = nullptr; // null: nothing outlives the process
    };
    explicit Series(const Host& host, SeriesLimits limits = {});
    ~Series();
    Series(const Series&) = delete;

    // At composition, where there is a store: adds the tables.
    static void add_schema(Store& store);

    // Names that no client may record under; `specs` outlives the series. All that begin with `pillion.` are too.
    void reserve(std::span<const SeriesSpec> specs);
    // A reading by Pillion itself. Counter: the total so far; gauge: the value; histogram: one value. NaN, infinities,
    // what is beyond value_max and a name used with another kind are refused.
    Result<void> observe(const SeriesSpec& spec, const SeriesLabels& labels, double value);
    // How often which values came since the previous reading, and their sum, for a histogram of Pillion's own.
    Result<void> observe(const SeriesSpec& spec, const SeriesLabels& labels,
                         std::span<const std::pair<double, std::uint64_t>> values, double sum);
    // A value of a client's. Counter: by how much it rose, not negative; gauge, histogram: as observe.
    Result<void> record(const SeriesSpec& spec, const SeriesLabels& labels, double value);

    Result<SeriesAnswer> query(const SeriesQuery& query);
    // One value over the whole of [from_ms, to_ms) for all that matches, for rules: `aggregate` none is the only
    // series' value, or an error where there are several. Nothing where nothing was recorded.
    Result<std::optional<double>> value(const SeriesQuery& query);
    // The same of each series or group that matches: a line with one point. What is kept is not waited for.
    Result<SeriesAnswer> values(const SeriesQuery& query);
    std::vector<SeriesState> states() const;
    // The names there are, with kind, unit and help, in order of name.
    std::vector<SeriesState> names() const;
    // Now, on the axis of the series.
    std::int64_t now_ms();

    SeriesStats stats() const;
    SeriesHistory history() const;
    // Waits until history has been read, where there is a store. query() does it by itself.
    void load();
    // Queues what is not kept yet; comes by itself once a minute while something is recorded.
    void flush();
    // Keeps everything, and waits for it. Before the store stops; nothing is kept afterwards.
    void stop();

  private:
    struct Engine;
    const std::shared_ptr<Engine> engine_;
};

// Counts by bucket; all zero where nothing was recorded yet, or there is no histogram.
std::vector<std::uint64_t> histogram_counts(const Histogram* histogram);

// Turns the running counts of a Histogram into a series: each reading gives what came since the one before, so that
// every second has its own distribution. One per histogram; one thread at a time.
class HistogramSteps {
  public:
    // `counts` as histogram_counts() gives them; the values are multiplied by `scale` (1e-9: from ns to s). The first
    // reading after construction or forget() is only the base.
    Result<void> observe(Series& series, const SeriesSpec& spec, const SeriesLabels& labels,
                         std::vector<std::uint64_t> counts, double scale = 1);
    void forget() { before_.clear(); }

  private:
    std::vector<std::uint64_t> before_;
};

} // namespace pillion
