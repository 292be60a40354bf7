// How many calls run at a time, also while that number changes.
#include "ipc/worker_pool.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>

using namespace pillion;

namespace {

// Calls that run until they are let go.
struct Work {
    std::mutex mutex;
    std::condition_variable changed;
    int running = 0, running_max = 0, ended = 0, may_end = 0;

    void run() {
        std::unique_lock lock(mutex);
        running_max = std::max(running_max, ++running);
        changed.notify_all();
        changed.wait(lock, [this] { return may_end > 0; });
        --may_end;
        --running;
        ++ended;
        changed.notify_all();
    }
    void let_end(int calls) {
        const std::lock_guard lock(mutex);
        may_end += calls;
        changed.notify_all();
    }
    void wait_for_running(int calls) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return running == calls; });
    }
    void wait_for_ended(int calls) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return ended == calls; });
    }
};

void submit(WorkerPool& pool, int calls) {
    for (int i = 0; i < calls; ++i) pool.submit(Priority::normal, nullptr);
}

} // namespace

TEST_CASE("more workers take what waits for one", "[worker_pool]") {
    Work work;
    WorkerPool pool(system_clock(), 1, [&work](const CallPtr&) { work.run(); });
    submit(pool, 3);
    work.wait_for_running(1);
    pool.resize(3);
    CHECK(pool.workers() == 3);
    work.wait_for_running(3);
    work.let_end(3);
    work.wait_for_ended(3);
}

TEST_CASE("workers that are too many go when their call ends, and what waits is not lost", "[worker_pool]") {
    Work work;
    WorkerPool pool(system_clock(), 4, [&work](const CallPtr&) { work.run(); });
    submit(pool, 4);
    work.wait_for_running(4);
    pool.resize(1);
    submit(pool, 20);
    work.let_end(4);
    work.wait_for_ended(4);
    {
        const std::lock_guard lock(work.mutex);
        work.running_max = 0;
    }
    work.let_end(20);
    work.wait_for_ended(24);
    CHECK(work.running_max == 1);
    pool.resize(2);
    submit(pool, 2);
    work.wait_for_running(2);
    work.let_end(2);
    work.wait_for_ended(26);
}

TEST_CASE("a number of workers that changes again and again loses no call", "[worker_pool]") {
    Work work;
    WorkerPool pool(system_clock(), 2, [&work](const CallPtr&) { work.run(); });
    work.let_end(25); // less than fills a block of the queues, whose reuse ThreadSanitizer does not understand
    for (int i = 0; i < 100; ++i) {
        if (i % 4 == 0) submit(pool, 1);
        pool.resize(static_cast<std::size_t>(i * 7 % 5 + 1));
    }
    work.wait_for_ended(25);
    CHECK(pool.depth() == 0);
}

TEST_CASE("there is always a worker, and how many is known before any has begun", "[worker_pool]") {
    Work work;
    WorkerPool pool(system_clock(), 2, [&work](const CallPtr&) { work.run(); });
    pool.resize(0);
    CHECK(pool.workers() == 1);
    work.let_end(1);
    submit(pool, 1);
    work.wait_for_ended(1);
}
