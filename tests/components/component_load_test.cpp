// Demands, shared loads, ends and restarts, with components that do what the test says.
#include "tests/components/component_fixture.h"

using namespace pillion;
using namespace pillion::test;
using enum ComponentState;

TEST_CASE_METHOD(ComponentFixture, "a component is loaded after what it depends on", "[components]") {
    declare({{"app", service({"database", "index"})}, {"database", service()}, {"index", service({"database"})}});
    const auto demand = load("app");
    CHECK(runner->log == std::vector<std::string>{"start database"});
    CHECK(state("app") == waiting);
    runner->ready("database");
    settle();
    runner->ready("index");
    settle();
    CHECK(!demand->answer);
    runner->ready("app", {.result = R"({"rows":3})"});
    settle();
    REQUIRE(demand->answer != nullptr);
    REQUIRE(demand->answer->has_value());
    CHECK((*demand->answer)->result->text == R"({"rows":3})");
    CHECK(!(*demand->answer)->shared);
    CHECK(runner->log == std::vector<std::string>{"start database", "start index", "start app"});
    CHECK(info("database").cause == LoadCause::dependency);
}

TEST_CASE_METHOD(ComponentFixture, "two demands share one load", "[components]") {
    declare({{"app", service()}});
    const auto first = load("app"), second = load("app");
    CHECK(info("app").waiters == 2);
    runner->ready("app");
    settle();
    CHECK(runner->starts_of("app") == 1);
    CHECK(!(*first->answer)->shared);
    CHECK((*second->answer)->shared);
    const auto third = load("app");
    CHECK((*third->answer)->shared);
    CHECK(info("app").uses == 3);
}

TEST_CASE_METHOD(ComponentFixture, "a load is taken back when the last who waits for it has left", "[components]") {
    declare({{"app", service({"database"})}, {"database", service()}});
    const auto first = load("app"), second = load("app");
    components.leave(first->ticket);
    settle();
    CHECK(first->answer->error().code == ErrorCode::cancelled);
    CHECK(state("database") == loading);
    components.leave(second->ticket);
    settle();
    CHECK(runner->log == std::vector<std::string>{"start database", "stop database"});
    CHECK(state("app") == idle);
    CHECK(state("database") == idle);
}

TEST_CASE_METHOD(ComponentFixture, "a prerequisite that others wait for too is not taken back", "[components]") {
    declare({{"app", service({"database"})}, {"database", service()}});
    const auto other = load("database");
    const auto demand = load("app");
    components.leave(demand->ticket);
    settle();
    CHECK(state("database") == loading);
    runner->ready("database");
    settle();
    CHECK(other->answer->has_value());
}

TEST_CASE_METHOD(ComponentFixture, "who depends on what fails is skipped and says because of whom", "[components]") {
    declare({{"app", service({"database"})}, {"database", service()}});
    const auto demand = load("app");
    runner->fails("database", "exited with status 3");
    settle();
    CHECK(error(demand) ==
          "component \"app\": it depends on \"database\", which failed: component \"database\": exited with status 3");
    CHECK(state("database") == failed);
    CHECK(state("app") == skipped);
}

TEST_CASE_METHOD(ComponentFixture, "a demand on a failed component tries again", "[components]") {
    declare({{"app", service()}});
    runner->refused["app"] = "no such program";
    CHECK(error(load("app")) == "component \"app\": no such program");
    CHECK(state("app") == failed);
    runner->refused.clear();
    const auto again = load("app");
    runner->ready("app");
    settle();
    CHECK(again->answer->has_value());
}

TEST_CASE_METHOD(ComponentFixture, "a name that is not declared is refused with the nearest", "[components]") {
    declare({{"database", service()}});
    const auto demand = load("databse");
    CHECK(error(demand) == "no component is named \"databse\"; the nearest is \"database\"");
    CHECK(demand->answer->error().code == ErrorCode::not_found);
}

TEST_CASE_METHOD(ComponentFixture, "what is not ready in time is stopped and fails", "[components]") {
    auto spec = service();
    spec.timeoutMs = 700;
    declare({{"app", spec}});
    const auto demand = load("app");
    timers.advance_ms(699);
    CHECK(state("app") == loading);
    timers.advance_ms(1);
    CHECK(error(demand) == "component \"app\": was not ready within 700 ms");
    CHECK(demand->answer->error().code == ErrorCode::timeout);
    CHECK(state("app") == failed);
    CHECK(runner->log.back() == "stop app");
    runner->ready("app"); // too late
    settle();
    CHECK(state("app") == failed);
}

