// Advice that proves itself: rules look at how things stand (situation.h) and give suggestions; one that can be carried
// out is tried on request: a figure is measured before and after, and what does not make it better by a difference that
// is both significant and large enough is undone. Owned by the composition root; any thread may call.
//
// A trial: its figure's series is read over the window before, or recorded for a window first where it was not; the
// trial is written to the store; the change is made; after a pause the same figure is read over a window of the same
// length. One trial runs at a time, others wait for it, so that none takes the credit of another; what nothing calls
// for any more when its turn has come is not applied. Nothing is applied by itself unless the configuration says
// `automatic`, and then not while the app starts or the machine is busy. With nothing asked of it, it holds no memory,
// has set no timer and opened no file.
//
// What a trial changes lasts as long as the process at most: one that is under way when Pillion ends is recorded as
// interrupted, at once or, after a crash, when suggestions are next asked for; and what proved itself is kept until
// Pillion ends, with the lines of configuration that would make it last.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/timers.h"
#include "modules/suggestions/situation.h"
#include "modules/suggestions/suggestion.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

class Store;

// Section `suggestions`. Described in suggestions_rpc.h.
struct SuggestionsConfig {
    bool automatic = false;
    std::vector<std::string> automaticKinds{}; // empty: all that give nothing up
    double automaticLoadMax = 0.7;             // of the machine, per core
    std::int64_t automaticMs = 600'000;
    std::int64_t unusedMs = 1'800'000;
    std::int64_t windowMs = 60'000;
    std::int64_t settleMs = 5000;
    std::int64_t retryMs = 86'400'000;
};
Result<void> check_suggestions_config(const SuggestionsConfig& config);

// How suggestions of one kind are carried out, which must not outlast the process. All parts may be called from any
// thread and must not wait long; what takes long answers later.
struct SuggestionAction {
    using Done = std::function<void(Result<void>)>;
    // What undo() needs to know, read before anything is changed. Empty: nothing is needed.
    std::function<Result<std::string>(const Suggestion&)> former{};
    std::function<void(const Suggestion&, Done)> apply{};
    // Gets the target and what `former` gave. Empty: cannot be undone.
    std::function<void(const std::string& target, const std::string& former, Done)> undo{};
};

enum class SuggestionVerdict : std::uint8_t {
    pending,     // waits for its turn
    running,     //
    kept,        // it proved itself
    undone,      // it made nothing better, or something worse
    ineffective, // the same, of what cannot be taken back
    undecided,   // too little was measured to tell
    interrupted, // Pillion ended meanwhile
    failed,      // it could not be applied
};

// One side of a comparison.
struct SuggestionFigure {
    std::int64_t samples = 0;
    double median = 0;
    double low = 0; // of the median, with 95 % confidence; the extremes where there are too few samples for that
    double high = 0;
};

struct SuggestionComparison {
    std::string figure{};
    std::string unit{};
    SuggestionBetter better = SuggestionBetter::higher;
    SuggestionFigure before{};
    SuggestionFigure after{};
    // By how much `after` exceeds `before` (Hodges and Lehmann), and how likely that is by chance (Mann and Whitney);
    // absent where there was too little to compare.
    std::optional<double> shift{};
    std::optional<double> shiftLow{};
    std::optional<double> shiftHigh{};
    std::optional<double> probability{};
    double effectMin = 0; // the shift from which a difference counts
};

struct SuggestionTrial {
    std::int64_t number = 0;
    std::string id{};
    std::string kind{};
    std::string target{};
    std::string title{};
    SuggestionVerdict verdict = SuggestionVerdict::pending;
    std::string reason{}; // of the verdict
    bool inForce = false; // what it changed holds now
    bool automatic = false;
    SuggestionLasts lasts = SuggestionLasts::run;
    std::string configuration{}; // makes it last
    std::int64_t beganAt = 0;
    std::optional<std::int64_t> endedAt{};
    std::optional<SuggestionComparison> measured{};
    std::vector<SuggestionComparison> guards{}; // not kept beyond the end of Pillion
};

// Advice with what is known of it here.
struct SuggestionOffer {
    Suggestion suggestion{};
    bool applies_itself = false; // where it does not, the suggestion says why
    std::optional<SuggestionTrial> last_trial{};
};

struct SuggestionRequest {
    std::string id{}; // or `all`
    bool all = false;
    std::optional<std::int64_t> window_ms{};
    bool again = false; // `all`: also what did not prove itself lately
};

struct SuggestionSkipped {
    std::string id{};
    std::string reason{};
};

struct SuggestionOutcome {
    std::vector<SuggestionTrial> trials{};
    std::vector<SuggestionSkipped> skipped{};
};

class Suggestions {
  public:
    static constexpr std::size_t trials_kept = 500;
    static constexpr std::size_t waiting_max = 64;
    static constexpr std::int64_t steps = 30; // readings in a window, where it is long enough for one a second
    static constexpr std::int64_t samples_min = 8;

    struct Host {
        const Clock& clock;
        Timers& timers;
        Series& series;
        Store* store = nullptr; // null: history ends with the process
        // How things stand; may take some hundred milliseconds.
        std::function<Situation()> situation;
        // Whether series are to be recorded: while something is measured.
        std::function<void(bool)> set_recording{};
        // Runs work that may block for a while, one after another, away from the timers. Empty: where it is asked.
        std::function<void(std::function<void()>)> run{};
        std::function<void(const SuggestionTrial&)> on_changed{};
        // Whether the app is starting, and the machine's load per core, where it is known: for what nobody asked for.
        std::function<bool()> is_starting{};
        std::function<std::optional<double>()> load{};
        // Names this process, for the history; and whether the process so named is still there.
        std::string owner = "1";
        std::function<bool(const std::string&)> is_alive{};
    };
    explicit Suggestions(Host host);
    ~Suggestions();
    Suggestions(const Suggestions&) = delete;

    // At composition.
    static void add_schema(Store& store);
    // At composition: suggestions of a kind with an action can be applied.
    void add_action(std::string kind, SuggestionAction action);
    // Holds for what is tried from now on.
    void configure(const SuggestionsConfig& config);
    // Serving begins: while the configuration says so, advice is tried from now on. More than once does no harm.
    void begin();

    // All that the situation calls for, the most promising first. Blocks for some hundred milliseconds.
    Result<std::vector<SuggestionOffer>> list();
    // Tries one or all, less what nothing calls for any more when its turn comes; `done` comes when the last trial has
    // ended, and `progress` (may be empty) before; both from where work runs. -32002 with the nearest id for one that
    // is not called for now; -32003 while its target is being tried; -32007 for one that cannot be applied. Does not
    // block.
    using Done = std::function<void(Result<SuggestionOutcome>)>;
    using Progress = std::function<void(double percentage, std::string_view step)>;
    void apply(SuggestionRequest request, Progress progress, Done done);
    // Trials, the latest first.
    Result<std::vector<SuggestionTrial>> history();

    // Ends what is under way, as said above. Before the store, the timers and what work runs on stop.
    void stop();

  private:
    struct Engine;
    const std::shared_ptr<Engine> engine_;
};

} // namespace pillion
