// Servers that are killed, slow or not there, for both shared tiers alike.
#include "tests/remote_store/tier_calls.h"
#include "tests/support/postgres_server.h"
#include "tests/support/redis_server.h"

#include <thread>

using namespace pillion;
using namespace pillion::test;

namespace {

struct Faulty {
    std::string kind = GENERATE(as<std::string>{}, "redis", "postgres");
    std::unique_ptr<RedisServer> redis = kind == "redis" ? std::make_unique<RedisServer>() : nullptr;
    std::int64_t command_ms = 1500; // within which a busy machine answers too
    std::int64_t backoff_ms_min = 100;
    std::int64_t queued_calls_max = 8192;

    std::unique_ptr<RemoteStore> tier() const {
        if (redis) {
            return std::move(*create_redis_tier({.url = redis->url(),
                                                 .commandMs = command_ms,
                                                 .backoffMsMin = backoff_ms_min,
                                                 .queuedCallsMax = queued_calls_max},
                                                "faulty", system_clock()));
        }
        return std::move(*create_postgres_tier({.url = shared_postgres().url(),
                                                .connections = 1,
                                                .commandMs = command_ms,
                                                .backoffMsMin = backoff_ms_min,
                                                .queuedCallsMax = queued_calls_max},
                                               "faulty", system_clock()));
    }
    void kill() const { redis ? redis->kill() : shared_postgres().kill(); }
    void start() const { redis ? redis->start() : shared_postgres().start(); }
    void freeze() const { redis ? redis->freeze() : shared_postgres().freeze(); }
    void thaw() const { redis ? redis->thaw() : shared_postgres().thaw(); }
    void end_connections() const {
        if (redis) {
            redis->cli("client kill type normal");
        } else {
            shared_postgres().sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query NOT LIKE 'LISTEN%' "
                "AND application_name = 'pillion'");
        }
    }
    void end_subscriptions() const {
        if (redis) {
            redis->cli("client kill type pubsub");
        } else {
            shared_postgres().sql(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
        }
    }
};

bool is(const auto& result, ErrorCode code) { return !result && result.error().code == code; }

} // namespace

TEST_CASE("a server killed in mid-load fails calls at once and is found again", "[remote][faults]") {
    Faulty faulty;
    faulty.command_ms = 20'000; // what fails does not wait for it
    const auto tier = faulty.tier();
    REQUIRE(put(*tier, key_of("before"), "1"));
    std::atomic<bool> is_over = false;
    std::atomic<int> wrong = 0;
    std::atomic<int> asked = 0;
    std::thread load([&] {
        for (int i = 0; !is_over; ++i) {
            const std::string name = std::to_string(i % 100);
            const auto stored = put(*tier, key_of(name), name);
            const auto got = get(*tier, key_of(name));
            if (got && *got && (*got)->record != name) ++wrong;
            for (const auto* const code :
                 {stored ? nullptr : &stored.error().code, got ? nullptr : &got.error().code}) {
                if (code != nullptr && *code != ErrorCode::unavailable) ++wrong;
            }
            ++asked;
        }
    });
    while (asked < 200) std::this_thread::yield();
    faulty.kill();
    const int asked_before = asked;
    while (asked < asked_before + 200) std::this_thread::yield();
    CHECK(is(get(*tier, key_of("before")), ErrorCode::unavailable));
    CHECK(is(probe(*tier), ErrorCode::unavailable));
    CHECK_FALSE(tier->stats().is_up);
    CHECK_FALSE(tier->stats().trouble.empty());
    faulty.start();
    CHECK(probe(*tier));
    CHECK(tier->stats().is_up);
    CHECK(put(*tier, key_of("after"), "2"));
    is_over = true;
    load.join();
    CHECK(wrong == 0);
    CHECK(record_at(*tier, key_of("after")) == "2");
}

