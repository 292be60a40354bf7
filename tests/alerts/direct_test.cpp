// Alerts that other parts raise; who is told of what: acknowledging, silencing, inhibition; and how many there may be.
#include "tests/alerts/alerts_fixture.h"

#include <catch2/catch.hpp>
#include <thread>

using namespace pillion;

namespace {

AlertNotice damaged(AlertLevel level = AlertLevel::critical) {
    return {.key = "storage.damaged",
            .level = level,
            .title = "state.db was damaged",
            .detail = "It is set aside.",
            .labels = {{"file", "state.db"}},
            .advice = {}};
}

} // namespace

TEST_CASE("a direct alert is raised, counted and resolved by its key", "[alerts]") {
    AlertsFixture it;
    it.alerts.raise(damaged());
    it.alerts.raise(damaged());
    it.alerts.raise(damaged());
    REQUIRE(it.story() == Story{"raised critical"});
    REQUIRE(it.alerts.list().size() == 1);
    CHECK(it.alerts.list()[0].occurrences == 3);
    it.alerts.resolve("something else");
    CHECK(it.alerts.list().size() == 1);
    it.pass(minute_ms);
    it.alerts.resolve("storage.damaged");
    REQUIRE(it.story() == Story{"raised critical", "resolved critical"});
    CHECK(it.events[1].alert.durationMs == minute_ms);
}

TEST_CASE("a direct alert of another level is a change of the same alert", "[alerts]") {
    AlertsFixture it;
    it.alerts.raise(damaged(AlertLevel::warning));
    it.alerts.raise(damaged(AlertLevel::critical));
    CHECK(it.story() == Story{"raised warning", "changed critical"});
}

TEST_CASE("an alert without a key is not raised", "[alerts]") {
    AlertsFixture it;
    it.alerts.raise({});
    CHECK(it.events.empty());
}

TEST_CASE("a direct alert that comes and goes is one that flaps, and resolves when it has been calm", "[alerts]") {
    AlertsFixture it;
    for (int i = 0; i < 50; ++i) {
        it.alerts.raise(damaged());
        it.pass(second_ms);
        it.alerts.resolve("storage.damaged");
        it.pass(second_ms);
    }
    CHECK(it.count(AlertChange::raised) == 4);
    CHECK(it.count(AlertChange::resolved) == 3);
    REQUIRE(it.alerts.list().size() == 1);
    CHECK(it.alerts.list()[0].flapping);
    it.pass(21 * minute_ms);
    CHECK(it.alerts.list().empty());
    CHECK(it.count(AlertChange::resolved) == 4);
}

TEST_CASE("who listens may raise and resolve from within, and order is kept", "[alerts]") {
    ManualClock clock;
    ManualTimers timers{clock};
    std::vector<std::string> heard;
    Alerts* self = nullptr;
    Alerts alerts({.clock = clock,
                   .timers = timers,
                   .publish =
                       [&](AlertChange change, const Alert& alert) {
                           heard.push_back((change == AlertChange::raised ? "+" : "-") + alert.rule);
                           if (heard.back() == "+a") {
                               self->raise({.key = "b"});
                               self->resolve("a");
                           }
                       }},
                  {.builtIn = false});
    self = &alerts;
    alerts.raise({.key = "a"});
    CHECK(heard == std::vector<std::string>{"+a", "+b", "-a"});
}

TEST_CASE("an acknowledgement lasts until the alert resolves", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    it.load(80, 2 * second_ms);
    const std::string id = it.alerts.list().at(0).id;
    const auto taken = it.alerts.acknowledge(id, "ada", "looking");
    REQUIRE(taken);
    CHECK(taken->acknowledged->by == "ada");
    CHECK(it.alerts.acknowledge("nonsense", "ada", "").error().code == ErrorCode::not_found);
    it.load(95, 2 * second_ms);
    CHECK(it.story() == Story{"raised warning", "changed warning", "changed critical"});
    CHECK(it.alerts.list().at(0).acknowledged.has_value());
    it.load(10, 2 * second_ms);
    it.load(80, 2 * second_ms);
    REQUIRE(it.alerts.list().size() == 1);
    CHECK(it.alerts.list()[0].id == id);
    CHECK_FALSE(it.alerts.list()[0].acknowledged.has_value());
}

