#include "modules/cache/cache_rpc.h"

#include "ipc/base/base64.h"
#include "ipc/json_text.h"
#include "modules/cache/cache_gathering_rpc.h"

#include <algorithm>

namespace pillion {

namespace {

std::string owned(std::string_view text) { return std::string(text); }

std::vector<std::string> owned(const std::vector<std::string_view>& texts) { return {texts.begin(), texts.end()}; }

Result<CacheGet> read_get(const CacheGetParams& params) {
    CacheGet get;
    get.key = PILLION_TRY(read_cache_key(params.key));
    get.space = owned(params.space);
    if (params.load) get.load = CacheLoad{owned(params.load->method), owned(params.load->params.text)};
    get.ttl_ms = params.ttlMs;
    get.tags = owned(params.tags);
    get.stale_ok_ms = params.staleOkMs;
    get.max_age_ms = params.maxAgeMs;
    get.refresh = params.refresh;
    get.only_memory = params.memoryOnly;
    get.explain = params.explain;
    if (get.refresh && !get.load)
        return fail(ErrorCode::invalid_params, "refresh needs to know where the value comes from", "/load");
    return get;
}

CachePutResult put_result(const CachePutOutcome& outcome) {
    CachePutResult result;
    result.stored = outcome.stored;
    result.replaced = outcome.replaced;
    result.tiers = outcome.tiers;
    result.pending = outcome.failed;
    if (outcome.stored) result.expiresAt = outcome.expires_at_ms;
    return result;
}

// A key's text if it is a plain one without escapes: nothing has to be built for it.
std::string_view plain_key(JsonView key) {
    const std::string_view text = key.text;
    if (text.size() < 3 || text.front() != '"' || text.find('\\') != std::string_view::npos) return {};
    return text.substr(1, text.size() - 2);
}

bool is_simple(const CacheGetParams& params) {
    return params.as == CacheAs::value && params.staleOkMs == 0 && !params.maxAgeMs && !params.refresh &&
           !params.explain;
}

Method get_method(Cache& cache, CacheLeases& leases) {
    return hybrid_method<CacheGetParams, CacheGetResult>(
        "cache.get", "A value by its key: from memory, the slower tiers, or where `load` says.",
        [&cache](const CacheGetParams& params, Call& call, Buffer& out) -> Result<bool> {
            if (!is_simple(params)) return false;
            return cache.find_hot(params.space, plain_key(params.key), call.received_ns(), params.load.has_value(),
                                  [&out](std::string_view payload) {
                                      out.append(R"({"found":true,"value":)");
                                      out.append(payload);
                                      out.append('}');
                                  });
        },
        [&cache, &leases](const CacheGetParams& params, Reply<CacheGetResult> reply) {
            auto get = read_get(params);
            if (!get) return reply(std::unexpected(get.error()));
            const bool explain = params.explain;
            const bool as_file = params.as == CacheAs::file;
            const std::int64_t lease_ms = params.leaseMs.value_or(cache.config().leaseMs);
            auto shared = std::make_shared<Reply<CacheGetResult>>(std::move(reply));
            cache.get(
                std::move(*get), [&cache, &leases, shared, explain, as_file, lease_ms](const Result<CacheRead>& read) {
                    if (!read) return (*shared)(std::unexpected(read.error()));
                    if (!as_file || !read->value) return (*shared)(cache_get_result(*read, explain));
                    cache.executor().post([&leases, shared, explain, lease_ms, found = *read] {
                        const auto lease = leases.grant(found.value->bytes, found.value->meta.content_type, lease_ms);
                        if (!lease) return (*shared)(std::unexpected(lease.error()));
                        CacheGetResult result = cache_get_result(found, explain);
                        result.value.reset();
                        result.base64.reset();
                        result.contentType = found.value->meta.content_type;
                        result.file = lease->path;
                        result.leasedUntil = lease->until_ms;
                        (*shared)(std::move(result));
                    });
                });
        });
}

Method put_method(Cache& cache) {
    return async_method<CachePutParams, CachePutResult>(
        "cache.put", "Keeps a value under a key.", [&cache](const CachePutParams& params, Reply<CachePutResult> reply) {
            auto shared = std::make_shared<Reply<CachePutResult>>(std::move(reply));
            const std::int64_t file_bytes_max = cache.config().fileBytesMax;
            const auto run = [&cache, shared, params, file_bytes_max] { // params live until the reply is used
                auto put = read_cache_put(params, file_bytes_max);
                if (!put) return (*shared)(std::unexpected(put.error()));
                cache.put(std::move(*put), [shared](const Result<CachePutOutcome>& outcome) {
                    if (!outcome) return (*shared)(std::unexpected(outcome.error()));
                    (*shared)(put_result(*outcome));
                });
            };
            constexpr std::size_t inline_bytes_max = 64 * 1024;
            const bool is_long = params.file || (params.base64 && params.base64->size() > inline_bytes_max);
            if (is_long) return cache.executor().post(run);
            run();
        });
}

} // namespace

struct CacheHasResult {
    bool found = false;
    std::optional<std::string> tier;
    std::optional<std::int64_t> ttlMs;
};
PILLION_WIRE(CacheHasResult, PILLION_FIELD(found, "Whether there is a fresh value."),
             PILLION_FIELD(tier, "Where it was found."), PILLION_FIELD(ttlMs, "How long it is still fresh."))

struct CacheTouchParams {
    JsonView key;
    std::string_view space = "default";
    std::optional<std::int64_t> ttlMs;
};
PILLION_WIRE(CacheTouchParams, PILLION_FIELD(key, "The key."),
             PILLION_FIELD_AS(space, "namespace", "The namespace.", defaulted, between(1, 64)),
             PILLION_FIELD(ttlMs, "How long it is fresh from now on; else as the namespace says.",
                           between(1, cache_ttl_ms_max)))

struct CacheTouchResult {
    bool found = false;
};
PILLION_WIRE(CacheTouchResult, PILLION_FIELD(found, "Whether there was a value."))

struct CacheSelectionParams {
    std::optional<std::string_view> space;
    std::optional<JsonView> key;
    std::optional<std::string_view> tag;
    std::optional<std::string_view> pattern;
    std::optional<std::int64_t> olderThanMs;
    bool expired = false;
    bool all = false;
    bool memoryOnly = false;
};
PILLION_WIRE(
    CacheSelectionParams, PILLION_FIELD_AS(space, "namespace", "Only this namespace; all if left out.", between(1, 64)),
    PILLION_FIELD(key, "One key of the namespace."),
    PILLION_FIELD(tag, "All that have this tag, in one step however many they are.", between(1, 256)),
    PILLION_FIELD(pattern,
                  "Keys that match: * ? [a-z] and \\ before a literal one; of composite keys their canonical JSON.",
                  between(1, 1024)),
    PILLION_FIELD(olderThanMs, "Entries at least this old.", between(0, cache_ttl_ms_max)),
    PILLION_FIELD(expired, "Entries past their time.", defaulted),
    PILLION_FIELD(all, "Everything, of the namespace if one is given.", defaulted),
    PILLION_FIELD(memoryOnly, "In memory alone; the slower tiers keep theirs.", defaulted))

struct CacheInvalidateParams {
    std::optional<std::string_view> space;
    std::optional<JsonView> key;
    std::optional<std::string_view> tag;
    std::optional<std::string_view> pattern;
    std::optional<std::int64_t> olderThanMs;
    bool expired = false;
    bool all = false;
    bool memoryOnly = false;
    std::vector<CacheSelectionParams> batch;
};
PILLION_WIRE(
    CacheInvalidateParams,
    PILLION_FIELD_AS(space, "namespace", "Only this namespace; all if left out.", between(1, 64)),
    PILLION_FIELD(key, "One key of the namespace."),
    PILLION_FIELD(tag, "All that have this tag, in one step however many they are.", between(1, 256)),
    PILLION_FIELD(pattern,
                  "Keys that match: * ? [a-z] and \\ before a literal one; of composite keys their canonical JSON.",
                  between(1, 1024)),
    PILLION_FIELD(olderThanMs, "Entries at least this old.", between(0, cache_ttl_ms_max)),
    PILLION_FIELD(expired, "Entries past their time.", defaulted),
    PILLION_FIELD(all, "Everything, of the namespace if one is given.", defaulted),
    PILLION_FIELD(memoryOnly, "In memory alone; the slower tiers keep theirs.", defaulted),
    PILLION_FIELD(batch, "Several at once, instead of the members above.", defaulted, at_most(cache_many_max)))

namespace {

template <class Params>
Result<CacheSelection> read_selection(const Params& params) {
    CacheSelection selection;
    if (params.space) selection.space = owned(*params.space);
    if (params.key) selection.key = PILLION_TRY(read_cache_key(*params.key));
    if (params.tag) selection.tag = owned(*params.tag);
    if (params.pattern) selection.pattern = owned(*params.pattern);
    selection.older_than_ms = params.olderThanMs;
    selection.expired = params.expired;
    selection.only_memory = params.memoryOnly;
    const bool says_what = params.key || params.tag || params.pattern || params.olderThanMs || params.expired;
    if (params.all == says_what)
        return fail(ErrorCode::invalid_params,
                    params.all
                        ? "`all` goes with nothing but a namespace"
                        : "this names nothing to invalidate: give key, tag, pattern, olderThanMs, expired or all",
                    "/all");
    return selection;
}

void invalidate_many(Cache& cache, const std::vector<CacheSelection>& selections, Reply<CacheInvalidateResult> reply) {
    const auto shared = std::make_shared<Reply<CacheInvalidateResult>>(std::move(reply));
    const auto gathering = std::make_shared<Gathering<std::optional<Result<CacheInvalidated>>>>(
        selections.size(), [shared](const std::vector<std::optional<Result<CacheInvalidated>>>& outcomes) {
            CacheInvalidateResult sum;
            for (const auto& outcome : outcomes) {
                if (!*outcome) return (*shared)(std::unexpected(outcome->error()));
                const CacheInvalidateResult one = invalidate_result(**outcome);
                sum.memoryEntries += one.memoryEntries;
                for (const auto& [tier, entries] : one.tierEntries) sum.tierEntries[tier] += entries;
                for (const std::string& tier : one.pending)
                    if (std::find(sum.pending.begin(), sum.pending.end(), tier) == sum.pending.end())
                        sum.pending.push_back(tier);
            }
            (*shared)(std::move(sum));
        });
    for (std::size_t i = 0; i < selections.size(); ++i)
        cache.invalidate(selections[i], [gathering, i](const Result<CacheInvalidated>& outcome) {
            gathering->outcomes[i] = outcome;
            gathering->leave();
        });
    gathering->leave();
}

Method invalidate_method(Cache& cache) {
    return async_method<CacheInvalidateParams, CacheInvalidateResult>(
        "cache.invalidate", "Makes values void, by key, tag, pattern, age or namespace, and what depends on them.",
        [&cache](const CacheInvalidateParams& params, Reply<CacheInvalidateResult> reply) {
            std::vector<CacheSelection> selections;
            if (params.batch.empty()) {
                auto selection = read_selection(params);
                if (!selection) return reply(std::unexpected(selection.error()));
                selections.push_back(std::move(*selection));
            }
            for (std::size_t i = 0; i < params.batch.size(); ++i) {
                auto selection = read_selection(params.batch[i]);
                if (!selection) {
                    Error error = selection.error();
                    error.field = "/batch/" + std::to_string(i) + error.field;
                    return reply(std::unexpected(std::move(error)));
                }
                selections.push_back(std::move(*selection));
            }
            auto shared = std::make_shared<Reply<CacheInvalidateResult>>(std::move(reply));
            // Patterns look at every entry: not on the reader's thread.
            cache.executor().post([&cache, shared, selections = std::move(selections)] {
                invalidate_many(cache, selections, std::move(*shared));
            });
        });
}

} // namespace

Result<CachePut> read_cache_put(const CachePutParams& params, std::int64_t file_bytes_max) {
    CachePut put;
    put.key = PILLION_TRY(read_cache_key(params.key));
    put.space = owned(params.space);
    const int given =
        (params.value ? 1 : 0) + (params.base64 ? 1 : 0) + (params.file ? 1 : 0) + (params.absent ? 1 : 0);
    if (given != 1)
        return fail(ErrorCode::invalid_params,
                    given == 0 ? "there is no value: give value, base64, file or absent"
                               : "the value is given more than once: give one of value, base64, file and absent",
                    "/value");
    if (params.ttlMs && params.ttlClass)
        return fail(ErrorCode::invalid_params, "ttlMs and ttlClass both say how long it lives; give one of them",
                    "/ttlClass");
    if (params.value) {
        if (params.contentType && *params.contentType != "application/json")
            return fail(ErrorCode::invalid_params, "`value` is application/json; bytes go as base64 or file",
                        "/contentType");
        put.bytes = owned(params.value->text);
    } else {
        put.content_type = owned(params.contentType.value_or("application/octet-stream"));
        if (put.content_type == "application/json")
            return fail(ErrorCode::invalid_params, "JSON goes as `value`", "/contentType");
    }
    if (params.base64) {
        auto bytes = base64_decode(*params.base64);
        if (!bytes) return fail(ErrorCode::invalid_params, "this is no base64", "/base64");
        put.bytes = std::move(*bytes);
    }
    if (params.file) put.bytes = PILLION_TRY(read_file_value(owned(*params.file), file_bytes_max));
    put.is_negative = params.absent;
    put.ttl_ms = params.ttlMs;
    if (params.ttlClass) put.ttl_ms = cache_ttl_of(*params.ttlClass);
    put.grace_ms = params.graceMs;
    if (params.priority) put.priority = static_cast<std::uint8_t>(*params.priority);
    put.tags = owned(params.tags);
    for (const CacheDependencyParams& dependency : params.dependsOn)
        put.depends_on.push_back({owned(dependency.space), PILLION_TRY(read_cache_key(dependency.key))});
    if (params.profile) put.depends_on.push_back({"voiceProfiles", PILLION_TRY(read_cache_key(*params.profile))});
    put.etag = owned(params.etag.value_or(""));
    put.made_in_ms = static_cast<std::int64_t>(params.madeInMs.value_or(0));
    put.only_if_absent = params.ifAbsent;
    return put;
}

Result<CacheKey> read_cache_key(JsonView key) {
    const std::string_view text = key.text;
    if (text.front() == '"') {
        auto plain = unescaped(text.substr(1, text.size() - 2));
        if (!plain) return fail(ErrorCode::invalid_params, "the key holds an unpaired surrogate", "/key");
        if (plain->starts_with('#') && plain->size() == 33)
            return fail(ErrorCode::invalid_params,
                        "a key of '#' and 32 digits is how composite ones are named; give their parts", "/key");
        CacheKey named{std::move(*plain), {}};
        PILLION_TRY(check_cache_key(named));
        return named;
    }
    if (text.front() != '{' && text.front() != '[')
        return fail(ErrorCode::invalid_params,
                    "the key " + std::string(text.substr(0, 40)) + " is neither a string nor an object or array",
                    "/key");
    std::string canonical;
    if (!append_canonical(canonical, text))
        return fail(ErrorCode::invalid_params, "a member stands twice in the key", "/key");
    CacheKey named = composite_key(std::move(canonical));
    PILLION_TRY(check_cache_key(named));
    return named;
}

CacheInvalidateResult invalidate_result(const CacheInvalidated& outcome) {
    CacheInvalidateResult result;
    result.memoryEntries = static_cast<std::int64_t>(outcome.memory_entries);
    for (const auto& [tier, entries] : outcome.tier_entries)
        result.tierEntries[tier] = static_cast<std::int64_t>(entries);
    result.pending = outcome.pending;
    return result;
}

CacheGetResult cache_get_result(const CacheRead& read, bool explain) {
    CacheGetResult result;
    result.found = read.value != nullptr;
    if (read.value) {
        const RecordMeta& meta = read.value->meta;
        if (meta.content_type == "application/json")
            result.value = Json{read.value->bytes};
        else
            result.base64 = base64_encode(read.value->bytes);
        if (meta.content_type != "application/json") result.contentType = meta.content_type;
    }
    if (read.freshness == CacheFreshness::stale) result.stale = true;
    if (read.freshness == CacheFreshness::negative) result.absent = true;
    if (!explain) return result;
    CacheExplanation explanation;
    explanation.source = read.source;
    explanation.freshness = read.freshness;
    explanation.ageMs = read.age_ms;
    if (read.ttl_ms != never_ms && read.value) explanation.ttlMs = read.ttl_ms;
    explanation.refreshing = read.refreshing;
    explanation.coalesced = read.coalesced;
    explanation.accesses = read.accesses;
    if (read.last_access_ms > 0) explanation.lastAccessAt = read.last_access_ms;
    if (read.value) {
        explanation.createdAt = read.value->meta.created_ms;
        explanation.bytes = static_cast<std::int64_t>(read.value->bytes.size());
        explanation.priority = read.value->meta.priority;
        for (const std::string& tag : read.value->meta.tags)
            if (tag.front() != '\x01') explanation.tags.push_back(tag); // the others stand for dependencies
        if (read.value->meta.made_in_ms > 0) explanation.madeInMs = static_cast<double>(read.value->meta.made_in_ms);
    }
    for (const CacheStep& step : read.steps) explanation.steps.push_back({step.where, step.outcome, step.waitedMs});
    result.explanation = std::move(explanation);
    return result;
}

CacheInvalidatedPayload cache_invalidated_payload(const CacheNotice& notice) {
    CacheInvalidatedPayload payload;
    payload.reason = notice.reason;
    payload.space = notice.selection.space;
    if (notice.selection.key) payload.key = notice.selection.key->text();
    payload.tag = notice.selection.tag;
    payload.pattern = notice.selection.pattern;
    if (!notice.tier.empty()) payload.tier = notice.tier;
    payload.memoryEntries = static_cast<std::int64_t>(notice.entries);
    return payload;
}

CacheTroublePayload cache_trouble_payload(const CacheTrouble& trouble) {
    CacheTroublePayload payload;
    payload.kind = trouble.kind;
    payload.where = trouble.where;
    if (!trouble.space.empty()) payload.space = trouble.space;
    if (!trouble.key.empty()) payload.key = trouble.key;
    payload.detail = trouble.detail;
    return payload;
}

std::vector<Method> cache_value_methods(Cache& cache, CacheLeases& leases) {
    std::vector<Method> methods;
    methods.push_back(get_method(cache, leases));
    methods.push_back(put_method(cache));
    methods.push_back(async_method<CacheKeyParams, CacheHasResult>(
        "cache.has", "Whether there is a fresh value, without it.",
        [&cache](const CacheKeyParams& params, Reply<CacheHasResult> reply) {
            const auto key = read_cache_key(params.key);
            if (!key) return reply(std::unexpected(key.error()));
            auto shared = std::make_shared<Reply<CacheHasResult>>(std::move(reply));
            cache.has(owned(params.space), *key, [shared](const Result<CacheRead>& read) {
                if (!read) return (*shared)(std::unexpected(read.error()));
                CacheHasResult result;
                result.found = read->value != nullptr;
                if (result.found) result.tier = read->source;
                if (result.found && read->ttl_ms != never_ms) result.ttlMs = read->ttl_ms;
                (*shared)(std::move(result));
            });
        }));
    methods.push_back(async_method<CacheTouchParams, CacheTouchResult>(
        "cache.touch", "Makes a value fresh for another while.",
        [&cache](const CacheTouchParams& params, Reply<CacheTouchResult> reply) {
            const auto key = read_cache_key(params.key);
            if (!key) return reply(std::unexpected(key.error()));
            auto shared = std::make_shared<Reply<CacheTouchResult>>(std::move(reply));
            cache.touch(owned(params.space), *key, params.ttlMs, [shared](const Result<bool>& found) {
                if (!found) return (*shared)(std::unexpected(found.error()));
                (*shared)(CacheTouchResult{*found});
            });
        }));
    methods.push_back(async_method<CacheKeyParams, CacheInvalidateResult>(
        "cache.delete", "Removes a value from all tiers, and what depends on it.",
        [&cache](const CacheKeyParams& params, Reply<CacheInvalidateResult> reply) {
            const auto key = read_cache_key(params.key);
            if (!key) return reply(std::unexpected(key.error()));
            auto shared = std::make_shared<Reply<CacheInvalidateResult>>(std::move(reply));
            cache.remove(owned(params.space), *key, [shared](const Result<CacheInvalidated>& outcome) {
                if (!outcome) return (*shared)(std::unexpected(outcome.error()));
                (*shared)(invalidate_result(*outcome));
            });
        }));
    methods.push_back(invalidate_method(cache));
    methods.push_back(async_method<NoParams, CacheInvalidateResult>(
        "clear_memory_caches", "Empties the cache's memory; the slower tiers keep theirs.",
        [&cache](const NoParams&, Reply<CacheInvalidateResult> reply) {
            auto shared = std::make_shared<Reply<CacheInvalidateResult>>(std::move(reply));
            cache.executor().post([&cache, shared] {
                CacheSelection all;
                all.only_memory = true;
                invalidate_many(cache, {all}, std::move(*shared));
            });
        }));
    return methods;
}

} // namespace pillion
