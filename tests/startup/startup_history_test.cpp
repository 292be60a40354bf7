// What starts teach, and that it outlives the process.
#include "tests/startup/played_start.h"

#include <filesystem>
#include <fstream>

using namespace pillion;

namespace {

struct Folder {
    std::string path;
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "pillion-startup-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string file() const { return path + "/state.db"; }
};

struct OpenStore {
    Store store;
    explicit OpenStore(const Folder& folder, const Clock& clock) : store({.path = folder.file()}, clock) {
        StartupHistory::add_schema(store);
    }
    ~OpenStore() { store.stop(); }
};

StartupTimeline start_with(std::int64_t ms, int day, bool is_cached = false, bool fails = false) {
    PlayedStart start(
        {{.name = "base", .ms = 20},
         {.name = "index", .needs = {"base"}, .ms = ms, .is_critical = true, .fails = fails, .is_cached = is_cached}},
        {}, day * 86'400'000LL);
    return start.play();
}

std::optional<std::int64_t> expected_ms(const StartupHistory& history, std::string name) {
    std::vector<StartupNode> nodes{{.name = std::move(name)}};
    history.fill(nodes);
    return nodes[0].expected_ns ? std::optional(*nodes[0].expected_ns / 1'000'000) : std::nullopt;
}

} // namespace

TEST_CASE("durations are medians of recent runs: robust, and following a change", "[startup]") {
    StartupHistory history(nullptr);
    CHECK_FALSE(expected_ms(history, "index"));
    for (int day = 0; day < 9; ++day) history.record(start_with(100, day));
    CHECK(expected_ms(history, "index") == 100);
    history.record(start_with(9000, 9));
    CHECK(expected_ms(history, "index") == 100);
    for (int day = 10; day < 15; ++day) history.record(start_with(200, day));
    CHECK(expected_ms(history, "index") == 200);
}

TEST_CASE("cached results teach no durations and failed starts no totals", "[startup]") {
    StartupHistory history(nullptr);
    history.record(start_with(1, 0, true));
    CHECK_FALSE(expected_ms(history, "index"));
    history.record(start_with(50, 1, false, true));
    CHECK_FALSE(expected_ms(history, "index"));
    CHECK(expected_ms(history, "base") == 20);
    CHECK(history.starts()[1].fingerprint == 0);
    CHECK(history.starts()[0].fingerprint != 0);
}

TEST_CASE("what is set already is left alone", "[startup]") {
    StartupHistory history(nullptr);
    history.record(start_with(100, 0));
    std::vector<StartupNode> nodes{{.name = "index", .expected_ns = 7}};
    history.fill(nodes);
    CHECK(nodes[0].expected_ns == 7);
    CHECK(nodes[0].solo_ns == 100'000'000);
}

TEST_CASE("history outlives the process and keeps the last hundred starts", "[startup]") {
    const Folder folder;
    ManualClock clock;
    {
        OpenStore open(folder, clock);
        StartupHistory history(&open.store);
        REQUIRE(history.load());
        for (int day = 0; day < 130; ++day) history.record(start_with(100 + day, day));
        CHECK(history.starts().size() == 100);
    }
    OpenStore open(folder, clock);
    StartupHistory history(&open.store);
    CHECK(history.starts().empty());
    REQUIRE(history.load());
    REQUIRE(history.load());
    const auto starts = history.starts();
    REQUIRE(starts.size() == 100);
    CHECK(starts.front().samples.size() == 2);
    CHECK(starts.back().total_ns == (100 + 129 + 20) * 1'000'000);
    CHECK(starts.back().samples[1].name == "index");
    CHECK(expected_ms(history, "index") == 225);
}

TEST_CASE("a start recorded before the history was read is neither lost nor doubled", "[startup]") {
    const Folder folder;
    ManualClock clock;
    {
        OpenStore open(folder, clock);
        StartupHistory history(&open.store);
        history.record(start_with(100, 0));
    }
    OpenStore open(folder, clock);
    StartupHistory history(&open.store);
    history.record(start_with(110, 1));
    open.store.flush();
    REQUIRE(history.load());
    CHECK(history.starts().size() == 2);
}

TEST_CASE("forgetting forgets in the file too", "[startup]") {
    const Folder folder;
    ManualClock clock;
    {
        OpenStore open(folder, clock);
        StartupHistory history(&open.store);
        for (int day = 0; day < 3; ++day) history.record(start_with(100, day));
        CHECK(history.forget() == 3u);
        CHECK(history.starts().empty());
        CHECK_FALSE(expected_ms(history, "index"));
    }
    OpenStore open(folder, clock);
    StartupHistory history(&open.store);
    REQUIRE(history.load());
    CHECK(history.starts().empty());
}

TEST_CASE("a file that cannot be opened is an error, and learning goes on", "[startup]") {
    ManualClock clock;
    const Folder folder;
    std::ofstream(folder.path + "/blocked") << "a file where a folder should be";
    Store store({.path = folder.path + "/blocked/state.db"}, clock);
    StartupHistory::add_schema(store);
    StartupHistory history(&store);
    CHECK_FALSE(history.load());
    history.record(start_with(100, 0));
    CHECK(expected_ms(history, "index") == 100);
    store.stop();
}

TEST_CASE("how crowded it was while a component ran is remembered", "[startup]") {
    PlayedStart start({{.name = "a", .ms = 10}, {.name = "b", .ms = 30}});
    const StartupRecord record = startup_record(start.play());
    CHECK(record.samples[0].concurrency == Approx(2));
    CHECK(record.samples[1].concurrency == Approx(4.0 / 3));
}
