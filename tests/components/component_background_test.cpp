// Loads that nobody waits for, and what is let go.
#include "tests/components/component_fixture.h"

using namespace pillion;
using namespace pillion::test;
using enum ComponentState;

namespace {
MemoryReading available(std::uint64_t percent) { return {.system = {.totalBytes = 100, .availableBytes = percent}}; }
} // namespace

TEST_CASE_METHOD(ComponentFixture, "a delayed component is loaded five seconds after the beginning", "[components]") {
    declare({{"data", service({}, LoadRule::delayed)}});
    components.begin();
    timers.advance_ms(4999);
    CHECK(state("data") == idle);
    timers.advance_ms(1);
    CHECK(state("data") == loading);
    CHECK(info("data").cause == LoadCause::rule);
}

TEST_CASE_METHOD(ComponentFixture, "a component of its own delay is loaded after that", "[components]") {
    auto spec = service({}, LoadRule::delayed);
    spec.delayMs = 100;
    declare({{"data", spec}});
    components.begin();
    timers.advance_ms(100);
    CHECK(state("data") == loading);
}

TEST_CASE_METHOD(ComponentFixture, "what is declared after the beginning loads by its rules too", "[components]") {
    components.begin();
    auto spec = service({}, LoadRule::delayed);
    spec.delayMs = 100;
    declare({{"data", spec}, {"index", service({}, LoadRule::idle)}});
    timers.advance_ms(100);
    CHECK(state("data") == loading);
    runner->ready("data");
    timers.advance_ms(1000);
    CHECK(state("index") == loading);
}

