// cache.export and cache.import: entries as JSON Lines, one {"namespace","key","value"|"base64",...} each, which any
// tool reads. What a namespace encrypts leaves it only where the request says so.
#include "ipc/base/base64.h"
#include "ipc/json_scanner.h"
#include "ipc/json_text.h"
#include "modules/cache/cache_rpc.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <future>
#include <sys/stat.h>

namespace pillion {

struct CacheExportParams {
    std::string file;
    std::optional<std::string> space;
    std::string pattern;
    bool overwrite = false;
    bool withEncrypted = false;
};
PILLION_WIRE(CacheExportParams, PILLION_FIELD(file, "Absolute path of the file to write.", between(2, 4096)),
             PILLION_FIELD_AS(space, "namespace", "Only this namespace.", between(1, 64)),
             PILLION_FIELD(pattern, "Only keys that match.", defaulted, at_most(1024)),
             PILLION_FIELD(overwrite, "Replace a file that is there.", defaulted),
             PILLION_FIELD(withEncrypted, "Also what namespaces keep encrypted; the file holds it in the clear.",
                           defaulted))

struct CacheTransferResult {
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
    std::int64_t skipped = 0;
    std::vector<std::string> errors;
};
PILLION_WIRE(CacheTransferResult, PILLION_FIELD(entries, "Entries transferred."),
             PILLION_FIELD(bytes, "Bytes of the file."),
             PILLION_FIELD(skipped, "Entries left out: expired, encrypted, or not readable."),
             PILLION_FIELD(errors, "The first ten reasons."))

struct CacheImportParams {
    std::string file;
};
PILLION_WIRE(CacheImportParams,
             PILLION_FIELD(file, "Absolute path of a file that cache.export wrote.", between(2, 4096)))

struct CacheTransferLine {
    Json key;
    std::string space;
    std::optional<Json> value;
    std::optional<std::string> base64;
    std::optional<std::string> contentType;
    std::optional<std::int64_t> ttlMs;
    std::int64_t priority = 5;
    std::vector<std::string> tags;
    std::string etag;
};
PILLION_WIRE(CacheTransferLine, PILLION_FIELD(key, ""), PILLION_FIELD_AS(space, "namespace", ""),
             PILLION_FIELD(value, ""), PILLION_FIELD(base64, ""), PILLION_FIELD(contentType, ""),
             PILLION_FIELD(ttlMs, ""), PILLION_FIELD(priority, "", between(1, 10), defaulted),
             PILLION_FIELD(tags, "", defaulted), PILLION_FIELD(etag, "", defaulted))

namespace {

constexpr std::size_t exported_max = 1'000'000;
constexpr std::size_t errors_max = 10;

// Waits for an answer that memory gives at once; for methods on workers.
template <class T, class Start>
Result<T> wait_for(Start start) {
    auto promise = std::make_shared<std::promise<Result<T>>>();
    auto future = promise->get_future();
    start([promise](Result<T> answer) { promise->set_value(std::move(answer)); });
    return future.get();
}

Result<CacheTransferResult> export_entries(Cache& cache, const CacheExportParams& params, Call& call) {
    if (params.file.front() != '/') return fail(ErrorCode::invalid_params, "the path is not absolute", "/file");
    struct stat status {};
    if (!params.overwrite && stat(params.file.c_str(), &status) == 0)
        return fail(ErrorCode::conflict, "there is a file \"" + params.file + "\" already", "/file",
                    "overwrite: true replaces it");
    const std::vector<CacheEntryInfo> entries = PILLION_TRY(cache.list(params.space, params.pattern, exported_max));
    const std::string draft = params.file + ".part";
    std::ofstream file(draft, std::ios::binary | std::ios::trunc);
    if (!file)
        return fail(ErrorCode::invalid_params, "cannot write \"" + params.file + "\": " + std::strerror(errno),
                    "/file");
    CacheTransferResult result;
    for (const CacheEntryInfo& entry : entries) {
        if (call.is_cancelled()) break;
        const bool is_secret = PILLION_TRY(cache.space(entry.space))->policy()->encrypt && !params.withEncrypted;
        CacheGet get;
        get.space = entry.space;
        get.key = entry.key;
        get.only_memory = true;
        get.is_prefetch = true;
        const auto read = wait_for<CacheRead>([&](CacheReadDone done) { cache.get(get, std::move(done)); });
        if (is_secret || !read || !read->value) {
            ++result.skipped;
            continue;
        }
        CacheTransferLine line;
        line.space = entry.space;
        if (entry.key.parts.empty()) {
            line.key.text.clear();
            append_quoted(line.key.text, entry.key.name);
        } else {
            line.key.text = entry.key.parts;
        }
        const RecordMeta& meta = read->value->meta;
        if (meta.content_type == "application/json") {
            line.value = Json{read->value->bytes};
        } else {
            line.base64 = base64_encode(read->value->bytes);
            line.contentType = meta.content_type;
        }
        if (read->ttl_ms != never_ms) line.ttlMs = read->ttl_ms;
        line.priority = meta.priority;
        for (const std::string& tag : meta.tags)
            if (tag.front() != '\x01') line.tags.push_back(tag);
        line.etag = meta.etag;
        Buffer json(call.pool());
        wire::encode(line, json);
        json.append('\n');
        // A value may be written over several lines; here one line is one entry.
        std::string text(json.view());
        std::replace(text.begin(), text.end() - 1, '\n', ' ');
        std::replace(text.begin(), text.end() - 1, '\r', ' ');
        file << text;
        result.bytes += static_cast<std::int64_t>(text.size());
        ++result.entries;
    }
    file.close();
    if (!file || std::rename(draft.c_str(), params.file.c_str()) != 0) {
        const int reason = errno;
        std::remove(draft.c_str());
        return fail(reason == ENOSPC ? ErrorCode::exhausted : ErrorCode::unavailable,
                    "cannot write \"" + params.file + "\": " + std::strerror(reason), "/file");
    }
    return result;
}

Result<void> import_line(Cache& cache, std::string_view text) {
    JsonScanner scanner(text);
    if (!scanner.skip_value() || !scanner.at_end()) return fail(ErrorCode::invalid_params, "it is no JSON");
    CacheTransferLine line;
    std::string scratch;
    PILLION_TRY(wire::decode_value(wire::type_of<CacheTransferLine>, text, &line, scratch));
    if (line.value.has_value() == line.base64.has_value())
        return fail(ErrorCode::invalid_params, "it has no value, or two");
    CachePut put;
    put.space = line.space;
    put.key = PILLION_TRY(read_cache_key({line.key.text}));
    if (line.value) put.bytes = std::move(line.value->text);
    if (line.base64) {
        auto bytes = base64_decode(*line.base64);
        if (!bytes) return fail(ErrorCode::invalid_params, "its base64 is none");
        put.bytes = std::move(*bytes);
        put.content_type = line.contentType.value_or("application/octet-stream");
    }
    if (line.ttlMs) put.ttl_ms = std::max<std::int64_t>(0, *line.ttlMs);
    put.priority = static_cast<std::uint8_t>(line.priority);
    put.tags = std::move(line.tags);
    put.etag = std::move(line.etag);
    PILLION_TRY(wait_for<CachePutOutcome>(
        [&](std::function<void(Result<CachePutOutcome>)> done) { cache.put(std::move(put), std::move(done)); }));
    return {};
}

Result<CacheTransferResult> import_entries(Cache& cache, const CacheImportParams& params, Call& call) {
    const std::string content = PILLION_TRY(read_file_value(params.file, cache.config().fileBytesMax));
    CacheTransferResult result;
    result.bytes = static_cast<std::int64_t>(content.size());
    std::string_view left = content;
    for (std::size_t number = 1; !left.empty() && !call.is_cancelled(); ++number) {
        const std::size_t end = std::min(left.find('\n'), left.size());
        const std::string_view line = left.substr(0, end);
        left.remove_prefix(std::min(end + 1, left.size()));
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
        if (const auto done = import_line(cache, line); done) {
            ++result.entries;
        } else {
            ++result.skipped;
            if (result.errors.size() < errors_max)
                result.errors.push_back("line " + std::to_string(number) + ": " + done.error().message);
        }
    }
    return result;
}

} // namespace

std::vector<Method> cache_transfer_methods(Cache& cache) {
    std::vector<Method> methods;
    methods.push_back(method("cache.export", "Writes the entries in memory to a file, a line of JSON each.",
                             Lane::pooled,
                             [&cache](const CacheExportParams& params, Call& call) -> Result<CacheTransferResult> {
                                 return export_entries(cache, params, call);
                             }));
    methods.push_back(method("cache.import", "Reads entries from a file that cache.export wrote.", Lane::pooled,
                             [&cache](const CacheImportParams& params, Call& call) -> Result<CacheTransferResult> {
                                 return import_entries(cache, params, call);
                             }));
    return methods;
}

} // namespace pillion
