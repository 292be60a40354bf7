// A trial is a comparison of two windows of the same length, one before a change and one after, with a pause between
// them in which what the change stirred up settles: an interrupted time series with one interruption. What else changed
// in that time counts with it; that is why only one trial runs at a time and why a change has to prove itself by more
// than significance.
#include "ipc/base/log.h"
#include "modules/suggestions/suggestion_engine.h"
#include "modules/suggestions/suggestion_rules.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pillion {

namespace {

constexpr std::int64_t fresh_ns = 1'000'000'000; // so long a look at the situation holds

// Whole seconds, as they are recorded.
std::int64_t step_of(std::int64_t window_ms) {
    return std::max<std::int64_t>(1000, window_ms / Suggestions::steps / 1000 * 1000);
}

} // namespace

bool Suggestions::Engine::post(std::function<void()> step) {
    {
        const std::lock_guard lock(mutex);
        if (is_stopped) return false;
        queued_steps.push_back(std::move(step));
        if (std::exchange(is_working, true)) return true; // whoever works goes on with it
    }
    if (host.run)
        host.run([self = shared_from_this()] { self->work(); });
    else
        work();
    return true;
}

void Suggestions::Engine::work() {
    for (;;) {
        std::function<void()> step;
        {
            const std::lock_guard lock(mutex);
            if (queued_steps.empty() || is_stopped) {
                is_working = false;
                changed.notify_all();
                return;
            }
            step = std::move(queued_steps.front());
            queued_steps.pop_front();
        }
        step();
    }
}

void Suggestions::Engine::after_ms(std::int64_t ms, std::function<void(Engine&)> step) {
    host.timers.after_ms(ms, [weak = weak_from_this(), step = std::move(step)] {
        if (const auto self = weak.lock()) self->post([&engine = *self, step] { step(engine); });
    });
}

void Suggestions::Engine::next() {
    if (current) return;
    {
        const std::lock_guard lock(mutex);
        if (!waiting.empty()) {
            current = std::move(waiting.front());
            waiting.pop_front();
        }
    }
    const bool wanted = current != nullptr;
    if (host.set_recording && wanted != is_recording) host.set_recording(wanted);
    is_recording = wanted;
    if (current) begin_trial();
}

void Suggestions::Engine::report(double phase_share, std::string_view step) {
    const Group& group = *current->group;
    if (!group.progress || group.count == 0) return;
    const double done = static_cast<double>(group.ended) + phase_share;
    group.progress(100 * done / static_cast<double>(group.count), current->suggestion.title + ": " + std::string(step));
}

Result<Suggestions::Engine::Readings> Suggestions::Engine::read(std::int64_t window_ms) const {
    const std::int64_t step_ms = step_of(window_ms), now_ms = host.series.now_ms();
    const std::int64_t to_ms = now_ms - now_ms % step_ms;
    const auto values = [&](const SuggestionMeasure& measure) {
        return read_measure(host.series, measure, to_ms - (window_ms + step_ms - 1) / step_ms * step_ms, to_ms,
                            step_ms);
    };
    Readings readings{.figure = PILLION_TRY(values(*current->suggestion.measure))};
    for (const SuggestionMeasure& guard : current->suggestion.guards)
        readings.guards.push_back(PILLION_TRY(values(guard)));
    return readings;
}

bool Suggestions::Engine::is_enough(const Readings& readings) const {
    const std::int64_t readings_min = std::max(samples_min, current->window_ms / step_of(current->window_ms) / 2);
    const auto enough = [readings_min](const std::vector<double>& values) {
        return std::ssize(values) >= readings_min;
    };
    return enough(readings.figure) && std::ranges::all_of(readings.guards, enough);
}

// The present advice of the trial's id.
std::optional<Suggestion> Suggestions::Engine::find_called_for() const {
    for (Suggestion& suggestion : advise(look()))
        if (suggestion.id == current->suggestion.id) return std::move(suggestion);
    return {};
}

