// The catalogue: which situation calls for which advice. Each rule is a pure function of the situation, its thresholds
// stand beside it. Any thread.
#pragma once

#include "modules/suggestions/situation.h"
#include "modules/suggestions/suggestion.h"

#include <span>
#include <string_view>
#include <vector>

namespace pillion {

struct SuggestionRule {
    std::string_view kind;
    std::string_view summary;
    void (*advise)(const Situation&, std::vector<Suggestion>& suggestions);
};

std::span<const SuggestionRule> suggestion_rules();
// What all rules say, the most promising first: what costs nothing before trade-offs, then by the relative gain.
std::vector<Suggestion> advise(const Situation& situation);

// The rules of the cache.
void advise_cache_tune(const Situation& situation, std::vector<Suggestion>& suggestions);
void advise_cache_shrink(const Situation& situation, std::vector<Suggestion>& suggestions);
void advise_cache_ttl(const Situation& situation, std::vector<Suggestion>& suggestions);
void advise_cache_compress(const Situation& situation, std::vector<Suggestion>& suggestions);
void advise_cache_plain(const Situation& situation, std::vector<Suggestion>& suggestions);

} // namespace pillion
