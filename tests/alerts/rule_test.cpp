// What rules do over time: beginning, level, end, and what keeps them quiet by themselves.
#include "tests/alerts/alerts_fixture.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

using namespace pillion;

TEST_CASE("a value above the threshold raises once and resolves with its duration", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    it.load(50, 10 * second_ms);
    CHECK(it.events.empty());
    it.load(80, 10 * second_ms);
    it.load(50, 10 * second_ms);
    REQUIRE(it.story() == Story{"raised warning", "resolved warning"});
    const Alert& alert = it.events[1].alert;
    CHECK(alert.durationMs == 10 * second_ms);
    CHECK(alert.end == AlertEnd::cleared);
    CHECK(alert.resolvedAt == alert.raisedAt + alert.durationMs);
    CHECK(it.alerts.list().empty());
    CHECK(it.alerts.list(AlertsOf::resolved).size() == 1);
}

TEST_CASE("a value at the threshold is not beyond it", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    it.load(75, 10 * second_ms);
    CHECK(it.events.empty());
}

TEST_CASE("nothing is evaluated, timed or asked before metrics are sampled, nor after", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.load(99, minute_ms);
    CHECK(it.readings == 0);
    it.start();
    CHECK(it.readings > 0);
    it.alerts.set_sampled(false);
    const std::size_t before = it.readings;
    it.pass(minute_ms);
    CHECK(it.readings == before);
}

TEST_CASE("a condition that does not last as long as `for` is not raised", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.forMs = 10 * second_ms;
    AlertsFixture it({{"busy", rule}});
    it.start();
    for (int i = 0; i < 20; ++i) {
        it.load(80, 9 * second_ms);
        it.load(50, second_ms);
    }
    CHECK(it.events.empty());
    it.load(80, 12 * second_ms);
    CHECK(it.story() == Story{"raised warning"});
}

TEST_CASE("escalation is a change of the same alert, and so is going back", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    it.load(80, 5 * second_ms);
    it.load(95, 5 * second_ms);
    it.load(80, 5 * second_ms);
    it.load(10, 5 * second_ms);
    REQUIRE(it.story() == Story{"raised warning", "changed critical", "changed warning", "resolved warning"});
    for (const auto& event : it.events) CHECK(event.alert.id == it.events[0].alert.id);
    CHECK(it.events[3].alert.worst == AlertLevel::critical);
    CHECK(it.events[1].alert.threshold == 90.0);
}

TEST_CASE("an alert resolves only clear of the threshold by the margin", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.margin = 5;
    AlertsFixture it({{"busy", rule}});
    it.start();
    it.load(80, 5 * second_ms);
    for (int i = 0; i < 50; ++i) it.load(i % 2 == 0 ? 71 : 76, second_ms);
    CHECK(it.story() == Story{"raised warning"});
    it.load(69, 2 * second_ms);
    CHECK(it.story() == Story{"raised warning", "resolved warning"});
}

TEST_CASE("an alert holds until it has been clear for the time", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.holdMs = 10 * second_ms;
    AlertsFixture it({{"busy", rule}});
    it.start();
    it.load(80, second_ms);
    it.load(10, 9 * second_ms);
    CHECK(it.story() == Story{"raised warning"});
    it.load(80, second_ms);
    it.load(10, 9 * second_ms);
    CHECK(it.story() == Story{"raised warning"});
    it.load(10, 3 * second_ms);
    CHECK(it.story() == Story{"raised warning", "resolved warning"});
}

TEST_CASE("after it resolved an alert waits for the cooldown, but a higher level does not", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.cooldownMs = minute_ms;
    AlertsFixture it({{"busy", rule}});
    it.start();
    it.load(80, 2 * second_ms);
    it.load(10, 2 * second_ms);
    it.load(80, 50 * second_ms);
    CHECK(it.story() == Story{"raised warning", "resolved warning"});
    SECTION("the same level is raised when the cooldown is over") {
        it.load(80, 12 * second_ms);
        CHECK(it.story() == Story{"raised warning", "resolved warning", "raised warning"});
    }
    SECTION("a critical one is raised at once, once") {
        it.load(95, 2 * second_ms);
        it.load(10, 2 * second_ms);
        it.load(95, 30 * second_ms);
        CHECK(it.story() == Story{"raised warning", "resolved warning", "raised critical", "resolved critical"});
    }
}

TEST_CASE("flapping around a threshold raises once with what rules have by default", "[alerts]") {
    AlertRule rule{.metric = "load"};
    rule.function = SeriesFunction::last;
    rule.warning = 75;
    AlertsFixture it({{"busy", rule}});
    it.start();
    it.pass(2 * minute_ms);
    it.load(80, 3 * minute_ms);
    for (int i = 0; i < 2000; ++i) it.load(i % 2 == 0 ? 60 : 80, 7 * second_ms);
    CHECK(it.story() == Story{"raised warning"});
}

