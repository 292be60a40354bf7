#include "modules/memory_store/memory_store.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <random>

namespace pillion {

namespace {

constexpr std::int64_t now = 1'700'000'000'000;

struct Small {
    explicit Small(EvictionPolicy policy, std::uint64_t entries = 3)
        : store({.entries_max = entries, .policy = policy}) {}
    void put(std::string_view key, MemoryStore::PutOptions options = {}) {
        store.put(key, MemoryStore::hash_of(key), "record", now, options);
    }
    void read(std::string_view key, int times = 1) {
        for (int i = 0; i < times; ++i) {
            store.read(key, MemoryStore::hash_of(key), now, [](std::string_view, const EntryInfo&) {});
        }
    }
    std::string keys() const {
        std::vector<std::string> found;
        std::uint64_t cursor = 0;
        for (const StoredEntry& entry : store.list(cursor, 1'000, now)) found.push_back(entry.key);
        std::sort(found.begin(), found.end());
        std::string text;
        for (const std::string& key : found) text += key;
        return text;
    }
    MemoryStore store;
};

using Requests = std::vector<std::uint64_t>;

double hit_ratio(EvictionPolicy policy, std::uint64_t entries, const Requests& requests) {
    MemoryStore store({.bytes_max = std::uint64_t{1} << 50, .entries_max = entries, .policy = policy});
    std::uint64_t hits = 0;
    for (const std::uint64_t key : requests) hits += store.simulate(key, 0) ? 1 : 0;
    return static_cast<double>(hits) / static_cast<double>(requests.size());
}

double shadow_ratio(const ShadowSpec& spec, std::uint64_t entries, const Requests& requests) {
    const auto shadow = make_shadow_cache(spec, {.weight_max = entries});
    std::uint64_t hits = 0;
    for (const std::uint64_t key : requests) hits += shadow->access(key * 0x9E3779B97F4A7C15ULL, 1) ? 1 : 0;
    return static_cast<double>(hits) / static_cast<double>(requests.size());
}

double best_rival(std::uint64_t entries, const Requests& requests) {
    double best = 0;
    for (const ShadowPolicy policy : {ShadowPolicy::lru, ShadowPolicy::arc, ShadowPolicy::s3fifo}) {
        best = std::max(best, shadow_ratio(shadow_spec(policy), entries, requests));
    }
    return best;
}

Requests zipf(std::size_t count, std::size_t keys, double skew, unsigned seed) {
    std::vector<double> sums(keys);
    double sum = 0;
    for (std::size_t i = 0; i < keys; ++i) sums[i] = sum += 1 / std::pow(static_cast<double>(i + 1), skew);
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> chance(0, sum);
    Requests requests(count);
    for (std::uint64_t& key : requests) {
        key = static_cast<std::uint64_t>(std::lower_bound(sums.begin(), sums.end(), chance(random)) - sums.begin());
    }
    return requests;
}

} // namespace

TEST_CASE("lru lets go of what was not used for longest", "[memory_store]") {
    Small small(EvictionPolicy::lru);
    for (const char* key : {"a", "b", "c"}) small.put(key);
    small.read("a");
    small.put("d");
    CHECK(small.keys() == "acd");
    small.put("c");
    small.put("e");
    CHECK(small.keys() == "cde");
}

TEST_CASE("lfu lets go of what was used least, of equals the one not used for longest", "[memory_store]") {
    Small small(EvictionPolicy::lfu);
    for (const char* key : {"a", "b", "c"}) small.put(key);
    small.read("a", 3);
    small.read("b", 1);
    small.read("c", 1);
    small.put("d");
    CHECK(small.keys() == "acd");
    small.put("e");
    CHECK(small.keys() == "ace");
}

TEST_CASE("lfu forgets slowly what was used often long ago", "[memory_store]") {
    Small small(EvictionPolicy::lfu, 2);
    small.put("a");
    small.read("a", 200);
    for (int i = 0; i < 40; ++i) {
        small.put("b");
        small.read("b", 20);
    }
    small.put("c");
    small.read("c", 30);
    small.put("d");
    CHECK(small.keys().find('a') == std::string::npos);
}

TEST_CASE("fifo lets go of the oldest however often it was used", "[memory_store]") {
    Small small(EvictionPolicy::fifo);
    for (const char* key : {"a", "b", "c"}) small.put(key);
    small.read("a", 10);
    small.put("d");
    CHECK(small.keys() == "bcd");
}

TEST_CASE("random lets go of anything, and of one at a time", "[memory_store]") {
    Small small(EvictionPolicy::random, 20);
    for (int i = 0; i < 200; ++i) small.put(std::string(1, static_cast<char>('A' + i % 50)));
    CHECK(small.keys().size() == 20);
}

TEST_CASE("ttl lets go of what would be gone first, as its expiry stands now", "[memory_store]") {
    Small small(EvictionPolicy::ttl);
    small.put("a", {.gone_at_ms = now + 10});
    small.put("b", {.gone_at_ms = now + 20});
    small.put("c");
    small.store.touch("a", MemoryStore::hash_of("a"), now, now + 30);
    small.put("d", {.gone_at_ms = now + 40});
    CHECK(small.keys() == "acd");
    small.put("e", {.gone_at_ms = now + 5});
    CHECK(small.keys() == "cde");
}

TEST_CASE("priority lets go of entries below the threshold first, and of the others when there is nothing else",
          "[memory_store]") {
    Small small(EvictionPolicy::priority);
    small.put("a", {.priority = 8});
    small.put("b", {.priority = 7});
    small.put("c", {.priority = 10});
    small.read("b", 10);
    small.put("d", {.priority = 1});
    CHECK(small.keys() == "acd");
    small.put("e", {.priority = 8});
    CHECK(small.keys() == "ace");
    small.put("f", {.priority = 1});
    CHECK(small.keys() == "cef");
}

TEST_CASE("the names of the policies are found again, other words are not", "[memory_store]") {
    for (const char* name : {"adaptive", "lru", "lfu", "fifo", "random", "ttl", "priority"}) {
        REQUIRE(find_eviction_policy(name) != nullptr);
        CHECK(eviction_policy_name(*find_eviction_policy(name)) == name);
    }
    CHECK(find_eviction_policy("LRU") == nullptr);
    CHECK(find_eviction_policy("") == nullptr);
}

TEST_CASE("a shadow of lru hits what a store with lru hits", "[memory_store]") {
    const Requests requests = zipf(50'000, 5'000, 0.8, 3);
    CHECK(shadow_ratio(shadow_spec(ShadowPolicy::lru), 500, requests) == hit_ratio(EvictionPolicy::lru, 500, requests));
}

TEST_CASE("a shadow keeps to its capacity by weight and by count, and names what it lets go of", "[memory_store]") {
    for (const ShadowPolicy policy : shadow_policies) {
        CAPTURE(shadow_policy_name(policy));
        const auto shadow = make_shadow_cache(shadow_spec(policy), {.weight_max = 1'000, .entries_max = 50});
        std::vector<std::uint64_t> evicted;
        shadow->report_evicted(&evicted);
        std::mt19937_64 random(5);
        std::vector<std::uint32_t> weights(200);
        for (std::uint32_t& weight : weights) weight = static_cast<std::uint32_t>(1 + random() % 60);
        std::uint64_t hits = 0;
        for (int i = 0; i < 20'000; ++i) {
            const std::uint64_t key = std::min(random() % 200, random() % 200);
            const bool was_there = shadow->contains(key);
            REQUIRE(shadow->access(key, weights[key]) == was_there);
            hits += was_there ? 1 : 0;
            for (const std::uint64_t gone : evicted) REQUIRE_FALSE(shadow->contains(gone));
            evicted.clear();
        }
        CHECK(hits > 2'000);
        std::uint64_t weight = 0;
        std::uint64_t entries = 0;
        for (std::uint64_t key = 0; key < 200; ++key) {
            if (!shadow->contains(key)) continue;
            weight += weights[key];
            ++entries;
        }
        CHECK(weight <= 1'000);
        CHECK(entries <= 50);
        CHECK(entries > 10);
        REQUIRE_FALSE(shadow->access(999, 1'001));
        CHECK_FALSE(shadow->contains(999));
    }
}

TEST_CASE("adaptive hits as much as the best of lru, arc and s3fifo on skewed requests", "[memory_store]") {
    for (const double skew : {0.6, 0.9, 1.1}) {
        const Requests requests = zipf(200'000, 20'000, skew, 11);
        for (const std::uint64_t entries : {100U, 1'000U, 5'000U}) {
            CAPTURE(skew, entries);
            CHECK(hit_ratio(EvictionPolicy::adaptive, entries, requests) > best_rival(entries, requests) - 0.005);
        }
    }
}

TEST_CASE("adaptive follows recency where the popular keys drift", "[memory_store]") {
    Requests requests = zipf(200'000, 1'000, 0.5, 13);
    for (std::size_t i = 0; i < requests.size(); ++i) requests[i] += i / 40;
    CHECK(hit_ratio(EvictionPolicy::adaptive, 500, requests) > best_rival(500, requests) - 0.005);
}

TEST_CASE("adaptive hits as much as the best where shadows are miniatures", "[memory_store]") {
    constexpr std::uint64_t entries = 20'000;
    const auto check = [](const Requests& requests) {
        CHECK(hit_ratio(EvictionPolicy::adaptive, entries, requests) > best_rival(entries, requests) - 0.005);
    };
    SECTION("skewed") { check(zipf(400'000, 300'000, 0.99, 23)); }
    SECTION("drifting") {
        Requests requests = zipf(600'000, 60'000, 0.7, 29);
        for (std::size_t i = 0; i < requests.size(); ++i) requests[i] += i / 8;
        check(requests);
    }
    SECTION("skewed, with scans") {
        Requests requests = zipf(600'000, 100'000, 0.9, 31);
        for (std::size_t begin = 60'000; begin + 30'000 <= requests.size(); begin += 120'000) {
            for (std::size_t i = 0; i < 30'000; ++i) requests[begin + i] = 1'000'000 + begin + i;
        }
        check(requests);
    }
}

TEST_CASE("a large store stands firm against a loop within a few rounds", "[memory_store]") {
    MemoryStore store({.bytes_max = std::uint64_t{1} << 50, .entries_max = 20'000});
    constexpr std::uint64_t keys = 40'000;
    std::uint64_t hits = 0;
    for (std::uint64_t i = 0; i < keys * 8; ++i) {
        const bool is_hit = store.simulate(i % keys, 0);
        if (i >= keys * 7 && is_hit) ++hits;
    }
    CHECK(hits > keys * 4 / 10);
}

TEST_CASE("a loop longer than the cache does not empty it", "[memory_store]") {
    for (const std::uint64_t entries : {100U, 2'000U, 20'000U}) {
        Requests requests;
        for (std::uint64_t i = 0; i < entries * 40; ++i) requests.push_back(i % (entries * 2));
        CAPTURE(entries);
        CHECK(hit_ratio(EvictionPolicy::lru, entries, requests) == 0);
        CHECK(hit_ratio(EvictionPolicy::adaptive, entries, requests) > 0.2);
    }
}

TEST_CASE("a scan passes by what is used again and again", "[memory_store]") {
    for (const std::uint64_t entries : {1'000U, 30'000U}) {
        CAPTURE(entries);
        const std::uint64_t hot = entries * 6 / 10;
        Requests requests;
        for (std::uint64_t i = 0; i < hot * 4; ++i) requests.push_back(i % hot);
        for (std::uint64_t i = 0; i < entries * 10; ++i) requests.push_back(1'000'000 + i);
        MemoryStore store({.bytes_max = std::uint64_t{1} << 50, .entries_max = entries});
        for (const std::uint64_t key : requests) store.simulate(key, 0);
        std::uint64_t hits = 0;
        for (std::uint64_t i = 0; i < hot; ++i) hits += store.simulate(i, 0) ? 1 : 0;
        CHECK(hits > hot * 8 / 10);
    }
}

TEST_CASE("adaptive keeps to byte limits and hits as much as the best with entries of many sizes", "[memory_store]") {
    const Requests requests = zipf(150'000, 10'000, 0.8, 17);
    const auto weight = [](std::uint64_t key) { return static_cast<std::uint32_t>(100 + key * 7'919 % 5'000); };
    constexpr std::uint64_t bytes_max = 3'000'000;
    double best = 0;
    for (const ShadowPolicy policy : {ShadowPolicy::lru, ShadowPolicy::arc, ShadowPolicy::s3fifo}) {
        const auto shadow = make_shadow_cache(shadow_spec(policy), {.weight_max = bytes_max});
        double hits = 0;
        for (const std::uint64_t key : requests)
            hits += shadow->access(key * 0x9E3779B97F4A7C15ULL, weight(key)) ? 1 : 0;
        best = std::max(best, hits);
    }
    MemoryStore store({.bytes_max = bytes_max});
    double hits = 0;
    for (const std::uint64_t key : requests) hits += store.simulate(key, weight(key)) ? 1 : 0;
    CHECK(hits / static_cast<double>(requests.size()) > best / static_cast<double>(requests.size()) - 0.005);
    CHECK(store.stats().bytes <= bytes_max);
}

TEST_CASE("adaptive hits as much as the best where nearly all keys fit in", "[memory_store]") {
    // Rounds over all keys, in which a quarter of the requests are for what was asked for shortly before.
    constexpr std::uint64_t keys = 5'000;
    constexpr std::uint64_t entries = keys * 8 / 10;
    std::mt19937_64 random(37);
    Requests requests;
    for (int round = 0; round < 6; ++round) {
        for (std::uint64_t i = 0; i < keys; ++i) {
            requests.push_back(random() % 4 == 0 && i > 300 ? i - 1 - random() % 300 : i);
        }
    }
    CHECK(hit_ratio(EvictionPolicy::adaptive, entries, requests) > best_rival(entries, requests) - 0.005);
}

TEST_CASE("adaptive says whom it follows", "[memory_store]") {
    MemoryStore store({.entries_max = 100});
    for (std::uint64_t i = 0; i < 20'000; ++i) store.simulate(i % 150, 0);
    CHECK(store.followed_policy() == "tinylfu");
    store.configure({.entries_max = 100, .policy = EvictionPolicy::fifo});
    CHECK(store.followed_policy() == "fifo");
}

} // namespace pillion
