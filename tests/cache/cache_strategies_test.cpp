// Fetching ahead, dynamic times to live, rules, warm-up and optimising with measured effect.
#include "modules/cache/cache_strategies.h"
#include "tests/cache/fake_tier.h"

#include <catch2/catch.hpp>
#include <random>

using namespace pillion;
using test::CacheFixture;

namespace {

struct Fixture : CacheFixture {
    CacheStrategies strategies{*cache};
    ~Fixture() { strategies.stop(); }
    bool in_memory(const std::string& key, const std::string& space = "query") {
        return text(key, {.space = space, .only_memory = true, .is_prefetch = true}) != "";
    }
};

} // namespace

TEST_CASE("a rule fetches ahead what belongs to what was read", "[cache]") {
    Fixture it;
    REQUIRE(it.strategies.create({.name = "pages",
                                  .space = "query",
                                  .prefetch = {{.pattern = "page:*", .keys = {"images:*"}}},
                                  .load = CacheLoadTemplate{"render", R"({"what":"{key}"})"}}));
    it.loaded("page:7", {.space = "query"});
    CHECK(it.in_memory("images:7"));
    CHECK(it.last_load.load.params == R"({"what":"images:7"})");
}

TEST_CASE("what always follows is fetched before it is asked for, and its worth is counted", "[cache]") {
    Fixture it;
    REQUIRE(it.strategies.create({.name = "learn", .space = "query", .learnedPrefetch = true}));
    for (int round = 0; round < 20; ++round) {
        for (const char* key : {"a", "b", "c"}) it.loaded(key, {.space = "query"});
        it.invalidate({.space = "query"});
        it.timers.advance_ms(1000);
    }
    it.loaded("a", {.space = "query"});
    CHECK(it.in_memory("b"));
    const auto status = it.strategies.list();
    REQUIRE(status.size() == 1);
    CHECK(status[0].prefetch.hits > 5);
}

