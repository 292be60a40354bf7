#include "modules/cache/base64.h"

#include <array>
#include <cstdint>

namespace pillion {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t foreign = 0xff;

constexpr std::array<std::uint8_t, 256> values = [] {
    std::array<std::uint8_t, 256> table{};
    table.fill(foreign);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    return table;
}();

} // namespace

std::string to_base64(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t left = bytes.size() - i;
        const auto byte = [&](std::size_t n) -> std::uint32_t {
            return n < left ? static_cast<unsigned char>(bytes[i + n]) : 0;
        };
        const std::uint32_t three = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.push_back(alphabet[three >> 18]);
        text.push_back(alphabet[three >> 12 & 63]);
        text.push_back(left > 1 ? alphabet[three >> 6 & 63] : '=');
        text.push_back(left > 2 ? alphabet[three & 63] : '=');
    }
    return text;
}

std::optional<std::string> from_base64(std::string_view text) {
    for (int padding = 0; padding < 2 && !text.empty() && text.back() == '='; ++padding) text.remove_suffix(1);
    if (text.size() % 4 == 1) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() * 3 / 4);
    std::uint32_t gathered = 0;
    int bits = 0;
    for (const char letter : text) {
        const std::uint8_t value = values[static_cast<unsigned char>(letter)];
        if (value == foreign) return std::nullopt;
        gathered = gathered << 6 | value;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        bytes.push_back(static_cast<char>(gathered >> bits & 0xff));
    }
    return bytes;
}

} // namespace pillion
