#include "modules/cache_simulation/cache_simulation.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <unistd.h>

namespace pillion {

namespace {

struct TraceFile {
    explicit TraceFile(const std::string& text)
        : path(std::filesystem::temp_directory_path() / ("pillion-trace-" + std::to_string(getpid()))) {
        std::ofstream(path, std::ios::binary) << text;
    }
    ~TraceFile() { std::filesystem::remove(path); }
    std::filesystem::path path;
};

Error error_of(std::string_view text) {
    const auto trace = parse_trace(text);
    REQUIRE_FALSE(trace);
    return trace.error();
}

double ratio_of(const Simulation& simulation, std::string_view policy, std::uint64_t capacity) {
    for (const SimulationResult& result : simulation.results) {
        if (result.policy == policy && result.capacity == capacity) return result.hitRatio;
    }
    FAIL("no result for " << policy);
    return 0;
}

// The most hits any choice of victims gives, by trying them all.
int most_hits(const std::vector<int>& requests, std::size_t at, std::vector<int> held, std::size_t capacity) {
    if (at == requests.size()) return 0;
    const int key = requests[at];
    if (std::find(held.begin(), held.end(), key) != held.end()) {
        return 1 + most_hits(requests, at + 1, std::move(held), capacity);
    }
    if (held.size() < capacity) {
        held.push_back(key);
        return most_hits(requests, at + 1, std::move(held), capacity);
    }
    int best = 0;
    for (std::size_t i = 0; i < held.size(); ++i) {
        std::vector<int> next = held;
        next[i] = key;
        best = std::max(best, most_hits(requests, at + 1, std::move(next), capacity));
    }
    return best;
}

} // namespace

TEST_CASE("a trace is one key a line", "[cache_simulation]") {
    const auto trace = parse_trace("a\nb\n\n  a \r\nb");
    REQUIRE(trace);
    CHECK(trace->requests.size() == 4);
    CHECK(trace->distinctKeys == 2);
    CHECK(trace->distinctBytes == 2);
    CHECK_FALSE(trace->hasSizes);
    CHECK(trace->requests[0].key == trace->requests[2].key);
}

TEST_CASE("a trace may say sizes; those below 72 bytes count as that", "[cache_simulation]") {
    const auto trace = parse_trace("a 1000\nb\t5\na 2000\n");
    REQUIRE(trace);
    CHECK(trace->hasSizes);
    CHECK(trace->requests[0].weight == 1000);
    CHECK(trace->requests[1].weight == 72);
    CHECK(trace->distinctBytes == 2072);
}

TEST_CASE("what is no trace is refused with its line", "[cache_simulation]") {
    CHECK(error_of("").message == "the trace has no requests");
    CHECK(error_of("\n \n").message == "the trace has no requests");
    CHECK(error_of(std::string_view("a\nb\0c\n", 6)).message == "line 2 of the trace holds a NUL byte; it is no text");
    CHECK(error_of("a 1\nb\n").message == "line 2 of the trace has no size and the first has one");
    CHECK(error_of("a\nb 1\n").message == "line 2 of the trace has a size and the first has none");
    CHECK(error_of("a -1\n").message == "line 1 of the trace has the size \"-1\"");
    CHECK(error_of("a 1e3\n").message == "line 1 of the trace has the size \"1e3\"");
    CHECK(error_of("a 4294967296\n").message == "line 1 of the trace has the size \"4294967296\"");
    CHECK(error_of("a 1 2\n").message == "line 1 of the trace has the size \"1 2\"");
    CHECK(error_of("a\n" + std::string(1'000'000, 'x') + "\n").message ==
          "line 2 of the trace is longer than a key may be, 65535 bytes");
    CHECK(error_of(std::string(1'000'000, 'x')).message ==
          "line 1 of the trace is longer than a key may be, 65535 bytes");
    CHECK(parse_trace(std::string(65'535, 'x')));
}

TEST_CASE("a trace is read from a plain file and from gzip alike", "[cache_simulation]") {
    std::string text;
    for (int i = 0; i < 100'000; ++i) text += std::to_string(i * 7 % 1'000) + '\n';
    const TraceFile file(text);
    const auto plain = read_trace(file.path);
    REQUIRE(plain);
    CHECK(plain->requests.size() == 100'000);
    CHECK(plain->distinctKeys == 1'000);
    const std::string packed = file.path.string() + ".gz";
    REQUIRE(std::system(("gzip -k -f '" + file.path.string() + "'").c_str()) == 0);
    const auto unpacked = read_trace(packed);
    REQUIRE(unpacked);
    CHECK(unpacked->requests.size() == 100'000);
    CHECK(unpacked->requests[77'777].key == plain->requests[77'777].key);
    std::filesystem::resize_file(packed, std::filesystem::file_size(packed) / 2);
    const auto damaged = read_trace(packed);
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().code == ErrorCode::invalid_params);
    CHECK(damaged.error().message.starts_with("the trace is damaged gzip"));
    std::filesystem::remove(packed);
}

TEST_CASE("a trace that is not there, or is a directory, is named", "[cache_simulation]") {
    const auto missing = read_trace("/nowhere/trace.gz");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::not_found);
    CHECK(missing.error().message == "the trace \"/nowhere/trace.gz\" cannot be opened: No such file or directory");
    const auto directory = read_trace(std::filesystem::temp_directory_path());
    REQUIRE_FALSE(directory);
    CHECK(directory.error().code == ErrorCode::invalid_params);
}

TEST_CASE("opt is the most that any choice of victims gives", "[cache_simulation]") {
    std::mt19937 random(3);
    for (int round = 0; round < 40; ++round) {
        std::vector<int> requests(14);
        std::string text;
        for (int& key : requests) text += std::to_string(key = static_cast<int>(random() % 6)) + '\n';
        const auto trace = parse_trace(text);
        const auto simulation = simulate_trace(*trace, {.policies = {"opt"}, .capacities = {2, 3}});
        REQUIRE(simulation);
        CHECK(ratio_of(*simulation, "opt", 2) * 14 == Approx(most_hits(requests, 0, {}, 2)));
        CHECK(ratio_of(*simulation, "opt", 3) * 14 == Approx(most_hits(requests, 0, {}, 3)));
    }
}

TEST_CASE("no policy exceeds opt, by entries or by bytes", "[cache_simulation]") {
    std::mt19937 random(5);
    for (const bool has_sizes : {false, true}) {
        std::string text;
        for (int i = 0; i < 20'000; ++i) {
            const auto key = std::min(random() % 2'000, random() % 2'000);
            text += std::to_string(key) + (has_sizes ? ' ' + std::to_string(100 + key * 37 % 900) : "") + '\n';
        }
        const auto simulation = simulate_trace(*parse_trace(text));
        REQUIRE(simulation);
        CHECK(simulation->capacities.size() == 7);
        for (std::size_t i = 0; i < simulation->results.size(); ++i) {
            const SimulationResult& result = simulation->results[i];
            const SimulationResult& opt = simulation->results[i / 9 * 9 + 8];
            REQUIRE(opt.policy == "opt");
            CHECK(result.hitRatio <= opt.hitRatio + 1e-9);
            CHECK(result.byteHitRatio <= opt.byteHitRatio + 1e-9);
            CHECK(result.hitRatio > 0);
            CHECK(result.requests == 20'000);
        }
    }
}

TEST_CASE("policies and capacities that cannot be are refused with a pointer", "[cache_simulation]") {
    const auto trace = parse_trace("a\nb\na\n");
    const auto policy = simulate_trace(*trace, {.policies = {"lru", "best"}});
    REQUIRE_FALSE(policy);
    CHECK(policy.error().message == "there is no policy \"best\" to simulate");
    CHECK(policy.error().field == "/policies/1");
    CHECK(policy.error().hint == "one of adaptive, lru, lfu, fifo, random, arc, s3fifo, tinylfu, opt");
    const auto capacity = simulate_trace(*trace, {.capacities = {1, 0}});
    REQUIRE_FALSE(capacity);
    CHECK(capacity.error().message == "the capacity 0 is not between 1 and 9007199254740991");
    CHECK(capacity.error().field == "/capacities/1");
    CHECK_FALSE(simulate_trace(Trace{}));
}

TEST_CASE("a simulation tells its progress and can be cancelled", "[cache_simulation]") {
    const auto trace = parse_trace("a\nb\na\n");
    double last = 0;
    REQUIRE(simulate_trace(*trace, {.capacities = {1, 2}, .progress = [&](double percentage) {
                                        CHECK(percentage >= last);
                                        last = percentage;
                                    }}));
    CHECK(last == Approx(100));
    const auto cancelled = simulate_trace(*trace, {.is_cancelled = [] { return true; }});
    REQUIRE_FALSE(cancelled);
    CHECK(cancelled.error().code == ErrorCode::cancelled);
}

TEST_CASE("the table has a row for each policy and a column for each capacity", "[cache_simulation]") {
    const auto simulation =
        simulate_trace(*parse_trace("a\nb\na\nb\n"), {.policies = {"opt", "lru"}, .capacities = {2, 1, 2}});
    REQUIRE(simulation);
    CHECK(simulation_table(*simulation) == "hit ratio in percent by capacity in entries\n"
                                           "          1       2\n"
                                           "lru    0.00   50.00\n"
                                           "opt    0.00   50.00\n");
}

TEST_CASE("the plot names every policy and escapes the title", "[cache_simulation]") {
    const auto simulation = simulate_trace(*parse_trace("a\nb\na\nb\nc\n"));
    REQUIRE(simulation);
    const std::string plot = simulation_plot(*simulation, "<a & b>");
    CHECK(plot.starts_with("<svg "));
    CHECK(plot.ends_with("</svg>\n"));
    CHECK(plot.find("&lt;a &amp; b&gt;") != std::string::npos);
    for (const std::string& policy : simulation_policies()) CHECK(plot.find('>' + policy + ' ') != std::string::npos);
    CHECK(plot.find("nan") == std::string::npos);
    CHECK(plot.find("inf") == std::string::npos);
}

TEST_CASE("blanks belong to the key where lines are keys, and stand before the size where they have one", "[trace]") {
    CHECK(parse_trace("GET /a\nGET /b\nGET /a\n", TraceLines::keys)->distinctKeys == 2);
    CHECK(parse_trace("7 8\n7 9\n", TraceLines::keys)->hasSizes == false);
    const auto sized = parse_trace("GET /a 100\nGET /b 200\n", TraceLines::keys_and_sizes);
    REQUIRE(sized);
    CHECK(sized->hasSizes);
    CHECK(sized->distinctKeys == 2);
    CHECK(parse_trace("a\n", TraceLines::keys_and_sizes).error().message.find("has no size") != std::string::npos);
}

} // namespace pillion
