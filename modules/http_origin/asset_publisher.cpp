// S3: a signed PUT (AWS signature version 4, by libcurl) with the digest of the content as x-amz-content-sha256.
// WebDAV: a PUT with basic authentication; where the server says 409, a folder is missing (RFC 4918, 9.7.1), the
// folders are made with MKCOL and the PUT is tried again. nginx says 500 for it.
#include "modules/http_origin/asset_publisher.h"

#include "ipc/base/base64.h"
#include "ipc/base/shared_library.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <openssl/sha.h>
#include <sys/stat.h>

namespace pillion {

namespace {

constexpr const char* table =
    "CREATE TABLE published_assets (server TEXT, name TEXT, published_name TEXT, url TEXT, digest TEXT, bytes INTEGER, "
    "content_type TEXT, cache_control TEXT, at INTEGER, PRIMARY KEY (server, name, published_name)) WITHOUT ROWID";
constexpr std::size_t digest_shown = 16; // 64 bits: no two of an app's assets share them
constexpr std::int64_t first_pause_ms = 500;

#define PILLION_SHA(X) X(SHA256)
struct Digests {
    PILLION_SHA(PILLION_LIBRARY_MEMBER)
};

Result<const Digests*> digests() {
    static const Result<Digests> opened = [] -> Result<Digests> {
        const auto library = PILLION_TRY(SharedLibrary::open({"libcrypto.so.3", "libcrypto.so"}, "libssl3"));
        Digests functions;
        PILLION_SHA(PILLION_LIBRARY_BIND)
        return functions;
    }();
    if (!opened) return std::unexpected(opened.error());
    return &*opened;
}

Result<std::string> sha256(std::string_view bytes) {
    const Digests& functions = *PILLION_TRY(digests());
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    functions.SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
    std::string text;
    for (const unsigned char byte : digest) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

// Everything but what RFC 3986 calls unreserved, and the slashes.
std::string escape_path(std::string_view path) {
    std::string out;
    for (const char c : path) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view("-._~/").contains(c);
        if (plain) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += "0123456789ABCDEF"[byte >> 4];
        out += "0123456789ABCDEF"[byte & 15];
    }
    return out;
}

Result<void> check_name(std::string_view name) {
    const auto bad = [&](const char* why) {
        return fail(ErrorCode::invalid_params, "name \"" + std::string(name.substr(0, 100)) + "\" " + why, "/name");
    };
    if (name.empty() || name.size() > 512) return bad("must have 1 to 512 bytes");
    if (name.front() == '/' || name.back() == '/') return bad("must be a relative path of a file, like assets/app.js");
    if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }))
        return bad("must not contain control characters");
    for (std::size_t start = 0; start <= name.size();) {
        const std::size_t end = std::min(name.find('/', start), name.size());
        const std::string_view part = name.substr(start, end - start);
        if (part.empty() || part == "." || part == "..") return bad("must not contain empty parts, \".\" or \"..\"");
        start = end + 1;
    }
    return {};
}

Result<void> check_content_type(std::string_view type) {
    if (std::ranges::none_of(type, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) return {};
    return fail(ErrorCode::invalid_params, "contentType must not contain control characters", "/contentType");
}

constexpr std::size_t asset_bytes_max = 256 * 1024 * 1024;

Result<std::string> read_file(const std::string& path) {
    const auto refuse = [&](const std::string& why) { return fail(ErrorCode::not_found, path + ": " + why, "/file"); };
    struct stat about {};
    if (stat(path.c_str(), &about) == 0 && !S_ISREG(about.st_mode)) return refuse("is no file");
    errno = 0;
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    if (!file) return refuse(std::string("cannot be read: ") + std::strerror(errno != 0 ? errno : EIO));
    const auto size = file.tellg();
    if (size < 0) return refuse("is no file");
    if (static_cast<std::size_t>(size) > asset_bytes_max)
        return fail(ErrorCode::exhausted,
                    path + ": has " + std::to_string(size) + " bytes, an asset may have " +
                        std::to_string(asset_bytes_max),
                    "/file");
    std::string bytes(static_cast<std::size_t>(size), '\0');
    file.seekg(0);
    file.read(bytes.data(), size);
    if (!file) return refuse("cannot be read: " + std::string(std::strerror(errno != 0 ? errno : EIO)));
    return bytes;
}

std::string without_slash(std::string text) {
    while (text.ends_with('/')) text.pop_back();
    return text;
}

PublishedAsset row_of(const Statement& row) {
    return {.name = std::string(row.text(0)),
            .publishedName = std::string(row.text(1)),
            .url = std::string(row.text(2)),
            .digest = std::string(row.text(3)),
            .bytes = row.integer(4),
            .contentType = std::string(row.text(5)),
            .cacheControl = std::string(row.text(6)),
            .publishedAt = row.integer(7),
            .wasThere = true};
}

} // namespace