TEST_CASE("what comes and goes too often is one alert that flaps, until it is calm", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.flapsMax = 3;
    rule.flapWindowMs = hour_ms;
    AlertsFixture it({{"busy", rule}});
    it.start();
    for (int i = 0; i < 100; ++i) {
        it.load(80, minute_ms);
        it.load(10, minute_ms);
    }
    CHECK(it.count(AlertChange::raised) == 4);
    CHECK(it.count(AlertChange::resolved) == 3);
    REQUIRE(it.alerts.list().size() == 1);
    CHECK(it.alerts.list()[0].flapping);
    it.load(10, 20 * minute_ms);
    CHECK(it.alerts.list().empty());
}

TEST_CASE("a metric without data is not an alert unless the rule says so", "[alerts]") {
    AlertRule rule = plain_rule();
    SECTION("ignored") {
        AlertsFixture it({{"busy", rule}});
        it.start();
        it.pass(hour_ms);
        CHECK(it.events.empty());
    }
    SECTION("raised after the time, and resolved when there is data") {
        rule.noData = AlertNoData::raise;
        AlertsFixture it({{"busy", rule}});
        it.start();
        it.pass(7 * second_ms);
        CHECK(it.events.empty());
        it.pass(4 * second_ms);
        REQUIRE(it.story() == Story{"raised warning"});
        CHECK(it.events[0].alert.state == AlertState::noData);
        CHECK_FALSE(it.events[0].alert.value.has_value());
        it.load(10, 2 * second_ms);
        CHECK(it.story() == Story{"raised warning", "resolved warning"});
    }
    SECTION("a series that vanishes keeps its alert, which then says that there is no data") {
        rule.noData = AlertNoData::raise;
        AlertsFixture it({{"busy", rule}});
        it.start();
        it.load(95, 2 * second_ms);
        it.values.clear();
        it.pass(20 * second_ms);
        REQUIRE(it.story() == Story{"raised critical", "changed critical"});
        CHECK(it.events[1].alert.state == AlertState::noData);
    }
    SECTION("ignored: an alert whose series vanishes resolves after the time, and says why") {
        AlertsFixture it({{"busy", rule}});
        it.start();
        it.load(95, 2 * second_ms);
        it.values.clear();
        it.pass(9 * second_ms);
        CHECK(it.story() == Story{"raised critical"});
        it.pass(3 * second_ms);
        REQUIRE(it.story() == Story{"raised critical", "resolved critical"});
        CHECK(it.events[1].alert.end == AlertEnd::noData);
    }
}

TEST_CASE("values that are no numbers are no data", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                               -std::numeric_limits<double>::infinity()})
        it.load(value, minute_ms);
    CHECK(it.events.empty());
}

TEST_CASE("a ratio is compared, and dividing by zero is no data", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.metric = "hits";
    rule.dividedBy = {"hits", "misses"};
    rule.dividedByMin = 10;
    rule.comparison = AlertComparison::below;
    rule.warning = 0.5;
    rule.critical = 0.1;
    AlertsFixture it({{"cold", rule}});
    it.start();
    it.values["hits"][{}] = 0;
    it.values["misses"][{}] = 0;
    it.pass(minute_ms);
    it.values["misses"][{}] = 9; // too few to say anything
    it.pass(minute_ms);
    CHECK(it.events.empty());
    it.values["hits"][{}] = 8;
    it.values["misses"][{}] = 12;
    it.pass(2 * second_ms);
    REQUIRE(it.story() == Story{"raised warning"});
    CHECK(it.events[0].alert.value == Approx(0.4));
    it.values.erase("hits"); // not counted yet: none
    it.pass(2 * second_ms);
    CHECK(it.story() == Story{"raised warning", "changed critical"});
}

TEST_CASE("shares have 75 % and 90 % by default, and what is no share says that it has no threshold", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.warning.reset();
    rule.critical.reset();
    AlertsFixture it({{"busy", rule}});
    it.start();
    SECTION("a share") {
        it.units["load"] = "1";
        it.load(0.74, 5 * second_ms);
        CHECK(it.events.empty());
        it.load(0.76, 5 * second_ms);
        it.load(0.91, 5 * second_ms);
        CHECK(it.story() == Story{"raised warning", "changed critical"});
    }
    SECTION("percent") {
        it.units["load"] = "%";
        it.load(91, 5 * second_ms);
        CHECK(it.story() == Story{"raised critical"});
    }
    SECTION("bytes") {
        it.units["load"] = "By";
        it.load(1e12, 5 * second_ms);
        CHECK(it.events.empty());
        CHECK_THAT(it.alerts.rules().at(0).trouble, Catch::Contains("no threshold"));
    }
}

