// HTTP answers in the cache: fetched from their origin, kept as long as the origin allows, asked for again with their
// validators, kept apart by what they vary by, made void by their groups. A private cache as RFC 9111 has it; the
// namespace is `http` unless the request says otherwise.
//
// Owned by the composition root, which sends loads of the method `http.get` here. Any thread; answers as the cache
// gives them.
#pragma once

#include "modules/cache/cache.h"
#include "modules/http_origin/http_origin.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace pillion {

struct HttpGet {
    std::string url{};
    HttpHeaders headers{};
    std::int64_t timeout_ms = 30'000;
};

class HttpCache {
  public:
    static constexpr std::size_t urls_max = 10'000;      // whose Vary is remembered
    static constexpr std::size_t validators_max = 1'000; // answers kept only to be asked for again
    static constexpr std::size_t validator_bytes_max = 16 * 1024 * 1024;

    HttpCache(Cache& cache, HttpClient& client) : cache_(cache), client_(client) {}

    // `request` brings namespace, explain and the like; key and load are filled in. `params` is the request as JSON,
    // for the cache to tell loads apart.
    void get(const HttpGet& wanted, std::string params, CacheGet request, CacheReadDone done);
    // As a loader: asks the origin. Errors: -32002 for 404 and 410, -32006 for 401 and 403, -32005 for the rest over
    // 299.
    void load(const HttpGet& wanted, const CacheLoadRequest& request, CacheLoadDone done);

  private:
    // An answer that must be asked for again before each use, with what to ask by.
    struct Kept {
        std::string body{};
        std::string content_type{};
        std::string etag{};
        std::string last_modified{};
    };
    using KeptPointer = std::shared_ptr<const Kept>;

    std::string vary_of(const HttpGet& wanted);
    void answered(const HttpGet& wanted, const CacheLoadRequest& request, const KeptPointer& kept,
                  const HttpResponse& response, const CacheLoadDone& done);
    void keep_for_asking(const std::string& id, Kept kept);
    KeptPointer find_kept(const std::string& id);

    Cache& cache_;
    HttpClient& client_;
    std::mutex mutex_;                                     // guards what follows
    std::map<std::string, std::vector<std::string>> vary_; // by URL
    std::map<std::string, KeptPointer> kept_;              // by URL and what it varies by
    std::size_t kept_bytes_ = 0;
};

// The key an answer is kept under; `vary` as vary_key() gives it.
CacheKey http_key(std::string_view url, std::string_view vary);

} // namespace pillion
