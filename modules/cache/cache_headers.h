// What a webview should do with an asset: Cache-Control (RFC 9111, RFC 5861, `immutable` of RFC 8246) and ETag (RFC
// 9110) for an entry of the cache or a file name. Functions without state; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pillion {

// A strong entity tag of these bytes, with its quotes.
std::string entity_tag(std::string_view bytes);
// Whether a request's If-None-Match (a list, weak tags, or *) names this tag.
bool names_entity_tag(std::string_view if_none_match, std::string_view etag);
// Whether the name carries a hash of its content ("app.3f9a1c07.js", "index-BqX9d2Lk.css"): its bytes never change.
bool has_content_hash(std::string_view name);

struct FreshnessRules {
    std::int64_t ttl_ms = 0; // left; 0: revalidate each time
    std::int64_t grace_ms = 0;
    bool is_immutable = false;
    bool is_private = false; // for this user alone: a shared cache must not keep it
};
std::string cache_control(const FreshnessRules& rules);

} // namespace pillion