TEST_CASE("a group is one alert with its members", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.groupBy = std::vector<std::string>{};
    AlertsFixture it({{"busy", rule}});
    it.start();
    for (int i = 0; i < 50; ++i) it.load_of("p" + std::to_string(i), 80);
    it.pass(5 * second_ms);
    REQUIRE(it.story() == Story{"raised warning"});
    CHECK(it.events[0].alert.membersCount == 50);
    CHECK(it.events[0].alert.members.size() == Alerts::members_max);
    it.load_of("p7", 99);
    it.pass(5 * second_ms);
    REQUIRE(it.story() == Story{"raised warning", "changed critical"});
    CHECK(it.events[1].alert.value == 99.0);
    for (int i = 0; i < 50; ++i) it.load_of("p" + std::to_string(i), 1);
    it.pass(5 * second_ms);
    CHECK(it.count(AlertChange::resolved) == 1);
}

TEST_CASE("series are alerts of their own where nothing groups them, each resolved by itself", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    it.load_of("a", 80);
    it.load_of("b", 80);
    it.pass(2 * second_ms);
    CHECK(it.alerts.list().size() == 2);
    it.load_of("a", 1);
    it.pass(2 * second_ms);
    REQUIRE(it.alerts.list().size() == 1);
    CHECK(it.alerts.list()[0].labels == SeriesLabels{{"part", "b"}});
}

TEST_CASE("waking from eight hours of sleep raises nothing, and `for` begins anew", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.forMs = 30 * second_ms;
    rule.windowMs = 10 * second_ms;
    AlertsFixture it({{"busy", rule}});
    it.start();
    it.load(10, minute_ms);
    it.load(99, 20 * second_ms); // under way when the lid closes
    it.clock.jump_wall_ms(8 * hour_ms);
    it.load(99, 12 * second_ms); // what had gathered is done
    it.load(10, minute_ms);
    CHECK(it.events.empty());
    it.load(99, 45 * second_ms);
    CHECK(it.story() == Story{"raised critical"});
}

TEST_CASE("an alert that stands when the machine sleeps is neither resolved nor raised by waking", "[alerts]") {
    AlertRule rule = plain_rule();
    rule.holdMs = 30 * second_ms;
    AlertsFixture it({{"busy", rule}});
    it.start();
    it.load(99, minute_ms);
    it.values.clear();
    it.clock.jump_wall_ms(8 * hour_ms);
    it.pass(5 * second_ms);
    it.load(99, minute_ms);
    CHECK(it.story() == Story{"raised critical"});
}

TEST_CASE("a clock that jumps back raises and resolves nothing", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    it.load(99, minute_ms);
    it.clock.jump_wall_ms(-3 * hour_ms);
    it.load(99, minute_ms);
    CHECK(it.story() == Story{"raised critical"});
    CHECK(it.alerts.list().at(0).durationMs >= 0);
}

TEST_CASE("an alert's duration is right though the clock was set back meanwhile", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.values["load"][{}] = 80;
    it.alerts.set_sampled(true);
    it.timers.advance_ms(10 * second_ms);
    REQUIRE(it.alerts.list().size() == 1);
    it.clock.jump_wall_ms(-24 * hour_ms);
    it.timers.advance_ms(5 * minute_ms);
    CHECK(it.alerts.list()[0].durationMs >= 5 * minute_ms);
    it.values["load"][{}] = 10;
    it.timers.advance_ms(5 * minute_ms);
    REQUIRE(it.alerts.list(AlertsOf::resolved).size() == 1);
    CHECK(it.alerts.list(AlertsOf::resolved)[0].durationMs >= 5 * minute_ms);
    CHECK(it.alerts.list(AlertsOf::resolved)[0].durationMs <= 11 * minute_ms);
}

TEST_CASE("a rule that is set at run time, disabled or deleted takes its alerts along", "[alerts]") {
    AlertsFixture it;
    it.start();
    it.load(80, second_ms);
    REQUIRE(it.alerts.set_rule("busy", plain_rule()));
    it.pass(3 * second_ms);
    REQUIRE(it.story() == Story{"raised warning"});
    SECTION("disabled") {
        REQUIRE(it.alerts.enable_rule("busy", false));
        REQUIRE(it.story() == Story{"raised warning", "resolved warning"});
        CHECK(it.events[1].alert.end == AlertEnd::ruleGone);
        REQUIRE(it.alerts.enable_rule("busy", true));
        it.pass(3 * second_ms);
        CHECK(it.count(AlertChange::raised) == 2);
    }
    SECTION("deleted") {
        REQUIRE(it.alerts.delete_rule("busy"));
        CHECK(it.count(AlertChange::resolved) == 1);
        CHECK(it.alerts.rules().empty());
        CHECK(it.alerts.delete_rule("busy").error().code == ErrorCode::not_found);
    }
    SECTION("replaced: what stands is not told again, and resolves by the new thresholds") {
        AlertRule rule = plain_rule();
        rule.warning = 79;
        REQUIRE(it.alerts.set_rule("busy", rule));
        it.pass(5 * second_ms);
        CHECK(it.story() == Story{"raised warning"});
        rule.warning = 85;
        REQUIRE(it.alerts.set_rule("busy", rule));
        it.pass(5 * second_ms);
        CHECK(it.story() == Story{"raised warning", "resolved warning"});
    }
}

