// How a start looks on the wire: descriptions of the report's structs, the methods `startup.*`, the event
// startup.progress. Constants; any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/startup/startup.h"

#include <vector>

namespace pillion {

PILLION_ENUM(StartupState, "waiting", "queued", "running", "ready", "failed", "timedOut", "skipped")
PILLION_ENUM(StartupVerdict, "running", "ready", "partial", "failed")
PILLION_ENUM(StartupWait, "none", "dependency", "lane")
PILLION_ENUM(StartupChange, "lazy", "faster", "dropped")

PILLION_WIRE(StartupPhase, PILLION_FIELD(name, "preparation, critical or remaining."),
             PILLION_FIELD(fromMs, "When it began, in milliseconds since the beginning of the start."),
             PILLION_FIELD(durationMs, "How long it took; all phases together are the wall time."))

PILLION_WIRE(StartupMarkTime, PILLION_FIELD(name, "What the client marked."),
             PILLION_FIELD(atMs, "When, in milliseconds since the beginning of the start."))

PILLION_WIRE(StartupComponentTime, PILLION_FIELD(name, "The component."), PILLION_FIELD(state, "What became of it."),
             PILLION_FIELD(critical, "Whether it is critical, or needed by one that is."),
             PILLION_FIELD(cached, "Whether an earlier result was used instead of running it."),
             PILLION_FIELD(lane, "The lane it ran on; absent if it never began."),
             PILLION_FIELD(startedMs, "When it began, in milliseconds since the beginning of the start."),
             PILLION_FIELD(ownMs, "From its own beginning to its end."),
             PILLION_FIELD(dependencyWaitMs, "Until all it depends on was ready."),
             PILLION_FIELD(laneWaitMs, "Then until a lane was free."),
             PILLION_FIELD(shareMs, "Its share of the wall time: of a moment in which k components ran, 1/k."),
             PILLION_FIELD(contentionMs, "An estimate: its own time beyond what it takes alone, while others ran."),
             PILLION_FIELD(cpuMs, "Processor time it used, where known."),
             PILLION_FIELD(expectedMs, "What earlier starts let expect; absent if it was unknown."),
             PILLION_FIELD(error, "Why it failed or was skipped."))

PILLION_WIRE(StartupLink, PILLION_FIELD(name, "The component."),
             PILLION_FIELD(waitedFor, "What let it begin: the end of the link before, or the lane that one freed."),
             PILLION_FIELD(waitMs, "From the end of the link before to its own beginning."),
             PILLION_FIELD(ownMs, "From its own beginning to its end."),
             PILLION_FIELD(cached, "Whether an earlier result was used."))

PILLION_WIRE(StartupSavings, PILLION_FIELD(serialMs, "All own times one after another."),
             PILLION_FIELD(parallelismMs, "What running side by side saved: that less the wall time."),
             PILLION_FIELD(cacheWorkMs, "Work that cached results made unnecessary, by learned durations."),
             PILLION_FIELD(cacheMs, "How much longer the start would have been without cached results, by simulation."),
             PILLION_FIELD(lowerBoundMs, "No schedule of these durations on these lanes is shorter."))

PILLION_WIRE(StartupWhatIf, PILLION_FIELD(name, "The component."),
             PILLION_FIELD(change,
                           "`lazy`: it and what depends on it leave the start; `faster`: it takes half as long; "
                           "`dropped`: it is gone, and what depends on it does not wait for it."),
             PILLION_FIELD(totalSavedMs, "How much shorter the whole start would be, by simulation."),
             PILLION_FIELD(criticalSavedMs, "How much sooner the critical components would be ready."))

PILLION_WIRE(StartupTrend, PILLION_FIELD(name, "The component; empty for the whole start."),
             PILLION_FIELD(recent, "How many of the latest starts were compared"),
             PILLION_FIELD(baseline, "with so many before them."), PILLION_FIELD(recentMs, "The median of the latest."),
             PILLION_FIELD(baselineMs, "The median of those before."),
             PILLION_FIELD(growthPercent, "By how much it grew (Hodges-Lehmann estimate)."),
             PILLION_FIELD(probability, "How probable such a difference is by chance (one-sided Mann-Whitney test)."),
             PILLION_FIELD(regressed, "Whether that is a regression: improbable, and 10 % or more."))

PILLION_WIRE(StartupComparison, PILLION_FIELD(starts, "Starts that are known, this one among them."),
             PILLION_FIELD(comparable, "Of those, with the same components, lanes, cached results and outcomes."),
             PILLION_FIELD(bestMs, "The shortest comparable start."),
             PILLION_FIELD(medianMs, "The median of the comparable starts before this one."),
             PILLION_FIELD(robustZ, "How far this start stands out from them: modified z-score."),
             PILLION_FIELD(outlier, "Whether this start alone was unusually slow: over 3.5, and 10 % or more."),
             PILLION_FIELD(regressed, "Whether the last five starts are slower than those before."),
             PILLION_FIELD(total, "The comparison of the last five; absent while there are fewer than ten."),
             PILLION_FIELD(grown, "Components that became slower, the largest growth first."),
             PILLION_FIELD(verdict, "The same in a sentence."))

PILLION_WIRE(StartupReport, PILLION_FIELD(at, "When the start began, in milliseconds since the Unix epoch."),
             PILLION_FIELD(verdict, "What became of it."), PILLION_FIELD(error, "Why it failed."),
             PILLION_FIELD(lanes, "How many components may start side by side."),
             PILLION_FIELD(wallMs, "From its beginning to its end, or so far."),
             PILLION_FIELD(idleMs, "Of that, time in which no component was starting."),
             PILLION_FIELD(phases, "The wall time in stretches."), PILLION_FIELD(marks, "The client's own marks."),
             PILLION_FIELD(components, "Each component's times, the longest own time first."),
             PILLION_FIELD(criticalChain,
                           "What the end waited for, first link first; waits, own times and the tail are the "
                           "wall time."),
             PILLION_FIELD(tailMs, "From the end of the last link to the end of the start."),
             PILLION_FIELD(readyChain, "The same for the moment at which all critical components were ready."),
             PILLION_FIELD(saved, "What running side by side and cached results saved."),
             PILLION_FIELD(whatIf, "What changes to single components would save, the most worthwhile first."),
             PILLION_FIELD(comparison, "This start among earlier ones."),
             PILLION_FIELD(text, "The report for a terminal, if it was asked for."))

struct StartupReportParams {
    bool text = false;
};
PILLION_WIRE(StartupReportParams, PILLION_FIELD(text, "Whether to add the report as text for a terminal.", defaulted))

struct StartupRunResult {
    StartupVerdict verdict = StartupVerdict::ready;
    std::optional<std::string> error{};
    double wallMs = 0;
    std::optional<double> criticalMs{};
    std::int64_t ready = 0;
    std::int64_t failed = 0;
    std::int64_t skipped = 0;
    std::int64_t cached = 0;
};
PILLION_WIRE(StartupRunResult, PILLION_FIELD(verdict, "What became of the start."),
             PILLION_FIELD(error, "Why it failed."), PILLION_FIELD(wallMs, "How long it took, in milliseconds."),
             PILLION_FIELD(criticalMs, "When the critical components were ready; absent if they were not."),
             PILLION_FIELD(ready, "Components that became ready."),
             PILLION_FIELD(failed, "Components that failed or timed out."),
             PILLION_FIELD(skipped, "Components that were not begun."),
             PILLION_FIELD(cached, "Of the ready ones, those whose earlier result was used."))

enum class StartupStage : std::uint8_t { none, running, ready, partial, failed };
PILLION_ENUM(StartupStage, "none", "running", "ready", "partial", "failed")

struct StartupComponentState {
    std::string name{};
    StartupState state = StartupState::waiting;
    bool critical = false;
    std::optional<std::string> error{};
};
PILLION_WIRE(StartupComponentState, PILLION_FIELD(name, "The component."), PILLION_FIELD(state, "How far it is."),
             PILLION_FIELD(critical, "Whether it is critical, or needed by one that is."),
             PILLION_FIELD(error, "Why it failed or was skipped."))

struct StartupStatus {
    StartupStage stage = StartupStage::none;
    std::optional<std::string> error{};
    std::optional<std::int64_t> at{};
    double elapsedMs = 0;
    bool criticalReady = false;
    std::int64_t done = 0;
    std::int64_t total = 0;
    std::vector<StartupComponentState> components{};
};
PILLION_WIRE(StartupStatus, PILLION_FIELD(stage, "`none` before the first start; otherwise of the last one."),
             PILLION_FIELD(error, "Why it failed."),
             PILLION_FIELD(at, "When it began, in milliseconds since the Unix epoch."),
             PILLION_FIELD(elapsedMs, "How long it took, or has taken so far."),
             PILLION_FIELD(criticalReady, "Whether all critical components are ready."),
             PILLION_FIELD(done, "Components that are ready, failed or skipped"), PILLION_FIELD(total, "of so many."),
             PILLION_FIELD(components, "Each of them."))

struct StartupPlotParams {
    std::int64_t width = 1200;
};
PILLION_WIRE(StartupPlotParams,
             PILLION_FIELD(width, "Width in pixels; more where long names need it.", between(600, 10'000), defaulted))

struct StartupPlot {
    std::string svg{};
};
PILLION_WIRE(StartupPlot, PILLION_FIELD(svg, "The chart, a whole SVG document."))

struct StartupMarkParams {
    std::string name{};
};
PILLION_WIRE(StartupMarkParams, PILLION_FIELD(name, "What happened now, say `first paint`.", between(1, 200)))

struct StartupMarkResult {
    double atMs = 0;
    bool recorded = true;
};
PILLION_WIRE(StartupMarkResult,
             PILLION_FIELD(atMs, "When it was marked, in milliseconds since the beginning of the start."),
             PILLION_FIELD(recorded, "False if there was a mark of that name already, which stays."))

struct StartupForgetParams {
    bool durations = true;
    bool results = true;
};
PILLION_WIRE(StartupForgetParams,
             PILLION_FIELD(durations, "Whether to forget earlier starts and what they taught.", defaulted),
             PILLION_FIELD(results, "Whether to drop the kept results of tasks.", defaulted))

struct StartupForgetResult {
    std::int64_t starts = 0;
    std::int64_t results = 0;
};
PILLION_WIRE(StartupForgetResult, PILLION_FIELD(starts, "Starts that were forgotten."),
             PILLION_FIELD(results, "Results that were dropped."))

struct StartupProgress {
    std::string component{};
    StartupState state = StartupState::running;
    std::int64_t done = 0;
    std::int64_t total = 0;
    std::optional<std::string> error{};
};
PILLION_WIRE(StartupProgress, PILLION_FIELD(component, "The component that began or came to an end."),
             PILLION_FIELD(state, "Its state now."),
             PILLION_FIELD(done, "Components that are ready, failed or skipped"), PILLION_FIELD(total, "of so many."),
             PILLION_FIELD(error, "Why it failed or was skipped."))

inline constexpr Event startup_progress_event = event<StartupProgress>(
    "startup.progress", "startup", EventKind::change, "A component of the start began or came to an end.");

// The methods. `history` and `clock` outlive them, as does what the host's functions use.
std::vector<Method> startup_methods(StartupHost host, StartupHistory& history, const Clock& clock);

} // namespace pillion
