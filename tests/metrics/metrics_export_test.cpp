// Sampling, recording over the wire and export. The text formats are read by a parser written here after their
// specifications: a family is described before its samples and stands in one piece; names and labels have the allowed
// letters; no sample comes twice; buckets rise to a "+Inf" that equals the count; OpenMetrics ends with "# EOF", its
// counters with "_total" and its units stand at the end of names.
#include "modules/metrics/metrics_export_rpc.h"
#include "modules/metrics/metrics_rpc.h"
#include "modules/series/series_rpc.h"
#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

using namespace pillion;

namespace {

struct Fixture {
    test::WireFixture wire{{}};
    ManualClock& clock = wire.clock;
    ManualTimers& timers = wire.timers;
    MemoryPools& pools = wire.pools;
    MethodTable& table = wire.table;
    Memory memory{pools, timers, clock, [] { return MemoryReading{}; }};
    Histogram queue_wait_ns;
    IpcReadings ipc{.queue_wait_ns = &queue_wait_ns};
    ProcessReadings process{.started_wall_ms = 1'699'999'999'990, .user_ns = 0, .system_ns = 0, .resident_bytes = 1000};
    Metrics metrics{clock, table, memory, [this] { return ipc; }, [this] { return process; }};
    Series series{{.clock = clock, .timers = timers}};
    MetricsSampler sampler{{metrics, series, timers, clock}};

    Fixture() {
        table.add(metrics_methods(metrics));
        table.add(series_methods(series, {metrics_series()}));
        table.add(metrics_export_methods(metrics, series, sampler, pools.buffers, "1.2.3"));
    }
    // The whole answer.
    nlohmann::json run(std::string_view name, const std::string& params = "{}") {
        return wire.ask(R"({"jsonrpc":"2.0","id":1,"method":")" + std::string(name) + R"(","params":)" + params + "}");
    }
    nlohmann::json call(std::string_view name, const std::string& params = "{}") {
        const auto answer = run(name, params);
        if (!answer.contains("result")) FAIL(answer.dump());
        return answer["result"];
    }
    MethodStats& stats(std::string_view name) { return *table.find(name)->stats; }
};

struct Exposition {
    std::map<std::string, std::string> types; // by family
    std::map<std::string, double> samples;    // by name and labels as they stand
};

std::string family_of(const std::string& name, const std::map<std::string, std::string>& types) {
    if (types.contains(name)) return name;
    for (const std::string suffix : {"_total", "_bucket", "_sum", "_count"})
        if (name.ends_with(suffix) && types.contains(name.substr(0, name.size() - suffix.size())))
            return name.substr(0, name.size() - suffix.size());
    return "";
}

Exposition parse(const std::string& text, bool is_open) {
    static const std::regex meta("# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)");
    static const std::regex sample(
        R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*",?)*)\})? (\S+))re");
    Exposition found;
    std::set<std::string> closed;
    std::string family, line;
    bool has_ended = false;
    double below = 0;
    std::istringstream lines(text);
    while (std::getline(lines, line)) {
        CAPTURE(line);
        CHECK_FALSE(has_ended);
        std::smatch match;
        if (line == "# EOF") {
            CHECK(is_open);
            has_ended = true;
        } else if (std::regex_match(line, match, meta)) {
            if (match[2] != family) {
                CHECK(closed.insert(match[2]).second); // a family stands in one piece
                family = match[2];
            }
            if (match[1] == "TYPE") found.types[family] = match[3];
            if (match[1] == "UNIT") CHECK(family.ends_with("_" + match[3].str()));
        } else {
            REQUIRE(std::regex_match(line, match, sample));
            const std::string name = match[1];
            CHECK(family_of(name, found.types) == family);
            if (found.types[family] == "counter") CHECK(name.ends_with("_total"));
            std::size_t used = 0;
            const double value = std::stod(match[4], &used);
            CHECK(used == match[4].str().size());
            CHECK(found.samples.emplace(name + match[2].str(), value).second);
            if (name.ends_with("_bucket") && found.types[family] == "histogram") {
                CHECK(value >= below);
                below = line.find("le=\"+Inf\"") == std::string::npos ? value : 0;
            }
        }
    }
    CHECK(has_ended == is_open);
    return found;
}

} // namespace

