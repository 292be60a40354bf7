// The tail is kept as raw bytes and cut into lines only when somebody asks, so that a program that prints much costs
// one short copy per read.
#include "modules/process/output_tail.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

// The length of the UTF-8 sequence at the beginning of `bytes` (RFC 3629); 0 if there is none.
std::size_t sequence_length(std::string_view bytes) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || bytes.size() < length) return 0;
    for (std::size_t at = 1; at < length; ++at)
        if ((byte(at) & 0xC0) != 0x80) return 0;
    const bool is_overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
    const bool is_surrogate = first == 0xED && byte(1) > 0x9F;
    const bool is_beyond = first == 0xF4 && byte(1) > 0x8F;
    return is_overlong || is_surrogate || is_beyond ? 0 : length;
}

// The length of an escape sequence of a terminal (ECMA-48, "ESC [ ... final byte"); 0 if there is none.
std::size_t escape_length(std::string_view bytes) {
    if (!bytes.starts_with("\x1B[")) return 0;
    const std::size_t end = bytes.find_first_not_of("0123456789;:<=>? !\"#$%&'()*+,-./", 2);
    return end == std::string_view::npos ? bytes.size() : end + 1;
}

bool is_plain(char byte) { return (byte >= 0x20 && byte < 0x7F) || byte == '\n' || byte == '\t'; }

// How many bytes at the beginning need no second look; most text is nothing else.
std::size_t plain_length(std::string_view bytes) {
    const char* at = bytes.data();
    const char* const end = at + bytes.size();
    while (at != end && is_plain(*at)) ++at;
    return static_cast<std::size_t>(at - bytes.data());
}

} // namespace

std::string readable(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size());
    while (!bytes.empty()) {
        if (const std::size_t plain = plain_length(bytes)) {
            text += bytes.substr(0, plain);
            bytes.remove_prefix(plain);
            continue;
        }
        if (const std::size_t escape = escape_length(bytes)) {
            bytes.remove_prefix(escape);
            continue;
        }
        const std::size_t length = sequence_length(bytes);
        if (length == 0)
            text += replacement;
        else if (length > 1)
            text += bytes.substr(0, length);
        bytes.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return text;
}

void OutputTail::append(std::string_view bytes) {
    if (bytes.size() >= bytes_max) {
        was_cut_ = was_cut_ || bytes.size() > bytes_max || !text_.empty();
        text_.assign(bytes.substr(bytes.size() - bytes_max));
        return;
    }
    text_ += bytes;
    if (text_.size() <= 2 * bytes_max) return;
    text_.erase(0, text_.size() - bytes_max);
    was_cut_ = true;
}

std::string OutputTail::lines() const {
    std::string_view text = text_;
    bool was_cut = was_cut_;
    if (text.size() > bytes_max) {
        text.remove_prefix(text.size() - bytes_max);
        was_cut = true;
    }
    // Half a line at the beginning says little, unless it is all there is.
    if (const std::size_t end = text.find('\n'); was_cut && end != std::string_view::npos && end + 1 < text.size())
        text.remove_prefix(end + 1);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    std::size_t begin = text.size();
    for (std::size_t lines = 0; lines < lines_max && begin != std::string_view::npos && begin > 0; ++lines)
        begin = text.rfind('\n', begin - 1);
    if (begin != std::string_view::npos && begin > 0) text.remove_prefix(begin + 1);
    return readable(text);
}

void LineCutter::append(std::string_view bytes, const std::function<void(std::string_view line)>& on_line) {
    while (!bytes.empty()) {
        const std::size_t end = bytes.find('\n');
        const std::string_view part = bytes.substr(0, end);
        if (!is_skipping_) {
            line_ += part.substr(0, line_bytes_max - line_.size());
            if (line_.size() == line_bytes_max) {
                on_line(line_);
                line_.clear();
                is_skipping_ = true;
            }
        }
        if (end == std::string_view::npos) return;
        if (!is_skipping_) {
            if (line_.ends_with('\r')) line_.pop_back();
            on_line(line_);
            line_.clear();
        }
        is_skipping_ = false;
        bytes.remove_prefix(end + 1);
    }
}

void LineCutter::finish(const std::function<void(std::string_view line)>& on_line) {
    if (!line_.empty()) on_line(line_);
    line_.clear();
}

} // namespace pillion
