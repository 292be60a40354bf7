// Monitoring sessions: a stretch of the app's life that is watched from beginning to end, for a time or until it is
// told to stop, and summed up: the score beside that of the time before, what was raised, what got slower or larger by
// how much, what was out of place, what was tried against it. What gets worse meanwhile is an alert; on a critical one
// advice is tried by itself where the session was told so. Owned by the composition root; any thread may call.
//
// With nothing asked of it, it holds no memory, has set no timer and opened no file. Sessions are kept in the store;
// one that runs when Pillion ends, or is killed, has been interrupted and keeps what was known of it at its latest
// look.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/timers.h"
#include "modules/alerts/alerts.h"
#include "modules/analysis/analysis.h"
#include "modules/suggestions/suggestions.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pillion {

enum class SessionState : std::uint8_t { running, ended, interrupted };

// A metric whose level is worse than it was.
struct SessionDegradation {
    AlertLevel level = AlertLevel::info; // by the change: a tenth, a quarter, a half
    std::string metric{};
    SeriesLabels labels{};
    std::string unit{};
    std::int64_t since = 0;
    double before = 0;
    double now = 0;
    double changeShare = 0; // of the level before
};
// What stands at the end of `changes` (ascending in time) for the worse, the largest first; those before `from_ms` only
// tell the level that was there.
std::vector<SessionDegradation> degradations_of(std::span<const SeriesChange> changes, std::int64_t from_ms);
// Names it among alerts.
std::string degradation_key(const SessionDegradation& degradation);

// Alerts by the highest level they had.
struct SessionAlerts {
    std::int64_t info = 0;
    std::int64_t warning = 0;
    std::int64_t critical = 0;
    std::int64_t standing = 0; // of them not resolved
};

struct SessionSummary {
    std::int64_t at = 0;
    std::optional<double> scoreBefore{}; // of the time as long before it, an hour at most; absent where unknown
    std::optional<double> score{};
    SessionAlerts alerts{};
    std::vector<SessionDegradation> degradations{};
    std::vector<SeriesAnomaly> anomalies{}; // the first of them
    std::int64_t anomaliesCount = 0;
    std::vector<Bottleneck> bottlenecks{};
    std::vector<std::string> recommendations{};
    std::vector<SuggestionTrial> trials{}; // of advice, that began meanwhile
};

struct Session {
    std::string id{};
    std::string name{};
    SessionState state = SessionState::running;
    bool applyAdvice = false;
    std::int64_t startedAt = 0; // wall clock, as all times here
    std::optional<std::int64_t> endsAt{};
    std::optional<std::int64_t> endedAt{};
    std::optional<SessionSummary> summary{};
};

struct SessionOptions {
    std::string name{};
    std::optional<std::int64_t> duration_ms{}; // absent: until it is stopped
    bool applies_advice = false;
};

class Sessions {
  public:
    static constexpr std::int64_t look_ms = 60'000;    // how often the figures are looked at meanwhile
    static constexpr std::int64_t advice_ms = 600'000; // how often advice is tried at most
    static constexpr std::size_t running_max = 16;
    static constexpr std::size_t kept_max = 200;
    static constexpr std::size_t findings_max = 50; // of a kind in a summary

    // All functions are called where work runs, but for set_watched; they may block for some hundred milliseconds.
    struct Host {
        const Clock& clock;
        Timers& timers;
        Store* store = nullptr; // null: history ends with the process
        // Whether the machine is to be watched: while a session runs.
        std::function<void(bool)> set_watched{};
        std::function<Result<AnalysisReport>(const AnalysisRange&)> analyse{};
        std::function<Result<std::vector<SeriesChange>>(const AnalysisRange&)> changes{};
        std::function<std::vector<Alert>()> alerts{}; // those that resolved among them
        std::function<Result<std::vector<SuggestionTrial>>()> trials{};
        std::function<void(AlertNotice)> raise{};
        std::function<void(const std::string& key)> resolve{};
        std::function<void()> try_advice{}; // begins to
        std::function<void(const Session&)> on_ended{};
        // Runs work that may block, one after another, away from the timers.
        std::function<void(std::function<void()>)> run{};
        // How a summary is kept.
        std::function<std::string(const SessionSummary&)> summary_text{};
        std::function<Result<SessionSummary>(std::string_view)> read_summary{};
        // Names this process, for the history; and whether the process so named is still there.
        std::string owner = "1";
        std::function<bool(const std::string&)> is_alive{};
    };
    explicit Sessions(Host host);
    ~Sessions();
    Sessions(const Sessions&) = delete;

    // At composition, where there is a store.
    static void add_schema(Store& store);

    // -32004 while running_max sessions run.
    Result<Session> start(SessionOptions options);
    // Sums it up and ends it; `done` comes where work runs. -32002 if none of that id runs here.
    using Done = std::function<void(Result<Session>)>;
    void stop(const std::string& id, Done done);
    // As it is; of one that runs here the summary is drawn up now, which takes some hundred milliseconds.
    Result<Session> get(const std::string& id);
    // Without summaries, the latest first.
    Result<std::vector<Session>> list();

    // What runs is interrupted. Before the store, the timers and what work runs on stop.
    void end();

  private:
    struct Engine;
    const std::shared_ptr<Engine> engine_;
};

} // namespace pillion
