// How long values may live, by how often they were seen to change.
#include "modules/cache/change_rate.h"

#include <catch2/catch.hpp>

using namespace pillion;

namespace {

void look(ChangeRate& rate, int times, int of_them_changed) {
    for (int i = 0; i < times; ++i) rate.saw(1000, i < of_them_changed);
}

} // namespace

TEST_CASE("values that were never seen to change may live for as long as so many looks are good for", "[cache]") {
    ChangeRate rate;
    look(rate, 9, 0);
    CHECK_FALSE(rate.cautious_ttl_ms(0.1));
    look(rate, 91, 0);
    CHECK_FALSE(rate.ttl_ms(0.1)); // nothing can be said of how often
    const auto few = rate.cautious_ttl_ms(0.1);
    REQUIRE(few.has_value());
    CHECK(*few == Approx(10'500).epsilon(0.02)); // a tenth of a hundred looks, a second each
    look(rate, 300, 0);
    CHECK(*rate.cautious_ttl_ms(0.1) > 3 * *few);
}

TEST_CASE("the cautious life is the shorter one, and nearly the same where much was seen to change", "[cache]") {
    ChangeRate rate;
    look(rate, 400, 100);
    const auto ttl_ms = rate.ttl_ms(0.1), cautious_ms = rate.cautious_ttl_ms(0.1);
    REQUIRE((ttl_ms && cautious_ms));
    CHECK(*cautious_ms < *ttl_ms);
    CHECK(*cautious_ms == Approx(static_cast<double>(*ttl_ms)).epsilon(0.03));
}

TEST_CASE("values that changed at every look have a short life all the same", "[cache]") {
    ChangeRate rate;
    look(rate, 50, 50);
    REQUIRE(rate.cautious_ttl_ms(0.1).has_value());
    CHECK(*rate.cautious_ttl_ms(0.1) < 100);
}

TEST_CASE("a value that was gone when it was written again is compared with the one before", "[cache]") {
    ChangeRate rate;
    for (int i = 0; i < 100; ++i) rate.wrote(7, i < 50 ? 1 : 2, 1000 + i * 500);
    const auto estimate = rate.estimate();
    REQUIRE(estimate.has_value());
    CHECK(estimate->looks == 99);
    CHECK(estimate->changes == 1);
}

TEST_CASE("what was seen by its writer is remembered and not counted twice", "[cache]") {
    ChangeRate rate;
    for (int i = 0; i < 20; ++i) {
        rate.saw(500, false);
        rate.remember(7, 1, 1000 + i * 500);
    }
    CHECK(rate.estimate()->looks == 20);
    rate.wrote(7, 1, 12'000);
    CHECK(rate.estimate()->looks == 21);
}

TEST_CASE("of many keys only some are remembered, and none is taken for another", "[cache]") {
    ChangeRate rate;
    for (std::uint64_t key = 0; key < 100'000; ++key) rate.wrote(key, 1, 1000 + static_cast<std::int64_t>(key));
    CHECK_FALSE(rate.estimate());
}
