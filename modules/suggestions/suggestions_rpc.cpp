#include "modules/suggestions/suggestions_rpc.h"

#include <memory>
#include <utility>

namespace pillion {

struct SuggestionResult {
    std::string id{};
    std::string kind{};
    std::string target{};
    std::string title{};
    std::string reason{};
    std::vector<SuggestionEvidence> evidence{};
    std::optional<SuggestionImprovement> improvement{};
    SuggestionComplexity complexity = SuggestionComplexity::low;
    bool appliesItself = false;
    std::optional<std::string> byHand{};
    SuggestionLasts lasts = SuggestionLasts::run;
    std::map<std::string, std::string> settings{};
    std::string configuration{};
    std::optional<std::string> measuredBy{};
    std::optional<SuggestionTrial> lastTrial{};
};
PILLION_WIRE(SuggestionResult, PILLION_FIELD(id, "For suggestions.apply.", sortable),
             PILLION_FIELD(kind, "What kind of advice it is.", sortable), PILLION_FIELD(target, "What it changes."),
             PILLION_FIELD(title, "The advice."),
             PILLION_FIELD(reason, "What calls for it, and what it costs where it is not for nothing."),
             PILLION_FIELD(evidence, "The figures it rests on, with the metrics that show them over time."),
             PILLION_FIELD(improvement, "What is expected of it."),
             PILLION_FIELD(complexity, "`low` gives nothing up, `medium` is a trade-off, `high` changes the app."),
             PILLION_FIELD(appliesItself, "Whether suggestions.apply can carry it out."),
             PILLION_FIELD(byHand, "Why it cannot, where it cannot; then `configuration` or whoever calls does it."),
             PILLION_FIELD(lasts, "`moment`: does something once; `run`: holds until Pillion ends; `forever`: beyond."),
             PILLION_FIELD(settings, "What would be set."),
             PILLION_FIELD(configuration, "The same as lines of the configuration, where it can be written there."),
             PILLION_FIELD(measuredBy, "The figure by which suggestions.apply would judge it."),
             PILLION_FIELD(lastTrial, "What came of it the last time it was tried."))

struct SuggestionsApplyParams {
    std::optional<std::string> id{};
    bool all = false;
    std::optional<std::int64_t> windowMs{};
    bool again = false;
};
PILLION_WIRE(SuggestionsApplyParams,
             PILLION_FIELD(id, "The suggestion, as suggestions.list names it. Or `all`.", between(1, 256)),
             PILLION_FIELD(all, "Tries all that can be applied, one after another.", defaulted),
             PILLION_FIELD(windowMs,
                           "How long to measure before and after, in milliseconds; else as the configuration says.",
                           between(10'000, 300'000)),
             PILLION_FIELD(again, "With `all`: also what did not prove itself lately.", defaulted))

PILLION_WIRE(SuggestionSkipped, PILLION_FIELD(id, "The suggestion."), PILLION_FIELD(reason, "Why it was not tried."))

struct SuggestionsApplyResult {
    std::vector<SuggestionTrial> trials{};
    std::vector<SuggestionSkipped> skipped{};
};
PILLION_WIRE(SuggestionsApplyResult, PILLION_FIELD(trials, "What was tried and what came of it."),
             PILLION_FIELD(skipped, "What was not tried: with `all` what cannot be, and what nothing called for any "
                                    "more when its turn came."))

namespace {

constexpr std::string_view apply_all_alias = "force_optimization";

SuggestionResult result_of(SuggestionOffer offer) {
    Suggestion& suggestion = offer.suggestion;
    return {.id = std::move(suggestion.id),
            .kind = std::move(suggestion.kind),
            .target = std::move(suggestion.target),
            .title = std::move(suggestion.title),
            .reason = std::move(suggestion.reason),
            .evidence = std::move(suggestion.evidence),
            .improvement = std::move(suggestion.improvement),
            .complexity = suggestion.complexity,
            .appliesItself = offer.applies_itself,
            .byHand = suggestion.by_hand.empty() ? std::nullopt : std::optional(std::move(suggestion.by_hand)),
            .lasts = suggestion.lasts,
            .settings = std::move(suggestion.settings),
            .configuration = std::move(suggestion.configuration),
            .measuredBy = suggestion.measure ? std::optional(suggestion.measure->figure) : std::nullopt,
            .lastTrial = std::move(offer.last_trial)};
}

Result<SuggestionRequest> request_of(const SuggestionsApplyParams& params, bool is_alias) {
    const bool all = params.all || (is_alias && !params.id);
    if (all == params.id.has_value())
        return fail(ErrorCode::invalid_params,
                    params.id ? "either id or all, not both" : "there is neither an id nor all", "/id");
    return SuggestionRequest{
        .id = params.id.value_or(""), .all = all, .window_ms = params.windowMs, .again = params.again};
}

void apply(Suggestions& suggestions, const SuggestionsApplyParams& params, Reply<SuggestionsApplyResult> reply) {
    auto request = request_of(params, reply.call().name() == apply_all_alias);
    if (!request) return reply(std::unexpected(std::move(request).error()));
    const auto shared = std::make_shared<Reply<SuggestionsApplyResult>>(std::move(reply));
    const auto call = shared->call().shared_from_this();
    suggestions.apply(
        *request, [call](double percentage, std::string_view step) { call->report_progress(percentage, step); },
        [shared](Result<SuggestionOutcome> outcome) {
            if (!outcome) return (*shared)(std::unexpected(std::move(outcome).error()));
            (*shared)(
                SuggestionsApplyResult{.trials = std::move(outcome->trials), .skipped = std::move(outcome->skipped)});
        });
}

} // namespace

std::vector<Method> suggestions_methods(Suggestions& suggestions) {
    std::vector<Method> methods;
    methods.push_back(
        list_method("suggestions.list",
                    "Advice that the figures call for, with evidence, expected improvement and price; the "
                    "most promising first.",
                    Lane::pooled,
                    [&suggestions](const NoParams&) -> Result<std::vector<SuggestionResult>> {
                        std::vector<SuggestionResult> results;
                        for (SuggestionOffer& offer : PILLION_TRY(suggestions.list()))
                            results.push_back(result_of(std::move(offer)));
                        return results;
                    })
            .alias("get_optimization_recommendations"));
    methods.push_back(
        async_method<SuggestionsApplyParams, SuggestionsApplyResult>(
            "suggestions.apply",
            "Tries advice: measures a window, applies it, measures another, and takes back what did not make the "
            "figure better. Answers when the last one has been judged; a call that is given up ends nothing.",
            [&suggestions](const SuggestionsApplyParams& params, Reply<SuggestionsApplyResult> reply) {
                apply(suggestions, params, std::move(reply));
            })
            .alias(apply_all_alias));
    methods.push_back(list_method("suggestions.history", "What was tried and what came of it, the latest first.",
                                  Lane::pooled, [&suggestions](const NoParams&) { return suggestions.history(); }));
    return methods;
}

} // namespace pillion
