// cache.getMany and cache.putMany.
#include "modules/cache/cache_gathering_rpc.h"
#include "modules/cache/cache_rpc.h"

#include <algorithm>

namespace pillion {

struct CacheGetManyParams {
    std::vector<JsonView> keys;
    std::string_view space = "default";
    std::int64_t staleOkMs = 0;
};

PILLION_WIRE(CacheGetManyParams, PILLION_FIELD(keys, "The keys.", between(1, cache_many_max)),
             PILLION_FIELD_AS(space, "namespace", "The namespace.", defaulted, between(1, 64)),
             PILLION_FIELD(staleOkMs, "Values up to so long past their time will do.", between(0, cache_ttl_ms_max),
                           defaulted))

struct CacheManyItem {
    Json key;
    bool found = false;
    std::optional<Json> value;
    std::optional<std::string> base64;
    std::optional<std::string> contentType;
    std::optional<bool> stale;
    std::optional<std::string> error;
};
PILLION_WIRE(CacheManyItem, PILLION_FIELD(key, "The key as it was asked for."),
             PILLION_FIELD(found, "Whether there is a value."), PILLION_FIELD(value, "The value, where it is JSON."),
             PILLION_FIELD(base64, "The value, where it is not."),
             PILLION_FIELD(contentType, "What it is, unless it is application/json."),
             PILLION_FIELD(stale, "True for a value past its time."),
             PILLION_FIELD(error, "Why this one could not be read."))

struct CacheGetManyResult {
    std::vector<CacheManyItem> items;
    std::int64_t found = 0;
};
PILLION_WIRE(CacheGetManyResult, PILLION_FIELD(items, "An answer for each key, in the order asked."),
             PILLION_FIELD(found, "How many were found."))

struct CachePutManyParams {
    std::vector<CachePutParams> entries;
};
PILLION_WIRE(CachePutManyParams,
             PILLION_FIELD(entries, "The entries, each as cache.put takes it.", between(1, cache_many_max)))

struct CachePutManyResult {
    std::int64_t stored = 0;
    std::vector<std::string> errors;
};
PILLION_WIRE(CachePutManyResult, PILLION_FIELD(stored, "How many were kept."),
             PILLION_FIELD(errors, "Why the others were not, each with its place in the list."))

namespace {

Method get_many_method(Cache& cache) {
    return async_method<CacheGetManyParams, CacheGetManyResult>(
        "cache.getMany", "The values of several keys.",
        [&cache](const CacheGetManyParams& params, Reply<CacheGetManyResult> reply) {
            auto shared = std::make_shared<Reply<CacheGetManyResult>>(std::move(reply));
            std::vector<std::string> asked;
            for (const JsonView key : params.keys) asked.emplace_back(key.text);
            const auto gathering = std::make_shared<Gathering<CacheManyItem>>(
                params.keys.size(), [shared](std::vector<CacheManyItem> items) {
                    CacheGetManyResult result;
                    result.found =
                        std::count_if(items.begin(), items.end(), [](const CacheManyItem& item) { return item.found; });
                    result.items = std::move(items);
                    (*shared)(std::move(result));
                });
            for (std::size_t i = 0; i < asked.size(); ++i) {
                CacheManyItem& item = gathering->outcomes[i];
                item.key.text = asked[i];
                CacheGet get;
                get.space = std::string(params.space);
                get.stale_ok_ms = params.staleOkMs;
                auto key = read_cache_key({asked[i]});
                if (!key) {
                    item.error = key.error().message;
                    gathering->leave();
                    continue;
                }
                get.key = std::move(*key);
                cache.get(std::move(get), [gathering, i](const Result<CacheRead>& read) {
                    CacheManyItem& answer = gathering->outcomes[i];
                    if (!read) {
                        answer.error = read.error().message;
                    } else {
                        CacheGetResult one = cache_get_result(*read, false);
                        answer.found = one.found;
                        answer.value = std::move(one.value);
                        answer.base64 = std::move(one.base64);
                        answer.contentType = std::move(one.contentType);
                        answer.stale = one.stale;
                    }
                    gathering->leave();
                });
            }
            gathering->leave();
        });
}

Method put_many_method(Cache& cache) {
    return async_method<CachePutManyParams, CachePutManyResult>(
        "cache.putMany", "Keeps several values.",
        [&cache](const CachePutManyParams& params, Reply<CachePutManyResult> reply) {
            auto shared = std::make_shared<Reply<CachePutManyResult>>(std::move(reply));
            const std::int64_t file_bytes_max = cache.config().fileBytesMax;
            cache.executor().post([&cache, shared, params, file_bytes_max] { // params live until the reply is used
                struct One {
                    bool stored = false;
                    std::string error{};
                };
                const auto gathering =
                    std::make_shared<Gathering<One>>(params.entries.size(), [shared](const std::vector<One>& outcomes) {
                        CachePutManyResult result;
                        for (std::size_t i = 0; i < outcomes.size(); ++i) {
                            result.stored += outcomes[i].stored ? 1 : 0;
                            if (!outcomes[i].error.empty())
                                result.errors.push_back("/entries/" + std::to_string(i) + ": " + outcomes[i].error);
                        }
                        (*shared)(std::move(result));
                    });
                for (std::size_t i = 0; i < params.entries.size(); ++i) {
                    auto put = read_cache_put(params.entries[i], file_bytes_max);
                    if (!put) {
                        gathering->outcomes[i].error = put.error().message;
                        gathering->leave();
                        continue;
                    }
                    cache.put(std::move(*put), [gathering, i](const Result<CachePutOutcome>& outcome) {
                        if (outcome)
                            gathering->outcomes[i].stored = outcome->stored;
                        else
                            gathering->outcomes[i].error = outcome.error().message;
                        gathering->leave();
                    });
                }
                gathering->leave();
            });
        });
}

} // namespace

std::vector<Method> cache_many_methods(Cache& cache) {
    std::vector<Method> methods;
    methods.push_back(get_many_method(cache));
    methods.push_back(put_many_method(cache));
    return methods;
}

} // namespace pillion