TEST_CASE("nothing is sampled until somebody wants it, nor after the last no longer does", "[metrics]") {
    Fixture it;
    it.timers.advance_ms(5000);
    CHECK(it.series.stats().recorded == 0);
    it.sampler.set_wanted("rule", true);
    it.sampler.set_wanted("topic", true);
    it.timers.advance_ms(5000);
    const std::uint64_t recorded = it.series.stats().recorded;
    CHECK(recorded > 40);
    it.sampler.set_wanted("rule", false);
    it.timers.advance_ms(1000);
    CHECK(it.series.stats().recorded > recorded);
    it.sampler.set_wanted("topic", false);
    CHECK_FALSE(it.sampler.is_running());
    const std::uint64_t at_end = it.series.stats().recorded;
    it.timers.advance_ms(5000);
    CHECK(it.series.stats().recorded == at_end);
}

TEST_CASE("sampled latencies are those of their time, and sources add their own", "[metrics]") {
    Fixture it;
    it.stats("metrics.snapshot").latency_ns.record(9'000'000); // before anybody looked
    it.sampler.add_source([](Series& series) {
        static constexpr SeriesSpec spec{"cache.bytes", "Bytes.", "By", SeriesKind::gauge};
        REQUIRE(series.observe(spec, {}, 77));
    });
    it.sampler.set_wanted("test", true);
    it.timers.advance_ms(1000);
    for (int i = 0; i < 100; ++i) it.stats("metrics.snapshot").latency_ns.record(20'000);
    it.timers.advance_ms(2000);
    const auto answer = it.call("metrics.query", R"({"name":"rpc.server.duration","function":"percentile",
        "percentile":99,"step":3600000})");
    CHECK(answer["unit"] == "ns");
    CHECK(answer["series"][0]["values"][0].get<double>() == Approx(20'000).epsilon(0.01));
    CHECK(
        it.call("metrics.query", R"({"name":"cache.bytes","function":"last","step":3600000})")["series"][0]["values"] ==
        nlohmann::json::array({77.0}));
    CHECK(it.call("metrics.query", R"({"name":"pillion.monitor.cost"})")["unit"] == "1");
}

TEST_CASE("values are recorded one by one and many at once, by kind", "[metrics]") {
    Fixture it;
    CHECK(it.call("metrics.record", R"({"name":"app.export","type":"processing_time","value":12.5})")["recorded"] == 1);
    const auto many = it.call("metrics.record", R"({"metrics":[
        {"name":"app.heap","type":"memory_usage","value":1000,"labels":{"page":"editor"}},
        {"name":"app.hits","type":"cache_hit_rate","value":93},
        {"name":"app.clicks","type":"counter","value":-1},
        {"name":"app.click","type":"user_interaction","value":-3},
        {"name":"app.clicks","type":"counter","value":2}]})");
    CHECK(many["recorded"] == 2);
    REQUIRE(many["refused"].size() == 3);
    CHECK(many["refused"][0]["field"] == "/metrics/1/value");
    CHECK(many["refused"][2]["index"] == 3);
    const auto list = it.call("metrics.list")["items"];
    std::map<std::string, nlohmann::json> by_name;
    for (const auto& item : list) by_name[item["name"]] = item;
    CHECK(by_name["app.export"]["kind"] == "histogram");
    CHECK(by_name["app.export"]["unit"] == "ms");
    CHECK(by_name["app.heap"]["unit"] == "By");
    CHECK(by_name["app.heap"]["custom"] == true);
    CHECK(by_name["process.cpu.time"]["series"] == 0); // declared, and not measured yet
    for (const auto& spec : metrics_series()) CHECK_FALSE(by_name[std::string(spec.name)]["help"] == "");
}

