#include "ipc/result_pipeline.h"

#include "ipc/field_selection.h"
#include "ipc/json_scanner.h"
#include "ipc/method.h"

#include <cstdio>
// Header only: a shared library more is a slower start.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pillion {

namespace {

bool asks_for_cache(const RequestMeta& meta) {
    return meta.cache || meta.maxAgeMs || meta.staleOkMs != 0 || meta.ifNoneMatch;
}

std::string etag_of(std::string_view bytes) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    char text[33];
    std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                  static_cast<unsigned long long>(hash.low64));
    return text;
}

// Puts `_meta` behind the last member of an object. A result that brings a `_meta` of its own (an echo) keeps it.
void append_with_meta(std::string_view object, const ResultMeta& meta, Buffer& out) {
    JsonScanner scanner(object);
    std::string_view key;
    bool empty = true;
    if (scanner.peek() != JsonKind::object) return out.append(object);
    scanner.enter('{');
    while (scanner.next_member(key)) {
        empty = false;
        if (key == "_meta") return out.append(object);
        scanner.skip_value();
    }
    out.append(object.substr(0, object.rfind('}')));
    out.append(empty ? "\"_meta\":" : ",\"_meta\":");
    wire::encode(meta, out);
    out.append('}');
}

} // namespace

bool needs_pipeline(const RequestMeta& meta) { return asks_for_cache(meta) || meta.fields || meta.timing; }

Result<void> append_result(const Call& call, std::string_view result, const AnswerOrigin& origin, std::int64_t now_ns,
                           MemoryPools& pools, Buffer& out) {
    const RequestMeta& meta = call.meta();
    Buffer selected(pools.buffers);
    if (meta.fields) {
        auto selection =
            PILLION_TRY(FieldSelection::create(meta.fields->text, call.method().result, call.method().is_list, pools));
        selection.apply(result, selected);
        result = selected.view();
    }
    if (!asks_for_cache(meta) && !meta.timing) {
        out.append(result);
        return {};
    }
    ResultMeta about;
    if (meta.timing) about.durationUs = static_cast<double>(now_ns - call.received_ns()) / 1000.0;
    if (asks_for_cache(meta)) {
        about.etag = etag_of(result);
        if (meta.ifNoneMatch && *meta.ifNoneMatch == *about.etag) {
            about.notModified = true;
            append_with_meta("{}", about, out);
            return {};
        }
        about.cached = origin.cached;
        if (origin.cached) about.ageMs = origin.age_ms;
        if (origin.stale) about.stale = true;
    }
    append_with_meta(result, about, out);
    return {};
}

} // namespace pillion
