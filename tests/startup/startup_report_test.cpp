// Whether the explanation of a start adds up.
#include "modules/startup/startup_simulation.h"
#include "modules/startup/startup_statistics.h"
#include "tests/startup/played_start.h"

#include <algorithm>
#include <numeric>

using namespace pillion;

namespace {

template <class List, class Member>
double sum_of(const List& list, Member member) {
    return std::accumulate(list.begin(), list.end(), 0.0,
                           [member](double sum, const auto& item) { return sum + item.*member; });
}

const StartupComponentTime& time_of(const StartupReport& report, std::string_view name) {
    const auto at = std::ranges::find(report.components, name, &StartupComponentTime::name);
    REQUIRE(at != report.components.end());
    return *at;
}

bool is_same(double a, double b) { return std::abs(a - b) < 1e-6; }

// A start in which one component takes so long, `day` days after the first.
StartupTimeline start_with(std::int64_t ms, int day, bool is_cached = false) {
    PlayedStart start(
        {{.name = "base", .ms = 20}, {.name = "index", .needs = {"base"}, .ms = ms, .is_cached = is_cached}}, {},
        day * 86'400'000LL);
    return start.play();
}

std::vector<StartupRecord> records(const std::vector<std::int64_t>& durations_ms) {
    std::vector<StartupRecord> found;
    for (std::size_t day = 0; day < durations_ms.size(); ++day)
        found.push_back(startup_record(start_with(durations_ms[day], static_cast<int>(day))));
    return found;
}

} // namespace

TEST_CASE("every sum of a report gives the wall time: nothing is counted twice", "[startup]") {
    std::mt19937 random(11);
    for (int round = 0; round < 120; ++round) {
        const auto lanes = 1 + static_cast<std::uint32_t>(random() % 6);
        const auto timeout_ms = random() % 4 == 0 ? 200 : 0;
        PlayedStart start(random_components(random, 1 + random() % 60), {.lanes = lanes, .timeout_ms = timeout_ms});
        const StartupTimeline& timeline = start.play(static_cast<std::int64_t>(random() % 3));
        const StartupReport report = startup_report(timeline, {});
        CHECK(is_same(report.wallMs, static_cast<double>(timeline.ended_ns - timeline.began_ns) / 1e6));
        CHECK(is_same(sum_of(report.phases, &StartupPhase::durationMs), report.wallMs));
        CHECK(is_same(sum_of(report.criticalChain, &StartupLink::ownMs) +
                          sum_of(report.criticalChain, &StartupLink::waitMs) + report.tailMs,
                      report.wallMs));
        CHECK(is_same(sum_of(report.components, &StartupComponentTime::shareMs) + report.idleMs, report.wallMs));
        CHECK(is_same(sum_of(report.components, &StartupComponentTime::ownMs), report.saved.serialMs));
        CHECK(report.saved.lowerBoundMs <= report.wallMs + 1e-6);
        for (const StartupComponentTime& time : report.components) {
            const StartupEntry& entry = start.entry(time.name);
            CHECK(is_same(time.dependencyWaitMs + time.laneWaitMs + time.ownMs,
                          static_cast<double>(entry.finished_ns - timeline.began_ns) / 1e6));
            CHECK(time.contentionMs >= 0);
            CHECK(time.contentionMs <= time.ownMs + 1e-6);
            CHECK(time.shareMs <= time.ownMs + 1e-6);
        }
        for (const StartupLink& link : report.criticalChain) CHECK(link.waitMs >= 0);
        if (timeline.critical_done_ns > timeline.began_ns)
            CHECK(is_same(sum_of(report.readyChain, &StartupLink::ownMs) +
                              sum_of(report.readyChain, &StartupLink::waitMs),
                          static_cast<double>(timeline.critical_done_ns - timeline.began_ns) / 1e6));
    }
}

TEST_CASE("a report of a start that goes on adds up too", "[startup]") {
    PlayedStart start({{.name = "a", .ms = 10}, {.name = "b", .ms = 30}, {.name = "c", .needs = {"b"}}}, {.lanes = 2});
    start.step();
    const StartupReport report = startup_report(start.scheduler->timeline(), {});
    CHECK(report.verdict == StartupVerdict::running);
    CHECK(report.wallMs == 10);
    CHECK(is_same(sum_of(report.phases, &StartupPhase::durationMs), 10));
    CHECK(time_of(report, "b").ownMs == 10);
    CHECK(time_of(report, "c").dependencyWaitMs == 10);
    CHECK(report.comparison.verdict == "this start cannot be compared with others: it is not done, or failed");
    CHECK(report.whatIf.empty());
}

