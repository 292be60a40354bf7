// A dispatcher with everything it needs and nothing else: time stands still until moved, and what is sent can be read.
#pragma once

#include "ipc/dispatcher.h"
#include "ipc/event_hub.h"

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace pillion::test {

class WireFixture {
  public:
    explicit WireFixture(std::vector<Method> methods, DispatcherOptions options = {}, int pipe_bytes = 1 << 20) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
        read_end_ = ends[0];
        write_end_ = ends[1];
        fcntl(write_end_, F_SETPIPE_SZ, pipe_bytes);
        table.add(std::move(methods));
        outbox.emplace(write_end_, pools.buffers, limits::outbox_bytes);
        hub.emplace(EventHub::Host{*outbox, frames, pools.buffers, timers, clock});
        dispatcher.emplace(Dispatcher::Host{table, *outbox, frames, pools, timers, clock}, options);
        outbox->set_hooks({.on_broken = {}, .on_drained = [this] { hub->on_drained(); }});
    }
    ~WireFixture() {
        dispatcher.reset();
        outbox->stop();
        hub.reset();
        outbox.reset();
        close(read_end_);
        close(write_end_);
    }
    WireFixture(const WireFixture&) = delete;

    // Hands one message over; direct answers are sent.
    void send(std::string_view text) {
        dispatcher->begin_read();
        dispatcher->receive(text);
        dispatcher->flush([] { return true; });
    }
    // The next message that was sent; waits for it up to ten seconds. Null if none came.
    nlohmann::json next() {
        for (;;) {
            if (const std::size_t end = received_.find('\n', searched_); end != std::string::npos) {
                auto message = nlohmann::json::parse(received_.substr(0, end));
                received_.erase(0, end + 1);
                searched_ = 0;
                return message;
            }
            searched_ = received_.size();
            if (!read_some(10'000)) return nullptr;
        }
    }
    // Whether nothing was sent that has not been read. Only meaningful when nobody is working any more.
    bool is_silent() { return received_.empty() && !read_some(0); }
    nlohmann::json ask(std::string_view text) {
        send(text);
        return next();
    }

    ManualClock clock;
    ManualTimers timers{clock};
    MemoryPools pools;
    FrameWriter frames;
    MethodTable table;
    std::optional<Outbox> outbox;
    std::optional<EventHub> hub;
    std::optional<Dispatcher> dispatcher;

  private:
    bool read_some(int wait_ms) {
        pollfd ready{.fd = read_end_, .events = POLLIN, .revents = 0};
        if (poll(&ready, 1, wait_ms) <= 0) return false;
        char chunk[65536];
        const ssize_t n = read(read_end_, chunk, sizeof chunk);
        if (n <= 0) return false;
        received_.append(chunk, static_cast<std::size_t>(n));
        return true;
    }
    int read_end_ = -1, write_end_ = -1;
    std::string received_;
    std::size_t searched_ = 0; // of it, for the end of a message: one may be many times as long as what is read at once
};

} // namespace pillion::test
