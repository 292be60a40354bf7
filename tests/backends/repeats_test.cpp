// What is known of methods whose answers are not kept.
#include "modules/backends/backend_repeats.h"
#include "tests/backends/fake_backend.h"

using namespace pillion;
using namespace pillion::test;

TEST_CASE_METHOD(BackendsFixture, "calls that repeat are counted, and answers that differ", "[backends]") {
    declare(plain());
    call("stat", R"({"path":"/a"})");
    process().answer(1, "x");
    call("stat", R"({"path":"/b"})");
    process().answer(2, "y");
    call("stat", R"({"path":"/a"})");
    timers.advance_ms(20);
    process().answer(3, "x");
    REQUIRE(backends.repeats().size() == 1);
    const BackendRepeated same = backends.repeats()[0];
    CHECK(same.backend == "files");
    CHECK(same.method == "stat");
    CHECK(same.calls == 3);
    CHECK(same.repeats == 1);
    CHECK(same.contradictions == 0);
    CHECK(same.meanMs == Approx(20.0 / 3));
    call("stat", R"({"path":"/b"})");
    process().answer(4, "otherwise");
    CHECK(backends.repeats()[0].contradictions == 1);
}

TEST_CASE_METHOD(BackendsFixture, "answers that are kept are not watched", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get*")};
    declare(spec);
    call("getUser", R"({"id":1})");
    process().answer(1, "Ada");
    CHECK(backends.repeats().empty());
}

TEST_CASE("however many methods and params there are, little is remembered of them", "[backends]") {
    BackendRepeats repeats;
    for (int i = 0; i < 100'000; ++i) {
        const std::string method = "m" + std::to_string(i % 1000);
        repeats.saw(method, BackendRepeats::hash(method, std::to_string(i)), "1", 1000);
    }
    CHECK(repeats.read().size() == BackendRepeats::methods_max);
    for (const BackendRepeated& repeated : repeats.read()) CHECK(repeated.repeats == 0);
}
