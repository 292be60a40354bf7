#include "sidecar/cache_parts.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <unistd.h>

namespace pillion {

namespace {

KeyRingOptions key_options(const EncryptionConfig& config, const CacheParts::Host& host) {
    return {.source = config.source,
            .app = host.app,
            .path = config.file.empty() ? host.data_directory + "/cache.key" : config.file,
            .variable = config.variable};
}

} // namespace

CacheParts::CacheParts(const Host& host, const CachePartsConfig& config)
    : host_(host), config_(config), codec_({.keys = key_options(config.encryption, host)}),
      disk_file_(DiskStore::store_options(host.data_directory + "/cache.db"), host.clock),
      disk_(std::make_shared<DiskStore>(
          disk_file_, host.clock, DiskStoreOptions{.bytes_max = static_cast<std::uint64_t>(config.disk.bytesMax)})),
      cache_(std::make_unique<Cache>(cache_host())),
      leases_(std::make_unique<CacheLeases>(host.data_directory, host.io, host.clock)),
      strategies_(std::make_unique<CacheStrategies>(*cache_)),
      http_(host.clock, {.user_agent = "pillion/" + host.version}), http_cache_(*cache_, http_),
      cdn_client_(host.clock, {.ca_file = config.cdn.caFile, .user_agent = "pillion/" + host.version}),
      publisher_(cdn_client_, host.state, host.io, host.clock, config.cdn) {
    cache_->on_invalidated([this](const CacheNotice& notice) {
        host_.hub.publish(cache_invalidated_event, cache_invalidated_payload(notice));
    });
    const auto tell = [this](const CacheTrouble& trouble) {
        host_.hub.publish(cache_trouble_event, cache_trouble_payload(trouble));
        host_.on_trouble(trouble);
    };
    cache_->on_trouble(tell);
    disk_file_.on_damaged([tell](const StoreDamage& damage) {
        CacheTrouble trouble{.kind = "damaged", .where = damage.path};
        trouble.detail = damage.reason + "; set aside as " + damage.set_aside;
        tell(trouble);
    });
    connect_memory();
    if (const auto configured = cache_->configure(config.cache); !configured) std::abort(); // it was checked
}

CacheParts::~CacheParts() { stop(); }

std::vector<CacheTierSource> CacheParts::tier_sources() {
    std::vector<CacheTierSource> tiers;
    if (config_.disk.enabled)
        tiers.push_back({.name = "disk", .open = [this]() -> Result<std::shared_ptr<CacheTier>> {
                             PILLION_TRY(disk_file_.open());
                             return disk_;
                         }});
    const auto shared = [](auto made) -> Result<std::shared_ptr<CacheTier>> {
        if (!made) return std::unexpected(std::move(made).error());
        return std::shared_ptr<CacheTier>(std::move(*made));
    };
    if (!config_.redis.url.empty())
        tiers.push_back({.name = "redis", .is_shared = true, .open = [this, shared] {
                             return shared(create_redis_tier(config_.redis, host_.app, host_.clock));
                         }});
    if (!config_.postgres.url.empty())
        tiers.push_back({.name = "postgres", .is_shared = true, .open = [this, shared] {
                             return shared(create_postgres_tier(config_.postgres, host_.app, host_.clock));
                         }});
    return tiers;
}

CacheHost CacheParts::cache_host() {
    CacheHost host{
        .clock = host_.clock,
        .timers = host_.io,
        .executor = executor_,
        .data_directory = host_.data_directory,
        .tiers = tier_sources(),
        .codec = make_cache_codec(codec_),
        .loader = [this](const CacheLoadRequest& request, CacheLoadDone done) { load(request, std::move(done)); }};
    if (config_.disk.enabled)
        host.hottest = [this](std::int64_t bytes_max, auto done) { hottest(bytes_max, std::move(done)); };
    return host;
}

// A value that is not to be had from a tier: of an HTTP origin, or the result of a method, a backend's among them.
void CacheParts::load(const CacheLoadRequest& request, CacheLoadDone done) {
    if (request.load.method == "http.get") {
        const auto wanted = read_http_load(request.load.params);
        if (!wanted) return done(std::unexpected(wanted.error()));
        return http_cache_.load(*wanted, request, std::move(done));
    }
    host_.dispatcher.run_own(request.load.method, request.load.params,
                             [done = std::move(done)](const Result<std::string_view>& result) {
                                 if (!result) return done(std::unexpected(result.error()));
                                 done(CacheLoaded{.bytes = std::string(*result)});
                             });
}

void CacheParts::hottest(std::int64_t bytes_max, std::function<void(CacheHost::Hot)> done) {
    executor_.post([this, bytes_max, done = std::move(done)] {
        CacheHost::Hot hot;
        const auto read = disk_->hottest(static_cast<std::uint64_t>(bytes_max), [&hot](TierKey key, TierValue value) {
            hot.emplace_back(std::move(key), std::move(value));
            return true;
        });
        if (!read) hot.clear();
        done(std::move(hot));
    });
}

void CacheParts::connect_memory() {
    host_.memory.add_cache_source("cache", [this] {
        const Cache::MemoryUse use = cache_->memory_use();
        return MemoryCache{.name = {}, .bytes = use.bytes, .entries = use.entries};
    });
    host_.memory.add_optimizer("cache", [this](OptimizeLevel level) {
        if (level == OptimizeLevel::light) return Freed{};
        const Cache::MemoryUse freed = cache_->set_share(level == OptimizeLevel::normal ? 0.75 : 0);
        cache_->set_share(1);
        return Freed{.bytes = freed.bytes, .entries = freed.entries};
    });
}

void CacheParts::declare_events(EventHub& hub) {
    hub.declare(cache_invalidated_event);
    hub.declare(cache_trouble_event);
}

std::vector<Method> CacheParts::methods() {
    std::vector<Method> methods = cache_methods(*cache_, *leases_, *strategies_);
    std::ranges::move(http_cache_methods([this]() -> HttpCache& { return http_cache_; }), std::back_inserter(methods));
    std::ranges::move(http_origin_methods([this]() -> AssetPublisher& { return publisher_; }),
                      std::back_inserter(methods));
    return methods;
}

bool CacheParts::has_something_to_bring_back(const std::string& data_directory, const CachePartsConfig& config) {
    return config.disk.enabled && config.cache.warmBytes > 0 &&
           access((data_directory + "/cache.db").c_str(), F_OK) == 0;
}

void CacheParts::begin() { cache_->warm_restart(); }

// What memory served the disk has not seen: it is told, so that the next start brings back what was really hot.
void CacheParts::tell_disk_what_was_hot() {
    constexpr std::size_t entries_max = 10'000;
    if (!disk_file_.stats().is_open) return;
    const auto entries = cache_->list({}, {}, entries_max);
    if (!entries) return;
    for (const CacheEntryInfo& entry : *entries)
        if (entry.accesses > 0) disk_->touch({entry.space, entry.key.name, entry.key.parts}, entry.accesses);
}

void CacheParts::stop() {
    tell_disk_what_was_hot();
    strategies_->stop();
    http_.stop();
    cdn_client_.stop();
    cache_->stop();
    leases_->stop();
    executor_.stop();
    disk_->stop();
    disk_file_.stop();
}

} // namespace pillion
