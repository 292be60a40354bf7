#include "ipc/timers.h"

#include <catch2/catch.hpp>
#include <memory>
#include <string>

using namespace pillion;

TEST_CASE("tasks run by the time they are due, equals in the order they came", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    std::string order;
    timers.after_ms(20, [&] { order += 'c'; });
    timers.after_ms(10, [&] { order += 'a'; });
    timers.after_ms(20, [&] { order += 'd'; });
    timers.after_ms(10, [&] { order += 'b'; });
    timers.advance_ms(9);
    CHECK(order.empty());
    timers.advance_ms(1);
    CHECK(order == "ab");
    timers.advance_ms(100);
    CHECK(order == "abcd");
}

TEST_CASE("a task runs once", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    int runs = 0;
    timers.after_ms(1, [&] { ++runs; });
    timers.advance_ms(10);
    timers.advance_ms(10);
    CHECK(runs == 1);
}

TEST_CASE("a task without delay runs at the next look, not at once", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    bool ran = false;
    timers.after_ms(0, [&] { ran = true; });
    CHECK_FALSE(ran);
    timers.advance_ms(0);
    CHECK(ran);
}

TEST_CASE("a cancelled task does not run, and only a waiting one can be cancelled", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    bool ran = false;
    const TimerId timer = timers.after_ms(5, [&] { ran = true; });
    CHECK(timers.cancel(timer));
    CHECK_FALSE(timers.cancel(timer));
    timers.advance_ms(10);
    CHECK_FALSE(ran);
    const TimerId done = timers.after_ms(1, [] {});
    timers.advance_ms(1);
    CHECK_FALSE(timers.cancel(done));
    CHECK_FALSE(timers.cancel(TimerId{}));
}

TEST_CASE("cancelling one of two that are due together leaves the other", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    std::string order;
    const TimerId first = timers.after_ms(5, [&] { order += 'a'; });
    const TimerId second = timers.after_ms(5, [&] { order += 'b'; });
    CHECK(first != second);
    CHECK(timers.cancel(first));
    timers.advance_ms(5);
    CHECK(order == "b");
}

TEST_CASE("a task sees the time at which it was due", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    const std::int64_t start_ns = clock.now_ns();
    std::int64_t seen_ns = 0;
    timers.after_ms(30, [&] { seen_ns = clock.now_ns(); });
    timers.advance_ms(100);
    CHECK(seen_ns == start_ns + 30'000'000);
    CHECK(clock.now_ns() == start_ns + 100'000'000);
}

TEST_CASE("a task may schedule another, which runs in its turn", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    int ticks = 0;
    std::function<void()> tick = [&] {
        ++ticks;
        timers.after_ms(10, tick);
    };
    timers.after_ms(10, tick);
    timers.advance_ms(35);
    CHECK(ticks == 3);
    timers.advance_ms(5);
    CHECK(ticks == 4);
}

TEST_CASE("a task may cancel another that is due with it", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    bool ran = false;
    TimerId second;
    timers.after_ms(5, [&] { CHECK(timers.cancel(second)); });
    second = timers.after_ms(5, [&] { ran = true; });
    timers.advance_ms(5);
    CHECK_FALSE(ran);
}

TEST_CASE("a cancelled task lets go of what it held, and may use the timers as it goes", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    struct Owner {
        ManualTimers& timers;
        ~Owner() {
            timers.after_ms(1, [] {});
        }
    };
    auto owner = std::make_shared<Owner>(timers);
    const std::weak_ptr<Owner> watch = owner;
    const TimerId timer = timers.after_ms(5, [owner = std::move(owner)] {});
    CHECK_FALSE(watch.expired());
    CHECK(timers.cancel(timer)); // would lock itself out if the task ended under the lock
    CHECK(watch.expired());
}

TEST_CASE("a jump of the wall clock moves no timer", "[timers]") {
    ManualClock clock;
    ManualTimers timers(clock);
    bool ran = false;
    timers.after_ms(5, [&] { ran = true; });
    clock.jump_wall_ms(1'000'000);
    timers.advance_ms(4);
    CHECK_FALSE(ran);
    timers.advance_ms(1);
    CHECK(ran);
}

TEST_CASE("a queue tells when it is next due and gives nothing before", "[timers]") {
    TimerQueue queue;
    CHECK_FALSE(queue.next_ns());
    CHECK_FALSE(queue.take_due(1'000));
    queue.add(200, [] {});
    const TimerId first = queue.add(100, [] {});
    CHECK(queue.next_ns() == 100);
    CHECK_FALSE(queue.take_due(99));
    CHECK(queue.remove(first));
    CHECK(queue.next_ns() == 200);
    CHECK(queue.take_due(200));
    CHECK_FALSE(queue.next_ns());
}
