// What the time series say: trends, anomalies, changes, leaks, bottlenecks, hot paths, a score from 0 to 100 whose
// parts are shown, and one report of it all as a page. It reads the series and keeps nothing but the path of its last
// report. Owned by the composition root; any thread may call; a call costs up to some hundred milliseconds, so never
// from a thread that answers. With nothing asked of it, it has started and opened nothing.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "modules/series/series.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// --- Leaks
// ------------------------------------------------------------------------------------------------------------

enum class MemoryCourse : std::uint8_t {
    unknown, // too little was seen
    steady,  // whatever it does, it comes back
    bounded, // it grew, and grows ever less
    leak,    // it grows on
};

struct LeakConfig {
    // The least growth that is called a leak: over a minute eight times as much, falling with the square root of the
    // window's length to these.
    std::int64_t bytes_min = 4 * 1024 * 1024;
    double share_min = 0.15; // of the level where the growth began
};

struct MemoryVerdict {
    MemoryCourse course = MemoryCourse::unknown;
    double bytes_per_hour = 0;      // of a leak, through the window's minima
    double bytes_per_hour_low = 0;  // and where it lies with 95 % confidence
    double bytes_per_hour_high = 0; //
    double grown_bytes = 0;         // since then
    double level_bytes = 0;         // now, by the latest minima
    double confidence = 0;          // that the growth is no chance, after all windows that were looked at
    std::int64_t since_ms = 0;      // from when on the growth is seen
    std::int64_t window_ms = 0;     // over which it was judged
};
// Judges the private memory of one process or component. Points ascend in time and may lie closer together the newer
// they are, each the minimum of its stretch. What lies before the last restart counts nothing.
Result<MemoryVerdict> judge_memory(std::span<const SeriesPoint> points, const LeakConfig& config = {},
                                   std::int64_t restarted_ms = 0);

struct Leak {
    std::string component{}; // empty where the process belongs to none
    std::string process{};
    std::string role{}; // self, shell or child
    MemoryVerdict verdict{};
};
// All that is judged: each process that the monitor recorded, leaks first, the fastest before the others. For a host
// that raises alerts: call it once a minute or rarer; what is a leak then is to be raised, what is no more, resolved.
Result<std::vector<Leak>> find_leaks(Series& series, const LeakConfig& config = {});
std::string describe(const Leak& leak);

// --- Anomalies
// --------------------------------------------------------------------------------------------------------

struct AnomalyPoint {
    std::size_t index = 0;
    double value = 0;
    double low = 0; // between which it was to be expected
    double high = 0;
    int votes = 0;         // of the three detectors
    bool seasonal = false; // whether the season was taken into account
};
inline constexpr std::size_t anomaly_points_min = 60;
// The values that at least two of three detectors call out of place. On a series whose noise stays as it is, however
// heavy its tails, less than one a week.
Result<std::vector<AnomalyPoint>> find_anomalies(std::span<const SeriesPoint> points);

// --- What is said of the series, as it goes out
// -----------------------------------------------------------------------

enum class AnalysisSeverity : std::uint8_t { info, warning, critical };
enum class AnalysisKind : std::uint8_t { memory, cpu, cache, network, disk, queue, stability };
enum class TrendDirection : std::uint8_t { steady, rising, falling };
enum class TrendMeaning : std::uint8_t { neutral, better, worse };

// A series of the range, read by the function that suits its kind.
struct SeriesCourse {
    std::string metric{};
    SeriesLabels labels{};
    std::string unit{};
    std::string function{};
    std::vector<SeriesPoint> points{};
};

struct SeriesTrend {
    std::string metric{};
    SeriesLabels labels{};
    std::string unit{};
    std::string function{}; // what was made of the values: avg, rate, p95
    TrendDirection direction = TrendDirection::steady;
    TrendMeaning meaning = TrendMeaning::neutral;
    double level = 0;
    double slopePerHour = 0;
    double slopePerHourLow = 0;
    double slopePerHourHigh = 0;
    double changeShare = 0; // over the range, of the level at its beginning
    double probability = 1;
};

struct SeriesAnomaly {
    std::string metric{};
    SeriesLabels labels{};
    std::string unit{};
    std::int64_t at = 0;
    double value = 0;
    double expectedLow = 0;
    double expectedHigh = 0;
    std::uint64_t votes = 0; // of three detectors
    bool seasonal = false;
    std::uint64_t points = 1; // that followed each other
};

struct SeriesChange {
    std::string metric{};
    SeriesLabels labels{};
    std::string unit{};
    std::int64_t at = 0;
    double before = 0;
    double after = 0;
    double changeShare = 0;
    TrendMeaning meaning = TrendMeaning::neutral;
};

struct Bottleneck {
    AnalysisKind kind = AnalysisKind::cpu;
    AnalysisSeverity severity = AnalysisSeverity::info;
    double impact = 0; // 0 to 100: points it costs its part of the score
    std::string what{};
    std::string advice{};
    std::string metric{};
    SeriesLabels labels{};
    std::string unit{};
    double value = 0;
    double warning = 0; // the value from which it is one, and from which it is critical
    double critical = 0;
};

struct HotPath {
    std::string kind{}; // method, backend, component, job
    std::string name{};
    std::uint64_t count = 0;
    double totalMs = 0;
    double meanMs = 0;
    double p95Ms = 0;
    double share = 0; // of the time of all of its kind
};

struct ScorePart {
    AnalysisKind kind = AnalysisKind::cpu;
    std::optional<double> score{}; // absent where nothing was measured
    double weight = 0;
    std::string because{}; // what costs it the most; empty at 100
};

struct AnalysisReport {
    std::int64_t at = 0;
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::optional<double> score{}; // absent where nothing was measured
    std::vector<ScorePart> parts{};
    std::vector<std::string> criticalIssues{};
    std::vector<std::string> recommendations{};
    std::vector<Bottleneck> bottlenecks{};
    std::vector<Leak> leaks{};
    std::vector<SeriesTrend> trends{};
    std::vector<SeriesAnomaly> anomalies{};
    std::vector<SeriesChange> changes{};
    std::vector<HotPath> hotPaths{};
    std::size_t seriesExamined = 0;
    std::vector<SeriesCourse> courses{}; // what the page draws
};

struct AnalysisRange {
    std::int64_t from_ms = 0; // 0: an hour before the end
    std::int64_t to_ms = 0;   // 0: now
    std::string metric{};     // empty: all
};

class Analysis {
  public:
    struct Host {
        Series& series;
        // What the series do not know: time by method and by job. May be empty.
        std::function<std::vector<HotPath>()> hot_paths{};
        std::string folder{}; // where pages go; made when needed
    };
    explicit Analysis(Host host, LeakConfig leak = {}) : host_(std::move(host)), leak_(leak) {}

    // Trends that are significant and matter, the largest first.
    Result<std::vector<SeriesTrend>> trends(const AnalysisRange& range);
    Result<std::vector<SeriesAnomaly>> anomalies(const AnalysisRange& range);
    Result<std::vector<SeriesChange>> changes(const AnalysisRange& range);
    Result<std::vector<Leak>> leaks() { return find_leaks(host_.series, leak_); }
    // By impact, the largest first.
    Result<std::vector<Bottleneck>> bottlenecks(const AnalysisRange& range);
    Result<std::vector<HotPath>> hot_paths(const AnalysisRange& range);
    Result<AnalysisReport> run(const AnalysisRange& range);
    // The report as a page that needs nothing else; the path it was written to.
    Result<std::string> write_page(const AnalysisReport& report) const;

  private:
    const Host host_;
    const LeakConfig leak_;
};

} // namespace pillion
