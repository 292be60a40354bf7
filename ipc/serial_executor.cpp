#include "ipc/serial_executor.h"

#include "ipc/base/platform.h"

#include <utility>

namespace pillion {

void SerialExecutor::post(std::function<void()> task) {
    if (mode_ == Mode::in_place) return task();
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    tasks_.push_back(std::move(task));
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    changed_.notify_one();
}

void SerialExecutor::run() {
    platform::name_thread(name_);
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopped_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        const std::function<void()> task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
        lock.lock();
    }
}

void SerialExecutor::stop() {
    std::thread ended;
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        ended = std::move(thread_);
        changed_.notify_one();
    }
    if (ended.joinable()) ended.join();
}

} // namespace pillion
