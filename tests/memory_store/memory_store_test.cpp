#include "modules/memory_store/memory_store.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <thread>

namespace pillion {

namespace {

constexpr std::int64_t now = 1'700'000'000'000;
constexpr std::uint64_t overhead = MemoryStore::entry_overhead_bytes;

PutOutcome put(MemoryStore& store, std::string_view key, std::string_view record,
               MemoryStore::PutOptions options = {}) {
    return store.put(key, MemoryStore::hash_of(key), record, now, options);
}

std::optional<std::string> get(MemoryStore& store, std::string_view key, std::int64_t at_ms = now) {
    std::optional<std::string> found;
    store.read(key, MemoryStore::hash_of(key), at_ms,
               [&](std::string_view record, const EntryInfo&) { found = std::string(record); });
    return found;
}

std::optional<EntryInfo> info(const MemoryStore& store, std::string_view key) {
    std::optional<EntryInfo> found;
    store.peek(key, MemoryStore::hash_of(key), now, [&](std::string_view, const EntryInfo& entry) { found = entry; });
    return found;
}

bool touch(MemoryStore& store, std::string_view key, std::int64_t gone_at_ms) {
    return store.touch(key, MemoryStore::hash_of(key), now, gone_at_ms);
}

bool remove(MemoryStore& store, std::string_view key) { return store.remove(key, MemoryStore::hash_of(key)); }

std::set<std::string> keys_of(const MemoryStore& store) {
    std::set<std::string> keys;
    std::uint64_t cursor = 0;
    do {
        for (const StoredEntry& entry : store.list(cursor, 7, now)) keys.insert(entry.key);
    } while (cursor != 0);
    return keys;
}

constexpr EvictionPolicy all_policies[] = {EvictionPolicy::adaptive, EvictionPolicy::lru,    EvictionPolicy::lfu,
                                           EvictionPolicy::fifo,     EvictionPolicy::random, EvictionPolicy::ttl,
                                           EvictionPolicy::priority};

// From 0 to below the limit.
std::int64_t below(std::mt19937& random, std::int64_t limit) { return static_cast<std::int64_t>(random()) % limit; }

} // namespace

TEST_CASE("what was put is read back as it was", "[memory_store]") {
    MemoryStore store;
    using namespace std::string_literals;
    const std::string binary = "a\0b\xFF\n"s;
    CHECK(put(store, "key", "record") == PutOutcome::added);
    CHECK(put(store, "", "of the empty key") == PutOutcome::added);
    CHECK(put(store, "empty", "") == PutOutcome::added);
    CHECK(put(store, binary, binary) == PutOutcome::added);
    CHECK(get(store, "key") == "record");
    CHECK(get(store, "") == "of the empty key");
    CHECK(get(store, "empty") == "");
    CHECK(get(store, binary) == binary);
    CHECK_FALSE(get(store, "other"));
    CHECK(store.stats().hits == 4);
    CHECK(store.stats().misses == 1);
}

TEST_CASE("a record of megabytes is read without the lock and stays whole when it is replaced meanwhile",
          "[memory_store]") {
    MemoryStore store;
    const std::string large(3'000'000, 'a');
    REQUIRE(put(store, "key", large) == PutOutcome::added);
    store.read("key", MemoryStore::hash_of("key"), now, [&](std::string_view record, const EntryInfo&) {
        // Another thread, since the reader's own must not call the store.
        std::thread([&] { CHECK(put(store, "key", "small") == PutOutcome::replaced); }).join();
        CHECK(record == large);
    });
    CHECK(get(store, "key") == "small");
}

TEST_CASE("a value that is put again replaces the one before", "[memory_store]") {
    MemoryStore store;
    put(store, "key", "old", {.priority = 2});
    get(store, "key");
    CHECK(put(store, "key", "newer", {.priority = 9}) == PutOutcome::replaced);
    CHECK(get(store, "key") == "newer");
    CHECK(info(store, "key")->priority == 9);
    CHECK(info(store, "key")->accesses == 1);
    CHECK(store.stats().entries == 1);
    CHECK(store.stats().bytes == 3 + 5 + overhead);
    CHECK(store.stats().count(RemovalCause::replaced) == 1);
}

TEST_CASE("an entry is not given out from the millisecond on at which its time is over", "[memory_store]") {
    MemoryStore store;
    put(store, "key", "record", {.gone_at_ms = now + 100});
    CHECK(get(store, "key", now + 99));
    CHECK_FALSE(get(store, "key", now + 100));
    CHECK_FALSE(get(store, "key", now + 1'000'000));
}

TEST_CASE("an entry whose time is over at its birth is refused and takes the older value along", "[memory_store]") {
    MemoryStore store;
    put(store, "key", "old");
    CHECK(put(store, "key", "new", {.gone_at_ms = now}) == PutOutcome::refused);
    CHECK(put(store, "other", "new", {.gone_at_ms = -1}) == PutOutcome::refused);
    CHECK_FALSE(get(store, "key"));
    CHECK(store.stats().count(RemovalCause::refused) == 2);
    CHECK(store.stats().entries == 0);
}

TEST_CASE("an entry larger than the share is refused and takes the older value along", "[memory_store]") {
    MemoryStore store({.bytes_max = 8'000, .entry_share_max = 0.125});
    CHECK(put(store, "key", std::string(1'000 - 3 - overhead, 'x')) == PutOutcome::added);
    CHECK(put(store, "key", std::string(1'001 - 3 - overhead, 'x')) == PutOutcome::refused);
    CHECK_FALSE(get(store, "key"));
    CHECK(store.stats().bytes == 0);
}

TEST_CASE("a key of more than 65,535 bytes is refused", "[memory_store]") {
    MemoryStore store;
    CHECK(put(store, std::string(65'535, 'k'), "record") == PutOutcome::added);
    CHECK(get(store, std::string(65'535, 'k')) == "record");
    CHECK(put(store, std::string(65'536, 'k'), "record") == PutOutcome::refused);
}

TEST_CASE("touching an entry moves its expiry, and a missing one cannot be touched", "[memory_store]") {
    for (const EvictionPolicy policy : all_policies) {
        MemoryStore store({.policy = policy});
        put(store, "key", "record", {.gone_at_ms = now + 10});
        CHECK(touch(store, "key", now + 500));
        CHECK(get(store, "key", now + 499));
        CHECK_FALSE(touch(store, "other", now + 500));
        CHECK(info(store, "key")->gone_at_ms == now + 500);
        CHECK(touch(store, "key", now - 1));
        CHECK_FALSE(touch(store, "key", now + 500));
    }
}

TEST_CASE("sweeping frees what is over and nothing else", "[memory_store]") {
    MemoryStore store;
    for (int i = 0; i < 5'000; ++i) put(store, std::to_string(i), "record", {.gone_at_ms = now + 1 + i});
    put(store, "stays", "record");
    CHECK(store.sweep(now) == 0);
    CHECK(store.sweep(now + 2'500) == 2'500);
    CHECK(store.sweep(now + 2'500) == 0);
    CHECK(store.stats().entries == 2'501);
    CHECK(store.sweep(now + 10'000, 100) >= 100);
    while (store.sweep(now + 10'000, 100) > 0) {
    }
    CHECK(keys_of(store) == std::set<std::string>{"stays"});
    CHECK(store.stats().count(RemovalCause::expired) == 5'000);
}

TEST_CASE("an entry whose expiry was brought forward is swept", "[memory_store]") {
    MemoryStore store;
    put(store, "key", "record");
    CHECK(store.sweep(now) == 0);
    touch(store, "key", now + 5);
    CHECK(store.sweep(now + 5) == 1);
}

TEST_CASE("neither limit is ever exceeded, whatever the policy", "[memory_store]") {
    for (const EvictionPolicy policy : all_policies) {
        CAPTURE(eviction_policy_name(policy));
        MemoryStore store({.bytes_max = 31'000, .entries_max = 60, .policy = policy});
        std::mt19937 random(1);
        for (int i = 0; i < 20'000; ++i) {
            const std::string key = std::to_string(random() % 300);
            if (get(store, key)) continue;
            put(store, key, std::string(random() % 900, 'x'),
                {.gone_at_ms = now + 1 + below(random, 100), .priority = static_cast<std::uint8_t>(1 + random() % 10)});
            if (store.stats().bytes > 31'000 || store.stats().entries > 60) FAIL("a limit is exceeded");
        }
        const MemoryStoreStats stats = store.stats();
        CHECK(stats.count(RemovalCause::size) > 0);
        CHECK(stats.count(RemovalCause::entries) > 0);
        CHECK(stats.hits + stats.misses == 20'000);
        CHECK(stats.hits > 1'000);
        CHECK(keys_of(store).size() == stats.entries);
    }
}

TEST_CASE("entries are removed by key, by what they hold, and all together", "[memory_store]") {
    MemoryStore store;
    for (int i = 0; i < 3'000; ++i) put(store, std::to_string(i), i % 2 == 0 ? "even" : "odd");
    CHECK(remove(store, "4"));
    CHECK_FALSE(remove(store, "4"));
    CHECK(store.remove_if(
              [](std::string_view, std::string_view record, const EntryInfo&) { return record == "even"; }) == 1'499);
    CHECK_FALSE(get(store, "6"));
    CHECK(get(store, "7") == "odd");
    CHECK(store.clear() == 1'500);
    CHECK(store.stats().bytes == 0);
    CHECK(store.stats().count(RemovalCause::invalidated) == 3'000);
}

TEST_CASE("a list names each entry that stays exactly once, whatever comes and goes", "[memory_store]") {
    MemoryStore store;
    for (int i = 0; i < 1'000; ++i) put(store, "stays " + std::to_string(i), "record");
    for (int i = 0; i < 500; ++i) put(store, "goes " + std::to_string(i), "record");
    std::multiset<std::string> seen;
    std::uint64_t cursor = 0;
    int page = 0;
    do {
        for (const StoredEntry& entry : store.list(cursor, 50, now)) seen.insert(entry.key);
        for (int i = 0; i < 10; ++i) remove(store, "goes " + std::to_string(page * 10 + i));
        put(store, "comes " + std::to_string(page++), "record");
    } while (cursor != 0);
    for (int i = 0; i < 1'000; ++i) REQUIRE(seen.count("stays " + std::to_string(i)) == 1);
}

TEST_CASE("the hottest entries are those read most often, the most read first", "[memory_store]") {
    MemoryStore store;
    for (int i = 0; i < 50; ++i) {
        put(store, std::to_string(i), "record");
        for (int j = 0; j < i; ++j) get(store, std::to_string(i));
    }
    const auto hottest = store.hottest(3, now);
    REQUIRE(hottest.size() == 3);
    CHECK(hottest[0].key == "49");
    CHECK(hottest[0].info.accesses == 49);
    CHECK(hottest[2].key == "47");
    CHECK(store.hottest(100, now).size() == 50);
}

TEST_CASE("the number of accesses and the time of the last one are kept", "[memory_store]") {
    MemoryStore store;
    put(store, "key", "record");
    CHECK(info(store, "key")->accesses == 0);
    get(store, "key", now + 60'000);
    CHECK(info(store, "key")->accesses == 1);
    CHECK(std::abs(info(store, "key")->last_access_ms - (now + 60'000)) < 1'024);
    for (int i = 0; i < 10'000; ++i) get(store, "key");
    CHECK(info(store, "key")->accesses == Approx(10'001).epsilon(0.1));
    CHECK(store.stats().hits == 10'001);
}

TEST_CASE("a store shrinks to a share of its limits and grows back", "[memory_store]") {
    for (const EvictionPolicy policy : all_policies) {
        MemoryStore store({.bytes_max = 100'000, .policy = policy});
        for (int i = 0; i < 3'000; ++i) put(store, std::to_string(i), "record");
        const std::uint64_t full = store.stats().bytes;
        CHECK(full > 99'000);
        const std::uint64_t freed = store.set_share(0.25);
        CHECK(store.stats().bytes == full - freed);
        CHECK(store.stats().bytes <= 25'000);
        CHECK(store.stats().bytes > 24'000);
        CHECK(store.stats().count(RemovalCause::pressure) > 700);
        CHECK(store.set_share(1) == 0);
        for (int i = 0; i < 3'000; ++i) put(store, std::to_string(i), "record");
        CHECK(store.stats().bytes > 99'000);
    }
}

TEST_CASE("limits and policy change while entries stay", "[memory_store]") {
    MemoryStore store({.bytes_max = 100'000});
    for (int i = 0; i < 500; ++i) put(store, std::to_string(i), "record");
    for (const EvictionPolicy from : all_policies) {
        for (const EvictionPolicy to : all_policies) {
            store.configure({.bytes_max = 100'000, .policy = from});
            store.configure({.bytes_max = 100'000, .policy = to});
            REQUIRE(store.stats().entries == 500);
            REQUIRE(get(store, "17") == "record");
        }
    }
    store.configure({.bytes_max = 100'000, .entries_max = 100, .policy = EvictionPolicy::lru});
    CHECK(store.stats().entries == 100);
    CHECK(store.config().entries_max == 100);
}

TEST_CASE("who listens hears of every entry that goes, and why", "[memory_store]") {
    MemoryStore store({.entries_max = 2, .policy = EvictionPolicy::fifo});
    std::vector<std::pair<std::string, RemovalCause>> heard;
    store.on_removed([&](std::string_view key, const EntryInfo&, RemovalCause cause) {
        heard.emplace_back(std::string(key), cause);
    });
    put(store, "a", "1");
    put(store, "a", "2");
    put(store, "b", "1");
    put(store, "c", "1");
    remove(store, "b");
    put(store, "c", "1", {.gone_at_ms = 0});
    CHECK(heard == std::vector<std::pair<std::string, RemovalCause>>{{"a", RemovalCause::replaced},
                                                                     {"a", RemovalCause::entries},
                                                                     {"b", RemovalCause::invalidated},
                                                                     {"c", RemovalCause::replaced},
                                                                     {"c", RemovalCause::refused}});
}

TEST_CASE("a store with room for more takes at most 64 bytes an entry beyond keys and records", "[memory_store]") {
    for (const std::uint64_t entries : {2'000U, 10'000U, 40'000U, 200'000U}) {
        CAPTURE(entries);
        MemoryStore store({.entries_max = entries * 5 / 2});
        for (std::uint64_t i = 0; i < entries; ++i) put(store, std::to_string(i), "");
        CHECK(store.stats().overhead_bytes <= 64 * entries);
    }
}

TEST_CASE("what a full store takes to choose who stays is bounded, however many entries it has", "[memory_store]") {
    const auto overhead_of = [](std::uint64_t entries, EvictionPolicy policy) {
        MemoryStore store({.entries_max = entries, .policy = policy});
        for (std::uint64_t i = 0; i < entries * 2; ++i) put(store, std::to_string(i), "");
        return store.stats().overhead_bytes;
    };
    for (const std::uint64_t entries : {1'000U, 16'000U, 100'000U}) {
        CAPTURE(entries);
        constexpr std::uint64_t megabytes = 6 * 1'024 * 1'024;
        CHECK(overhead_of(entries, EvictionPolicy::adaptive) < overhead_of(entries, EvictionPolicy::lru) + megabytes);
    }
}

TEST_CASE("a configuration that cannot be is refused with the value", "[memory_store]") {
    CHECK(check_memory_store_config({}));
    CHECK(check_memory_store_config({.bytes_max = 0}).error().message == "bytes_max is 0; at least 1 is needed");
    CHECK(check_memory_store_config({.entry_share_max = 0}).error().code == ErrorCode::invalid_params);
    CHECK(check_memory_store_config({.entry_share_max = 1.01}).error().code == ErrorCode::invalid_params);
    CHECK(check_memory_store_config({.entry_share_max = std::nan("")}).error().code == ErrorCode::invalid_params);
    CHECK(check_memory_store_config({.priority_threshold = 0}).error().message ==
          "priority_threshold is 0; it must be 1 to 10");
    CHECK(check_memory_store_config({.priority_threshold = 11}).error().code == ErrorCode::invalid_params);
}

TEST_CASE("a store agrees with a plain map through random operations", "[memory_store]") {
    for (const EvictionPolicy policy : all_policies) {
        CAPTURE(eviction_policy_name(policy));
        MemoryStore store({.bytes_max = 60'000, .entries_max = 150, .entry_share_max = 0.5, .policy = policy});
        std::map<std::string, std::pair<std::string, std::int64_t>> model; // what the store may hold
        std::mt19937 random(static_cast<unsigned>(policy) + 7);
        for (int i = 0; i < 30'000; ++i) {
            const std::string key(random() % 3, static_cast<char>('a' + random() % 26));
            const std::string name = key + std::to_string(random() % 200);
            const std::int64_t at = now + i;
            switch (random() % 8) {
            case 0:
            case 1: {
                const std::string record(random() % 2'000, static_cast<char>('a' + i % 26));
                const std::int64_t gone = random() % 4 == 0 ? never_ms : at + below(random, 2'000);
                const PutOutcome outcome =
                    store.put(name, MemoryStore::hash_of(name), record, at, {.gone_at_ms = gone, .priority = 5});
                REQUIRE((outcome == PutOutcome::refused) == (gone <= at));
                model.erase(name);
                if (gone > at) model[name] = {record, gone};
                break;
            }
            case 2:
                store.remove(name, MemoryStore::hash_of(name));
                model.erase(name);
                break;
            case 3:
                if (store.touch(name, MemoryStore::hash_of(name), at, at + 700)) model.at(name).second = at + 700;
                break;
            case 4:
                if (i % 500 == 0) store.sweep(at, 10);
                break;
            default: {
                const auto found = get(store, name, at);
                if (!found) break;
                const auto expected = model.find(name);
                REQUIRE(expected != model.end());
                REQUIRE(*found == expected->second.first);
                REQUIRE(expected->second.second > at);
            }
            }
        }
        CHECK(store.stats().hits > 100);
    }
}

TEST_CASE("threads that read, write, remove and reconfigure see only whole records of their key", "[memory_store]") {
    for (const EvictionPolicy policy : {EvictionPolicy::adaptive, EvictionPolicy::lru, EvictionPolicy::ttl}) {
        MemoryStore store({.bytes_max = 400'000, .entry_share_max = 0.5, .policy = policy});
        std::atomic<int> wrong{0};
        std::vector<std::thread> threads;
        for (unsigned id = 0; id < 4; ++id) {
            threads.emplace_back([&, id] {
                std::mt19937 random(id);
                for (int i = 0; i < 4'000; ++i) {
                    const std::string key = std::to_string(random() % 400);
                    const std::uint64_t hash = MemoryStore::hash_of(key);
                    const bool is_large = random() % 64 == 0;
                    switch (random() % 16) {
                    case 0:
                    case 1:
                        store.put(key, hash, key + std::string(is_large ? 20'000 : 500, key.back()), now);
                        break;
                    case 2:
                        store.remove(key, hash);
                        break;
                    case 3:
                        store.touch(key, hash, now, now + 1 + below(random, 1'000));
                        break;
                    case 4:
                        if (i % 64 == 0) store.set_share(i % 128 == 0 ? 0.5 : 1);
                        if (i % 64 == 1) store.sweep(now + 500);
                        if (i % 256 == 2)
                            store.configure(
                                {.bytes_max = 400'000, .entry_share_max = 0.5, .policy = all_policies[random() % 7]});
                        break;
                    default:
                        store.read(key, hash, now, [&](std::string_view record, const EntryInfo&) {
                            const bool is_ours = record.starts_with(key) &&
                                                 record.find_first_not_of(key.back(), key.size()) == record.npos;
                            if (!is_ours) wrong.fetch_add(1);
                        });
                    }
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        CHECK(wrong == 0);
        CHECK(keys_of(store).size() <= store.stats().entries);
        store.clear();
        CHECK(store.stats().bytes == 0);
        CHECK(store.stats().entries == 0);
    }
}

} // namespace pillion