void Suggestions::Engine::begin_trial() {
    Run& run = *current;
    // What it was admitted for may be long ago: others came first.
    if (host.clock.now_ns() - run.looked_ns > fresh_ns) {
        auto suggestion = find_called_for();
        if (!suggestion) return skip("nothing called for it any more when its turn came");
        run.suggestion = std::move(*suggestion);
        run.trial.title = run.suggestion.title;
        run.trial.configuration = run.suggestion.configuration;
        run.looked_ns = host.clock.now_ns();
    }
    measure_before();
}

void Suggestions::Engine::measure_before() {
    // What an earlier trial stirred up, and took back, is not what this one is compared with.
    const std::int64_t whole_window_ms = current->window_ms + step_of(current->window_ms); // of whole steps
    const std::int64_t unsettled_ms =
        changed_ms ? *changed_ms + current->settle_ms + whole_window_ms - host.series.now_ms() : 0;
    if (unsettled_ms <= 0) {
        auto readings = read(current->window_ms);
        if (readings && is_enough(*readings)) {
            current->before = std::move(*readings);
            return apply();
        }
    }
    report(0, "measuring before");
    after_ms(unsettled_ms > 0 ? unsettled_ms : whole_window_ms, [](Engine& engine) {
        auto later = engine.read(engine.current->window_ms);
        if (!later) return engine.fail_trial("its figure could not be read: " + later.error().message);
        engine.current->before = std::move(*later);
        engine.apply();
    });
}

void Suggestions::Engine::apply() {
    Run& run = *current;
    if (run.trial.automatic)
        if (const std::string reason = unsuitable(); !reason.empty()) return skip(reason);
    if (host.clock.now_ns() - run.looked_ns > fresh_ns && !find_called_for())
        return skip("nothing called for it any more once it had been measured");
    report(0.4, "applying");
    if (run.action.former) {
        auto former = run.action.former(run.suggestion);
        if (!former) return fail_trial("it could not be applied: " + former.error().message);
        run.former = std::move(*former);
    }
    run.trial.verdict = SuggestionVerdict::running;
    if (const auto added = past.add(run.trial); !added)
        log(LogLevel::warning, "suggestions", "a trial is not recorded: " + added.error().message);
    run.is_applied = true;
    changed_ms = host.series.now_ms();
    run.action.apply(run.suggestion, [weak = weak_from_this()](Result<void> result) {
        if (const auto self = weak.lock())
            self->post([&engine = *self, result = std::move(result)] { engine.applied(result); });
    });
}

void Suggestions::Engine::applied(const Result<void>& result) {
    Run& run = *current;
    if (!result) {
        run.is_applied = false;
        return fail_trial("it could not be applied: " + result.error().message);
    }
    run.trial.inForce = run.suggestion.lasts != SuggestionLasts::moment;
    past.update(run.trial);
    tell(run.trial);
    report(0.5, "measuring after");
    after_ms(run.settle_ms + run.window_ms + step_of(run.window_ms), [](Engine& engine) { engine.judge_trial(); });
}

void Suggestions::Engine::judge_trial() {
    Run& run = *current;
    auto after = read(run.window_ms);
    if (!after) return take_back("its figure could not be read: " + after.error().message);
    const SuggestionJudgement judgement = judge(*run.suggestion.measure, run.before.figure, after->figure);
    run.trial.measured = judgement.comparison;
    for (std::size_t i = 0; i < run.suggestion.guards.size(); ++i) {
        const SuggestionJudgement guard = judge(run.suggestion.guards[i], run.before.guards[i], after->guards[i]);
        run.trial.guards.push_back(guard.comparison);
        if (guard.effect == SuggestionEffect::worse) return take_back(describe(guard));
    }
    if (judgement.effect == SuggestionEffect::better) return keep(SuggestionVerdict::kept, describe(judgement));
    if (judgement.effect == SuggestionEffect::unknown) run.trial.verdict = SuggestionVerdict::undecided;
    take_back(describe(judgement));
}

