// Which situations call for which advice, and which do not.
#include "modules/suggestions/suggestion_rules.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

using namespace pillion;

namespace {

constexpr std::int64_t MiB = 1 << 20;

CacheSituation busy_cache() {
    return {.name = "voices",
            .requests = 20'000,
            .hit_ratio = 0.60,
            .bytes = 64 * MiB,
            .eviction = "lru",
            .bytes_max = 64 * MiB,
            .ttl_ms = 60'000,
            .compress_above_bytes = 1024};
}

Situation with(CacheSituation cache) { return {.caches = {std::move(cache)}}; }

ComponentSituation idle_component() {
    return {.name = "ocr",
            .is_ready = true,
            .is_eager = true,
            .is_process = true,
            .unused_ms = 3'600'000,
            .load_ms = 400,
            .memory_bytes = 80 * MiB};
}

BackendSituation queued_backend() {
    return {.name = "llm", .calls = 5000, .concurrency = 32, .queue_max = 1024, .queue_high_water = 500, .p50_ms = 40};
}

bool calls_for(const Situation& situation, std::string_view kind) {
    return std::ranges::any_of(advise(situation),
                               [kind](const Suggestion& suggestion) { return suggestion.kind == kind; });
}

Suggestion the_one(const Situation& situation, std::string_view kind) {
    for (Suggestion& suggestion : advise(situation))
        if (suggestion.kind == kind) return std::move(suggestion);
    FAIL("no " << kind);
    return {};
}

} // namespace

TEST_CASE("an idle Pillion is given no advice", "[suggestions]") {
    CHECK(advise({}).empty());
    CHECK(advise({.uptime_ms = 1000,
                  .caches = {{.name = "default"}},
                  .components = {{.name = "a"}},
                  .backends = {{.name = "b"}},
                  .methods = {{.backend = "b", .method = "m"}},
                  .databases = {{.name = "cache.db"}},
                  .memory = MemorySituation{},
                  .workers = WorkerSituation{},
                  .wire = WireSituation{}})
              .empty());
}

TEST_CASE("every kind of advice has a name of its own", "[suggestions]") {
    std::set<std::string_view> kinds;
    for (const SuggestionRule& rule : suggestion_rules()) {
        CHECK(kinds.insert(rule.kind).second);
        CHECK(rule.summary.ends_with('.'));
    }
}

TEST_CASE("a policy that would hit more often is advised, with what it is expected to bring", "[suggestions]") {
    CacheSituation cache = busy_cache();
    cache.tuning =
        CacheTuning{.hit_ratio_now = 0.6, .hit_ratio_best = 0.7, .eviction = "adaptive", .bytes_max = 64 * MiB};
    const Suggestion made = the_one(with(cache), "cache.tune");
    CHECK(made.id == "cache.tune:voices");
    CHECK(made.settings.at("eviction") == "adaptive");
    CHECK(made.improvement->modest == Approx(0.65));
    CHECK(made.improvement->best == Approx(0.7));
    CHECK(made.configuration == "[cache.namespaces.voices]\neviction = \"adaptive\"\nmaxBytes = 67108864");
    CHECK(made.measure->query.name == "pillion.cache.hits");
    CHECK(made.evidence.at(0).value == Approx(0.6));

    cache.requests = 100; // says nothing yet
    CHECK_FALSE(calls_for(with(cache), "cache.tune"));
    cache = busy_cache();
    cache.tuning =
        CacheTuning{.hit_ratio_now = 0.6, .hit_ratio_best = 0.61, .eviction = "adaptive", .bytes_max = 64 * MiB};
    CHECK_FALSE(calls_for(with(cache), "cache.tune"));
    cache.tuning = {};
    CHECK_FALSE(calls_for(with(cache), "cache.tune"));
}

TEST_CASE("a cache is not advised to grow into memory that is not there", "[suggestions]") {
    CacheSituation cache = busy_cache();
    cache.tuning = CacheTuning{.hit_ratio_now = 0.6, .hit_ratio_best = 0.9, .eviction = "lru", .bytes_max = 128 * MiB};
    Situation situation = with(cache);
    situation.memory = MemorySituation{.available_bytes = 4096ULL * MiB};
    CHECK(calls_for(situation, "cache.tune"));
    situation.memory->available_bytes = 256 * MiB;
    CHECK_FALSE(calls_for(situation, "cache.tune"));
}