TEST_CASE("a rule of the configuration cannot be deleted, and is back after one set over it was", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    CHECK(it.alerts.delete_rule("busy").error().code == ErrorCode::failed_precondition);
    AlertRule other = plain_rule();
    other.warning = 5;
    REQUIRE(it.alerts.set_rule("busy", other));
    CHECK(it.alerts.rules().at(0).origin == AlertRuleOrigin::runtime);
    REQUIRE(it.alerts.delete_rule("busy"));
    CHECK(it.alerts.rules().at(0).origin == AlertRuleOrigin::configured);
    CHECK(it.alerts.rules().at(0).rule == plain_rule());
}

TEST_CASE("rules that make no sense are refused by what is wrong with them", "[alerts]") {
    const auto field_of = [](const std::string& name, const AlertRule& rule) {
        const auto checked = check_alert_rule(name, rule);
        return checked ? std::string() : checked.error().field;
    };
    AlertRule rule = plain_rule();
    CHECK(field_of("busy", rule).empty());
    CHECK(field_of("", rule) == "/name");
    CHECK(field_of("a b", rule) == "/name");
    rule.metric.clear();
    CHECK(field_of("busy", rule) == "/metric");
    rule = plain_rule();
    rule.critical = 10;
    CHECK(field_of("busy", rule) == "/critical");
    rule.comparison = AlertComparison::below;
    CHECK(field_of("busy", rule).empty());
    rule.warning.reset();
    rule.critical.reset();
    CHECK(field_of("busy", rule) == "/warning");
    rule = plain_rule();
    rule.warning = std::nan("");
    CHECK(field_of("busy", rule) == "/warning");
    rule = plain_rule();
    rule.margin = -1;
    CHECK(field_of("busy", rule) == "/margin");
    rule = plain_rule();
    rule.forMs = -1;
    CHECK(field_of("busy", rule) == "/forMs");
    rule = plain_rule();
    rule.windowMs = 0;
    CHECK(field_of("busy", rule) == "/windowMs");
    rule = plain_rule();
    rule.by = {"part"};
    CHECK(field_of("busy", rule) == "/by");
    rule.aggregate = SeriesAggregate::sum;
    rule.groupBy = std::vector<std::string>{"other"};
    CHECK(field_of("busy", rule) == "/groupBy");
    rule = plain_rule();
    rule.inhibitedBy = {"busy"};
    CHECK(field_of("busy", rule) == "/inhibitedBy");
}

TEST_CASE("every built-in rule is sound", "[alerts]") {
    for (const auto& [name, rule] : builtin_alert_rules()) {
        INFO(name);
        CHECK(check_alert_rule(name, rule));
        CHECK(rule.title.has_value());
        CHECK(rule.advice.has_value());
    }
    CHECK(check_alerts_config({.disabled = {"systemCpu"}}));
    CHECK(check_alerts_config({.disabled = {"nonsense"}}).error().field == "/disabled");
}

TEST_CASE("a metric that cannot be read that way is told of the rule, and raises nothing", "[alerts]") {
    ManualClock clock;
    ManualTimers timers{clock};
    AlertsConfig config{.builtIn = false};
    config.rules["busy"] = plain_rule();
    Alerts alerts({.clock = clock,
                   .timers = timers,
                   .source = [](const AlertQuery&) -> Result<AlertReading> {
                       return fail(ErrorCode::invalid_params, "a gauge has no rate");
                   }},
                  config);
    alerts.set_sampled(true);
    timers.advance_ms(minute_ms);
    CHECK(alerts.list().empty());
    CHECK(alerts.rules().at(0).trouble == "a gauge has no rate");
}

TEST_CASE("without a source of values rules are not evaluated, and direct alerts work", "[alerts]") {
    ManualClock clock;
    ManualTimers timers{clock};
    Alerts alerts({.clock = clock, .timers = timers});
    alerts.set_sampled(true);
    REQUIRE(alerts.silence({.rule = "x"}, minute_ms)); // wants a timer
    alerts.raise({.key = "k"});
    timers.advance_ms(5 * minute_ms);
    CHECK(alerts.list().size() == 1);
}
