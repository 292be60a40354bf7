// What outlives the process, and what happens when it cannot.
#include "modules/alerts/alert_store.h"
#include "modules/alerts/alerts_rpc.h"
#include "tests/alerts/alerts_fixture.h"
#include "tests/support/temporary_folder.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>

using namespace pillion;

namespace {

// Runs of Pillion, one after the other, on one file and one clock.
struct Runs {
    TemporaryFolder folder;
    std::string path = folder.path() + "/state.db";
    ManualClock clock;
    ManualTimers timers{clock};
    AlertsConfig config{.builtIn = false};
    double load = 10;
    bool has_data = true;

    std::unique_ptr<Store> store;
    std::unique_ptr<Alerts> alerts;
    std::vector<std::string> events;
    std::vector<bool> runtime_rules; // as it was told
    std::set<std::string> living;    // other runs

    void begin() {
        store = std::make_unique<Store>(StoreOptions{.path = path}, clock);
        Alerts::add_schema(*store);
        alerts = make(*store, "1");
    }
    std::unique_ptr<Alerts> make(Store& its_store, const std::string& owner) {
        return std::make_unique<Alerts>(
            Alerts::Host{.clock = clock,
                         .timers = timers,
                         .source = [this](const AlertQuery&) -> Result<AlertReading> {
                             if (!has_data) return AlertReading{};
                             return AlertReading{.samples = {{.labels = {{"part", "a:1\n"}}, .value = load}}};
                         },
                         .store = &its_store,
                         .publish =
                             [this](AlertChange change, const Alert& alert) {
                                 events.push_back((change == AlertChange::raised    ? "raised "
                                                   : change == AlertChange::changed ? "changed "
                                                                                    : "resolved ") +
                                                  alert.rule);
                             },
                         .rule_text = alert_rule_text,
                         .read_rule = read_alert_rule,
                         .owner = owner,
                         .is_alive = [this](const std::string& other) { return living.contains(other); },
                         .on_runtime_rules = [this](bool has_rules) { runtime_rules.push_back(has_rules); }},
            config);
    }
    void sample() {
        alerts->load();
        alerts->set_sampled(true);
        timers.advance_ms(3 * second_ms);
    }
    void pass(std::int64_t ms) { timers.advance_ms(ms); }
    void end() {
        alerts->stop();
        store->stop();
        alerts.reset();
        store.reset();
    }
    void execute(const char* sql) {
        Store other({.path = path}, clock);
        REQUIRE(other.write_and_wait([sql](Database& database) { return database.execute(sql); }));
        other.stop();
    }
};

AlertsConfig with(const AlertRule& rule) {
    AlertsConfig config{.builtIn = false};
    config.rules["busy"] = rule;
    return config;
}

} // namespace

TEST_CASE("nothing is opened before something is raised or asked", "[alerts]") {
    Runs it;
    it.begin();
    it.pass(hour_ms);
    CHECK_FALSE(std::filesystem::exists(it.path));
    it.end();
}

TEST_CASE("an alert that stands at the end is there at the next start, acknowledged as it was", "[alerts]") {
    Runs it;
    it.config = with(plain_rule());
    it.load = 80;
    it.begin();
    it.sample();
    REQUIRE(it.alerts->list().size() == 1);
    const Alert before = it.alerts->list()[0];
    REQUIRE(it.alerts->acknowledge(before.id, "ada", "mine"));
    it.end();
    it.events.clear();
    it.pass(hour_ms);

    it.begin();
    REQUIRE(it.alerts->list().size() == 1);
    const Alert after = it.alerts->list()[0];
    CHECK(after.id == before.id);
    CHECK(after.raisedAt == before.raisedAt);
    CHECK(after.labels == before.labels);
    CHECK(after.acknowledged->comment == "mine");
    SECTION("its rule still holds: nobody is told again") {
        it.sample();
        it.pass(hour_ms);
        CHECK(it.events.empty());
        CHECK(it.alerts->list().size() == 1);
    }
    SECTION("its rule no longer holds: it resolves") {
        it.load = 1;
        it.sample();
        it.pass(5 * second_ms);
        CHECK(it.events == std::vector<std::string>{"resolved busy"});
        REQUIRE(it.alerts->list(AlertsOf::resolved).size() == 1);
        CHECK(it.alerts->list(AlertsOf::resolved)[0].durationMs > hour_ms);
    }
    SECTION("there is no data any more: it resolves after the rule's time") {
        it.has_data = false;
        it.sample();
        CHECK(it.events.empty());
        it.pass(15 * second_ms);
        CHECK(it.events == std::vector<std::string>{"resolved busy"});
        CHECK(it.alerts->list(AlertsOf::resolved)[0].end == AlertEnd::noData);
    }
    it.end();
}

