#include "modules/suggestions/suggestions.h"

#include "ipc/base/log.h"
#include "ipc/nearest.h"
#include "modules/suggestions/suggestion_engine.h"
#include "modules/suggestions/suggestion_rules.h"
#include "modules/suggestions/suggestion_text.h"

#include <algorithm>
#include <utility>

namespace pillion {

namespace {

bool failed_to_prove_itself(const SuggestionTrial& trial) {
    return trial.verdict == SuggestionVerdict::undone || trial.verdict == SuggestionVerdict::ineffective ||
           trial.verdict == SuggestionVerdict::failed;
}

} // namespace

Result<void> check_suggestions_config(const SuggestionsConfig& config) {
    if (config.settleMs > config.windowMs)
        return fail(ErrorCode::invalid_params,
                    "settleMs is " + std::to_string(config.settleMs) + ", longer than windowMs, " +
                        std::to_string(config.windowMs) + ": a change that settles so long needs a longer window",
                    "/settleMs");
    for (const std::string& kind : config.automaticKinds) {
        if (std::ranges::find(suggestion_rules(), kind, &SuggestionRule::kind) != suggestion_rules().end()) continue;
        NearestName nearest(kind);
        for (const SuggestionRule& rule : suggestion_rules()) nearest.consider(rule.kind);
        const std::string hint(nearest.best());
        return fail(ErrorCode::invalid_params,
                    "there is no kind of advice \"" + kind.substr(0, 80) + "\"" +
                        (hint.empty() ? "" : "; did you mean \"" + hint + "\"?"),
                    "/automaticKinds", hint);
    }
    return {};
}

Suggestions::Suggestions(Host host) : engine_(std::make_shared<Engine>(std::move(host))) {}

Suggestions::~Suggestions() { stop(); }

void Suggestions::add_schema(Store& store) { SuggestionHistory::add_schema(store); }

void Suggestions::add_action(std::string kind, SuggestionAction action) {
    engine_->actions[std::move(kind)] = std::move(action);
}

void Suggestions::configure(const SuggestionsConfig& config) {
    bool has_begun = false;
    {
        const std::lock_guard lock(engine_->mutex);
        engine_->config = config;
        has_begun = engine_->has_begun;
    }
    if (has_begun) engine_->arm_automatic();
}

void Suggestions::begin() {
    {
        const std::lock_guard lock(engine_->mutex);
        engine_->has_begun = true;
    }
    engine_->arm_automatic();
}

Result<std::vector<SuggestionOffer>> Suggestions::list() {
    engine_->recover();
    return engine_->offers();
}

void Suggestions::apply(SuggestionRequest request, Progress progress, Done done) {
    const bool is_posted =
        engine_->post([&engine = *engine_, request = std::move(request), progress = std::move(progress), done] {
            engine.recover();
            if (const auto admitted = engine.admit(request, false, progress, done); !admitted)
                done(std::unexpected(admitted.error()));
        });
    if (!is_posted) done(fail(ErrorCode::unavailable, "Pillion is ending: nothing is tried any more"));
}

Result<std::vector<SuggestionTrial>> Suggestions::history() {
    engine_->recover();
    return engine_->past.trials();
}

void Suggestions::stop() { engine_->stop(); }

Situation Suggestions::Engine::look() const {
    Situation situation = host.situation();
    const std::lock_guard lock(mutex);
    situation.unused_ms_min = config.unusedMs;
    return situation;
}

Result<std::vector<SuggestionOffer>> Suggestions::Engine::offers() {
    const std::vector<SuggestionTrial> trials = past.trials().value_or(std::vector<SuggestionTrial>{});
    std::vector<SuggestionOffer> offers;
    for (Suggestion& suggestion : advise(look())) {
        SuggestionOffer& offer = offers.emplace_back();
        offer.applies_itself = suggestion.measure.has_value() && suggestion.lasts != SuggestionLasts::forever &&
                               actions.contains(suggestion.kind);
        const auto last = std::ranges::find(trials, suggestion.id, &SuggestionTrial::id);
        if (last != trials.end()) offer.last_trial = *last;
        offer.suggestion = std::move(suggestion);
    }
    return offers;
}

// Why this one cannot be tried now. mutex is held.
Result<void> Suggestions::Engine::refuse(const SuggestionOffer& offer) const {
    const Suggestion& suggestion = offer.suggestion;
    if (!offer.applies_itself)
        return fail(ErrorCode::failed_precondition,
                    suggestion.id + " cannot be applied by Pillion itself" +
                        (suggestion.by_hand.empty() ? "" : ": " + suggestion.by_hand),
                    "/id", suggestion.configuration);
    if (busy_targets.contains(suggestion.target))
        return fail(ErrorCode::conflict, "another suggestion for the same " + suggestion.target + " is being tried",
                    "/id");
    if (waiting.size() >= waiting_max)
        return fail(ErrorCode::exhausted, std::to_string(waiting_max) + " suggestions are waiting to be tried", "/id");
    return {};
}

Result<void> Suggestions::Engine::admit(const SuggestionRequest& request, bool is_automatic, const Progress& progress,
                                        Done done) {
    std::vector<SuggestionOffer> offered = PILLION_TRY(offers());
    if (!request.all) {
        NearestName nearest(request.id);
        for (const SuggestionOffer& offer : offered) nearest.consider(offer.suggestion.id);
        const std::string hint(nearest.best());
        std::erase_if(offered, [&](const SuggestionOffer& offer) { return offer.suggestion.id != request.id; });
        if (offered.empty())
            return fail(ErrorCode::not_found,
                        "nothing calls for \"" + request.id.substr(0, 160) + "\" now" +
                            (hint.empty() ? "" : "; did you mean \"" + hint + "\"?"),
                        "/id", hint);
    }
    const auto group = std::make_shared<Group>();
    group->progress = progress;
    {
        const std::lock_guard lock(mutex);
        std::vector<std::unique_ptr<Run>> admitted;
        for (SuggestionOffer& offer : offered) {
            const auto& last = offer.last_trial;
            const bool is_too_soon = request.all && !request.again && last && failed_to_prove_itself(*last) &&
                                     last->beganAt + config.retryMs > host.clock.wall_ms();
            auto refused = is_too_soon
                               ? fail(ErrorCode::failed_precondition, "it did not prove itself lately: " + last->reason)
                               : refuse(offer);
            if (!refused && !request.all) return refused;
            if (!refused) {
                group->outcome.skipped.push_back({offer.suggestion.id, refused.error().message});
                continue;
            }
            auto run = std::make_unique<Run>();
            const Suggestion& suggestion = run->suggestion = std::move(offer.suggestion);
            run->trial = {.id = suggestion.id,
                          .kind = suggestion.kind,
                          .target = suggestion.target,
                          .title = suggestion.title,
                          .automatic = is_automatic,
                          .lasts = suggestion.lasts,
                          .configuration = suggestion.configuration,
                          .beganAt = host.clock.wall_ms()};
            run->action = actions.at(suggestion.kind);
            run->window_ms = request.window_ms.value_or(config.windowMs);
            run->settle_ms = std::min(config.settleMs, run->window_ms);
            run->looked_ns = host.clock.now_ns();
            run->group = group;
            admitted.push_back(std::move(run));
        }
        group->count = admitted.size();
        if (group->count > 0) group->done = std::move(done);
        // Of one request several may change the same target: they take turns.
        for (auto& run : admitted) {
            ++busy_targets[run->suggestion.target];
            waiting.push_back(std::move(run));
        }
    }
    if (group->count == 0)
        done(std::move(group->outcome));
    else
        post([this] { next(); });
    return {};
}

// What was under way when an earlier process ended without a word.
void Suggestions::Engine::recover() {
    std::call_once(recover_once, [this] {
        if (const auto closed = past.close_orphans(host.is_alive, host.clock.wall_ms()); !closed)
            log(LogLevel::warning, "suggestions", "earlier trials could not be read: " + closed.error().message);
    });
}

void Suggestions::Engine::arm_automatic() {
    const std::lock_guard lock(mutex);
    host.timers.cancel(automatic_timer);
    if (!config.automatic || is_stopped) return;
    automatic_timer = host.timers.after_ms(config.automaticMs, [weak = weak_from_this()] {
        if (const auto self = weak.lock())
            self->post([&engine = *self] {
                engine.try_best();
                engine.arm_automatic();
            });
    });
}

std::string Suggestions::Engine::unsuitable() const {
    if (host.is_starting && host.is_starting()) return "the app is starting";
    const double load = host.load ? host.load().value_or(0) : 0;
    const std::lock_guard lock(mutex);
    if (load <= config.automaticLoadMax) return {};
    return "the machine has a load of " + suggestion_text::rounded(load) + " per core, more than the " +
           suggestion_text::rounded(config.automaticLoadMax) + " of automaticLoadMax";
}

// The most promising one that may be and was not tried lately, if nothing else is being tried.
void Suggestions::Engine::try_best() {
    recover();
    SuggestionsConfig now_config;
    {
        const std::lock_guard lock(mutex);
        if (!busy_targets.empty()) return;
        now_config = config;
    }
    if (const std::string reason = unsuitable(); !reason.empty())
        return log(LogLevel::debug, "suggestions", "nothing is tried now: " + reason);
    const auto offered = offers();
    if (!offered) return;
    const auto& kinds = now_config.automaticKinds;
    const auto is_allowed = [&kinds](const Suggestion& suggestion) {
        return kinds.empty() ? suggestion.complexity == SuggestionComplexity::low
                             : std::ranges::find(kinds, suggestion.kind) != kinds.end();
    };
    for (const SuggestionOffer& offer : *offered) {
        if (!offer.applies_itself || !is_allowed(offer.suggestion)) continue;
        if (offer.last_trial && offer.last_trial->beganAt + now_config.retryMs > host.clock.wall_ms()) continue;
        const auto admitted = admit({.id = offer.suggestion.id}, true, {}, [](const Result<SuggestionOutcome>&) {});
        if (admitted) return;
    }
}

} // namespace pillion
