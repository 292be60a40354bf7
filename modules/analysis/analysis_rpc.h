// How analysis looks on the wire: `analysis.run`, `.trends`, `.anomalies`, `.leaks`, `.bottlenecks`. Constants; any
// thread.
#pragma once

#include "ipc/method.h"
#include "modules/analysis/analysis.h"

#include <vector>

namespace pillion {

PILLION_ENUM(AnalysisSeverity, "info", "warning", "critical")
PILLION_ENUM(AnalysisKind, "memory", "cpu", "cache", "network", "disk", "queue", "stability")
PILLION_ENUM(TrendDirection, "steady", "rising", "falling")
PILLION_ENUM(TrendMeaning, "neutral", "better", "worse")
PILLION_ENUM(MemoryCourse, "unknown", "steady", "bounded", "leak")

enum class ReportForm : std::uint8_t { json, html };
PILLION_ENUM(ReportForm, "json", "html")

struct AnalysisParams {
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::string metric{};
};
PILLION_WIRE(AnalysisParams,
             PILLION_FIELD(from, "Milliseconds since the Unix epoch; 0: an hour before `to`.", defaulted),
             PILLION_FIELD(to, "Milliseconds since the Unix epoch; 0: now.", defaulted),
             PILLION_FIELD(metric, "Only this metric; empty: all.", between(0, 128), defaulted))

struct AnalysisRunParams {
    std::int64_t from = 0;
    std::int64_t to = 0;
    ReportForm report = ReportForm::json;
};
PILLION_WIRE(AnalysisRunParams,
             PILLION_FIELD(from, "Milliseconds since the Unix epoch; 0: an hour before `to`.", defaulted),
             PILLION_FIELD(to, "Milliseconds since the Unix epoch; 0: now.", defaulted),
             PILLION_FIELD(report,
                           "`html` also writes the report as a page with charts that needs nothing else, and tells "
                           "its path in `file`.",
                           defaulted))

struct AnalysisLeaksParams {
    bool all = false;
};
PILLION_WIRE(AnalysisLeaksParams,
             PILLION_FIELD(all, "Every process that was judged, not only those that leak.", defaulted))

struct MemoryFinding {
    std::string component{};
    std::string process{};
    std::string role{};
    MemoryCourse course = MemoryCourse::unknown;
    double bytesPerHour = 0;
    double bytesPerHourLow = 0;
    double bytesPerHourHigh = 0;
    double grownBytes = 0;
    double levelBytes = 0;
    double confidence = 0;
    std::int64_t since = 0;
    std::int64_t windowMs = 0;
    std::string message{};
};
PILLION_WIRE(MemoryFinding, PILLION_FIELD(component, "The component or backend it belongs to; empty where none."),
             PILLION_FIELD(process, "The executable's name.", sortable),
             PILLION_FIELD(role, "`self`, `shell` or `child`."),
             PILLION_FIELD(course,
                           "`leak`: it grows on; `bounded`: it grew and grows ever less; `steady`; `unknown`: too "
                           "little was seen."),
             PILLION_FIELD(bytesPerHour, "How fast it grows, of a leak.", sortable),
             PILLION_FIELD(bytesPerHourLow, "Where that lies with 95 % confidence: from here ..."),
             PILLION_FIELD(bytesPerHourHigh, "... to here."),
             PILLION_FIELD(grownBytes, "By how much it grew since then.", sortable),
             PILLION_FIELD(levelBytes, "What it holds now, by its latest minima.", sortable),
             PILLION_FIELD(confidence, "That the growth is no chance, from 0 to 1, of a leak."),
             PILLION_FIELD(since, "From when on it was judged, in milliseconds since the Unix epoch."),
             PILLION_FIELD(windowMs, "Over what time that was."), PILLION_FIELD(message, "The same for people."))

PILLION_WIRE(SeriesTrend, PILLION_FIELD(metric, "The metric.", sortable), PILLION_FIELD(labels, "Its labels."),
             PILLION_FIELD(unit, "The unit of level and slope."),
             PILLION_FIELD(function, "What was looked at: `avg`, `rate` or `p95`."),
             PILLION_FIELD(direction, "Where it goes."),
             PILLION_FIELD(meaning, "What that means; `neutral` where nobody can tell."),
             PILLION_FIELD(level, "In the middle of the range."),
             PILLION_FIELD(slopePerHour, "Theil and Sen's slope.", sortable),
             PILLION_FIELD(slopePerHourLow, "Where it lies with 95 % confidence: from here ..."),
             PILLION_FIELD(slopePerHourHigh, "... to here."),
             PILLION_FIELD(changeShare, "Change over the range, as a share of the level at its beginning.", sortable),
             PILLION_FIELD(probability, "Of a trend as clear by chance (Mann and Kendall).", sortable))

PILLION_WIRE(SeriesAnomaly, PILLION_FIELD(metric, "The metric.", sortable), PILLION_FIELD(labels, "Its labels."),
             PILLION_FIELD(unit, "The unit of its values."),
             PILLION_FIELD(at, "When, in milliseconds since the Unix epoch.", sortable),
             PILLION_FIELD(value, "What was measured."),
             PILLION_FIELD(expectedLow, "What was to be expected: from here ..."),
             PILLION_FIELD(expectedHigh, "... to here."),
             PILLION_FIELD(votes, "How many of three detectors called it out of place; two are needed."),
             PILLION_FIELD(seasonal, "Whether a daily or hourly rhythm was taken into account."),
             PILLION_FIELD(points, "How many such values followed each other.", sortable))

PILLION_WIRE(SeriesChange, PILLION_FIELD(metric, "The metric."), PILLION_FIELD(labels, "Its labels."),
             PILLION_FIELD(unit, "The unit of its values."),
             PILLION_FIELD(at, "When, in milliseconds since the Unix epoch."),
             PILLION_FIELD(before, "Its level before."), PILLION_FIELD(after, "Its level after."),
             PILLION_FIELD(changeShare, "The change as a share of the level before."),
             PILLION_FIELD(meaning, "What that means; `neutral` where nobody can tell."))

PILLION_WIRE(Bottleneck, PILLION_FIELD(kind, "What is short.", sortable),
             PILLION_FIELD(severity, "`info`: half-way to a warning.", sortable),
             PILLION_FIELD(impact, "Points of 100 that it costs its part of the score.", sortable),
             PILLION_FIELD(what, "What it is, for people."), PILLION_FIELD(advice, "What to do."),
             PILLION_FIELD(metric, "The metric it rests on."), PILLION_FIELD(labels, "And its labels."),
             PILLION_FIELD(unit, "The unit of the values."), PILLION_FIELD(value, "What was measured over the range."),
             PILLION_FIELD(warning, "From where it is a warning."),
             PILLION_FIELD(critical, "From where it is critical."))

PILLION_WIRE(HotPath, PILLION_FIELD(kind, "`method`, `backend`, `component` or `job`."), PILLION_FIELD(name, "Which."),
             PILLION_FIELD(count, "How often it ran."), PILLION_FIELD(totalMs, "How long in all, in milliseconds."),
             PILLION_FIELD(meanMs, "How long each time."),
             PILLION_FIELD(p95Ms, "What 95 % of the times stayed below; 0 where unknown."),
             PILLION_FIELD(share, "Its share of the time of its kind."))

PILLION_WIRE(ScorePart, PILLION_FIELD(kind, "What was judged."),
             PILLION_FIELD(score,
                           "0 to 100: 100 less what its worst finding costs; absent where nothing was measured."),
             PILLION_FIELD(weight, "Its weight in the whole."), PILLION_FIELD(because, "What costs it the most."))

struct AnalysisRunResult {
    std::int64_t at = 0;
    std::int64_t from = 0;
    std::int64_t to = 0;
    std::optional<double> score{};
    std::vector<ScorePart> parts{};
    std::vector<std::string> criticalIssues{};
    std::vector<std::string> recommendations{};
    std::vector<Bottleneck> bottlenecks{};
    std::vector<MemoryFinding> leaks{};
    std::vector<SeriesTrend> trends{};
    std::vector<SeriesAnomaly> anomalies{};
    std::vector<SeriesChange> changes{};
    std::vector<HotPath> hotPaths{};
    std::size_t seriesExamined = 0;
    std::optional<std::string> file{};
};
PILLION_WIRE(AnalysisRunResult, PILLION_FIELD(at, "When, in milliseconds since the Unix epoch."),
             PILLION_FIELD(from, "What was looked at: from here ..."), PILLION_FIELD(to, "... to here."),
             PILLION_FIELD(score, "0 to 100: the weighted mean of the parts; absent where nothing was measured."),
             PILLION_FIELD(parts, "What the score is made of."),
             PILLION_FIELD(criticalIssues, "What needs attention now."),
             PILLION_FIELD(recommendations, "What to do, the most urgent first."),
             PILLION_FIELD(bottlenecks, "What is short, by impact."),
             PILLION_FIELD(leaks, "Processes whose memory leaks, or grew and settles."),
             PILLION_FIELD(trends, "Where things go, the worst first."),
             PILLION_FIELD(anomalies, "What was out of place, in the order of time."),
             PILLION_FIELD(changes, "When levels changed for good."), PILLION_FIELD(hotPaths, "What took the time."),
             PILLION_FIELD(seriesExamined, "How many series were looked at."),
             PILLION_FIELD(file, "The page, where it was asked for."))

// Of the methods and of the events that tell of leaks.
MemoryFinding finding_of(const Leak& leak);

// The methods; `analysis` outlives them.
std::vector<Method> analysis_methods(Analysis& analysis);

} // namespace pillion
