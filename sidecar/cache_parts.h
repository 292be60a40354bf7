// The cache put together with its tiers, its loaders and the origins: a piece of the composition root (application.h),
// which owns it. With nothing asked of it, it has opened no library, file or connection and started no thread.
#pragma once

#include "ipc/dispatcher.h"
#include "ipc/event_hub.h"
#include "ipc/io.h"
#include "modules/cache/cache_rpc.h"
#include "modules/disk_store/disk_store.h"
#include "modules/http_cache/http_cache_rpc.h"
#include "modules/http_origin/http_origin_rpc.h"
#include "modules/memory/memory.h"
#include "modules/remote_store/remote_store_rpc.h"
#include "modules/value_codec/value_codec.h"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace pillion {

// Section `disk`.
struct DiskConfig {
    bool enabled = true;
    std::int64_t bytesMax = 1024LL * 1024 * 1024;
};
PILLION_WIRE(DiskConfig, PILLION_FIELD(enabled, "Whether the cache keeps values on disk, in cache.db.", defaulted),
             PILLION_FIELD(bytesMax, "Most bytes there; past it the least worthy go.",
                           between(1024.0 * 1024, 16.0 * 1024 * 1024 * 1024 * 1024), defaulted))

// Section `encryption`.
struct EncryptionConfig {
    KeySource source = KeySource::keyring;
    std::string file{};
    std::string variable = "PILLION_CACHE_KEY";
};
PILLION_ENUM(KeySource, "keyring", "file", "environment")
PILLION_WIRE(EncryptionConfig,
             PILLION_FIELD(source, "Where the keys come from, for namespaces that are encrypted.", defaulted),
             PILLION_FIELD(file,
                           "With `file`: its path; only its owner may read it. Empty: cache.key in the data directory.",
                           at_most(4096), defaulted),
             PILLION_FIELD(variable, "With `environment`: the variable with one key or several, the current one first.",
                           between(1, 128), defaulted))

struct CachePartsConfig {
    CacheConfig cache{};
    DiskConfig disk{};
    RedisConfig redis{};
    PostgresConfig postgres{};
    EncryptionConfig encryption{};
    CdnConfig cdn{};
};

class CacheParts {
  public:
    struct Host {
        Io& io;
        const Clock& clock;
        Memory& memory;
        Store& state;
        EventHub& hub;
        Dispatcher& dispatcher;
        std::string data_directory;
        std::string app;
        std::string version;
        std::function<void(const CacheTrouble&)> on_trouble; // any thread; must not block
    };
    CacheParts(const Host& host, const CachePartsConfig& config);
    ~CacheParts();
    CacheParts(const CacheParts&) = delete;

    static void declare_events(EventHub& hub);
    std::vector<Method> methods();
    // Whether an earlier run has left values on disk.
    static bool has_something_to_bring_back(const std::string& data_directory, const CachePartsConfig& config);
    // Serving begins: what was hottest comes back into memory, in the background.
    void begin();
    // Writes what is pending and closes everything. Before the io thread and the state store stop.
    void stop();

    Cache& cache() { return *cache_; }
    DiskStore& disk() { return *disk_; }
    Store& disk_file() { return disk_file_; }

  private:
    std::vector<CacheTierSource> tier_sources();
    CacheHost cache_host();
    void load(const CacheLoadRequest& request, CacheLoadDone done);
    Result<std::shared_ptr<CacheTier>> open_disk();
    void hottest(std::int64_t bytes_max, std::function<void(CacheHost::Hot)> done);
    void connect_memory();
    void tell_disk_what_was_hot();

    const Host host_;
    const CachePartsConfig config_;
    SerialExecutor executor_{"pillion-cache"};
    ValueCodec codec_;
    Store disk_file_; // cache.db
    std::shared_ptr<DiskStore> disk_;
    std::unique_ptr<Cache> cache_;
    std::unique_ptr<CacheLeases> leases_;
    std::unique_ptr<CacheStrategies> strategies_;
    HttpClient http_;
    HttpCache http_cache_;
    HttpClient cdn_client_;
    AssetPublisher publisher_;
};

} // namespace pillion
