// The engine of Suggestions: one trial at a time, as a chain of steps. Steps run one after another on the host's thread
// for work; timers and the answers of actions only queue the next step. Private to the module.
#pragma once

#include "modules/suggestions/suggestion_history.h"
#include "modules/suggestions/suggestion_judge.h"
#include "modules/suggestions/suggestions.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace pillion {

struct Suggestions::Engine : std::enable_shared_from_this<Suggestions::Engine> {
    // Trials that were asked for together.
    struct Group {
        SuggestionOutcome outcome{};
        Progress progress{};
        Done done{};
        std::size_t count = 0;
        std::size_t ended = 0; // of them
    };
    struct Readings {
        std::vector<double> figure{};
        std::vector<std::vector<double>> guards{};
    };
    struct Run {
        Suggestion suggestion{};
        SuggestionTrial trial{};
        SuggestionAction action{};
        std::string former{};
        std::int64_t window_ms = 0;
        std::int64_t settle_ms = 0;
        std::int64_t looked_ns = 0; // when it was last called for
        Readings before{};
        bool is_applied = false;
        std::shared_ptr<Group> group{};
    };

    explicit Engine(Host its_host) : host(std::move(its_host)), past(host.store, host.owner) {}

    // suggestions.cpp
    Situation look() const;
    Result<std::vector<SuggestionOffer>> offers();
    Result<void> admit(const SuggestionRequest& request, bool is_automatic, const Progress& progress, Done done);
    Result<void> refuse(const SuggestionOffer& offer) const;
    void recover();
    void arm_automatic();
    // Why this is no time for what nobody has asked for; empty where it is.
    std::string unsuitable() const;
    void try_best();
    void stop();

    // suggestion_trials.cpp
    // False when everything has ended: then it will not run.
    bool post(std::function<void()> step);
    void work();
    void after_ms(std::int64_t ms, std::function<void(Engine&)> step);
    void next();
    void begin_trial();
    void measure_before();
    std::optional<Suggestion> find_called_for() const;
    Result<Readings> read(std::int64_t window_ms) const;
    bool is_enough(const Readings& readings) const;
    void apply();
    void applied(const Result<void>& result);
    void judge_trial();
    void take_back(std::string reason);
    void keep(SuggestionVerdict verdict, std::string reason);
    void fail_trial(std::string reason);
    void skip(std::string reason);
    void finish();
    void leave(const Run& run);
    void interrupt(Run& run);
    void report(double phase_share, std::string_view step);
    void tell(const SuggestionTrial& trial) const {
        if (host.on_changed) host.on_changed(trial);
    }

    const Host host;
    SuggestionHistory past;
    std::map<std::string, SuggestionAction> actions; // constant after composition
    std::once_flag recover_once;

    // Used by steps alone, and by stop() when no step runs any more.
    std::unique_ptr<Run> current;
    bool is_recording = false;
    std::optional<std::int64_t> changed_ms; // by the series' time, when a trial last changed something

    mutable std::mutex mutex; // guards what follows
    std::condition_variable changed;
    SuggestionsConfig config;
    std::deque<std::function<void()>> queued_steps;
    bool is_working = false;
    bool is_stopped = false;
    bool has_begun = false; // serving
    std::deque<std::unique_ptr<Run>> waiting;
    std::map<std::string, std::size_t> busy_targets; // waiting or under way
    TimerId automatic_timer{};
};

} // namespace pillion
