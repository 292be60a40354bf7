// What starts when, and what becomes of it.
#include "tests/startup/played_start.h"

#include <algorithm>

using namespace pillion;

TEST_CASE("independent components start side by side, as many as there are lanes", "[startup]") {
    PlayedStart start({{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}, {.name = "e"}}, {.lanes = 3});
    start.play();
    CHECK(start.most_at_once == 3);
    CHECK(start.scheduler->timeline().ended_ns - start.scheduler->timeline().began_ns == 20'000'000);
    CHECK(start.scheduler->timeline().verdict == StartupVerdict::ready);
}

TEST_CASE("no component starts before all that it needs is ready", "[startup]") {
    std::mt19937 random(1);
    for (int round = 0; round < 50; ++round) {
        PlayedStart start(random_components(random, 60), {.lanes = 1 + static_cast<std::uint32_t>(round % 5)});
        const StartupTimeline& timeline = start.play();
        CHECK(start.most_at_once <= timeline.lanes);
        for (const StartupEntry& entry : timeline.entries) {
            CHECK(entry.finished_ns >= 0);
            if (entry.started_ns < 0) continue;
            for (const auto dependency : entry.dependencies) {
                CHECK(timeline.entries[dependency].state == StartupState::ready);
                CHECK(timeline.entries[dependency].finished_ns <= entry.started_ns);
            }
        }
    }
}

TEST_CASE("two components never share a lane at one time", "[startup]") {
    std::mt19937 random(2);
    PlayedStart start(random_components(random, 80), {.lanes = 4});
    const StartupTimeline& timeline = start.play();
    for (const StartupEntry& a : timeline.entries)
        for (const StartupEntry& b : timeline.entries)
            if (&a != &b && a.started_ns >= 0 && b.started_ns >= 0 && a.lane == b.lane && a.sequence < b.sequence)
                CHECK(a.finished_ns <= b.started_ns);
}

TEST_CASE("critical components and what they need come first", "[startup]") {
    PlayedStart start({{.name = "long", .ms = 500, .expected_ms = 500},
                       {.name = "base", .ms = 5, .expected_ms = 5},
                       {.name = "window", .needs = {"base"}, .ms = 5, .is_critical = true, .expected_ms = 5}},
                      {.lanes = 1});
    start.play();
    CHECK(start.begun == std::vector<std::string>{"base", "window", "long"});
    CHECK(start.scheduler->timeline().critical_done_ns - start.scheduler->timeline().began_ns == 10'000'000);
}

TEST_CASE("among equals the longest path goes first", "[startup]") {
    PlayedStart start({{.name = "short", .ms = 5, .expected_ms = 5},
                       {.name = "head", .ms = 1, .expected_ms = 1},
                       {.name = "tail", .needs = {"head"}, .ms = 90, .expected_ms = 90}},
                      {.lanes = 1});
    start.play();
    CHECK(start.begun == std::vector<std::string>{"head", "tail", "short"});
}

TEST_CASE("an optional failure skips what depends on it and says because of whom", "[startup]") {
    PlayedStart start({{.name = "db", .fails = true},
                       {.name = "index", .needs = {"db"}},
                       {.name = "search", .needs = {"index"}},
                       {.name = "theme"}});
    start.play();
    CHECK(start.entry("db").error == "exited with status 3");
    CHECK(start.entry("index").error == "skipped because \"db\" failed");
    CHECK(start.entry("search").error == "skipped because \"db\" failed, which \"index\" needs");
    CHECK(start.entry("theme").state == StartupState::ready);
    CHECK(start.skipped == std::vector<std::string>{"index", "search"});
    CHECK(start.scheduler->timeline().verdict == StartupVerdict::partial);
    CHECK(start.scheduler->timeline().error.empty());
}

TEST_CASE("a critical failure fails the start and says why", "[startup]") {
    PlayedStart start({{.name = "db", .ms = 5, .is_critical = true, .fails = true},
                       {.name = "slow", .ms = 50},
                       {.name = "late", .needs = {"slow"}}},
                      {.lanes = 2});
    start.step();
    CHECK(start.scheduler->has_failed());
    CHECK_FALSE(start.scheduler->is_done());
    CHECK(start.scheduler->running().size() == 1);
    CHECK_FALSE(start.scheduler->next_ready());
    start.play();
    CHECK(start.scheduler->timeline().error == "critical component \"db\" failed: exited with status 3");
    CHECK(start.entry("late").error == "skipped because the start failed with \"db\"");
    CHECK(start.entry("slow").state == StartupState::ready);
    CHECK(start.scheduler->timeline().verdict == StartupVerdict::failed);
    CHECK(start.scheduler->timeline().critical_done_ns < 0);
}

TEST_CASE("the failure of what a critical component needs fails the start", "[startup]") {
    PlayedStart start({{.name = "db", .fails = true}, {.name = "window", .needs = {"db"}, .is_critical = true}});
    start.play();
    CHECK(start.scheduler->timeline().error ==
          "critical component \"db\" failed: exited with status 3 (a critical component needs it)");
    CHECK(start.entry("window").error == "skipped because \"db\" failed");
}