TEST_CASE_METHOD(ComponentFixture, "a wall clock that jumps changes nothing of a timeout", "[components]") {
    auto spec = service();
    spec.timeoutMs = 1000;
    declare({{"app", spec}});
    const auto demand = load("app");
    clock.jump_wall_ms(3'600'000);
    timers.advance_ms(900);
    CHECK(state("app") == loading);
    clock.jump_wall_ms(-7'200'000);
    runner->ready("app");
    settle();
    CHECK((*demand->answer)->loadMs == Approx(900));
}

TEST_CASE_METHOD(ComponentFixture, "what depends on a component is unloaded before it", "[components]") {
    declare({{"app", service({"database"})}, {"database", service()}});
    const auto demand = load("app");
    runner->ready("database");
    settle();
    runner->ready("app");
    settle();
    runner->stops_slowly = true;
    bool is_done = false;
    components.unload("database", [&](const Result<void>& done) { is_done = done.has_value(); });
    settle();
    CHECK(runner->log.back() == "stop app");
    CHECK(state("database") == stopping);
    runner->begun["app"].stopped();
    settle();
    CHECK(runner->log.back() == "stop database");
    CHECK(!is_done);
    runner->begun["database"].stopped();
    settle();
    CHECK(is_done);
    CHECK(state("app") == idle);
    CHECK(state("database") == idle);
}

TEST_CASE_METHOD(ComponentFixture, "a demand during a stop loads again when that is done", "[components]") {
    declare({{"app", service()}});
    bring_up("app");
    runner->stops_slowly = true;
    components.unload("app", [](const Result<void>&) {});
    settle();
    const auto demand = load("app");
    CHECK(runner->starts_of("app") == 1);
    runner->begun["app"].stopped();
    settle();
    CHECK(runner->starts_of("app") == 2);
    runner->ready("app");
    settle();
    CHECK(demand->answer->has_value());
}

TEST_CASE_METHOD(ComponentFixture, "an unload in the middle of a load tells those who wait", "[components]") {
    declare({{"app", service()}});
    const auto demand = load("app");
    components.unload("app", [](const Result<void>&) {});
    settle();
    CHECK(error(demand) == "component \"app\": was unloaded before it was ready");
    CHECK(state("app") == idle);
}

TEST_CASE_METHOD(ComponentFixture, "what crashes comes up again after a delay that grows", "[components]") {
    declare({{"app", service()}});
    bring_up("app");
    runner->ends("app", ComponentEnd::failed, "was killed by SIGSEGV");
    settle();
    CHECK(state("app") == restarting);
    CHECK(info("app").reason == "was killed by SIGSEGV");
    timers.advance_ms(650); // 500 and its jitter
    CHECK(state("app") == loading);
    const auto demand = load("app"); // waits for the restart
    runner->ready("app");
    settle();
    CHECK(demand->answer->has_value());
    CHECK(info("app").restarts == 1);
}

TEST_CASE_METHOD(ComponentFixture, "what crashes in a loop is given up", "[components]") {
    auto spec = service();
    spec.restart.crashesMax = 2;
    spec.restart.delayMs = 100;
    declare({{"app", spec}});
    bring_up("app");
    for (int crash = 0; crash < 3 && state("app") == ready; ++crash) {
        runner->ends("app", ComponentEnd::failed, "exited with status 1");
        settle();
        timers.advance_ms(2000);
        if (state("app") != loading) break;
        runner->ready("app");
        settle();
    }
    CHECK(state("app") == failed);
    CHECK(info("app").reason == "it went down 3 times within 60000 ms and is given up: exited with status 1");
    CHECK(runner->starts_of("app") == 3);
    const auto demand = load("app"); // a new beginning
    runner->ready("app");
    settle();
    CHECK(demand->answer->has_value());
}

