#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>

namespace pillion {

struct Tick {
    std::int64_t count = 0;
};
PILLION_WIRE(Tick, PILLION_FIELD(count, "How many."))

namespace {

using test::WireFixture;

constexpr Event tick_sample = event<Tick>("ticks.sample", "ticks", EventKind::sample, "");
constexpr Event tick_change = event<Tick>("news.changed", "news", EventKind::change, "");

// Fills stdout, so that events are kept back.
void stuff(WireFixture& wire) {
    Buffer bytes(wire.pools.buffers);
    const std::string line = "{\"stuffing\":\"" + std::string(limits::outbox_event_bytes * 2, 'x') + "\"}\n";
    bytes.append(line);
    wire.outbox->send(std::move(bytes));
}

} // namespace

TEST_CASE("samples come at the subscription's interval, numbered, until it ends", "[events]") {
    WireFixture wire({});
    std::int64_t reading = 0;
    wire.hub->declare(tick_sample, [&](Buffer& json) { wire::encode(Tick{++reading}, json); });
    const std::string id = *wire.hub->subscribe({"ticks"}, 100);
    wire.timers.advance_ms(99);
    CHECK(wire.is_silent());
    wire.timers.advance_ms(101);
    for (int i = 1; i <= 2; ++i) {
        const auto event = wire.next();
        CHECK(event["method"] == "ticks.sample");
        CHECK(event["params"]["subscription"] == id);
        CHECK(event["params"]["seq"] == i);
        CHECK(event["params"]["data"]["count"] == i);
    }
    CHECK(wire.hub->unsubscribe(id));
    CHECK_FALSE(wire.hub->unsubscribe(id));
    wire.timers.advance_ms(1000);
    CHECK(wire.is_silent());
}

TEST_CASE("what a reading stirs up may be published, and may end the subscription", "[events]") {
    WireFixture wire({});
    std::string id;
    wire.hub->declare(tick_change);
    wire.hub->declare(tick_sample, [&](Buffer& json) {
        wire.hub->publish(tick_change, Tick{7});
        wire.hub->unsubscribe(id);
        wire::encode(Tick{1}, json);
    });
    id = *wire.hub->subscribe({"ticks", "news"}, 100);
    wire.timers.advance_ms(100);
    CHECK(wire.next()["params"]["data"]["count"] == 7);
    wire.timers.advance_ms(1000);
    CHECK(wire.is_silent());
}

TEST_CASE("a slow reader gets the newest sample and loses the oldest changes, counted", "[events]") {
    WireFixture wire({}, {}, 4096);
    wire.hub->declare(tick_sample, [](Buffer& json) { wire::encode(Tick{0}, json); });
    wire.hub->declare(tick_change);
    REQUIRE(wire.hub->subscribe({"news", "ticks"}, 3'600'000));
    stuff(wire);
    constexpr std::int64_t published = limits::subscription_events + 44;
    for (std::int64_t i = 1; i <= published; ++i) {
        wire.hub->publish(tick_change, Tick{i});
        wire.hub->publish(tick_sample, Tick{i});
    }
    CHECK(wire.next().contains("stuffing"));
    wire.outbox->wait_until_empty(10'000);
    wire.timers.advance_ms(0); // what was kept back is sent
    std::int64_t changes = 0, received = 0, last_sequence = 0;
    nlohmann::json event;
    do {
        event = wire.next();
        REQUIRE(event.is_object());
        CHECK(event["params"]["seq"].get<std::int64_t>() > last_sequence);
        last_sequence = event["params"]["seq"];
        ++received;
        if (event["method"] == "ticks.sample")
            CHECK(event["params"]["data"]["count"] == published);
        else
            ++changes;
    } while (event["params"]["data"]["count"] != published || event["method"] != "news.changed");
    CHECK(changes == limits::subscription_events - 1);                                 // and one place for the sample
    CHECK(last_sequence == received + event["params"]["dropped"].get<std::int64_t>()); // nothing is lost uncounted
}

TEST_CASE("a topic that does not exist is refused with the nearest one", "[events]") {
    WireFixture wire({});
    wire.hub->declare(tick_change);
    const auto refused = wire.hub->subscribe({"newz"}, 100);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::invalid_params);
    CHECK(refused.error().field == "/topics/0");
    CHECK(refused.error().hint == "news");
}

TEST_CASE("subscriptions are bounded", "[events]") {
    WireFixture wire({});
    wire.hub->declare(tick_change);
    for (std::size_t i = 0; i < limits::subscriptions; ++i) REQUIRE(wire.hub->subscribe({"news"}, 100));
    const auto refused = wire.hub->subscribe({"news"}, 100);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::exhausted);
}

TEST_CASE("a module hears when its topic gets its first subscriber and loses its last", "[events]") {
    WireFixture wire({});
    wire.hub->declare(tick_change);
    std::vector<bool> heard;
    wire.hub->on_interest("news", [&](bool wanted) { heard.push_back(wanted); });
    const std::string first = *wire.hub->subscribe({"news"}, 100);
    const std::string second = *wire.hub->subscribe({"news"}, 100);
    wire.hub->unsubscribe(first);
    wire.hub->unsubscribe(second);
    CHECK(heard == std::vector<bool>{true, false});
}

} // namespace pillion
