// `http.get` on the wire. Constants; any thread.
#pragma once

#include "ipc/method.h"
#include "modules/http_cache/http_cache.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace pillion {

struct HttpGetParams {
    std::string url;
    std::map<std::string, std::string> headers;
    std::string space = "http";
    std::int64_t timeoutMs = 30'000;
    bool refresh = false;
    bool explain = false;
};
PILLION_WIRE(HttpGetParams, PILLION_FIELD(url, "What to fetch: http:// or https://.", between(8, 8192)),
             PILLION_FIELD(headers, "Request fields to send.", at_most(64), defaulted),
             PILLION_FIELD_AS(space, "namespace", "The cache's namespace to keep it in.", between(1, 64), defaulted),
             PILLION_FIELD(timeoutMs, "How long the origin may take, in milliseconds.", between(1, 600'000), defaulted),
             PILLION_FIELD(refresh, "Whether to ask the origin even where a fresh answer is kept.", defaulted),
             PILLION_FIELD(explain, "Whether to tell what was waited for.", defaulted))

struct HttpGetStep {
    std::string where;
    std::string outcome;
    double waitedMs = 0;
};
PILLION_WIRE(HttpGetStep, PILLION_FIELD(where, "memory, a tier, or loader for the origin."),
             PILLION_FIELD(outcome, "What came of it."), PILLION_FIELD(waitedMs, "How long it took, in milliseconds."))

struct HttpGetResult {
    std::optional<std::string> text;
    std::optional<std::string> base64;
    std::string contentType;
    std::int64_t bytes = 0;
    std::string source;
    bool stale = false;
    std::int64_t ageMs = 0;
    std::optional<std::string> etag;
    std::vector<HttpGetStep> steps;
};
PILLION_WIRE(HttpGetResult, PILLION_FIELD(text, "The content, where it is UTF-8 text."),
             PILLION_FIELD(base64, "The content in base64, where it is not."),
             PILLION_FIELD(contentType, "Its media type."), PILLION_FIELD(bytes, "Its size."),
             PILLION_FIELD(source, "Where it came from: memory, a tier, or loader for the origin."),
             PILLION_FIELD(stale, "Whether it is past its time and was allowed all the same (RFC 5861)."),
             PILLION_FIELD(ageMs, "Since it was fetched, in milliseconds."),
             PILLION_FIELD(etag, "The origin's validator."),
             PILLION_FIELD(steps, "What was waited for, where `explain` was set."))

// The request in the params of a load, as the cache passes them to its loader.
Result<HttpGet> read_http_load(std::string_view params);

// `http` gives the engine, made at the first use.
std::vector<Method> http_cache_methods(std::function<HttpCache&()> http);

} // namespace pillion
