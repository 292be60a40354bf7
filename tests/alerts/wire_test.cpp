// Alerts over the wire, over the real series, and on a terminal.
#include "modules/alerts/alerts_rpc.h"
#include "tests/alerts/alerts_fixture.h"
#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>

using namespace pillion;
using nlohmann::json;

namespace {

struct Asked : AlertsFixture {
    test::WireFixture wire{alerts_methods(alerts)};
    explicit Asked(std::map<std::string, AlertRule> rules = {}) : AlertsFixture(std::move(rules)) {}

    json call(const std::string& method, const json& params = json::object()) {
        return wire.ask(json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}.dump() + "\n");
    }
};

constexpr SeriesSpec memory_share{"test.memory", "Share of memory.", "1", SeriesKind::gauge};
constexpr SeriesSpec request_count{"test.requests", "Requests.", "{request}", SeriesKind::counter};

// Alerts over series that are observed once a second.
struct Measured {
    ManualClock clock;
    ManualTimers timers{clock};
    Series series{{.clock = clock, .timers = timers}};
    std::vector<std::string> events;
    Alerts alerts;
    double requests = 0;

    explicit Measured(const std::map<std::string, AlertRule>& rules)
        : alerts({.clock = clock,
                  .timers = timers,
                  .source = alert_source(series),
                  .publish =
                      [this](AlertChange change, const Alert& alert) {
                          events.push_back((change == AlertChange::raised ? "raised " : "other ") + alert.detail);
                      }},
                 AlertsFixture::with_rules({}, rules)) {}

    void pass(int seconds, double memory, double requests_per_second) {
        for (int i = 0; i < seconds; ++i) {
            REQUIRE(series.observe(memory_share, {{"part", "a"}}, memory));
            REQUIRE(series.observe(request_count, {}, requests += requests_per_second));
            timers.advance_ms(1000);
        }
    }
};

} // namespace

TEST_CASE("an alert goes over the wire as it is described", "[alerts]") {
    Asked it({{"busy", plain_rule()}});
    it.start();
    it.load(95, 2 * second_ms);
    const json answer = it.call("alerts.list");
    REQUIRE(answer["result"]["items"].size() == 1);
    const json alert = answer["result"]["items"][0];
    CHECK(alert["rule"] == "busy");
    CHECK(alert["level"] == "critical");
    CHECK(alert["state"] == "raised");
    CHECK(alert["value"] == 95);
    CHECK(alert["threshold"] == 90);
    CHECK_FALSE(alert.contains("resolvedAt"));
    CHECK(it.call("get_active_alerts") == answer);

    CHECK(it.call("alerts.list", {{"rule", "other*"}})["result"]["items"].empty());
    CHECK(it.call("alerts.list", {{"state", "resolved"}})["result"]["items"].empty());
    CHECK(it.call("alerts.list", {{"state", "nonsense"}})["error"]["code"] == -32602);

    const json taken = it.call("alerts.acknowledge", {{"id", alert["id"]}, {"by", "ada"}});
    CHECK(taken["result"]["acknowledged"]["by"] == "ada");
    CHECK(it.call("alerts.acknowledge", {{"id", "x"}})["error"]["code"] == -32002);
}

