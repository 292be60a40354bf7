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

TEST_CASE("a rise that pauses is told of once: it is over when half its window has passed or memory came back",
          "[leak_alerts]") {
    const auto at = [](MemoryCourse course, std::int64_t minute, double level_bytes) {
        Leak leak = judged("indexer", course);
        leak.verdict.window_ms = 60 * 60'000;
        leak.verdict.since_ms = (minute - 60) * 60'000;
        leak.verdict.level_bytes = level_bytes;
        leak.verdict.grown_bytes = 40e6;
        return std::vector<Leak>{leak};
    };
    LeakAlerts alerts;
    CHECK(alerts.look(at(MemoryCourse::leak, 100, 200e6), runs).raise.size() == 1);
    for (std::int64_t minute = 101; minute < 130; ++minute)
        CHECK(alerts.look(at(MemoryCourse::steady, minute, 190e6), runs).resolve.empty());
    SECTION("time passes") { CHECK(alerts.look(at(MemoryCourse::steady, 130, 190e6), runs).resolve.size() == 1); }
    SECTION("memory comes back") { CHECK(alerts.look(at(MemoryCourse::steady, 129, 179e6), runs).resolve.size() == 1); }
    SECTION("it began anew") { CHECK(alerts.look(at(MemoryCourse::unknown, 129, 10e6), runs).resolve.size() == 1); }
}
