// cache.strategies, cache.createStrategy, cache.optimize and cache.warm.
#include "modules/cache/cache_rpc.h"

#include <algorithm>

namespace pillion {

PILLION_ENUM(CacheLayout, "memory", "disk", "distributed", "hybrid")

PILLION_WIRE(CacheInvalidationRule,
             PILLION_FIELD(onNamespace, "When an entry of this namespace changes ...", between(1, 64)),
             PILLION_FIELD(onPattern, "... whose key matches this,", defaulted, between(1, 1024)),
             PILLION_FIELD(pattern, "entries of the strategy's namespace go whose key matches this; all if left out.",
                           between(1, 1024)))
PILLION_WIRE(CachePrefetchRule, PILLION_FIELD(pattern, "When a key that matches is read,", between(1, 1024)),
             PILLION_FIELD(keys, "these are fetched ahead; * stands for what the pattern's first * matched.",
                           between(1, 64)))
PILLION_WIRE(CacheWarmUp, PILLION_FIELD(atStart, "Whether to warm up when the strategy comes into force.", defaulted),
             PILLION_FIELD(everyMs, "And again every so many milliseconds.", between(1000, 604'800'000)),
             PILLION_FIELD(keys, "The keys.", between(1, 100'000)))
PILLION_WIRE(CacheLoadTemplate, PILLION_FIELD(method, "The method whose result is the value.", between(1, 256)),
             PILLION_FIELD(params, "Its params as JSON text; \"{key}\" in it stands for the key.", defaulted))

PILLION_WIRE(
    CacheStrategy, PILLION_FIELD(name, "The strategy; one of the same name is replaced.", between(1, 64)),
    PILLION_FIELD_AS(space, "namespace", "The namespace it is for.", between(1, 64)),
    PILLION_FIELD(layout, "Which tiers are used.", defaulted), PILLION_FIELD(eviction, "Which entries go first."),
    PILLION_FIELD(maxBytes, "Most bytes of memory.", between(4096, 1'099'511'627'776)),
    PILLION_FIELD(invalidation, "Changes elsewhere that make entries here void.", defaulted, at_most(64)),
    PILLION_FIELD(warmUp, "Keys to have in memory before they are asked for."),
    PILLION_FIELD(prefetch, "Keys to fetch when another is read.", defaulted, at_most(64)),
    PILLION_FIELD(learnedPrefetch, "Learn which key follows which, and fetch ahead.", defaulted),
    PILLION_FIELD(prefetchProbability, "Fetch ahead what is at least so probable.", defaulted, between(0.01, 1)),
    PILLION_FIELD(dynamicTtl, "Set times to live by how often values are seen to change.", defaulted),
    PILLION_FIELD(changedShare, "Share of values that may have changed by the end of a dynamic time to live.",
                  defaulted, between(0.001, 0.9)),
    PILLION_FIELD(ttlMsMin, "A dynamic time to live is at least this.", defaulted, between(1, cache_ttl_ms_max)),
    PILLION_FIELD(ttlMsMax, "And at most this.", defaulted, between(1, cache_ttl_ms_max)),
    PILLION_FIELD(autoTuneMs, "Optimise by itself every so many milliseconds.", between(10'000, 604'800'000)),
    PILLION_FIELD(load, "How values that are fetched ahead or warmed up are loaded."))

struct CacheAccessParams {
    std::string_view key;
    std::int64_t bytes = 1024;
};
PILLION_WIRE(CacheAccessParams, PILLION_FIELD(key, "The key.", between(1, cache_key_bytes_max)),
             PILLION_FIELD(bytes, "What its value weighs.", between(1, 1'073'741'824), defaulted))

struct CacheCreateStrategyParams {
    CacheStrategy strategy;
    bool observe = false;
    std::vector<CacheAccessParams> workload;
    bool apply = true;
};
PILLION_WIRE(CacheCreateStrategyParams, PILLION_FIELD(strategy, "The strategy, as far as you know it."),
             PILLION_FIELD(observe, "Fill in the rest from the requests that the namespace had lately.", defaulted),
             PILLION_FIELD(workload, "Fill in the rest from these requests, in order.", defaulted, at_most(100'000)),
             PILLION_FIELD(apply, "Put it in force; else only say what it would be.", defaulted))

struct CacheCreateStrategyResult {
    CacheStrategy strategy;
    bool applied = false;
};
PILLION_WIRE(CacheCreateStrategyResult, PILLION_FIELD(strategy, "The strategy, filled in."),
             PILLION_FIELD(applied, "Whether it is in force."))

PILLION_WIRE(PreloadWorth, PILLION_FIELD(preloads, "Values fetched ahead."),
             PILLION_FIELD(pending, "Of those, not judged yet."), PILLION_FIELD(hits, "Asked for within ten minutes."),
             PILLION_FIELD(wasted, "Not asked for."),
             PILLION_FIELD(lateHits, "Of the wasted, asked for later after all."),
             PILLION_FIELD(misses, "Reads that nothing had foreseen."),
             PILLION_FIELD(precision, "Hits of what was judged."), PILLION_FIELD(recall, "Hits of all first reads."),
             PILLION_FIELD(expectedHits, "Hits that the probabilities promised."),
             PILLION_FIELD(savedMs, "Waiting that was spared."), PILLION_FIELD(wastedCpuMs, "Work done for nothing."),
             PILLION_FIELD(wastedBytes, "Bytes fetched for nothing."),
             PILLION_FIELD(heldBytes, "Bytes held on trust now."))

PILLION_WIRE(TuningCandidate, PILLION_FIELD(eviction, "The policy."), PILLION_FIELD(maxBytes, "The size."),
             PILLION_FIELD(hitRatio, "What the namespace's latest requests would have hit."))
PILLION_WIRE(CacheMeasure, PILLION_FIELD(hitRatio, "Share of requests that memory served."),
             PILLION_FIELD(requests, "How many requests there were."))

struct CacheOptimizeResult {
    std::string space;
    CacheMeasure before;
    std::optional<CacheMeasure> after;
    double predictedNow = 0;
    double predictedBest = 0;
    EvictionPolicy eviction = EvictionPolicy::adaptive;
    std::int64_t maxBytes = 0;
    bool applied = false;
    bool rolledBack = false;
    std::string reason;
    std::int64_t at = 0;
    std::vector<TuningCandidate> candidates;
};
PILLION_WIRE(CacheOptimizeResult, PILLION_FIELD_AS(space, "namespace", "The namespace."),
             PILLION_FIELD(before, "Measured in the window before."),
             PILLION_FIELD(after, "Measured in the window after."),
             PILLION_FIELD(predictedNow, "What the simulation says of the present settings."),
             PILLION_FIELD(predictedBest, "And of the best ones."), PILLION_FIELD(eviction, "The best policy."),
             PILLION_FIELD(maxBytes, "The best size."), PILLION_FIELD(applied, "Whether they were put in force."),
             PILLION_FIELD(rolledBack, "Whether they were taken back."), PILLION_FIELD(reason, "Why."),
             PILLION_FIELD(at, "When, in milliseconds since the Unix epoch."),
             PILLION_FIELD(candidates, "What was simulated, best first."))

struct CacheOptimizeParams {
    std::optional<std::string> space;
    std::int64_t windowMs = 5000;
};
PILLION_WIRE(CacheOptimizeParams,
             PILLION_FIELD_AS(space, "namespace", "The namespace; the busiest if left out.", between(1, 64)),
             PILLION_FIELD(windowMs, "How long to measure before, and again after.", between(100, 600'000), defaulted))

struct CacheStrategyItem {
    std::string name;
    std::string space;
    CacheStrategy strategy;
    PreloadWorth prefetch;
    std::optional<std::int64_t> ttlMs;
    std::optional<double> changesPerHour;
    std::vector<CacheOptimizeResult> optimizations;
};
PILLION_WIRE(CacheStrategyItem, PILLION_FIELD(name, "The strategy.", sortable),
             PILLION_FIELD_AS(space, "namespace", "Its namespace.", sortable), PILLION_FIELD(strategy, "What it does."),
             PILLION_FIELD(prefetch, "What fetching ahead was worth."),
             PILLION_FIELD(ttlMs, "The dynamic time to live in force."),
             PILLION_FIELD(changesPerHour, "How often values are seen to change."),
             PILLION_FIELD(optimizations, "The latest optimisations."))

struct CacheWarmParams {
    std::vector<JsonView> keys;
    std::string_view space = "default";
    std::optional<CacheLoadTemplate> load;
};
PILLION_WIRE(CacheWarmParams, PILLION_FIELD(keys, "The keys.", between(1, 100'000)),
             PILLION_FIELD_AS(space, "namespace", "The namespace.", defaulted, between(1, 64)),
             PILLION_FIELD(load, "How values are loaded that no tier has."))

struct CacheWarmResult {
    std::int64_t asked = 0;
    std::int64_t present = 0;
    std::int64_t found = 0;
    std::int64_t loaded = 0;
    std::int64_t missing = 0;
    std::int64_t failed = 0;
};
PILLION_WIRE(CacheWarmResult, PILLION_FIELD(asked, "Keys."), PILLION_FIELD(present, "Were in memory already."),
             PILLION_FIELD(found, "Came from a slower tier."), PILLION_FIELD(loaded, "Were loaded."),
             PILLION_FIELD(missing, "Are nowhere to be had."), PILLION_FIELD(failed, "Could not be read or loaded."))

namespace {

CacheOptimizeResult optimize_result(const CacheOptimization& done) {
    CacheOptimizeResult result;
    result.space = done.space;
    result.before = done.before;
    result.after = done.after;
    result.predictedNow = done.predictedNow;
    result.predictedBest = done.predictedBest;
    result.eviction = done.eviction;
    result.maxBytes = done.maxBytes;
    result.applied = done.applied;
    result.rolledBack = done.rolledBack;
    result.reason = done.reason;
    result.at = done.at_ms;
    result.candidates = done.candidates;
    return result;
}

std::string busiest(Cache& cache) {
    std::string name = "default";
    std::uint64_t most = 0;
    for (const CacheSpace* const space : cache.spaces())
        if (const std::uint64_t reads = space->counters.memory_hits + space->counters.memory_misses; reads > most) {
            most = reads;
            name = space->name;
        }
    return name;
}

Method create_method(CacheStrategies& strategies) {
    return method(
        "cache.createStrategy", "Puts a strategy for a namespace in force, filled in from an observed workload.",
        Lane::pooled, [&strategies](const CacheCreateStrategyParams& params) -> Result<CacheCreateStrategyResult> {
            CacheCreateStrategyResult result;
            result.strategy = params.strategy;
            std::vector<SampledAccess> workload;
            for (const CacheAccessParams& access : params.workload)
                workload.push_back({MemoryStore::hash_of(access.key), static_cast<std::uint32_t>(access.bytes)});
            if (params.observe || !workload.empty())
                result.strategy =
                    PILLION_TRY(strategies.derive(params.strategy, workload.empty() ? nullptr : &workload));
            if (params.apply) {
                PILLION_TRY(strategies.create(result.strategy));
                result.applied = true;
            }
            return result;
        });
}

} // namespace

std::vector<Method> cache_strategy_methods(Cache& cache, CacheStrategies& strategies) {
    std::vector<Method> methods;
    methods.push_back(list_method("cache.strategies", "The strategies in force, with what they were worth.",
                                  Lane::pooled,
                                  [&strategies](const NoParams&) -> Result<std::vector<CacheStrategyItem>> {
                                      std::vector<CacheStrategyItem> items;
                                      for (CacheStrategyStatus& status : strategies.list()) {
                                          CacheStrategyItem& item = items.emplace_back();
                                          item.name = status.strategy.name;
                                          item.space = status.strategy.space;
                                          item.strategy = std::move(status.strategy);
                                          item.prefetch = status.prefetch;
                                          item.ttlMs = status.ttl_ms;
                                          if (status.changes) item.changesPerHour = status.changes->changes_per_hour;
                                          for (const CacheOptimization& done : status.optimizations)
                                              item.optimizations.push_back(optimize_result(done));
                                      }
                                      return items;
                                  }));
    methods.push_back(create_method(strategies));
    methods.push_back(async_method<CacheOptimizeParams, CacheOptimizeResult>(
        "cache.optimize",
        "Tries other sizes and policies, measures, and takes back what did not help. Answers after two windows.",
        [&cache, &strategies](const CacheOptimizeParams& params, Reply<CacheOptimizeResult> reply) {
            const std::string space = params.space.value_or(busiest(cache));
            auto shared = std::make_shared<Reply<CacheOptimizeResult>>(std::move(reply));
            strategies.optimize(space, params.windowMs, [shared](const Result<CacheOptimization>& done) {
                if (!done) return (*shared)(std::unexpected(done.error()));
                (*shared)(optimize_result(*done));
            });
        }));
    methods.push_back(async_method<CacheWarmParams, CacheWarmResult>(
        "cache.warm", "Brings keys into memory, from the slower tiers or by loading them.",
        [&cache, &strategies](const CacheWarmParams& params, Reply<CacheWarmResult> reply) {
            auto shared = std::make_shared<Reply<CacheWarmResult>>(std::move(reply));
            std::vector<CacheKey> keys;
            for (const JsonView text : params.keys) {
                auto key = read_cache_key(text);
                if (!key) return (*shared)(std::unexpected(key.error()));
                keys.push_back(std::move(*key));
            }
            cache.executor().post([&strategies, shared, keys = std::move(keys), space = std::string(params.space),
                                   load = params.load] {
                strategies.warm(
                    space, keys, load, [shared](double percentage) { shared->call().report_progress(percentage, {}); },
                    [shared](const Result<CacheWarmed>& done) {
                        if (!done) return (*shared)(std::unexpected(done.error()));
                        CacheWarmResult result;
                        result.asked = static_cast<std::int64_t>(done->asked);
                        result.present = static_cast<std::int64_t>(done->present);
                        result.found = static_cast<std::int64_t>(done->found);
                        result.loaded = static_cast<std::int64_t>(done->loaded);
                        result.missing = static_cast<std::int64_t>(done->missing);
                        result.failed = static_cast<std::int64_t>(done->failed);
                        (*shared)(std::move(result));
                    });
            });
        }));
    return methods;
}

std::vector<Method> cache_methods(Cache& cache, CacheLeases& leases, CacheStrategies& strategies) {
    std::vector<Method> all = cache_value_methods(cache, leases);
    for (auto part : {&cache_many_methods, &cache_admin_methods, &cache_transfer_methods})
        for (Method& method : part(cache)) all.push_back(std::move(method));
    for (Method& method : cache_strategy_methods(cache, strategies)) all.push_back(std::move(method));
    for (Method& method : cache_simulate_methods()) all.push_back(std::move(method));
    return all;
}

} // namespace pillion
