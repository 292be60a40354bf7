// Pillion's own requests to the client, over the outbox: numbered, remembered until answered or forgotten. Owned by the
// composition root, which hands it the responses:
//
//     dispatcher.set_response_handler([&link](const Message& message) { return link.take(message); });
//
// Any thread; take() is the reader thread's.
#pragma once

#include "ipc/frame_writer.h"
#include "ipc/message.h"
#include "ipc/outbox.h"
#include "modules/backends/backends.h"

#include <map>
#include <mutex>

namespace pillion {

class ClientLink final : public ClientRequests {
  public:
    ClientLink(Outbox& outbox, FrameWriter& frames, BufferPool& buffers)
        : outbox_(outbox), frames_(frames), buffers_(buffers) {}

    Result<std::uint64_t> ask(std::string_view method, std::string_view params,
                              std::function<void(const Result<std::string_view>&)> done) override;
    void forget(std::uint64_t number) override;
    void notify(std::string_view method, std::string_view params) override;
    // Takes the response to one of our requests; false if it is none.
    bool take(const Message& message);

  private:
    void send(std::string_view text);

    static constexpr std::size_t waiting_max = 256;
    Outbox& outbox_;
    FrameWriter& frames_;
    BufferPool& buffers_;
    std::mutex mutex_;
    std::uint64_t last_ = 0;                                                                // guarded by mutex_
    std::map<std::uint64_t, std::function<void(const Result<std::string_view>&)>> waiting_; // guarded by mutex_
};

} // namespace pillion
