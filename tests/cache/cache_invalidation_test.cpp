// What is made void stays void: in memory, in tiers that are down, in the next run and in the other window.
#include "modules/value_codec/value_codec.h"
#include "tests/cache/fake_tier.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace pillion;
using test::CacheFixture;
using test::FakeTier;

namespace {

struct Folder {
    std::filesystem::path path = std::filesystem::temp_directory_path() / ("pillion-cache-" + std::to_string(getpid()));
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
};

} // namespace

TEST_CASE("a tag takes all that have it, wherever it stands, and nothing that came after", "[cache]") {
    CacheFixture it;
    it.put("a", "1", {.tags = {"x", "y"}});
    it.put("b", "2", {.tags = {"y"}});
    it.put("c", "3");
    it.invalidate({.tag = "x"});
    it.put("d", "4", {.tags = {"x"}});
    CHECK(it.text("a").empty());
    CHECK(it.text("b") == "2");
    CHECK(it.text("c") == "3");
    CHECK(it.text("d") == "4");
    it.forget_memory();
    CHECK(it.text("a").empty());
    CHECK(it.text("b") == "2");
}

TEST_CASE("a tag of one namespace leaves the others alone", "[cache]") {
    CacheFixture it;
    it.put("a", "1", {.space = "query", .tags = {"x"}});
    it.put("a", "2", {.space = "asset", .tags = {"x"}});
    it.invalidate({.space = "query", .tag = "x"});
    CHECK(it.text("a", {.space = "query"}).empty());
    CHECK(it.text("a", {.space = "asset"}) == "2");
}

TEST_CASE("a tag of a hundred thousand entries is invalidated in one step", "[cache]") {
    CacheFixture it;
    for (int i = 0; i < 1000; ++i) it.put(std::to_string(i), "1", {.tags = {"x"}});
    const int writes = it.disk->writes;
    const std::size_t stood = it.disk->entries.size();
    it.invalidate({.tag = "x"});
    CHECK(it.disk->writes == writes);
    CHECK(it.disk->entries.size() == stood); // they go when they are met
    CHECK(it.text("7").empty());
}

TEST_CASE("patterns match plain keys and the parts of composite ones", "[cache]") {
    CacheFixture it;
    it.put("user:1", "1");
    it.put("user:2", "2");
    it.put("other", "3");
    CachePut composite;
    composite.key = composite_key(R"({"prompt":"hi","user":7})");
    composite.bytes = "4";
    it.cache->put(composite, [](const Result<CachePutOutcome>&) {});
    CHECK(it.invalidate({.pattern = "user:*"}).memory_entries == 2);
    CHECK(it.text("user:1").empty());
    CHECK(it.text("other") == "3");
    CHECK(it.disk->entries.size() == 2);
    CHECK(it.invalidate({.pattern = "*\"user\":7*"}).memory_entries == 1);
}

