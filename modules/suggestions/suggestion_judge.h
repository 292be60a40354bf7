// What two windows of a figure say: better, worse, or neither. Pure functions; any thread.
#pragma once

#include "modules/suggestions/suggestions.h"

#include <span>
#include <string>

namespace pillion {

enum class SuggestionEffect : std::uint8_t {
    better,
    none, // no difference, or one too small to matter
    worse,
    unknown, // too few samples
};

struct SuggestionJudgement {
    SuggestionEffect effect = SuggestionEffect::unknown;
    SuggestionComparison comparison{};
};

SuggestionJudgement judge(const SuggestionMeasure& measure, std::span<const double> before,
                          std::span<const double> after);

// A sentence with both figures.
std::string describe(const SuggestionJudgement& judgement);

// The values of a figure, one for each step of [from_ms, to_ms) in which it was recorded.
Result<std::vector<double>> read_measure(Series& series, const SuggestionMeasure& measure, std::int64_t from_ms,
                                         std::int64_t to_ms, std::int64_t step_ms);

} // namespace pillion
