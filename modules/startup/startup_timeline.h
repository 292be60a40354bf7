// What happened in a start, as it happened: one row for each component. Written by the StartupScheduler, read by the
// report, the chart and the history. A plain value; copy it to read it elsewhere.
//
// All times are of the monotonic clock, in nanoseconds; -1 is "never".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

enum class StartupState : std::uint8_t {
    waiting,  // for what it needs
    queued,   // for a lane
    running,  // on its lane
    ready,    // done
    failed,   // see error
    timedOut, // its own time or that of the whole start was up
    skipped,  // never begun; see error for because of whom
};

enum class StartupVerdict : std::uint8_t {
    running,
    ready,   // everything that was begun is ready
    partial, // optional ones failed or were skipped
    failed,  // a critical one failed, or the time was up before the critical ones were ready
};

struct StartupEntry {
    std::string name{};
    std::vector<std::uint32_t> dependencies{}; // indices of entries
    bool is_critical = false;                  // itself, or needed by one that is
    std::optional<std::int64_t> expected_ns{}; // what was learned before this start
    std::optional<std::int64_t> solo_ns{};
    StartupState state = StartupState::waiting;
    std::int64_t queued_ns = -1;   // all it needs was ready
    std::int64_t started_ns = -1;  // given a lane
    std::int64_t finished_ns = -1; // or skipped
    std::int32_t lane = -1;
    std::uint32_t sequence = 0; // the how-manieth to start, from 1
    bool was_cached = false;    // an earlier result was used instead of running it
    std::optional<std::int64_t> cpu_ns{};
    std::string error{}; // why it failed or was skipped
};

struct StartupMark {
    std::string name{};
    std::int64_t at_ns = 0;
};

struct StartupTimeline {
    std::int64_t wall_ms = 0; // when it began, since the Unix epoch
    std::uint32_t lanes = 0;
    std::int64_t began_ns = 0;
    std::int64_t critical_done_ns = -1; // all critical ones were ready; the beginning if there are none
    std::int64_t ended_ns = -1;
    StartupVerdict verdict = StartupVerdict::running;
    std::string error{}; // why the start failed
    std::vector<StartupEntry> entries{};
    std::vector<StartupMark> marks{}; // of the client, in order of time; may come after the end

    bool is_done() const { return ended_ns >= 0; }
};

} // namespace pillion
