// The characters are those of XML 1.0, production 2; well-formed UTF-8 is that of RFC 3629, section 4.
#include "ipc/base/xml.h"

#include <cstdint>

namespace pillion {

namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

// The bytes of the character of several bytes that `text` begins with; 0 where there is none that XML can hold.
std::size_t letter_bytes(std::string_view text) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t bytes = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (bytes == 0 || text.size() < bytes) return 0;
    std::uint32_t letter = first & (0xFFU >> (bytes + 1));
    for (const char next : text.substr(1, bytes - 1)) {
        const auto byte = static_cast<unsigned char>(next);
        if ((byte & 0xC0) != 0x80) return 0;
        letter = letter << 6 | (byte & 0x3FU);
    }
    const bool is_overlong = (bytes == 3 && letter < 0x800) || (bytes == 4 && letter < 0x10000);
    const bool is_surrogate = letter >= 0xD800 && letter < 0xE000;
    return is_overlong || is_surrogate || letter > 0x10FFFF || letter == 0xFFFE || letter == 0xFFFF ? 0 : bytes;
}

std::string_view escape_of(char letter) {
    switch (letter) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\n':
        return "&#10;";
    case '\t':
        return " ";
    default:
        return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F ? replacement : std::string_view{};
    }
}

} // namespace

std::string xml_escaped(std::string_view text) {
    std::string escaped;
    escaped.reserve(text.size());
    while (!text.empty()) {
        std::size_t taken = 1;
        if (static_cast<unsigned char>(text.front()) >= 0x80) {
            const std::size_t bytes = letter_bytes(text);
            escaped += bytes == 0 ? replacement : text.substr(0, bytes);
            if (bytes > 0) taken = bytes;
        } else if (const std::string_view escape = escape_of(text.front()); !escape.empty()) {
            escaped += escape;
        } else {
            escaped += text.front();
        }
        text.remove_prefix(taken);
    }
    return escaped;
}

} // namespace pillion
