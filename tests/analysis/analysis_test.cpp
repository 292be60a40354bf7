#include "ipc/timers.h"
#include "modules/analysis/analysis.h"
#include "modules/analysis/analysis_chart.h"
#include "modules/analysis/analysis_rpc.h"
#include "modules/analysis/analysis_rules.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

using namespace pillion;

namespace {

constexpr double megabyte = 1024 * 1024;

constexpr SeriesSpec private_memory{"process.memory.private", "Private bytes.", "By", SeriesKind::gauge};
constexpr SeriesSpec machine_cpu{"system.cpu.utilization", "Cores in use.", "1", SeriesKind::gauge};
constexpr SeriesSpec machine_memory{"system.memory.utilization", "Memory in use.", "1", SeriesKind::gauge};
constexpr SeriesSpec latency{"rpc.server.duration", "Requests.", "ns", SeriesKind::histogram};
constexpr SeriesSpec backend{"pillion.backend.duration", "Backend calls.", "s", SeriesKind::histogram};
constexpr SeriesSpec hits{"pillion.cache.hits", "Hits.", "{read}", SeriesKind::counter};
constexpr SeriesSpec misses{"pillion.cache.misses", "Misses.", "{read}", SeriesKind::counter};
constexpr SeriesSpec quiet{"app.quiet", "Noise.", "1", SeriesKind::gauge};

// An hour of an app in which one component leaks, the processor is nearly used up and latency doubles half-way.
class Hour {
  public:
    Hour() {
        std::mt19937_64 random(3);
        std::normal_distribution<double> noise(1, 0.03);
        for (int step = 0; step < 360; ++step) {
            const double minute = step / 6.0;
            put(private_memory, {{"role", "self"}, {"process", "pillion"}}, 20 * megabyte * noise(random));
            put(private_memory, {{"role", "child"}, {"process", "indexer"}, {"component", "search<1>"}},
                (60 + 3 * minute + step % 9 * 4) * megabyte * noise(random));
            put(machine_cpu, {}, std::min(0.93 * noise(random), 1.0));
            put(machine_memory, {}, 0.4 * noise(random));
            put(quiet, {}, step == 200 ? 30 : 5 * noise(random));
            for (int call = 0; call < 10; ++call) {
                put(latency, {}, (step < 180 ? 2e6 : 4e6) * noise(random));
                put(backend, {{"backend", "files"}, {"method", "tools/list"}}, 0.02 * noise(random));
            }
            put(hits, {{"namespace", "pages"}}, step * 2.0);
            put(misses, {{"namespace", "pages"}}, step * 18.0);
            clock.advance_ms(10'000);
        }
    }
    void put(const SeriesSpec& spec, const SeriesLabels& labels, double value) {
        if (!series.observe(spec, labels, value)) FAIL("a value was refused");
    }

    ManualClock clock;
    ManualTimers timers{clock};
    Series series{{.clock = clock, .timers = timers}};
};

template <class Items>
bool names(const Items& items, std::string_view metric) {
    return std::ranges::any_of(items, [&](const auto& item) { return item.metric == metric; });
}

} // namespace

TEST_CASE("an hour's report names what leaks, what is short and what changed", "[analysis]") {
    Hour hour;
    Analysis analysis({.series = hour.series, .hot_paths = [] {
                           return std::vector<HotPath>{{.kind = "method", .name = "cache.get", .totalMs = 30},
                                                       {.kind = "method", .name = "rpc.echo", .totalMs = 10}};
                       }});
    const AnalysisReport report = analysis.run({}).value();
    REQUIRE(report.score);
    CHECK(*report.score > 30);
    CHECK(*report.score < 85);
    REQUIRE(report.leaks.size() == 2);
    CHECK(report.leaks[0].component == "search<1>");
    CHECK(report.leaks[0].verdict.course == MemoryCourse::leak);
    CHECK(report.leaks[1].verdict.course == MemoryCourse::steady);
    REQUIRE_FALSE(report.bottlenecks.empty());
    CHECK(names(report.bottlenecks, "system.cpu.utilization"));
    CHECK(names(report.bottlenecks, "process.memory.private"));
    CHECK(names(report.bottlenecks, "pillion.cache.misses"));
    CHECK_FALSE(names(report.bottlenecks, "system.memory.utilization"));
    CHECK(std::ranges::is_sorted(report.bottlenecks, std::greater<>{}, &Bottleneck::impact));
    CHECK_FALSE(report.criticalIssues.empty());
    CHECK_FALSE(report.recommendations.empty());
    CHECK(names(report.trends, "process.memory.private"));
    CHECK_FALSE(names(report.trends, "app.quiet"));
    CHECK_FALSE(names(report.trends, "system.memory.utilization"));
    REQUIRE(names(report.changes, "rpc.server.duration"));
    REQUIRE(names(report.anomalies, "app.quiet"));
    CHECK_FALSE(names(report.anomalies, "rpc.server.duration"));
    CHECK(report.hotPaths.front().name == "files/tools/list");
    CHECK(report.hotPaths.front().share == 1);
    CHECK(std::ranges::find(report.hotPaths, "cache.get", &HotPath::name)->share == Approx(0.75));
}

TEST_CASE("the score is the weighted mean of the parts that were measured", "[analysis]") {
    Hour hour;
    const AnalysisReport report = Analysis({.series = hour.series}).run({}).value();
    double sum = 0;
    double weights = 0;
    double all = 0;
    for (const ScorePart& part : report.parts) {
        all += part.weight;
        if (!part.score) continue;
        sum += part.weight * *part.score;
        weights += part.weight;
    }
    CHECK(all == 100);
    CHECK(*report.score == std::round(sum / weights));
    CHECK(penalty_of(0.3, 0.75, 0.9) == 0);
    CHECK(penalty_of(0.75, 0.75, 0.9) == 30);
    CHECK(penalty_of(0.9, 0.75, 0.9) == 70);
    CHECK(penalty_of(5, 0.75, 0.9) == 100);
}

TEST_CASE("nothing measured is no score and no finding", "[analysis]") {
    ManualClock clock;
    ManualTimers timers(clock);
    Series series({.clock = clock, .timers = timers});
    const AnalysisReport report = Analysis({.series = series}).run({}).value();
    CHECK_FALSE(report.score);
    CHECK(report.bottlenecks.empty());
    CHECK(report.seriesExamined == 0);
}

TEST_CASE("a range that ends before it begins and an unknown metric are refused", "[analysis]") {
    Hour hour;
    Analysis analysis({.series = hour.series});
    CHECK(analysis.trends({.from_ms = 2000, .to_ms = 1000}).error().field == "/from");
    CHECK(analysis.run({.from_ms = 2000, .to_ms = 1000}).error().code == ErrorCode::invalid_params);
    CHECK(analysis.anomalies({.metric = "no.such"}).error().code == ErrorCode::not_found);
    CHECK(analysis.anomalies({.metric = "app.quiet"}).value().size() == 1);
}

TEST_CASE("the page is whole, holds no script and escapes names", "[analysis]") {
    Hour hour;
    const TemporaryFolder folder;
    Analysis analysis({.series = hour.series, .folder = folder.path() + "/reports"});
    const std::string path = analysis.write_page(analysis.run({}).value()).value();
    std::ifstream file(path);
    const std::string page{std::istreambuf_iterator<char>(file), {}};
    CHECK(page.starts_with("<!doctype html>"));
    CHECK(page.ends_with("</html>\n"));
    CHECK(page.find("<script") == std::string::npos);
    CHECK(page.find("http") == std::string::npos);
    CHECK(page.find("search&lt;1&gt;") != std::string::npos);
    CHECK(page.find("search<1>") == std::string::npos);
    CHECK(page.find("<svg") != std::string::npos);
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path() + "/reports"), {}) == 1);
}

