// Cuts the byte stream of stdin into messages: one JSON text per line, or LSP's `Content-Length` headers, told apart by
// the first byte that is not white space and then fixed. One thread: the reader.
//
//     std::span<char> free = framer.space();           // where the next read() puts its bytes
//     framer.commit(n);
//     while (auto frame = framer.next()) ...           // frame->text is valid until space() is called again
//     framer.finish();                                 // end of input; a last line without newline is a message too
//
// Memory: one buffer, 64 KiB, grown only for a message that does not fit, up to the message limit, and given back when
// that message is done. What is over the limit streams by without being held.
#pragma once

#include "ipc/base/error.h"
#include "ipc/base/limits.h"
#include "ipc/base/pool.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace pillion {

enum class Framing : unsigned char { automatic, lines, headers };

struct Frame {
    std::string_view text{};      // a message, or
    std::optional<Error> fault{}; // what to answer in its place (id null)
    bool fatal = false;           // the stream cannot be followed any further: answer, then end
};

class Framer {
  public:
    Framer(BufferPool& pool, Framing framing, std::size_t message_bytes_max = limits::message_bytes);

    std::span<char> space();
    void commit(std::size_t bytes);
    std::optional<Frame> next();
    // What is left at the end of input: a last message, or the fault of one cut short.
    std::optional<Frame> finish();

    // What was found or set; `automatic` while nothing has been seen.
    Framing framing() const { return framing_; }
    // Whether a message has begun that is not yet whole.
    bool inside_message() const { return consumed_ < buffer_.size() || skipping_; }

  private:
    std::optional<Frame> next_line();
    std::optional<Frame> next_block();
    std::optional<Frame> header_fault(std::string message);
    Frame over_limit() const;
    std::string_view unread() const { return buffer_.view().substr(consumed_); }
    void detect();
    std::size_t growth() const;
    void shrink();
    Result<std::size_t> content_length(std::string_view header) const;

    Buffer buffer_;
    Framing framing_;
    const std::size_t message_bytes_max_;
    std::size_t consumed_ = 0;   // bytes at the front of the buffer that are done with
    std::size_t scanned_ = 0;    // bytes from there in which no newline stands
    std::size_t body_bytes_ = 0; // headers: the length of the body that follows
    bool in_body_ = false;       // headers: the block has been read
    bool skipping_ = false;      // a message over the limit is streaming by
    std::size_t skip_bytes_ = 0; // headers: how much of it is still to come
    bool dead_ = false;
    bool large_before_ = false; // the buffer has been needed at its grown size
    unsigned reads_since_large_ = 0;
    bool start_ = true; // nothing but white space and a byte order mark has been seen
};

} // namespace pillion
