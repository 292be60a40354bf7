#include "ipc/worker_pool.h"

#include "ipc/base/platform.h"

#include <concurrentqueue/blockingconcurrentqueue.h>
#include <concurrentqueue/lightweightsemaphore.h>

namespace pillion {

std::size_t PriorityPicker::pick(const std::array<bool, priorities>& waiting) {
    std::size_t chosen = priorities;
    for (std::size_t i = 0; i < priorities && chosen == priorities; ++i)
        if (waiting[i] && passed_over_[i] >= passes_max) chosen = i;
    for (std::size_t i = 0; i < priorities && chosen == priorities; ++i)
        if (waiting[i]) chosen = i;
    for (std::size_t i = 0; i < priorities; ++i) {
        if (i == chosen || !waiting[i])
            passed_over_[i] = 0;
        else if (i > chosen)
            ++passed_over_[i];
    }
    return chosen;
}

struct WorkerPool::Queues {
    struct Item {
        CallPtr call;
        std::int64_t submitted_ns = 0;
    };
    std::array<moodycamel::ConcurrentQueue<Item>, priorities> by_priority;
    moodycamel::LightweightSemaphore ready;
};

WorkerPool::WorkerPool(const Clock& clock, std::size_t workers, Runner runner)
    : clock_(clock), workers_max_(workers), runner_(std::move(runner)) {}

WorkerPool::~WorkerPool() { stop(); }

void WorkerPool::start() {
    const std::lock_guard lock(mutex_);
    if (started_.load(std::memory_order_relaxed)) return;
    queues_ = std::make_unique<Queues>();
    started_.store(true, std::memory_order_release);
    for (std::size_t i = 0; i < workers_max_; ++i) threads_.emplace_back([this] { run(); });
}

void WorkerPool::submit(Priority priority, CallPtr call) {
    if (!started_.load(std::memory_order_acquire)) start();
    depth_.fetch_add(1, std::memory_order_relaxed);
    queues_->by_priority[static_cast<std::size_t>(priority)].enqueue({std::move(call), clock_.now_ns()});
    queues_->ready.signal();
}

// The semaphore says that some queue holds an item for us; another worker may reach it first, then there is one more
// elsewhere.
bool WorkerPool::take(CallPtr& call) {
    Queues::Item item;
    while (!stopping_.load(std::memory_order_relaxed)) {
        std::array<bool, priorities> waiting;
        for (std::size_t i = 0; i < priorities; ++i) waiting[i] = queues_->by_priority[i].size_approx() != 0;
        std::size_t chosen;
        {
            const std::lock_guard lock(mutex_);
            chosen = picker_.pick(waiting);
        }
        if (chosen == priorities || !queues_->by_priority[chosen].try_dequeue(item)) continue;
        depth_.fetch_sub(1, std::memory_order_relaxed);
        wait_ns_.record(static_cast<std::uint64_t>(clock_.now_ns() - item.submitted_ns));
        call = std::move(item.call);
        return true;
    }
    return false;
}

void WorkerPool::run() {
    platform::name_thread("pillion-worker");
    CallPtr call;
    while (true) {
        queues_->ready.wait();
        if (!take(call)) return;
        runner_(call);
        call.reset();
    }
}

void WorkerPool::stop() {
    stopping_.store(true, std::memory_order_relaxed);
    if (!started_.load(std::memory_order_acquire)) return;
    queues_->ready.signal(static_cast<std::ptrdiff_t>(workers_max_));
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.join();
}

void WorkerPool::abandon() {
    stopping_.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.detach();
}

} // namespace pillion
