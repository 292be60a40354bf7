// Reads through memory, tiers and loaders: what is served, from where, and what happens when they fail.
#include "tests/cache/fake_tier.h"

#include <catch2/catch.hpp>

using namespace pillion;
using test::CacheFixture;
using test::FakeTier;

TEST_CASE("a value that was put is read from memory", "[cache]") {
    CacheFixture it;
    const CachePutOutcome put = it.put("k", "1");
    CHECK(put.stored);
    CHECK(put.tiers == std::vector<std::string>{"memory", "disk", "redis"});
    const auto read = it.get("k", {.explain = true});
    REQUIRE(test::is_answered(read));
    CHECK((*read)->value->bytes == "1");
    CHECK((*read)->source == "memory");
    CHECK((*read)->freshness == CacheFreshness::fresh);
    REQUIRE((*read)->steps.size() == 1);
    CHECK((*read)->steps[0].outcome == "hit");
    CHECK(it.disk->reads == 0);
}

TEST_CASE("a key that nobody has is a miss that says where it looked", "[cache]") {
    CacheFixture it;
    const auto read = it.get("k", {.explain = true});
    REQUIRE(test::is_answered(read));
    CHECK((*read)->freshness == CacheFreshness::miss);
    CHECK((*read)->value == nullptr);
    CHECK((*read)->steps.size() == 3);
}

TEST_CASE("what memory lost comes back from the nearest tier that has it, and goes up", "[cache]") {
    CacheFixture it;
    it.put("k", "1");
    it.forget_memory();
    it.disk->entries.clear();
    auto read = it.get("k");
    REQUIRE(test::is_answered(read));
    CHECK((*read)->source == "redis");
    CHECK(it.disk->entries.size() == 1);
    read = it.get("k");
    CHECK((*read)->source == "memory");
    it.forget_memory();
    read = it.get("k");
    CHECK((*read)->source == "disk");
}

TEST_CASE("nothing is asked of a tier before its notices are listened to", "[cache]") {
    CacheFixture it;
    int asked_before = -1;
    it.redis->before_listening = [&] {
        it.get("b");
        asked_before = it.redis->reads;
    };
    it.get("a");
    CHECK(asked_before == 0);
    CHECK(it.redis->reads == 2);
}

TEST_CASE("a value is not served past its time, from memory or from a tier", "[cache]") {
    CacheFixture it;
    it.put("k", "1", {.ttl_ms = 1000});
    it.timers.advance_ms(999);
    CHECK(it.text("k") == "1");
    it.timers.advance_ms(1);
    CHECK(it.text("k").empty());
    it.forget_memory();
    CHECK(it.text("k").empty());
}

TEST_CASE("a time to live of zero keeps nothing and takes the older value away", "[cache]") {
    CacheFixture it;
    it.put("k", "1");
    CHECK_FALSE(it.put("k", "2", {.ttl_ms = 0}).stored);
    CHECK(it.text("k").empty());
    CHECK(it.disk->entries.empty());
}

TEST_CASE("sliding entries live on while they are read, in the slower tiers too", "[cache]") {
    CacheFixture it;
    it.put("s", "1", {.space = "session", .ttl_ms = 8000});
    for (int i = 0; i < 10; ++i) {
        it.timers.advance_ms(4000);
        REQUIRE(it.text("s", {.space = "session"}) == "1");
    }
    it.timers.advance_ms(1000); // what is written back goes out
    it.forget_memory();
    CHECK(it.text("s", {.space = "session"}) == "1");
    it.timers.advance_ms(8001);
    CHECK(it.text("s", {.space = "session"}).empty());
}