TEST_CASE("the lines of a chart have labels that differ, however little its values do", "[analysis]") {
    for (const char* unit : {"1", "By", "s", "{request}"})
        for (const double base : {0.8352, 123.4, 5.0e9, 1.0})
            for (const double spread : {0.0, 1e-5, 1e-3, 0.2}) {
                SeriesCourse course{.metric = "m", .unit = unit};
                for (int step = 0; step < 20; ++step)
                    course.points.push_back({step * 1000, base * (1 + spread * (step % 7))});
                const std::string chart = line_chart(course, 0, 20'000, {});
                std::vector<std::string> labels;
                for (std::size_t at = 0; (at = chart.find("text-anchor=\"end\" x=\"56", at)) != std::string::npos;) {
                    at = chart.find('>', at) + 1;
                    labels.push_back(chart.substr(at, chart.find('<', at) - at));
                }
                CAPTURE(unit, base, spread, labels);
                CHECK(labels.size() >= 2);
                std::ranges::sort(labels);
                CHECK(std::ranges::adjacent_find(labels) == labels.end());
            }
}

TEST_CASE("a report looks at every series, however many the app adds", "[analysis]") {
    Hour hour;
    // The ten minutes before the end, each of these a name that sorts before all of Pillion's own.
    for (int step = 0; step < 60; ++step)
        for (int name = 0; name < 25; ++name) {
            const std::string metric = "app.added" + std::to_string(name);
            for (int label = 0; label < 20; ++label)
                hour.put({metric.c_str(), "", "1", SeriesKind::gauge}, {{"which", std::to_string(label)}},
                         100 + (step + label) % 3 + (name == 24 && label == 19 ? step : 0));
            if (name == 24) hour.clock.advance_ms(10'000);
        }
    const TemporaryFolder folder;
    const Analysis::Host host{.series = hour.series, .folder = folder.path()};
    Analysis analysis(host);
    const AnalysisReport report = analysis.run({}).value();
    CHECK(report.seriesExamined >= 500);
    CHECK(names(report.trends, "app.added24"));
    CHECK(names(report.trends, "process.memory.private"));
    std::ifstream file(analysis.write_page(report).value());
    const std::string page{std::istreambuf_iterator<char>(file), {}};
    CHECK(page.find("aria-label=\"system.cpu.utilization\"") != std::string::npos);
}

TEST_CASE("a page without a folder, or with one that cannot be, is an error", "[analysis]") {
    Hour hour;
    CHECK(Analysis({.series = hour.series}).write_page({}).error().code == ErrorCode::unavailable);
    CHECK_FALSE(Analysis({.series = hour.series, .folder = "/dev/null/reports"}).write_page({}));
}

TEST_CASE("the methods answer on the wire under both names", "[analysis]") {
    Hour hour;
    const TemporaryFolder folder;
    Analysis analysis({.series = hour.series, .folder = folder.path()});
    test::WireFixture wire(analysis_methods(analysis));
    auto answer =
        wire.ask(R"({"jsonrpc":"2.0","id":1,"method":"create_optimization_report","params":{"report":"html"}})");
    REQUIRE(answer.contains("result"));
    CHECK(std::filesystem::exists(answer["result"]["file"].get<std::string>()));
    CHECK(answer["result"]["leaks"][0]["component"] == "search<1>");
    CHECK(answer["result"]["parts"].size() == 7);
    answer = wire.ask(R"({"jsonrpc":"2.0","id":2,"method":"get_performance_trends"})");
    CHECK(answer["result"]["items"][0]["direction"] == "rising");
    answer = wire.ask(R"({"jsonrpc":"2.0","id":3,"method":"analysis.leaks"})");
    CHECK(answer["result"]["items"].size() == 1);
    answer = wire.ask(R"({"jsonrpc":"2.0","id":4,"method":"analysis.leaks","params":{"all":true}})");
    CHECK(answer["result"]["items"].size() == 2);
    answer = wire.ask(R"({"jsonrpc":"2.0","id":5,"method":"analysis.bottlenecks"})");
    CHECK(answer["result"]["items"][0]["impact"].get<double>() >= 30);
    answer = wire.ask(R"({"jsonrpc":"2.0","id":6,"method":"analysis.anomalies","params":{"metric":"app.quiet"}})");
    CHECK(answer["result"]["items"][0]["value"] == 30);
    answer = wire.ask(R"({"jsonrpc":"2.0","id":7,"method":"analysis.run","params":{"report":"pdf"}})");
    CHECK(answer["error"]["code"] == -32602);
    answer = wire.ask(R"({"jsonrpc":"2.0","id":8,"method":"analysis.anomalies","params":{"metric":"none"}})");
    CHECK(answer["error"]["code"] == -32002);
}
TEST_CASE("what rests is not called out of place, risen or changed for a movement that nobody would notice",
          "[analysis]") {
    ManualClock clock;
    ManualTimers timers{clock};
    Series series{{.clock = clock, .timers = timers}};
    constexpr SeriesSpec cpu{"process.cpu.utilization", "Cores.", "1", SeriesKind::gauge};
    constexpr SeriesSpec own{"app.share", "A share.", "1", SeriesKind::gauge};
    for (int second = 0; second < 300; ++second) {
        // One tick of ten milliseconds now and then, and twice as many in the second half.
        const double ticks = second % (second < 150 ? 40 : 20) == 7 ? 0.01 : second < 150 ? 0.0001 : 0.0004;
        REQUIRE(series.observe(cpu, {{"process", "idle"}}, ticks));
        REQUIRE(series.observe(own, {}, (second < 150 ? 0.0001 : 0.0004) + second % 5 * 1e-6));
        clock.advance_ms(1000);
    }
    Analysis analysis({.series = series});
    CHECK_FALSE(names(analysis.anomalies({}).value(), cpu.name));
    CHECK_FALSE(names(analysis.changes({}).value(), cpu.name));
    CHECK_FALSE(names(analysis.trends({}).value(), cpu.name));
    CHECK(names(analysis.changes({}).value(), own.name));
}