TEST_CASE("a silenced alert is listed but not told, and is told when the silence ends first", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    const auto silence = it.alerts.silence({.rule = "bu*"}, 10 * minute_ms);
    REQUIRE(silence);
    it.load(80, minute_ms);
    CHECK(it.events.empty());
    REQUIRE(it.alerts.list().size() == 1);
    CHECK(it.alerts.list()[0].silencedBy == silence->id);
    SECTION("it resolves before: nobody hears of it") {
        it.load(10, 20 * minute_ms);
        CHECK(it.events.empty());
        CHECK(it.alerts.list(AlertsOf::resolved).size() == 1);
    }
    SECTION("time ends the silence") {
        it.load(80, 8 * minute_ms);
        CHECK(it.events.empty());
        it.load(80, 2 * minute_ms);
        CHECK(it.story() == Story{"raised warning"});
        CHECK(it.alerts.silences().empty());
    }
    SECTION("somebody ends it") {
        REQUIRE(it.alerts.unsilence(silence->id));
        CHECK(it.story() == Story{"raised warning"});
        CHECK(it.alerts.unsilence(silence->id).error().code == ErrorCode::not_found);
    }
}

TEST_CASE("an alert that is silenced while it stands says so once", "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    it.load(80, 2 * second_ms);
    REQUIRE(it.alerts.silence({.rule = "busy"}, hour_ms));
    it.load(95, 2 * second_ms);
    it.load(80, 2 * second_ms);
    CHECK(it.story() == Story{"raised warning", "changed warning"});
    it.load(10, 2 * second_ms);
    CHECK(it.story() == Story{"raised warning", "changed warning", "resolved warning"});
}

TEST_CASE("a silence matches by labels, and covers direct alerts too", "[alerts]") {
    AlertsFixture it;
    REQUIRE(it.alerts.silence({.labels = {{"file", "state.*"}}}, hour_ms));
    it.alerts.raise(damaged());
    CHECK(it.events.empty());
    it.alerts.raise({.key = "other", .labels = {{"file", "cache.db"}}});
    CHECK(it.count(AlertChange::raised) == 1);
}

TEST_CASE("a silence of nothing, of no time or too many are refused", "[alerts]") {
    AlertsFixture it;
    CHECK(it.alerts.silence({}, hour_ms).error().field == "/rule");
    CHECK(it.alerts.silence({.rule = "a"}, 0).error().field == "/durationMs");
    CHECK(it.alerts.silence({.rule = "a"}, -5).error().field == "/durationMs");
    for (std::size_t i = 0; i < Alerts::silences_max; ++i) REQUIRE(it.alerts.silence({.rule = "a"}, hour_ms));
    CHECK(it.alerts.silence({.rule = "a"}, hour_ms).error().code == ErrorCode::exhausted);
}

TEST_CASE("a critical alert silences another rule's warning of the same metric and labels", "[alerts]") {
    AlertRule warns = plain_rule(), shouts = plain_rule();
    warns.critical.reset();
    shouts.warning.reset();
    AlertsFixture it({{"warns", warns}, {"shouts", shouts}});
    it.start();
    it.load(95, 3 * second_ms);
    REQUIRE(it.events.size() == 1);
    CHECK(it.events[0].alert.rule == "shouts");
    REQUIRE(it.alerts.list().size() == 2);
    CHECK(it.alerts.list()[1].inhibitedBy == std::string("shouts"));
    it.load(80, 3 * second_ms);
    CHECK(it.story() == Story{"raised critical", "resolved critical", "raised warning"});
}