TEST_CASE("a miss is loaded once for all who ask at once", "[cache]") {
    CacheFixture it;
    CacheLoadDone finish;
    it.loader = [&](const CacheLoadRequest&, CacheLoadDone done) { finish = std::move(done); };
    std::vector<std::string> got;
    for (int i = 0; i < 3; ++i) {
        CacheGet request;
        request.key = {"k", {}};
        request.load = CacheLoad{"make", "{}"};
        it.cache->get(request, [&](Result<CacheRead> read) { got.push_back(read ? read->value->bytes : "?"); });
    }
    CHECK(it.loads == 1);
    finish(CacheLoaded{.bytes = "7"});
    CHECK(got == std::vector<std::string>{"7", "7", "7"});
    CHECK(it.text("k") == "7");
    CHECK(it.disk->entries.size() == 1);
}

TEST_CASE("a miss that is known when another's load has ended loads nothing once more", "[cache]") {
    CacheFixture it;
    CacheLoadDone load;
    it.loader = [&](const CacheLoadRequest&, CacheLoadDone done) { load = std::move(done); };
    CHECK(it.loaded("k") == "...");
    it.redis->mood = FakeTier::Mood::holds;
    CHECK(it.loaded("k") == "...");
    const auto second = it.last;
    load(CacheLoaded{.bytes = "1"});
    it.redis->release();
    CHECK(CacheFixture::text_of(*second) == "1");
    CHECK(it.loads == 1);
}

