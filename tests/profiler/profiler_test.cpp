#include "modules/profiler/allocation_sampler.h"
#include "modules/profiler/flame_graph.h"
#include "modules/profiler/profiler_rpc.h"
#include "modules/profiler/trace_events_rpc.h"
#include "tests/profiler/busy_threads.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <sys/stat.h>
#include <vector>

using namespace pillion;
using nlohmann::json;

namespace {

// A wire whose requests the profiler may trace, and whose own methods are beside it.
struct Bench {
    TemporaryFolder folder;
    test::WireFixture wire;
    Profiler profiler;
    int ids = 0;

    Bench()
        : wire(methods()), profiler({.timers = wire.timers,
                                     .clock = wire.clock,
                                     .set_trace = [this](TraceSink* sink) { wire.dispatcher->set_trace(sink); },
                                     .method_times = [this] { return method_times(wire.table); }}) {
        wire.table.add(profiler_methods(profiler, folder.path()));
    }

    static std::vector<Method> methods() {
        std::vector<Method> all;
        all.push_back(
            method("test.direct", "", Lane::direct, [](const NoParams&) -> Result<std::int64_t> { return 1; }));
        all.push_back(
            method("test.pooled", "", Lane::pooled, [](const NoParams&) -> Result<std::int64_t> { return 2; }));
        all.push_back(method("test.failing", "", Lane::pooled, [](const NoParams&) -> Result<std::int64_t> {
            return fail(ErrorCode::not_found, "nothing");
        }));
        return all;
    }
    json call(const std::string& name, const json& params = json::object()) {
        return wire.ask(json{{"jsonrpc", "2.0"}, {"id", ++ids}, {"method", name}, {"params", params}}.dump());
    }
    // The answer is out a little before its step is recorded.
    void settle() {
        while (wire.dispatcher->in_flight() != 0) std::this_thread::yield();
        wire.clock.advance_ms(1);
    }
    json result(const std::string& name, const json& params = json::object()) {
        json answer = call(name, params);
        INFO(answer.dump());
        REQUIRE(answer.contains("result"));
        return answer["result"];
    }
    int code(const std::string& name, const json& params = json::object()) {
        const json answer = call(name, params);
        return answer.contains("error") ? answer["error"]["code"].get<int>() : 0;
    }
    void sample(std::uint64_t wanted) {
        while (profiler.find_state()->recorded < wanted) test::spin_for_a_while(50'000);
    }
};

// Whether tags are closed in the order they were opened, and text holds no bare markup.
bool is_well_formed(const std::string& text) {
    std::vector<std::string> open;
    for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos;) {
        if (text.compare(at, 9, "<![CDATA[") == 0) {
            if ((at = text.find("]]>", at)) == std::string::npos) return false;
            continue;
        }
        const std::size_t end = text.find('>', at);
        if (end == std::string::npos) return false;
        const std::string tag = text.substr(at + 1, end - at - 1);
        at = end;
        if (tag.starts_with("?")) continue;
        if (tag.find('<') != std::string::npos) return false;
        if (tag.starts_with("/")) {
            if (open.empty() || open.back() != tag.substr(1)) return false;
            open.pop_back();
        } else if (!tag.ends_with("/")) {
            open.push_back(tag.substr(0, tag.find(' ')));
        }
    }
    return open.empty();
}

StackProfile small_profile() {
    return {
        .hz = 100,
        .recorded_ms = 1000,
        .functions = {{"main", "pillion", true}, {"f<int> & \"g\"", "pillion", true}, {"libc.so.6+0x10", "libc.so.6"}},
        .threads = {{7, "a;b", 30, {}}, {8, "other", 10, {}}},
        .stacks = {{0, {0, 1}, 20, {}}, {0, {0, 1, 2}, 10, {}}, {1, {0, 1, 1}, 10, {}}},
        .samples = 40};
}

} // namespace

TEST_CASE("folded stacks are a line each, thread first, count last", "[profiler]") {
    CHECK(folded_stacks(small_profile()) == "a:b;main;f<int> & \"g\" 20\n"
                                            "a:b;main;f<int> & \"g\";libc.so.6+0x10 10\n"
                                            "other;main;f<int> & \"g\";f<int> & \"g\" 10\n");
    CHECK(folded_stacks({}).empty());
}

TEST_CASE("own time is the innermost function's, and recursion counts once", "[profiler]") {
    const auto hot = hot_functions(small_profile());
    REQUIRE(hot.size() == 3);
    CHECK((hot[0].function == 1 && hot[0].self == 30 && hot[0].total == 40));
    CHECK((hot[1].function == 2 && hot[1].self == 10 && hot[1].total == 10));
    CHECK((hot[2].function == 0 && hot[2].self == 0 && hot[2].total == 40));
    CHECK(hot_functions(small_profile(), "other").front().self == 10);
    CHECK(hot_functions(small_profile(), "nobody").empty());
}

