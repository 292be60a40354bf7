#include "ipc/framing.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace pillion {

namespace {

constexpr std::size_t buffer_bytes = 64 * limits::kKiB;
constexpr std::size_t kept_bytes_max = 4 * limits::kMiB;
constexpr unsigned kept_reads = 64;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

} // namespace

Framer::Framer(BufferPool& pool, Framing framing, std::size_t message_bytes_max)
    : buffer_(pool), framing_(framing), message_bytes_max_(message_bytes_max) {}

std::span<char> Framer::space() {
    const std::size_t left = buffer_.size() - consumed_;
    if (left == 0) {
        buffer_.clear();
        consumed_ = 0;
        shrink();
    } else if (consumed_ != 0 && buffer_.capacity() - buffer_.size() < buffer_bytes / 4) {
        std::memmove(buffer_.data(), buffer_.data() + consumed_, left);
        buffer_.truncate(left);
        consumed_ = 0;
    }
    if (in_body_ && consumed_ + body_bytes_ > buffer_.capacity())
        buffer_.prepare(consumed_ + body_bytes_ - buffer_.size());
    else if (buffer_.size() == buffer_.capacity())
        buffer_.prepare(growth());
    return {buffer_.data() + buffer_.size(), buffer_.capacity() - buffer_.size()};
}

// How much more room a full buffer gets: fourfold, and the last step to the limit and one read over it. That step is
// at least double, as Buffer grows no slower.
std::size_t Framer::growth() const {
    const std::size_t capacity = buffer_.capacity();
    const std::size_t most = message_bytes_max_ + buffer_bytes;
    if (capacity == 0 || capacity >= most) return buffer_bytes;
    return capacity * 8 <= most ? capacity * 3 : most - capacity;
}

// Gives a buffer back that grew for a large message: at once if it is huge, else when a while has passed without
// another one. Fresh memory costs a page fault every 4 KiB, which is most of the price of a large message.
void Framer::shrink() {
    if (buffer_.capacity() <= buffer_bytes) return;
    reads_since_large_ = large_before_ ? 0 : reads_since_large_ + 1;
    large_before_ = false;
    if (buffer_.capacity() <= kept_bytes_max && reads_since_large_ < kept_reads) return;
    buffer_.reset();
    reads_since_large_ = 0;
}

void Framer::commit(std::size_t bytes) {
    buffer_.commit(bytes);
    if (buffer_.size() > buffer_bytes) large_before_ = true;
}

// White space and byte order marks, before anything else.
void Framer::detect() {
    std::string_view text = unread();
    while (!text.empty()) {
        if (is_blank(text.front()))
            text.remove_prefix(1);
        else if (text.starts_with(byte_order_mark))
            text.remove_prefix(byte_order_mark.size());
        else
            break;
    }
    consumed_ = buffer_.size() - text.size();
    if (byte_order_mark.starts_with(text)) return; // nothing yet, or half a mark
    start_ = false;
    if (framing_ == Framing::automatic)
        framing_ = text.front() == 'C' || text.front() == 'c' ? Framing::headers : Framing::lines;
}

std::optional<Frame> Framer::next() {
    if (dead_) return std::nullopt;
    if (start_) {
        detect();
        if (start_) return std::nullopt;
    }
    return framing_ == Framing::headers ? next_block() : next_line();
}

Frame Framer::over_limit() const {
    return {.fault = Error{ErrorCode::invalid_request,
                           "the message is larger than the limit of " + std::to_string(message_bytes_max_) +
                               " bytes (ipc.messageBytesMax)",
                           {},
                           {}}};
}

std::optional<Frame> Framer::next_line() {
    while (true) {
        const std::string_view text = unread();
        const void* const newline =
            scanned_ < text.size() ? std::memchr(text.data() + scanned_, '\n', text.size() - scanned_) : nullptr;
        if (newline == nullptr) {
            scanned_ = text.size();
            if (skipping_ || text.size() > message_bytes_max_ + 1) { // held no longer; the one may be a CR
                skipping_ = true;
                consumed_ = buffer_.size();
                scanned_ = 0;
            }
            return std::nullopt;
        }
        const std::size_t length = static_cast<std::size_t>(static_cast<const char*>(newline) - text.data());
        consumed_ += length + 1;
        scanned_ = 0;
        const std::size_t line_end_bytes = length != 0 && text[length - 1] == '\r' ? 1 : 0;
        if (skipping_ || length - line_end_bytes > message_bytes_max_) {
            skipping_ = false;
            return over_limit();
        }
        const std::string_view line = trimmed(text.substr(0, length));
        if (!line.empty()) return Frame{.text = line};
    }
}

