// The workers: threads that take calls by priority. Started at the first call. Any thread may submit.
//
// Four queues (moodycamel::ConcurrentQueue), one per priority. A worker takes from the most urgent one that is not
// empty; a queue that was passed over `passes_max` times while it held something is served next, so low work is slowed
// down by a flood of urgent work and never starved. Queues are bounded by the dispatcher's limit of calls in flight.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/metric.h"
#include "ipc/call.h"

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace pillion {

// Which of the queues to serve next. Pure, so that a test can ask it.
class PriorityPicker {
  public:
    static constexpr unsigned passes_max = 16;
    // Index of the queue to take from, given which are not empty; priorities if all are. Not thread-safe.
    std::size_t pick(const std::array<bool, priorities>& waiting);

  private:
    std::array<unsigned, priorities> passed_over_{};
};

class WorkerPool {
  public:
    using Runner = std::function<void(const CallPtr&)>;

    WorkerPool(const Clock& clock, std::size_t workers, Runner runner);
    ~WorkerPool();

    void submit(Priority priority, CallPtr call);
    // From now on so many, at least one; a busy worker that is too many goes when its call ends.
    void resize(std::size_t workers);
    std::size_t workers() const;
    // Calls waiting for a worker.
    std::size_t depth() const { return depth_.load(std::memory_order_relaxed); }
    const Histogram& wait_ns() const { return wait_ns_; }
    // Lets running calls end and forgets the waiting ones. Called once.
    void stop();
    // As stop(), but for a process that is about to exit with a worker that does not come back.
    void abandon();

  private:
    struct Queues;
    void start();
    void run();
    bool take(CallPtr& call);
    bool may_go();
    void join_gone();

    const Clock& clock_;
    const Runner runner_;
    std::unique_ptr<Queues> queues_;
    std::atomic<std::size_t> depth_{0};
    std::atomic<bool> started_{false};
    std::atomic<bool> stopping_{false};
    Histogram wait_ns_;
    std::atomic<std::size_t> too_many_{0}; // are to go; the semaphore wakes a thread for each. Changed under mutex_
    mutable std::mutex mutex_;             // guards what follows
    PriorityPicker picker_;
    std::size_t workers_; // wanted
    std::vector<std::thread> threads_;
    std::vector<std::thread::id> gone_; // threads that have nothing more to do than end
};

} // namespace pillion
