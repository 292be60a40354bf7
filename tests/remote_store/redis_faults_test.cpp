// What Redis refuses, and that it is said exactly.
#include "tests/remote_store/tier_calls.h"
#include "tests/support/redis_server.h"

using namespace pillion;
using namespace pillion::test;

namespace {

std::unique_ptr<RemoteStore> tier_at(const std::string& url) {
    auto tier = create_redis_tier({.url = url, .backoffMsMin = 10, .backoffMsMax = 20}, "app", system_clock());
    if (!tier) FAIL(tier.error().message);
    return std::move(*tier);
}

template <class T>
const Error& error_of(const Result<T>& result) {
    if (result) FAIL("this should have failed");
    return result.error();
}

} // namespace

TEST_CASE("redis is reached over TCP too, in the database of the address", "[redis]") {
    const RedisServer server;
    const auto tier = tier_at("redis://127.0.0.1:" + std::to_string(server.port()) + "/3");
    REQUIRE(put(*tier, key_of("a", "my:space"), "1"));
    CHECK(server.cli("-n 3 keys '*'") == "pillion:app:my%3Aspace:a");
    CHECK(server.cli("-n 0 dbsize") == "0");
}

TEST_CASE("databases of one redis do not hear each other", "[redis]") {
    const RedisServer server;
    const auto one = tier_at(server.url() + "?db=1");
    const auto two = tier_at(server.url() + "?db=2");
    const auto three = tier_at(server.url() + "?db=2");
    Notices notices;
    notices.listen_to(*two);
    REQUIRE(probe(*two));
    one->announce({.space = "wrong"});
    REQUIRE(probe(*one));
    three->announce({.space = "right"});
    CHECK(notices.next().selection.space == "right");
}

