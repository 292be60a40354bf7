// RFC 9111: storing (3), age and freshness lifetime (4.2), heuristics (4.2.2), updating by 304 (4.3.4). A sidecar
// serves one user: a private cache, so s-maxage and `private` are for others. RFC 9875 gives groups as a structured
// field list of strings.
#include "modules/http_origin/freshness.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace pillion {

namespace {

constexpr std::int64_t day_ms = 86'400'000;
constexpr std::int64_t seconds_max = 2'147'483'648; // RFC 9111, 1.2.2: what an overflow counts as

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool equal_names(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::string lower_case(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), lower);
    return out;
}

// Splits at commas outside of quotes.
std::vector<std::string_view> split_list(std::string_view text) {
    std::vector<std::string_view> parts;
    bool quoted = false;
    std::size_t start = 0;
    for (std::size_t at = 0; at <= text.size(); ++at) {
        if (at < text.size() && text[at] == '\\' && quoted) {
            ++at;
            continue;
        }
        if (at < text.size() && text[at] == '"') quoted = !quoted;
        if (at < text.size() && (text[at] != ',' || quoted)) continue;
        if (const auto part = trim(text.substr(start, std::min(at, text.size()) - start)); !part.empty())
            parts.push_back(part);
        start = at + 1;
    }
    return parts;
}

std::string unquote(std::string_view text) {
    text = trim(text);
    if (text.size() < 2 || text.front() != '"' || text.back() != '"') return std::string(text);
    std::string out;
    for (std::size_t at = 1; at + 1 < text.size(); ++at) {
        if (text[at] == '\\' && at + 2 < text.size()) ++at;
        out += text[at];
    }
    return out;
}

// delta-seconds; what is no number counts as absent.
std::optional<std::int64_t> seconds_to_ms(std::string_view text) {
    const std::string digits = unquote(text);
    if (digits.empty() || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return {};
    std::int64_t seconds = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), seconds).ec != std::errc{} ||
        seconds > seconds_max)
        seconds = seconds_max;
    return seconds * 1000;
}

// An sf-list of strings; parameters are dropped, members that are no strings too.
std::vector<std::string> string_list(const std::optional<std::string>& value) {
    std::vector<std::string> strings;
    if (!value) return strings;
    for (const std::string_view member : split_list(*value)) {
        if (member.front() != '"') continue;
        std::size_t end = 1;
        while (end < member.size() && member[end] != '"') end += member[end] == '\\' ? 2 : 1;
        if (end < member.size()) strings.push_back(unquote(member.substr(0, end + 1)));
    }
    return strings;
}

// RFC 9110, 15.1: those that may be stored without being told how long.
bool is_heuristically_cacheable(int status) {
    constexpr std::array statuses{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    return std::ranges::find(statuses, status) != statuses.end();
}

} // namespace

std::string_view trim(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    while (!text.empty() && blanks.contains(text.front())) text.remove_prefix(1);
    while (!text.empty() && blanks.contains(text.back())) text.remove_suffix(1);
    return text;
}

std::optional<std::string> find_header(const HttpHeaders& headers, std::string_view name) {
    std::optional<std::string> joined;
    for (const auto& [key, value] : headers) {
        if (!equal_names(key, name)) continue;
        if (joined)
            *joined += ", " + value;
        else
            joined = value;
    }
    return joined;
}

CacheControl parse_cache_control(std::string_view value) {
    CacheControl control;
    for (const std::string_view directive : split_list(value)) {
        const std::size_t equals = std::min(directive.find('='), directive.size());
        const std::string_view name = trim(directive.substr(0, equals));
        const std::string_view argument = directive.substr(std::min(equals + 1, directive.size()));
        if (equal_names(name, "max-age")) {
            // Said twice: the first counts (4.2.1). No number: stale at once.
            if (!control.max_age_ms) control.max_age_ms = seconds_to_ms(argument).value_or(0);
        } else if (equal_names(name, "stale-while-revalidate")) {
            control.stale_while_revalidate_ms = seconds_to_ms(argument);
        } else if (equal_names(name, "stale-if-error")) {
            control.stale_if_error_ms = seconds_to_ms(argument);
        } else if (equal_names(name, "no-store")) {
            control.no_store = true;
        } else if (equal_names(name, "no-cache")) {
            control.no_cache = true; // with field names too: asking again is the safe reading
        } else if (equal_names(name, "must-revalidate")) {
            control.must_revalidate = true;
        } else if (equal_names(name, "immutable")) {
            control.is_immutable = true;
        } else if (equal_names(name, "public")) {
            control.is_public = true;
        }
    }
    return control;
}