TEST_CASE("records and queries that make no sense are refused with what was wrong", "[metrics]") {
    Fixture it;
    const auto field = [&](std::string_view method, const std::string& params) {
        const auto answer = it.run(method, params);
        CAPTURE(answer.dump());
        return answer.contains("error") ? answer["error"]["data"].value("field", "none") : std::string("no error");
    };
    CHECK(field("metrics.record", "{}") == "/name");
    CHECK(field("metrics.record", R"({"name":"x"})") == "/value");
    CHECK(field("metrics.record", R"({"name":"x","value":1,"metrics":[{"name":"y","value":1}]})") == "/metrics");
    CHECK(field("metrics.record", R"({"name":"x","value":-1,"type":"processing_time"})") == "/value");
    CHECK(field("metrics.record", R"({"name":"x","value":-1,"type":"memory_usage"})") == "/value");
    CHECK(field("metrics.record", R"({"name":"x","value":1,"type":"summary"})") == "/type");
    CHECK(field("metrics.record", R"({"name":"a b","value":1})") == "/name");
    CHECK(field("metrics.query", R"({"name":"nothing"})") == "/name");
    it.call("metrics.record", R"({"name":"g","value":1})");
    CHECK(field("metrics.query", R"({"name":"g","function":"rate"})") == "/function");
    CHECK(field("metrics.query", R"({"name":"g","function":"median"})") == "/function");
    CHECK(field("metrics.query", R"({"name":"g","percentile":200})") == "/percentile");
}

TEST_CASE("the text formats are well formed whatever labels hold", "[metrics]") {
    Fixture it;
    it.stats("metrics.snapshot").latency_ns.record(1'500'000);
    it.stats("metrics.snapshot").latency_ns.record(40'000'000);
    it.process.user_ns = 2'500'000'000;
    for (const char* const value : {"quote\\\"", "back\\\\slash", "line\\nbreak", "", "gr\\u00fc\\u00df"})
        it.call("metrics.record", R"({"name":"app/odd-name.bytes","type":"memory_usage","value":3,"labels":{"a.b":")" +
                                      std::string(value) + "\",\"le\":\"x\"}}");
    for (int i = 0; i < 300; ++i)
        it.call("metrics.record", R"({"name":"app.work","type":"processing_time","value":)" + std::to_string(i) + "}");
    it.call("metrics.record", R"({"name":"app.jobs_total","type":"counter","value":4})");
    it.call("metrics.record", R"({"name":"app.jobs-total","type":"gauge","value":4})");
    for (const bool is_open : {false, true}) {
        const auto result =
            it.call("metrics.export", is_open ? R"({"format":"openmetrics"})" : R"({"format":"prometheus"})");
        INFO(result["text"].get<std::string>());
        const Exposition found = parse(result["text"], is_open);
        CHECK(found.samples.at("process_cpu_time_seconds_total{cpu_mode=\"user\",process=\"pillion\",role=\"self\"}") ==
              2.5);
        CHECK(found.samples.at("process_memory_usage_bytes{process=\"pillion\",role=\"self\"}") == 1000);
        CHECK(found.samples.at("rpc_server_duration_seconds_count") >= 2);
        CHECK(found.samples.at("rpc_server_duration_seconds_sum") == Approx(0.0415).epsilon(0.01));
        CHECK(found.samples.at("app_work_seconds_bucket{le=\"+Inf\"}") == 300);
        CHECK(found.samples.at("app_work_seconds_bucket{le=\"0\"}") == 1);
        CHECK(found.samples.at("app_work_seconds_bucket{le=\"0.064\"}") == 64);
        CHECK(found.samples.at("app_jobs_total") == 4);
        CHECK(found.types.contains("rpc_server_duration_seconds"));
    }
}

