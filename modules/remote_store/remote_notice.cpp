// `1`, the origin, the app, then each member that is set as a letter and its value; fields are separated by spaces:
//     1 5f0c... myapp s=voices n=alice%3A1 c=1700000000000 e=1
#include "modules/remote_store/remote_notice.h"

#include <charconv>

namespace pillion {

namespace {

constexpr std::string_view digits = "0123456789ABCDEF";

bool is_plain(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '_' || byte == '.';
}

int digit_value(char digit) {
    if (digit >= '0' && digit <= '9') return digit - '0';
    if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
    if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
    return -1;
}

std::string notice_text(std::string_view origin, std::string_view app, const TierSelection& selection) {
    std::string out = "1 ";
    out.append(origin).append(" ").append(percent_encode(app));
    const auto add = [&out](char letter, std::string_view value) {
        out.append({' ', letter, '='}).append(percent_encode(value));
    };
    if (!selection.space.empty()) add('s', selection.space);
    if (selection.name) add('n', *selection.name);
    if (selection.pattern) add('p', *selection.pattern);
    if (selection.tag) add('t', *selection.tag);
    if (selection.created_before_ms) add('c', std::to_string(*selection.created_before_ms));
    if (selection.expired) add('e', "1");
    return out;
}

bool read_field(std::string_view field, TierSelection& selection) {
    if (field.size() < 2 || field[1] != '=') return false;
    const auto value = percent_decode(field.substr(2));
    if (!value) return false;
    switch (field[0]) {
    case 's':
        selection.space = *value;
        return true;
    case 'n':
        selection.name = *value;
        return true;
    case 'p':
        selection.pattern = *value;
        return true;
    case 't':
        selection.tag = *value;
        return true;
    case 'e':
        selection.expired = true;
        return true;
    case 'c': {
        std::int64_t time = 0;
        const auto read = std::from_chars(value->data(), value->data() + value->size(), time);
        selection.created_before_ms = time;
        return read.ec == std::errc() && read.ptr == value->data() + value->size();
    }
    default:
        return false; // a restriction that is not understood must not be ignored
    }
}

} // namespace

std::string percent_encode(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    for (const char byte : bytes) {
        if (is_plain(byte)) {
            out.push_back(byte);
        } else {
            const auto code = static_cast<unsigned char>(byte);
            out.append({'%', digits[code >> 4], digits[code & 15]});
        }
    }
    return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            out.push_back(text[at]);
            continue;
        }
        if (at + 2 >= text.size()) return std::nullopt;
        const int high = digit_value(text[at + 1]);
        const int low = digit_value(text[at + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out.push_back(static_cast<char>(high * 16 + low));
        at += 2;
    }
    return out;
}

std::string encode_notice(std::string_view origin, std::string_view app, const TierSelection& selection,
                          std::size_t bytes_max) {
    std::string exact = notice_text(origin, app, selection);
    if (exact.size() <= bytes_max) return exact;
    TierSelection coarse;
    coarse.space = selection.space;
    std::string whole_space = notice_text(origin, app, coarse);
    if (whole_space.size() <= bytes_max) return whole_space;
    return notice_text(origin, app, {});
}

std::optional<HeardNotice> decode_notice(std::string_view message) {
    HeardNotice heard;
    for (std::size_t index = 0; !message.empty() || index < 3; ++index) {
        const std::size_t end = std::min(message.find(' '), message.size());
        const std::string_view field = message.substr(0, end);
        message.remove_prefix(std::min(end + 1, message.size()));
        if (index == 0 && field != "1") return std::nullopt;
        if (index == 1) heard.origin = field;
        if (index == 2) {
            auto app = percent_decode(field);
            if (!app) return std::nullopt;
            heard.app = std::move(*app);
        }
        if (index > 2 && !read_field(field, heard.selection)) return std::nullopt;
    }
    if (heard.origin.empty()) return std::nullopt;
    return heard;
}

} // namespace pillion