struct AssetPublisher::Upload {
    Asset asset;
    Done done;
    PublishedAsset published{};
    std::string credentials{};
    std::string path{}; // below the endpoint, escaped
    std::int64_t attempt = 1;
    bool made_folders = false;
};

Result<void> check_cdn_config(const CdnConfig& config) {
    if (config.endpoint.empty()) return {};
    if (!config.endpoint.starts_with("https://") && !config.endpoint.starts_with("http://"))
        return fail(ErrorCode::invalid_params,
                    "endpoint must begin with https:// or http://, got \"" + printable_url(config.endpoint) + "\"");
    if (config.server == AssetServer::s3 && config.bucket.empty())
        return fail(ErrorCode::invalid_params, "bucket must be given where server is s3");
    return {};
}

std::string_view content_type_of(std::string_view name) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 24> types{{
        {".js", "text/javascript"}, {".mjs", "text/javascript"},   {".css", "text/css"},
        {".html", "text/html"},     {".json", "application/json"}, {".map", "application/json"},
        {".svg", "image/svg+xml"},  {".png", "image/png"},         {".jpg", "image/jpeg"},
        {".jpeg", "image/jpeg"},    {".webp", "image/webp"},       {".avif", "image/avif"},
        {".gif", "image/gif"},      {".ico", "image/x-icon"},      {".woff2", "font/woff2"},
        {".woff", "font/woff"},     {".ttf", "font/ttf"},          {".wasm", "application/wasm"},
        {".mp3", "audio/mpeg"},     {".wav", "audio/wav"},         {".ogg", "audio/ogg"},
        {".mp4", "video/mp4"},      {".txt", "text/plain"},        {".pdf", "application/pdf"},
    }};
    for (const auto& [ending, type] : types)
        if (name.ends_with(ending)) return type;
    return "application/octet-stream";
}

std::string_view cache_control_of(AssetLifetime lifetime) {
    return lifetime == AssetLifetime::immutable ? "public, max-age=31536000, immutable" : "public, max-age=2592000";
}

std::string hashed_name(std::string_view name, std::string_view digest) {
    const std::size_t file = name.find_last_of('/') + 1; // npos + 1 is 0
    const std::size_t dot = name.find_last_of('.');
    const std::size_t end = dot == std::string_view::npos || dot <= file ? name.size() : dot;
    return std::string(name.substr(0, end)) + "." + std::string(digest.substr(0, digest_shown)) +
           std::string(name.substr(end));
}

AssetPublisher::AssetPublisher(HttpClient& client, Store& state, Timers& timers, const Clock& clock, CdnConfig config)
    : client_(client), state_(state), timers_(timers), clock_(clock), config_(std::move(config)) {
    state_.add_schema("assets", {table});
}

