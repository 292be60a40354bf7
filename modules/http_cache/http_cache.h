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
#include <optional>
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
    static constexpr std::size_t urls_max = 10'000;      // of which something is known
    static constexpr std::size_t validators_max = 1'000; // answers kept only to be asked for again
    static constexpr std::size_t validator_bytes_max = 16 * 1024 * 1024;

    HttpCache(Cache& cache, HttpClient& client) : cache_(cache), client_(client) {}

    // `request` brings namespace, explain and the like; key and load are filled in. `params` is the request as JSON,
    // for the cache to tell loads apart.
    void get(const HttpGet& wanted, std::string params, CacheGet request, CacheReadDone done);
    // As a loader, under a key of get()'s or of somebody else's: asks the origin. Errors: -32002 for 404 and 410,
    // -32006 for 401 and 403, -32005 for the rest over 299.
    void load(const HttpGet& wanted, const CacheLoadRequest& request, CacheLoadDone done);

  private:
    // What the answers so far said about all answers of a URL.
    struct Known {
        std::vector<std::string> vary{};
        std::int64_t stale_ok_ms = 0; // stale-while-revalidate
        bool is_written = false;      // `vary` is in the cache too, for the next start
    };
    // An answer that is to be asked for again, with what to ask by.
    struct Kept {
        std::string body{};
        std::string content_type{};
        std::string etag{};
        std::string last_modified{};
        std::vector<std::string> tags{};
        std::uint64_t used = 0; // guarded by mutex_
    };
    using KeptPointer = std::shared_ptr<const Kept>;

    void read(const HttpGet& wanted, CacheGet request, CacheReadDone done);
    CacheKey key_of(const HttpGet& wanted);
    void load_known(const CacheLoadRequest& request, const CacheKey& key, CacheLoadDone done);
    void answered(const HttpGet& wanted, const CacheLoadRequest& request, const KeptPointer& kept,
                  const HttpResponse& response, const CacheLoadDone& done);
    std::optional<Known> find_known(const std::string& url);
    bool remember(const std::string& url, Known known);
    void keep_for_asking(const std::string& id, Kept kept);
    KeptPointer find_kept(const std::string& id);

    Cache& cache_;
    HttpClient& client_;
    std::mutex mutex_;                                  // guards what follows
    std::map<std::string, Known> known_;                // by URL
    std::map<std::string, std::shared_ptr<Kept>> kept_; // by the key's name
    std::size_t kept_bytes_ = 0;
    std::uint64_t uses_ = 0;
};

// The key an answer is kept under: `vary` are the names of the fields it varies by. What the request is authorised by
// counts always, so that no user gets another's answer. Values are shown in the key where they are no secrets.
CacheKey http_key(std::string_view url, const std::vector<std::string>& vary, const HttpHeaders& headers);
// The same before anything is known of a URL: all fields count.
CacheKey http_key(std::string_view url, const HttpHeaders& headers);

} // namespace pillion
