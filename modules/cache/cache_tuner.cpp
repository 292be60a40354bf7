#include "modules/cache/cache_tuner.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>

namespace pillion {

namespace {

// What an entry of the miniature weighs on average: enough that the store's overhead of 64 bytes is no distortion,
// little enough that the miniature is small.
constexpr double miniature_weight = 512;
constexpr double weight_min = 80;
constexpr double weight_max = 64 * 1024;

} // namespace

double simulate_sample(const AccessSample::Picture& picture, const MemoryStoreConfig& config) {
    if (picture.accesses.empty()) return 0;
    // What a missing value weighs is known from when it was there; else it is taken as the average.
    std::unordered_map<std::uint64_t, double> weights;
    double sum = 0;
    std::size_t weighed = 0;
    for (const SampledAccess& access : picture.accesses) {
        if (access.weight == 0) continue;
        weights[access.hash] = access.weight;
        sum += access.weight;
        ++weighed;
    }
    const double average = weighed == 0 ? miniature_weight : sum / static_cast<double>(weighed);
    const double scale = miniature_weight / std::max(1.0, average);
    MemoryStoreConfig miniature = config;
    miniature.bytes_max = std::max<std::uint64_t>(
        4096, static_cast<std::uint64_t>(static_cast<double>(config.bytes_max) * picture.rate * scale));
    if (config.entries_max > 0)
        miniature.entries_max = std::max<std::uint64_t>(
            1, static_cast<std::uint64_t>(static_cast<double>(config.entries_max) * picture.rate));
    MemoryStore store(miniature);
    const std::string filler(static_cast<std::size_t>(weight_max), '\0');
    std::size_t hits = 0;
    // The first half warms the cache; what the second half hits is counted.
    const std::size_t warm = picture.accesses.size() / 2;
    for (std::size_t i = 0; i < picture.accesses.size(); ++i) {
        const SampledAccess& access = picture.accesses[i];
        const std::string_view key(reinterpret_cast<const char*>(&access.hash), sizeof access.hash);
        const std::uint64_t hash = MemoryStore::hash_of(key);
        if (store.read(key, hash, 1, [](std::string_view, const EntryInfo&) {})) {
            hits += i >= warm ? 1 : 0;
            continue;
        }
        const auto known = weights.find(access.hash);
        const double weight =
            std::clamp((known == weights.end() ? average : known->second) * scale, weight_min, weight_max);
        const auto record_bytes = static_cast<std::size_t>(weight) - key.size() - MemoryStore::entry_overhead_bytes;
        store.put(key, hash, std::string_view(filler).substr(0, record_bytes), 1);
    }
    return static_cast<double>(hits) / static_cast<double>(picture.accesses.size() - warm);
}

std::vector<TuningCandidate> tune(const AccessSample::Picture& picture, const MemoryStoreConfig& present,
                                  std::int64_t bytes_max) {
    std::vector<TuningCandidate> candidates;
    const auto consider = [&](EvictionPolicy eviction, std::uint64_t bytes) {
        MemoryStoreConfig config = present;
        config.policy = eviction;
        config.bytes_max = bytes;
        candidates.push_back({eviction, static_cast<std::int64_t>(bytes), simulate_sample(picture, config)});
    };
    for (const EvictionPolicy eviction : {EvictionPolicy::adaptive, EvictionPolicy::lru, EvictionPolicy::lfu,
                                          EvictionPolicy::fifo, EvictionPolicy::random})
        consider(eviction, present.bytes_max);
    const EvictionPolicy best = std::ranges::max_element(candidates, {}, &TuningCandidate::hitRatio)->eviction;
    if (present.bytes_max >= 16'384) consider(best, present.bytes_max / 2);
    consider(best, std::min<std::uint64_t>(present.bytes_max * 2, static_cast<std::uint64_t>(bytes_max)));
    const auto worth = [&](const TuningCandidate& candidate) {
        return candidate.hitRatio -
               0.005 * std::log2(static_cast<double>(candidate.maxBytes) / static_cast<double>(present.bytes_max));
    };
    std::ranges::stable_sort(candidates,
                             [&](const TuningCandidate& a, const TuningCandidate& b) { return worth(a) > worth(b); });
    return candidates;
}

double foreseeable_share(const AccessSample::Picture& picture) {
    if (picture.rate < 1 || picture.accesses.size() < tuning_requests_min) return 0;
    std::unordered_map<std::uint64_t, std::unordered_map<std::uint64_t, int>> followers;
    std::unordered_map<std::uint64_t, std::uint64_t> commonest;
    std::size_t foreseen = 0;
    for (std::size_t i = 1; i < picture.accesses.size(); ++i) {
        const std::uint64_t before = picture.accesses[i - 1].hash;
        const std::uint64_t now = picture.accesses[i].hash;
        if (const auto at = commonest.find(before); at != commonest.end() && at->second == now) ++foreseen;
        auto& counts = followers[before];
        const int count = ++counts[now];
        std::uint64_t& top = commonest.try_emplace(before, now).first->second;
        if (count > counts[top]) top = now;
    }
    return static_cast<double>(foreseen) / static_cast<double>(picture.accesses.size() - 1);
}

} // namespace pillion