TEST_CASE("a report of an empty start is empty and finite", "[startup]") {
    PlayedStart start({});
    const StartupReport report = startup_report(start.scheduler->timeline(), {});
    CHECK(report.wallMs == 0);
    CHECK(report.criticalChain.empty());
    CHECK(startup_text(report).find("0 components on 4 lanes") != std::string::npos);
    CHECK(startup_plot(start.scheduler->timeline(), report).find("</svg>") != std::string::npos);
}

TEST_CASE("the critical chain follows needs and lanes to the beginning", "[startup]") {
    PlayedStart start({{.name = "a", .ms = 50, .expected_ms = 500},
                       {.name = "b", .ms = 10, .expected_ms = 10},
                       {.name = "c", .needs = {"b"}, .ms = 20, .expected_ms = 20}},
                      {.lanes = 1});
    const StartupReport report = startup_report(start.play(), {});
    REQUIRE(report.criticalChain.size() == 3);
    CHECK(report.criticalChain[0].name == "a");
    CHECK(report.criticalChain[0].waitedFor == StartupWait::none);
    CHECK(report.criticalChain[1].name == "b");
    CHECK(report.criticalChain[1].waitedFor == StartupWait::lane);
    CHECK(report.criticalChain[2].name == "c");
    CHECK(report.criticalChain[2].waitedFor == StartupWait::dependency);
    CHECK(time_of(report, "b").laneWaitMs == 50);
    CHECK(time_of(report, "c").dependencyWaitMs == 60);
    CHECK(time_of(report, "c").laneWaitMs == 0);
    CHECK(report.components.front().name == "a");
}

TEST_CASE("a report says what parallelism saved", "[startup]") {
    PlayedStart start({{.name = "a", .ms = 40}, {.name = "b", .ms = 30}, {.name = "c", .ms = 30}});
    const StartupReport report = startup_report(start.play(), {});
    CHECK(report.saved.serialMs == 100);
    CHECK(report.saved.parallelismMs == 60);
    CHECK(report.saved.lowerBoundMs == 40);
}

TEST_CASE("a report says what cached results saved, of work and of the start", "[startup]") {
    const auto earlier = records({300, 310, 290});
    const StartupReport report = startup_report(start_with(2, 3, true), earlier);
    CHECK(report.saved.cacheWorkMs == 298);
    CHECK(report.saved.cacheMs == 298);
    CHECK(startup_report(start_with(2, 3, true), {}).saved.cacheWorkMs == 0);
}

TEST_CASE("what-if says what a change to one component would save", "[startup]") {
    PlayedStart start({{.name = "base", .ms = 20, .is_critical = true},
                       {.name = "index", .needs = {"base"}, .ms = 200},
                       {.name = "search", .needs = {"index"}, .ms = 30},
                       {.name = "theme", .ms = 100}});
    const StartupReport report = startup_report(start.play(), {});
    const auto saved = [&](std::string_view name, StartupChange change) {
        for (const StartupWhatIf& what_if : report.whatIf)
            if (what_if.name == name && what_if.change == change) return what_if.totalSavedMs;
        return 0.0;
    };
    CHECK(saved("index", StartupChange::lazy) == 150); // theme's 100 ms remain
    CHECK(saved("index", StartupChange::dropped) == 150);
    CHECK(saved("index", StartupChange::faster) == 100);
    CHECK(saved("search", StartupChange::lazy) == 30);
    CHECK(saved("theme", StartupChange::dropped) == 0);
    CHECK(report.whatIf.front().totalSavedMs >= report.whatIf.back().totalSavedMs);
}

TEST_CASE("contention is own time beyond what a component takes alone, while others ran", "[startup]") {
    PlayedStart start({{.name = "a", .ms = 30, .solo_ms = 10},
                       {.name = "b", .ms = 5},
                       {.name = "c", .needs = {"a"}, .ms = 50, .solo_ms = 10}});
    const StartupReport report = startup_report(start.play(), {});
    CHECK(time_of(report, "a").contentionMs == 5); // b ran beside it for 5 ms only
    CHECK(time_of(report, "b").contentionMs == 0); // nothing is known of it
    CHECK(time_of(report, "c").contentionMs == 0); // it ran alone
}

TEST_CASE("a failed start says why and advises nothing", "[startup]") {
    PlayedStart start({{.name = "db", .is_critical = true, .fails = true}, {.name = "x", .needs = {"db"}}});
    const StartupReport report = startup_report(start.play(), records({10, 10}));
    CHECK(report.verdict == StartupVerdict::failed);
    CHECK(report.error == "critical component \"db\" failed: exited with status 3");
    CHECK(report.whatIf.empty());
    CHECK(report.comparison.comparable == 0);
    const std::string text = startup_text(report);
    CHECK(text.find("critical component \"db\" failed") != std::string::npos);
    CHECK(text.find("skipped, critical") == std::string::npos);
}

