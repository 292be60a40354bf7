// What is said of the cache rests on requests that were really made: sizes and policies on simulations of them
// (modules/cache/cache_tuner.h), times to live on how often values were seen to change (change_rate.h).
#include "modules/suggestions/suggestion_rules.h"
#include "modules/suggestions/suggestion_text.h"

#include <algorithm>

namespace pillion {

namespace {

using namespace suggestion_text;

constexpr std::int64_t requests_min = 1000;    // below that a hit ratio says little
constexpr double gain_min = 0.02;              // of the hit ratio
constexpr double loss_max = 0.005;             // of the hit ratio, that a smaller cache may cost
constexpr double saved_bytes_min = 4 << 20;    // below that nobody notices
constexpr double of_available_max = 0.1;       // of the machine's free memory, that a cache may grow by
constexpr double looks_min = 30;               // at values made anew, before their rate of change is believed
constexpr double ttl_factor_min = 2;           // less is not worth it
constexpr double ttl_factor_max = 8;           // in one step
constexpr double hit_ratio_enough = 0.95;      // a longer life would hardly raise it
constexpr std::uint64_t written_min = 1000;    // values, before their compression is judged
constexpr double compressible_bytes_min = 200; // shorter values hardly shrink
constexpr double hardly_smaller = 0.97;        // sealed to plain
constexpr double plain_bytes_min = 16 << 20;   // written, before compression is said to be in vain

SeriesQuery counted(const std::string& series, const std::string& name) {
    return {.name = series,
            .labels = {{"namespace", name}},
            .function = SeriesFunction::increase,
            .aggregate = SeriesAggregate::sum};
}

SuggestionMeasure hit_ratio(const std::string& name) {
    return {.figure = "hit ratio of " + name,
            .unit = "1",
            .better = SuggestionBetter::higher,
            .query = counted("pillion.cache.hits", name),
            .whole = {counted("pillion.cache.hits", name), counted("pillion.cache.misses", name)},
            .effect_share_min = 0.02,
            .effect_min = 0.01};
}

SuggestionEvidence hits_evidence(const CacheSituation& cache) {
    return {.series = "pillion.cache.hits",
            .labels = {{"namespace", cache.name}},
            .what = "share of " + std::to_string(cache.requests) + " requests that hit",
            .unit = "1",
            .value = cache.hit_ratio};
}

SuggestionEvidence bytes_evidence(const CacheSituation& cache) {
    return {.series = "pillion.cache.bytes",
            .labels = {{"namespace", cache.name}},
            .what = "memory of its entries",
            .unit = "By",
            .value = static_cast<double>(cache.bytes)};
}

Suggestion suggestion(std::string kind, const CacheSituation& cache) {
    return {.id = kind + ":" + cache.name, .kind = std::move(kind), .target = "namespace " + cache.name};
}

std::string setting(const CacheSituation& cache, const std::string& lines) {
    return "[cache.namespaces." + cache.name + "]\n" + lines;
}

std::string size_lines(const CacheTuning& tuning) {
    return "eviction = \"" + tuning.eviction + "\"\nmaxBytes = " + std::to_string(tuning.bytes_max);
}

} // namespace

void advise_cache_tune(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const CacheSituation& cache : situation.caches) {
        if (!cache.tuning || cache.requests < requests_min) continue;
        const CacheTuning& tuning = *cache.tuning;
        const double gain = tuning.hit_ratio_best - tuning.hit_ratio_now;
        const auto growth = static_cast<double>(tuning.bytes_max - cache.bytes_max);
        if (gain < gain_min) continue;
        if (tuning.eviction == cache.eviction && tuning.bytes_max == cache.bytes_max) continue;
        if (situation.memory && situation.memory->available_bytes > 0 &&
            growth > of_available_max * static_cast<double>(situation.memory->available_bytes))
            continue;
        Suggestion made = suggestion("cache.tune", cache);
        made.title =
            "Keep " + cache.name + " by " + tuning.eviction + " in " + bytes(static_cast<double>(tuning.bytes_max));
        made.reason = "The last requests, simulated, hit " + percent(tuning.hit_ratio_best) + " with " +
                      tuning.eviction + " and " + bytes(static_cast<double>(tuning.bytes_max)) + ", and " +
                      percent(tuning.hit_ratio_now) + " with " + cache.eviction + " and " +
                      bytes(static_cast<double>(cache.bytes_max)) + " as now." +
                      (cache.load_ms > 0 ? " A miss costs " + duration(cache.load_ms) + "." : "");
        made.evidence = {hits_evidence(cache), bytes_evidence(cache)};
        made.improvement = {.figure = "hit ratio",
                            .unit = "1",
                            .now = cache.hit_ratio,
                            .modest = std::min(1.0, cache.hit_ratio + gain / 2),
                            .best = std::min(1.0, cache.hit_ratio + gain)};
        made.settings = {{"eviction", tuning.eviction}, {"maxBytes", std::to_string(tuning.bytes_max)}};
        made.configuration = setting(cache, size_lines(tuning));
        made.measure = hit_ratio(cache.name);
        suggestions.push_back(std::move(made));
    }
}