TEST_CASE("a smaller cache is advised where it hits as often, and guarded by its hit ratio", "[suggestions]") {
    CacheSituation cache = busy_cache();
    cache.tuning = CacheTuning{.hit_ratio_now = 0.6, .hit_ratio_best = 0.598, .eviction = "lru", .bytes_max = 32 * MiB};
    const Suggestion made = the_one(with(cache), "cache.shrink");
    CHECK(made.improvement->best == Approx(32.0 * MiB));
    CHECK(made.guards.size() == 1);
    cache.tuning->hit_ratio_best = 0.58; // two points are a price
    CHECK_FALSE(calls_for(with(cache), "cache.shrink"));
    cache.tuning->hit_ratio_best = 0.6;
    cache.bytes = 33 * MiB; // little to gain
    CHECK_FALSE(calls_for(with(cache), "cache.shrink"));
}

TEST_CASE("a longer life is advised where values were seen to change seldom", "[suggestions]") {
    CacheSituation cache = busy_cache();
    cache.looks = 200;
    cache.fitting_ttl_ms = 3'600'000;
    const Suggestion made = the_one(with(cache), "cache.ttl");
    CHECK(made.settings.at("ttlMs") == "480000"); // eight times in one step
    CHECK(made.complexity == SuggestionComplexity::medium);
    cache.fitting_ttl_ms = 90'000;
    CHECK_FALSE(calls_for(with(cache), "cache.ttl"));
    cache.fitting_ttl_ms = 3'600'000;
    cache.looks = 5;
    CHECK_FALSE(calls_for(with(cache), "cache.ttl"));
    cache.looks = 200;
    cache.hit_ratio = 0.99;
    CHECK_FALSE(calls_for(with(cache), "cache.ttl"));
}

TEST_CASE("compression is advised for values that are plain, and against where it is in vain", "[suggestions]") {
    CacheSituation cache = busy_cache();
    cache.written = 10'000;
    cache.plain_bytes = 6'000'000;
    cache.sealed_bytes = 6'000'000;
    CHECK(calls_for(with(cache), "cache.compress"));
    CHECK_FALSE(calls_for(with(cache), "cache.plain"));
    cache.sealed_bytes = 3'000'000; // they shrink already
    CHECK_FALSE(calls_for(with(cache), "cache.compress"));

    cache.plain_bytes = 100ULL * MiB; // 10 KiB each: above the limit, so they are compressed
    cache.sealed_bytes = 100ULL * MiB;
    CHECK_FALSE(calls_for(with(cache), "cache.compress"));
    CHECK(the_one(with(cache), "cache.plain").settings.at("compressAboveBytes") == "0");
    cache.compress_above_bytes = 0;
    CHECK_FALSE(calls_for(with(cache), "cache.plain"));
    CHECK(calls_for(with(cache), "cache.compress"));
    cache.is_compressed_in_vain = true; // it is off because they did not shrink
    CHECK_FALSE(calls_for(with(cache), "cache.compress"));
}

TEST_CASE("memory is to be given back where much of it is unused", "[suggestions]") {
    MemorySituation memory{.resident_bytes = 200 * MiB, .committed_bytes = 180 * MiB, .used_bytes = 60 * MiB};
    const Suggestion made = the_one({.memory = memory}, "memory.purge");
    CHECK(made.lasts == SuggestionLasts::moment);
    CHECK(made.improvement->modest == Approx(170.0 * MiB));
    memory.used_bytes = 170 * MiB;
    CHECK_FALSE(calls_for({.memory = memory}, "memory.purge"));
    memory = {.resident_bytes = 30 * MiB, .committed_bytes = 180 * MiB, .used_bytes = 2 * MiB}; // not resident at all
    CHECK_FALSE(calls_for({.memory = memory}, "memory.purge"));
}