TEST_CASE("rules are set, turned off and deleted over the wire", "[alerts]") {
    Asked it;
    CHECK(it.call("alerts.setRule",
                  {{"name", "busy"},
                   {"rule", {{"metric", "load"}, {"warning", 75}, {"groupBy", json::array()}}}})["result"]["done"] ==
          true);
    json rules = it.call("alerts.rules")["result"]["items"];
    REQUIRE(rules.size() == 1);
    CHECK(rules[0]["origin"] == "runtime");
    CHECK(rules[0]["rule"]["metric"] == "load");
    CHECK(rules[0]["rule"]["forMs"] == 60'000);
    CHECK(rules[0]["rule"]["groupBy"] == json::array());
    CHECK(it.call("alerts.setRule", {{"name", "busy"}, {"enabled", false}})["result"]["done"] == true);
    rules = it.call("alerts.rules")["result"]["items"];
    CHECK(rules[0]["rule"]["enabled"] == false);
    CHECK(it.call("alerts.deleteRule", {{"name", "busy"}})["result"]["done"] == true);
    CHECK(it.call("alerts.rules")["result"]["items"].empty());
}

TEST_CASE("a rule that is refused says which member is wrong", "[alerts]") {
    Asked it;
    const auto field_of = [&it](const json& params) {
        return it.call("alerts.setRule", params)["error"]["data"]["field"];
    };
    CHECK(field_of({{"name", "busy"}}) == "/rule");
    CHECK(field_of({{"name", "no way"}, {"rule", {{"metric", "load"}}}}) == "/name");
    CHECK(field_of({{"name", "busy"}, {"rule", {{"metric", "load"}, {"warning", 5}, {"critical", 1}}}}) ==
          "/rule/critical");
    CHECK(field_of({{"name", "busy"}, {"rule", {{"metric", "load"}, {"windowMs", -5}}}}) == "/rule/windowMs");
    CHECK(field_of({{"name", "busy"}, {"rule", {{"warning", 5}}}}) == "/rule/metric");
    CHECK(it.call("alerts.setRule", {{"name", "none"}, {"enabled", true}})["error"]["code"] == -32002);
    CHECK(it.call("alerts.deleteRule", {{"name", "none"}})["error"]["code"] == -32002);
}

TEST_CASE("silences are made, listed and ended over the wire", "[alerts]") {
    Asked it;
    const json made =
        it.call("alerts.silence", {{"rule", "*"}, {"durationMs", 1000}, {"by", "ada"}, {"comment", "deploy"}});
    CHECK(made["result"]["until"].get<std::int64_t>() == it.clock.wall_ms() + 1000);
    CHECK(it.call("alerts.silences")["result"]["items"].size() == 1);
    CHECK(it.call("alerts.silence")["error"]["data"]["field"] == "/rule");
    CHECK(it.call("alerts.unsilence", {{"id", made["result"]["id"]}})["result"]["done"] == true);
    CHECK(it.call("alerts.unsilence", {{"id", made["result"]["id"]}})["error"]["code"] == -32002);
}

TEST_CASE("a rule is what it was after it went through text", "[alerts]") {
    for (const auto& [name, rule] : builtin_alert_rules()) {
        const auto read = read_alert_rule(alert_rule_text(rule));
        REQUIRE(read);
        CHECK(*read == rule);
    }
    CHECK_FALSE(read_alert_rule("{"));
    CHECK_FALSE(read_alert_rule("{\"metric\":7}"));
}

TEST_CASE("rules read the series: a gauge's average, a counter's rate", "[alerts]") {
    AlertRule memory = plain_rule(), requests = plain_rule();
    memory.metric = memory_share.name;
    memory.function = SeriesFunction::avg;
    memory.windowMs = 30 * second_ms;
    memory.warning.reset();
    memory.critical.reset();
    requests.metric = request_count.name;
    requests.function = SeriesFunction::rate;
    requests.windowMs = 30 * second_ms;
    requests.warning = 100;
    requests.critical = 1000;
    Measured it({{"memory", memory}, {"requests", requests}});
    it.alerts.set_sampled(true);
    it.pass(60, 0.5, 10);
    CHECK(it.events.empty());
    it.pass(10, 0.95, 10); // the window's mean is 0.65
    CHECK(it.events.empty());
    it.pass(30, 0.95, 10);
    REQUIRE_FALSE(it.events.empty());
    CHECK_THAT(it.events[0], Catch::Contains("test.memory is 7"));
    CHECK_THAT(it.events[0], Catch::Contains("above 75 %"));
    it.events.clear();
    it.pass(60, 0.95, 200);
    REQUIRE(it.events.size() == 1);
    CHECK_THAT(it.events[0], Catch::StartsWith("raised test.requests is 1"));
}

TEST_CASE("a machine that sleeps for eight hours wakes to no alert over the real series", "[alerts]") {
    std::map<std::string, AlertRule> rules;
    for (const SeriesFunction function :
         {SeriesFunction::avg, SeriesFunction::rate, SeriesFunction::increase, SeriesFunction::delta}) {
        AlertRule rule = plain_rule();
        rule.metric = request_count.name;
        rule.function = function;
        rule.windowMs = 30 * second_ms;
        rule.warning = 1000;
        rule.critical = 10'000;
        rules["r" + std::to_string(static_cast<int>(function))] = rule;
    }
    Measured it(rules);
    it.alerts.set_sampled(true);
    it.pass(120, 0.5, 10);
    it.clock.jump_wall_ms(8 * hour_ms);
    it.pass(120, 0.5, 10);
    it.clock.jump_wall_ms(-4 * hour_ms);
    it.pass(120, 0.5, 10);
    CHECK(it.events.empty());
}

TEST_CASE("values are told in units that people read", "[alerts]") {
    CHECK(alert_value_text(0.934, "1") == "93.4 %");
    CHECK(alert_value_text(1.5 * 1024 * 1024 * 1024, "By") == "1.5 GiB");
    CHECK(alert_value_text(-2048, "By") == "-2 KiB");
    CHECK(alert_value_text(0.25, "s") == "250 ms");
    CHECK(alert_value_text(2, "s") == "2 s");
    CHECK(alert_value_text(1'500'000, "ns") == "1.5 ms");
    CHECK(alert_value_text(17, "{request}") == "17");
    CHECK(alert_value_text(17, "") == "17");
}

TEST_CASE("the table has a line for each alert, whatever stands in it", "[alerts]") {
    CHECK(alerts_table({}, 0) == "no alerts\n");
    Alert alert{.id = "1", .rule = "diskSpace", .level = AlertLevel::critical};
    alert.title = "A file system is\nnearly \x1b[31mfull";
    alert.labels = {{"mountpoint", "/data"}};
    alert.raisedAt = 1'000'000;
    alert.acknowledged = {"ada", "", 0};
    Alert over{.id = "2", .rule = "systemCpu", .state = AlertState::resolved};
    over.raisedAt = 1'000'000;
    over.resolvedAt = 1'030'000;
    CHECK(alerts_table({alert, over}, 4'600'000) ==
          "LEVEL     ALERT                        SINCE       FOR     STATE                WHAT\n"
          "critical  diskSpace{mountpoint=/data}  60 min ago  60 min  acknowledged by ada  A file system is nearly  "
          "[31mfull\n"
          "warning   systemCpu                    60 min ago  30 s    resolved\n");
}

TEST_CASE("patterns match with stars, in time that does not run away", "[alerts]") {
    CHECK(alert_value_text(1, "%") == "1 %");
    AlertsFixture it;
    REQUIRE(it.alerts.silence({.rule = "*a*a*a*a*a*a*a*a*a*a*a*a*b"}, hour_ms));
    it.alerts.raise({.key = std::string(2000, 'a')});
    CHECK(it.count(AlertChange::raised) == 1);
    REQUIRE(it.alerts.silence({.rule = "net.*.down"}, hour_ms));
    it.alerts.raise({.key = "net.eth0.down"});
    it.alerts.raise({.key = "net..down"});
    CHECK(it.count(AlertChange::raised) == 1);
    it.alerts.raise({.key = "net.down"});
    CHECK(it.count(AlertChange::raised) == 2);
}
