// Recursive descent over the bytes. Strings, where nearly all bytes of a message are, go sixteen at a time with SSE2
// (the x86-64 baseline): quote, backslash, control character and non-ASCII are looked for at once. Multi-byte UTF-8 is
// checked against table 3-7 of the Unicode Standard (no overlong forms, no surrogates, nothing over U+10FFFF).
// Unpaired \uD800 escapes are grammatical JSON and pass; whoever needs the string decoded refuses them.
#include "ipc/json_scanner.h"

#include <bit>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace pillion {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// First byte at or after `at` that a string's scan must look at: quote, backslash, control or non-ASCII. What stands
// from `begin` on may be read as well.
const char* find_special(const char* begin, const char* at, const char* end) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    // Signed: control characters and all bytes over 0x7F are "less than space".
    const auto special_in = [&](const char* from) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
        return _mm_or_si128(_mm_cmplt_epi8(bytes, space),
                            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    };
    for (; end - at >= 16; at += 16) {
        if (const int mask = _mm_movemask_epi8(special_in(at)))
            return at + std::countr_zero(static_cast<unsigned>(mask));
        // A long string: four at a time until something turns up.
        while (end - at >= 80 &&
               _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(special_in(at + 16), special_in(at + 32)),
                                              _mm_or_si128(special_in(at + 48), special_in(at + 64)))) == 0)
            at += 64;
    }
    // The last few: read with what stands before them, which is shifted out.
    if (end - begin >= 16) {
        const auto left = static_cast<unsigned>(end - at);
        const auto mask = static_cast<unsigned>(_mm_movemask_epi8(special_in(end - 16))) >> (16 - left);
        return mask != 0 ? at + std::countr_zero(mask) : end;
    }
#endif
    while (at != end && static_cast<unsigned char>(*at) >= 0x20 && static_cast<unsigned char>(*at) < 0x80 &&
           *at != '"' && *at != '\\')
        ++at;
    return at;
}

} // namespace

bool JsonScanner::non_ascii() {
    const auto byte = [this](std::ptrdiff_t i) { return static_cast<unsigned char>(at_[i]); };
    const auto continues = [&](std::ptrdiff_t i) { return (byte(i) & 0xC0) == 0x80; };
    // A run of non-ASCII text stays in this loop.
    while (at_ != end_ && byte(0) >= 0x80) {
        const unsigned char lead = byte(0);
        const std::ptrdiff_t left = end_ - at_;
        if (lead >= 0xE1 && lead <= 0xEC) { // most of CJK
            if (left < 3 || !continues(1) || !continues(2)) return fail("invalid UTF-8");
            at_ += 3;
        } else if (lead >= 0xC2 && lead <= 0xDF) {
            if (left < 2 || !continues(1)) return fail("invalid UTF-8");
            at_ += 2;
        } else if ((lead & 0xF0) == 0xE0) { // E0: not overlong; ED: no surrogates; EE, EF
            if (left < 3 || !continues(1) || !continues(2) || (lead == 0xE0 && byte(1) < 0xA0) ||
                (lead == 0xED && byte(1) > 0x9F))
                return fail("invalid UTF-8");
            at_ += 3;
        } else if (lead >= 0xF0 && lead <= 0xF4) {
            if (left < 4 || !continues(1) || !continues(2) || !continues(3) || (lead == 0xF0 && byte(1) < 0x90) ||
                (lead == 0xF4 && byte(1) > 0x8F))
                return fail("invalid UTF-8");
            at_ += 4;
        } else {
            return fail("invalid UTF-8");
        }
    }
    return true;
}

bool JsonScanner::escape() {
    if (end_ - at_ < 2) return fail("string without its closing quote");
    switch (at_[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        at_ += 2;
        return true;
    case 'u':
        for (int i = 2; i < 6; ++i)
            if (end_ - at_ <= i || !is_hex(at_[i])) return fail("\\u wants four hexadecimal digits");
        at_ += 6;
        return true;
    default:
        return fail("unknown escape in a string");
    }
}

// At the opening quote; ends after the closing one.
bool JsonScanner::string() {
    ++at_;
    while (true) {
        at_ = find_special(begin_, at_, end_);
        if (at_ == end_) return fail("string without its closing quote");
        const char c = *at_;
        if (c == '"') {
            ++at_;
            return true;
        }
        if (c == '\\') {
            if (!escape()) return false;
        } else if (static_cast<unsigned char>(c) >= 0x80) {
            if (!non_ascii()) return false;
        } else {
            return fail("control character in a string; it must be escaped");
        }
    }
}

bool JsonScanner::number() {
    const auto digits = [this] {
        if (at_ == end_ || !is_digit(*at_)) return fail("malformed number");
        while (at_ != end_ && is_digit(*at_)) ++at_;
        return true;
    };
    if (*at_ == '-') ++at_;
    if (at_ != end_ && *at_ == '0') {
        ++at_;
        if (at_ != end_ && is_digit(*at_)) return fail("number with a leading zero");
    } else if (!digits()) {
        return false;
    }
    if (at_ != end_ && *at_ == '.') {
        ++at_;
        if (!digits()) return false;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
        ++at_;
        if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
        if (!digits()) return false;
    }
    return true;
}

bool JsonScanner::literal(std::string_view word) {
    if (static_cast<std::size_t>(end_ - at_) < word.size() || std::memcmp(at_, word.data(), word.size()) != 0)
        return fail("unknown word; a value is an object, array, string, number, true, false or null");
    at_ += word.size();
    return true;
}

bool JsonScanner::object() {
    std::string_view key;
    if (!enter('{')) return false;
    while (next_member(key))
        if (!value()) return false;
    return !failed();
}

bool JsonScanner::array() {
    if (!enter('[')) return false;
    while (next_element())
        if (!value()) return false;
    return !failed();
}

bool JsonScanner::value() {
    skip_space();
    if (at_ == end_) return fail("the text ends where a value should be");
    switch (*at_) {
    case '{':
        return object();
    case '[':
        return array();
    case '"':
        return string();
    case 't':
        return literal("true");
    case 'f':
        return literal("false");
    case 'n':
        return literal("null");
    default:
        if (*at_ == '-' || is_digit(*at_)) return number();
        return fail("unexpected character where a value should be");
    }
}

bool JsonScanner::skip_value() { return !failed() && value(); }

bool JsonScanner::read_value(std::string_view& text) {
    skip_space();
    const char* const start = at_;
    if (!skip_value()) return false;
    text = {start, static_cast<std::size_t>(at_ - start)};
    return true;
}

bool JsonScanner::read_string(std::string_view& raw) {
    skip_space();
    if (at_ == end_ || *at_ != '"') return fail("expected a string");
    const char* const start = at_ + 1;
    if (!string()) return false;
    raw = {start, static_cast<std::size_t>(at_ - start - 1)};
    return true;
}

bool JsonScanner::at_end() {
    skip_space();
    return at_ == end_;
}

} // namespace pillion
