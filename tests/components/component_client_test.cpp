// Work of the webview, parts of Pillion itself, and the start.
#include "tests/components/component_fixture.h"

using namespace pillion;
using namespace pillion::test;
using enum ComponentState;

namespace {

ComponentSpec client() {
    ComponentSpec spec;
    spec.kind = ComponentKind::client;
    spec.load = LoadRule::firstUse;
    spec.timeoutMs = 1000;
    spec.settings = Json{R"({"chunk":"editor.js"})"};
    return spec;
}

ComponentSpec builtin() {
    ComponentSpec spec;
    spec.kind = ComponentKind::builtin;
    spec.load = LoadRule::firstUse;
    return spec;
}

struct Start {
    std::shared_ptr<const StartupTimeline> timeline{};
    std::string error{};
    double percentage = 0;
};

std::shared_ptr<Start> run_start(ComponentFixture& fixture) {
    auto start = std::make_shared<Start>();
    fixture.components.startup_host().run(
        [start](double percentage, std::string_view) { start->percentage = percentage; },
        [start](Result<std::shared_ptr<const StartupTimeline>> timeline) {
            if (timeline)
                start->timeline = *timeline;
            else
                start->error = timeline.error().message;
        });
    fixture.settle();
    return start;
}

} // namespace

TEST_CASE_METHOD(ComponentFixture, "the webview is told to load and says that it has", "[components]") {
    declare({{"editor", client()}});
    components.set_listened(true);
    const auto demand = load("editor");
    REQUIRE(wanted.size() == 1);
    CHECK(wanted[0].name == "editor");
    CHECK(wanted[0].settings->text == R"({"chunk":"editor.js"})");
    components.complete({.token = wanted[0].token, .result = Json{"7"}, .memoryBytes = 5000},
                        [](const Result<void>& done) { CHECK(done); });
    settle();
    CHECK((*demand->answer)->result->text == "7");
    CHECK(info("editor").memoryBytes == 5000);
}

TEST_CASE_METHOD(ComponentFixture, "a want that nobody heard is said to the first who listens", "[components]") {
    declare({{"editor", client()}});
    const auto demand = load("editor");
    CHECK(wanted.empty());
    components.set_listened(true);
    settle();
    CHECK(wanted.size() == 1);
}

TEST_CASE_METHOD(ComponentFixture, "a webview that does not answer in time leaves its fallback", "[components]") {
    auto spec = client();
    spec.fallback = Json{R"("<p>loading</p>")"};
    declare({{"editor", spec}});
    components.set_listened(true);
    const auto demand = load("editor");
    timers.advance_ms(1000);
    REQUIRE(demand->answer->has_value());
    CHECK((*demand->answer)->state == failed);
    CHECK((*demand->answer)->fallback->text == R"("<p>loading</p>")");
    CHECK((*demand->answer)->reason == "component \"editor\": was not ready within 1000 ms: the client did not answer "
                                       "components.wanted with components.complete");
    std::string late;
    components.complete({.token = wanted[0].token},
                        [&](const Result<void>& done) { late = done ? "" : done.error().message; });
    settle();
    CHECK(late.starts_with("nobody waits for the token \"editor#1\""));
}

TEST_CASE_METHOD(ComponentFixture, "what went wrong in the webview is the error of the load", "[components]") {
    declare({{"editor", client()}});
    components.set_listened(true);
    const auto demand = load("editor");
    components.complete({.token = wanted[0].token, .error = "ChunkLoadError"}, [](const Result<void>&) {});
    settle();
    CHECK(error(demand) == "component \"editor\": the client could not load it: ChunkLoadError");
}

TEST_CASE_METHOD(ComponentFixture, "a part of Pillion is loaded and unloaded by its functions", "[components]") {
    int loads = 0, unloads = 0;
    components.add_builtin("storage", {.load = [&]() -> Result<void> {
                                           ++loads;
                                           return {};
                                       },
                                       .unload = [&] { ++unloads; },
                                       .bytes = [] { return std::uint64_t{4096}; }});
    declare({{"storage", builtin()}});
    const auto demand = load("storage");
    CHECK(loads == 1);
    CHECK(state("storage") == ready);
    CHECK(info("storage").memoryBytes == 4096);
    components.unload("storage", [](const Result<void>&) {});
    settle();
    CHECK(unloads == 1);
}