TEST_CASE("a database with many free pages is to be vacuumed, if it can be", "[suggestions]") {
    DatabaseSituation database{
        .name = "cache.db", .bytes = 100ULL * MiB, .free_bytes = 40ULL * MiB, .can_shrink = true};
    CHECK(calls_for({.databases = {database}}, "storage.vacuum"));
    database.can_shrink = false;
    CHECK_FALSE(calls_for({.databases = {database}}, "storage.vacuum"));
    database = {.name = "cache.db", .bytes = 1000ULL * MiB, .free_bytes = 40ULL * MiB, .can_shrink = true};
    CHECK_FALSE(calls_for({.databases = {database}}, "storage.vacuum"));
}

TEST_CASE("a component that nobody uses is to be unloaded, and to be loaded later", "[suggestions]") {
    ComponentSituation component = idle_component();
    const Suggestion made = the_one({.components = {component}}, "component.unload");
    CHECK(made.complexity == SuggestionComplexity::low);
    CHECK(made.measure->query.name == "pillion.tree.memory");
    const Suggestion lazy = the_one({.components = {component}}, "component.lazy");
    CHECK(lazy.configuration == "[components.ocr]\nload = \"firstUse\"");
    CHECK_FALSE(lazy.measure);

    const auto neither = [](const ComponentSituation& changed) {
        return !calls_for({.components = {changed}}, "component.unload") &&
               !calls_for({.components = {changed}}, "component.lazy");
    };
    component.unused_ms = 60'000;
    CHECK(neither(component));
    CHECK(the_one({.unused_ms_min = 60'000, .components = {component}}, "component.unload").configuration ==
          "[components.ocr]\nkeepAliveMs = 60000");
    component = idle_component();
    component.is_depended_on = true;
    CHECK(neither(component));
    component = idle_component();
    component.is_critical = true;
    CHECK(neither(component));
    component = idle_component();
    component.uses = 5; // it was worth its start
    CHECK_FALSE(calls_for({.components = {component}}, "component.lazy"));
    CHECK(calls_for({.components = {component}}, "component.unload"));
    component.load_ms = 4000;
    CHECK(the_one({.components = {component}}, "component.unload").complexity == SuggestionComplexity::medium);
}

TEST_CASE("more workers are advised where calls wait and processors do not", "[suggestions]") {
    WorkerSituation workers{.count = 2, .cores = 2, .calls = 50'000, .wait_p95_ms = 40, .cpu_share = 0.2};
    const Suggestion made = the_one({.workers = workers}, "ipc.workers");
    CHECK(made.configuration == "[ipc]\nworkers = 4");
    CHECK(made.settings.at("workers") == "4");
    CHECK(made.measure->query.percentile == 95);
    workers.cpu_share = 0.95;
    CHECK_FALSE(calls_for({.workers = workers}, "ipc.workers"));
    workers.cpu_share = 0.2;
    workers.wait_p95_ms = 0.1;
    CHECK_FALSE(calls_for({.workers = workers}, "ipc.workers"));
    workers.wait_p95_ms = 40;
    workers.count = 64;
    CHECK_FALSE(calls_for({.workers = workers}, "ipc.workers"));
}

TEST_CASE("answers are to be kept of a hot method that never contradicts itself", "[suggestions]") {
    MethodSituation method{.backend = "files", .method = "stat", .calls = 1000, .repeats = 800, .mean_ms = 12};
    const Suggestion made = the_one({.methods = {method}}, "backend.cache");
    CHECK(made.configuration == "[[backends.files.cache]]\nmethods = [\"stat\"]\nttlMs = 60000");
    CHECK(made.improvement->best == Approx(0.2));
    method.contradictions = 1;
    CHECK_FALSE(calls_for({.methods = {method}}, "backend.cache"));
    method.contradictions = 0;
    method.repeats = 60;
    CHECK_FALSE(calls_for({.methods = {method}}, "backend.cache"));
    method.repeats = 800;
    method.method = "tools/call"; // may do anything
    CHECK_FALSE(calls_for({.methods = {method}}, "backend.cache"));
    method.method = "stat";
    method.mean_ms = 0.05;
    CHECK_FALSE(calls_for({.methods = {method}}, "backend.cache"));
}

TEST_CASE("a backend with a queue is to be sent more at a time", "[suggestions]") {
    BackendSituation backend = queued_backend();
    const Suggestion made = the_one({.backends = {backend}}, "backend.concurrency");
    CHECK(made.configuration == "[backends.llm]\nconcurrency = 64");
    CHECK(made.measure->query.name == "pillion.backend.duration");
    CHECK(made.guards.at(0).query.name == "pillion.backend.errors"); // no faster by failing
    CHECK(made.improvement->best == Approx(20));
    backend.queue_high_water = 3;
    backend.refused = 1; // of a queue that was full before it was given more room
    CHECK_FALSE(calls_for({.backends = {backend}}, "backend.concurrency"));
    backend.queue_high_water = 1024;
    const Suggestion refusing = the_one({.backends = {backend}}, "backend.concurrency");
    CHECK(refusing.configuration == "[backends.llm]\nconcurrency = 64\nqueueMax = 4096");
    CHECK(refusing.measure->query.name == "pillion.backend.errors");
    CHECK(refusing.settings.at("queueMax") == "4096");
    backend.concurrency = 256; // that is enough for anybody
    CHECK_FALSE(calls_for({.backends = {backend}}, "backend.concurrency"));
}

TEST_CASE("batches are advised where many requests come one by one", "[suggestions]") {
    WireSituation wire{.requests = 1'000'000, .batches = 100, .requests_per_second = 3000};
    CHECK(calls_for({.wire = wire}, "ipc.batch"));
    wire.batches = 100'000;
    CHECK_FALSE(calls_for({.wire = wire}, "ipc.batch"));
    wire = {.requests = 5000, .batches = 0, .requests_per_second = 10};
    CHECK_FALSE(calls_for({.wire = wire}, "ipc.batch"));
}

TEST_CASE("what gives nothing up comes first, then what promises most", "[suggestions]") {
    Situation situation;
    for (const double best : {0.65, 0.9}) {
        CacheSituation cache = busy_cache();
        cache.name += std::to_string(situation.caches.size());
        cache.tuning = CacheTuning{.hit_ratio_now = 0.6, .hit_ratio_best = best, .eviction = "lfu", .bytes_max = MiB};
        situation.caches.push_back(cache);
    }
    situation.wire = WireSituation{.requests = 1'000'000, .batches = 0, .requests_per_second = 3000};
    const std::vector<Suggestion> all = advise(situation);
    REQUIRE(all.size() == 3);
    CHECK(all[0].id == "cache.tune:voices1");
    CHECK(all[1].id == "cache.tune:voices0");
    CHECK(all[2].id == "ipc.batch");
}

TEST_CASE("every suggestion names its evidence and what it is measured by", "[suggestions]") {
    CacheSituation cache = busy_cache();
    cache.tuning = CacheTuning{.hit_ratio_now = 0.6, .hit_ratio_best = 0.8, .eviction = "lfu", .bytes_max = 64 * MiB};
    cache.looks = 100;
    cache.fitting_ttl_ms = 3'600'000;
    cache.written = 10'000;
    cache.plain_bytes = cache.sealed_bytes = 6'000'000;
    const Situation situation{
        .caches = {cache},
        .components = {idle_component()},
        .backends = {queued_backend()},
        .methods = {{.backend = "files", .method = "stat", .calls = 1000, .repeats = 800, .mean_ms = 12}},
        .databases = {{"cache.db", 100ULL * MiB, 40ULL * MiB, true}},
        .memory = MemorySituation{.resident_bytes = 200 * MiB, .committed_bytes = 180 * MiB, .used_bytes = 60 * MiB},
        .workers = WorkerSituation{2, 2, 50'000, 40, 0.2},
        .wire = WireSituation{.requests = 1'000'000, .batches = 0, .requests_per_second = 3000}};
    std::set<std::string> ids;
    for (const Suggestion& suggestion : advise(situation)) {
        INFO(suggestion.id);
        CHECK(ids.insert(suggestion.id).second);
        CHECK_FALSE(suggestion.title.empty());
        CHECK(suggestion.reason.ends_with('.'));
        CHECK_FALSE(suggestion.evidence.empty());
        CHECK_FALSE(suggestion.target.empty());
        CHECK(suggestion.improvement.has_value());
        CHECK(suggestion.measure.has_value() == suggestion.by_hand.empty()); // what is not tried says why
        CHECK((suggestion.measure || !suggestion.configuration.empty() || suggestion.kind == "ipc.batch"));
    }
    CHECK(ids.size() == 11);
}
