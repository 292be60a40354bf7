#include "ipc/worker_pool.h"

#include "ipc/base/platform.h"

#include <algorithm>
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
    : clock_(clock), runner_(std::move(runner)), workers_(workers) {}

WorkerPool::~WorkerPool() { stop(); }

void WorkerPool::start() {
    const std::lock_guard lock(mutex_);
    if (started_.load(std::memory_order_relaxed)) return;
    queues_ = std::make_unique<Queues>();
    started_.store(true, std::memory_order_release);
    for (std::size_t i = 0; i < workers_; ++i) threads_.emplace_back([this] { run(); });
}

std::size_t WorkerPool::workers() const {
    const std::lock_guard lock(mutex_);
    return workers_;
}

void WorkerPool::resize(std::size_t workers) {
    const std::lock_guard lock(mutex_);
    workers_ = std::max<std::size_t>(1, workers);
    if (!started_.load(std::memory_order_relaxed) || stopping_.load(std::memory_order_relaxed)) return;
    join_gone();
    std::size_t staying = threads_.size() - too_many_.load(std::memory_order_relaxed);
    for (; staying < workers_; ++staying) threads_.emplace_back([this] { run(); });
    if (staying == workers_) return;
    too_many_.fetch_add(staying - workers_, std::memory_order_relaxed);
    queues_->ready.signal(static_cast<std::ptrdiff_t>(staying - workers_));
}

// mutex_ is held.
void WorkerPool::join_gone() {
    std::erase_if(threads_, [this](std::thread& thread) {
        if (std::ranges::find(gone_, thread.get_id()) == gone_.end()) return false;
        thread.join();
        return true;
    });
    gone_.clear();
}

// Whether this worker is one too many. What woke it is as good as what tells it to go: there are as many wakings as
// calls and goings together.
bool WorkerPool::may_go() {
    if (too_many_.load(std::memory_order_relaxed) == 0) return false;
    const std::lock_guard lock(mutex_);
    if (too_many_.load(std::memory_order_relaxed) == 0) return false;
    too_many_.fetch_sub(1, std::memory_order_relaxed);
    gone_.push_back(std::this_thread::get_id());
    return true;
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
        if (may_go() || !take(call)) return;
        runner_(call);
        call.reset();
    }
}

void WorkerPool::stop() {
    stopping_.store(true, std::memory_order_relaxed);
    if (!started_.load(std::memory_order_acquire)) return;
    std::vector<std::thread> threads;
    {
        const std::lock_guard lock(mutex_);
        threads = std::move(threads_);
    }
    queues_->ready.signal(static_cast<std::ptrdiff_t>(threads.size()));
    for (std::thread& thread : threads)
        if (thread.joinable()) thread.join();
}

void WorkerPool::abandon() {
    stopping_.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads_)
        if (thread.joinable()) thread.detach();
}

} // namespace pillion
