// What a caller of the disk tier may rely on while all is well.
#include "tests/disk_store/disk_fixture.h"

#include <algorithm>
#include <random>
#include <set>

using namespace pillion;
using test::DiskFixture;
using test::key;

TEST_CASE("with nothing asked of it the disk tier has made no file", "[disk_store]") {
    DiskFixture disk;
    CHECK(disk.it->disk.stats().entries == 0);
    disk.close();
    CHECK_FALSE(std::filesystem::exists(disk.path()));
}

TEST_CASE("what was put is found, by get and by find, until it is removed", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    CHECK(it.read(key("a")) == "absent");
    REQUIRE(it.put(key("a"), "one", 1'800'000'000'000));
    const auto got = it.get(key("a"));
    REQUIRE((got && *got));
    CHECK((*got)->record == "one");
    CHECK((*got)->gone_at_ms == 1'800'000'000'000);
    CHECK(it.read(key("a", "analysis")) == "absent");
    REQUIRE(it.remove(key("a")));
    CHECK(it.read(key("a")) == "absent");
    CHECK(it.remove(key("a")));
}

TEST_CASE("a put to an existing key replaces, be it shorter or longer", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    for (const std::size_t size : {10, 100'000, 0, 4096, 4096, 3}) {
        const std::string record(size, static_cast<char>('a' + size % 7));
        REQUIRE(it.put(key("k"), record));
        CHECK(it.read(key("k")) == record);
        CHECK(it.disk.stats().entries == 1);
    }
    CHECK(it.disk.stats().bytes == 96 + 5 + 1 + 3);
}

TEST_CASE("keys and values may be empty, binary and long; a key over 64 KiB is refused", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    std::vector<TierKey> keys{key("", ""),
                              key("", "audio"),
                              key(std::string("\0", 1)),
                              key(std::string("a\0b", 3)),
                              key("\xff\xfe'\"%_;"),
                              key(std::string(65'536, 'k'))};
    for (std::size_t i = 0; i < keys.size(); ++i)
        REQUIRE(it.put(keys[i], std::string("\0v", 2) + std::to_string(i) + std::string(i * 100'000, '\0')));
    for (std::size_t i = 0; i < keys.size(); ++i)
        CHECK(it.read(keys[i]) == std::string("\0v", 2) + std::to_string(i) + std::string(i * 100'000, '\0'));
    const TierKey long_key = key(std::string(65'537, 'k'));
    CHECK(it.put(long_key, "v").error().code == ErrorCode::invalid_params);
    CHECK(it.disk.find(long_key).error().code == ErrorCode::invalid_params);
    CHECK(it.get(long_key).error().code == ErrorCode::invalid_params);
}

TEST_CASE("several are found in one look", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    REQUIRE(it.put(key("a"), "1"));
    REQUIRE(it.put(key("c"), "3"));
    const std::vector<TierKey> keys{key("a"), key("b"), key("c"), key(std::string(70'000, 'x'))};
    const auto found = it.disk.find_many(keys);
    REQUIRE(found.size() == 4);
    CHECK((*found[0])->record == "1");
    CHECK_FALSE(found[1]->has_value());
    CHECK((*found[2])->record == "3");
    CHECK(found[3].error().code == ErrorCode::invalid_params);
    CHECK(it.disk.find_many({}).empty());
}

TEST_CASE("an entry is there until its time and not a millisecond longer", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    REQUIRE(it.put(key("a"), "v", disk.clock.wall_ms() + 1000));
    disk.clock.advance_ms(999);
    CHECK(it.read(key("a")) == "v");
    disk.clock.advance_ms(1);
    CHECK(it.read(key("a")) == "absent");
    CHECK_FALSE(it.get(key("a"))->has_value());
    disk.clock.jump_wall_ms(-500); // set back: it is there again, as its time says
    CHECK(it.read(key("a")) == "v");
}

TEST_CASE("expired entries go while others are written", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    for (int i = 0; i < 100; ++i) REQUIRE(it.put(key("old" + std::to_string(i)), "v", disk.clock.wall_ms() + 10));
    disk.clock.advance_ms(10);
    for (int i = 0; i < 200; ++i) REQUIRE(it.put(key("new" + std::to_string(i)), "v"));
    CHECK(it.disk.stats().entries == 200);
    CHECK(it.disk.stats().expired == 100);
}

TEST_CASE("everything is there after a restart", "[disk_store]") {
    DiskFixture disk;
    for (int i = 0; i < 50; ++i) REQUIRE(disk.it->put(key(std::to_string(i)), "v" + std::to_string(i)));
    auto& again = disk.open();
    for (int i = 0; i < 50; ++i) CHECK(again.read(key(std::to_string(i))) == "v" + std::to_string(i));
    CHECK(again.disk.stats().entries == 50);
}

TEST_CASE("the quota holds, and what is least worthy goes", "[disk_store]") {
    DiskFixture disk;
    disk.options = {.bytes_max = 1'000'000};
    auto& it = disk.open();
    const auto record = [&](std::int64_t made_in_ms, std::uint8_t priority) {
        return encode_record({.created_ms = disk.clock.wall_ms(), .made_in_ms = made_in_ms, .priority = priority},
                             std::string(2000, 'v'));
    };
    for (int i = 0; i < 40; ++i) REQUIRE(it.put(key("costly" + std::to_string(i)), record(60'000, 5)));
    for (int i = 0; i < 40; ++i) REQUIRE(it.put(key("dear" + std::to_string(i)), record(0, 10)));
    for (int i = 0; i < 2000; ++i) {
        REQUIRE(it.put(key("cheap" + std::to_string(i)), record(1, 5)));
        if (i % 100 == 0) disk.clock.advance_ms(1000);
        if (i % 100 == 0) CHECK(it.disk.stats().bytes <= 1'000'000);
    }
    const auto count = [&](const std::string& prefix) {
        int there = 0;
        for (int i = 0; i < 40; ++i) there += it.read(key(prefix + std::to_string(i))) != "absent" ? 1 : 0;
        return there;
    };
    CHECK(count("costly") == 40);
    CHECK(count("dear") >= 30);
    CHECK(it.disk.stats().evicted > 1500);
    CHECK(it.disk.stats().bytes > 900'000);
}

TEST_CASE("an entry over a quarter of the quota is refused", "[disk_store]") {
    DiskFixture disk;
    disk.options = {.bytes_max = 40'000};
    auto& it = disk.open();
    CHECK(it.put(key("a"), std::string(9'000, 'v')));
    CHECK(it.put(key("b"), std::string(10'000, 'v')).error().code == ErrorCode::exhausted);
    CHECK(it.read(key("b")) == "absent");
}

TEST_CASE("invalidation takes what matches and nothing else, and says how much", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    const auto fill = [&] {
        for (const char* const space : {"audio", "query"})
            for (const char* const name : {"voice:anna:1", "voice:anna:2", "voice:ben:1", "x*y"})
                REQUIRE(it.put(key(name, space), encode_record({.created_ms = 1000}, "old")));
        REQUIRE(it.put({.space = "query", .name = "hash", .parts = "{\"voice\":\"anna\"}"},
                       encode_record({.created_ms = 2000}, "new")));
        REQUIRE(it.put(key("gone", "query"), "v", 1));
    };
    fill();
    CHECK(*it.invalidate({.space = "audio", .pattern = "voice:anna:*"}) == 2);
    CHECK(it.read(key("voice:anna:1")) == "absent");
    CHECK(it.read(key("voice:ben:1")) != "absent");
    CHECK(it.read(key("voice:anna:1", "query")) != "absent");
    CHECK(*it.invalidate({.space = "audio", .pattern = "x\\*y"}) == 1);
    CHECK(*it.invalidate({.pattern = "*\"anna\"*"}) == 1); // a composite key is known by its parts
    CHECK(*it.invalidate({.space = "query", .name = "voice:ben:1"}) == 1);
    CHECK(*it.invalidate({.name = "voice:ben:1"}) == 1);
    CHECK(*it.invalidate({.tag = "anna"}) == 0);
    fill();
    CHECK(*it.invalidate({.created_before_ms = 2000}) == 8);
    fill();
    CHECK(*it.invalidate({.expired = true}) == 1);
    CHECK(*it.invalidate({.space = "audio"}) == 4);
    CHECK(*it.invalidate({.space = "nothing"}) == 0);
    CHECK(*it.invalidate({}) == 5);
    CHECK(it.disk.stats().entries == 0);
    CHECK(it.disk.stats().bytes == 0);
}

TEST_CASE("an invalidation of more than one turn counts all, and what is put later stays", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    for (int i = 0; i < 5000; ++i) it.disk.put(key(std::to_string(i)), {"v", never_ms}, [](const Result<void>&) {});
    std::promise<Result<std::uint64_t>> counted;
    it.disk.invalidate({.pattern = "*"}, [&](Result<std::uint64_t> count) { counted.set_value(std::move(count)); });
    it.disk.put(key("7"), {"later", never_ms}, [](const Result<void>&) {});
    CHECK(it.read(key("8")) == "absent");
    CHECK(it.read(key("7")) == "later");
    CHECK(*counted.get_future().get() == 5000);
    REQUIRE(it.put(key("end"), "v"));
    CHECK(it.read(key("7")) == "later");
    CHECK(it.disk.stats().entries == 2);
}

TEST_CASE("reads see what is not committed yet", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    REQUIRE(it.put(key("replaced"), "old"));
    REQUIRE(it.put(key("removed"), "old"));
    REQUIRE(it.put(key("invalid"), "old"));
    std::promise<void> release;
    it.store.write([&](Database&) -> Result<void> {
        release.get_future().wait();
        return {};
    });
    const auto ignore = [](const auto&) {};
    it.disk.put(key("replaced"), {"new", never_ms}, ignore);
    it.disk.put(key("short"), {"new", disk.clock.wall_ms() + 5}, ignore);
    it.disk.remove(key("removed"), ignore);
    it.disk.invalidate({.pattern = "inval*"}, ignore);
    const auto check = [&] {
        CHECK(it.read(key("replaced")) == "new");
        CHECK(it.read(key("short")) == "new");
        CHECK(it.read(key("removed")) == "absent");
        CHECK(it.read(key("invalid")) == "absent");
        const std::vector<TierKey> keys{key("replaced"), key("removed"), key("invalid")};
        const auto found = it.disk.find_many(keys);
        CHECK((*found[0])->record == "new");
        CHECK_FALSE(found[1]->has_value());
        CHECK_FALSE(found[2]->has_value());
    };
    check();
    release.set_value();
    REQUIRE(it.put(key("end"), "v"));
    check();
    disk.clock.advance_ms(5);
    CHECK(it.read(key("short")) == "absent");
}

TEST_CASE("what the disk does not keep up with is refused, not kept waiting", "[disk_store]") {
    DiskFixture disk;
    disk.options = {.queued_bytes_max = 50'000};
    auto& it = disk.open();
    REQUIRE(it.put(key("a"), "v"));
    std::promise<void> release, entered;
    it.store.write([&](Database&) -> Result<void> {
        entered.set_value();
        release.get_future().wait();
        return {};
    });
    entered.get_future().wait();
    std::atomic<int> written{0}, refused{0}, other{0};
    for (int i = 0; i < 10; ++i)
        it.disk.put(key(std::to_string(i)), {std::string(10'000, 'v'), never_ms}, [&](const Result<void>& done) {
            ++(done ? written : done.error().code == ErrorCode::exhausted ? refused : other);
        });
    release.set_value();
    REQUIRE(it.put(key("end"), "v"));
    CHECK(written == 4);
    disk.close();
    CHECK(refused == 6);
    CHECK(other == 0);
}

TEST_CASE("a value larger than the queue is written where nothing else waits", "[disk_store]") {
    DiskFixture disk;
    disk.options = {.queued_bytes_max = 50'000};
    auto& it = disk.open();
    const std::string record(3'000'000, 'v');
    REQUIRE(it.put(key("a"), record));
    CHECK(it.read(key("a")) == record);
}

TEST_CASE("keys are listed in pages, each once", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    std::set<std::string> names;
    for (int i = 0; i < 95; ++i) {
        names.insert("k" + std::to_string(i));
        REQUIRE(it.put(key("k" + std::to_string(i)), "v"));
    }
    REQUIRE(it.put(key("k1", "other"), "v"));
    REQUIRE(it.put(key("gone"), "v", 1));
    std::set<std::string> seen;
    std::string after;
    for (int page = 0; page < 10; ++page) {
        const auto keys = it.list({.space = "audio"}, after, 10);
        REQUIRE(keys);
        CHECK(keys->size() == (page < 9 ? 10 : 5));
        for (const TierKey& found : *keys) CHECK(seen.insert(found.name).second);
        after = keys->back().name;
    }
    CHECK(seen == names);
    CHECK(it.list({.space = "audio"}, after, 10)->empty());

    const auto first = it.list({}, "", 50);
    const auto rest = it.list({}, first->back().space + std::string(1, '\0') + first->back().name, 100);
    CHECK(first->size() + rest->size() == 96);
    CHECK(it.list({.pattern = "k?"}, "", 100)->size() == 11);
    CHECK(it.list({.expired = true}, "", 100)->size() == 1);
    CHECK(it.list({}, "no NUL", 10).error().code == ErrorCode::invalid_params);
    CHECK(it.list({.pattern = "[a"}, "", 10).error().code == ErrorCode::invalid_params);
}

TEST_CASE("the hottest come back first, within a budget", "[disk_store]") {
    DiskFixture disk;
    const auto record = [&] { return encode_record({.created_ms = disk.clock.wall_ms()}, std::string(900, 'v')); };
    for (int i = 0; i < 100; ++i) REQUIRE(disk.it->put(key(std::to_string(i)), record()));
    disk.clock.advance_ms(3'600'000);
    for (int i = 0; i < 10; ++i) disk.it->disk.touch(key(std::to_string(i)), static_cast<std::uint32_t>(100 - i));
    REQUIRE(disk.it->put(key("gone"), record(), disk.clock.wall_ms() + 1));
    disk.it->disk.touch(key("gone"), 1000);
    disk.clock.advance_ms(1);

    auto& again = disk.open();
    std::vector<std::string> names;
    const auto take = [&](const TierKey& found, const TierValue& value) {
        CHECK(value.record.size() > 900);
        names.push_back(found.name);
        return true;
    };
    CHECK(*again.disk.hottest(10'500, take) == 10);
    CHECK(names == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
    names.clear();
    CHECK(*again.disk.hottest(1'000'000, take) == 100);
    CHECK(*again.disk.hottest(0, take) == 0);
    CHECK(*again.disk.hottest(1'000'000, [](const TierKey&, const TierValue&) { return false; }) == 1);
}

TEST_CASE("what is read often survives what is not", "[disk_store]") {
    DiskFixture disk;
    disk.options = {.bytes_max = 500'000};
    auto& it = disk.open();
    const auto record = [&] { return encode_record({.created_ms = disk.clock.wall_ms()}, std::string(2000, 'v')); };
    for (int i = 0; i < 20; ++i) REQUIRE(it.put(key("hot" + std::to_string(i)), record()));
    int there = 0;
    for (int round = 0; round < 40; ++round) {
        for (int use = 0; use < 32; ++use)
            for (int i = 0; i < 20; ++i) it.read(key("hot" + std::to_string(i)));
        disk.clock.advance_ms(61'000); // past which uses are written
        for (int i = 0; i < 20; ++i)
            REQUIRE(it.put(key("cold" + std::to_string(round) + "." + std::to_string(i)), record()));
    }
    for (int i = 0; i < 20; ++i) there += it.read(key("hot" + std::to_string(i))) != "absent" ? 1 : 0;
    CHECK(there >= 18);
}

TEST_CASE("the file shrinks when much was invalidated, and when it is asked to", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    const auto fill = [&](int count) {
        for (int i = 0; i < count; ++i)
            it.disk.put(key(std::to_string(i)), {std::string(4000, 'v'), never_ms}, [](const Result<void>&) {});
        REQUIRE(it.put(key("end"), "v"));
    };
    fill(3000);
    REQUIRE(*it.invalidate({.pattern = "*"}) == 3001);
    disk.open(); // stop() waits for what was begun
    CHECK(test::wait_for<void>([&](auto done) { disk.it->disk.vacuum(std::move(done)); }));
    CHECK(std::filesystem::file_size(disk.path()) < 200'000); // already while it is open
}

TEST_CASE("a probe tells that the tier works", "[disk_store]") {
    DiskFixture disk;
    CHECK(test::wait_for<void>([&](auto done) { disk.it->disk.probe(std::move(done)); }));
    CHECK(disk.it->disk.stats().is_up);
    CHECK(disk.it->disk.name() == "disk");
}

TEST_CASE("what was put before the end is written, what comes after is refused", "[disk_store]") {
    DiskFixture disk;
    auto& it = *disk.it;
    std::atomic<int> written{0};
    for (int i = 0; i < 500; ++i)
        it.disk.put(key(std::to_string(i)), {"v", never_ms},
                    [&](const Result<void>& done) { written += done ? 1 : 0; });
    it.disk.stop();
    CHECK(written == 500);
    CHECK(it.put(key("late"), "v").error().code == ErrorCode::unavailable);
    CHECK(it.get(key("1")).error().code == ErrorCode::unavailable);
    CHECK(it.disk.find(key("1")).error().code == ErrorCode::unavailable);
    CHECK(it.invalidate({}).error().code == ErrorCode::unavailable);
    CHECK(it.list({}, "", 10).error().code == ErrorCode::unavailable);
    CHECK(disk.open().read(key("499")) == "v");
}

TEST_CASE("many threads may use it at once", "[disk_store]") {
    DiskFixture disk;
    disk.options = {.bytes_max = 300'000};
    auto& it = disk.open();
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 4; ++thread)
        threads.emplace_back([&it, &wrong, thread] {
            std::mt19937 random(thread);
            for (int round = 0; round < 300; ++round) {
                const TierKey one = key(std::to_string(random() % 200));
                const std::string record = one.name + ":" + std::string(random() % 3000, 'v');
                switch (random() % 8) {
                case 0:
                    it.disk.remove(one, [](const Result<void>&) {});
                    break;
                case 1:
                    it.disk.invalidate({.pattern = one.name + "*"}, [](const Result<std::uint64_t>&) {});
                    break;
                case 2:
                    static_cast<void>(it.disk.stats());
                    break;
                case 3:
                    it.disk.put(one, {record, never_ms}, [](const Result<void>&) {});
                    break;
                default:
                    const auto found = it.disk.find(one);
                    if (!found || (*found && !(*found)->record.starts_with(one.name + ":"))) ++wrong;
                }
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(it.disk.stats().damaged == 0);
}
