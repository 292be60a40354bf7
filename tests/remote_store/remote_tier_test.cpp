// What both shared tiers promise, on real servers.
#include "tests/remote_store/tier_calls.h"
#include "tests/support/postgres_server.h"
#include "tests/support/redis_server.h"

using namespace pillion;
using namespace pillion::test;

namespace {

RedisServer& shared_redis() {
    static RedisServer server;
    return server;
}

// Tiers of one app on one server are as many machines; each test has an app of its own.
struct Machines {
    std::string kind = GENERATE(as<std::string>{}, "redis", "postgres");
    std::string app = kind + std::to_string(next_app());
    ManualClock clock;

    std::unique_ptr<RemoteStore> machine() {
        if (kind == "redis")
            return std::move(*create_redis_tier({.url = shared_redis().url(), .commandMs = 20'000}, app, clock));
        return std::move(*create_postgres_tier({.url = shared_postgres().url(), .commandMs = 20'000}, app, clock));
    }
    static int next_app() {
        static int number = 0;
        return ++number;
    }
};

std::vector<std::string> names_of(const std::vector<TierKey>& keys) {
    std::vector<std::string> names;
    for (const TierKey& key : keys) names.push_back(key.name);
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace

TEST_CASE("what was put comes back, and is replaced and removed", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    CHECK(record_at(*tier, key_of("absent")).empty());
    REQUIRE(put(*tier, key_of("a"), json_record("1"), machines.clock.wall_ms() + 60'000));
    const auto got = get(*tier, key_of("a"));
    REQUIRE((got && *got));
    CHECK((*got)->record == json_record("1"));
    CHECK((*got)->gone_at_ms == machines.clock.wall_ms() + 60'000);
    REQUIRE(put(*tier, key_of("a"), json_record("2")));
    CHECK(record_at(*tier, key_of("a")) == json_record("2"));
    CHECK((*get(*tier, key_of("a")))->gone_at_ms == never_ms);
    REQUIRE(remove(*tier, key_of("a")));
    REQUIRE(remove(*tier, key_of("a")));
    CHECK(record_at(*tier, key_of("a")).empty());
}

TEST_CASE("namespaces, apps and keys that look alike are kept apart", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    Machines others{.kind = machines.kind, .app = machines.app + ":query", .clock = {}};
    const auto other = others.machine();
    REQUIRE(put(*tier, key_of("b:c", "a"), "1"));
    REQUIRE(put(*tier, key_of("c", "a:b"), "2"));
    REQUIRE(put(*tier, key_of("a", "query"), "3"));
    REQUIRE(put(*other, key_of("a", "query"), "4"));
    CHECK(record_at(*tier, key_of("b:c", "a")) == "1");
    CHECK(record_at(*tier, key_of("c", "a:b")) == "2");
    CHECK(record_at(*tier, key_of("a", "query")) == "3");
    CHECK(record_at(*other, key_of("a", "query")) == "4");
    CHECK(invalidate(*tier, {}) == 3U);
    CHECK(record_at(*other, key_of("a", "query")) == "4");
}

TEST_CASE("keys and values may be any bytes", "[remote]") {
    using namespace std::string_literals;
    Machines machines;
    const auto tier = machines.machine();
    const std::vector<std::string> names{"",
                                         "*",
                                         "a*b?[c]\\",
                                         "with:colon",
                                         "nul\0inside"s,
                                         "\xff\xfe",
                                         "gr\xc3\xbc\xc3\x9f",
                                         "spa ce\r\n",
                                         std::string(60'000, 'k')};
    const std::string binary = "\0\xff\r\n$5\r\n"s + std::string(1000, '\0');
    for (const std::string& name : names) REQUIRE(put(*tier, key_of(name), binary + name));
    for (const std::string& name : names) CHECK(record_at(*tier, key_of(name)) == binary + name);
    const auto listed = list(*tier, {.space = "query"});
    REQUIRE(listed);
    auto sorted = names;
    std::sort(sorted.begin(), sorted.end());
    CHECK(names_of(*listed) == sorted);

    REQUIRE(put(*tier, key_of("empty"), ""));
    const auto empty = get(*tier, key_of("empty"));
    REQUIRE((empty && *empty));
    CHECK((*empty)->record.empty());
    std::string large(5 << 20, 'x');
    for (std::size_t i = 0; i < large.size(); i += 7) large[i] = static_cast<char>(i);
    REQUIRE(put(*tier, key_of("large"), json_record(large)));
    CHECK(record_at(*tier, key_of("large")) == json_record(large));
}

TEST_CASE("a key of more than 64 KiB is refused", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    const auto refused = put(*tier, key_of(std::string(65'537, 'k')), "1");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::invalid_params);
}

TEST_CASE("what is expired is not there, and what expired before it was put replaces by nothing", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    REQUIRE(put(*tier, key_of("a"), "1", machines.clock.wall_ms() + 50'000));
    REQUIRE(put(*tier, key_of("b"), "1"));
    machines.clock.advance_ms(50'000);
    CHECK(record_at(*tier, key_of("a")).empty());
    REQUIRE(put(*tier, key_of("b"), "2", machines.clock.wall_ms()));
    CHECK(record_at(*tier, key_of("b")).empty());
    const auto listed = list(*tier, {.space = "query"});
    REQUIRE(listed);
    CHECK(listed->empty());
}

TEST_CASE("an end of time that no calendar has is never", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    REQUIRE(put(*tier, key_of("a"), "1", never_ms - 1));
    CHECK(record_at(*tier, key_of("a")) == "1");
}

TEST_CASE("patterns match names, and the parts of composite keys", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    const std::string long_text(3000, 't');
    REQUIRE(put(*tier, key_of("user:1", "session"), "1"));
    REQUIRE(put(*tier, key_of("user:2", "session"), "2"));
    REQUIRE(put(*tier, key_of("user*2", "session"), "3"));
    REQUIRE(put(*tier, key_of("#0a", "session", R"({"user":"1"})"), "4"));
    REQUIRE(put(*tier, key_of("#0b", "session", R"({"text":")" + long_text + R"(","user":"9"})"), "5"));
    REQUIRE(put(*tier, key_of("user:1", "query"), "6"));
    CHECK(invalidate(*tier, {.space = "session", .pattern = "user\\*?"}) == 1U);
    CHECK(invalidate(*tier, {.space = "session", .pattern = "#*"}) == 0U);
    CHECK(invalidate(*tier, {.space = "session", .pattern = "*\"user\":\"[0-9]\"}"}) == 2U);
    CHECK(invalidate(*tier, {.space = "session", .pattern = "USER:*"}) == 0U);
    CHECK(invalidate(*tier, {.pattern = "user:1"}) == 2U);
    CHECK(record_at(*tier, key_of("user:2", "session")) == "2");
}

TEST_CASE("keys, ages, namespaces and everything are invalidated and counted", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    for (int i = 0; i < 20; ++i) {
        REQUIRE(put(*tier, key_of("k" + std::to_string(i), i % 2 == 0 ? "embedding" : "custom"),
                    json_record("1", 1000 + i)));
    }
    CHECK(invalidate(*tier, {.space = "embedding", .name = "k0"}) == 1U);
    CHECK(invalidate(*tier, {.space = "embedding", .name = "k1"}) == 0U);
    CHECK(invalidate(*tier, {.name = "k1"}) == 1U);
    CHECK(invalidate(*tier, {.space = "embedding", .created_before_ms = 1006}) == 2U);
    CHECK(invalidate(*tier, {.space = "custom", .tag = "t"}) == 0U);
    CHECK(invalidate(*tier, {.space = "custom", .expired = true}) == 0U);
    CHECK(invalidate(*tier, {.space = "custom"}) == 9U);
    CHECK(invalidate(*tier, {}) == 7U);
}

TEST_CASE("more than a page is swept, listed and surveyed", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    constexpr int count = 2500;
    std::atomic<int> stored = 0;
    for (int i = 0; i < count; ++i) {
        tier->put(key_of("k" + std::to_string(i), i % 5 == 0 ? "template" : "query"), {json_record("1"), never_ms},
                  [&stored](Result<void> done) { stored += done ? 1 : 0; });
    }
    // A sweep sees all that was called before it.
    CHECK(invalidate(*tier, {.space = "template", .pattern = "k*"}) == 500U);
    CHECK(stored == count);
    std::vector<std::string> names;
    for (std::string after; true; after = names.back()) {
        const auto page = list(*tier, {.space = "query"}, after, 300);
        REQUIRE(page);
        for (const TierKey& key : *page) names.push_back(key.name);
        if (page->size() < 300) break;
    }
    CHECK(names.size() == 2000);
    std::sort(names.begin(), names.end());
    CHECK(std::unique(names.begin(), names.end()) == names.end());
    const auto spaces = survey(*tier);
    REQUIRE(spaces);
    REQUIRE(spaces->size() == 1);
    CHECK(spaces->front().space == "query");
    CHECK(spaces->front().entries == 2000);
    CHECK(tier->stats().entries == 2000);
    CHECK(invalidate(*tier, {}) == 2000U);
}

TEST_CASE("a list needs a namespace", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    const auto listed = list(*tier, {});
    REQUIRE_FALSE(listed);
    CHECK(listed.error().code == ErrorCode::invalid_params);
}

TEST_CASE("the last of several puts of one key wins", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    for (int i = 0; i < 500; ++i) tier->put(key_of("k" + std::to_string(i % 10)), {std::to_string(i), never_ms}, {});
    for (int i = 0; i < 10; ++i) CHECK(record_at(*tier, key_of("k" + std::to_string(i))) == std::to_string(490 + i));
}

TEST_CASE("machines hear each other's invalidations and not their own", "[remote]") {
    Machines machines;
    const auto one = machines.machine();
    const auto two = machines.machine();
    Notices heard_by_one;
    Notices heard_by_two;
    heard_by_one.listen_to(*one);
    heard_by_two.listen_to(*two);
    REQUIRE(put(*one, key_of("a"), "1")); // who uses the tier hears
    CHECK(record_at(*two, key_of("a")) == "1");

    one->announce({.space = "query", .name = std::string("a\0*", 3), .created_before_ms = -5});
    auto notice = heard_by_two.next();
    CHECK(notice.selection.space == "query");
    CHECK(notice.selection.name == std::string("a\0*", 3));
    CHECK(notice.selection.created_before_ms == -5);
    CHECK_FALSE(notice.selection.pattern);
    CHECK_FALSE(notice.uncertain);
    two->announce({.pattern = "x*", .tag = "t"});
    notice = heard_by_one.next();
    CHECK(notice.selection.pattern == "x*");
    CHECK(notice.selection.tag == "t");
    CHECK(notice.selection.space.empty());
    CHECK(heard_by_one.none_left());
    CHECK(heard_by_two.none_left());
}

TEST_CASE("other apps are not heard, and what does not fit is told coarser", "[remote]") {
    Machines machines;
    const auto one = machines.machine();
    const auto two = machines.machine();
    Machines others{.kind = machines.kind, .app = machines.app + "-other", .clock = {}};
    const auto other = others.machine();
    Notices heard;
    heard.listen_to(*two);
    REQUIRE(probe(*two));
    other->announce({.space = "foreign"});
    REQUIRE(probe(*other)); // comes after the announcement
    one->announce({.space = "query", .name = std::string(machines.kind == "redis" ? 100'000 : 3000, '\n')});
    const auto notice = heard.next();
    CHECK(notice.selection.space == "query");
    CHECK_FALSE(notice.selection.name);
}

TEST_CASE("after stop() everything is unavailable, and what was queued before is written", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    std::atomic<int> stored = 0;
    for (int i = 0; i < 300; ++i) {
        tier->put(key_of(std::to_string(i)), {"1", never_ms}, [&stored](Result<void> done) { stored += done ? 1 : 0; });
    }
    tier->stop();
    CHECK(stored == 300);
    const auto unavailable = [](const auto& result) {
        return !result && result.error().code == ErrorCode::unavailable;
    };
    CHECK(unavailable(get(*tier, key_of("1"))));
    CHECK(unavailable(put(*tier, key_of("1"), "2")));
    CHECK(unavailable(invalidate(*tier, {})));
    CHECK(unavailable(list(*tier, {.space = "query"})));
    CHECK(unavailable(probe(*tier)));
    tier->announce({.space = "query"});
    tier->stop();
    const auto again = machines.machine();
    CHECK(record_at(*again, key_of("299")) == "1");
}

TEST_CASE("a tier counts what it was asked", "[remote]") {
    Machines machines;
    const auto tier = machines.machine();
    REQUIRE(put(*tier, key_of("a"), "1"));
    CHECK(record_at(*tier, key_of("a")) == "1");
    CHECK(record_at(*tier, key_of("b")).empty());
    const TierStats stats = tier->stats();
    CHECK(stats.is_up);
    CHECK(stats.writes == 1);
    CHECK(stats.reads == 2);
    CHECK(stats.hits == 1);
    CHECK(stats.errors == 0);
    CHECK(tier->name() == machines.kind);
}
