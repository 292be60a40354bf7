// Shared objects behind the C interface: the example, and what is refused.
#include "tests/components/component_fixture.h"
#include "tests/support/temporary_folder.h"

#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <sys/stat.h>
#include <thread>

using namespace pillion;
using namespace pillion::test;
using enum ComponentState;

namespace {

ComponentSpec library(const std::string& name, std::optional<Json> settings = {}) {
    ComponentSpec spec;
    spec.kind = ComponentKind::library;
    spec.library = std::string(PILLION_TEST_LIBRARIES) + "/" + name + ".so";
    spec.settings = std::move(settings);
    spec.load = LoadRule::firstUse;
    return spec;
}

std::string path(const std::string& name) { return *library(name).library; }

} // namespace

TEST_CASE_METHOD(ComponentFixture, "a library is made, measured, checked and ended", "[components]") {
    ComponentSpec spec = library("table", Json{"1000"});
    spec.health.intervalMs = 1000;
    declare({{"table", spec}});
    const auto demand = load("table");
    INFO(error(demand));
    CHECK(state("table") == ready);
    CHECK(*info("table").memoryBytes > 8000);
    timers.advance_ms(5000); // its checks
    CHECK(state("table") == ready);
    components.unload("table", [](const Result<void>& done) { CHECK(done); });
    settle();
    CHECK(state("table") == idle);
    load("table");
    CHECK(state("table") == ready);
    components.unload("table", [](const Result<void>&) {});
    settle();
}

TEST_CASE_METHOD(ComponentFixture, "what a library says when it cannot be made is the error", "[components]") {
    declare({{"table", library("table", Json{R"("many")"})}});
    CHECK(error(load("table")) == "component \"table\": its create() failed: `settings` is the size of the table, 1 to "
                                  "100000000, not \"many\"");
}

TEST_CASE_METHOD(ComponentFixture, "a library without the symbol is refused by name", "[components]") {
    declare({{"app", library("no_symbol")}});
    CHECK(error(load("app")) ==
          "component \"app\": the library " + path("no_symbol") + " has no symbol `pillion_component`");
}

TEST_CASE_METHOD(ComponentFixture, "a library of another version of the interface is refused with both versions",
                 "[components]") {
    declare({{"app", library("wrong_abi")}});
    CHECK(error(load("app")) ==
          "component \"app\": the library " + path("wrong_abi") +
              " was made for version 2 of the component interface; this Pillion speaks version 1");
}

TEST_CASE_METHOD(ComponentFixture, "a library that is not there is refused with the loader's reason", "[components]") {
    declare({{"app", library("nowhere")}});
    CHECK(error(load("app")).starts_with("component \"app\": the library cannot be opened: " + path("nowhere")));
}

TEST_CASE_METHOD(ComponentFixture, "a library without the optional members is taken as it is", "[components]") {
    ComponentSpec spec = library("oldest");
    spec.health.intervalMs = 1000;
    declare({{"app", spec}});
    load("app");
    CHECK(state("app") == ready);
    CHECK(!info("app").memoryBytes);
    timers.advance_ms(3000);
    CHECK(state("app") == ready);
}

TEST_CASE("a library that takes too long to be made fails in time and is ended when it is done", "[components]") {
    ComponentFixture fixture;
    const TemporaryFolder folder;
    const std::string gate = folder.path() + "/gate";
    REQUIRE(mkfifo(gate.c_str(), 0600) == 0);
    std::mutex mutex;
    std::condition_variable is_queued;
    std::deque<std::function<void()>> work;
    Components::Host host = fixture.host();
    host.run_blocking = [&](std::function<void()> job) {
        const std::lock_guard lock(mutex);
        work.push_back(std::move(job));
        is_queued.notify_one();
    };
    const auto run_next = [&] {
        std::unique_lock lock(mutex);
        is_queued.wait(lock, [&] { return !work.empty(); }); // also on a thread where nothing may be asserted
        const auto job = std::move(work.front());
        work.pop_front();
        lock.unlock();
        job();
    };
    Components components(host);
    ComponentSpec spec = library("oldest", Json{"\"" + gate + "\""});
    spec.timeoutMs = 500;
    REQUIRE(components.declare({{"app", spec}}));
    std::string why;
    components.load("app", LoadCause::demand,
                    [&](const Result<ComponentLoad>& load) { why = load ? "" : load.error().message; });
    fixture.settle();
    std::thread creating(run_next);
    fixture.timers.advance_ms(500);
    CHECK(why == "component \"app\": was not ready within 500 ms: its create() has not returned");
    CHECK(components.find("app")->state == stopping);
    const std::ofstream opened(gate); // waits until it is read
    creating.join();
    fixture.settle();
    run_next(); // destroy()
    fixture.settle();
    CHECK(components.find("app")->state == failed);
}
