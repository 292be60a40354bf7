// ECMAScript number formatting (RFC 8785, section 3.2.2.3) is made from the shortest digits of std::to_chars.
#include "ipc/json_text.h"

#include "ipc/json_scanner.h"

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <charconv>
#include <cmath>

namespace pillion {

namespace {

unsigned hex4(const char* digits) {
    unsigned value = 0;
    std::from_chars(digits, digits + 4, value, 16);
    return value;
}

void append_utf8(std::string& out, unsigned code) {
    const auto put = [&out](unsigned byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
        put(code);
    } else if (code < 0x800) {
        put(0xC0 | code >> 6);
        put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        put(0xE0 | code >> 12);
        put(0x80 | (code >> 6 & 0x3F));
        put(0x80 | (code & 0x3F));
    } else {
        put(0xF0 | code >> 18);
        put(0x80 | (code >> 12 & 0x3F));
        put(0x80 | (code >> 6 & 0x3F));
        put(0x80 | (code & 0x3F));
    }
}

// Length of the valid UTF-8 sequence at the start of `text`; 0 if there is none.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const auto continues = [&](std::size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;
    if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
    if ((lead & 0xF0) == 0xE0) {
        if (!continues(1) || !continues(2)) return 0;
        return (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) ? 0 : 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        if (!continues(1) || !continues(2) || !continues(3)) return 0;
        return (lead == 0xF0 && byte(1) < 0x90) || (lead == 0xF4 && byte(1) > 0x8F) ? 0 : 4;
    }
    return 0;
}

template <class Out>
void append_quoted_to(Out& out, std::string_view text) {
    static constexpr char hex[] = "0123456789abcdef";
    const auto put = [&out](std::string_view bytes) { out.append(bytes); };
    put("\"");
    std::size_t clean_from = 0;
    std::size_t i = 0;
    const auto flush = [&] { put(text.substr(clean_from, i - clean_from)); };
    while (i < text.size()) {
        const unsigned char c = static_cast<unsigned char>(text[i]);
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            ++i;
            continue;
        }
        if (c >= 0x80) {
            if (const std::size_t length = utf8_length(text.substr(i)); length != 0) {
                i += length;
                continue;
            }
        }
        flush();
        switch (c) {
        case '"':
            put("\\\"");
            break;
        case '\\':
            put("\\\\");
            break;
        case '\b':
            put("\\b");
            break;
        case '\f':
            put("\\f");
            break;
        case '\n':
            put("\\n");
            break;
        case '\r':
            put("\\r");
            break;
        case '\t':
            put("\\t");
            break;
        default:
            if (c < 0x20) {
                const char escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
                put({escape, sizeof escape});
            } else {
                put("\xEF\xBF\xBD");
            }
        }
        clean_from = ++i;
    }
    flush();
    put("\"");
}

// The number as ECMAScript's Number::toString writes it.
void append_ecmascript(std::string& out, double value) {
    if (value == 0) {
        out.push_back('0');
        return;
    }
    std::array<char, 32> text;
    const auto end = std::to_chars(text.begin(), text.end(), std::fabs(value), std::chars_format::scientific).ptr;
    std::string digits;
    const char* at = text.data();
    for (; at != end && *at != 'e'; ++at)
        if (*at != '.') digits.push_back(*at);
    int exponent = 0;
    std::from_chars(at + (at[1] == '+' ? 2 : 1), end, exponent);
    const int point = exponent + 1; // digits before the decimal point
    const int count = static_cast<int>(digits.size());
    if (value < 0) out.push_back('-');
    if (count <= point && point <= 21) {
        out.append(digits).append(static_cast<std::size_t>(point - count), '0');
    } else if (0 < point && point <= 21) {
        out.append(digits, 0, static_cast<std::size_t>(point)).push_back('.');
        out.append(digits, static_cast<std::size_t>(point));
    } else if (-6 < point && point <= 0) {
        out.append("0.").append(static_cast<std::size_t>(-point), '0').append(digits);
    } else {
        out.push_back(digits[0]);
        if (count > 1) out.append(".").append(digits, 1);
        out.push_back('e');
        out.push_back(exponent < 0 ? '-' : '+');
        out.append(std::to_string(std::abs(exponent)));
    }
}

void append_canonical_number(std::string& out, std::string_view raw) {
    double value = 0;
    const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
    const bool integer = raw.find_first_of(".eE") == std::string_view::npos;
    if (error != std::errc{} || (integer && std::fabs(value) > static_cast<double>(limits::integer_max))) {
        out.append(raw);
        return;
    }
    append_ecmascript(out, value);
}

// RFC 8785 sorts member names by UTF-16 code units. UTF-8 bytes sort by code point, which differs only between
// surrogate pairs (U+10000 and up) and U+E000..U+FFFF.
bool less_utf16(std::string_view a, std::string_view b) {
    const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (at.first == a.end() || at.second == b.end()) return at.first == a.end() && at.second != b.end();
    const auto rank = [](char c) {
        const unsigned char byte = static_cast<unsigned char>(c);
        return byte >= 0xF0 ? 0xEDu : byte >= 0xEE ? byte + 2u : byte; // pairs (D800..DFFF) sort below U+E000
    };
    if (rank(*at.first) != rank(*at.second)) return rank(*at.first) < rank(*at.second);
    return static_cast<unsigned char>(*at.first) < static_cast<unsigned char>(*at.second);
}