void advise_cache_shrink(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const CacheSituation& cache : situation.caches) {
        if (!cache.tuning || cache.requests < requests_min) continue;
        const CacheTuning& tuning = *cache.tuning;
        const double gain = tuning.hit_ratio_best - tuning.hit_ratio_now;
        const double saved = static_cast<double>(cache.bytes) - static_cast<double>(tuning.bytes_max);
        if (gain >= gain_min || gain < -loss_max || tuning.bytes_max >= cache.bytes_max || saved < saved_bytes_min)
            continue;
        Suggestion made = suggestion("cache.shrink", cache);
        made.title = "Give " + cache.name + " " + bytes(static_cast<double>(tuning.bytes_max)) + " instead of " +
                     bytes(static_cast<double>(cache.bytes_max));
        made.reason = "The last requests, simulated, hit " + percent(tuning.hit_ratio_best) + " in " +
                      bytes(static_cast<double>(tuning.bytes_max)) + " and " + percent(tuning.hit_ratio_now) +
                      " as it is: " + bytes(saved) + " serve nobody.";
        made.evidence = {bytes_evidence(cache), hits_evidence(cache)};
        made.improvement = {.figure = "memory of the namespace",
                            .unit = "By",
                            .now = static_cast<double>(cache.bytes),
                            .modest = static_cast<double>(cache.bytes) - saved / 2,
                            .best = static_cast<double>(tuning.bytes_max)};
        made.settings = {{"eviction", tuning.eviction}, {"maxBytes", std::to_string(tuning.bytes_max)}};
        made.configuration = setting(cache, size_lines(tuning));
        made.measure = SuggestionMeasure{.figure = "memory of " + cache.name,
                                         .unit = "By",
                                         .better = SuggestionBetter::lower,
                                         .query = {.name = "pillion.cache.bytes",
                                                   .labels = {{"namespace", cache.name}},
                                                   .aggregate = SeriesAggregate::sum},
                                         .effect_share_min = 0,
                                         .effect_min = saved / 2};
        made.guards = {hit_ratio(cache.name)};
        suggestions.push_back(std::move(made));
    }
}

void advise_cache_ttl(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const CacheSituation& cache : situation.caches) {
        if (cache.requests < requests_min || cache.looks < looks_min || cache.ttl_ms <= 0) continue;
        if (cache.hit_ratio >= hit_ratio_enough) continue;
        const auto now_ms = static_cast<double>(cache.ttl_ms);
        const double wanted_ms = std::min(static_cast<double>(cache.fitting_ttl_ms), now_ms * ttl_factor_max);
        if (wanted_ms < now_ms * ttl_factor_min) continue;
        const auto ttl_ms = static_cast<std::int64_t>(wanted_ms);
        Suggestion made = suggestion("cache.ttl", cache);
        made.title =
            "Keep values of " + cache.name + " fresh for " + duration(wanted_ms) + " instead of " + duration(now_ms);
        made.reason = "Of " + rounded(cache.looks) + " values that were made anew most had not changed: a tenth has " +
                      "changed after " + duration(static_cast<double>(cache.fitting_ttl_ms)) +
                      ". The price: at the end of the longer life one value in ten may be out of date.";
        made.evidence = {hits_evidence(cache)};
        made.improvement = {.figure = "hit ratio",
                            .unit = "1",
                            .now = cache.hit_ratio,
                            .modest = cache.hit_ratio,
                            .best = cache.hit_ratio + (1 - cache.hit_ratio) * (1 - now_ms / wanted_ms)};
        made.complexity = SuggestionComplexity::medium;
        made.settings = {{"ttlMs", std::to_string(ttl_ms)}};
        made.configuration = setting(cache, "ttlMs = " + std::to_string(ttl_ms));
        made.measure = hit_ratio(cache.name);
        suggestions.push_back(std::move(made));
    }
}

