// The inside of Alerts. One mutex guards everything; functions say where they take it, the others want it held. What is
// to be published gathers in `events` and leaves without the mutex, one thread at a time, in order. The store is only
// called from the timers' thread, or by those who wait for it anyway: never while the mutex is held, and never by
// raise(), which the store itself may be the cause of.
#pragma once

#include "modules/alerts/alert_machine.h"
#include "modules/alerts/alert_store.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <variant>

namespace pillion {

// The id of an alert: of a rule and labels, or of a key.
std::string alert_fingerprint(std::string_view rule, const SeriesLabels& labels);
std::string alert_key_fingerprint(std::string_view key);
// What a rule watches there: the same for two rules that only differ in thresholds, functions or times.
std::string alert_subject(const AlertRule& rule, const SeriesLabels& labels);
// Whether `text` is what `pattern` says, with * for anything.
bool alert_name_matches(std::string_view pattern, std::string_view text);
// For people: "system.memory.utilization is 93 % (avg of 1 min), above 90 %".
std::string alert_detail(const AlertRule& rule, const Alert& alert);
std::string alert_duration_text(std::int64_t ms);

// An alert that stands.
struct ActiveAlert {
    Alert alert{};
    bool is_announced = false;  // alerts.raised was published
    bool is_changed = false;    // alerts.changed is due
    bool is_suppressed = false; // as it was last told
    // It was raised before a restart, or before its rule was replaced: it is looked at again until then, from when its
    // rule is first evaluated.
    bool is_unconfirmed = false;
    std::optional<std::int64_t> unconfirmed_until_ns{};
    // Raised directly: it flaps, and resolves then unless it is raised again.
    std::optional<std::int64_t> resolves_at_ns{};
    std::int64_t raised_ns = 0; // when it was raised, or taken over from a run before
    std::string subject{};      // what its rule watches; equal for rules that watch the same
    bool is_direct() const { return alert.metric.empty(); }
};

struct WatchedSeries {
    AlertMachine machine{};
    bool is_seen = false;        // in this evaluation
    bool is_placeholder = false; // stands for a metric that has no series
};

struct RuleState {
    AlertRule rule{};
    AlertRuleOrigin origin = AlertRuleOrigin::builtIn;
    std::string unit{};
    AlertConditions conditions{};
    std::map<SeriesLabels, WatchedSeries> watched{};
    std::set<std::string> active{}; // ids
    std::int64_t next_ns = 0;
    std::string trouble{};
};

struct Alerts::Engine : std::enable_shared_from_this<Alerts::Engine> {
    explicit Engine(Host its_host) : host(std::move(its_host)) {}

    const Host host;

    mutable std::mutex mutex; // guards what follows
    std::condition_variable changed;
    AlertsConfig config{};
    bool is_stopped = false;

    // Rules: alert_rules.cpp.
    std::map<std::string, AlertRule> runtime_rules{};
    std::map<std::string, RuleState> rules{};
    bool has_enabled_rules = false;
    bool is_rules_news = false;                   // what was set at run time was read, or changed
    std::optional<bool> runtime_rules_told{};     // by on_runtime_rules
    std::unordered_set<std::string> inhibitors{}; // names that some rule is inhibited by
    void apply_rules();
    std::optional<bool> has_rules_to_tell();
    void replace_rule(RuleState& state, const AlertRule& rule);
    Result<void> set_rule(const std::string& name, const AlertRule& rule); // takes the mutex

    // Evaluation: alert_evaluation.cpp.
    bool is_sampled = false;
    std::int64_t anew_from_ns = 0;           // windows that begin before are not looked at
    std::optional<std::int64_t> ticked_ns{}; // the latest tick of sampling
    std::int64_t wall_less_monotonic_ms = 0; // at that tick
    void look_for_gap(std::int64_t now_ns);
    void begin_anew(std::int64_t now_ns);
    void evaluate(const std::string& name, RuleState& state, std::int64_t now_ns);
    void take(RuleState& state, const AlertReading& reading, std::int64_t now_ns);
    Result<AlertReading> read(const RuleState& state) const;
    void settle_groups(const std::string& name, RuleState& state, std::int64_t now_ns);
    struct Group;
    void settle_group(const std::string& name, RuleState& state, const std::string& id, const Group& group);
    void end_others(RuleState& state, const std::set<std::string>& raised, std::int64_t now_ns);

    // What stands: alert_active.cpp.
    std::unordered_map<std::string, ActiveAlert> active{};       // by id
    std::deque<Alert> history{};                                 // resolved ones, oldest first
    std::unordered_map<std::string, FlapCounter> direct_flaps{}; // by id
    std::unordered_set<std::string> refused{};                   // ids past activeMax since the summary was raised
    std::int64_t refused_at_ns = 0;
    std::set<std::pair<std::int64_t, std::string>> overdue{}; // when to look at which alert; some no longer need it
    std::vector<std::string> touched{};                       // ids to be announced
    bool is_suppression_stale = false;
    ActiveAlert* add_active(Alert alert);
    std::int64_t duration_ms(const ActiveAlert& entry) const;
    void end_alert(const std::string& id, AlertEnd end);
    void touch(ActiveAlert& entry);
    void raise_now(AlertNotice notice);
    void resolve_now(std::string_view key);
    void refuse(const std::string& id);
    void end_overdue(std::int64_t now_ns);
    std::optional<AlertEnd> overdue_end(const ActiveAlert& entry, std::int64_t now_ns) const;

    // Silences and inhibition: alert_suppression.cpp.
    std::map<std::string, AlertSilence> silences{};
    std::uint64_t silences_made = 0;
    std::optional<std::string> find_silence(const Alert& alert) const;
    void end_silences();
    void apply_suppression();
    void set_suppression(ActiveAlert& entry, std::optional<std::string> silence, std::optional<std::string> inhibitor);
    void announce();

    // Time and publication: alerts.cpp.
    std::deque<std::pair<AlertChange, Alert>> events{};
    bool is_publishing = false;
    TimerId timer{};
    std::optional<std::int64_t> armed_for_ns{};
    void tick(); // takes the mutex
    void arm();
    void finish(std::unique_lock<std::mutex>& lock);

    // What outlives the process: alert_history.cpp.
    using Early = std::variant<AlertNotice, std::string>; // raised, or resolved, before history was read
    std::deque<Early> early{};
    bool is_loaded = false;
    bool is_loading = false;
    bool is_load_wanted = false;
    bool is_writing = false;
    bool is_store_work_due = false;
    bool has_write_failed = false;  // so that it is logged once
    std::int64_t write_from_ns = 0; // after a failure
    AlertWrites writes{};
    AlertBounds bounds() const;
    void want_load();
    void keep(const Alert& alert);
    void keep_resolved(Alert alert);
    void ask_for_store_work();
    void take_kept(AlertsKept kept);
    void work_with_store(); // takes the mutex, as do those below
    void begin_load();
    void loaded(Result<void> done, AlertsKept kept);
    void write_now();
    void load();
};

} // namespace pillion
