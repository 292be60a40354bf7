#include "modules/components/blocking_work.h"

#include "ipc/base/platform.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace pillion {

namespace {
constexpr std::chrono::seconds idle_max{5};
constexpr std::chrono::seconds end_wait_max{1};
} // namespace

// Shared with the threads, which may outlive the object.
struct BlockingWork::State {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::function<void()>> queue; // guarded by mutex, as all that follows
    std::size_t threads = 0;
    std::size_t idle = 0;
    bool ending = false;

    void work() {
        platform::name_thread("pillion-load");
        std::unique_lock lock(mutex);
        for (;;) {
            ++idle;
            const bool woken = changed.wait_for(lock, idle_max, [&] { return ending || !queue.empty(); });
            --idle;
            if (!woken || ending) break;
            auto job = std::move(queue.front());
            queue.pop_front();
            lock.unlock();
            job();
            job = {};
            lock.lock();
        }
        --threads;
        changed.notify_all();
    }
};

BlockingWork::BlockingWork() : state_(std::make_shared<State>()) {}

void BlockingWork::stop() {
    std::deque<std::function<void()>> dropped;
    std::unique_lock lock(state_->mutex);
    state_->ending = true;
    dropped.swap(state_->queue);
    state_->changed.notify_all();
    state_->changed.wait_for(lock, end_wait_max, [&] { return state_->threads == 0; });
}

void BlockingWork::run(std::function<void()> work) {
    const std::lock_guard lock(state_->mutex);
    if (state_->ending) return;
    state_->queue.push_back(std::move(work));
    if (state_->queue.size() > state_->idle && state_->threads < threads_max) {
        ++state_->threads;
        std::thread([state = state_] { state->work(); }).detach();
    } else {
        state_->changed.notify_one();
    }
}

} // namespace pillion
