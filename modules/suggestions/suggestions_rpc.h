// How suggestions look on the wire: section `suggestions`, the methods `suggestions.*`, the event of the topic
// `suggestions`. Constants; any thread.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/suggestions/suggestions.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

PILLION_ENUM(SuggestionComplexity, "low", "medium", "high")
PILLION_ENUM(SuggestionLasts, "moment", "run", "forever")
PILLION_ENUM(SuggestionBetter, "higher", "lower")
PILLION_ENUM(SuggestionVerdict, "pending", "running", "kept", "undone", "ineffective", "undecided", "interrupted",
             "failed")

PILLION_WIRE(SuggestionsConfig,
             PILLION_FIELD(automatic,
                           "Whether advice that gives nothing up is tried without being asked for, one at a time, and "
                           "kept if it proves itself.",
                           defaulted, live),
             PILLION_FIELD(automaticKinds,
                           "Kinds of advice that may be tried without being asked for, such as `cache.tune`, also "
                           "where they are a trade-off; empty: every kind that gives nothing up.",
                           defaulted, live),
             PILLION_FIELD(automaticLoadMax,
                           "The machine's load, per core, above which nothing is tried without being asked for. Nor "
                           "is anything while the app starts.",
                           between(0.01, 1000), defaulted, live),
             PILLION_FIELD(automaticMs, "How often then, in milliseconds.", between(5'000, 86'400'000), defaulted,
                           live),
             PILLION_FIELD(unusedMs, "How long nobody has used a component that is called unused, in milliseconds.",
                           between(1000, 604'800'000), defaulted, live),
             PILLION_FIELD(windowMs, "How long is measured before and after a change, in milliseconds.",
                           between(10'000, 300'000), defaulted, live),
             PILLION_FIELD(settleMs, "How long a change is left to settle before it is measured.", between(0, 300'000),
                           defaulted, live),
             PILLION_FIELD(retryMs,
                           "How long what did not prove itself is left alone, in milliseconds, by `automatic` and by "
                           "suggestions.apply with `all`.",
                           between(0, 31'536'000'000), defaulted, live))

PILLION_WIRE(SuggestionEvidence, PILLION_FIELD(series, "The metric that shows it over time; empty if there is none."),
             PILLION_FIELD(labels, "Of that metric."), PILLION_FIELD(what, "What the value is."),
             PILLION_FIELD(unit, "Its unit, by UCUM."), PILLION_FIELD(value, "The value the advice rests on."))

PILLION_WIRE(SuggestionImprovement, PILLION_FIELD(figure, "What gets better."),
             PILLION_FIELD(unit, "Its unit, by UCUM."), PILLION_FIELD(now, "What it is."),
             PILLION_FIELD(modest, "What it is expected to come to at least."),
             PILLION_FIELD(best, "What it may come to at best."))

PILLION_WIRE(SuggestionFigure, PILLION_FIELD(samples, "Readings in the window."),
             PILLION_FIELD(median, "Their median."),
             PILLION_FIELD(low,
                           "From where the median lies with 95 % confidence; the least reading where there are too few "
                           "for that."),
             PILLION_FIELD(high, "To where, likewise."))

PILLION_WIRE(SuggestionComparison, PILLION_FIELD(figure, "What was measured."),
             PILLION_FIELD(unit, "Its unit, by UCUM."), PILLION_FIELD(better, "Which way is better."),
             PILLION_FIELD(before, "The window before the change."), PILLION_FIELD(after, "The window after it."),
             PILLION_FIELD(shift,
                           "By how much it exceeds what was before (Hodges-Lehmann); absent where too little was "
                           "measured."),
             PILLION_FIELD(shiftLow, "From where that lies with 95 % confidence."),
             PILLION_FIELD(shiftHigh, "To where."),
             PILLION_FIELD(probability, "Of such a difference if nothing had changed (Mann-Whitney)."),
             PILLION_FIELD(effectMin, "The difference from which it counts."))

PILLION_WIRE(SuggestionTrial, PILLION_FIELD(number, "Counts trials.", sortable),
             PILLION_FIELD(id, "The suggestion.", sortable), PILLION_FIELD(kind, "Its kind.", sortable),
             PILLION_FIELD(target, "What it changes."), PILLION_FIELD(title, "What it says."),
             PILLION_FIELD(verdict,
                           "`kept` if it proved itself; `undone` if not; `ineffective` if not and there was nothing to "
                           "take back; `undecided` if too little was measured, which also takes it back."),
             PILLION_FIELD(reason, "Why, with both figures."),
             PILLION_FIELD(inForce, "Whether what it changed holds now, in this Pillion."),
             PILLION_FIELD(automatic, "Whether nobody asked for it."),
             PILLION_FIELD(lasts, "Whether it holds until Pillion ends (`run`) or beyond (`forever`)."),
             PILLION_FIELD(configuration, "What to write into the configuration to make it last; empty if nothing."),
             PILLION_FIELD(beganAt, "When it began, in milliseconds since the Unix epoch.", sortable),
             PILLION_FIELD(endedAt, "When it ended."), PILLION_FIELD(measured, "The figure that was to get better."),
             PILLION_FIELD(guards, "Figures that were not to get worse."))

inline constexpr Event suggestions_changed_event = event<SuggestionTrial>(
    "suggestions.changed", "suggestions", EventKind::change, "A suggestion was applied, kept or undone.");

// The methods; `suggestions` outlives them.
std::vector<Method> suggestions_methods(Suggestions& suggestions);

} // namespace pillion
