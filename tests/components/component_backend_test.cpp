// Components of kind backend: the runner between the engine and whoever keeps backends.
#include "tests/components/component_fixture.h"

using namespace pillion;
using namespace pillion::test;
using enum ComponentState;

namespace {

// Backends that do as the test says.
struct BackendFixture : ComponentFixture {
    std::vector<std::string> log;
    std::map<std::string, BackendControl::Done> starting;
    Result<void> sleeps{};
    std::shared_ptr<BackendRunner> backends = std::make_shared<BackendRunner>(BackendControl{
        .start =
            [this](const std::string& name, BackendControl::Done done) {
                log.push_back("start " + name);
                starting[name] = std::move(done);
            },
        .sleep =
            [this](const std::string& name, const BackendControl::Done& done) {
                log.push_back("sleep " + name);
                done(sleeps);
            },
        .stop =
            [this](const std::string& name, const BackendControl::Done& done) {
                log.push_back("stop " + name);
                done({});
            },
        .check = [](const std::string& name) -> Result<void> {
            if (name == "files") return {};
            return fail(ErrorCode::invalid_params, "component \"" + name + "\": there is no backend of that name");
        }});

    BackendFixture() {
        components.set_runner(ComponentKind::backend, backends);
        declare({{"files", backend()}});
    }
    static ComponentSpec backend() {
        ComponentSpec spec;
        spec.kind = ComponentKind::backend;
        spec.load = LoadRule::firstUse;
        return spec;
    }
};

} // namespace

TEST_CASE_METHOD(BackendFixture, "a backend is started by its component and put to sleep with it", "[components]") {
    const auto demand = load("files");
    CHECK(state("files") == loading);
    starting["files"]({});
    settle();
    CHECK(demand->answer->has_value());
    components.unload("files", [](const Result<void>&) {});
    settle();
    CHECK(state("files") == idle);
    CHECK(log == std::vector<std::string>{"start files", "sleep files"});
}

TEST_CASE_METHOD(BackendFixture, "a backend that cannot sleep is stopped", "[components]") {
    load("files");
    starting["files"]({});
    settle();
    sleeps = fail(ErrorCode::failed_precondition, "calls are in flight");
    components.unload("files", [](const Result<void>&) {});
    settle();
    CHECK(log.back() == "stop files");
    CHECK(state("files") == idle);
}

TEST_CASE_METHOD(BackendFixture, "a backend that sleeps leaves its component idle, and one that fails failed",
                 "[components]") {
    load("files");
    starting["files"]({});
    settle();
    backends->ended("files", ComponentEnd::slept, "nobody called for 300 s");
    backends->ended("files", ComponentEnd::failed, "told twice");
    settle();
    CHECK(state("files") == idle);
    CHECK(info("files").reason == "it sleeps: nobody called for 300 s");
    load("files");
    starting["files"]({});
    settle();
    backends->ended("files", ComponentEnd::failed, "crashed 6 times");
    settle();
    CHECK(state("files") == failed); // it has been restarted often enough already
    CHECK(info("files").reason == "crashed 6 times");
}

TEST_CASE_METHOD(BackendFixture, "a handshake that fails is the error of the load", "[components]") {
    const auto demand = load("files");
    starting["files"](fail(ErrorCode::unavailable, "did not answer initialize"));
    settle();
    CHECK(error(demand) == "component \"files\": did not answer initialize");
}

TEST_CASE_METHOD(BackendFixture, "a component without its backend is refused where it is declared", "[components]") {
    const auto declared = components.declare({{"fils", backend()}});
    REQUIRE(!declared);
    CHECK(declared.error().message == "component \"fils\": there is no backend of that name");
}