TEST_CASE("old and expired entries are taken by age", "[cache]") {
    CacheFixture it;
    it.put("old", "1");
    it.timers.advance_ms(10'000);
    it.put("new", "2");
    CHECK(it.invalidate({.older_than_ms = 5000}).memory_entries == 1);
    CHECK(it.text("old").empty());
    CHECK(it.text("new") == "2");
    it.set_policy("query", {.ttlMs = 1000, .graceMs = 60'000});
    it.put("k", "3", {.space = "query"});
    it.timers.advance_ms(1500);
    CHECK(it.invalidate({.space = "query", .expired = true}).memory_entries == 1);
}

TEST_CASE("a selection that contradicts itself is refused", "[cache]") {
    CacheFixture it;
    const auto code = [&](CacheSelection selection) {
        ErrorCode got = ErrorCode::internal_error;
        it.cache->invalidate(std::move(selection), [&](const Result<CacheInvalidated>& outcome) {
            if (!outcome) got = outcome.error().code;
        });
        return got;
    };
    CHECK(code({.tag = "x", .pattern = "*"}) == ErrorCode::invalid_params);
    CHECK(code({.pattern = "[a"}) == ErrorCode::invalid_params);
    CHECK(code({.key = CacheKey{"k", {}}}) == ErrorCode::invalid_params);
    CHECK(code({.space = "nowhere"}) == ErrorCode::invalid_params);
}

TEST_CASE("audio made with a voice profile goes when the profile changes, through the disk too", "[cache]") {
    CacheFixture it;
    it.put("anna", "{}", {.space = "voiceProfiles"});
    it.put("s1", "x", {.space = "audio", .content_type = "audio/wav", .depends_on = {{"voiceProfiles", {"anna", {}}}}});
    it.put("s2", "y", {.space = "audio", .content_type = "audio/wav", .depends_on = {{"voiceProfiles", {"otto", {}}}}});
    SECTION("by a new value") { it.put("anna", R"({"pitch":2})", {.space = "voiceProfiles"}); }
    SECTION("by its removal") { it.invalidate({.space = "voiceProfiles", .key = CacheKey{"anna", {}}}); }
    it.forget_memory();
    CHECK(it.text("s1", {.space = "audio"}).empty());
    CHECK(it.text("s2", {.space = "audio"}) == "y");
}

TEST_CASE("all of a namespace taken takes what was made with any of it", "[cache]") {
    CacheFixture it;
    it.put("s1", "x", {.space = "audio", .depends_on = {{"voiceProfiles", {"anna", {}}}}});
    it.invalidate({.space = "voiceProfiles", .pattern = "a*"});
    CHECK(it.text("s1", {.space = "audio"}).empty());
}

TEST_CASE("a tier that is down is told when it is back, and not believed before", "[cache]") {
    CacheFixture it;
    it.put("a", "1");
    it.disk->mood = FakeTier::Mood::fails;
    it.redis->entries.clear();
    const CacheInvalidated outcome = it.invalidate({.pattern = "a*"});
    CHECK(outcome.pending == std::vector<std::string>{"disk"});
    REQUIRE(it.disk->entries.size() == 1);
    it.disk->mood = FakeTier::Mood::works;
    CHECK(it.text("a").empty());
    CHECK(it.cache->tiers()[0]->stats().rules == 1);
    it.disk->mood = FakeTier::Mood::fails;
    for (int i = 0; i < 3; ++i) it.text("x" + std::to_string(i)); // now it is down
    it.disk->mood = FakeTier::Mood::works;
    it.timers.advance_ms(60'000);
    CHECK(it.disk->entries.empty());
    CHECK(it.cache->tiers()[0]->stats().rules == 0);
}

TEST_CASE("writes and invalidations are announced to other machines, and theirs are heeded", "[cache]") {
    CacheFixture it;
    it.put("a", "1");
    REQUIRE(it.redis->announced.size() == 1);
    CHECK(it.redis->announced[0].name == "a");
    CHECK(it.disk->announced.empty());
    REQUIRE(it.redis->notify);
    it.redis->entries[{"default", "a"}].record = [&] { // what another machine wrote
        RecordMeta meta;
        meta.created_ms = it.clock.wall_ms();
        meta.version_ms = it.clock.wall_ms() + 5;
        return encode_record(meta, "2");
    }();
    it.redis->entries[{"default", "a"}].gone_at_ms = never_ms;
    it.redis->notify({.selection = {.space = "default", .name = "a"}});
    CHECK(it.text("a") == "2");
}

TEST_CASE("a tag that another machine invalidated is void here, and not announced again", "[cache]") {
    CacheFixture it;
    it.put("a", "1", {.tags = {"x"}});
    const std::size_t announced = it.redis->announced.size();
    it.redis->notify({.selection = {.tag = "x"}});
    CHECK(it.text("a").empty());
    CHECK(it.redis->announced.size() == announced);
}

TEST_CASE("a tag's end that is heard late spares what was written since", "[cache]") {
    CacheFixture it;
    it.put("a", "1", {.tags = {"x"}});
    it.invalidate({.tag = "x"});
    REQUIRE(it.redis->announced.back().created_before_ms);
    const TierSelection told = it.redis->announced.back();
    CHECK(it.text("a").empty());
    it.timers.advance_ms(1);
    it.put("a", "2", {.tags = {"x"}});
    it.redis->notify({.selection = told});
    CHECK(it.text("a") == "2");
}

TEST_CASE("after a lost connection what came from there is looked up anew", "[cache]") {
    CacheFixture it;
    it.put("a", "1");
    it.redis->entries.clear();
    it.redis->notify({.selection = {}, .uncertain = true});
    CHECK(it.text("a").empty());
    CHECK(it.notices.back().reason == "uncertain");
}

TEST_CASE("tags and namespaces that were void stay void in the next run", "[cache]") {
    const Folder folder;
    std::map<std::pair<std::string, std::string>, TierValue> disk;
    {
        CacheFixture it({}, folder.path);
        it.put("a", "1", {.tags = {"x"}});
        it.put("b", "2");
        it.put("c", "3", {.space = "query"});
        it.invalidate({.tag = "x"});
        disk = it.disk->entries;
        it.invalidate({.space = "query"});
        disk = it.disk->entries.size() > disk.size() ? it.disk->entries : disk; // as if it had not been told yet
    }
    CacheFixture it({}, folder.path);
    it.disk->entries = disk;
    CHECK(it.text("a").empty());
    CHECK(it.text("b") == "2");
    CHECK(it.text("c", {.space = "query"}).empty());
}

TEST_CASE("a clock set back between runs brings nothing back", "[cache]") {
    const Folder folder;
    std::map<std::pair<std::string, std::string>, TierValue> disk;
    {
        CacheFixture it({}, folder.path);
        it.timers.advance_ms(3'600'000);
        it.put("a", "1", {.ttl_ms = 86'400'000, .tags = {"x"}});
        disk = it.disk->entries;
        it.invalidate({.tag = "other"});
    }
    CacheFixture it({}, folder.path); // its clock is an hour behind
    it.invalidate({.tag = "x"});
    it.disk->entries = disk;
    CHECK(it.text("a").empty());
}

TEST_CASE("two sidecars on one data directory hear each other", "[cache]") {
    const Folder folder;
    CacheFixture one({}, folder.path);
    CacheFixture other({}, folder.path);
    one.put("a", "1", {.tags = {"x"}});
    other.put("a", "1", {.tags = {"x"}});
    other.put("b", "1");
    REQUIRE(other.text("a") == "1");
    one.invalidate({.tag = "x"});
    CHECK_FALSE(other.cache->find_hot("default", "a", other.clock.now_ns(), false, [](std::string_view) {}));
    other.disk->entries.clear();
    other.redis->entries.clear();
    CHECK(other.text("a").empty());
    CHECK(other.text("b") == "1");
    one.put("b", "2");
    CHECK(other.text("b").empty());
    one.invalidate({.pattern = "z*"});
    one.invalidate({.space = "default"});
    other.put("d", "1");
    CHECK(other.text("d") == "1");
}

TEST_CASE("a damaged journal makes everything before it void and is told of", "[cache]") {
    const Folder folder;
    std::map<std::pair<std::string, std::string>, TierValue> disk;
    {
        CacheFixture it({}, folder.path);
        it.put("a", "1");
        it.invalidate({.tag = "x"});
        disk = it.disk->entries;
    }
    {
        std::fstream file(folder.path / "cache.journal", std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096 + 10);
        file.write("garbage", 7);
    }
    CacheFixture it({}, folder.path);
    it.timers.advance_ms(10);
    it.disk->entries = disk;
    CHECK(it.text("a").empty());
    REQUIRE_FALSE(it.troubles.empty());
    CHECK(it.troubles[0].kind == "journal");
    it.put("b", "2");
    CHECK(it.text("b") == "2");
}

TEST_CASE("the memory of all namespaces together stays within its budget", "[cache]") {
    CacheConfig config;
    config.memoryBytesMax = 1 << 20;
    CacheFixture it(config);
    const std::string value(1000, 'x');
    for (int i = 0; i < 3000; ++i) {
        it.put(std::to_string(i), value, {.space = i % 2 == 0 ? "query" : "asset"});
        REQUIRE(it.cache->memory_use().bytes < (1 << 20) + (1 << 18));
    }
    CHECK(it.cache->memory_use().bytes > (1 << 18));
    CHECK(it.cache->set_share(0.001).bytes > 0);
    it.cache->set_share(1);
}

TEST_CASE("encrypted values leave nothing readable in a tier, and open again", "[cache]") {
    setenv("PILLION_CACHE_TEST_KEY", std::string(64, 'a').c_str(), 1);
    ValueCodec codec({.keys = {.source = KeySource::environment, .variable = "PILLION_CACHE_TEST_KEY"}});
    ManualClock clock;
    ManualTimers timers(clock);
    SerialExecutor executor("test", SerialExecutor::Mode::in_place);
    const auto disk = std::make_shared<FakeTier>("disk");
    Cache cache(
        {.clock = clock,
         .timers = timers,
         .executor = executor,
         .tiers = {{"disk", false,
                    [disk]() -> Result<std::shared_ptr<CacheTier>> { return std::shared_ptr<CacheTier>(disk); }}},
         .codec = make_cache_codec(codec)});
    REQUIRE(cache.set_policy("session", {.encrypt = true}));
    CachePut put;
    put.space = "session";
    put.key = {"k", {}};
    put.bytes = "\"a secret that is here in the clear\"";
    bool stored = false;
    cache.put(put, [&](const Result<CachePutOutcome>& outcome) { stored = outcome && outcome->stored; });
    REQUIRE(stored);
    REQUIRE(disk->entries.size() == 1);
    CHECK(disk->entries.begin()->second.record.find("secret") == std::string::npos);
    cache.invalidate({.only_memory = true}, [](const Result<CacheInvalidated>&) {});
    std::string text;
    CacheGet get;
    get.space = "session";
    get.key = {"k", {}};
    cache.get(get, [&](const Result<CacheRead>& read) { text = read && read->value ? read->value->bytes : "?"; });
    CHECK(text == put.bytes);
    // Copied under another key it does not open.
    disk->entries[{"session", "other"}] = disk->entries.begin()->second;
    get.key = {"other", {}};
    ErrorCode code = ErrorCode::internal_error;
    cache.get(get, [&](const Result<CacheRead>& read) {
        if (!read) code = read.error().code;
    });
    CHECK(code == ErrorCode::corrupt);
}

TEST_CASE("values are compressed from the namespace's own size on, encrypted or not", "[cache]") {
    setenv("PILLION_CACHE_TEST_KEY", std::string(64, 'a').c_str(), 1);
    ValueCodec codec({.keys = {.source = KeySource::environment, .variable = "PILLION_CACHE_TEST_KEY"}});
    const CacheCodec cache_codec = make_cache_codec(codec);
    const std::string plain(500, 'x');
    for (const bool encrypt : {false, true}) {
        const auto is_compressed = [&](std::size_t compress_from_bytes) {
            const auto record = cache_codec.seal({"session", "k", {}}, {}, plain, encrypt, compress_from_bytes);
            REQUIRE(record);
            const auto decoded = decode_record(*record);
            REQUIRE(decoded);
            REQUIRE(cache_codec.open({"session", "k", {}}, *record, encrypt)->bytes == plain);
            return decoded->meta.is_compressed;
        };
        CHECK(is_compressed(500));
        CHECK_FALSE(is_compressed(501));
        CHECK_FALSE(is_compressed(SIZE_MAX));
    }
}