std::optional<std::int64_t> parse_http_date(std::string_view text) {
    const std::string value(trim(text));
    for (const char* const form : {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
        std::tm parts{};
        const char* const end = strptime(value.c_str(), form, &parts);
        if (end != nullptr && *end == '\0') return static_cast<std::int64_t>(timegm(&parts)) * 1000;
    }
    return {};
}

Freshness judge_freshness(int status, const HttpHeaders& headers, std::int64_t asked_ms, std::int64_t answered_ms) {
    Freshness result;
    const CacheControl control = parse_cache_control(find_header(headers, "cache-control").value_or(""));
    result.etag = find_header(headers, "etag").value_or("");
    result.last_modified = find_header(headers, "last-modified").value_or("");
    result.groups = string_list(find_header(headers, "cache-groups"));
    const std::string vary = find_header(headers, "vary").value_or("");
    for (const std::string_view name : split_list(vary)) result.vary.push_back(lower_case(name));

    const auto date = parse_http_date(find_header(headers, "date").value_or(""));
    const auto expires_field = find_header(headers, "expires");
    const auto expires = parse_http_date(expires_field.value_or(""));
    const auto modified = parse_http_date(result.last_modified);

    std::int64_t lifetime_ms = 0;
    bool is_explicit = true;
    if (control.max_age_ms) {
        lifetime_ms = *control.max_age_ms;
    } else if (expires_field) {
        lifetime_ms =
            expires ? std::max<std::int64_t>(0, *expires - date.value_or(answered_ms)) : 0; // invalid: stale (5.3)
    } else {
        is_explicit = false;
        if (modified && is_heuristically_cacheable(status) && !control.no_cache) {
            lifetime_ms = std::clamp<std::int64_t>((date.value_or(answered_ms) - *modified) / 10, 0, day_ms);
            result.is_heuristic = true;
        }
    }
    // 4.2.3
    const std::int64_t apparent_ms = date ? std::max<std::int64_t>(0, answered_ms - *date) : 0;
    const std::int64_t age_ms =
        std::max<std::int64_t>(apparent_ms, seconds_to_ms(find_header(headers, "age").value_or("")).value_or(0) +
                                                std::max<std::int64_t>(0, answered_ms - asked_ms));
    result.fresh_ms = control.no_cache ? 0 : std::max<std::int64_t>(0, lifetime_ms - age_ms);
    if (!control.must_revalidate && !control.no_cache) {
        result.stale_revalidate_ms = control.stale_while_revalidate_ms.value_or(0);
        result.stale_error_ms = control.stale_if_error_ms.value_or(0);
    }
    const bool is_final = status >= 200 && status != 206 && status != 304;
    result.may_store =
        is_final && !control.no_store && std::ranges::find(result.vary, "*") == result.vary.end() &&
        (is_explicit || control.is_public || is_heuristically_cacheable(status)) &&
        (result.fresh_ms > 0 || result.stale_revalidate_ms > 0 || result.stale_error_ms > 0 || result.has_validator());
    return result;
}

std::vector<std::string> groups_made_void(const HttpHeaders& headers) {
    return string_list(find_header(headers, "cache-group-invalidation"));
}

std::optional<std::string> vary_key(const std::vector<std::string>& vary, const HttpHeaders& request) {
    std::vector<std::string> names = vary;
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    std::string key;
    for (const std::string& name : names) {
        if (name == "*") return {};
        if (const auto value = find_header(request, name)) key += name + ":" + std::string(trim(*value)) + "\n";
    }
    return key;
}

} // namespace pillion
