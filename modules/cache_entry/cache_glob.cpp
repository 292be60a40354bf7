// Glob patterns over keys. One pass with a single point to come back to, the last star: where what follows a star fits
// somewhere, the earliest place is as good as any, so earlier stars need never be tried again. (The usual algorithm,
// e.g. Krauss, "Matching Wildcards: An Empirical Way to Tame an Algorithm", 2014.)
#include "modules/cache_entry/cache_glob.h"

#include <optional>

namespace pillion {

namespace {

struct Character {
    std::uint32_t code = 0;
    std::size_t bytes = 1;
};

// A byte that begins no UTF-8 character stands for itself, apart from all characters.
Character character_at(std::string_view text, std::size_t at) {
    constexpr std::uint32_t raw_byte = 0x110000;
    const auto byte = static_cast<unsigned char>(text[at]);
    if (byte < 0x80) return {byte, 1};
    const std::size_t bytes = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    if (bytes == 1 || at + bytes > text.size()) return {raw_byte + byte, 1};
    std::uint32_t code = byte & (0x7FU >> bytes);
    for (std::size_t i = 1; i < bytes; ++i) {
        const auto next = static_cast<unsigned char>(text[at + i]);
        if ((next & 0xC0U) != 0x80) return {raw_byte + byte, 1};
        code = code << 6 | (next & 0x3FU);
    }
    return {code, bytes};
}

// Where a set that begins at `at` ends, beyond its bracket. A bracket right at its start is a member.
std::optional<std::size_t> find_set_end(std::string_view pattern, std::size_t at) {
    ++at;
    if (at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^')) ++at;
    for (bool is_first = true; at < pattern.size(); is_first = false, ++at) {
        if (pattern[at] == ']' && !is_first) return at + 1;
        if (pattern[at] == '\\') ++at;
    }
    return std::nullopt;
}

Character member_at(std::string_view pattern, std::size_t& at) {
    if (pattern[at] == '\\') ++at;
    const Character member = character_at(pattern, at);
    at += member.bytes;
    return member;
}

bool set_matches(std::string_view set, std::uint32_t code) {
    std::size_t at = 1;
    const std::size_t end = set.size() - 1;
    const bool is_negated = set[at] == '!' || set[at] == '^';
    if (is_negated) ++at;
    bool is_member = false;
    while (at < end) {
        const std::uint32_t low = member_at(set, at).code;
        std::uint32_t high = low;
        if (at + 1 < end && set[at] == '-') {
            ++at;
            high = member_at(set, at).code;
        }
        is_member = is_member || (low <= code && code <= high);
    }
    return is_member != is_negated;
}

// Matches what stands at `pattern_at`, which is no star, against one character; moves both on.
bool match_one(std::string_view pattern, std::size_t& pattern_at, std::string_view text, std::size_t& text_at) {
    const Character character = character_at(text, text_at);
    if (pattern[pattern_at] == '?') {
        ++pattern_at;
        text_at += character.bytes;
        return true;
    }
    if (pattern[pattern_at] == '[') {
        if (const auto end = find_set_end(pattern, pattern_at)) {
            if (!set_matches(pattern.substr(pattern_at, *end - pattern_at), character.code)) return false;
            pattern_at = *end;
            text_at += character.bytes;
            return true;
        }
    }
    if (pattern[pattern_at] == '\\' && pattern_at + 1 < pattern.size()) ++pattern_at;
    if (pattern[pattern_at] != text[text_at]) return false;
    ++pattern_at;
    ++text_at;
    return true;
}

} // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
    constexpr std::size_t none = std::string_view::npos;
    std::size_t pattern_at = 0;
    std::size_t text_at = 0;
    std::size_t after_star = none;
    std::size_t retry_at = 0;
    while (text_at < text.size()) {
        if (pattern_at < pattern.size() && pattern[pattern_at] == '*') {
            after_star = ++pattern_at;
            retry_at = text_at;
        } else if (pattern_at >= pattern.size() || !match_one(pattern, pattern_at, text, text_at)) {
            if (after_star == none) return false;
            pattern_at = after_star;
            text_at = ++retry_at;
        }
    }
    while (pattern_at < pattern.size() && pattern[pattern_at] == '*') ++pattern_at;
    return pattern_at == pattern.size();
}

Result<void> check_glob(std::string_view pattern) {
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        if (pattern[at] == '\\' && ++at == pattern.size()) {
            return fail(ErrorCode::invalid_params,
                        "the pattern " + std::string(pattern) + " ends with a lone backslash", {},
                        "write \\\\ for a backslash");
        }
        if (pattern[at] != '[') continue;
        const auto end = find_set_end(pattern, at);
        if (!end) {
            return fail(ErrorCode::invalid_params,
                        "the pattern " + std::string(pattern) + " has a bracket at byte " + std::to_string(at) +
                            " that is not closed",
                        {}, "write \\[ for a bracket");
        }
        at = *end - 1;
    }
    return {};
}

} // namespace pillion
