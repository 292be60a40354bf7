// Starts the parts of an app in the right order, as parallel as they allow, and explains afterwards where the time
// went. No processes, threads, timers or files of its own: the components' engine drives it.
//
//     history.load();                                   // blocks: not on the io thread
//     history.fill(nodes);                              // expected durations
//     auto graph = PILLION_TRY(StartupGraph::create(std::move(nodes)));
//     StartupScheduler scheduler(graph, {.lanes = 4}, clock);
//     ... drive it (startup_scheduler.h) ...
//     history.record(scheduler.timeline());
//     StartupReport report = startup_report(scheduler.timeline(), history.starts());
//     std::string svg = startup_plot(scheduler.timeline(), report);
//     std::string text = startup_text(report);
//
// The parts: the graph (constant, any thread), the scheduler (one strand), the timeline and the report (values), the
// history (any thread, `state.db`). The methods `startup.*` are in startup_rpc.h; the engine gives them a StartupHost.
#pragma once

#include "ipc/base/error.h"
#include "modules/startup/startup_graph.h"
#include "modules/startup/startup_history.h"
#include "modules/startup/startup_plot.h"
#include "modules/startup/startup_report.h"
#include "modules/startup/startup_scheduler.h"
#include "modules/startup/startup_timeline.h"

#include <functional>
#include <memory>

namespace pillion {

// What the methods `startup.*` need of whoever really starts components. All may be called from any thread; `run`
// comes on the reader thread and must not block, the others come on workers and may wait briefly.
struct StartupHost {
    // Called once, on any thread, when the start is done, whatever its verdict. An error says why there was none to do.
    using Done = std::function<void(Result<std::shared_ptr<const StartupTimeline>>)>;
    // Percentage and what is done now, for the caller who asked for progress.
    using Progress = std::function<void(double percentage, std::string_view what)>;

    // Starts everything eager. A call while a start is running joins it; after one has succeeded, components that are
    // up are left alone unless the host thinks otherwise.
    std::function<void(Progress, Done)> run{};
    // The start that is running or was last; null if there was none.
    std::function<std::shared_ptr<const StartupTimeline>()> timeline{};
    // Marks a moment of the client's own on that start; false if the name was marked already, an error if there is
    // none.
    std::function<Result<bool>(std::string name)> mark{};
    // Drops cached results of tasks; how many.
    std::function<Result<std::uint64_t>()> forget_results{};
};

} // namespace pillion
