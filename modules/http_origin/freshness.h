// The rules of HTTP caching for a private cache, as pure functions: RFC 9111 (caching), RFC 5861
// (stale-while-revalidate, stale-if-error), RFC 8246 (immutable), RFC 9875 (cache groups). Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pillion {

// In the order they came; names in any case.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// Without the blanks around a field's value, or what is left of a line's end (RFC 9110, 5.6.3).
std::string_view trim(std::string_view text);

// The values of all fields of that name, joined with ", " (RFC 9110, 5.3); absent if there is none.
std::optional<std::string> find_header(const HttpHeaders& headers, std::string_view name);

// A response's Cache-Control, as far as a private cache heeds it.
struct CacheControl {
    std::optional<std::int64_t> max_age_ms{};
    std::optional<std::int64_t> stale_while_revalidate_ms{};
    std::optional<std::int64_t> stale_if_error_ms{};
    bool no_store = false;
    bool no_cache = false;
    bool must_revalidate = false;
    bool is_immutable = false;
    bool is_public = false;
};
CacheControl parse_cache_control(std::string_view value);

// An HTTP date in any of the three forms (RFC 9110, 5.6.7), in milliseconds since the epoch.
std::optional<std::int64_t> parse_http_date(std::string_view text);

struct Freshness {
    bool may_store = false;
    std::int64_t fresh_ms = 0;            // from now; 0: to be asked again before each use
    std::int64_t stale_revalidate_ms = 0; // after that: may be used while it is asked again
    std::int64_t stale_error_ms = 0;      // after fresh_ms: may be used where asking fails
    bool is_heuristic = false;            // nothing was said: a tenth of its age since Last-Modified, a day at most
    std::string etag{};
    std::string last_modified{};
    std::vector<std::string> vary{};   // lower-case names of request fields that the answer depends on
    std::vector<std::string> groups{}; // RFC 9875
    bool has_validator() const { return !etag.empty() || !last_modified.empty(); }
};

// What an answer to GET is worth. `asked_ms` and `answered_ms` are the wall clock around the request.
Freshness judge_freshness(int status, const HttpHeaders& headers, std::int64_t asked_ms, std::int64_t answered_ms);

// Names of the groups that an answer to an unsafe request makes void (Cache-Group-Invalidation).
std::vector<std::string> groups_made_void(const HttpHeaders& headers);

// The part of a cache key that stands for the request fields an answer varies by, those that the request has; absent
// for "Vary: *", which nothing matches.
std::optional<std::string> vary_key(const std::vector<std::string>& vary, const HttpHeaders& request);

} // namespace pillion