TEST_CASE("a frozen server blocks no caller, and is used again after a probe", "[remote][faults]") {
    const Faulty faulty;
    const auto tier = faulty.tier();
    REQUIRE(put(*tier, key_of("a"), "1"));
    faulty.freeze();
    std::promise<Result<void>> promise;
    auto answered = promise.get_future();
    tier->put(key_of("a"), {"2", never_ms}, [&promise](Result<void> done) { promise.set_value(std::move(done)); });
    CHECK(answered.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
    CHECK(is(answered.get(), ErrorCode::timeout));
    CHECK_FALSE(tier->stats().is_up);
    CHECK_FALSE(probe(*tier));
    faulty.thaw();
    CHECK(probe(*tier));
    CHECK(tier->stats().is_up);
    CHECK(put(*tier, key_of("a"), "3"));
    CHECK(record_at(*tier, key_of("a")) == "3");
}

TEST_CASE("what is queued at a frozen server is bounded", "[remote][faults]") {
    Faulty faulty;
    faulty.queued_calls_max = 50;
    const auto tier = faulty.tier();
    REQUIRE(probe(*tier));
    faulty.freeze();
    std::atomic<int> exhausted = 0;
    std::atomic<int> answered = 0;
    for (int i = 0; i < 1000; ++i) {
        tier->get(key_of("a"), [&](Result<std::optional<TierValue>> got) {
            exhausted += is(got, ErrorCode::exhausted) ? 1 : 0;
            ++answered;
        });
    }
    CHECK(exhausted >= 1000 - 50 - 256);
    tier->stop();
    faulty.thaw();
    CHECK(answered == 1000);
}

TEST_CASE("connections that the server ends are made again without an error", "[remote][faults]") {
    const Faulty faulty;
    const auto tier = faulty.tier();
    for (int i = 0; i < 5; ++i) {
        REQUIRE(put(*tier, key_of("a"), std::to_string(i)));
        faulty.end_connections();
        CHECK(record_at(*tier, key_of("a")) == std::to_string(i));
        faulty.end_connections();
        CHECK(invalidate(*tier, {.space = "query", .pattern = "zz*"}) == 0U);
    }
    CHECK(tier->stats().errors == 0);
}

TEST_CASE("a lost subscription is told as uncertain when it is back", "[remote][faults]") {
    const Faulty faulty;
    const auto tier = faulty.tier();
    const auto other = faulty.tier();
    Notices notices;
    notices.listen_to(*tier);
    REQUIRE(probe(*tier));
    faulty.end_subscriptions();
    CHECK(notices.next().uncertain);
    other->announce({.space = "query", .name = "a"});
    const auto notice = notices.next();
    CHECK_FALSE(notice.uncertain);
    CHECK(notice.selection.name == "a");
    CHECK(notices.none_left());
}

TEST_CASE("what is announced while the server is away arrives when it is back", "[remote][faults]") {
    Faulty faulty;
    faulty.backoff_ms_min = 20'000; // until they are probed
    const auto teller = faulty.tier();
    const auto hearer = faulty.tier();
    Notices notices;
    notices.listen_to(*hearer);
    REQUIRE(probe(*teller));
    REQUIRE(probe(*hearer));
    faulty.kill();
    CHECK_FALSE(probe(*teller));
    teller->announce({.space = "query", .name = "a"});
    faulty.start();
    REQUIRE(probe(*hearer)); // lets it subscribe before the teller comes back
    CHECK(notices.next().uncertain);
    REQUIRE(probe(*teller));
    CHECK(notices.next().selection.name == "a");
}

TEST_CASE("while a server is away calls fail at once, saying when it is tried again", "[remote][faults]") {
    Faulty faulty;
    faulty.backoff_ms_min = 20'000;
    faulty.kill();
    const auto tier = faulty.tier();
    const auto first = get(*tier, key_of("a"));
    REQUIRE(is(first, ErrorCode::unavailable));
    CHECK(first.error().message.find("cannot be reached") != std::string::npos);
    const auto second = get(*tier, key_of("a"));
    REQUIRE(is(second, ErrorCode::unavailable));
    CHECK(second.error().hint.find("the next attempt is due in") != std::string::npos);
    faulty.start();
    CHECK(is(get(*tier, key_of("a")), ErrorCode::unavailable)); // not yet due
    CHECK(probe(*tier));
    CHECK(get(*tier, key_of("a")));
}

TEST_CASE("a tier that nothing was asked of has no connection and ends at once", "[remote][faults]") {
    const Faulty faulty;
    faulty.freeze();
    {
        const auto tier = faulty.tier();
        Notices notices;
        notices.listen_to(*tier);
        CHECK(tier->stats().is_up);
    }
    faulty.thaw();
}
