// Explains a start: where its time went, what the end waited for, what helped, what would help, and whether starts have
// become slower. Made of a timeline (finished or not) and the history; a plain value. Any thread.
//
// Overlap is never counted twice. Three sums give the wall time, each in its own way: the phases; the links of the
// critical chain (own time and the wait before it) with the tail; and the shares of the components (a moment in which k
// ran counts 1/k for each) with the idle time. And of each component the time from the beginning to its end is the sum
// of its waits and its own time.
#pragma once

#include "modules/startup/startup_history.h"
#include "modules/startup/startup_timeline.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

// A stretch of the start between two moments that matter.
struct StartupPhase {
    std::string name{}; // preparation, critical, remaining
    double fromMs = 0;
    double durationMs = 0;
};

struct StartupComponentTime {
    std::string name{};
    StartupState state = StartupState::waiting;
    bool critical = false;
    bool cached = false;
    std::optional<std::int64_t> lane{};
    std::optional<double> startedMs{}; // since the beginning of the start
    double ownMs = 0;
    double dependencyWaitMs = 0; // until all it needs was ready
    double laneWaitMs = 0;       // then until a lane was free
    double shareMs = 0;          // of the wall time, what ran beside it counted to each in equal parts
    double contentionMs = 0;     // an estimate: own time beyond what it takes alone, while others ran
    std::optional<double> cpuMs{};
    std::optional<double> expectedMs{};
    std::optional<std::string> error{};
};

enum class StartupWait : std::uint8_t {
    none,       // could begin at once
    dependency, // waited for the end of the link before
    lane,       // waited for the link before to free its lane
};

struct StartupLink {
    std::string name{};
    StartupWait waitedFor = StartupWait::none;
    double waitMs = 0; // from the end of the link before (or the beginning) to its own start
    double ownMs = 0;
    bool cached = false;
};

struct StartupSavings {
    double serialMs = 0;      // all own times one after another
    double parallelismMs = 0; // serial less wall
    double cacheWorkMs = 0;   // work that cached results made unnecessary, by learned durations
    double cacheMs = 0;       // what the whole start would have taken longer without them, by simulation
    double lowerBoundMs = 0;  // no schedule of these durations on these lanes is shorter
};

enum class StartupChange : std::uint8_t {
    lazy,    // it and what needs it leave the start
    faster,  // takes half as long
    dropped, // gone; what needed it does not wait for it
};

struct StartupWhatIf {
    std::string name{};
    StartupChange change = StartupChange::lazy;
    double totalSavedMs = 0;
    double criticalSavedMs = 0; // of the time until the critical ones are ready
};

struct StartupTrend {
    std::string name{};      // a component; empty for the whole
    std::int64_t recent = 0; // how many starts of each are compared
    std::int64_t baseline = 0;
    double recentMs = 0; // medians
    double baselineMs = 0;
    double growthPercent = 0; // by the Hodges–Lehmann estimate of the shift
    double probability = 1;   // of such a difference by chance (one-sided Mann–Whitney)
    bool regressed = false;
};

struct StartupComparison {
    std::int64_t starts = 0;     // known
    std::int64_t comparable = 0; // of those, the same components, lanes and cached results; this one among them
    std::optional<double> bestMs{};
    std::optional<double> medianMs{};
    std::optional<double> robustZ{}; // of this start among the earlier comparable ones; over 3.5 it stands out
    bool outlier = false;
    bool regressed = false;              // the last five against those before
    std::optional<StartupTrend> total{}; // absent while there are fewer than 5 and 5
    std::vector<StartupTrend> grown{};   // components that regressed, the largest growth first
    std::string verdict{};               // the same in a sentence
};

struct StartupMarkTime {
    std::string name{};
    double atMs = 0; // since the beginning of the start
};

struct StartupReport {
    std::int64_t at = 0; // when the start began, in milliseconds since the Unix epoch
    StartupVerdict verdict = StartupVerdict::running;
    std::optional<std::string> error{};
    std::int64_t lanes = 0;
    double wallMs = 0;
    double idleMs = 0; // in which nothing ran
    std::vector<StartupPhase> phases{};
    std::vector<StartupMarkTime> marks{};
    std::vector<StartupComponentTime> components{}; // blame: own time, largest first
    std::vector<StartupLink> criticalChain{};       // what the end waited for, first link first
    double tailMs = 0;                              // from the end of the last link to the end of the start
    std::vector<StartupLink> readyChain{};          // the same for the moment the critical ones were ready
    StartupSavings saved{};
    std::vector<StartupWhatIf> whatIf{}; // the most worthwhile first
    StartupComparison comparison{};
    std::optional<std::string> text{}; // startup_text() of this, where it was asked for
};

// `earlier` are the starts() of the history; whether this start is the last of them does not matter.
StartupReport startup_report(const StartupTimeline& timeline, const std::vector<StartupRecord>& earlier);

// For a terminal: a summary, the critical chain, an aligned table.
std::string startup_text(const StartupReport& report);

} // namespace pillion
