// Waiting for a socket, and how long. Private to this module; values, any thread.
#pragma once

#include "ipc/base/clock.h"

#include <algorithm>
#include <cstdint>

namespace pillion {

// How long an exchange may take: it ends after `quiet_ms` without progress, and after eight times that even with some,
// plus a millisecond for each KiB that is to be sent. A server that answers a byte at a time is as good as dead.
class Patience {
  public:
    explicit Patience(std::int64_t quiet_ms, std::size_t bytes = 0)
        : quiet_ns_(quiet_ms * 1'000'000), end_ns_(now() + 8 * quiet_ns_ + static_cast<std::int64_t>(bytes) * 1000) {
        progress();
    }
    void progress() { quiet_until_ns_ = now() + quiet_ns_; }
    // Rounded up; 0 when it is over.
    int left_ms() const {
        const std::int64_t left_ns = std::min(quiet_until_ns_, end_ns_) - now();
        return left_ns <= 0 ? 0 : static_cast<int>((left_ns + 999'999) / 1'000'000);
    }

  private:
    static std::int64_t now() { return system_clock().now_ns(); }
    std::int64_t quiet_ns_;
    std::int64_t end_ns_;
    std::int64_t quiet_until_ns_ = 0;
};

enum class SocketWait : std::uint8_t { ready, timed_out, woken };

// Waits until the socket can be read (or written, where that is asked for as well), `wake` (-1: none) is readable or
// the time is over.
enum class SocketWish : std::uint8_t { read, write, read_or_write };
SocketWait wait_for_socket(int socket, SocketWish wish, int left_ms, int wake = -1);

} // namespace pillion
