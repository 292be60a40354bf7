// An app that is given advice, on time that stands still until moved.
#pragma once

#include "modules/suggestions/suggestions.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

namespace pillion::test {

inline constexpr SeriesSpec hits{"pillion.cache.hits", "Hits.", "{request}", SeriesKind::counter};
inline constexpr SeriesSpec misses{"pillion.cache.misses", "Misses.", "{request}", SeriesKind::counter};
inline constexpr SeriesSpec resident{"process.memory.usage", "Resident size.", "By", SeriesKind::gauge};

// An app whose cache `voices` hits as often as its policy lets it, and which holds memory it does not use.
struct App {
    ManualClock clock;
    ManualTimers timers{clock};
    Series series{{.clock = clock, .timers = timers}};
    Situation situation{.caches = {voices()}};
    double hit_ratio = 0.5;
    double tuned_hit_ratio = 0.8;
    double resident_bytes = 200e6;
    bool is_recording = false;
    std::string policy = "lru";
    Result<void> applying{};
    Result<void> undoing{};
    std::vector<SuggestionTrial> told;

    static CacheSituation voices() {
        return {.name = "voices",
                .requests = 20'000,
                .hit_ratio = 0.5,
                .eviction = "lru",
                .bytes_max = 1 << 20,
                .tuning = CacheTuning{
                    .hit_ratio_now = 0.5, .hit_ratio_best = 0.8, .eviction = "adaptive", .bytes_max = 1 << 20}};
    }

    Suggestions::Host host(Store* store = nullptr, std::string owner = "1") {
        return {.clock = clock,
                .timers = timers,
                .series = series,
                .store = store,
                .situation = [this] { return situation; },
                .set_recording = [this](bool wanted) { is_recording = wanted; },
                .run = {},
                .on_changed = [this](const SuggestionTrial& trial) { told.push_back(trial); },
                .owner = std::move(owner),
                .is_alive = [](const std::string& other) { return other == "alive"; }};
    }

    void connect(Suggestions& suggestions) {
        suggestions.add_action(
            "cache.tune",
            {.former = [this](const Suggestion&) -> Result<std::string> { return policy; },
             .apply =
                 [this](const Suggestion& suggestion, const SuggestionAction::Done& done) {
                     if (applying) policy = suggestion.settings.at("eviction");
                     done(applying);
                 },
             .undo =
                 [this](const std::string& target, const std::string& former, const SuggestionAction::Done& done) {
                     CHECK(target == "namespace voices");
                     if (undoing) policy = former;
                     done(undoing);
                 }});
        suggestions.add_action("memory.purge", {.former = {},
                                                .apply =
                                                    [this](const Suggestion&, const SuggestionAction::Done& done) {
                                                        resident_bytes -= 100e6;
                                                        done({});
                                                    },
                                                .undo = {}});
    }

    // Seconds of ordinary life. What happens is recorded whoever wants it; requests waver by a few percent.
    void live(int seconds, int requests_per_second = 100) {
        for (int i = 0; i < seconds; ++i) {
            const double ratio =
                (policy == "lru" ? hit_ratio : tuned_hit_ratio) + 0.02 * std::sin(static_cast<double>(second_) * 1.7);
            ++second_;
            hits_ += ratio * requests_per_second;
            misses_ += (1 - ratio) * requests_per_second;
            if (requests_per_second > 0) {
                REQUIRE(series.observe(hits, {{"namespace", "voices"}}, hits_));
                REQUIRE(series.observe(misses, {{"namespace", "voices"}}, misses_));
            }
            REQUIRE(series.observe(resident, {{"role", "self"}, {"process", "pillion"}},
                                   resident_bytes + 1e5 * std::sin(static_cast<double>(second_))));
            timers.advance_ms(1000);
        }
    }

  private:
    int second_ = 0;
    double hits_ = 0;
    double misses_ = 0;
};

// What was answered; it may come after the test has stopped waiting for it.
struct Asked {
    struct Answer {
        std::optional<SuggestionOutcome> outcome{};
        std::optional<Error> error{};
    };
    std::shared_ptr<Answer> answer = std::make_shared<Answer>();
    std::optional<SuggestionOutcome>& outcome = answer->outcome;
    std::optional<Error>& error = answer->error;

    void operator()(Suggestions& suggestions, SuggestionRequest request) const {
        suggestions.apply(std::move(request), {}, [into = answer](Result<SuggestionOutcome> result) {
            if (result)
                into->outcome.emplace(std::move(*result));
            else
                into->error.emplace(std::move(result).error());
        });
    }
    const SuggestionTrial& trial() const {
        REQUIRE(outcome.has_value());
        REQUIRE(outcome->trials.size() == 1);
        return outcome->trials[0];
    }
};

inline constexpr int whole_trial_s = 70; // settling and a window
inline constexpr const char* tune = "cache.tune:voices";

} // namespace pillion::test
