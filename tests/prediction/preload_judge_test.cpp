// Whether preloading was worth it.
#include "modules/prediction/prediction.h"

#include <catch2/catch.hpp>

using namespace pillion;

namespace {
constexpr Preload some{.probability = 0.6, .memory_bytes = 1000, .cpu_ns = 5'000'000, .load_ns = 40'000'000};
}

TEST_CASE("a preload that is used in time is a hit and saves its load", "[prediction]") {
    ManualClock clock;
    PreloadJudge judge({}, clock);
    judge.preloaded("a", some);
    CHECK(judge.worth().pending == 1);
    CHECK(judge.worth().heldBytes == 1000);
    judge.used("a", PreloadUse::was_there);
    judge.used("a", PreloadUse::was_there);
    const PreloadWorth worth = judge.worth();
    CHECK(worth.preloads == 1);
    CHECK(worth.hits == 1);
    CHECK(worth.pending == 0);
    CHECK(worth.savedMs == 40);
    CHECK(worth.precision == 1);
    CHECK(worth.recall == 1);
    CHECK(worth.expectedHits == Approx(0.6));
}

TEST_CASE("a preload that nobody uses is wasted with what it cost", "[prediction]") {
    ManualClock clock;
    PreloadJudge judge({.window_ms = 1000}, clock);
    judge.preloaded("a", some);
    judge.preloaded("b", some);
    clock.advance_ms(1001);
    CHECK(judge.worth().wasted == 2);
    CHECK(judge.worth().wastedBytes == 2000);
    CHECK(judge.worth().wastedCpuMs == 10);
    CHECK(judge.worth().precision == 0);
    judge.used("a", PreloadUse::was_there);
    CHECK(judge.worth().lateHits == 1);
    CHECK(judge.worth().hits == 0);
    CHECK(judge.worth().misses == 0);
}

TEST_CASE("a use past the window is late even if nobody looked meanwhile", "[prediction]") {
    ManualClock clock;
    PreloadJudge judge({.window_ms = 1000}, clock);
    judge.preloaded("a", some);
    clock.advance_ms(5000);
    judge.used("a", PreloadUse::was_there);
    CHECK(judge.worth().lateHits == 1);
    CHECK(judge.worth().wasted == 1);
}

TEST_CASE("a preload that is unloaded unused is wasted at once", "[prediction]") {
    ManualClock clock;
    PreloadJudge judge({}, clock);
    judge.preloaded("a", some);
    judge.unloaded("a");
    judge.unloaded("a");
    judge.unloaded("never seen");
    CHECK(judge.worth().wasted == 1);
}

TEST_CASE("a load on demand that was not foreseen is a miss, a use of what is there is none", "[prediction]") {
    ManualClock clock;
    PreloadJudge judge({}, clock);
    judge.used("a", PreloadUse::was_loaded);
    judge.used("a", PreloadUse::was_there);
    judge.preloaded("b", some);
    judge.used("b", PreloadUse::was_there);
    CHECK(judge.worth().misses == 1);
    CHECK(judge.worth().recall == 0.5);
    CHECK(judge.worth().precision == 1);
}

TEST_CASE("a preload that had not come through saves nothing", "[prediction]") {
    ManualClock clock;
    PreloadJudge judge({}, clock);
    judge.preloaded("a", some);
    judge.used("a", PreloadUse::was_loaded);
    CHECK(judge.worth().hits == 1);
    CHECK(judge.worth().savedMs == 0);
}

TEST_CASE("the cost may be told when it is known", "[prediction]") {
    ManualClock clock;
    PreloadJudge judge({}, clock);
    judge.preloaded("a", {.probability = 0.6});
    judge.preloaded("a", some);
    CHECK(judge.worth().preloads == 1);
    CHECK(judge.worth().heldBytes == 1000);
}

TEST_CASE("pending preloads are bounded, the oldest is judged", "[prediction]") {
    ManualClock clock;
    PreloadJudge judge({.pending_max = 3}, clock);
    for (const char* name : {"a", "b", "c", "d"}) {
        clock.advance_ms(1);
        judge.preloaded(name, some);
    }
    CHECK(judge.worth().pending == 3);
    CHECK(judge.worth().wasted == 1);
    judge.used("b", PreloadUse::was_there);
    CHECK(judge.worth().hits == 1);
}

TEST_CASE("before anything was judged there is nothing to divide by", "[prediction]") {
    ManualClock clock;
    PreloadJudge judge({}, clock);
    CHECK(judge.worth().precision == 0);
    CHECK(judge.worth().recall == 0);
    judge.preloaded("a", some);
    judge.forget();
    CHECK(judge.worth().preloads == 0);
    CHECK(judge.worth().pending == 0);
}
