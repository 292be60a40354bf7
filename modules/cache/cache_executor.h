// A thread of the cache's own for what must not run on the caller's: opening a tier, unsealing large values, files. One
// thread, started at the first task; tests run tasks where they are posted instead. Any thread may post.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace pillion {

class CacheExecutor {
  public:
    enum class Mode : unsigned char { thread, in_place };
    explicit CacheExecutor(Mode mode = Mode::thread) : mode_(mode) {}
    ~CacheExecutor() { stop(); }
    CacheExecutor(const CacheExecutor&) = delete;

    void post(std::function<void()> task);
    // Runs what is queued and ends the thread; what comes later is dropped. Called by the owner.
    void stop();

  private:
    void run();

    const Mode mode_;
    std::mutex mutex_; // guards what follows
    std::condition_variable changed_;
    std::deque<std::function<void()>> tasks_;
    bool stopped_ = false;
    std::thread thread_;
};

} // namespace pillion
