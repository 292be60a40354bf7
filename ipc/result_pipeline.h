// What happens to a result between its method and the wire, for every method alike: field selection, etag and
// not-modified, and the result's own `_meta`. Any thread.
#pragma once

#include "ipc/base/memory_pools.h"
#include "ipc/call.h"

#include <cstdint>
#include <string_view>

namespace pillion {

// How an answer came to be, as far as the response cache knows.
struct AnswerOrigin {
    bool cached = false;
    bool stale = false;
    std::int64_t age_ms = 0;
};

// Whether the request asks for anything that result_pipeline does; if not, the result goes out as it is.
bool needs_pipeline(const RequestMeta& meta);

// Appends the result as the request wants it.
Result<void> append_result(const Call& call, std::string_view result, const AnswerOrigin& origin, std::int64_t now_ns,
                           MemoryPools& pools, Buffer& out);

} // namespace pillion
