// A hit in this process: what the cache adds to its store by deciding whether the value still counts. 1 M entries of
// 100 B, keys of 15 B, zipf 0.99, each hit copied; the store that is compared holds the same.
#include "../memory_store/requests.h"
#include "ipc/io.h"
#include "modules/cache/cache.h"
#include "rows.h"
#include "traffic.h"

#include <array>
#include <chrono>
#include <cstring>
#include <vector>

namespace pillion::bench {

namespace {

constexpr std::size_t looks_per_clock_reading = 50; // as many requests as a batch has

template <class Look>
double ns_of(const std::vector<std::uint32_t>& numbers, const std::vector<std::string>& keys, const Look& look) {
    std::size_t hits = 0;
    std::int64_t now_ns = 0;
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (i % looks_per_clock_reading == 0) now_ns = system_clock().now_ns();
        if (look(keys[numbers[i]], now_ns)) ++hits;
    }
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    if (hits != numbers.size()) throw std::runtime_error("not all that was kept was found");
    return taken.count() / static_cast<double>(numbers.size());
}

} // namespace

void measure_library(const CacheBench& bench, Report& report) {
    const std::size_t entries = bench.is_quick ? 200'000 : 1'000'000;
    const std::string_view space = "default";
    Io io(system_clock());
    SerialExecutor executor{"test"};
    Cache cache(CacheHost{.clock = system_clock(), .timers = io, .executor = executor});
    CacheConfig config;
    config.memoryBytesMax = 1LL << 30;
    config.namespaces["default"].maxBytes = 1LL << 29;
    PeerFigure store_ns{.peer = "store"}, cache_ns{.peer = "pillion"};
    if (const auto configured = cache.configure(config); !configured)
        throw std::runtime_error(configured.error().message);
    MemoryStore store({.bytes_max = 1ULL << 29});
    std::vector<std::string> keys;
    const std::int64_t now_ms = cache.now_ms();
    for (std::size_t number = 0; number < entries; ++number) {
        keys.push_back(traffic_key(number));
        CachePut put;
        put.key.name = keys.back();
        put.bytes = traffic_value(number);
        cache.put(std::move(put), [](const Result<CachePutOutcome>&) {});
        store.put(keys.back(), MemoryStore::hash_of(keys.back()), traffic_value(number), now_ms);
    }
    std::array<char, 256> copy{};
    auto keep = [&copy](std::string_view payload, const auto&...) {
        std::memcpy(copy.data(), payload.data(), std::min(payload.size(), copy.size()));
    };
    const auto numbers = zipf(2'000'000, entries, 0.99, 11);
    for (int round = 0; round < bench.rounds(8); ++round) {
        store_ns.samples.push_back(ns_of(numbers, keys, [&](const std::string& key, std::int64_t) {
            return store.read(key, MemoryStore::hash_of(key), now_ms, keep);
        }));
        cache_ns.samples.push_back(ns_of(numbers, keys, [&](const std::string& key, std::int64_t now_ns) {
            return cache.find_hot(space, key, now_ns, false, keep);
        }));
    }
    cache.stop();
    executor.stop();
    io.stop();
    report.add({.key = "cache_hit_in_process",
                .title = "hit in process, " + std::to_string(entries / 1000) + ",000 entries",
                .unit = "ns",
                .reference = "store",
                .goal = {.figure_max = 150},
                .figures = {store_ns, cache_ns},
                .note = "store is the memory tier by itself"});
}

} // namespace pillion::bench
