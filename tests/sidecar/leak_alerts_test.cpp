#include "sidecar/leak_alerts.h"

#include <catch2/catch.hpp>

using namespace pillion;

namespace {

Leak judged(std::string component, MemoryCourse course) {
    Leak leak{.component = std::move(component), .process = "python3.11", .role = "child"};
    leak.verdict.course = course;
    return leak;
}

constexpr auto runs = [](const Leak&) { return true; };
constexpr auto has_ended = [](const Leak&) { return false; };

} // namespace

TEST_CASE("a leak is raised at the first look that finds it, under its component and process", "[leak_alerts]") {
    LeakAlerts alerts;
    const std::vector<Leak> leaks{judged("indexer", MemoryCourse::leak), judged("", MemoryCourse::leak)};
    const auto changes = alerts.look(leaks, runs);
    REQUIRE(changes.raise.size() == 2);
    const AlertNotice& notice = changes.raise.front();
    CHECK(notice.key == "memory.leak/indexer/python3.11");
    CHECK(notice.title == "indexer leaks memory");
    CHECK(notice.labels == SeriesLabels{{"component", "indexer"}, {"process", "python3.11"}, {"role", "child"}});
    CHECK(notice.detail.find("component indexer, process python3.11") != std::string::npos);
    CHECK(changes.raise.back().key == "memory.leak/python3.11");
    CHECK(changes.raise.back().labels == SeriesLabels{{"process", "python3.11"}, {"role", "child"}});
    CHECK(changes.resolve.empty());
}

TEST_CASE("what is no leak raises nothing and resolves nothing", "[leak_alerts]") {
    LeakAlerts alerts;
    const std::vector<Leak> leaks{judged("a", MemoryCourse::steady), judged("b", MemoryCourse::bounded),
                                  judged("c", MemoryCourse::unknown)};
    const auto changes = alerts.look(leaks, runs);
    CHECK(changes.raise.empty());
    CHECK(changes.resolve.empty());
}

TEST_CASE("a leak is over after three looks in a row without it", "[leak_alerts]") {
    LeakAlerts alerts;
    const std::vector<Leak> leak{judged("indexer", MemoryCourse::leak)},
        steady{judged("indexer", MemoryCourse::steady)};
    alerts.look(leak, runs);
    CHECK(alerts.look(steady, runs).resolve.empty());
    CHECK(alerts.look(steady, runs).resolve.empty());
    SECTION("with none between them") {
        CHECK(alerts.look(steady, runs).resolve == std::vector<std::string>{"memory.leak/indexer/python3.11"});
        CHECK(alerts.look(steady, runs).resolve.empty());
    }
    SECTION("and a look that finds it again begins the count anew") {
        CHECK(alerts.look(leak, runs).raise.size() == 1);
        CHECK(alerts.look(steady, runs).resolve.empty());
        CHECK(alerts.look({}, runs).resolve.empty());
        CHECK(alerts.look({}, runs).resolve.size() == 1);
    }
}

TEST_CASE("a process that has ended leaks no more, whatever its course still says", "[leak_alerts]") {
    LeakAlerts alerts;
    const std::vector<Leak> leak{judged("indexer", MemoryCourse::leak)};
    alerts.look(leak, runs);
    const auto changes = alerts.look(leak, has_ended);
    CHECK(changes.raise.empty());
    CHECK(changes.resolve == std::vector<std::string>{"memory.leak/indexer/python3.11"});
    CHECK(alerts.look(leak, has_ended).resolve.empty());
}
