// How monitoring sessions look on the wire: the methods `sessions.*`, the event of the topic `sessions`. Constants; any
// thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/alerts/alerts_rpc.h"
#include "modules/analysis/analysis_rpc.h"
#include "modules/sessions/sessions.h"
#include "modules/suggestions/suggestions_rpc.h"

#include <vector>

namespace pillion {

PILLION_ENUM(SessionState, "running", "ended", "interrupted")

PILLION_WIRE(SessionDegradation,
             PILLION_FIELD(level, "`info` from a tenth on, `warning` a quarter, `critical` a half."),
             PILLION_FIELD(metric, "The metric."), PILLION_FIELD(labels, "Its labels."),
             PILLION_FIELD(unit, "The unit of its values."),
             PILLION_FIELD(since, "From when on, in milliseconds since the Unix epoch."),
             PILLION_FIELD(before, "Its level before that."), PILLION_FIELD(now, "Its level at the end."),
             PILLION_FIELD(changeShare, "The change as a share of the level before."))

PILLION_WIRE(SessionAlerts, PILLION_FIELD(info, "Raised meanwhile that were never more than this."),
             PILLION_FIELD(warning, "The same."), PILLION_FIELD(critical, "Raised meanwhile that got critical."),
             PILLION_FIELD(standing, "Of all these, not resolved."))

PILLION_WIRE(SessionSummary, PILLION_FIELD(at, "When it was drawn up, in milliseconds since the Unix epoch."),
             PILLION_FIELD(scoreBefore,
                           "The score of the time before, as long as the session is to be and an hour at most; absent "
                           "where nothing was measured."),
             PILLION_FIELD(score, "That of the session, from 0 to 100."),
             PILLION_FIELD(alerts, "Alerts raised meanwhile, by the highest level each had."),
             PILLION_FIELD(degradations, "Metrics whose level is worse than when it began, the worst first."),
             PILLION_FIELD(anomalies, "Values out of place: the first 50."),
             PILLION_FIELD(anomaliesCount, "All of them."),
             PILLION_FIELD(bottlenecks, "What was short, by what it costs the score."),
             PILLION_FIELD(recommendations, "What to do about it."),
             PILLION_FIELD(trials, "Advice that was tried meanwhile, and what came of it."))

PILLION_WIRE(Session, PILLION_FIELD(id, "For sessions.get and sessions.stop.", sortable),
             PILLION_FIELD(name, "As it was given; may be empty.", sortable),
             PILLION_FIELD(state, "`interrupted`: Pillion ended before it did."),
             PILLION_FIELD(applyAdvice, "Whether it tries advice when something is critical."),
             PILLION_FIELD(startedAt, "In milliseconds since the Unix epoch.", sortable),
             PILLION_FIELD(endsAt, "When its time is up; absent if it runs until it is stopped."),
             PILLION_FIELD(endedAt, "When it ended."),
             PILLION_FIELD(summary, "As of now, of one that runs; of others their last. Not in lists."))

inline constexpr Event sessions_ended_event =
    event<Session>("sessions.ended", "sessions", EventKind::change, "A monitoring session ended; with its summary.");

// The methods; `sessions` outlives them.
std::vector<Method> sessions_methods(Sessions& sessions);

} // namespace pillion
