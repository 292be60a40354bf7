// Publishes an app's assets to the origin of a content delivery network: an S3-compatible bucket or a WebDAV folder. An
// asset goes up under a name that holds a digest of its content (app.js becomes app.1f2e3d4c5b6a7988.js), so a changed
// one has a new name and caches may keep each for as long as they like. What is up is remembered in the state store,
// and is not sent again.
//
// Owned by the composition root; opens nothing before the first asset. Any thread; `done` comes on the HTTP client's
// thread or, where there is nothing to send, on the caller's.
#pragma once

#include "ipc/timers.h"
#include "modules/http_origin/http_client.h"
#include "modules/storage/storage.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pillion {

enum class AssetServer : std::uint8_t { webdav, s3 };

// Section `cdn`. Described in http_origin_rpc.h.
struct CdnConfig {
    AssetServer server = AssetServer::webdav;
    std::string endpoint{}; // https://host[:port][/folder]
    std::string bucket{};   // s3
    std::string region = "us-east-1";
    std::string prefix{};          // before every name
    std::string publicUrl{};       // where browsers find what stands at `endpoint`; empty: there
    std::string credentialsFile{}; // one line, NAME:SECRET; empty: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3
    std::string caFile{};
    std::int64_t timeoutMs = 30'000;
    std::int64_t attempts = 3;
};
Result<void> check_cdn_config(const CdnConfig& config);

enum class AssetLifetime : std::uint8_t {
    immutable, // the app's own files: one year
    generated, // made at run time: 30 days
};

struct Asset {
    std::string name{}; // path/to/app.js
    std::string bytes{};
    std::string content_type{}; // empty: by the name's ending
    AssetLifetime lifetime = AssetLifetime::immutable;
};

struct PublishedAsset {
    std::string name{};
    std::string publishedName{};
    std::string url{};
    std::string digest{}; // SHA-256, hexadecimal
    std::int64_t bytes = 0;
    std::string contentType{};
    std::string cacheControl{};
    std::int64_t publishedAt = 0;
    bool wasThere = false; // nothing had to be sent
};

class AssetPublisher {
  public:
    using Done = std::function<void(Result<PublishedAsset>)>;

    AssetPublisher(HttpClient& client, Store& state, Timers& timers, const Clock& clock, CdnConfig config);

    // -32007 where no server is configured, -32602 for a bad name, -32006 where the server refuses the credentials,
    // -32005 and -32001 after the last attempt.
    void publish(Asset asset, Done done);
    // The same with the content of a file, at most 256 MiB, which is read on the client's thread; -32002 if it cannot
    // be.
    void publish_file(std::string path, Asset asset, Done done);
    // The newest of each name.
    Result<std::vector<PublishedAsset>> list();

  private:
    struct Upload;
    HttpRequest request_for(const Upload& upload, std::string method, const std::string& path) const;
    void send(const std::shared_ptr<Upload>& upload);
    void answered(const std::shared_ptr<Upload>& upload, Result<HttpResponse> answer);
    void make_folders(const std::shared_ptr<Upload>& upload, std::size_t from);
    void remember(const std::shared_ptr<Upload>& upload);
    Result<std::string> read_credentials() const;
    enum class Presence : std::uint8_t { absent, older, newest };
    Result<Presence> find_published(PublishedAsset& asset);
    std::string place() const;

    HttpClient& client_;
    Store& state_;
    Timers& timers_;
    const Clock& clock_;
    const CdnConfig config_;
};

// By the name's ending; application/octet-stream for what is not known.
std::string_view content_type_of(std::string_view name);
std::string_view cache_control_of(AssetLifetime lifetime);
// "app.js" and the digest give "app.1f2e3d4c5b6a7988.js".
std::string hashed_name(std::string_view name, std::string_view digest);

} // namespace pillion
