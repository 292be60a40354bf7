// What one rule makes of the values of one set of labels: whether it is raised, and at which level. Pure; owned by the
// engine, which gives it a value at a time and holds its lock.
#pragma once

#include "modules/alerts/alert_rule.h"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace pillion {

// A rule's part that a machine needs, with its thresholds settled.
struct AlertConditions {
    AlertThresholds thresholds{};
    std::optional<double> margin{}; // absent: 5 % of each threshold
    AlertComparison comparison = AlertComparison::above;
    std::int64_t for_ns = 0;
    std::int64_t hold_ns = 0;
    std::int64_t cooldown_ns = 0;
    std::int64_t flap_window_ns = 0;
    std::int64_t flaps_max = 1;
    AlertNoData no_data = AlertNoData::ignore;
    std::int64_t no_data_ns = 0;
};
AlertConditions alert_conditions(const AlertRule& rule, std::string_view unit);

// Counts how often something was raised within a window: more often than `flaps_max` is flapping, and what flaps stays
// raised until it has been calm for as long as would be between raises at that pace.
class FlapCounter {
  public:
    void raised(std::int64_t now_ns, std::int64_t window_ns, std::int64_t flaps_max);
    void resolved() { is_flapping_ = false; }
    bool is_flapping() const { return is_flapping_; }
    static std::int64_t calm_ns(std::int64_t window_ns, std::int64_t flaps_max) { return window_ns / flaps_max; }
    bool is_forgotten(std::int64_t now_ns, std::int64_t window_ns) const {
        return !is_flapping_ && (raised_ns_.empty() || now_ns - raised_ns_.back() >= window_ns);
    }

  private:
    std::vector<std::int64_t> raised_ns_; // within the window, oldest first; at most flaps_max
    bool is_flapping_ = false;
};

class AlertMachine {
  public:
    // Time does not go back. No value: there is no data, or none that means anything.
    void step(const AlertConditions& conditions, std::optional<double> value, std::int64_t now_ns);
    // Time stood still or jumped: what has to last begins anew.
    void begin_anew(std::int64_t now_ns);

    bool is_raised() const { return is_raised_; }
    // None: raised because there is no data, and before that it was not.
    std::optional<AlertLevel> level() const { return level_; }
    bool is_without_data() const { return is_without_data_; }
    bool is_flapping() const { return flaps_.is_flapping(); }
    std::optional<double> value() const { return value_; } // the latest
    // Whether nothing would be lost by making it anew when there is data again.
    bool is_forgettable(const AlertConditions& conditions, std::int64_t now_ns) const;

  private:
    void step_with(const AlertConditions& conditions, double value, std::int64_t now_ns);
    void step_without(const AlertConditions& conditions, std::int64_t now_ns);
    bool may_rise(const AlertConditions& conditions, std::optional<AlertLevel> level, std::int64_t now_ns) const;
    void rise(const AlertConditions& conditions, std::optional<AlertLevel> level, std::int64_t now_ns);
    void set_level(AlertLevel level, std::int64_t now_ns);
    void resolve(std::int64_t now_ns);

    std::optional<double> value_;
    std::array<std::optional<std::int64_t>, alert_levels_count> beyond_since_ns_{};
    std::array<std::int64_t, alert_levels_count> kept_at_ns_{}; // last not clear of the level; of levels up to level_
    bool is_raised_ = false;
    std::optional<AlertLevel> level_;
    std::optional<AlertLevel> worst_; // since it was raised, and after it resolved
    bool is_without_data_ = false;
    std::optional<std::int64_t> no_data_since_ns_;
    std::int64_t no_data_at_ns_ = 0; // when it was last raised for want of data
    std::optional<std::int64_t> resolved_ns_;
    FlapCounter flaps_;
};

} // namespace pillion
