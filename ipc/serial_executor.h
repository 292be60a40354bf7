// A thread for what must not run on the caller's and may block: tasks run one after the other. Started at the first
// task; tests run tasks where they are posted instead. Any thread may post.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace pillion {

class SerialExecutor {
  public:
    enum class Mode : unsigned char { thread, in_place };
    // `name` is a constant: the thread's.
    explicit SerialExecutor(const char* name, Mode mode = Mode::thread) : name_(name), mode_(mode) {}
    ~SerialExecutor() { stop(); }
    SerialExecutor(const SerialExecutor&) = delete;

    void post(std::function<void()> task);
    // Runs what is queued and ends the thread; what comes later is dropped. Called by the owner.
    void stop();

  private:
    void run();

    const char* const name_;
    const Mode mode_;
    std::mutex mutex_; // guards what follows
    std::condition_variable changed_;
    std::deque<std::function<void()>> tasks_;
    bool stopped_ = false;
    std::thread thread_;
};

} // namespace pillion