TEST_CASE_METHOD(ComponentFixture, "a part that Pillion does not have is refused where it is declared",
                 "[components]") {
    components.add_builtin("storage", {});
    const auto declared = components.declare({{"storrage", builtin()}});
    REQUIRE(!declared);
    CHECK(declared.error().message == "component \"storrage\": Pillion has no part of that name; it has storage");
}

TEST_CASE_METHOD(ComponentFixture, "a start loads what is eager and what that needs, on its lanes", "[components]") {
    components.configure({}, {.lanes = 2});
    declare({{"a", service({}, LoadRule::eager)},
             {"b", service({}, LoadRule::eager)},
             {"c", service({}, LoadRule::eager)},
             {"d", service({"lazy"}, LoadRule::eager)},
             {"lazy", service()},
             {"other", service()}});
    const auto start = run_start(*this);
    CHECK(runner->log.size() == 2);
    while (!start->timeline) {
        for (const auto& [name, begun] : std::map(runner->begun))
            if (state(name) == loading) runner->ready(name);
        settle();
    }
    CHECK(start->timeline->verdict == StartupVerdict::ready);
    CHECK(start->timeline->entries.size() == 5);
    CHECK(start->percentage == 100);
    CHECK(state("lazy") == ready);
    CHECK(state("other") == idle);
    CHECK(steps.size() == 10); // each begun and ended
}

TEST_CASE_METHOD(ComponentFixture, "an optional failure skips its dependents and says so", "[components]") {
    declare({{"a", service({}, LoadRule::eager)},
             {"b", service({"a"}, LoadRule::eager)},
             {"c", service({}, LoadRule::eager)}});
    const auto start = run_start(*this);
    runner->fails("a", "exited with status 1");
    runner->ready("c");
    settle();
    REQUIRE(start->timeline);
    CHECK(start->timeline->verdict == StartupVerdict::partial);
    CHECK(state("a") == failed);
    CHECK(state("b") == skipped);
    CHECK(info("b").reason->find("a") != std::string::npos);
    CHECK(state("c") == ready);
}

TEST_CASE_METHOD(ComponentFixture, "a critical failure fails the start and says why", "[components]") {
    auto critical = service({}, LoadRule::eager);
    critical.critical = true;
    declare({{"a", critical}, {"b", service({"a"}, LoadRule::eager)}});
    const auto start = run_start(*this);
    runner->fails("a", "exited with status 1 after 5 ms: no such table");
    settle();
    REQUIRE(start->timeline);
    CHECK(start->timeline->verdict == StartupVerdict::failed);
    CHECK(start->timeline->error.find("exited with status 1 after 5 ms: no such table") != std::string::npos);
    CHECK(start->timeline->error.find("a") != std::string::npos);
}

TEST_CASE_METHOD(ComponentFixture, "two who ask for a start share it, and a second start finds all in place",
                 "[components]") {
    declare({{"a", service({}, LoadRule::eager)}});
    const auto first = run_start(*this), second = run_start(*this);
    runner->ready("a");
    settle();
    CHECK(first->timeline);
    CHECK(first->timeline == second->timeline);
    const auto third = run_start(*this);
    CHECK(third->timeline->verdict == StartupVerdict::ready);
    CHECK(runner->starts_of("a") == 1);
}

TEST_CASE_METHOD(ComponentFixture, "a start whose time is up takes back what was running", "[components]") {
    components.configure({}, {.timeoutMs = 1000});
    declare({{"a", service({}, LoadRule::eager)}});
    const auto start = run_start(*this);
    timers.advance_ms(1000);
    REQUIRE(start->timeline);
    CHECK(start->timeline->entries[0].state == StartupState::timedOut);
    CHECK(state("a") == idle);
    CHECK(runner->log.back() == "stop a");
}

TEST_CASE_METHOD(ComponentFixture, "a start with nothing eager says so", "[components]") {
    declare({{"a", service()}});
    CHECK(run_start(*this)->error.starts_with("there is nothing to start"));
}

TEST_CASE_METHOD(ComponentFixture, "the beginning starts what is eager by itself unless it is told not to",
                 "[components]") {
    declare({{"a", service({}, LoadRule::eager)}});
    SECTION("by itself") {
        components.begin();
        settle();
        CHECK(state("a") == loading);
    }
    SECTION("told not to") {
        components.configure({}, {.automatic = false});
        components.begin();
        settle();
        CHECK(state("a") == idle);
    }
}
