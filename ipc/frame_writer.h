// Puts messages into their frame on the way out: a newline behind them, or LSP's header before them. Any thread; the
// framing is fixed before the first message.
#pragma once

#include "ipc/base/pool.h"
#include "ipc/framing.h"

#include <charconv>

namespace pillion {

class FrameWriter {
  public:
    void set_framing(Framing framing) { headers_.store(framing == Framing::headers, std::memory_order_relaxed); }

    // Starts a message at the end of `out`; pass what it returns to end() or abandon().
    std::size_t begin(Buffer& out) const {
        const std::size_t mark = out.size();
        if (headers_.load(std::memory_order_relaxed)) out.append(blank_header);
        return mark;
    }
    void end(Buffer& out, std::size_t mark) const {
        if (!headers_.load(std::memory_order_relaxed)) return out.append('\n');
        // The length is known only now; its place was reserved with spaces, which header readers trim.
        char digits[20];
        const char* const digits_end =
            std::to_chars(digits, digits + sizeof digits, out.size() - mark - blank_header.size()).ptr;
        const std::size_t length = static_cast<std::size_t>(digits_end - digits);
        std::memcpy(out.data() + mark + blank_header.size() - 4 - length, digits, length);
    }
    void abandon(Buffer& out, std::size_t mark) const { out.truncate(mark); }

  private:
    static constexpr std::string_view blank_header = "Content-Length:            \r\n\r\n";
    std::atomic<bool> headers_{false};
};

} // namespace pillion