TEST_CASE("a declared inhibition holds for equal labels only, and ends with its cause", "[alerts]") {
    AlertRule slow = plain_rule();
    slow.inhibitedBy = {"backend.down"};
    slow.inhibitedByEqual = {"part"};
    AlertsFixture it({{"slow", slow}});
    it.start();
    it.alerts.raise({.key = "backend.down", .level = AlertLevel::critical, .labels = {{"part", "a"}}});
    it.load_of("a", 80);
    it.load_of("b", 80);
    it.pass(3 * second_ms);
    REQUIRE(it.count(AlertChange::raised) == 2);
    CHECK(it.events[1].alert.labels == SeriesLabels{{"part", "b"}});
    it.alerts.resolve("backend.down");
    CHECK(it.count(AlertChange::raised) == 3);
}

TEST_CASE("of two rules that inhibit each other one is told", "[alerts]") {
    AlertRule a = plain_rule(), b = plain_rule();
    b.metric = "other";
    a.inhibitedBy = {"b"};
    b.inhibitedBy = {"a"};
    AlertsFixture it({{"a", a}, {"b", b}});
    it.start();
    it.values["other"][{}] = 80;
    it.load(80, 5 * second_ms);
    CHECK(it.count(AlertChange::raised) == 1);
    CHECK(it.alerts.list().size() == 2);
}

TEST_CASE("thousands of direct alerts are bounded, and one summary stands for the rest", "[alerts]") {
    AlertsFixture it;
    for (int i = 0; i < 5000; ++i) it.alerts.raise({.key = "k" + std::to_string(i)});
    CHECK(it.alerts.list().size() == 1001);
    CHECK(it.count(AlertChange::raised) == 1001);
    REQUIRE(it.alerts.list()[0].rule == Alerts::overflow_key);
    CHECK_THAT(it.alerts.list()[0].detail, Catch::Contains("4000 alerts"));
    for (int i = 0; i < 1000; ++i) it.alerts.resolve("k" + std::to_string(i));
    it.pass(2 * minute_ms);
    CHECK(it.alerts.list().empty());
    CHECK(it.alerts.list(AlertsOf::resolved).size() == 1000);
}

TEST_CASE("thousands of alerts of rules are bounded and come in as there is room", "[alerts]") {
    std::map<std::string, AlertRule> rules;
    for (int i = 0; i < 10; ++i) {
        AlertRule rule = plain_rule();
        rule.metric = "load";
        rules["r" + std::to_string(i)] = rule;
    }
    AlertsFixture it(rules, {.activeMax = 1000});
    it.start();
    for (int i = 0; i < 700; ++i) it.load_of("p" + std::to_string(i), 80); // of which a rule looks at 500
    it.pass(5 * second_ms);
    CHECK(it.alerts.list().size() == 1001);
    CHECK(it.count(AlertChange::raised) == 1001);
    CHECK_THAT(it.alerts.rules().at(0).trouble, Catch::Contains("more than 500"));
    for (auto& [labels, value] : it.values["load"]) value = 1;
    it.pass(3 * minute_ms);
    CHECK(it.alerts.list().empty());
}

TEST_CASE("threads raise, resolve, silence and look while rules are evaluated, and every end had a beginning",
          "[alerts]") {
    AlertsFixture it({{"busy", plain_rule()}});
    it.start();
    it.values["load"][{}] = 80;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; ++thread)
        threads.emplace_back([&it, thread] {
            for (int i = 0; i < 300; ++i) {
                const std::string key = "k" + std::to_string(thread) + "-" + std::to_string(i % 7);
                it.alerts.raise({.key = key});
                if (i % 2 == 0) it.alerts.resolve(key);
                if (i % 50 == 0) {
                    const auto silence = it.alerts.silence({.rule = "k1-*"}, minute_ms);
                    if (silence) static_cast<void>(it.alerts.unsilence(silence->id));
                    static_cast<void>(it.alerts.list(AlertsOf::all));
                }
            }
        });
    for (int i = 0; i < 100; ++i) it.pass(second_ms);
    for (std::thread& thread : threads) thread.join();
    it.alerts.stop();
    std::map<std::string, int> standing;
    for (const auto& [change, alert] : it.events) {
        int& stands = standing[alert.id];
        if (change == AlertChange::raised) REQUIRE(stands++ == 0);
        if (change == AlertChange::changed) REQUIRE(stands == 1);
        if (change == AlertChange::resolved) REQUIRE(stands-- == 1);
    }
}