void advise_cache_compress(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const CacheSituation& cache : situation.caches) {
        if (cache.written < written_min || cache.plain_bytes == 0 || cache.is_compressed_in_vain) continue;
        const auto plain = static_cast<double>(cache.plain_bytes);
        const double share = static_cast<double>(cache.sealed_bytes) / plain;
        const double mean = plain / static_cast<double>(cache.written);
        if (share < 0.9 || mean < compressible_bytes_min) continue;
        const bool is_off = cache.compress_above_bytes == 0;
        if (!is_off && mean >= static_cast<double>(cache.compress_above_bytes)) continue; // most are already, in vain
        constexpr std::int64_t from_bytes = 128;
        Suggestion made = suggestion("cache.compress", cache);
        made.title = "Compress values of " + cache.name + " from " + std::to_string(from_bytes) + " bytes on";
        made.reason =
            "Its values have " + bytes(mean) + " on average and are " +
            (is_off ? "not compressed"
                    : "compressed only from " + bytes(static_cast<double>(cache.compress_above_bytes)) + " on") +
            ": the slower tiers take " + percent(share) + " of their plain size.";
        made.evidence = {{.series = "pillion.cache.sealed_bytes",
                          .labels = {{"namespace", cache.name}},
                          .what = "size in slower tiers to plain size",
                          .unit = "1",
                          .value = share}};
        made.improvement = {
            .figure = "size in slower tiers to plain size", .unit = "1", .now = share, .modest = 0.9, .best = 0.3};
        made.settings = {{"compressAboveBytes", std::to_string(from_bytes)}};
        made.configuration = setting(cache, "compressAboveBytes = " + std::to_string(from_bytes));
        made.measure = SuggestionMeasure{.figure = "size in slower tiers to plain size of " + cache.name,
                                         .unit = "1",
                                         .better = SuggestionBetter::lower,
                                         .query = counted("pillion.cache.sealed_bytes", cache.name),
                                         .whole = {counted("pillion.cache.plain_bytes", cache.name)},
                                         .effect_share_min = 0.05};
        suggestions.push_back(std::move(made));
    }
}

void advise_cache_plain(const Situation& situation, std::vector<Suggestion>& suggestions) {
    for (const CacheSituation& cache : situation.caches) {
        if (cache.written < written_min || cache.compress_above_bytes == 0) continue;
        const auto plain = static_cast<double>(cache.plain_bytes);
        const double share = static_cast<double>(cache.sealed_bytes) / std::max(1.0, plain);
        if (plain < plain_bytes_min || share < hardly_smaller) continue;
        if (plain / static_cast<double>(cache.written) < static_cast<double>(cache.compress_above_bytes)) continue;
        Suggestion made = suggestion("cache.plain", cache);
        made.title = "Do not compress values of " + cache.name;
        made.reason = bytes(plain) + " were compressed and came to " + percent(share) +
                      " of that: they are compressed already, and the time is lost.";
        made.evidence = {{.series = "pillion.cache.sealed_bytes",
                          .labels = {{"namespace", cache.name}},
                          .what = "size in slower tiers to plain size",
                          .unit = "1",
                          .value = share}};
        made.improvement = {.figure = "bytes a second that are compressed in vain",
                            .unit = "By/s",
                            .now =
                                plain * 1000 / static_cast<double>(std::max<std::int64_t>(1000, situation.uptime_ms)),
                            .modest = 0,
                            .best = 0};
        made.settings = {{"compressAboveBytes", "0"}};
        made.configuration = setting(cache, "compressAboveBytes = 0");
        made.measure = SuggestionMeasure{.figure = "processor time of Pillion per second",
                                         .unit = "s",
                                         .better = SuggestionBetter::lower,
                                         .query = {.name = "process.cpu.time",
                                                   .labels = {{"role", "self"}},
                                                   .function = SeriesFunction::rate,
                                                   .aggregate = SeriesAggregate::sum},
                                         .effect_share_min = 0.05};
        suggestions.push_back(std::move(made));
    }
}

} // namespace pillion