TEST_CASE("an alert whose rule is gone at the next start resolves", "[alerts]") {
    Runs it;
    it.config = with(plain_rule());
    it.load = 80;
    it.begin();
    it.sample();
    it.end();
    it.config = {.builtIn = false};
    it.events.clear();
    it.begin();
    it.alerts->load();
    it.pass(2 * second_ms);
    CHECK(it.events == std::vector<std::string>{"resolved busy"});
    CHECK(it.alerts->list(AlertsOf::resolved).at(0).end == AlertEnd::ruleGone);
    it.end();
}

TEST_CASE("a direct alert of an earlier run resolves unless it is raised again in time", "[alerts]") {
    Runs it;
    it.begin();
    it.alerts->load();
    it.alerts->raise({.key = "one"});
    it.alerts->raise({.key = "two"});
    it.end();
    it.events.clear();
    it.begin();
    REQUIRE(it.alerts->list().size() == 2);
    it.pass(minute_ms);
    it.alerts->raise({.key = "one"});
    it.pass(Alerts::confirm_ms);
    CHECK(it.events == std::vector<std::string>{"resolved two"});
    REQUIRE(it.alerts->list().size() == 1);
    CHECK(it.alerts->list()[0].occurrences == 2);
    CHECK(it.alerts->list(AlertsOf::resolved)[0].end == AlertEnd::notConfirmed);
    it.end();
}

TEST_CASE("what is raised before history was read meets what stands there", "[alerts]") {
    Runs it;
    it.begin();
    it.alerts->load();
    it.alerts->raise({.key = "one"});
    it.alerts->raise({.key = "two"});
    it.end();
    it.events.clear();
    it.begin();
    it.alerts->raise({.key = "one"});
    it.alerts->resolve("two");
    CHECK(it.events.empty());
    CHECK(it.alerts->list().size() == 1);
    CHECK(it.events == std::vector<std::string>{"resolved two"});
    it.end();
}

TEST_CASE("what is raised right before the end is kept, though history was never read", "[alerts]") {
    Runs it;
    it.begin();
    it.alerts->raise({.key = "one"});
    it.end();
    it.begin();
    CHECK(it.alerts->list().size() == 1);
    it.end();
}

TEST_CASE("silences and rules set at run time are there at the next start", "[alerts]") {
    Runs it;
    it.begin();
    AlertRule rule = plain_rule();
    rule.groupBy = std::vector<std::string>{};
    rule.labels = {{"part", "\"quoted\""}};
    rule.advice = "Do something.";
    REQUIRE(it.alerts->set_rule("mine", rule));
    REQUIRE(it.alerts->set_rule("other", plain_rule()));
    REQUIRE(it.alerts->delete_rule("other"));
    REQUIRE(it.alerts->silence({.rule = "mine", .labels = {{"a", "b"}}, .by = "ada", .comment = "noisy"}, hour_ms));
    REQUIRE(it.alerts->silence({.rule = "short"}, minute_ms));
    it.end();
    it.pass(10 * minute_ms);
    it.begin();
    REQUIRE(it.alerts->rules().size() == 1);
    CHECK(it.alerts->rules()[0].rule == rule);
    CHECK(it.alerts->rules()[0].origin == AlertRuleOrigin::runtime);
    REQUIRE(it.alerts->silences().size() == 1);
    CHECK(it.alerts->silences()[0].labels == SeriesLabels{{"a", "b"}});
    it.end();
}

TEST_CASE("whether there are rules that were set at run time is told when it changes and at the next start",
          "[alerts]") {
    Runs it;
    it.begin();
    REQUIRE(it.alerts->rules().empty());
    CHECK(it.runtime_rules == std::vector{false});
    REQUIRE(it.alerts->set_rule("mine", plain_rule()));
    REQUIRE(it.alerts->set_rule("other", plain_rule()));
    CHECK(it.runtime_rules == std::vector{false, true});
    it.end();
    it.begin();
    it.alerts->load();
    CHECK(it.runtime_rules == std::vector{false, true, true});
    REQUIRE(it.alerts->delete_rule("other"));
    REQUIRE(it.alerts->enable_rule("mine", false));
    CHECK(it.runtime_rules == std::vector{false, true, true, false});
    it.end();
}