TEST_CASE("a flame graph is well-formed, the same each time, and has a title for each box", "[profiler]") {
    const std::string svg = flame_graph(small_profile());
    CHECK(is_well_formed(svg));
    CHECK(svg == flame_graph(small_profile()));
    CHECK(svg.find("f&lt;int&gt; &amp; &quot;g&quot;\n30 samples, 75.0 %") != std::string::npos);
    CHECK(svg.find("http", svg.find("xmlns=") + 40) == svg.rfind("http://www.w3.org/2000/svg")); // it fetches nothing
    CHECK(is_well_formed(flame_graph({})));
}

TEST_CASE("a recording is begun, looked at, ended and given as often as asked", "[profiler]") {
    Bench bench;
    CHECK(bench.code("profiler.stop") == -32002);
    const json begun = bench.result("profiler.start", {{"hz", 500}});
    CHECK((begun["running"] == true && begun["kind"] == "cpu" && begun["hz"] == 500));
    CHECK(bench.code("profiler.start") == -32003);
    CHECK(bench.code("profiler.start", {{"kind", "requests"}}) == -32003);
    bench.sample(100);
    const json hot = bench.result("profiler.hotPaths", {{"limit", 3}});
    CHECK(hot["state"]["running"] == true);
    CHECK(hot["functions"].size() <= 3);
    CHECK(bench.code("profiler.stop", {{"format", "trace"}}) == -32602);
    const json folded = bench.result("profiler.stop");
    CHECK(folded["state"]["running"] == false);
    if (!test::has_stacks) return; // what was taken for stacks is no two times the same, and too much to answer with
    const std::string text = folded["text"];
    CHECK(text.find("pillion::test::spin_in_place ") != std::string::npos);
    std::uint64_t samples = 0;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at), space = text.rfind(' ', end);
        REQUIRE((end != std::string::npos && space > at));
        samples += std::stoull(text.substr(space + 1, end - space - 1));
        at = end + 1;
    }
    CHECK(samples == folded["state"]["recorded"]);
    const json svg = bench.result("profiler.stop", {{"format", "svg"}, {"output", "file"}});
    CHECK(!svg.contains("text"));
    std::ifstream file(svg["file"].get<std::string>());
    const std::string drawn{std::istreambuf_iterator<char>(file), {}};
    CHECK(drawn.size() == svg["bytes"]);
    CHECK(is_well_formed(drawn));
    struct stat status {};
    REQUIRE(stat(svg["file"].get<std::string>().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(bench.result("profiler.start")["running"] == true);
}

TEST_CASE("a recording ends by itself after its time", "[profiler]") {
    Bench bench;
    bench.result("profiler.start", {{"durationMs", 200}, {"hz", 500}});
    bench.sample(5);
    bench.wire.timers.advance_ms(199);
    CHECK(bench.profiler.find_state()->running);
    bench.wire.timers.advance_ms(1);
    CHECK(!bench.profiler.find_state()->running);
    const std::uint64_t recorded = bench.profiler.find_state()->recorded;
    test::spin_for_a_while(20'000'000);
    CHECK(bench.profiler.find_state()->recorded == recorded);
    CHECK(bench.profiler.find_state()->recordedMs == 200);
    // A timer of the first recording does not end the second.
    bench.result("profiler.start", {{"durationMs", 100}});
    bench.wire.timers.advance_ms(50);
    bench.result("profiler.stop");
    bench.result("profiler.start", {{"durationMs", 100}});
    bench.wire.timers.advance_ms(60);
    CHECK(bench.profiler.find_state()->running);
}

TEST_CASE("params of the profiler out of their bounds are refused", "[profiler]") {
    Bench bench;
    const std::vector<json> wrong{{{"hz", 0}},         {{"hz", 1001}},       {{"hz", -1}},
                                  {{"durationMs", 9}}, {{"durationMs", -1}}, {{"kind", "memory"}}};
    for (const json& params : wrong) CHECK(bench.code("profiler.start", params) == -32602);
    CHECK(!bench.profiler.find_state());
    bench.result("profiler.start");
    bench.sample(1);
    CHECK(bench.code("profiler.hotPaths", {{"thread", "nobody"}}) == -32002);
    CHECK(bench.code("profiler.hotPaths", {{"limit", 0}}) == -32602);
    CHECK(bench.code("profiler.stop", {{"format", "pdf"}}) == -32602);
    CHECK(bench.profiler.find_state()->running);
}

TEST_CASE("methods are ranked by the time they took, without any recording", "[profiler]") {
    Bench bench;
    for (int i = 0; i < 5; ++i) bench.result("test.pooled");
    bench.settle(); // a call is counted after it was answered
    const json hot = bench.result("profiler.hotPaths");
    CHECK(!hot.contains("state"));
    REQUIRE(hot["methods"].size() == 1);
    CHECK((hot["methods"][0]["method"] == "test.pooled" && hot["methods"][0]["calls"] == 5));
}

TEST_CASE("a trace holds each request, and every beginning has its end", "[profiler]") {
    Bench bench;
    bench.result("test.pooled"); // before: not in it
    bench.settle();
    bench.result("profiler.start", {{"kind", "requests"}});
    bench.settle();
    bench.result("test.direct");
    bench.result("test.pooled");
    bench.settle();
    CHECK(bench.code("test.failing") == -32002);
    bench.settle();
    const json stopped = bench.result("profiler.stop");
    CHECK((stopped["format"] == "trace" && stopped["state"]["kind"] == "requests"));
    const json trace = json::parse(stopped["text"].get<std::string>());
    std::map<json, int> open;
    std::map<std::string, int> slices;
    std::map<std::string, std::vector<json>> flows;
    for (const json& event : trace["traceEvents"]) {
        const std::string phase = event["ph"];
        REQUIRE((event.contains("pid") && event.contains("tid") && event.contains("ts") && event.contains("name")));
        if (phase == "b") ++open[event["id"]];
        if (phase == "e") --open[event["id"]];
        if (phase == "X") ++slices[event["name"]];
        if (phase == "X") CHECK(event["dur"] >= 0.0);
        if (phase == "s" || phase == "t" || phase == "f") flows[phase].push_back(event["id"]);
    }
    CHECK(open.size() >= 2);
    for (const auto& [id, count] : open) CHECK(count == 0);
    CHECK(slices["test.direct"] == 1);
    CHECK(slices["test.pooled"] == 1);
    CHECK(slices["test.pooled: queue"] == 1);
    CHECK(slices["test.pooled: answer"] == 1);
    CHECK(slices["test.failing"] == 1);
    for (const json& id : flows["f"]) {
        CHECK(std::find(flows["s"].begin(), flows["s"].end(), id) != flows["s"].end());
        CHECK(std::find(flows["t"].begin(), flows["t"].end(), id) != flows["t"].end());
    }
    bench.result("test.direct");
    CHECK(bench.profiler.find_state()->recorded == stopped["state"]["recorded"]);
}

TEST_CASE("a trace keeps the newest steps and counts the others", "[profiler]") {
    RequestTrace trace(4);
    trace.record({.method = "before"});
    trace.open(1000);
    for (int i = 0; i < 10; ++i)
        trace.record({.step = TraceStep::run,
                      .call = &trace,
                      .method = std::string(60, 'x'),
                      .begun_ns = 2000 + i,
                      .ended_ns = 3000 + i});
    const RequestTraceSteps kept = trace.read(9000);
    REQUIRE(kept.steps.size() == 4);
    CHECK(kept.dropped == 6);
    CHECK(kept.steps.front().begun_ns == 2006);
    CHECK(kept.steps.front().method().size() == RecordedStep::name_bytes_max);
    CHECK(json::parse(trace_events(kept, 1))["otherData"]["dropped"] == 6);
    trace.close(9000);
    trace.record({.method = "after"});
    CHECK(trace.recorded() == 10);
    trace.clear();
    CHECK(trace.read(9000).steps.empty());
}

TEST_CASE("a request that is not answered when the trace ends has its end there", "[profiler]") {
    RequestTrace trace;
    trace.open(0);
    trace.record(
        {.step = TraceStep::received, .call = &trace, .method = "slow \"one\"", .begun_ns = 10, .ended_ns = 20});
    trace.close(5000);
    const json events = json::parse(trace_events(trace.read(5000), 1))["traceEvents"];
    CHECK(events.back()["ph"] == "e");
    CHECK(events.back()["ts"] == 5.0);
    CHECK(events.back()["args"]["end"] == "not answered yet");
}

TEST_CASE("a flood of files leaves the newest, and a folder that cannot be made is said", "[profiler]") {
    Bench bench;
    bench.result("profiler.start", {{"kind", "requests"}});
    for (int i = 0; i < 20; ++i) {
        bench.wire.clock.jump_wall_ms(1);
        bench.result("profiler.stop", {{"output", "file"}});
        bench.result("profiler.start", {{"kind", "requests"}});
    }
    const auto files = std::filesystem::directory_iterator(bench.folder.path() + "/profiles");
    CHECK(std::distance(begin(files), end(files)) == 16);
    std::filesystem::remove_all(bench.folder.path() + "/profiles");
    std::ofstream(bench.folder.path() + "/profiles") << "a file";
    CHECK(bench.code("profiler.stop", {{"output", "file"}}) == -32005);
    CHECK(bench.result("profiler.stop", {{"output", "text"}}).contains("text"));
}

TEST_CASE("what found no room is among what was recorded", "[profiler]") {
    if (!AllocationSampler::create(1024)) return;
    Bench bench;
    bench.result("profiler.start", {{"kind", "allocations"}, {"intervalBytes", 1024}});
    for (std::size_t i = 0; i < AllocationSampler::samples_max + 5000; ++i) {
        char* volatile const block = new char[64 * 1024];
        delete[] block;
    }
    for (const char* method : {"profiler.hotPaths", "profiler.stop"}) {
        const json state = bench.result(method)["state"];
        CHECK(state["dropped"] >= 5000);
        CHECK(state["recorded"] >= AllocationSampler::samples_max + 5000);
    }
}

TEST_CASE("a recording of allocations says what was allocated and what still lives", "[profiler]") {
    Bench bench;
    if (!AllocationSampler::create(1024)) {
        CHECK(bench.code("profiler.start", {{"kind", "allocations"}}) == -32005);
        return;
    }
    const std::vector<json> wrong{{{"kind", "allocations"}, {"intervalBytes", 1023}},
                                  {{"kind", "allocations"}, {"intervalBytes", -1}}};
    for (const json& params : wrong) CHECK(bench.code("profiler.start", params) == -32602);
    const json begun = bench.result("profiler.start", {{"kind", "allocations"}, {"intervalBytes", 2048}});
    CHECK((begun["intervalBytes"] == 2048 && begun["hz"] == 0));
    CHECK(bench.code("profiler.start") == -32003);
    std::vector<std::string> kept;
    while (bench.profiler.find_state()->recorded < 200) kept.push_back(std::string(1000, 'x'));
    const json hot = bench.result("profiler.hotPaths", {{"limit", 5}});
    CHECK(hot["allocated"]["bytes"] > 100'000);
    CHECK(hot["allocated"]["liveBytes"] > 100'000);
    CHECK(hot["functions"].size() == 5);
    CHECK(!hot["functions"][0].contains("selfMs"));
    CHECK(hot["functions"][0]["selfAllocated"]["bytes"] > 0);
    const json allocated = bench.result("profiler.stop");
    const json live = bench.result("profiler.stop", {{"measure", "live"}});
    CHECK(live["allocated"] == allocated["allocated"]);
    CHECK(live["bytes"] <= allocated["bytes"]);
    CHECK(is_well_formed(bench.result("profiler.stop", {{"format", "svg"}, {"measure", "live"}})["text"]));
    CHECK(bench.code("profiler.stop", {{"format", "trace"}}) == -32602);
    bench.result("profiler.start");
    CHECK(bench.code("profiler.stop", {{"measure", "live"}}) == -32602);
}

TEST_CASE("a trace keeps the rules of the format: threads are named, flows begin and end on slices", "[profiler]") {
    Bench bench;
    bench.result("profiler.start", {{"kind", "requests"}});
    bench.settle();
    for (int i = 0; i < 3; ++i) bench.result("test.pooled"), bench.settle();
    const json events = json::parse(bench.result("profiler.stop")["text"].get<std::string>())["traceEvents"];
    std::map<json, std::string> named;
    std::vector<json> slices;
    std::map<json, std::string> flows;
    for (const json& event : events) {
        if (event["ph"] == "M" && event["name"] == "thread_name") named[event["tid"]] = event["args"]["name"];
        if (event["ph"] == "X") slices.push_back(event);
        if (event["ph"] != "X" && event["ph"] != "M") CHECK((event.contains("id") && event.contains("cat")));
        CHECK(event["pid"] == events[0]["pid"]);
        CHECK(event["ts"] >= 0.0);
    }
    CHECK((events[0]["ph"] == "M" && events[0]["name"] == "process_name"));
    for (const json& event : events) {
        const std::string phase = event["ph"];
        if (phase != "M") CHECK(named.contains(event["tid"]));
        if (phase != "s" && phase != "t" && phase != "f") continue;
        flows[event["id"]] += phase;
        CHECK(std::any_of(slices.begin(), slices.end(), [&](const json& slice) {
            return slice["tid"] == event["tid"] && slice["ts"] <= event["ts"] &&
                   event["ts"].get<double>() <= slice["ts"].get<double>() + slice["dur"].get<double>() + 0.001;
        }));
    }
    std::size_t whole = 0;
    for (const auto& [id, phases] : flows) {
        CHECK(phases.front() == 's');
        whole += phases == "stf" ? 1 : 0;
    }
    CHECK(whole >= 3);
}