TEST_CASE("a component that is not ready in time is given up and its lane is free", "[startup]") {
    PlayedStart start({{.name = "stuck", .ms = 10'000, .timeout_ms = 30},
                       {.name = "user", .needs = {"stuck"}},
                       {.name = "other", .needs = {}, .ms = 100}},
                      {.lanes = 1});
    start.begin();
    CHECK(start.scheduler->next_deadline_ns() == start.scheduler->timeline().began_ns + 30'000'000);
    start.play();
    CHECK(start.entry("stuck").state == StartupState::timedOut);
    CHECK(start.entry("stuck").error == "not ready after 30 ms");
    CHECK(start.entry("user").error == "skipped because \"stuck\" timed out");
    CHECK(start.entry("other").state == StartupState::ready);
    // Coming back after that changes nothing.
    CHECK(start.scheduler->finished(0, {}).empty());
    CHECK(start.entry("stuck").state == StartupState::timedOut);
}

TEST_CASE("a start that takes too long ends, and fails if critical components are missing", "[startup]") {
    PlayedStart start({{.name = "window", .ms = 1000, .is_critical = true}, {.name = "help", .needs = {"window"}}},
                      {.lanes = 4, .timeout_ms = 100});
    start.play();
    CHECK(start.scheduler->timeline().verdict == StartupVerdict::failed);
    CHECK(start.scheduler->timeline().error ==
          "critical component \"window\" timed out: not ready when the 100 ms of the start were over");
    CHECK(start.scheduler->timeline().ended_ns - start.scheduler->timeline().began_ns == 100'000'000);

    PlayedStart enough({{.name = "window", .ms = 10, .is_critical = true}, {.name = "help", .ms = 1000}},
                       {.lanes = 1, .timeout_ms = 100});
    enough.play();
    CHECK(enough.scheduler->timeline().verdict == StartupVerdict::partial);
}

TEST_CASE("an expiry before its time does nothing", "[startup]") {
    PlayedStart start({{.name = "a", .timeout_ms = 30}});
    start.begin();
    start.clock.advance_ms(29);
    CHECK(start.scheduler->expire().timed_out.empty());
    start.clock.advance_ms(1);
    CHECK(start.scheduler->expire().timed_out == std::vector<StartupGraph::Index>{0});
    CHECK_FALSE(start.scheduler->next_deadline_ns());
}

TEST_CASE("an abandoned start begins nothing more", "[startup]") {
    PlayedStart start({{.name = "a"}, {.name = "b"}, {.name = "c", .needs = {"a"}}}, {.lanes = 1});
    start.begin();
    CHECK(start.scheduler->abandon("the app is closing").size() == 2);
    CHECK_FALSE(start.scheduler->next_ready());
    start.scheduler->finished(0, {});
    CHECK(start.scheduler->is_done());
    CHECK(start.scheduler->timeline().error == "the app is closing");
    CHECK(start.entry("c").error == "skipped because the app is closing");
}

TEST_CASE("a start of nothing is done at once", "[startup]") {
    PlayedStart start({});
    CHECK(start.scheduler->is_done());
    CHECK(start.scheduler->timeline().verdict == StartupVerdict::ready);
    CHECK_FALSE(start.scheduler->next_ready());
}

TEST_CASE("the first mark of a name counts", "[startup]") {
    PlayedStart start({{.name = "a"}});
    CHECK(start.scheduler->mark("first paint"));
    start.clock.advance_ms(5);
    CHECK_FALSE(start.scheduler->mark("first paint"));
    CHECK(start.scheduler->timeline().marks.size() == 1);
    CHECK(start.scheduler->timeline().marks[0].at_ns == start.scheduler->timeline().began_ns);
}

TEST_CASE("a wall clock that jumps moves no deadline", "[startup]") {
    PlayedStart start({{.name = "a", .ms = 10, .timeout_ms = 30}});
    start.begin();
    start.clock.jump_wall_ms(86'400'000);
    CHECK(start.scheduler->expire().timed_out.empty());
    start.play();
    CHECK(start.scheduler->timeline().verdict == StartupVerdict::ready);
}

TEST_CASE("no schedule is longer than Graham's bound allows", "[startup]") {
    std::mt19937 random(3);
    for (int round = 0; round < 40; ++round) {
        auto components = random_components(random, 70, false);
        for (auto& component : components) {
            component.is_critical = false;
            component.expected_ms = component.ms;
        }
        const std::uint32_t lanes = 1 + static_cast<std::uint32_t>(round % 6);
        PlayedStart start(components, {.lanes = lanes});
        start.play();
        const auto wall = start.scheduler->timeline().ended_ns - start.scheduler->timeline().began_ns;
        CHECK(wall >= start.graph().lower_bound_ns(lanes));
        CHECK(static_cast<double>(wall) <=
              (2 - 1.0 / lanes) * static_cast<double>(start.graph().lower_bound_ns(lanes)) + 1);
    }
}
