// Threads for what blocks: hashing files, opening a library, loading a part of Pillion. Owned by the engine; any thread
// may call. A thread is started when there is work and none is free, and ends when it had none for a while.
#pragma once

#include <functional>
#include <memory>

namespace pillion {

class BlockingWork {
  public:
    static constexpr std::size_t threads_max = 4;

    BlockingWork();
    ~BlockingWork() { stop(); }
    BlockingWork(const BlockingWork&) = delete;

    void run(std::function<void()> work);
    // Work that has not begun is dropped, now and later; what is running is waited for. A thread that does not come
    // back within a second is left to itself: the process is about to end.
    void stop();

  private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace pillion
