#include "modules/http_cache/http_cache_rpc.h"

#include "ipc/base/base64.h"
#include "ipc/json_text.h"

#include <algorithm>
#include <array>

namespace pillion {

namespace {

HttpGet request_of(const HttpGetParams& params) {
    HttpGet wanted{.url = params.url, .timeout_ms = params.timeoutMs};
    for (const auto& [name, value] : params.headers) wanted.headers.emplace_back(name, value);
    return wanted;
}

// Line ends in a field would let its value speak for others (RFC 9110, 5.5). What asks for a part, or whether something
// changed, is for the cache to say: the answer would not be the content.
Result<void> check_headers(const HttpHeaders& headers) {
    constexpr std::array<std::string_view, 7> conditions{
        "if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "if-range", "range", "host"};
    for (const auto& [name, value] : headers) {
        if (name.empty() || (name + value).find_first_of("\r\n") != std::string::npos ||
            name.find_first_of(" :") != std::string::npos)
            return fail(ErrorCode::invalid_params,
                        "headers has a field that HTTP does not allow: \"" + name.substr(0, 60) + "\"", "/headers");
        std::string lower = name;
        for (char& c : lower)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
        if (std::ranges::find(conditions, lower) != conditions.end())
            return fail(ErrorCode::invalid_params, "headers must not have " + name + ": the cache sets it where needed",
                        "/headers");
    }
    return {};
}

HttpGetResult result_of(const CacheRead& read) {
    HttpGetResult result;
    result.source = read.source;
    result.stale = read.freshness == CacheFreshness::stale;
    result.ageMs = read.age_ms;
    for (const CacheStep& step : read.steps) result.steps.push_back({step.where, step.outcome, step.waitedMs});
    if (!read.value) return result;
    const std::string& bytes = read.value->bytes;
    result.contentType = read.value->meta.content_type;
    result.bytes = static_cast<std::int64_t>(bytes.size());
    if (!read.value->meta.etag.empty()) result.etag = read.value->meta.etag;
    if (is_utf8(bytes))
        result.text = bytes;
    else
        result.base64 = base64_encode(bytes);
    return result;
}

} // namespace

Result<HttpGet> read_http_load(std::string_view params) {
    HttpGetParams decoded;
    std::string scratch;
    PILLION_TRY(wire::decode_params(params, decoded, scratch));
    HttpGet wanted = request_of(decoded);
    PILLION_TRY(check_headers(wanted.headers));
    return wanted;
}

std::vector<Method> http_cache_methods(std::function<HttpCache&()> http) {
    std::vector<Method> methods;
    methods.push_back(async_method<HttpGetParams, HttpGetResult>(
        "http.get",
        "Fetches from an HTTP origin through the cache, which keeps answers as long as the origin allows (RFC 9111).",
        [http = std::move(http)](const HttpGetParams& params, Reply<HttpGetResult> reply) {
            HttpGet wanted = request_of(params);
            if (auto checked = check_headers(wanted.headers); !checked)
                return reply(std::unexpected(std::move(checked).error()));
            CacheGet request{.space = params.space, .refresh = params.refresh, .explain = params.explain};
            const auto answer = std::make_shared<Reply<HttpGetResult>>(std::move(reply));
            http().get(wanted, std::string(answer->call().params()), std::move(request),
                       [answer, url = params.url](const Result<CacheRead>& read) {
                           if (!read) return (*answer)(std::unexpected(read.error()));
                           if (!read->value)
                               return (*answer)(fail(ErrorCode::not_found,
                                                     printable_url(url) + " was not there when it was last asked for"));
                           (*answer)(result_of(*read));
                       });
        }));
    return methods;
}

} // namespace pillion
