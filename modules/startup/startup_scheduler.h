// Decides what starts when. Driven by events, without threads or timers of its own: the components' engine asks what to
// start, says what came of it, and calls expire() when next_deadline_ns() has come. Used from one strand.
//
//     StartupScheduler scheduler(graph, {.lanes = 4, .timeout_ms = 60'000}, clock);
//     auto drive = [&] {
//         while (auto next = scheduler.next_ready()) begin(*next);      // a lane is taken
//     };
//     drive();
//     ... when component `i` is up:  skipped = scheduler.finished(i, {.outcome = StartupOutcome::ready}); drive();
//     ... when its timer fires:      for (i : scheduler.expire().timed_out) stop(i); drive();
//     ... until scheduler.is_done(); then scheduler.timeline() goes to the report and the history.
//
// After a critical failure nothing more begins; what is running may end by itself or be stopped (running() says what it
// is), and is_done() comes when the last has finished.
#pragma once

#include "ipc/base/clock.h"
#include "modules/startup/startup_graph.h"
#include "modules/startup/startup_timeline.h"

#include <queue>
#include <string>
#include <vector>

namespace pillion {

struct StartupOptions {
    std::uint32_t lanes = 4;
    std::int64_t timeout_ms = 0; // of the whole start; 0: none
};

enum class StartupOutcome : std::uint8_t { ready, failed };

struct StartupFinish {
    StartupOutcome outcome = StartupOutcome::ready;
    bool was_cached = false;
    std::optional<std::int64_t> cpu_ns{};
    std::string error{}; // of a failure, without the component's name
};

struct StartupExpiry {
    std::vector<StartupGraph::Index> timed_out{}; // were running: to be stopped; finished() is not called for them
    std::vector<StartupGraph::Index> skipped{};   // will never begin
};

class StartupScheduler {
  public:
    using Index = StartupGraph::Index;

    // `graph` and `clock` outlive the scheduler. The start begins now.
    StartupScheduler(const StartupGraph& graph, StartupOptions options, const Clock& clock);

    // The next to start, which takes a lane; none if nothing is ready or no lane is free.
    std::optional<Index> next_ready();
    // Frees the lane. Returns what is skipped because of this. What has timed out already is not heard any more.
    std::vector<Index> finished(Index index, StartupFinish finish);
    // When expire() has to be called next; none if nothing that runs has a timeout.
    std::optional<std::int64_t> next_deadline_ns() const;
    StartupExpiry expire();
    // Nothing more begins; what waits is skipped for this reason. Returns what that is. The start has failed.
    std::vector<Index> abandon(std::string reason);
    // The client's mark, now; the first of a name counts. False if it was there already.
    bool mark(std::string name);

    bool is_done() const { return timeline_.is_done(); }
    bool has_failed() const { return !timeline_.error.empty(); }
    // In order of their start.
    const std::vector<Index>& running() const { return running_; }
    std::size_t settled() const { return settled_; } // ready, failed or skipped; of graph().size()
    const StartupGraph& graph() const { return graph_; }
    const StartupTimeline& timeline() const { return timeline_; }

  private:
    struct Ready {
        bool is_critical;
        std::int64_t remaining_ns;
        Index index;
        bool operator<(const Ready& other) const;
    };
    void enqueue(Index index, std::int64_t now_ns);
    void release(Index index);
    void settle(Index index, StartupState state, std::string error, std::int64_t now_ns);
    void skip_dependents(Index index, std::int64_t now_ns, std::vector<Index>& skipped);
    void skip_unbegun(const std::string& reason, std::int64_t now_ns, std::vector<Index>& skipped);
    void fail_start(Index because, std::int64_t now_ns, std::vector<Index>& skipped);
    void end_if_done(std::int64_t now_ns);
    bool is_running(Index index) const { return timeline_.entries[index].state == StartupState::running; }

    const StartupGraph& graph_;
    const StartupOptions options_;
    const Clock& clock_;
    StartupTimeline timeline_;
    std::priority_queue<Ready> ready_;
    std::vector<std::uint32_t> missing_;   // dependencies of each that are not ready yet
    std::vector<std::int32_t> free_lanes_; // a heap, the lowest first
    std::size_t settled_ = 0;
    std::vector<Index> running_;
    std::size_t critical_open_ = 0;
    std::uint32_t sequence_ = 0;
};

} // namespace pillion
