// The machine of one series against a model that works everything out from the whole past, over random series; and
// weeks of steady noise.
#include "modules/alerts/alert_machine.h"

#include <catch2/catch.hpp>
#include <random>

using namespace pillion;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

// Looks back over all values at each step; keeps only what was raised when.
class Model {
  public:
    explicit Model(const AlertConditions& conditions) : conditions_(conditions) {}

    std::optional<int> step(std::optional<double> value) {
        values_.push_back(value);
        const auto now = static_cast<std::int64_t>(values_.size()) - 1;
        if (!value) {
            if (level_ && gap(now) >= seconds(conditions_.no_data_ns)) end(now);
            return level_;
        }
        std::optional<int> reached;
        for (int level = 0; level < 3; ++level)
            if (held_for(level, now) >= seconds(conditions_.for_ns)) reached = level;
        if (!level_) {
            if (reached && (!ended_ || now - *ended_ >= seconds(conditions_.cooldown_ns) || *reached > *worst_))
                begin(*reached, now);
        } else if (reached && *reached > *level_) {
            set(*reached, now);
        } else {
            std::optional<int> kept;
            for (int level = 0; level <= *level_; ++level)
                if (is_kept(level, now)) kept = level;
            if (kept)
                level_ = kept;
            else
                end(now);
        }
        return level_;
    }

  private:
    static std::int64_t seconds(std::int64_t ns) { return ns / second_ns; }
    bool has(int level) const { return conditions_.thresholds[static_cast<std::size_t>(level)].has_value(); }
    double threshold(int level) const { return *conditions_.thresholds[static_cast<std::size_t>(level)]; }

    std::int64_t gap(std::int64_t now) const {
        std::int64_t since = now;
        while (since > 0 && !values_[static_cast<std::size_t>(since - 1)]) --since;
        return now - since;
    }
    // How long the value has been beyond the threshold without a break; -1 if it is not.
    std::int64_t held_for(int level, std::int64_t now) const {
        if (!has(level)) return -1;
        std::int64_t since = now + 1;
        while (since > 0) {
            const auto& value = values_[static_cast<std::size_t>(since - 1)];
            if (!value || *value <= threshold(level)) break;
            --since;
        }
        return now - since;
    }
    // Whether within the hold there was a second at which it was not clear, or it got there, or there was no data.
    bool is_kept(int level, std::int64_t now) const {
        if (!has(level)) return false;
        const std::int64_t hold = seconds(conditions_.hold_ns);
        const auto not_clear = [&](std::int64_t at) {
            const auto& value = values_[static_cast<std::size_t>(at)];
            return value && *value > threshold(level) - *conditions_.margin;
        };
        if (not_clear(now)) return true;
        for (std::int64_t at = now; at >= 0 && now - at < hold; --at) {
            if (at <= set_at_) return at == set_at_;
            if (not_clear(at)) return true;
            if (at > 0 && !values_[static_cast<std::size_t>(at - 1)] && values_[static_cast<std::size_t>(at)])
                return true;
        }
        return false;
    }
    void begin(int level, std::int64_t now) {
        worst_ = level;
        set(level, now);
    }
    void set(int level, std::int64_t now) {
        level_ = level;
        worst_ = std::max(*worst_, level);
        set_at_ = now;
    }
    void end(std::int64_t now) {
        level_.reset();
        ended_ = now;
    }

    AlertConditions conditions_;
    std::vector<std::optional<double>> values_;
    std::optional<int> level_, worst_;
    std::optional<std::int64_t> ended_;
    std::int64_t set_at_ = 0; // when it last rose
};

AlertConditions random_conditions(std::mt19937& random) {
    const auto up_to = [&random](int most) {
        return static_cast<std::int64_t>(random() % static_cast<unsigned>(most));
    };
    AlertConditions conditions{.margin = static_cast<double>(up_to(8)),
                               .for_ns = up_to(8) * second_ns,
                               .hold_ns = up_to(10) * second_ns,
                               .cooldown_ns = up_to(20) * second_ns,
                               .flap_window_ns = second_ns,
                               .flaps_max = 1000,
                               .no_data_ns = (1 + up_to(10)) * second_ns};
    if (random() % 2 == 0) conditions.thresholds[0] = 40;
    conditions.thresholds[1] = 50;
    if (random() % 4 != 0) conditions.thresholds[2] = 60;
    return conditions;
}

} // namespace

TEST_CASE("the machine does what the model says, over random rules and series", "[alerts]") {
    for (unsigned seed = 1; seed <= 400; ++seed) {
        std::mt19937 random(seed);
        const AlertConditions conditions = random_conditions(random);
        Model model(conditions);
        AlertMachine machine;
        double level = 40;
        std::normal_distribution<double> step(0, 6), noise(0, 4);
        for (int second = 0; second < 400; ++second) {
            level = std::clamp(level + step(random) * (random() % 3 == 0 ? 1 : 0), 20.0, 75.0);
            std::optional<double> value = level + noise(random);
            if (random() % 40 < 3 || (second % 90 > 75 && seed % 3 == 0)) value.reset();
            machine.step(conditions, value, second * second_ns);
            const auto expected = model.step(value);
            INFO("seed " << seed << ", second " << second);
            REQUIRE(machine.is_raised() == expected.has_value());
            if (expected) REQUIRE(static_cast<int>(*machine.level()) == *expected);
        }
    }
}

TEST_CASE("steady noise below the threshold raises nothing in a week", "[alerts]") {
    AlertRule rule{.metric = "load"};
    rule.warning = 0.75;
    rule.critical = 0.9;
    const AlertConditions conditions = alert_conditions(rule, "1");
    std::mt19937 random(7);
    // A second is above the threshold in one of 160.
    std::normal_distribution<double> noise(0.6, 0.06);
    AlertMachine machine;
    for (std::int64_t second = 0; second < 7 * 86'400; ++second) {
        machine.step(conditions, noise(random), second * second_ns);
        REQUIRE_FALSE(machine.is_raised());
    }
}

TEST_CASE("noise around the threshold is raised at most once in each flapping spell of a week", "[alerts]") {
    AlertRule rule{.metric = "load"};
    rule.warning = 0.75;
    const AlertConditions conditions = alert_conditions(rule, "1");
    std::mt19937 random(11);
    std::normal_distribution<double> noise(0, 0.02);
    AlertMachine machine;
    int raised = 0;
    for (std::int64_t second = 0; second < 7 * 86'400; ++second) {
        const bool before = machine.is_raised();
        // A slow swing of 20 minutes between 0.70 and 0.80, hundreds of crossings a day.
        const double swing = second % 1200 < 600 ? 0.80 : 0.70;
        machine.step(conditions, swing + noise(random), second * second_ns);
        raised += machine.is_raised() && !before ? 1 : 0;
    }
    CHECK(raised <= 8);
}

TEST_CASE("a flap counter forgets what lies outside its window", "[alerts]") {
    FlapCounter flaps;
    for (int hour = 0; hour < 10; ++hour) {
        flaps.raised(hour * 3600 * second_ns, 3600 * second_ns, 1);
        CHECK_FALSE(flaps.is_flapping());
        flaps.resolved();
    }
    flaps.raised((9 * 3600 + 10) * second_ns, 3600 * second_ns, 1);
    CHECK(flaps.is_flapping());
    CHECK_FALSE(flaps.is_forgotten((20 * 3600) * second_ns, 3600 * second_ns));
    flaps.resolved();
    CHECK(flaps.is_forgotten((20 * 3600) * second_ns, 3600 * second_ns));
}
