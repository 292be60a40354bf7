// `_meta`: what any request may add to its params. Read by the pipeline, for every method alike.
#pragma once

#include "ipc/base/error.h"
#include "ipc/wire_type.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pillion {

enum class Priority : std::uint8_t { critical, high, normal, low };
PILLION_ENUM(Priority, "critical", "high", "normal", "low")
inline constexpr std::size_t priorities = 4;

enum class CacheMode : std::uint8_t { standard, bypass, refresh, onlyIfCached };
PILLION_ENUM(CacheMode, "default", "bypass", "refresh", "onlyIfCached")

enum class SortOrder : std::uint8_t { asc, desc };
PILLION_ENUM(SortOrder, "asc", "desc")

struct RequestMeta {
    Priority priority = Priority::normal;
    std::optional<std::int64_t> timeoutMs;
    std::optional<JsonView> progressToken;
    std::optional<CacheMode> cache;
    std::optional<std::int64_t> maxAgeMs;
    std::int64_t staleOkMs = 0;
    std::optional<std::string_view> ifNoneMatch;
    std::optional<JsonView> fields;
    std::optional<std::int64_t> page;
    std::optional<std::int64_t> limit;
    std::optional<std::string_view> sortBy;
    std::optional<SortOrder> sortOrder;
    bool timing = false;
};
PILLION_WIRE(
    RequestMeta, PILLION_FIELD(priority, "Which requests run first when not all can.", defaulted),
    PILLION_FIELD(timeoutMs,
                  "Deadline in milliseconds from arrival; past it the answer is -32001 and the work is cancelled.",
                  between(1, 86'400'000)),
    PILLION_FIELD(progressToken, "A string or number; `$/progress` notifications are sent for it."),
    PILLION_FIELD(cache, "How the response cache serves this request."),
    PILLION_FIELD(maxAgeMs, "Oldest cached answer to accept, in milliseconds.", at_least(0)),
    PILLION_FIELD(staleOkMs,
                  "How long past its freshness an answer may be served while a fresh one is fetched, in milliseconds.",
                  at_least(0), defaulted),
    PILLION_FIELD(ifNoneMatch, "The etag of an answer the client has; if nothing changed the answer says only that.",
                  at_most(256)),
    PILLION_FIELD(fields, "Members wanted: \"id,title,owner.name\" or a list of such paths; applies inside lists."),
    PILLION_FIELD(page, "Page of a list, from 1.", at_least(1)),
    PILLION_FIELD(limit, "Items per page; 20 by default.", between(1, 100)),
    PILLION_FIELD(sortBy, "Member to sort a list by.", between(1, 128)),
    PILLION_FIELD(sortOrder, "Direction of the sort; `asc` by default."),
    PILLION_FIELD(timing, "Adds how long the request took to the answer's `_meta`.", defaulted))

// What a result says about itself, in its own `_meta`, where the request asked.
struct ResultMeta {
    std::optional<std::string> etag;
    std::optional<bool> notModified;
    std::optional<bool> cached;
    std::optional<std::int64_t> ageMs;
    std::optional<bool> stale;
    std::optional<double> durationUs;
};
PILLION_WIRE(ResultMeta, PILLION_FIELD(etag, "Identifies this answer's content; send it back as `ifNoneMatch`."),
             PILLION_FIELD(notModified, "True if the content is what `ifNoneMatch` names; then nothing else is sent."),
             PILLION_FIELD(cached, "Whether the answer came from the response cache."),
             PILLION_FIELD(ageMs, "Age of a cached answer in milliseconds."),
             PILLION_FIELD(stale, "Whether it is past its freshness and a fresh one is being fetched."),
             PILLION_FIELD(durationUs, "Time from arrival to this answer in microseconds."))

struct Page {
    std::int64_t page = 1;
    std::int64_t limit = 20;
    std::int64_t total = 0;
    std::int64_t pages = 0;
};
PILLION_WIRE(Page, PILLION_FIELD(page, "This page, from 1."), PILLION_FIELD(limit, "Items per page."),
             PILLION_FIELD(total, "Items on all pages."), PILLION_FIELD(pages, "Number of pages."))

// Reads `_meta`. Members with a '/' or '.' in their name belong to other protocols (MCP's convention) and are passed
// over; other unknown ones are refused with the nearest valid spelling. Views point into `text` or `scratch`.
Result<RequestMeta> read_request_meta(std::string_view text, std::string& scratch);

} // namespace pillion
