// Strategies: what is done for a namespace beyond its policy. They warm it up, fetch ahead what is likely asked for
// next (by rules, or by learning which key follows which), let what was made of changed entries go, set times to live
// by how often values really change, and try other sizes and policies. Owned by the composition root beside the cache,
// which outlives it; any thread may call.
#pragma once

#include "modules/cache/cache.h"
#include "modules/cache/cache_tuner.h"
#include "modules/prediction/prediction.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

// Which tiers a namespace uses. On the wire: memory, disk, distributed, hybrid.
enum class CacheLayout : std::uint8_t { memory, disk, distributed, hybrid };

// When an entry of `onNamespace` whose key matches `onPattern` changes, these go.
struct CacheInvalidationRule {
    std::string onNamespace{};
    std::string onPattern = "*";
    std::optional<std::string> pattern{}; // of this namespace; absent: all of it
};
struct CachePrefetchRule {
    std::string pattern{};           // when a key that matches is read
    std::vector<std::string> keys{}; // these are fetched; * stands for what the first * of the pattern matched
};
struct CacheWarmUp {
    bool atStart = false;
    std::optional<std::int64_t> everyMs{};
    std::vector<std::string> keys{};
};
struct CacheLoadTemplate {
    std::string method{};
    std::string params = "{}"; // JSON; the string "{key}" in it stands for the key
};

struct CacheStrategy {
    std::string name{};
    std::string space{};
    CacheLayout layout = CacheLayout::hybrid;
    std::optional<EvictionPolicy> eviction{};
    std::optional<std::int64_t> maxBytes{};
    std::vector<CacheInvalidationRule> invalidation{};
    std::optional<CacheWarmUp> warmUp{};
    std::vector<CachePrefetchRule> prefetch{};
    bool learnedPrefetch = false;
    double prefetchProbability = 0.3;
    bool dynamicTtl = false;
    double changedShare = 0.1; // of values that may have changed by the end of a dynamic time to live
    std::int64_t ttlMsMin = 1000;
    std::int64_t ttlMsMax = 86'400'000;
    std::optional<std::int64_t> autoTuneMs{};
    std::optional<CacheLoadTemplate> load{};
};

struct CacheMeasure {
    double hitRatio = 0;
    std::int64_t requests = 0;
};

// What cache.optimize did and what came of it.
struct CacheOptimization {
    std::string space{};
    CacheMeasure before{};
    std::optional<CacheMeasure> after{};
    double predictedNow = 0;
    double predictedBest = 0;
    std::vector<TuningCandidate> candidates{};
    EvictionPolicy eviction = EvictionPolicy::adaptive;
    std::int64_t maxBytes = 0;
    bool applied = false;
    bool rolledBack = false;
    std::string reason{};
    std::int64_t at_ms = 0;
};

struct CacheStrategyStatus {
    CacheStrategy strategy{};
    PreloadWorth prefetch{};
    std::optional<std::int64_t> ttl_ms{};           // in force by dynamicTtl
    std::optional<ChangeRate::Estimate> changes{};  // what that is made of
    std::vector<CacheOptimization> optimizations{}; // the last ones
};

struct CacheWarmed {
    std::uint64_t asked = 0;
    std::uint64_t present = 0; // in memory already
    std::uint64_t found = 0;   // in a slower tier
    std::uint64_t loaded = 0;
    std::uint64_t missing = 0;
    std::uint64_t failed = 0;
};

class CacheStrategies {
  public:
    static constexpr std::size_t strategies_max = 64;
    static constexpr std::size_t parallel_max = 8; // loads of one warm-up at a time
    static constexpr std::size_t loads_remembered = 4096;

    explicit CacheStrategies(Cache& cache);
    ~CacheStrategies();
    CacheStrategies(const CacheStrategies&) = delete;

    // Puts a strategy in force; one of the same name is replaced. A warm-up `atStart` begins at once.
    Result<void> create(CacheStrategy strategy);
    // Fills in what is left open from the requests the namespace had, or from `workload`: eviction, size, whether to
    // fetch ahead, dynamic times to live. Takes some hundred milliseconds.
    Result<CacheStrategy> derive(CacheStrategy wanted, const std::vector<SampledAccess>* workload);
    std::vector<CacheStrategyStatus> list();

    using Progress = std::function<void(double percentage)>;
    void warm(const std::string& space, std::vector<CacheKey> keys, std::optional<CacheLoadTemplate> load,
              const Progress& progress, std::function<void(Result<CacheWarmed>)> done);

    // Measures a window, applies the best candidate, measures another, and takes it back if that was worse.
    void optimize(const std::string& space, std::int64_t window_ms,
                  std::function<void(Result<CacheOptimization>)> done);

    // Ends timers; nothing is fetched ahead afterwards.
    void stop();

  private:
    struct Active; // a strategy in force
    using ActivePointer = std::shared_ptr<Active>;
    struct Warming;
    struct Optimizing;

    ActivePointer find_for(const std::string& space);
    void accessed(CacheSpace& space, const CacheKey& key, const CacheRead& read, const std::optional<CacheLoad>& load);
    void fetch_ahead(const ActivePointer& active, const std::string& key, double probability);
    void invalidated(const CacheNotice& notice);
    void plan(const ActivePointer& active);
    void go_on(const std::shared_ptr<Warming>& warming);
    void apply_best(const std::shared_ptr<Optimizing>& run);
    void judge(const std::shared_ptr<Optimizing>& run);
    static CacheMeasure measure(const CacheSpace& space);

    Cache& cache_;
    std::mutex mutex_; // guards what follows
    std::map<std::string, ActivePointer> by_name_;
    std::map<std::string, bool> optimizing_;
    // What outlives this (timers, the cache's answers) holds it weakly.
    std::shared_ptr<CacheStrategies*> alive_;
};

// The load of a template for one key.
CacheLoad load_for(const CacheLoadTemplate& load, const CacheKey& key);

} // namespace pillion
