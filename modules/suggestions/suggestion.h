// One piece of advice: what it rests on, what it promises, how it is carried out and how it is judged. Values; any
// thread. Members are spelled as on the wire, which describes them in suggestions_rpc.h.
#pragma once

#include "modules/series/series.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

// What it takes of whoever follows it.
enum class SuggestionComplexity : std::uint8_t {
    low,    // nothing is given up
    medium, // a trade-off, which the text names
    high,   // the app's own code or habits change
};

enum class SuggestionLasts : std::uint8_t {
    moment,  // does something once: there is nothing to take back
    run,     // until Pillion ends; `configuration` makes it last
    forever, // beyond the end of Pillion
};

enum class SuggestionBetter : std::uint8_t { higher, lower };

// A figure that the advice rests on.
struct SuggestionEvidence {
    std::string series{}; // the time series it can be followed in; empty where there is none
    std::map<std::string, std::string> labels{};
    std::string what{};
    std::string unit{};
    double value = 0;
};

// What a figure is now and between what it is expected to come to lie: at least `modest`, at most `best`.
struct SuggestionImprovement {
    std::string figure{};
    std::string unit{};
    double now = 0;
    double modest = 0;
    double best = 0;
};

// A figure over time: one series, or its share in the sum of several.
struct SuggestionMeasure {
    std::string figure{};
    std::string unit{};
    SuggestionBetter better = SuggestionBetter::higher;
    SeriesQuery query{};
    std::vector<SeriesQuery> whole{}; // of what `query` is a share; empty: `query` itself
    double effect_share_min = 0.05;   // of the median before: less is no change
    double effect_min = 0;            // in the figure's unit: less is no change either
};

struct Suggestion {
    std::string id{};     // kind and target: the same advice keeps its id
    std::string kind{};   // "cache.tune"
    std::string target{}; // what it changes; one trial at a time of each
    std::string title{};
    std::string reason{};
    std::vector<SuggestionEvidence> evidence{};
    std::optional<SuggestionImprovement> improvement{};
    SuggestionComplexity complexity = SuggestionComplexity::low;
    SuggestionLasts lasts = SuggestionLasts::run;
    std::map<std::string, std::string> settings{}; // what would be set
    std::string configuration{};                   // how it is written down, where it can be
    std::string by_hand{};                         // why Pillion cannot carry it out itself, where it cannot
    std::optional<SuggestionMeasure> measure{};    // empty: nothing that could be tried out
    std::vector<SuggestionMeasure> guards{};       // figures that must not get worse
};

} // namespace pillion