TEST_CASE("what another living process raised is left to it", "[alerts]") {
    Runs it;
    it.config = with(plain_rule());
    it.load = 80;
    it.begin();
    it.sample();
    it.alerts->raise({.key = "direct", .title = "Direct"});
    for (int write = 0; write < 2; ++write) { // one may have been under way
        it.pass(second_ms);
        REQUIRE(it.store->write_and_wait([](Database&) { return Result<void>{}; }));
    }
    REQUIRE(it.alerts->list().size() == 2);
    it.living = {"1"};
    it.events.clear();
    Store other_store({.path = it.path}, it.clock);
    Alerts::add_schema(other_store);
    auto other = it.make(other_store, "2");
    SECTION("while it lives") {
        CHECK(other->list().empty());
        it.pass(hour_ms);
        CHECK(it.events.empty());
        CHECK(it.alerts->list().size() == 2);
        CHECK(read_kept_alerts(other_store, AlertsOf::active)->size() == 2); // who asks for all sees all
    }
    SECTION("and taken over when it has ended, once") {
        it.living.clear();
        CHECK(other->list().size() == 2);
        it.living = {"2"};
        Store third_store({.path = it.path}, it.clock);
        Alerts::add_schema(third_store);
        auto third = it.make(third_store, "3");
        CHECK(third->list().empty());
        third->stop();
        third_store.stop();
    }
    other->stop();
    other_store.stop();
    it.end();
}

TEST_CASE("history is bounded by count and by age, on the disk too", "[alerts]") {
    Runs it;
    it.config.historyMax = 50;
    it.config.historyDays = 2;
    it.begin();
    it.alerts->load();
    for (int i = 0; i < 120; ++i) {
        it.alerts->raise({.key = "k" + std::to_string(i)});
        it.alerts->resolve("k" + std::to_string(i));
        it.pass(second_ms);
    }
    CHECK(it.alerts->list(AlertsOf::resolved).size() == 50);
    CHECK(it.alerts->list(AlertsOf::resolved)[0].rule == "k119");
    it.end();
    it.config.historyMax = 1000;
    it.begin();
    CHECK(it.alerts->list(AlertsOf::resolved).size() == 50);
    it.clock.advance_ms(3 * 24 * hour_ms);
    it.alerts->raise({.key = "new"});
    it.alerts->resolve("new");
    CHECK(it.alerts->list(AlertsOf::resolved).size() == 1);
    it.end();
    it.begin();
    CHECK(it.alerts->list(AlertsOf::resolved).size() == 1);
    it.end();
}

TEST_CASE("rows that make no sense are left out", "[alerts]") {
    Runs it;
    it.begin();
    it.alerts->load();
    it.alerts->raise({.key = "good", .labels = {{"a", "b"}}});
    it.alerts->raise({.key = "bad", .labels = {{"a", "b"}}});
    REQUIRE(it.alerts->set_rule("mine", plain_rule()));
    it.end();
    SECTION("labels") { it.execute("UPDATE alert SET labels = '99:x' WHERE rule = 'bad'"); }
    SECTION("level") { it.execute("UPDATE alert SET level = 17 WHERE rule = 'bad'"); }
    SECTION("state") { it.execute("UPDATE alert SET state = 2 WHERE rule = 'bad'"); }
    SECTION("name") { it.execute("UPDATE alert SET rule = '' WHERE rule = 'bad'"); }
    it.execute("UPDATE alert_rule SET text = '{\"metric\":'");
    it.execute("INSERT INTO alert_silence VALUES ('s', 'r', 'x', 1, 9999999999999, '', '')");
    it.begin();
    REQUIRE(it.alerts->list().size() == 1);
    CHECK(it.alerts->list()[0].rule == "good");
    CHECK(it.alerts->rules().empty());
    CHECK(it.alerts->silences().empty());
    it.end();
}

TEST_CASE("a damaged history is set aside, and alerts go on", "[alerts]") {
    Runs it;
    it.begin();
    it.alerts->load();
    it.alerts->raise({.key = "old"});
    it.end();
    std::ofstream(it.path, std::ios::binary | std::ios::trunc) << std::string(8192, 'x');
    for (const char* const part : {"-wal", "-shm"}) std::filesystem::remove(it.path + part);
    it.begin();
    CHECK(it.alerts->list().empty());
    it.alerts->raise({.key = "new"});
    CHECK(it.alerts->list().size() == 1);
    it.end();
    it.begin();
    CHECK(it.alerts->list().size() == 1);
    it.end();
    std::size_t set_aside = 0;
    for (const auto& file : std::filesystem::directory_iterator(it.folder.path()))
        set_aside += file.path().string().find(".damaged-") != std::string::npos ? 1 : 0;
    CHECK(set_aside == 1);
}

TEST_CASE("without a place to write alerts are raised and resolved all the same", "[alerts]") {
    Runs it;
    it.path = it.folder.path() + "/file/state.db";
    std::ofstream(it.folder.path() + "/file") << "no folder";
    it.begin();
    it.alerts->load();
    for (int i = 0; i < 100; ++i) {
        it.alerts->raise({.key = "k"});
        it.pass(20 * minute_ms);
        it.alerts->resolve("k");
        it.pass(20 * minute_ms);
    }
    CHECK(it.alerts->list(AlertsOf::resolved).size() == 100);
    it.end();
}
