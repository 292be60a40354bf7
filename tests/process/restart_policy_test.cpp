#include "modules/process/process.h"

#include <catch2/catch.hpp>

using namespace pillion;

namespace {

using Action = RestartDecision::Action;

struct Policy {
    explicit Policy(RestartOptions options, double chance = 0.5)
        : policy(options, clock, [chance] { return chance; }) {}
    RestartDecision crash(std::int64_t ran_ms = 10) {
        clock.advance_ms(ran_ms);
        return policy.ended({.code = 1, .ran_ms = ran_ms});
    }
    ManualClock clock;
    RestartPolicy policy;
};

} // namespace

TEST_CASE("a requested stop never restarts", "[process]") {
    Policy policy({.rule = RestartRule::always});
    CHECK(policy.policy.ended({.signal = 15, .was_requested = true}).action == Action::leave);
}

TEST_CASE("each rule restarts what it says", "[process]") {
    const ProcessExit well{.code = 0};
    const ProcessExit badly{.code = 1};
    const ProcessExit killed{.signal = 9};
    CHECK(Policy({.rule = RestartRule::never}).policy.ended(badly).action == Action::leave);
    CHECK(Policy({.rule = RestartRule::on_failure}).policy.ended(well).action == Action::leave);
    CHECK(Policy({.rule = RestartRule::on_failure}).policy.ended(badly).action == Action::restart);
    CHECK(Policy({.rule = RestartRule::on_failure}).policy.ended(killed).action == Action::restart);
    CHECK(Policy({.rule = RestartRule::always}).policy.ended(well).action == Action::restart);
}

TEST_CASE("delays grow by the factor up to the largest", "[process]") {
    Policy policy({.initial_ms = 100, .max_ms = 700, .factor = 2, .crashes_max = 100});
    for (const std::int64_t delay_ms : {100, 200, 400, 700, 700}) CHECK(policy.crash().delay_ms == delay_ms);
    CHECK(policy.policy.restarts() == 5);
}

TEST_CASE("jitter moves a delay to either side and no further", "[process]") {
    CHECK(Policy({.initial_ms = 1000, .jitter = 0.2}, 0.0).crash().delay_ms == 800);
    CHECK(Policy({.initial_ms = 1000, .jitter = 0.2}, 0.999999).crash().delay_ms == 1199);
    CHECK(Policy({.initial_ms = 1000, .jitter = 0}, 0.0).crash().delay_ms == 1000);
}

TEST_CASE("a crash loop is given up, and the reason says so", "[process]") {
    Policy policy({.crashes_max = 3, .window_ms = 60'000});
    for (int crashes = 0; crashes < 3; ++crashes) CHECK(policy.crash().action == Action::restart);
    const RestartDecision last = policy.crash();
    CHECK(last.action == Action::give_up);
    CHECK(last.reason ==
          "ended 4 times within 60 s, more than the 3 allowed; the last time it exited with status 1 after 10 ms");
}

TEST_CASE("crashes further apart than the window are no loop", "[process]") {
    Policy policy({.crashes_max = 2, .window_ms = 1000, .healthy_ms = 1'000'000});
    for (int crashes = 0; crashes < 20; ++crashes) CHECK(policy.crash(600).action == Action::restart);
}

TEST_CASE("having been healthy for long enough is a new beginning", "[process]") {
    Policy policy({.initial_ms = 100, .crashes_max = 2, .window_ms = 1'000'000, .healthy_ms = 5000});
    policy.crash();
    CHECK(policy.crash().delay_ms == 200);
    const RestartDecision after = policy.crash(5000);
    CHECK(after.action == Action::restart);
    CHECK(after.delay_ms == 100);
}

TEST_CASE("a jump of the wall clock does not matter to restarts", "[process]") {
    Policy policy({.crashes_max = 2});
    policy.crash();
    policy.clock.jump_wall_ms(365LL * 24 * 3600 * 1000);
    policy.crash();
    policy.clock.jump_wall_ms(-730LL * 24 * 3600 * 1000);
    CHECK(policy.crash().action == Action::give_up);
}

TEST_CASE("a reset forgets earlier crashes", "[process]") {
    Policy policy({.initial_ms = 100, .crashes_max = 1});
    policy.crash();
    policy.policy.reset();
    CHECK(policy.crash().delay_ms == 100);
}
