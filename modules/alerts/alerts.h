// Alerts: rules over the time series, and alerts that other parts raise themselves, with what keeps them from being a
// nuisance: they must hold before they are raised and stay clear before they resolve, they do not come back at once,
// they flap once and not for ever; they are grouped, inhibited, silenced, acknowledged, counted once, and bounded.
// Owned by the composition root; any thread may call. Events are published on the thread that caused them, in order and
// without a lock held.
//
// Time: durations are those of the monotonic clock. When the machine slept, the process was stopped or the wall clock
// jumped, every `for` and hold begins anew, and a rule is not looked at until its window (at most 10 minutes of it)
// lies behind that.
//
// With nothing raised, asked or sampled it has set no timer and opened no file. What is raised and what was resolved is
// kept in the store given and read back at the first use. Alerts of rules that were raised when Pillion ended are
// looked at again, and resolve after `for` and hold unless the rule holds; direct ones resolve unless they are raised
// again within `confirm_ms`. Two sidecars on one data directory share the history: what stands there as raised is taken
// over at the start only where the process that raised it has ended.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/timers.h"
#include "modules/alerts/alert_rule.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

class Store;

// Section `alerts`. Described in alerts_rpc.h.
struct AlertsConfig {
    bool builtIn = true;
    std::vector<std::string> disabled{};
    std::int64_t activeMax = 1000;
    std::int64_t historyMax = 1000;
    std::int64_t historyDays = 30;
    std::map<std::string, AlertRule> rules{};
};
Result<void> check_alerts_config(const AlertsConfig& config);

enum class AlertState : std::uint8_t { raised, noData, resolved };
enum class AlertEnd : std::uint8_t {
    cleared,      // its condition is no longer met, or its owner resolved it
    noData,       // there has been no data for the rule's time
    ruleGone,     // its rule was deleted or disabled
    notConfirmed, // raised before a restart and not since
};

struct AlertAcknowledgement {
    std::string by{};
    std::string comment{};
    std::int64_t at = 0;
};

// One of those that an alert of a rule with groupBy stands for.
struct AlertMember {
    SeriesLabels labels{};
    AlertLevel level = AlertLevel::warning;
    std::optional<double> value{};
};

struct Alert {
    std::string id{};   // its fingerprint: the same for the same rule and labels, or key
    std::string rule{}; // or the key of one that was raised directly
    AlertState state = AlertState::raised;
    AlertLevel level = AlertLevel::warning;
    AlertLevel worst = AlertLevel::warning; // since it was raised
    std::string title{};
    std::string detail{};
    std::string advice{};
    SeriesLabels labels{};
    std::string metric{}; // empty: raised directly
    std::string unit{};
    std::optional<double> value{};
    std::optional<double> threshold{}; // of its level
    std::int64_t raisedAt = 0;         // wall clock, as all times here
    std::int64_t changedAt = 0;
    std::optional<std::int64_t> resolvedAt{};
    std::int64_t durationMs = 0;
    std::int64_t occurrences = 1; // how often a direct one was raised while it stood
    bool flapping = false;
    std::optional<AlertAcknowledgement> acknowledged{};
    std::optional<std::string> silencedBy{};
    std::optional<std::string> inhibitedBy{};
    std::optional<AlertEnd> end{};
    std::vector<AlertMember> members{}; // the first members_max of members_count
    std::int64_t membersCount = 0;
};

// An alert without a rule. The same key again is the same alert.
struct AlertNotice {
    std::string key{}; // "storage.damaged", "components.crashLoop/search"
    AlertLevel level = AlertLevel::warning;
    std::string title{};
    std::string detail{};
    SeriesLabels labels{};
    std::string advice{};
};

struct AlertSilence {
    std::string id{};
    std::string rule{}; // with * for anything; empty: every rule and key
    SeriesLabels labels{};
    std::int64_t createdAt = 0;
    std::int64_t until = 0;
    std::string by{};
    std::string comment{};
};

enum class AlertRuleOrigin : std::uint8_t { builtIn, configured, runtime };

struct AlertRuleInfo {
    std::string name{};
    AlertRuleOrigin origin = AlertRuleOrigin::builtIn;
    AlertRule rule{};
    std::int64_t raised = 0;  // alerts now
    std::int64_t watched = 0; // label sets with data
    std::string trouble{};    // why it cannot be evaluated; empty while it can
};