TEST_CASE("redis counts down the time that an entry has left", "[redis]") {
    const RedisServer server;
    const auto tier = tier_at(server.url());
    REQUIRE(put(*tier, key_of("a"), "1", system_clock().wall_ms() + 60'000));
    const int left_ms = std::stoi(server.cli("pttl pillion:app:query:a"));
    CHECK(left_ms > 50'000);
    CHECK(left_ms <= 60'000);
    REQUIRE(put(*tier, key_of("a"), "1"));
    CHECK(server.cli("pttl pillion:app:query:a") == "-1");
}

TEST_CASE("a user of an ACL is let in, a wrong one is denied, and no text shows the password", "[redis]") {
    const RedisServer server;
    server.cli("acl setuser app on '>se/cret' '~pillion:*' '&pillion:*' +@all");
    server.cli("config set requirepass master-pass");
    const std::string path = server.socket();
    const auto tier = tier_at("unix://app:se%2Fcret@" + path);
    CHECK(put(*tier, key_of("a"), "1"));
    for (const std::string who : {"app:wrong-pass@", "nobody:wrong-pass@", ":wrong-pass@"}) {
        const auto refused = tier_at("unix://" + who + path);
        const Error error = error_of(get(*refused, key_of("a")));
        CHECK(error.code == ErrorCode::denied);
        CHECK(error.message.find("refuses the user or the password") != std::string::npos);
        CHECK((error.message + error.hint + refused->stats().trouble).find("wrong-pass") == std::string::npos);
    }
    const auto nameless = tier_at(server.url());
    CHECK(error_of(get(*nameless, key_of("a"))).code == ErrorCode::denied);
    CHECK(probe(*tier_at("unix://:master-pass@" + path)));
}

TEST_CASE("a right that a user has not is denied, and other calls go on", "[redis]") {
    const RedisServer server;
    server.cli("acl setuser reader on '>p' '~*' '&*' +get +ping +subscribe");
    const auto tier = tier_at("unix://reader:p@" + server.socket());
    CHECK(error_of(put(*tier, key_of("a"), "1")).code == ErrorCode::denied);
    CHECK(record_at(*tier, key_of("a")).empty());
    CHECK(tier->stats().is_up);
}

TEST_CASE("a database that redis has not is said so", "[redis]") {
    const RedisServer server;
    const auto tier = tier_at(server.url() + "?db=99");
    const Error error = error_of(get(*tier, key_of("a")));
    CHECK(error.code == ErrorCode::failed_precondition);
    CHECK(error.message.find("99") != std::string::npos);
}

TEST_CASE("a full redis refuses writes and still answers reads", "[redis]") {
    const RedisServer server;
    const auto tier = tier_at(server.url());
    REQUIRE(put(*tier, key_of("a"), "1"));
    server.cli("config set maxmemory 1");
    CHECK(error_of(put(*tier, key_of("b"), "2")).code == ErrorCode::exhausted);
    CHECK(record_at(*tier, key_of("a")) == "1");
    CHECK(remove(*tier, key_of("a")));
    server.cli("config set maxmemory 0");
    CHECK(put(*tier, key_of("b"), "2"));
}

TEST_CASE("what another program wrote is no value, and is neither listed nor swept by pattern", "[redis]") {
    const RedisServer server;
    const auto tier = tier_at(server.url());
    server.cli("lpush pillion:app:query:list x");
    server.cli("set pillion:app:query:text 'some text of theirs'");
    server.cli("set pillion:app:query:cut PLN1xxxxxxxxxxxxxxxxxxxx");
    for (const std::string name : {"list", "text", "cut"})
        CHECK(error_of(get(*tier, key_of(name))).code == ErrorCode::corrupt);
    CHECK(tier->stats().damaged == 3);
    CHECK(list(*tier, {.space = "query", .pattern = "[lt]*"})->empty());
    CHECK(invalidate(*tier, {.space = "query", .pattern = "[lt]*"}) == 0U);
    CHECK(put(*tier, key_of("list"), "mine"));
    CHECK(record_at(*tier, key_of("list")) == "mine");
}

TEST_CASE("a read-only replica is used for reads, and says where writes belong", "[redis]") {
    const RedisServer server;
    const auto tier = tier_at(server.url());
    REQUIRE(put(*tier, key_of("a"), "1"));
    server.cli("replicaof 127.0.0.1 1");
    CHECK(record_at(*tier, key_of("a")) == "1");
    const Error error = error_of(put(*tier, key_of("a"), "2"));
    CHECK(error.code == ErrorCode::unavailable);
    CHECK(error.message.find("read-only replica") != std::string::npos);
    server.cli("replicaof no one");
    CHECK(put(*tier, key_of("a"), "2"));
}

TEST_CASE("a redis that has as many clients as it takes is unavailable", "[redis]") {
    const RedisServer server({"--maxclients", "1"});
    const auto first = tier_at(server.url());
    REQUIRE(probe(*first));
    const auto second = tier_at(server.url());
    const Error error = error_of(get(*second, key_of("a")));
    CHECK(error.code == ErrorCode::unavailable);
}

TEST_CASE("a redis that still loads its data is unavailable until it has", "[redis]") {
    RedisServer server({"--enable-debug-command", "yes"});
    // Redis pauses after each key, so loading takes a second.
    server.cli("debug populate 100 pillion:app:query:k");
    server.cli("config set key-load-delay 10000 loading-process-events-interval-bytes 1024");
    const auto tier = tier_at(server.url());
    REQUIRE(probe(*tier));
    server.cli("save");
    std::thread reload([&server] { server.cli("debug reload nosave"); });
    Result<std::optional<TierValue>> got = get(*tier, key_of("a"));
    for (int i = 0; got && i < 100'000; ++i) got = get(*tier, key_of("a"));
    CHECK(error_of(got).code == ErrorCode::unavailable);
    CHECK(error_of(got).message.find("loading") != std::string::npos);
    reload.join();
    CHECK(get(*tier, key_of("a")));
}

TEST_CASE("a sweep goes on over a restart of redis", "[redis]") {
    RedisServer server;
    const auto tier = tier_at(server.url());
    for (int i = 0; i < 3000; ++i) tier->put(key_of(std::to_string(i)), {"1", never_ms}, {});
    REQUIRE(probe(*tier));
    server.cli("client kill type normal");
    CHECK(invalidate(*tier, {.space = "query"}) == 3000U);
    CHECK(server.cli("dbsize") == "0");
}