TEST_CASE_METHOD(ComponentFixture, "an end with nothing declared does not wait for anything", "[components]") {
    components.begin();
    components.stop(60'000);
    CHECK(components.list().empty());
}

TEST_CASE_METHOD(ComponentFixture, "an idle component waits until the CPU has been idle twice in a row",
                 "[components]") {
    cpu_percent = 80;
    declare({{"index", service({}, LoadRule::idle)}});
    components.begin();
    timers.advance_ms(5000);
    CHECK(state("index") == idle);
    cpu_percent = 5;
    timers.advance_ms(500);
    CHECK(state("index") == idle);
    timers.advance_ms(500);
    CHECK(state("index") == loading);
}

TEST_CASE_METHOD(ComponentFixture, "a component that wants memory waits for its floor", "[components]") {
    reading = available(40); // the floor is 50
    declare({{"backup", service({}, LoadRule::whenMemoryAllows)}});
    components.begin();
    timers.advance_ms(5000);
    CHECK(state("backup") == idle);
    reading = available(60);
    timers.advance_ms(500);
    CHECK(state("backup") == loading);
}

TEST_CASE_METHOD(ComponentFixture, "a signal loads what waits for it and names it", "[components]") {
    auto spec = service({}, LoadRule::onSignal);
    spec.signals = {"editor.open"};
    declare({{"spelling", spec}, {"other", service()}});
    components.begin();
    std::vector<std::string> names;
    components.signal("editor.open", [&](std::vector<std::string> queued) { names = std::move(queued); });
    settle();
    CHECK(names == std::vector<std::string>{"spelling"});
    CHECK(state("spelling") == loading);
    CHECK(state("other") == idle);
    CHECK(info("spelling").cause == LoadCause::signal);
    components.signal("editor.closed", [&](std::vector<std::string> queued) { names = std::move(queued); });
    settle();
    CHECK(names.empty());
}

TEST_CASE_METHOD(ComponentFixture, "background loads come one after another and yield to a busy CPU", "[components]") {
    auto spec = service({}, LoadRule::delayed);
    spec.delayMs = 100;
    declare({{"a", spec}, {"b", spec}});
    cpu_percent = 99;
    components.begin();
    timers.advance_ms(10'000);
    CHECK(runner->log.empty());
    cpu_percent = 5;
    timers.advance_ms(500);
    CHECK(runner->log == std::vector<std::string>{"start a"});
    runner->ready("a");
    settle();
    CHECK(runner->log == std::vector<std::string>{"start a", "start b"});
}

TEST_CASE_METHOD(ComponentFixture, "a demand does not yield", "[components]") {
    declare({{"a", service()}});
    cpu_percent = 99;
    reading = available(5);
    components.begin();
    const auto demand = load("a");
    CHECK(state("a") == loading);
}

TEST_CASE_METHOD(ComponentFixture, "background loads yield while memory is short", "[components]") {
    auto spec = service({}, LoadRule::delayed);
    spec.delayMs = 100;
    declare({{"a", spec}});
    reading = available(5);
    components.begin();
    timers.advance_ms(10'000);
    CHECK(state("a") == idle);
    reading = available(90);
    timers.advance_ms(2000);
    CHECK(state("a") == loading);
}

TEST_CASE_METHOD(ComponentFixture, "what is not used for its time is let go", "[components]") {
    auto spec = service();
    spec.keepAliveMs = 1000;
    declare({{"a", spec}});
    bring_up("a");
    timers.advance_ms(900);
    components.note_use("a");
    timers.advance_ms(900);
    CHECK(state("a") == ready);
    timers.advance_ms(200);
    CHECK(state("a") == idle);
    CHECK(info("a").reason == "it was not used for 1000 ms");
}

TEST_CASE_METHOD(ComponentFixture, "what something else depends on stays until that has gone", "[components]") {
    auto spec = service();
    spec.keepAliveMs = 1000;
    declare({{"app", service({"a"})}, {"a", spec}});
    const auto demand = load("app");
    runner->ready("a");
    settle();
    runner->ready("app");
    timers.advance_ms(5000);
    CHECK(state("a") == ready);
    components.unload("app", [](const Result<void>&) {});
    timers.advance_ms(2100);
    CHECK(state("a") == idle);
}

TEST_CASE_METHOD(ComponentFixture, "short memory takes what may go and was not used lately", "[components]") {
    auto spec = service();
    spec.keepAliveMs = 3'600'000;
    declare({{"old", spec}, {"fresh", spec}, {"kept", service()}});
    bring_up("old");
    bring_up("kept");
    timers.advance_ms(11'000);
    bring_up("fresh");
    reading = available(5);
    timers.advance_ms(4001); // two readings
    CHECK(state("old") == idle);
    CHECK(info("old").reason == "memory is short");
    CHECK(state("fresh") == ready);
    CHECK(state("kept") == ready);
}

TEST_CASE_METHOD(ComponentFixture, "what usually follows is loaded before it is asked for, and that is judged",
                 "[components]") {
    declare({{"editor", service()}, {"spelling", service()}, {"never", service({}, LoadRule::never)}});
    components.begin();
    for (int i = 0; i < 20; ++i) {
        predictor.observe("editor");
        predictor.observe("spelling");
    }
    bring_up("editor");
    timers.advance_ms(500);
    CHECK(state("spelling") == loading);
    CHECK(info("spelling").cause == LoadCause::prediction);
    runner->ready("spelling");
    settle();
    CHECK(components.prediction_worth().pending == 1);
    load("spelling");
    CHECK(components.prediction_worth().hits == 1);
    CHECK(components.prediction_worth().misses >= 1); // the editor itself
}

TEST_CASE_METHOD(ComponentFixture, "a preload that is never used is let go at the first warning and counted as waste",
                 "[components]") {
    declare({{"editor", service()}, {"spelling", service()}});
    components.begin();
    for (int i = 0; i < 20; ++i) {
        predictor.observe("editor");
        predictor.observe("spelling");
    }
    bring_up("editor");
    timers.advance_ms(500);
    runner->ready("spelling");
    settle();
    reading = available(20);
    timers.advance_ms(4001);
    CHECK(state("spelling") == idle);
    CHECK(state("editor") == ready);
    CHECK(components.prediction_worth().wasted == 1);
}

TEST_CASE_METHOD(ComponentFixture, "predictions name components with their state, the likeliest first",
                 "[components]") {
    declare({{"editor", service()}, {"spelling", service()}});
    for (int i = 0; i < 20; ++i) {
        predictor.observe("editor");
        predictor.observe("spelling");
    }
    predictor.observe("editor");
    std::vector<ComponentPrediction> likely;
    components.predict(5, [&](std::vector<ComponentPrediction> found) { likely = std::move(found); });
    settle();
    REQUIRE(!likely.empty());
    CHECK(likely[0].name == "spelling");
    CHECK(likely[0].probability > 0.5);
}
