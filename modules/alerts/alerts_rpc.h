// How alerts look on the wire: section `alerts` of the configuration, the methods `alerts.*`, the events of the topic
// `alerts`. Constants; any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/alerts/alerts.h"
#include "modules/series/series_rpc.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

PILLION_ENUM(AlertLevel, "info", "warning", "critical")
PILLION_ENUM(AlertComparison, "above", "below")
PILLION_ENUM(AlertNoData, "ignore", "raise")
PILLION_ENUM(AlertState, "raised", "noData", "resolved")
PILLION_ENUM(AlertEnd, "cleared", "noData", "ruleGone", "notConfirmed")
PILLION_ENUM(AlertsOf, "active", "resolved", "all")
PILLION_ENUM(AlertRuleOrigin, "builtIn", "configured", "runtime")

PILLION_WIRE(
    AlertRule, PILLION_FIELD(enabled, "Whether it is evaluated.", defaulted),
    PILLION_FIELD(metric, "The metric; `metrics.list` names them.", between(1, 128)),
    PILLION_FIELD(labels, "What the labels must be; those not named are free.", between(0, 10), defaulted),
    PILLION_FIELD(function,
                  "What is made of the values in the window: `avg` (of a counter its rate), `last`, `max`, `rate`, "
                  "`percentile` and so on, as in metrics.query.",
                  defaulted),
    PILLION_FIELD(percentile, "Of the function `percentile`.", between(0, 100), defaulted),
    PILLION_FIELD(windowMs, "How far back it looks.", between(1000, 2'592'000'000), defaulted),
    PILLION_FIELD(aggregate,
                  "How the series that match become one, per value of the labels in `by`. With `none` each is an alert "
                  "of its own.",
                  defaulted),
    PILLION_FIELD(by, "Labels to keep apart when aggregating.", between(0, 10), defaulted),
    PILLION_FIELD(dividedBy,
                  "Makes a ratio: metrics, read in the same way, whose sum is the divisor. A divisor of 0 is no data.",
                  between(0, 10), defaulted),
    PILLION_FIELD(dividedByMin, "A smaller divisor is no data.", at_least(0), defaulted),
    PILLION_FIELD(comparison, "Whether being above the thresholds is bad, or being below.", defaulted),
    PILLION_FIELD(info,
                  "From where on it is worth a note. With none of the three: warning above 75 % and critical above 90 "
                  "%, for shares and ratios."),
    PILLION_FIELD(warning, "From where on it is a warning."), PILLION_FIELD(critical, "From where on it is critical."),
    PILLION_FIELD(margin, "How far back from a threshold is clear of it; 5 % of the threshold if left out.",
                  at_least(0)),
    PILLION_FIELD(forMs, "How long it must be beyond a threshold.", between(0, 86'400'000), defaulted),
    PILLION_FIELD(holdMs, "How long it must be clear of it before the alert resolves, or falls to a lower level.",
                  between(0, 86'400'000), defaulted),
    PILLION_FIELD(cooldownMs, "How long after it resolved it is not raised again to the same level.",
                  between(0, 86'400'000), defaulted),
    PILLION_FIELD(flapsMax,
                  "Raised more often than this within flapWindowMs it flaps: then it holds for a whole flapWindowMs "
                  "divided by this.",
                  between(1, 1000), defaulted),
    PILLION_FIELD(flapWindowMs, "See flapsMax.", between(1000, 86'400'000), defaulted),
    PILLION_FIELD(noData, "What having no data for noDataMs is: nothing, or an alert.", defaulted),
    PILLION_FIELD(noDataMs, "How long without data is no data.", between(1000, 2'592'000'000), defaulted),
    PILLION_FIELD(groupBy,
                  "One alert for all that have the same values of these labels, with its members; of an empty list one "
                  "for the whole rule. If left out, each series is an alert.",
                  between(0, 10)),
    PILLION_FIELD(inhibitedBy, "Rules, or keys of alerts raised directly, that keep it quiet while they stand.",
                  between(0, 20), defaulted),
    PILLION_FIELD(inhibitedByEqual, "Of those only alerts that have these labels in common with it.", between(0, 10),
                  defaulted),
    PILLION_FIELD(title, "What is wrong, for people; the rule's name if left out.", between(1, 200)),
    PILLION_FIELD(advice, "What to do about it.", between(1, 1000)))

PILLION_WIRE(AlertsConfig, PILLION_FIELD(builtIn, "Whether the built-in rules are there.", defaulted, live),
             PILLION_FIELD(disabled, "Built-in rules that are off.", between(0, 100), defaulted, live),
             PILLION_FIELD(activeMax, "Most alerts at a time; past it one summary stands for the rest.",
                           between(10, 10'000), defaulted, live),
             PILLION_FIELD(historyMax, "Most alerts kept after they resolved.", between(0, 100'000), defaulted, live),
             PILLION_FIELD(historyDays, "How long they are kept.", between(1, 3650), defaulted, live),
             PILLION_FIELD(rules, "Rules by name; one of a built-in rule's name takes its place.", between(0, 500),
                           defaulted, live))

PILLION_WIRE(AlertAcknowledgement, PILLION_FIELD(by, "Who."), PILLION_FIELD(comment, "What was said; may be empty."),
             PILLION_FIELD(at, "When, in milliseconds since the Unix epoch."))

PILLION_WIRE(AlertMember, PILLION_FIELD(labels, "Its labels."), PILLION_FIELD(level, "Its level."),
             PILLION_FIELD(value, "Its latest value."))

PILLION_WIRE(Alert, PILLION_FIELD(id, "Its fingerprint: the same rule and labels, or key, give the same."),
             PILLION_FIELD(rule, "The rule, or the key of an alert that was raised directly.", sortable),
             PILLION_FIELD(state, "`noData`: raised because its metric has had no data."),
             PILLION_FIELD(level, "Its level now.", sortable),
             PILLION_FIELD(worst, "The highest since it was raised.", sortable), PILLION_FIELD(title, "What is wrong."),
             PILLION_FIELD(detail, "The same in figures."), PILLION_FIELD(advice, "What to do about it; may be empty."),
             PILLION_FIELD(labels, "What it is about."),
             PILLION_FIELD(metric, "The metric; empty for an alert that was raised directly."),
             PILLION_FIELD(unit, "The metric's unit."),
             PILLION_FIELD(value, "The latest value; of a group that of the worst."),
             PILLION_FIELD(threshold, "The threshold of its level."),
             PILLION_FIELD(raisedAt, "In milliseconds since the Unix epoch.", sortable),
             PILLION_FIELD(changedAt, "When level, state or members last changed.", sortable),
             PILLION_FIELD(resolvedAt, "Absent while it stands.", sortable),
             PILLION_FIELD(durationMs, "How long it has stood, or stood.", sortable),
             PILLION_FIELD(occurrences, "How often it was raised directly while it stood.", sortable),
             PILLION_FIELD(flapping, "It comes and goes; it is kept until it has been calm for a while."),
             PILLION_FIELD(acknowledged, "Who has taken note of it."),
             PILLION_FIELD(silencedBy, "The silence that covers it."),
             PILLION_FIELD(inhibitedBy, "The rule or key of the alert that keeps it quiet."),
             PILLION_FIELD(end, "Why it resolved."), PILLION_FIELD(members, "The first 20 series of a group."),
             PILLION_FIELD(membersCount, "How many there are; 0 if it is no group."))

PILLION_WIRE(AlertSilence, PILLION_FIELD(id, "Names it for alerts.unsilence."),
             PILLION_FIELD(rule, "The rules and keys it covers, with `*` for anything; empty: all."),
             PILLION_FIELD(labels, "Labels an alert must have, with `*` in values for anything."),
             PILLION_FIELD(createdAt, "In milliseconds since the Unix epoch.", sortable),
             PILLION_FIELD(until, "In milliseconds since the Unix epoch.", sortable), PILLION_FIELD(by, "Who."),
             PILLION_FIELD(comment, "Why."))

PILLION_WIRE(AlertRuleInfo, PILLION_FIELD(name, "Its name.", sortable), PILLION_FIELD(origin, "Where it was declared."),
             PILLION_FIELD(rule, "What it says."), PILLION_FIELD(raised, "Its alerts that stand.", sortable),
             PILLION_FIELD(watched, "Sets of labels it looks at.", sortable),
             PILLION_FIELD(trouble, "Why it cannot be evaluated; empty while it can."))

struct AlertsListParams {
    AlertsOf state = AlertsOf::active;
    AlertLevel level = AlertLevel::info;
    std::optional<std::string> rule{};
};
PILLION_WIRE(AlertsListParams, PILLION_FIELD(state, "Those that stand, those that resolved, or all.", defaulted),
             PILLION_FIELD(level, "The lowest level.", defaulted),
             PILLION_FIELD(rule, "Only of this rule or key, with `*` for anything.", between(1, 200)))

struct AlertsAcknowledgeParams {
    std::string id{};
    std::string by{};
    std::string comment{};
};
PILLION_WIRE(AlertsAcknowledgeParams, PILLION_FIELD(id, "The alert.", between(1, 200)),
             PILLION_FIELD(by, "Who takes note.", between(0, 200), defaulted),
             PILLION_FIELD(comment, "What they say.", between(0, 2000), defaulted))

struct AlertsSilenceParams {
    std::string rule{};
    std::map<std::string, std::string> labels{};
    std::int64_t durationMs = 3'600'000;
    std::string by{};
    std::string comment{};
};
PILLION_WIRE(AlertsSilenceParams,
             PILLION_FIELD(rule, "The rules and keys to silence, with `*` for anything.", between(0, 200), defaulted),
             PILLION_FIELD(labels, "Labels an alert must have, with `*` in values for anything.", between(0, 10),
                           defaulted),
             PILLION_FIELD(durationMs, "How long, at most 366 days.", between(1, 31'622'400'000), defaulted),
             PILLION_FIELD(by, "Who.", between(0, 200), defaulted),
             PILLION_FIELD(comment, "Why.", between(0, 2000), defaulted))

struct AlertsUnsilenceParams {
    std::string id{};
};
PILLION_WIRE(AlertsUnsilenceParams, PILLION_FIELD(id, "The silence.", between(1, 200)))

struct AlertsSetRuleParams {
    std::string name{};
    std::optional<AlertRule> rule{};
    std::optional<bool> enabled{};
};
PILLION_WIRE(AlertsSetRuleParams, PILLION_FIELD(name, "Its name.", between(1, 64)),
             PILLION_FIELD(rule, "What it says from now on; left out to turn a rule on or off."),
             PILLION_FIELD(enabled, "Whether it is evaluated; stronger than the same member of `rule`."))

struct AlertsDeleteRuleParams {
    std::string name{};
};
PILLION_WIRE(AlertsDeleteRuleParams, PILLION_FIELD(name, "A rule that was set at run time.", between(1, 64)))

struct AlertsDone {
    bool done = true;
};
PILLION_WIRE(AlertsDone, PILLION_FIELD(done, "Always true; errors are errors."))

inline constexpr Event alert_raised_event =
    event<Alert>("alerts.raised", "alerts", EventKind::change, "Something is wrong that was not before.");
inline constexpr Event alert_changed_event =
    event<Alert>("alerts.changed", "alerts", EventKind::change,
                 "Level, state or members of an alert changed, or it was acknowledged or silenced.");
inline constexpr Event alert_resolved_event =
    event<Alert>("alerts.resolved", "alerts", EventKind::change, "It is right again.");
constexpr const Event& alert_event(AlertChange change) {
    return change == AlertChange::raised    ? alert_raised_event
           : change == AlertChange::changed ? alert_changed_event
                                            : alert_resolved_event;
}

// A rule as JSON text and back, for Alerts::Host.
std::string alert_rule_text(const AlertRule& rule);
Result<AlertRule> read_alert_rule(std::string_view text);

// The methods; `alerts` outlives them.
std::vector<Method> alerts_methods(Alerts& alerts);

} // namespace pillion
