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
    // Work that has not begun is dropped. A thread that does not come back within a second is left to itself: the
    // process is about to end.
    ~BlockingWork();
    BlockingWork(const BlockingWork&) = delete;

    void run(std::function<void()> work);

  private:
    struct State;
    std::shared_ptr<State> state_;
};

} // namespace pillion
