// Alerts on a clock that tests move, over values that tests set.
#pragma once

#include "modules/alerts/alerts.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace pillion {

inline constexpr std::int64_t second_ms = 1000;
inline constexpr std::int64_t minute_ms = 60'000;
inline constexpr std::int64_t hour_ms = 3'600'000;

// A rule without anything that delays: each test adds what it is about.
inline AlertRule plain_rule() {
    AlertRule rule{.metric = "load"};
    rule.function = SeriesFunction::last;
    rule.windowMs = 1000;
    rule.warning = 75;
    rule.critical = 90;
    rule.margin = 0;
    rule.forMs = 0;
    rule.holdMs = 0;
    rule.cooldownMs = 0;
    rule.flapsMax = 1000;
    rule.noDataMs = 10'000;
    return rule;
}

struct AlertsFixture {
    struct Happened {
        AlertChange change;
        Alert alert;
    };
    std::map<std::string, std::map<SeriesLabels, double>> values; // by metric; none: nothing was recorded
    std::map<std::string, std::string> units;
    std::vector<Happened> events;
    std::size_t readings = 0;
    ManualClock clock;
    ManualTimers timers{clock};
    Alerts alerts;

    explicit AlertsFixture(std::map<std::string, AlertRule> rules = {}, AlertsConfig config = {},
                           Store* store = nullptr)
        : alerts({.clock = clock,
                  .timers = timers,
                  .source = [this](const AlertQuery& query) { return read(query); },
                  .store = store,
                  .publish =
                      [this](AlertChange change, const Alert& alert) {
                          events.push_back({change, alert});
                      }},
                 with_rules(std::move(config), std::move(rules))) {}

    static AlertsConfig with_rules(AlertsConfig config, std::map<std::string, AlertRule> rules) {
        config.builtIn = false;
        config.rules = std::move(rules);
        return config;
    }

    Result<AlertReading> read(const AlertQuery& query) {
        ++readings;
        const auto found = values.find(query.metric);
        if (found == values.end()) return fail(ErrorCode::not_found, "nothing was recorded");
        AlertReading reading{.unit = units[query.metric]};
        for (const auto& [labels, value] : found->second) reading.samples.push_back({labels, value});
        return reading;
    }

    // Begins to sample, with every window behind it.
    void start() {
        alerts.set_sampled(true);
        pass(2 * second_ms);
    }
    void pass(std::int64_t ms) { timers.advance_ms(ms); }
    // The metric `load` has this value for so long.
    void load(double value, std::int64_t ms = second_ms) {
        values["load"][{}] = value;
        pass(ms);
    }
    void load_of(const std::string& part, double value) { values["load"][{{"part", part}}] = value; }

    std::size_t count(AlertChange change) const {
        std::size_t found = 0;
        for (const Happened& event : events) found += event.change == change ? 1 : 0;
        return found;
    }
    // "raised warning", "changed critical", ...
    std::vector<std::string> story() const {
        std::vector<std::string> words;
        for (const auto& [change, alert] : events)
            words.push_back(std::string(change == AlertChange::raised    ? "raised "
                                        : change == AlertChange::changed ? "changed "
                                                                         : "resolved ") +
                            std::string(alert_level_name(alert.level)));
        return words;
    }
};

using Story = std::vector<std::string>;

} // namespace pillion