TEST_CASE("starts that became slower are a regression that names the component", "[startup]") {
    const auto earlier = records({100, 103, 98, 101, 99, 102, 97, 150, 152, 149, 151});
    const StartupReport report = startup_report(start_with(153, 11), earlier);
    const StartupComparison& comparison = report.comparison;
    CHECK(comparison.starts == 12);
    CHECK(comparison.comparable == 12);
    REQUIRE(comparison.total);
    CHECK(comparison.regressed);
    CHECK(comparison.total->probability < 0.01);
    CHECK(comparison.total->growthPercent == Approx(42).margin(3));
    REQUIRE(comparison.grown.size() == 1);
    CHECK(comparison.grown[0].name == "index");
    CHECK(comparison.verdict.find("starts have become slower: 171 ms in the last 5, 120 ms in the 7 before") == 0);
    CHECK(comparison.verdict.find("\"index\" grew most: 100 to 151 ms") != std::string::npos);
}

TEST_CASE("noise, a small growth and a single slow start are no regression", "[startup]") {
    const auto noise =
        startup_report(start_with(104, 10), records({100, 130, 90, 110, 95, 120, 105, 99, 125, 93})).comparison;
    CHECK_FALSE(noise.regressed);
    CHECK_FALSE(noise.outlier);
    CHECK(noise.verdict.find("as before") == 0);
    const auto small =
        startup_report(start_with(105, 9), records({100, 100, 100, 100, 100, 105, 105, 105, 105})).comparison;
    CHECK_FALSE(small.regressed);
    CHECK(small.total->probability < 0.01);
    const auto single =
        startup_report(start_with(400, 9), records({100, 101, 99, 100, 102, 98, 100, 101, 99})).comparison;
    CHECK_FALSE(single.regressed);
    CHECK(single.outlier);
    CHECK(*single.robustZ > 3.5);
    CHECK(single.verdict.find("this start stands out: 420 ms where 120 ms are usual") != std::string::npos);
}

TEST_CASE("too few starts, and starts of other components, are not compared", "[startup]") {
    const auto few = startup_report(start_with(500, 8), records({100, 100, 100, 100, 100, 100, 100, 100})).comparison;
    CHECK_FALSE(few.total);
    CHECK_FALSE(few.regressed);
    CHECK(few.verdict.find("too few comparable starts to tell a trend: 9 of 10") == 0);
    const auto cached =
        startup_report(start_with(2, 11, true), records({100, 100, 100, 100, 100, 100, 100, 100, 100, 100})).comparison;
    CHECK(cached.starts == 11);
    CHECK(cached.comparable == 1);
}

TEST_CASE("the start itself in the history is not compared with itself", "[startup]") {
    auto earlier = records({100, 101});
    const StartupTimeline timeline = start_with(99, 5);
    earlier.push_back(startup_record(timeline));
    CHECK(startup_report(timeline, earlier).comparison.comparable == 3);
}

TEST_CASE("the rank test agrees with tables", "[startup]") {
    const std::vector<double> low{1, 2, 3, 4, 5}, high{6, 7, 8, 9, 10};
    CHECK(rank_test(high, low) == Approx(1.0 / 252));
    CHECK(rank_test(low, high) == Approx(1));
    // U = 22 of 25: of the 252 orders seven have as much.
    const std::vector<double> later{5.5, 7, 8, 9, 10}, earlier{1, 2, 3, 6, 7.5};
    CHECK(rank_test(later, earlier) == Approx(7.0 / 252));
    const std::vector<double> same{3, 3, 3, 3, 3};
    CHECK(rank_test(same, same) == 1);
    CHECK(rank_test({}, low) == 1);
    const std::vector<double> tied{2, 3, 4, 4, 5, 6}, tied_later{4, 5, 6, 6, 7};
    CHECK(rank_test(tied_later, tied) == Approx(0.04).margin(0.02));
    CHECK(shift_between(high, low) == 5);
}

TEST_CASE("medians and quantiles of few values are exact", "[startup]") {
    CHECK(median_of({}) == 0);
    CHECK(median_of({3}) == 3);
    CHECK(median_of({4, 1}) == 2.5);
    CHECK(quantile_of({1, 2, 3, 4, 5}, 0.25) == 2);
    CHECK(robust_z(10, {10, 10, 10}) == 0);
    CHECK(robust_z(0, {0, 0, 0}) == 0);
}

TEST_CASE("the simulation repeats what was played", "[startup]") {
    std::mt19937 random(5);
    for (int round = 0; round < 20; ++round) {
        const auto components = random_components(random, 50, false);
        PlayedStart start(components, {.lanes = 3});
        const StartupTimeline& timeline = start.play();
        std::vector<std::int64_t> durations;
        for (const auto& component : components) durations.push_back(component.ms * 1'000'000);
        const StartupMakespan makespan = simulate_startup(start.graph(), durations, 3);
        CHECK(makespan.total_ns == timeline.ended_ns - timeline.began_ns);
    }
}
