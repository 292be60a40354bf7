// What is looked at for bottlenecks and for the score: one table, so that the two never disagree. Part of analysis.
#pragma once

#include "modules/analysis/analysis.h"

#include <span>

namespace pillion {

// A gauge, a rate or a quantile of a duration against two thresholds. The values that all the lines of the metric
// take are judged, each by itself.
struct ValueRule {
    AnalysisKind kind;
    std::string_view metric;
    std::string_view label; // and its value, where the metric has several; empty: any
    std::string_view label_value;
    SeriesFunction function;
    double warning;
    double critical;
    std::string_view what; // "processor time of the machine"
    std::string_view advice;
    std::string_view unit{}; // of which the thresholds are; as that of the metric
};
std::span<const ValueRule> value_rules();

// A share of two counters: part / (part + rest), where together they rose by `least` at the least.
struct ShareRule {
    AnalysisKind kind;
    std::string_view part;
    std::string_view rest;
    bool rest_holds_part; // the second counts the first as well
    double least;
    double warning;
    double critical;
    std::string_view what;
    std::string_view advice;
};
std::span<const ShareRule> share_rules();

// What a value costs its part of the score, 0 to 100: nothing up to half the warning's threshold, 30 at that, 70 at the
// critical one, 100 as far again beyond.
double penalty_of(double value, double warning, double critical);

double weight_of(AnalysisKind kind); // of its part in the score; together 100

} // namespace pillion
