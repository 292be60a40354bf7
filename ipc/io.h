// The io thread: timers, and for the modules that need them child processes and sockets, on one Boost.Asio context.
// Started at the first need, so a process that is asked for nothing slow has no such thread. What runs on it must not
// block.
#pragma once

#include "ipc/timers.h"

#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace pillion {

class Io final : public Timers {
  public:
    explicit Io(const Clock& clock);
    ~Io() override;

    TimerId after_ms(std::int64_t delay_ms, std::function<void()> task) override;
    bool cancel(TimerId timer) override;
    // Runs the task on the io thread, soon. Any thread.
    void post(std::function<void()> task);
    // The context for modules with sockets and children; starts the thread.
    boost::asio::io_context& context();
    // Ends the thread; what is still waiting never runs. Called once, by the composition root, not on the io thread.
    void stop();

  private:
    struct Engine;
    Engine& engine();
    void arm();

    const Clock& clock_;
    std::mutex mutex_;
    std::unique_ptr<Engine> engine_; // guarded by mutex_ until started, constant afterwards
    std::atomic<Engine*> started_{nullptr};
    bool stopped_ = false; // guarded by mutex_
    TimerQueue queue_;     // goes before the engine: tasks that never ran may hold sockets of its context
};

} // namespace pillion
