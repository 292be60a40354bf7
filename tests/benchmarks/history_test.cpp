#include "modules/benchmarks/benchmarks_rpc.h"
#include "tests/support/temporary_folder.h"

#include <catch2/catch.hpp>
#include <filesystem>

using namespace pillion;
using Kind = BenchmarkReference::Kind;

namespace {

struct Fixture {
    TemporaryFolder folder;
    ManualClock manual;
    ManualTimers timers{manual};
    Store state{StoreOptions{.path = folder.path() + "/state.db"}, system_clock()};
    bool is_idle = true;
    Benchmarks benchmarks{[this] {
        Benchmarks::add_schema(state);
        return Benchmarks::Host{.clock = system_clock(),
                                .timers = timers,
                                .state = state,
                                .data_directory = folder.path(),
                                .version = "1",
                                .is_idle = [this] { return is_idle; }};
    }()};
    ~Fixture() {
        benchmarks.stop();
        state.stop();
    }
    static BenchmarkRequest quick(std::vector<std::string> names) {
        return {.names = std::move(names), .settings = {.runs = 12, .runsMax = 12, .warmupMs = 0, .timeMs = 50}};
    }
};

} // namespace

TEST_CASE("a measurement is stored, found again and compared with its baseline", "[benchmarks]") {
    Fixture fixture;
    const auto first = fixture.benchmarks.run(Fixture::quick({"memory.buffers"}));
    REQUIRE(first);
    CHECK(first->results.at(0).runs > 0);
    CHECK_FALSE(fixture.benchmarks.compare_with_baseline(*first));
    REQUIRE(fixture.benchmarks.set_baseline({.kind = Kind::latest}));
    const auto found = fixture.benchmarks.find({.kind = Kind::id, .id = first->id});
    REQUIRE(found);
    CHECK(benchmark_file_text(*found) == benchmark_file_text(*first));
    const auto baseline = fixture.benchmarks.find({.kind = Kind::baseline});
    REQUIRE(baseline);
    CHECK(baseline->results.at(0).samples == first->results.at(0).samples);
    CHECK(fixture.benchmarks.compare_with_baseline(*first));
    const auto history = fixture.benchmarks.history({.name = "memory"});
    REQUIRE(history);
    REQUIRE(history->size() == 1);
    CHECK(history->at(0).points.at(0).baseline);
}

TEST_CASE("what is not stored is not found", "[benchmarks]") {
    Fixture fixture;
    CHECK(fixture.benchmarks.find({.kind = Kind::latest}).error().code == ErrorCode::not_found);
    CHECK(fixture.benchmarks.find({.kind = Kind::baseline}).error().code == ErrorCode::not_found);
    CHECK(fixture.benchmarks.find({.kind = Kind::id, .id = 7}).error().message.find("7") != std::string::npos);
}

TEST_CASE("a command that fails, hangs or is not there says so", "[benchmarks]") {
    Fixture fixture;
    const auto error = [&](std::vector<std::string> command, std::int64_t timeout_ms) {
        auto request = Fixture::quick({});
        request.command = std::move(command);
        request.settings.timeoutMs = timeout_ms;
        const auto run = fixture.benchmarks.run(request);
        REQUIRE(run);
        return run->results.at(0).error.value_or("");
    };
    CHECK(error({"sh", "-c", "echo no >&2; exit 3"}, 30'000) == "sh failed with exit status 3: no");
    CHECK(error({"sh", "-c", "kill -9 $$"}, 30'000).starts_with("sh was ended by signal 9"));
    CHECK(error({"sleep", "600"}, 50) == "sleep did not end within 50 ms and was killed");
    CHECK(error({"/there/is/no/such"}, 30'000).starts_with("/there/is/no/such cannot be started"));
    CHECK(error({"true"}, 30'000).empty());
    for (const auto& entry : std::filesystem::directory_iterator(fixture.folder.path()))
        CHECK(entry.path().filename().string().starts_with("state.db")); // nothing is left behind
}

TEST_CASE("what cannot be measured is refused, with the nearest name", "[benchmarks]") {
    Fixture fixture;
    CHECK(fixture.benchmarks.run(Fixture::quick({"memroy"})).error().hint == "memory");
    auto request = Fixture::quick({"memory"});
    request.settings.runs = 0;
    CHECK(fixture.benchmarks.run(request).error().code == ErrorCode::invalid_params);
    request = Fixture::quick({});
    request.method = "benchmarks.run";
    CHECK(fixture.benchmarks.run(request).error().code == ErrorCode::invalid_params);
}

TEST_CASE("a scheduled measurement waits for an idle machine, and the schedule outlives the process", "[benchmarks]") {
    Fixture fixture;
    CHECK_FALSE(Benchmarks::has_schedule(fixture.folder.path()));
    fixture.is_idle = false;
    REQUIRE(fixture.benchmarks.set_schedule(1, {"memory.buffers"}));
    CHECK(Benchmarks::has_schedule(fixture.folder.path()));
    fixture.timers.advance_ms(3'600'000);
    CHECK(fixture.benchmarks.schedule().waitsFor == "the machine is busy");
    fixture.is_idle = true;
    fixture.timers.advance_ms(Benchmarks::recheck_ms);
    CHECK(fixture.benchmarks.schedule().waitsFor.empty());
    CHECK(fixture.benchmarks.schedule().lastAt);
    REQUIRE(fixture.benchmarks.set_schedule(0, {}));
    CHECK_FALSE(Benchmarks::has_schedule(fixture.folder.path()));
    CHECK_FALSE(fixture.benchmarks.set_schedule(1, {"nonsense"}));
}

TEST_CASE("a file of another format, version or damaged is refused by name", "[benchmarks]") {
    const auto error = [](std::string_view text) { return parse_benchmark_file("a.json", text).error().message; };
    CHECK(error("").starts_with("a.json is not the JSON"));
    CHECK(error("{\"format\":").starts_with("a.json is not the JSON"));
    CHECK(error("[]").starts_with("a.json is not the JSON"));
    CHECK(error("{}").find("its format is not said") != std::string::npos);
    CHECK(error(R"({"format":"pillion-benchmarks","version":2})").find("of version 2") != std::string::npos);
    CHECK(error(R"({"format":"pillion-benchmarks","version":1})").starts_with("a.json: "));
    BenchmarkRun run;
    run.results.push_back({.name = "a", .suite = "x", .samples = {1, 2}});
    REQUIRE(parse_benchmark_file("a.json", benchmark_file_text(run)));
    run.results[0].samples[0] = -1;
    CHECK(error(benchmark_file_text(run)).find("no duration") != std::string::npos);
    run.results[0].samples[0] = 1;
    run.results.push_back(run.results[0]);
    CHECK(error(benchmark_file_text(run)).find("two results of a") != std::string::npos);
}