TEST_CASE("OTLP JSON follows the metrics data model", "[metrics]") {
    Fixture it;
    it.stats("metrics.snapshot").latency_ns.record(1'500'000);
    it.call("metrics.record", R"({"name":"app.jobs","type":"counter","value":4,"labels":{"kind":"x"}})");
    const auto result = it.call("metrics.export", R"({"format":"otlp"})");
    CHECK_FALSE(result.contains("text"));
    const auto& scope = result["otlp"]["resourceMetrics"][0]["scopeMetrics"][0];
    CHECK(scope["scope"]["name"] == "pillion");
    std::set<std::string> names;
    for (const auto& metric : scope["metrics"]) {
        CAPTURE(metric.dump());
        CHECK(names.insert(metric["name"]).second);
        CHECK(metric.contains("sum") + metric.contains("gauge") + metric.contains("histogram") == 1);
        if (metric.contains("sum")) {
            CHECK(metric["sum"]["isMonotonic"] == true);
            CHECK(metric["sum"]["aggregationTemporality"] == 2);
        }
        if (metric.contains("histogram"))
            for (const auto& point : metric["histogram"]["dataPoints"]) {
                CHECK(point["bucketCounts"].size() == point["explicitBounds"].size() + 1);
                std::uint64_t all = 0;
                for (const auto& count : point["bucketCounts"]) all += std::stoull(count.get<std::string>());
                CHECK(std::to_string(all) == point["count"]);
                CHECK(std::ranges::is_sorted(point["explicitBounds"]));
            }
        if (metric["name"] == "app.jobs") {
            const auto& point = metric["sum"]["dataPoints"][0];
            CHECK(point["asDouble"] == 4.0);
            CHECK(point["attributes"][0]["key"] == "kind");
            CHECK(point["timeUnixNano"] == "1700000000000000000");
        }
    }
    CHECK(names.contains("rpc.server.duration"));
    CHECK(names.contains("process.cpu.time"));
}

TEST_CASE("blocks of a snapshot are there only where somebody speaks for them", "[metrics]") {
    Fixture it;
    const auto bare = it.call("metrics.snapshot");
    for (const char* const block : {"resources", "cache", "lazyLoading", "background"})
        CHECK_FALSE(bare.contains(block));
    CHECK_FALSE(bare["startup"].contains("componentsMs"));
}

TEST_CASE("blocks of a snapshot hold what their sources say", "[metrics]") {
    Fixture it;
    it.metrics.set_sources({.startup =
                                [](MetricsStartup& startup) {
                                    startup.componentsMs = {{{"search", 12.5}}};
                                },
                            .background_tasks = [] { return std::optional<std::uint64_t>(2); },
                            .resources = [] { return std::optional<MetricsResources>(); },
                            .cache = [] { return std::optional(MetricsCache{.entries = 5}); }});
    const auto full = it.call("metrics.snapshot");
    CHECK(full["startup"]["componentsMs"]["search"] == 12.5);
    CHECK(full["runtime"]["backgroundTasks"] == 2);
    CHECK(full["cache"]["entries"] == 5);
    CHECK_FALSE(full.contains("resources"));
}

TEST_CASE("names and labels that the formats keep for themselves are told under others", "[metrics]") {
    Fixture it;
    for (const char* const metric :
         {R"({"name":"l","value":1,"labels":{"__name__":"x","le":"1"}})", R"({"name":"h","type":"counter","value":1})",
          R"({"name":"h_created","value":1})", R"({"name":"h_total","value":2})"})
        it.call("metrics.record", metric);
    const std::string text = it.call("metrics.export", R"({"format":"openmetrics"})")["text"];
    CHECK(text.find("__name__=\"x\"") == text.find("label__name__=\"x\"") + 5);
    for (const char* const taken : {"h_created", "h_total"}) { // of the counter, which is first by its name
        CHECK(text.find("# TYPE " + std::string(taken) + "_ gauge") != std::string::npos);
        CHECK(text.find("# TYPE " + std::string(taken) + " gauge") == std::string::npos);
    }
}
