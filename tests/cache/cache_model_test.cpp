// Random operations against a model, over tiers that fail, are slow and lie about nothing: never a wrong value, never
// an answer later than the timeouts.
#include "tests/cache/fake_tier.h"

#include <catch2/catch.hpp>
#include <random>

using namespace pillion;
using test::CacheFixture;
using test::FakeTier;

namespace {

struct Known {
    std::string value;
    std::int64_t fresh_until_ms;
    std::vector<std::string> tags;
};

void play(unsigned seed, int steps) {
    CacheFixture it;
    it.set_policy("default", {.maxBytes = 16'384});
    std::mt19937 random(seed);
    std::map<std::string, Known> model;
    const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    for (int step = 0; step < steps; ++step) {
        INFO("seed " << seed << " step " << step);
        const std::string key = "k" + std::to_string(pick(20));
        const std::int64_t now = it.cache->now_ms();
        switch (pick(14)) {
        case 0:
        case 1:
        case 2: {
            Known known{std::string(static_cast<std::size_t>(pick(600)), 'v') + std::to_string(step),
                        now + 500 + pick(60'000),
                        {}};
            if (pick(2) == 0) known.tags.push_back("t" + std::to_string(pick(3)));
            it.put(key, known.value, {.ttl_ms = known.fresh_until_ms - now, .tags = known.tags});
            model[key] = known;
            break;
        }
        case 3:
            it.invalidate({.space = "default", .key = CacheKey{key, {}}});
            model.erase(key);
            break;
        case 4: {
            const std::string tag = "t" + std::to_string(pick(3));
            it.invalidate({.tag = tag});
            std::erase_if(model, [&](const auto& entry) {
                return std::find(entry.second.tags.begin(), entry.second.tags.end(), tag) != entry.second.tags.end();
            });
            break;
        }
        case 5:
            it.invalidate({.pattern = "k1?"});
            std::erase_if(model, [](const auto& entry) { return glob_match("k1?", entry.first); });
            break;
        case 6:
            if (pick(5) == 0) {
                it.invalidate({.space = "default"});
                model.clear();
            } else {
                it.forget_memory();
            }
            break;
        case 7: {
            FakeTier& tier = pick(2) == 0 ? *it.disk : *it.redis;
            const int mood = pick(5);
            if (mood == 0)
                tier.mood = FakeTier::Mood::fails;
            else if (mood == 1)
                tier.mood = FakeTier::Mood::holds;
            else
                tier.release();
            tier.is_full = pick(8) == 0;
            break;
        }
        case 8:
            it.timers.advance_ms(pick(3000));
            break;
        default: {
            auto read = it.get(key);
            const auto waiting = it.last;
            if (!read) {
                it.timers.advance_ms(2100); // the tiers' hard timeouts together
                read = *waiting;
                REQUIRE(read.has_value());
            }
            REQUIRE(read->has_value());
            const std::string got = CacheFixture::text_of(read);
            if (got.empty()) break; // a cache may forget
            const auto at = model.find(key);
            REQUIRE(at != model.end());
            REQUIRE(got == at->second.value);
            REQUIRE(now < at->second.fresh_until_ms);
        }
        }
    }
}

} // namespace

TEST_CASE("random operations over failing tiers never give a wrong value", "[cache]") {
    for (unsigned seed = 1; seed <= 40; ++seed) play(seed, 600);
}