// Name and secret, one line. A file that others can read is refused.
Result<std::string> AssetPublisher::read_credentials() const {
    if (config_.credentialsFile.empty()) {
        const char* const name = std::getenv("AWS_ACCESS_KEY_ID");
        const char* const secret = std::getenv("AWS_SECRET_ACCESS_KEY");
        if (config_.server == AssetServer::webdav) return std::string();
        const auto is_empty = [](const char* text) { return text == nullptr || *text == '\0'; };
        if (is_empty(name) || is_empty(secret))
            return fail(ErrorCode::failed_precondition, "cdn: there are no credentials for the bucket", {},
                        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or cdn.credentialsFile");
        return std::string(name) + ":" + secret;
    }
    struct stat about {};
    if (stat(config_.credentialsFile.c_str(), &about) == 0 && (about.st_mode & 077) != 0)
        return fail(ErrorCode::denied,
                    "cdn: " + config_.credentialsFile + " can be read by others; make it private (chmod 600)");
    std::ifstream file(config_.credentialsFile);
    std::string line;
    if (!std::getline(file, line) || line.find(':') == std::string::npos)
        return fail(ErrorCode::failed_precondition,
                    "cdn: " + config_.credentialsFile + " must hold one line NAME:SECRET");
    return line;
}

void AssetPublisher::publish_file(std::string path, Asset asset, Done done) {
    client_.post([this, path = std::move(path), asset = std::move(asset), done = std::move(done)]() mutable {
        auto bytes = read_file(path);
        if (!bytes) return done(std::unexpected(std::move(bytes).error()));
        asset.bytes = std::move(*bytes);
        publish(std::move(asset), std::move(done));
    });
}

void AssetPublisher::publish(Asset asset, Done done) {
    const auto upload = std::make_shared<Upload>();
    upload->asset = std::move(asset);
    upload->done = std::move(done);
    const auto prepared = [&]() -> Result<Presence> {
        if (config_.endpoint.empty())
            return fail(ErrorCode::failed_precondition, "no server for assets is configured", {}, "set cdn.endpoint");
        PILLION_TRY(check_name(upload->asset.name));
        PILLION_TRY(check_content_type(upload->asset.content_type));
        upload->credentials = PILLION_TRY(read_credentials());
        PublishedAsset& result = upload->published;
        result.name = upload->asset.name;
        result.digest = PILLION_TRY(sha256(upload->asset.bytes));
        result.publishedName = config_.prefix + hashed_name(result.name, result.digest);
        result.bytes = static_cast<std::int64_t>(upload->asset.bytes.size());
        result.contentType =
            upload->asset.content_type.empty() ? content_type_of(result.name) : upload->asset.content_type;
        result.cacheControl = cache_control_of(upload->asset.lifetime);
        upload->path =
            (config_.server == AssetServer::s3 ? "/" + config_.bucket : "") + "/" + escape_path(result.publishedName);
        const std::string base = without_slash(config_.publicUrl.empty() ? config_.endpoint : config_.publicUrl);
        result.url = base + (config_.publicUrl.empty() ? upload->path : "/" + escape_path(result.publishedName));
        return find_published(upload->published);
    }();
    if (!prepared) return upload->done(std::unexpected(prepared.error()));
    if (*prepared == Presence::newest) return upload->done(upload->published);
    if (*prepared == Presence::older) return remember(upload); // an app that went back to it
    send(upload);
}

// Where assets stand: what one bucket has, another of the same server does not.
std::string AssetPublisher::place() const {
    return config_.server == AssetServer::s3 ? without_slash(config_.endpoint) + "/" + config_.bucket
                                             : without_slash(config_.endpoint);
}

// Whether this very content is up already; then `asset` says since when.
Result<AssetPublisher::Presence> AssetPublisher::find_published(PublishedAsset& asset) {
    Presence presence = Presence::absent;
    const std::string server = place();
    const auto look = [&](Database& database) -> Result<void> {
        Statement row = PILLION_TRY(database.prepare(
            "SELECT at, at < (SELECT max(at) FROM published_assets WHERE server = ?1 AND name = ?2) FROM "
            "published_assets WHERE server = ?1 AND name = ?2 AND published_name = ?3 AND cache_control = ?4 AND "
            "content_type = ?5"));
        row.with(std::string_view(server), std::string_view(asset.name), std::string_view(asset.publishedName),
                 std::string_view(asset.cacheControl), std::string_view(asset.contentType));
        asset.wasThere = PILLION_TRY(row.step());
        if (!asset.wasThere) return {};
        asset.publishedAt = row.integer(0);
        presence = row.integer(1) != 0 ? Presence::older : Presence::newest;
        return {};
    };
    PILLION_TRY(state_.read(look));
    return presence;
}

HttpRequest AssetPublisher::request_for(const Upload& upload, std::string method, const std::string& path) const {
    HttpRequest request{
        .method = std::move(method), .url = without_slash(config_.endpoint) + path, .timeout_ms = config_.timeoutMs};
    if (config_.server == AssetServer::s3) {
        request.sign_as = "aws:amz:" + config_.region + ":s3";
        request.credentials = upload.credentials;
        request.headers.emplace_back("x-amz-content-sha256", upload.published.digest);
    } else if (!upload.credentials.empty()) {
        request.headers.emplace_back("Authorization", "Basic " + base64_encode(upload.credentials));
    }
    return request;
}

void AssetPublisher::send(const std::shared_ptr<Upload>& upload) {
    HttpRequest request = request_for(*upload, "PUT", upload->path);
    request.body = upload->asset.bytes;
    request.headers.emplace_back("Content-Type", upload->published.contentType);
    request.headers.emplace_back("Cache-Control", upload->published.cacheControl);
    client_.send(std::move(request),
                 [this, upload](Result<HttpResponse> answer) { answered(upload, std::move(answer)); });
}

void AssetPublisher::answered(const std::shared_ptr<Upload>& upload, Result<HttpResponse> answer) {
    if (answer && answer->status >= 200 && answer->status < 300) return remember(upload);
    const bool misses_folder = answer && (answer->status == 409 || answer->status == 500);
    if (misses_folder && config_.server == AssetServer::webdav && !upload->made_folders) {
        upload->made_folders = true;
        return make_folders(upload, 1);
    }
    const bool may_pass =
        answer ? answer->status >= 500 || answer->status == 429 : error_is_retryable(answer.error().code);
    if (may_pass && upload->attempt < config_.attempts) {
        const std::int64_t pause_ms = first_pause_ms << (upload->attempt - 1);
        ++upload->attempt;
        timers_.after_ms(pause_ms, [this, upload] { send(upload); });
        return;
    }
    const std::string where = "publishing " + upload->asset.name + " to " + printable_url(config_.endpoint) + ": ";
    if (!answer) {
        answer.error().message.insert(0, where);
        return upload->done(std::unexpected(std::move(answer).error()));
    }
    const bool refused = answer->status == 401 || answer->status == 403;
    upload->done(fail(refused ? ErrorCode::denied : ErrorCode::unavailable,
                      where + "the server answered " + std::to_string(answer->status) +
                          (refused ? "; are the credentials right?" : "")));
}

// Makes the folders of the path one below the other; `from` is where the name of the next one begins.
void AssetPublisher::make_folders(const std::shared_ptr<Upload>& upload, std::size_t from) {
    const std::size_t slash = upload->path.find('/', from);
    if (slash == std::string::npos) return send(upload);
    client_.send(request_for(*upload, "MKCOL", upload->path.substr(0, slash + 1)),
                 // One that is there already answers 405; what else is wrong the next PUT will tell.
                 [this, upload, slash](const Result<HttpResponse>&) { make_folders(upload, slash + 1); });
}

void AssetPublisher::remember(const std::shared_ptr<Upload>& upload) {
    upload->published.publishedAt = clock_.wall_ms();
    const PublishedAsset& asset = upload->published;
    state_.write(
        [server = place(), asset](Database& database) -> Result<void> {
            Statement insert = PILLION_TRY(
                database.prepare("INSERT OR REPLACE INTO published_assets VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9)"));
            return insert
                .with(std::string_view(server), std::string_view(asset.name), std::string_view(asset.publishedName),
                      std::string_view(asset.url), std::string_view(asset.digest), asset.bytes,
                      std::string_view(asset.contentType), std::string_view(asset.cacheControl), asset.publishedAt)
                .run();
        },
        // It is up either way: not remembered, it is only sent once more.
        [upload](Result<void>) { upload->done(upload->published); });
}

Result<std::vector<PublishedAsset>> AssetPublisher::list() {
    std::vector<PublishedAsset> assets;
    const std::string server = place();
    const auto look = [&](Database& database) -> Result<void> {
        Statement rows = PILLION_TRY(database.prepare(
            "SELECT name, published_name, url, digest, bytes, content_type, cache_control, at, max(at) FROM "
            "published_assets WHERE server = ?1 GROUP BY name ORDER BY name"));
        rows.with(std::string_view(server));
        while (PILLION_TRY(rows.step())) assets.push_back(row_of(rows));
        return {};
    };
    PILLION_TRY(state_.read(look));
    return assets;
}

} // namespace pillion