TEST_CASE("times to live follow how often values change", "[cache]") {
    Fixture it;
    REQUIRE(it.strategies.create(
        {.name = "dynamic", .space = "query", .dynamicTtl = true, .changedShare = 0.1, .ttlMsMin = 100}));
    for (int i = 0; i < 40; ++i) { // changes about every second look, a minute apart
        it.put("k", std::to_string(i / 2), {.space = "query"});
        it.timers.advance_ms(60'000);
    }
    const auto status = it.strategies.list();
    REQUIRE(status[0].ttl_ms.has_value());
    CHECK(*status[0].ttl_ms > 3000);
    CHECK(*status[0].ttl_ms < 20'000);
}

TEST_CASE("a change in one namespace takes what a rule names in another", "[cache]") {
    Fixture it;
    REQUIRE(it.strategies.create(
        {.name = "rules",
         .space = "query",
         .invalidation = {{.onNamespace = "template", .onPattern = "main*", .pattern = "page*"}}}));
    it.put("page1", "1", {.space = "query"});
    it.put("other", "1", {.space = "query"});
    it.invalidate({.space = "template", .key = CacheKey{"side", {}}});
    CHECK(it.in_memory("page1"));
    it.invalidate({.space = "template", .key = CacheKey{"main.html", {}}});
    CHECK_FALSE(it.in_memory("page1"));
    CHECK(it.in_memory("other"));
}

TEST_CASE("a warm-up brings keys in at the start and again", "[cache]") {
    Fixture it;
    REQUIRE(it.strategies.create({.name = "warm",
                                  .space = "query",
                                  .warmUp = CacheWarmUp{.atStart = true, .everyMs = 60'000, .keys = {"a", "b"}},
                                  .load = CacheLoadTemplate{"make", "{}"}}));
    CHECK(it.in_memory("a"));
    CHECK(it.loads == 2);
    it.invalidate({.space = "query"});
    it.timers.advance_ms(60'000);
    CHECK(it.in_memory("b"));
    it.invalidate({.space = "query"});
    it.timers.advance_ms(60'000);
    CHECK(it.in_memory("b"));
    it.strategies.stop();
    it.invalidate({.space = "query"});
    it.timers.advance_ms(600'000);
    CHECK_FALSE(it.in_memory("b"));
}

TEST_CASE("warming tells what became of each key", "[cache]") {
    Fixture it;
    it.put("here", "1");
    it.loader = [](const CacheLoadRequest& request, CacheLoadDone done) {
        if (request.key.name == "bad")
            done(fail(ErrorCode::unavailable, "no"));
        else
            done(CacheLoaded{.bytes = "2"});
    };
    CacheWarmed warmed;
    it.strategies.warm("default", {{"here", {}}, {"bad", {}}, {"new", {}}}, CacheLoadTemplate{"make", "{}"}, {},
                       [&](const Result<CacheWarmed>& done) { warmed = *done; });
    CHECK(warmed.asked == 3);
    CHECK(warmed.present == 1);
    CHECK(warmed.failed == 1);
    CHECK(warmed.loaded == 1);
}

TEST_CASE("a strategy is made of the workload that was observed", "[cache]") {
    Fixture it;
    CHECK(it.strategies.derive({.name = "s", .space = "query"}, nullptr).error().code ==
          ErrorCode::failed_precondition);
    std::vector<SampledAccess> loop; // more keys than fit, again and again
    for (int round = 0; round < 20; ++round)
        for (std::uint64_t key = 1; key <= 300; ++key) loop.push_back({key * 0x9E3779B97F4A7C15ULL, 1000});
    it.set_policy("query", {.maxBytes = 200'000});
    const auto derived = it.strategies.derive({.name = "s", .space = "query"}, &loop);
    REQUIRE(derived);
    CHECK(derived->learnedPrefetch);
    CHECK(derived->maxBytes.has_value());
    CHECK(derived->eviction != EvictionPolicy::lru);
}

TEST_CASE("optimising applies what is better, measures it, and takes back what is not", "[cache]") {
    Fixture it;
    it.set_policy("query", {.maxBytes = 60'000, .eviction = EvictionPolicy::lru});
    const std::string value(1000, 'x');
    int at = 0;
    const auto run = [&](int requests, int keys) {
        for (int i = 0; i < requests; ++i) {
            const std::string key = "k" + std::to_string(at++ % keys);
            if (it.text(key, {.space = "query", .only_memory = true}).empty()) it.put(key, value, {.space = "query"});
        }
    };
    run(3000, 80); // a loop over more than fits: LRU hits nothing
    std::optional<CacheOptimization> outcome;
    it.strategies.optimize("query", 1000, [&](const Result<CacheOptimization>& done) { outcome = *done; });
    bool is_refused = false;
    it.strategies.optimize("query", 1000, [&](const Result<CacheOptimization>& done) { is_refused = !done; });
    CHECK(is_refused);
    run(500, 80);
    it.timers.advance_ms(1000);
    REQUIRE_FALSE(outcome.has_value());
    run(2000, 80);
    it.timers.advance_ms(1000);
    REQUIRE(outcome.has_value());
    CHECK(outcome->applied);
    CHECK_FALSE(outcome->rolledBack);
    CHECK(outcome->after->hitRatio > outcome->before.hitRatio + 0.2);
    CHECK(outcome->predictedBest > outcome->predictedNow);
    CHECK(it.cache->space("query").value()->policy()->eviction == outcome->eviction);
}

TEST_CASE("what hits less than before is taken back", "[cache]") {
    Fixture it;
    it.set_policy("query", {.maxBytes = 60'000, .eviction = EvictionPolicy::lru});
    const std::string value(1000, 'x');
    for (int i = 0; i < 3000; ++i) {
        const std::string key = "k" + std::to_string(i % 80);
        if (it.text(key, {.space = "query", .only_memory = true}).empty()) it.put(key, value, {.space = "query"});
    }
    std::optional<CacheOptimization> outcome;
    it.strategies.optimize("query", 1000, [&](const Result<CacheOptimization>& done) { outcome = *done; });
    it.put("hot", "1", {.space = "query"});
    for (int i = 0; i < 500; ++i) it.text("hot", {.space = "query"});
    it.timers.advance_ms(1000);
    for (int i = 0; i < 500; ++i) it.text("never" + std::to_string(i), {.space = "query", .only_memory = true});
    it.timers.advance_ms(1000);
    REQUIRE(outcome.has_value());
    CHECK(outcome->rolledBack);
    CHECK(outcome->before.hitRatio > 0.9);
    CHECK(outcome->after->hitRatio == 0);
    CHECK(it.cache->space("query").value()->policy()->eviction == EvictionPolicy::lru);
}

TEST_CASE("too few requests say nothing", "[cache]") {
    Fixture it;
    ErrorCode code = ErrorCode::internal_error;
    it.strategies.optimize("query", 1000, [&](const Result<CacheOptimization>& done) { code = done.error().code; });
    CHECK(code == ErrorCode::failed_precondition);
    CHECK(it.strategies.create({.name = "", .space = "query"}).error().code == ErrorCode::invalid_params);
    CHECK(it.strategies.create({.name = "x", .space = "nowhere"}).error().code == ErrorCode::invalid_params);
    REQUIRE(it.strategies.create({.name = "x", .space = "query"}));
    CHECK(it.strategies.create({.name = "y", .space = "query"}).error().code == ErrorCode::conflict);
}