bool append_canonical_string(std::string& out, std::string_view raw) {
    if (raw.find('\\') == std::string_view::npos) {
        out.append("\"").append(raw).append("\"");
        return true;
    }
    const auto text = unescaped(raw);
    if (!text) { // an unpaired surrogate has one spelling only: its escape
        out.append("\"").append(raw).append("\"");
        return true;
    }
    append_quoted(out, *text);
    return true;
}

bool canonical_value(std::string& out, JsonScanner& scanner, std::string_view omit);

bool canonical_object(std::string& out, JsonScanner& scanner, std::string_view omit) {
    struct Member {
        std::string_view key;
        std::string_view value;
        std::string owned; // the decoded key where it had escapes
        // Not kept as a view: sorting moves the string, and a short one takes its text along.
        std::string_view name() const { return owned.empty() ? key : std::string_view(owned); }
    };
    boost::container::small_vector<Member, 16> members; // few enough: no allocation
    std::string_view key;
    scanner.enter('{');
    while (scanner.next_member(key)) {
        std::string_view value;
        if (!scanner.read_value(value)) return false;
        if (!omit.empty() && key == omit) continue;
        members.push_back({key, value, {}});
        if (key.find('\\') != std::string_view::npos) {
            auto decoded = unescaped(key);
            if (!decoded) return false;
            members.back().owned = std::move(*decoded);
        }
    }
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return less_utf16(a.name(), b.name()); });
    out.push_back('{');
    for (std::size_t i = 0; i < members.size(); ++i) {
        if (i != 0) {
            if (members[i].name() == members[i - 1].name()) return false;
            out.push_back(',');
        }
        append_quoted(out, members[i].name());
        out.push_back(':');
        JsonScanner inner(members[i].value);
        if (!canonical_value(out, inner, {})) return false;
    }
    out.push_back('}');
    return !scanner.failed();
}

bool canonical_value(std::string& out, JsonScanner& scanner, std::string_view omit) {
    std::string_view raw;
    switch (scanner.peek()) {
    case JsonKind::object:
        return canonical_object(out, scanner, omit);
    case JsonKind::array: {
        scanner.enter('[');
        out.push_back('[');
        for (bool first = true; scanner.next_element(); first = false) {
            if (!first) out.push_back(',');
            if (!canonical_value(out, scanner, {})) return false;
        }
        out.push_back(']');
        return !scanner.failed();
    }
    case JsonKind::string:
        return scanner.read_string(raw) && append_canonical_string(out, raw);
    case JsonKind::number:
        if (!scanner.read_value(raw)) return false;
        append_canonical_number(out, raw);
        return true;
    case JsonKind::boolean:
    case JsonKind::null:
        if (!scanner.read_value(raw)) return false;
        out.append(raw);
        return true;
    }
    return false;
}

} // namespace

bool append_unescaped(std::string& out, std::string_view raw) {
    std::size_t i = 0;
    while (i < raw.size()) {
        const std::size_t backslash = raw.find('\\', i);
        out.append(raw.substr(i, backslash - i));
        if (backslash == std::string_view::npos) break;
        i = backslash + 2;
        switch (raw[backslash + 1]) {
        case 'b':
            out.push_back('\b');
            break;
        case 'f':
            out.push_back('\f');
            break;
        case 'n':
            out.push_back('\n');
            break;
        case 'r':
            out.push_back('\r');
            break;
        case 't':
            out.push_back('\t');
            break;
        case 'u': {
            unsigned code = hex4(raw.data() + i);
            i += 4;
            if (code >= 0xDC00 && code <= 0xDFFF) return false;
            if (code >= 0xD800 && code <= 0xDBFF) {
                if (raw.substr(i, 2) != "\\u") return false;
                const unsigned low = hex4(raw.data() + i + 2);
                if (low < 0xDC00 || low > 0xDFFF) return false;
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                i += 6;
            }
            append_utf8(out, code);
            break;
        }
        default:
            out.push_back(raw[backslash + 1]);
        }
    }
    return true;
}

std::optional<std::string> unescaped(std::string_view raw) {
    std::string text;
    text.reserve(raw.size());
    if (!append_unescaped(text, raw)) return std::nullopt;
    return text;
}

void append_quoted(Buffer& out, std::string_view text) { append_quoted_to(out, text); }
void append_quoted(std::string& out, std::string_view text) { append_quoted_to(out, text); }

void append_integer(Buffer& out, std::int64_t value) {
    char* const at = out.prepare(20);
    out.commit(static_cast<std::size_t>(std::to_chars(at, at + 20, value).ptr - at));
}

void append_number(Buffer& out, double value) {
    if (!std::isfinite(value)) {
        out.append("null");
        return;
    }
    char* const at = out.prepare(32);
    out.commit(static_cast<std::size_t>(std::to_chars(at, at + 32, value).ptr - at));
}

bool append_canonical(std::string& out, std::string_view value, std::string_view omit) {
    JsonScanner scanner(value);
    return canonical_value(out, scanner, omit);
}

bool is_utf8(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t length = utf8_length(bytes);
        if (length == 0) return false;
        bytes.remove_prefix(length);
    }
    return true;
}

} // namespace pillion