void Suggestions::Engine::take_back(std::string reason) {
    Run& run = *current;
    const bool is_undecided = run.trial.verdict == SuggestionVerdict::undecided;
    if (!run.action.undo || run.suggestion.lasts == SuggestionLasts::moment)
        return keep(is_undecided ? SuggestionVerdict::undecided : SuggestionVerdict::ineffective,
                    std::move(reason) + "; there is nothing to take back");
    run.action.undo(run.suggestion.target, run.former,
                    [weak = weak_from_this(), is_undecided, reason = std::move(reason)](Result<void> undone) {
                        const auto self = weak.lock();
                        if (!self) return;
                        self->post([&engine = *self, is_undecided, reason, undone = std::move(undone)] {
                            engine.current->trial.inForce = !undone;
                            engine.changed_ms = engine.host.series.now_ms();
                            if (!undone)
                                engine.keep(SuggestionVerdict::failed,
                                            reason + "; it could not be taken back: " + undone.error().message);
                            else
                                engine.keep(is_undecided ? SuggestionVerdict::undecided : SuggestionVerdict::undone,
                                            reason + "; it was taken back");
                        });
                    });
}

void Suggestions::Engine::keep(SuggestionVerdict verdict, std::string reason) {
    current->trial.verdict = verdict;
    current->trial.reason = std::move(reason);
    finish();
}

void Suggestions::Engine::fail_trial(std::string reason) {
    if (current->trial.number == 0) {
        current->trial.verdict = SuggestionVerdict::failed;
        if (const auto added = past.add(current->trial); !added)
            log(LogLevel::warning, "suggestions", "a trial is not recorded: " + added.error().message);
    }
    keep(SuggestionVerdict::failed, std::move(reason));
}

// Nothing was changed: there is nothing to record.
void Suggestions::Engine::skip(std::string reason) {
    const std::unique_ptr<Run> run = std::move(current);
    if (run->trial.automatic) log(LogLevel::info, "suggestions", run->suggestion.id + " is not tried: " + reason);
    run->group->outcome.skipped.push_back({run->suggestion.id, std::move(reason)});
    leave(*run);
}

void Suggestions::Engine::finish() {
    const std::unique_ptr<Run> run = std::move(current);
    run->trial.endedAt = host.clock.wall_ms();
    past.update(run->trial);
    run->group->outcome.trials.push_back(run->trial);
    leave(*run);
}

// Its target is free again for others, and who has asked is told when it was the last of what he asked for.
void Suggestions::Engine::leave(const Run& run) {
    {
        const std::lock_guard lock(mutex);
        if (--busy_targets[run.suggestion.target] == 0) busy_targets.erase(run.suggestion.target);
    }
    if (run.trial.endedAt) tell(run.trial);
    Group& group = *run.group;
    if (++group.ended == group.count) group.done(std::move(group.outcome));
    post([this] { next(); });
}

void Suggestions::Engine::interrupt(Run& run) {
    run.trial.verdict = SuggestionVerdict::interrupted;
    run.trial.reason = run.is_applied ? suggestion_interrupted : "Pillion ended before it was applied";
    run.trial.inForce = false;
    run.trial.endedAt = host.clock.wall_ms();
    if (run.trial.number > 0) past.update(run.trial);
}

void Suggestions::Engine::stop() {
    std::deque<std::unique_ptr<Run>> left;
    {
        std::unique_lock lock(mutex);
        if (std::exchange(is_stopped, true)) return;
        host.timers.cancel(automatic_timer);
        queued_steps.clear();
        changed.wait(lock, [this] { return !is_working; });
        left = std::move(waiting);
    }
    if (current) left.push_front(std::move(current));
    for (const auto& run : left) {
        interrupt(*run);
        Group& group = *run->group;
        group.outcome.trials.push_back(run->trial);
        if (++group.ended == group.count) group.done(std::move(group.outcome));
    }
    if (is_recording && host.set_recording) host.set_recording(false);
    is_recording = false;
}

} // namespace pillion
