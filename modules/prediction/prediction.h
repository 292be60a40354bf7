// Learns which of an app's own signals follows which, says what is likely next, and keeps account of whether acting on
// that was worth it. Generic over names: components and actions for the lazy loader, keys for the cache's prefetching.
//
//     Predictor predictor({.scope = "components"}, clock);
//     predictor.observe("editor");                     // "editor" was used now
//     for (const Prediction& next : predictor.predict(3)) preload(next.name, next.probability);
//
//     PreloadJudge judge({}, clock);
//     judge.preloaded("spellcheck", {.probability = 0.6, .memory_bytes = 8 << 20, .load_ns = 40'000'000});
//     judge.used("spellcheck", PreloadUse::was_there); // a hit: 40 ms saved
//     judge.worth();                                   // precision, recall, time saved, what was wasted
//
// Both are owned by the module that uses them; any thread may call. Observing takes about half a microsecond,
// predicting one or two, also with 100,000 names; what takes longer says so. With nothing observed they hold a few
// hundred bytes.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/timers.h"
#include "modules/storage/storage.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pillion {

enum class Repeats : std::uint8_t {
    ignored, // the same name twice in a row is one use: right for loading, where the second costs nothing
    counted,
};

struct PredictorOptions {
    std::string scope{}; // keeps predictors on one store apart: "components", "cache"
    Repeats repeats = Repeats::ignored;
    std::size_t names_max = 100'000;         // the least used go
    std::size_t contexts_max = 98'304;       // what followed one name, or two; 64 bytes each. The least used go
    std::size_t name_bytes_max = 256;        // a longer name is not learned
    std::size_t names_bytes_max = 4'500'000; // of all names together, with what the allocator adds
    double half_life_uses = 50;              // of the same context: after so many its older half counts half
    double half_life_days = 30;
    std::int64_t save_delay_ms = 5000; // what was learned is written this long after the first change
    std::size_t save_rows_max = 4096;  // in one write; more follows in the next
};

struct Prediction {
    std::string name{};
    double probability = 0;
};

struct PredictorStats {
    std::uint64_t observations = 0; // since the start of the process
    std::uint64_t names = 0;
    std::uint64_t contexts = 0;
    std::uint64_t forgotten_names = 0; // dropped for want of room
    std::uint64_t refused_names = 0;   // too long
    std::uint64_t bytes = 0;
    std::uint64_t unsaved = 0; // rows
};

// Where somebody is: the last two names used. Whoever watches several users or windows keeps one for each.
struct PredictionContext {
    std::uint32_t last = 0; // 0: none
    std::uint32_t before = 0;
};

class PredictionModel;
struct PredictorGuard;

class Predictor {
  public:
    Predictor(PredictorOptions options, const Clock& clock);
    ~Predictor();
    Predictor(const Predictor&) = delete;

    // At composition, once for the store.
    static void add_schema(Store& store);
    // From here on what is learned is written to the store, a while after it changed. Both outlive the predictor, or
    // stop() comes first.
    void persist(Store& store, Timers& timers);
    // Reads what was learned before; blocks for some milliseconds. What was observed meanwhile is kept. Later calls do
    // nothing.
    Result<void> load();
    // Writes what is not written yet now, and nothing after it. Does not wait for the disk.
    void stop();

    void observe(std::string_view name) { observe(name, own_context_); }
    void observe(std::string_view name, PredictionContext& context);
    // The likeliest next names, most probable first, at most `limit` (and 16); those under `probability_min` are left
    // out. Probabilities of all names together, known and unknown, sum to 1.
    std::vector<Prediction> predict(std::size_t limit, double probability_min = 0) const {
        return predict(limit, probability_min, own_context_);
    }
    std::vector<Prediction> predict(std::size_t limit, double probability_min, const PredictionContext& context) const;
    // What follows this name, wherever we are.
    std::vector<Prediction> predict_after(std::string_view name, std::size_t limit) const;
    // How probable this one is next.
    double probability(std::string_view name) const { return probability(name, own_context_); }
    double probability(std::string_view name, const PredictionContext& context) const;

    // Forgets everything, in the store too. Takes as long as freeing it does. How many names that were.
    Result<std::uint64_t> forget();
    PredictorStats stats() const;

  private:
    friend struct PredictorGuard;
    std::uint32_t minutes() const;
    void arm();
    void save();

    const PredictorOptions options_;
    const Clock& clock_;
    mutable std::mutex mutex_; // guards what follows
    std::unique_ptr<PredictionModel> model_;
    PredictionContext own_context_;
    Store* store_ = nullptr;
    Timers* timers_ = nullptr;
    std::uint64_t observations_ = 0;
    TimerId timer_{};
    bool is_armed_ = false;
    bool is_loaded_ = false;
    std::uint32_t base_minutes_ = 0; // the model's time at base_ns_
    std::int64_t base_ns_ = 0;
    std::shared_ptr<PredictorGuard> guard_; // keeps a late timer from a predictor that is gone
};

struct Preload {
    double probability = 0; // what the predictor said
    std::uint64_t memory_bytes = 0;
    std::int64_t cpu_ns = 0;
    std::int64_t load_ns = 0; // what a demand now need not wait for
};

enum class PreloadUse : std::uint8_t {
    was_there,  // loaded already, by a preload or for another reason
    was_loaded, // on demand: somebody waited
};

struct PreloadWorth {
    std::uint64_t preloads = 0; // so far
    std::uint64_t pending = 0;  // not judged yet
    std::uint64_t hits = 0;     // used within the window
    std::uint64_t wasted = 0;   // not used within it, or unloaded before
    std::uint64_t lateHits = 0; // of those, used later after all
    std::uint64_t misses = 0;   // loads on demand that no preload had foreseen
    double precision = 0;       // hits of what was judged
    double recall = 0;          // hits of all first uses
    double expectedHits = 0;    // sum of the probabilities of what was judged: near `hits` if the model is honest
    double savedMs = 0;         // waiting that hits made unnecessary
    double wastedCpuMs = 0;
    std::uint64_t wastedBytes = 0; // loaded for nothing, summed over all wasted preloads
    std::uint64_t heldBytes = 0;   // by pending preloads now
};

struct PreloadJudgeOptions {
    std::int64_t window_ms = 10 * 60'000; // a preload that is not used within this was for nothing
    std::size_t pending_max = 4096;       // the oldest is judged wasted to make room
};

class PreloadJudge {
  public:
    PreloadJudge(PreloadJudgeOptions options, const Clock& clock) : options_(options), clock_(clock) {}

    // A preload was decided; again for the same name (say, when its cost is known) replaces what was said.
    void preloaded(std::string_view name, const Preload& preload);
    void used(std::string_view name, PreloadUse use);
    // Unloaded: if it was never used it was for nothing.
    void unloaded(std::string_view name);
    PreloadWorth worth() const;
    void forget();

  private:
    struct Pending {
        Preload preload{};
        std::int64_t at_ns = 0;
    };
    using Entries = std::unordered_map<std::string, Pending>;
    void expire() const;
    void waste(Entries::iterator entry) const;

    const PreloadJudgeOptions options_;
    const Clock& clock_;
    mutable std::mutex mutex_; // guards what follows
    mutable Entries pending_;
    mutable Entries late_; // wasted already, may still be used
    mutable PreloadWorth worth_;
};

} // namespace pillion
