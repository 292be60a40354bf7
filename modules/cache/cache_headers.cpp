#include "modules/cache/cache_headers.h"

#include "ipc/base/number_text.h"

#include <algorithm>
#include <cctype>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

namespace {

constexpr std::int64_t year_s = 31'536'000;

bool is_alphanumeric(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// As bundlers write hashes: 8 to 64 letters and digits, of both kinds. Words and years alone are none.
bool looks_like_hash(std::string_view part) {
    if (part.size() < 8 || part.size() > 64) return false;
    if (!std::ranges::all_of(part, is_alphanumeric)) return false;
    const auto digits = std::ranges::count_if(part, [](char c) { return c >= '0' && c <= '9'; });
    const bool is_hexadecimal =
        std::ranges::all_of(part, [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; });
    const bool has_both_cases = std::ranges::any_of(part, [](char c) { return c >= 'a' && c <= 'z'; }) &&
                                std::ranges::any_of(part.substr(1), [](char c) { return c >= 'A' && c <= 'Z'; });
    const bool is_number = digits == static_cast<std::ptrdiff_t>(part.size());
    return !is_number && digits > 0 &&
           (is_hexadecimal || has_both_cases || digits * 4 >= static_cast<std::ptrdiff_t>(part.size()));
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

} // namespace

std::string entity_tag(std::string_view bytes) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return '"' + hex_digits(hash.high64) + hex_digits(hash.low64) + '"';
}

bool names_entity_tag(std::string_view if_none_match, std::string_view etag) {
    if (trimmed(if_none_match) == "*") return true;
    while (!if_none_match.empty()) {
        std::size_t end = 0; // the comma that ends this one; inside quotes it is a part of the tag
        for (bool quoted = false; end < if_none_match.size() && (quoted || if_none_match[end] != ','); ++end)
            if (if_none_match[end] == '"') quoted = !quoted;
        std::string_view one = trimmed(if_none_match.substr(0, end));
        if (one.starts_with("W/")) one.remove_prefix(2); // weak comparison
        if (one == etag) return true;
        if_none_match.remove_prefix(std::min(end + 1, if_none_match.size()));
    }
    return false;
}

bool has_content_hash(std::string_view name) {
    if (const std::size_t slash = name.find_last_of('/'); slash != std::string_view::npos)
        name.remove_prefix(slash + 1);
    name = name.substr(0, name.find_first_of("?#"));
    const std::size_t dot = name.find_last_of('.');
    if (dot == std::string_view::npos) return false;
    std::string_view stem = name.substr(0, dot);
    if (const std::size_t mark = stem.find_last_of(".-_"); mark != std::string_view::npos)
        return looks_like_hash(stem.substr(mark + 1));
    return stem.size() >= 20 && looks_like_hash(stem);
}

std::string cache_control(const FreshnessRules& rules) {
    std::string text = rules.is_private ? "private" : "public";
    if (rules.is_immutable) return text + ", max-age=" + std::to_string(year_s) + ", immutable";
    const std::int64_t seconds = std::clamp<std::int64_t>(rules.ttl_ms / 1000, 0, year_s);
    if (seconds == 0) return text + ", no-cache";
    text += ", max-age=" + std::to_string(seconds);
    if (const std::int64_t grace = std::min(rules.grace_ms / 1000, year_s); grace > 0)
        text += ", stale-while-revalidate=" + std::to_string(grace) + ", stale-if-error=" + std::to_string(grace);
    return text;
}

} // namespace pillion
