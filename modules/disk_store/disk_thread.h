// A thread that runs what is posted to it, in order; started at the first need. Private to the module; any thread.
#pragma once

#include "ipc/base/platform.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace pillion {

class DiskThread {
  public:
    explicit DiskThread(const char* name) : name_(name) {}
    DiskThread(const DiskThread&) = delete;
    ~DiskThread() { stop(); }

    // False after stop(): the task is not run.
    bool post(std::function<void()> task) {
        const std::lock_guard lock(mutex_);
        if (stopped_) return false;
        tasks_.push_back(std::move(task));
        if (!thread_.joinable())
            thread_ = std::thread([this] {
                platform::name_thread(name_);
                run();
            });
        posted_.notify_one();
        return true;
    }

    // Runs what was posted, and ends.
    void stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
            posted_.notify_one();
        }
        if (thread_.joinable()) thread_.join();
    }

  private:
    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            posted_.wait(lock, [this] { return !tasks_.empty() || stopped_; });
            if (tasks_.empty()) return;
            const std::function<void()> task = std::move(tasks_.front());
            tasks_.pop_front();
            lock.unlock();
            task();
            lock.lock();
        }
    }

    const char* const name_;
    std::mutex mutex_; // guards what follows
    std::condition_variable posted_;
    std::deque<std::function<void()>> tasks_;
    bool stopped_ = false;
    std::thread thread_;
};

} // namespace pillion