TEST_CASE_METHOD(ComponentFixture, "a requested stop never restarts", "[components]") {
    declare({{"app", service()}});
    bring_up("app");
    components.unload("app", [](const Result<void>&) {});
    settle();
    runner->ends("app", ComponentEnd::failed, "was killed by SIGTERM"); // its own end, heard late
    settle();
    timers.advance_ms(60'000);
    CHECK(state("app") == idle);
    CHECK(runner->starts_of("app") == 1);
}

TEST_CASE_METHOD(ComponentFixture, "what ends in good order stays down unless it is to run always", "[components]") {
    auto always = service();
    always.restart.rule = RestartRule::always;
    declare({{"once", service()}, {"always", always}});
    bring_up("once");
    bring_up("always");
    runner->ends("once", ComponentEnd::finished, "exited with status 0");
    runner->ends("always", ComponentEnd::finished, "exited with status 0");
    settle();
    CHECK(state("once") == idle);
    CHECK(state("always") == restarting);
}

TEST_CASE_METHOD(ComponentFixture, "what sleeps is no failure and is woken by the next demand", "[components]") {
    declare({{"app", service()}});
    bring_up("app");
    runner->ends("app", ComponentEnd::slept, "idle for 5 minutes");
    settle();
    CHECK(state("app") == idle);
    CHECK(info("app").reason == "it sleeps: idle for 5 minutes");
    const auto demand = load("app");
    runner->ready("app");
    settle();
    CHECK(demand->answer->has_value());
}

TEST_CASE_METHOD(ComponentFixture, "what fails its health checks is restarted", "[components]") {
    auto spec = service();
    spec.health = {.intervalMs = 1000, .timeoutMs = 500, .failuresMax = 2};
    declare({{"app", spec}});
    bring_up("app");
    timers.advance_ms(1000);
    CHECK(runner->health_checks == 1);
    runner->health = fail(ErrorCode::unavailable, "connection refused");
    timers.advance_ms(1000);
    CHECK(state("app") == ready);
    timers.advance_ms(1000);
    CHECK(state("app") == restarting);
    CHECK(info("app").reason == "it failed 2 health checks: connection refused");
    CHECK(runner->log.back() == "stop app");
}

TEST_CASE_METHOD(ComponentFixture, "a restart leaves what depends on it alone", "[components]") {
    declare({{"app", service({"database"})}, {"database", service()}});
    const auto demand = load("app");
    runner->ready("database");
    settle();
    runner->ready("app");
    settle();
    std::shared_ptr<Result<ComponentLoad>> restarted;
    components.restart("database", [&](Result<ComponentLoad> load) {
        restarted = std::make_shared<Result<ComponentLoad>>(std::move(load));
    });
    settle();
    runner->ready("database");
    settle();
    CHECK(restarted->has_value());
    CHECK(state("app") == ready);
    CHECK(runner->starts_of("app") == 1);
    CHECK(runner->starts_of("database") == 2);
}

TEST_CASE_METHOD(ComponentFixture, "a service is told the ports of what it depends on", "[components]") {
    auto database = service();
    database.portWanted = true;
    database.portVariable = "DB_PORT";
    declare({{"app", service({"data-base"})}, {"data-base", database}});
    const auto demand = load("app");
    const std::string port = std::to_string(*info("data-base").port);
    CHECK(runner->begun["data-base"].environment == decltype(FakeRunner::Begun::environment){{"DB_PORT", port}});
    runner->ready("data-base");
    settle();
    CHECK(runner->begun["app"].environment ==
          decltype(FakeRunner::Begun::environment){{"PILLION_PORT_DATA_BASE", port}});
}

TEST_CASE_METHOD(ComponentFixture, "a fallback stands in for what fails", "[components]") {
    auto spec = service();
    spec.fallback = Json{R"({"theme":"plain"})"};
    declare({{"app", spec}});
    const auto demand = load("app");
    runner->fails("app", "no network");
    settle();
    REQUIRE(demand->answer->has_value());
    CHECK((*demand->answer)->state == failed);
    CHECK((*demand->answer)->fallback->text == R"({"theme":"plain"})");
    CHECK((*demand->answer)->reason == "component \"app\": no network");
}

TEST_CASE_METHOD(ComponentFixture, "what is loaded cannot be declared anew", "[components]") {
    declare({{"app", service()}});
    bring_up("app");
    const auto again = components.declare({{"app", service()}});
    REQUIRE(!again);
    CHECK(again.error().code == ErrorCode::conflict);
    components.unload("app", [](const Result<void>&) {});
    settle();
    CHECK(components.declare({{"app", service()}}));
}

TEST_CASE_METHOD(ComponentFixture, "changes are told in order with what was before", "[components]") {
    declare({{"app", service()}});
    bring_up("app");
    REQUIRE(changes.size() == 3);
    CHECK((changes[0].previous == idle && changes[0].state == waiting));
    CHECK((changes[1].previous == waiting && changes[1].state == loading));
    CHECK((changes[2].previous == loading && changes[2].state == ready));
}
