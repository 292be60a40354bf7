// What of a backend may change while it runs.
#include "tests/backends/fake_backend.h"

using namespace pillion;
using namespace pillion::test;

TEST_CASE_METHOD(BackendsFixture, "answers of a method that was tuned are kept until it is tuned back", "[backends]") {
    declare(plain());
    call("stat", R"({"path":"/a"})");
    process().answer(1, "x");
    CHECK_FALSE(cached("stat", R"({"path":"/a"})"));
    REQUIRE(backends.tune("files", {.kept_ms = {{"stat", 60'000}}}));
    call("stat", R"({"path":"/a"})");
    process().answer(2, "x");
    CHECK(cached("stat", R"({"path":"/a"})") == "x");
    CHECK_FALSE(cached("list", R"({"path":"/a"})"));
    timers.advance_ms(60'000);
    CHECK_FALSE(cached("stat", R"({"path":"/a"})"));
    call("stat", R"({"path":"/b"})");
    process().answer(3, "y");
    REQUIRE(backends.tune("files", {}));
    CHECK_FALSE(cached("stat", R"({"path":"/b"})"));
    CHECK(stats().cacheEntries == 0);
    CHECK(transports.started.size() == 1); // it ran on
}

TEST_CASE_METHOD(BackendsFixture, "an answer on its way when a method is tuned back is not kept", "[backends]") {
    declare(plain());
    REQUIRE(backends.tune("files", {.kept_ms = {{"stat", 60'000}}}));
    const auto waiting = call("stat");
    REQUIRE(backends.tune("files", {}));
    REQUIRE(backends.tune("files", {.kept_ms = {{"stat", 60'000}}}));
    process().answer(1, "x");
    CHECK(waiting->value == "x");
    CHECK_FALSE(cached("stat"));
}

TEST_CASE_METHOD(BackendsFixture, "a method whose answers are kept for now is not watched for repeats", "[backends]") {
    declare(plain());
    call("stat");
    process().answer(1, "x");
    REQUIRE(backends.repeats().size() == 1);
    REQUIRE(backends.tune("files", {.kept_ms = {{"stat", 60'000}}}));
    CHECK(backends.repeats().empty());
    REQUIRE(backends.tune("files", {}));
    CHECK(backends.repeats().size() == 1);
}

TEST_CASE_METHOD(BackendsFixture, "more calls at a time leave at once, fewer with the answers", "[backends]") {
    BackendSpec spec = plain();
    spec.concurrency = 1;
    declare(spec);
    for (int i = 0; i < 4; ++i) call("m" + std::to_string(i));
    CHECK(process().written.size() == 1);
    CHECK(stats().queueHighWater == 3);
    REQUIRE(backends.tune("files", {.concurrency = 3}));
    CHECK(process().written.size() == 3);
    CHECK(stats().queueHighWater == 1);
    CHECK(backends.limits("files")->concurrency == 3);
    REQUIRE(backends.tune("files", {}));
    process().answer(1, "x");
    CHECK(process().written.size() == 3);
    process().answer(2, "x");
    process().answer(3, "x");
    CHECK(process().written.size() == 4);
    CHECK(backends.limits("files")->concurrency == 1);
}

TEST_CASE_METHOD(BackendsFixture, "more room in the queue lets calls wait that would be refused", "[backends]") {
    BackendSpec spec = plain();
    spec.concurrency = 1;
    spec.queueMax = 1;
    declare(spec);
    call("a");
    call("b");
    CHECK(call("c")->error->code == ErrorCode::exhausted);
    REQUIRE(backends.tune("files", {.queueMax = 2}));
    CHECK_FALSE(call("d")->error);
    CHECK(call("e")->error->code == ErrorCode::exhausted);
}

TEST_CASE_METHOD(BackendsFixture, "a tuning that no declaration could say is refused", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get*")};
    declare(spec);
    CHECK(backends.tune("nobody", {}).error().code == ErrorCode::not_found);
    CHECK(backends.tune("files", {.concurrency = 0}).error().code == ErrorCode::invalid_params);
    CHECK(backends.tune("files", {.queueMax = 0}).error().code == ErrorCode::invalid_params);
    CHECK(backends.tune("files", {.kept_ms = {{"stat", 0}}}).error().code == ErrorCode::invalid_params);
    CHECK(backends.tune("files", {.kept_ms = {{"getUser", 1000}}}).error().message ==
          "backend \"files\": a cache rule covers getUser already");
    CHECK(backends.tuning("files")->kept_ms.empty());
}

TEST_CASE_METHOD(BackendsFixture, "a backend that is declared anew is as it is declared", "[backends]") {
    declare(plain());
    REQUIRE(backends.tune("files", {.concurrency = 7, .kept_ms = {{"stat", 60'000}}}));
    BackendSpec spec = plain();
    spec.timeoutMs = 5;
    declare(spec);
    CHECK_FALSE(backends.tuning("files")->concurrency);
    CHECK(backends.limits("files")->concurrency == spec.concurrency);
}