TEST_CASE("a load serves those who wait although its value does not fit into memory", "[cache]") {
    CacheFixture it;
    it.set_policy("small", {.maxBytes = 4096});
    it.loader = [](const CacheLoadRequest&, CacheLoadDone done) {
        done(CacheLoaded{.bytes = std::string(10'000, '7')});
    };
    CHECK(it.loaded("k", {.space = "small"}).size() == 10'000);
    it.disk->entries.clear();
    it.redis->entries.clear();
    CHECK(it.text("k", {.space = "small"}).empty());
}

TEST_CASE("a load that was overtaken by a write leaves nothing behind", "[cache]") {
    CacheFixture it;
    CacheLoadDone finish;
    it.loader = [&](const CacheLoadRequest&, CacheLoadDone done) { finish = std::move(done); };
    CHECK(it.loaded("k") == "...");
    const auto waiting = it.last;
    SECTION("a put") {
        it.put("k", "\"new\"");
        finish(CacheLoaded{.bytes = "\"old\""});
        CHECK(it.text("k") == "\"new\"");
    }
    SECTION("a removal") {
        it.invalidate({.space = "default", .key = CacheKey{"k", {}}});
        finish(CacheLoaded{.bytes = "\"old\""});
        CHECK(it.text("k").empty());
    }
    SECTION("a pattern") {
        it.invalidate({.pattern = "k*"});
        finish(CacheLoaded{.bytes = "\"old\""});
        CHECK(it.text("k").empty());
    }
    SECTION("its namespace") {
        it.invalidate({.space = "default"});
        finish(CacheLoaded{.bytes = "\"old\""});
        CHECK(it.text("k").empty());
    }
    CHECK(CacheFixture::text_of(*waiting) == "\"old\"");
}

TEST_CASE("a caller waits for a loader no longer than its namespace says", "[cache]") {
    CacheFixture it;
    it.set_policy("query", {.loadTimeoutMs = 2000});
    CacheLoadDone finish;
    it.loader = [&](const CacheLoadRequest&, CacheLoadDone done) { finish = std::move(done); };
    CHECK(it.loaded("k", {.space = "query"}) == "...");
    const auto waiting = it.last;
    it.timers.advance_ms(2000);
    REQUIRE(waiting->has_value());
    CHECK((*waiting)->error().code == ErrorCode::timeout);
    SECTION("what comes later is kept for the next") {
        finish(CacheLoaded{.bytes = "7"});
        CHECK(it.text("k", {.space = "query"}) == "7");
    }
    SECTION("a loader that never answers does not block the key for ever") {
        it.timers.advance_ms(10'000);
        it.loader = nullptr;
        CHECK(it.loaded("k", {.space = "query"}) == "\"loaded 2\"");
    }
}

TEST_CASE("an error of the loader is answered, and is not kept", "[cache]") {
    CacheFixture it;
    it.loader = [](const CacheLoadRequest&, CacheLoadDone done) { done(fail(ErrorCode::unavailable, "no backend")); };
    CHECK(it.loaded("k") == "?");
    it.loader = nullptr;
    CHECK(it.loaded("k") == "\"loaded 2\"");
}

TEST_CASE("what is known to be absent is not asked for again for a while", "[cache]") {
    CacheFixture it;
    it.set_policy("query", {.negativeTtlMs = 5000});
    it.loader = [](const CacheLoadRequest&, CacheLoadDone done) { done(fail(ErrorCode::not_found, "none")); };
    for (int i = 0; i < 3; ++i) {
        CacheGet request;
        request.space = "query";
        request.load = CacheLoad{"make", "{}"};
        const auto read = it.get("k", request);
        REQUIRE(test::is_answered(read));
        CHECK((*read)->freshness == CacheFreshness::negative);
    }
    CHECK(it.loads == 1);
    it.timers.advance_ms(5000);
    it.loaded("k", {.space = "query"});
    CHECK(it.loads == 2);
}

TEST_CASE("within its grace a stale value stands in for a loader that fails, which then has peace", "[cache]") {
    CacheFixture it;
    it.set_policy("query", {.ttlMs = 1000, .graceMs = 60'000, .backoffMs = 3000});
    it.put("k", "1", {.space = "query"});
    it.timers.advance_ms(1500);
    it.loader = [](const CacheLoadRequest&, CacheLoadDone done) { done(fail(ErrorCode::unavailable, "no backend")); };
    CacheGet request;
    request.space = "query";
    request.load = CacheLoad{"make", "{}"};
    const auto read = it.get("k", request);
    REQUIRE(test::is_answered(read));
    CHECK((*read)->value->bytes == "1");
    CHECK((*read)->freshness == CacheFreshness::stale);
    CHECK(it.loads == 1);
    CHECK(it.loaded("k", {.space = "query"}) == "1");
    CHECK(it.loads == 1);
    it.timers.advance_ms(3001);
    CHECK(it.loaded("k", {.space = "query"}) == "1");
    CHECK(it.loads == 2);
    it.timers.advance_ms(60'000);
    CHECK(it.loaded("k", {.space = "query"}) == "?");
}

TEST_CASE("a slow loader is not waited for where there is a stale value", "[cache]") {
    CacheFixture it;
    it.set_policy("query", {.ttlMs = 1000, .graceMs = 60'000, .softLoadTimeoutMs = 200});
    it.put("k", "1", {.space = "query"});
    it.timers.advance_ms(1500);
    CacheLoadDone finish;
    it.loader = [&](const CacheLoadRequest&, CacheLoadDone done) { finish = std::move(done); };
    CHECK(it.loaded("k", {.space = "query"}) == "...");
    const auto waiting = it.last;
    it.timers.advance_ms(200);
    CHECK(CacheFixture::text_of(*waiting) == "1");
    CHECK((**waiting)->refreshing);
    finish(CacheLoaded{.bytes = "2"});
    CHECK(it.text("k", {.space = "query"}) == "2");
}

TEST_CASE("a value near its end is fetched anew in the background", "[cache]") {
    CacheFixture it;
    it.set_policy("query", {.ttlMs = 10'000, .eagerRefresh = 0.8});
    it.put("k", "1", {.space = "query"});
    it.timers.advance_ms(7000);
    CHECK(it.loaded("k", {.space = "query"}) == "1");
    CHECK(it.loads == 0);
    it.timers.advance_ms(1500);
    CHECK(it.loaded("k", {.space = "query"}) == "1");
    CHECK(it.loads == 1);
    CHECK(it.text("k", {.space = "query"}) == "\"loaded 1\"");
}

TEST_CASE("a value that the origin calls unchanged is kept for another while", "[cache]") {
    CacheFixture it;
    it.set_policy("query", {.ttlMs = 1000, .graceMs = 60'000});
    it.put("k", "1", {.space = "query", .etag = "\"v1\""});
    it.timers.advance_ms(1500);
    it.loader = [](const CacheLoadRequest& request, CacheLoadDone done) {
        CHECK(request.etag == "\"v1\"");
        done(CacheLoaded{.not_modified = true});
    };
    CHECK(it.loaded("k", {.space = "query"}) == "1");
    CHECK(it.loads == 1);
    CHECK(it.text("k", {.space = "query"}) == "1");
}

TEST_CASE("a tier that is silent is given up after its timeout and skipped after three of them", "[cache]") {
    CacheFixture it;
    it.disk->mood = FakeTier::Mood::silent;
    for (int i = 0; i < 3; ++i) {
        CHECK(it.text("k" + std::to_string(i)) == "...");
        const auto waiting = it.last;
        it.timers.advance_ms(1000);
        CHECK(CacheFixture::text_of(*waiting).empty());
    }
    CHECK(it.troubles.size() == 1);
    const int reads = it.disk->reads;
    const auto read = it.get("k9", {.explain = true});
    REQUIRE(test::is_answered(read));
    CHECK((*read)->steps[1].outcome == "skipped");
    CHECK(it.disk->reads == reads);
    SECTION("it is asked after with growing pauses and used again when it answers") {
        it.timers.advance_ms(10'000);
        CHECK(it.disk->probes >= 1);
        it.disk->mood = FakeTier::Mood::works;
        it.timers.advance_ms(60'000);
        it.text("k10");
        CHECK(it.disk->reads == reads + 1);
        CHECK(it.troubles.back().kind == "tierUp");
    }
}

TEST_CASE("a tier that failed a write never gives out the older value", "[cache]") {
    CacheFixture it;
    it.put("k", "1");
    SECTION("while it fails") {
        it.disk->mood = FakeTier::Mood::fails;
        const CachePutOutcome put = it.put("k", "2");
        CHECK(put.failed == std::vector<std::string>{"disk"});
        it.forget_memory();
        it.redis->entries.clear();
        CHECK(it.text("k") == "2");
        it.disk->mood = FakeTier::Mood::works;
        it.timers.advance_ms(2000);
        it.forget_memory();
        CHECK(it.text("k") == "2");
        CHECK(it.cache->tiers()[0]->stats().pending_writes == 0);
    }
    SECTION("when it is full") {
        it.disk->is_full = true;
        it.put("k", "2");
        it.forget_memory();
        it.redis->entries.clear();
        CHECK(it.text("k").empty());
    }
}

TEST_CASE("a write that is on its way to a tier is what a read finds", "[cache]") {
    CacheFixture it;
    it.put("k", "1");
    it.disk->mood = FakeTier::Mood::holds;
    it.redis->mood = FakeTier::Mood::holds;
    it.put("k", "2");
    it.forget_memory();
    CHECK(it.text("k") == "2");
    it.disk->release();
    it.redis->release();
    it.forget_memory();
    CHECK(it.text("k") == "2");
}

TEST_CASE("written back, the tiers get the last value a little later", "[cache]") {
    CacheFixture it;
    it.set_policy("query", {.write = CacheWrite::back, .writeBackMs = 500});
    for (int i = 0; i < 5; ++i) it.put("k", std::to_string(i), {.space = "query"});
    CHECK(it.disk->writes == 0);
    it.forget_memory();
    CHECK(it.text("k", {.space = "query"}) == "4");
    it.timers.advance_ms(500);
    CHECK(it.disk->writes == 1);
}

TEST_CASE("a record that does not open is answered as corrupt once, set aside and told of", "[cache]") {
    CacheFixture it;
    it.put("k", "1");
    it.forget_memory();
    it.disk->entries.begin()->second.record = "garbage";
    it.redis->entries.clear();
    const auto read = it.get("k");
    REQUIRE(read.has_value());
    REQUIRE_FALSE(read->has_value());
    CHECK(read->error().code == ErrorCode::corrupt);
    REQUIRE(it.troubles.size() == 1);
    CHECK(it.troubles[0].kind == "corrupt");
    CHECK(it.text("k").empty());
    CHECK(it.disk->entries.empty());
}

TEST_CASE("two composite keys of one name are told apart by their parts", "[cache]") {
    CacheFixture it;
    const CacheKey key = composite_key(R"({"a":1})");
    CHECK(key.name.size() == 33);
    CachePut put;
    put.key = key;
    put.bytes = "1";
    it.cache->put(put, [](const Result<CachePutOutcome>&) {});
    CHECK(it.text(key.name).empty());
    CacheGet request;
    request.key = key;
    std::string text;
    it.cache->get(request, [&](Result<CacheRead> read) { text = read->value->bytes; });
    CHECK(text == "1");
}

TEST_CASE("the clock set back makes nothing immortal and kills nothing", "[cache]") {
    CacheFixture it;
    it.put("k", "1", {.ttl_ms = 10'000});
    it.clock.jump_wall_ms(-3'600'000);
    it.timers.advance_ms(5000);
    CHECK(it.text("k") == "1");
    it.timers.advance_ms(5000);
    CHECK(it.text("k").empty());
}

TEST_CASE("a record from the future lives no longer than it was to live", "[cache]") {
    CacheFixture it;
    RecordMeta meta;
    meta.created_ms = it.clock.wall_ms() + 3'600'000;
    meta.fresh_until_ms = meta.gone_at_ms = meta.created_ms + 10'000;
    it.disk->entries[{"default", "k"}] = {encode_record(meta, "1"), meta.gone_at_ms};
    CHECK(it.text("k") == "1");
    it.timers.advance_ms(10'000);
    CHECK(it.text("k").empty());
    it.forget_memory();
    it.redis->entries.clear();
    CHECK(it.text("k").empty());
}

TEST_CASE("empty, huge and binary keys and values", "[cache]") {
    CacheFixture it;
    CHECK(it.text("") == "?");
    CHECK(it.text(std::string(70'000, 'k')) == "?");
    const std::string binary("\0\xff*:\n", 5);
    it.put(binary, std::string("\0\x80", 2), {.content_type = "application/octet-stream"});
    CHECK(it.text(binary) == std::string("\0\x80", 2));
    it.put("empty", "", {.content_type = "text/plain"});
    const auto read = it.get("empty");
    REQUIRE((*read)->value != nullptr);
    CHECK((*read)->value->bytes.empty());
}

TEST_CASE("an unknown namespace is refused with the nearest one", "[cache]") {
    CacheFixture it;
    const auto read = it.get("k", {.space = "sesion"});
    REQUIRE(read.has_value());
    CHECK(read->error().message.find("did you mean \"session\"") != std::string::npos);
}

TEST_CASE("a hot read gives plain fresh JSON and nothing else", "[cache]") {
    CacheFixture it;
    it.put("k", "[1]");
    std::string got;
    const auto use = [&](std::string_view payload) { got = payload; };
    const auto hot = [&](std::string_view key) {
        return it.cache->find_hot("default", key, it.clock.now_ns(), false, use);
    };
    CHECK(hot("k"));
    CHECK(got == "[1]");
    CHECK_FALSE(hot("other"));
    CHECK_FALSE(it.cache->find_hot("nowhere", "k", it.clock.now_ns(), false, use));
    it.put("b", "x", {.content_type = "text/plain"});
    CHECK_FALSE(hot("b"));
    it.timers.advance_ms(3'600'000);
    CHECK_FALSE(hot("k"));
    it.put("k", "[2]", {.tags = {"t"}});
    CHECK(hot("k"));
    it.invalidate({.tag = "t"});
    CHECK_FALSE(hot("k"));
    it.put("n", "[3]");
    it.invalidate({.space = "default"});
    CHECK_FALSE(hot("n"));
}
