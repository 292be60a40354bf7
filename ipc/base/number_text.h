// Numbers as text where JSON's form is not wanted. Pure functions; any thread.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <string>

namespace pillion {

// `value` in a format of printf's, whose one argument is a double: formatted("%.1f s", 1.25).
inline std::string formatted(const char* format, double value) {
    char text[400]; // the longest double in %f has 317 characters
    const int size = std::snprintf(text, sizeof text, format, value);
    return {text, size > 0 ? static_cast<std::size_t>(size) : 0};
}

// The shortest that reads back as the same: "0.1", "1e+300", "inf".
inline std::string number_text(double value) {
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

// The 16 hexadecimal digits of a hash.
inline std::string hex_digits(std::uint64_t value) {
    std::string digits;
    for (int shift = 60; shift >= 0; shift -= 4) digits += "0123456789abcdef"[(value >> shift) & 15U];
    return digits;
}

} // namespace pillion
