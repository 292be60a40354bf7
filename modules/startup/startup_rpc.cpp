#include "modules/startup/startup_rpc.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace pillion {

namespace {

using TimelinePtr = std::shared_ptr<const StartupTimeline>;

double ms_between(std::int64_t from_ns, std::int64_t to_ns) { return static_cast<double>(to_ns - from_ns) / 1e6; }

Result<TimelinePtr> some_timeline(const StartupHost& host) {
    TimelinePtr timeline = host.timeline();
    if (timeline == nullptr)
        return fail(ErrorCode::failed_precondition, "nothing has been started yet", {}, "call startup.run first");
    return timeline;
}

StartupRunResult run_result(const StartupTimeline& timeline) {
    StartupRunResult result{.verdict = timeline.verdict};
    if (!timeline.error.empty()) result.error = timeline.error;
    result.wallMs = ms_between(timeline.began_ns, timeline.ended_ns);
    if (timeline.critical_done_ns >= 0) result.criticalMs = ms_between(timeline.began_ns, timeline.critical_done_ns);
    for (const StartupEntry& entry : timeline.entries) {
        result.ready += entry.state == StartupState::ready ? 1 : 0;
        result.failed += entry.state == StartupState::failed || entry.state == StartupState::timedOut ? 1 : 0;
        result.skipped += entry.state == StartupState::skipped ? 1 : 0;
        result.cached += entry.state == StartupState::ready && entry.was_cached ? 1 : 0;
    }
    return result;
}

StartupStatus status_of(const TimelinePtr& timeline, const Clock& clock) {
    StartupStatus status;
    if (timeline == nullptr) return status;
    switch (timeline->verdict) {
    case StartupVerdict::running:
        status.stage = StartupStage::running;
        break;
    case StartupVerdict::ready:
        status.stage = StartupStage::ready;
        break;
    case StartupVerdict::partial:
        status.stage = StartupStage::partial;
        break;
    case StartupVerdict::failed:
        status.stage = StartupStage::failed;
        break;
    }
    if (!timeline->error.empty()) status.error = timeline->error;
    status.at = timeline->wall_ms;
    status.elapsedMs = ms_between(timeline->began_ns, timeline->is_done() ? timeline->ended_ns : clock.now_ns());
    status.criticalReady = timeline->critical_done_ns >= 0;
    status.total = static_cast<std::int64_t>(timeline->entries.size());
    for (const StartupEntry& entry : timeline->entries) {
        status.done += entry.finished_ns >= 0 ? 1 : 0;
        StartupComponentState& component = status.components.emplace_back();
        component = {.name = entry.name, .state = entry.state, .critical = entry.is_critical};
        if (!entry.error.empty()) component.error = entry.error;
    }
    return status;
}

Method run_method(std::shared_ptr<const StartupHost> host) {
    return async_method<NoParams, StartupRunResult>(
        "startup.run", "Starts all eager components in the best order and answers when that is done.",
        [host = std::move(host)](const NoParams&, Reply<StartupRunResult> reply) {
            // The call outlives its answer here, so that a late report of progress finds it.
            const CallPtr call = reply.call().shared_from_this();
            const auto answer = std::make_shared<Reply<StartupRunResult>>(std::move(reply));
            host->run([call](double percentage, std::string_view what) { call->report_progress(percentage, what); },
                      [answer](Result<TimelinePtr> timeline) {
                          if (!timeline) return (*answer)(std::unexpected(std::move(timeline).error()));
                          (*answer)(run_result(**timeline));
                      });
        });
}

Result<StartupReport> report_of(const StartupHost& host, StartupHistory& history) {
    const TimelinePtr timeline = PILLION_TRY(some_timeline(host));
    // A history that cannot be read leaves the start without comparison, not without report.
    static_cast<void>(history.load());
    return startup_report(*timeline, history.starts());
}

Result<StartupMarkResult> mark(const StartupHost& host, const std::string& name) {
    const bool is_new = PILLION_TRY(host.mark(name));
    const TimelinePtr timeline = PILLION_TRY(some_timeline(host));
    StartupMarkResult result{.recorded = is_new};
    if (const auto at = std::ranges::find(timeline->marks, name, &StartupMark::name); at != timeline->marks.end())
        result.atMs = ms_between(timeline->began_ns, at->at_ns);
    return result;
}

} // namespace

std::vector<Method> startup_methods(StartupHost functions, StartupHistory& history, const Clock& clock) {
    const auto host = std::make_shared<const StartupHost>(std::move(functions));
    std::vector<Method> methods;
    methods.push_back(run_method(host));
    methods.push_back(method(
        "startup.status", "How far the start is.", Lane::pooled,
        [host, &clock](const NoParams&) -> Result<StartupStatus> { return status_of(host->timeline(), clock); }));
    methods.push_back(
        method("startup.report",
               "Where the start's time went, what its end waited for, what helped, what would help, and whether starts "
               "have become slower.",
               Lane::pooled, [host, &history](const StartupReportParams& params) -> Result<StartupReport> {
                   StartupReport report = PILLION_TRY(report_of(*host, history));
                   if (params.text) report.text = startup_text(report);
                   return report;
               }));
    methods.push_back(
        method("startup.plot", "The start as a Gantt chart in SVG.", Lane::pooled,
               [host, &history](const StartupPlotParams& params) -> Result<StartupPlot> {
                   const TimelinePtr timeline = PILLION_TRY(some_timeline(*host));
                   const StartupReport report = startup_report(*timeline, history.starts());
                   return StartupPlot{
                       .svg = startup_plot(*timeline, report, {.width = static_cast<std::uint32_t>(params.width)})};
               }));
    methods.push_back(method(
        "startup.mark", "Marks a moment of the client's own, up to the first interaction.", Lane::pooled,
        [host](const StartupMarkParams& params) -> Result<StartupMarkResult> { return mark(*host, params.name); }));
    methods.push_back(method("startup.forget", "Forgets learned durations, earlier starts and kept results of tasks.",
                             Lane::pooled,
                             [host, &history](const StartupForgetParams& params) -> Result<StartupForgetResult> {
                                 StartupForgetResult result;
                                 if (params.durations)
                                     result.starts = static_cast<std::int64_t>(PILLION_TRY(history.forget()));
                                 if (params.results)
                                     result.results = static_cast<std::int64_t>(PILLION_TRY(host->forget_results()));
                                 return result;
                             }));
    return methods;
}

} // namespace pillion