std::optional<Frame> Framer::header_fault(std::string message) {
    dead_ = true;
    consumed_ = buffer_.size();
    return Frame{.fault = Error{ErrorCode::parse_error,
                                std::move(message),
                                {},
                                "send \"Content-Length: N\", CR LF, an empty line, then N bytes"},
                 .fatal = true};
}

Result<std::size_t> Framer::content_length(std::string_view header) const {
    std::optional<std::size_t> length;
    while (!header.empty()) {
        const std::size_t end = std::min(header.find('\n'), header.size());
        const std::string_view line = trimmed(header.substr(0, end));
        header.remove_prefix(std::min(end + 1, header.size()));
        if (line.empty()) continue;
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) return fail(ErrorCode::parse_error, "a header line has no colon");
        if (!equal_ignoring_case(trimmed(line.substr(0, colon)), "content-length")) continue;
        const std::string_view value = trimmed(line.substr(colon + 1));
        std::size_t parsed = 0;
        const auto [at, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
        if (error != std::errc{} || at != value.data() + value.size())
            return fail(ErrorCode::parse_error, "Content-Length must be a number of bytes");
        if (length && *length != parsed)
            return fail(ErrorCode::parse_error, "Content-Length stands twice with different values");
        length = parsed;
    }
    if (!length) return fail(ErrorCode::parse_error, "the header block has no Content-Length");
    return *length;
}

std::optional<Frame> Framer::next_block() {
    while (true) {
        std::string_view text = unread();
        if (skipping_) {
            const std::size_t passed = std::min(skip_bytes_, text.size());
            consumed_ += passed;
            skip_bytes_ -= passed;
            if (skip_bytes_ != 0) return std::nullopt;
            skipping_ = false;
            return over_limit();
        }
        if (in_body_) {
            if (text.size() < body_bytes_) return std::nullopt;
            consumed_ += body_bytes_;
            in_body_ = false;
            const std::string_view body = trimmed(text.substr(0, body_bytes_));
            return Frame{.text = body};
        }
        // Blank lines between messages do no harm.
        while (!text.empty() && is_blank(text.front())) {
            text.remove_prefix(1);
            ++consumed_;
        }
        // Not beyond the limit: what follows is the body, or any number of further messages.
        const std::string_view head = text.substr(0, limits::header_block_bytes + 1);
        const std::size_t crlf = head.find("\r\n\r\n");
        const std::size_t lf = head.substr(0, crlf).find("\n\n");
        if (crlf == std::string_view::npos && lf == std::string_view::npos) {
            if (text.size() > limits::header_block_bytes)
                return header_fault("the header block is longer than " + std::to_string(limits::header_block_bytes) +
                                    " bytes");
            return std::nullopt;
        }
        const std::size_t end = std::min(crlf, lf);
        const auto length = content_length(text.substr(0, end));
        if (!length) return header_fault(length.error().message);
        consumed_ += end + (end == crlf ? 4 : 2);
        if (*length > message_bytes_max_) {
            skipping_ = true;
            skip_bytes_ = *length;
        } else {
            in_body_ = true;
            body_bytes_ = *length;
        }
    }
}

std::optional<Frame> Framer::finish() {
    if (dead_ || start_) return std::nullopt;
    dead_ = true;
    if (skipping_) return over_limit();
    if (framing_ == Framing::headers) {
        if (!in_body_ && trimmed(unread()).empty()) return std::nullopt;
        return Frame{.fault = Error{ErrorCode::parse_error, "the input ends inside a message", {}, {}}};
    }
    const std::string_view text = unread();
    const bool carriage_return = text.ends_with('\r');
    if (text.size() - (carriage_return ? 1 : 0) > message_bytes_max_) return over_limit();
    const std::string_view line = trimmed(text);
    if (line.empty()) return std::nullopt;
    return Frame{.text = line};
}

} // namespace pillion