// Which values a rule wants: one for each set of labels.
struct AlertQuery {
    std::string metric{};
    SeriesLabels labels{};
    SeriesFunction function = SeriesFunction::avg;
    double percentile = 95;
    std::int64_t window_ms = 60'000; // that ends now
    SeriesAggregate aggregate = SeriesAggregate::none;
    std::vector<std::string> by{};
};
struct AlertSample {
    SeriesLabels labels{};
    double value = 0;
};
struct AlertReading {
    std::string unit{};
    std::vector<AlertSample> samples{}; // none: no data
};
// Called on the timers' thread with a lock held: must not block for long, nor call back. -32002 is no data.
using AlertSource = std::function<Result<AlertReading>(const AlertQuery&)>;
// The source that reads the series; `series` outlives it.
AlertSource alert_source(Series& series);

enum class AlertChange : std::uint8_t { raised, changed, resolved };

enum class AlertsOf : std::uint8_t { active, resolved, all };

class Alerts {
  public:
    static constexpr std::int64_t interval_ms = 1000;
    static constexpr std::int64_t confirm_ms = 600'000;
    static constexpr std::size_t rules_max = 500;
    static constexpr std::size_t watched_max = 500; // label sets of one rule
    static constexpr std::size_t members_max = 20;  // shown of one alert
    static constexpr std::size_t silences_max = 200;
    static constexpr std::string_view overflow_key = "alerts.tooMany";

    struct Host {
        const Clock& clock;
        Timers& timers;
        AlertSource source{};
        Store* store = nullptr; // null: nothing outlives the process
        std::function<void(AlertChange, const Alert&)> publish{};
        // How rules set at run time are kept: alert_rule_text and read_alert_rule of alerts_rpc.h. Empty: they are not.
        std::function<std::string(const AlertRule&)> rule_text{};
        std::function<Result<AlertRule>(std::string_view text)> read_rule{};
        // This process among all that ever use the store, and whether another one still runs. Empty: it does not.
        std::string owner = "1";
        std::function<bool(const std::string& owner)> is_alive{};
        // Hears whether there is an enabled rule that was set at run time, when that was read, and after each change.
        std::function<void(bool has_rules)> on_runtime_rules{};
    };
    explicit Alerts(Host host, const AlertsConfig& config = {});
    ~Alerts();
    Alerts(const Alerts&) = delete;

    // At composition, where there is a store: adds the tables.
    static void add_schema(Store& store);

    Result<void> configure(const AlertsConfig& config);
    // Whether metrics are being sampled: only then rules are evaluated, once a second.
    void set_sampled(bool is_sampled);
    // Whether a rule that is enabled was declared by the configuration or at run time.
    bool has_own_rules() const;

    // Alerts of other parts. Neither waits for the store.
    void raise(AlertNotice notice);
    void resolve(std::string_view key);

    // Waits until history has been read, where there is a store, as do all that follow.
    void load();
    // The latest first; those that are active by level before that.
    std::vector<Alert> list(AlertsOf which = AlertsOf::active);
    // Until the alert resolves. -32002 if none of that id is active.
    Result<Alert> acknowledge(std::string_view id, std::string by, std::string comment);
    // `until` and what identifies it are filled in.
    Result<AlertSilence> silence(AlertSilence silence, std::int64_t duration_ms);
    Result<void> unsilence(std::string_view id);
    std::vector<AlertSilence> silences();

    std::vector<AlertRuleInfo> rules();
    // Adds a rule, or replaces one of that name until it is deleted.
    Result<void> set_rule(const std::string& name, const AlertRule& rule);
    Result<void> enable_rule(const std::string& name, bool is_enabled);
    // What was set at run time; what was declared by the same name is back then.
    Result<void> delete_rule(const std::string& name);

    // Nothing is evaluated or published afterwards. Before the store stops, and not from within `publish`.
    void stop();

  private:
    struct Engine;
    const std::shared_ptr<Engine> engine_;
};

// What another process kept in `store`, as it stands: nothing is taken over, judged or written. Blocks.
Result<std::vector<Alert>> read_kept_alerts(Store& store, AlertsOf which);
// What `pillion alerts` prints.
std::string alerts_table(const std::vector<Alert>& alerts, std::int64_t now_ms);
// "93 %", "1.5 GiB", "250 ms": a value as people read it.
std::string alert_value_text(double value, std::string_view unit);

} // namespace pillion
