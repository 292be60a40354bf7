// The reader thread: reads stdin, hands messages to the dispatcher, sends what came of them, and ends the process in
// good order. This is the whole life of `pillion serve`.
#pragma once

#include "ipc/dispatcher.h"
#include "ipc/framing.h"

#include <cstdint>
#include <functional>

namespace pillion {

struct ServerOptions {
    Framing framing = Framing::automatic;
    std::size_t message_bytes_max = limits::message_bytes;
    std::int64_t shutdown_ms = limits::shutdown_ms;
    // Nothing more is read, and what was accepted is about to be waited for: ends what nobody could wait for. On the
    // reader thread.
    std::function<void()> on_ending{};
};

class Server {
  public:
    Server(int input, Dispatcher& dispatcher, Outbox& outbox, FrameWriter& frames, MemoryPools& pools,
           const ServerOptions& options);

    // Serves until the end of input or a request to end (lifetime.h), then finishes what was accepted and flushes, both
    // within the shutdown time. False if that time was not enough: then threads may still be busy and the process
    // should end without waiting for them.
    bool run();

  private:
    void read_all();
    void take_frames();
    bool take(const Frame& frame);

    const int input_;
    Dispatcher& dispatcher_;
    Outbox& outbox_;
    FrameWriter& frames_;
    Framer framer_;
    const ServerOptions options_;
    bool stream_is_broken_ = false;
};

} // namespace pillion
