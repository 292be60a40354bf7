#include "modules/backends/backend_cache.h"
#include "modules/backends/backend_rules.h"
#include "tests/backends/fake_backend.h"

using namespace pillion;
using namespace pillion::test;

TEST_CASE("a glob's star stands for any characters", "[backends]") {
    CHECK(glob_matches("tools/*", "tools/list"));
    CHECK(glob_matches("*", "a/b"));
    CHECK(glob_matches("a*b*c", "aXbYbZc"));
    CHECK(glob_matches("text?", "text1"));
    CHECK_FALSE(glob_matches("tools/*", "tool/list"));
    CHECK_FALSE(glob_matches("text?", "text"));
    CHECK_FALSE(glob_matches("", "a"));
    CHECK_FALSE(glob_matches(std::string(40, '*') + "b", std::string(4000, 'a')));
}

TEST_CASE_METHOD(BackendsFixture, "an answer under a rule is given again until its time is up", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get*")};
    declare(spec);
    const auto first = call("getUser", R"({"id":1})");
    process().answer(1, "Ada");
    CHECK(call("getUser", R"({ "id" : 1.0 })")->value == json("Ada"));
    CHECK(cached("getUser", R"({"id":1,"_meta":{"timing":true}})") == json("Ada"));
    CHECK_FALSE(cached("getUser", R"({"id":2})"));
    CHECK_FALSE(cached("setUser", R"({"id":1})"));
    timers.advance_ms(999);
    CHECK(cached("getUser", R"({"id":1})") == json("Ada"));
    timers.advance_ms(1);
    CHECK_FALSE(cached("getUser", R"({"id":1})"));
    CHECK(stats().hits == 3);
}

TEST_CASE_METHOD(BackendsFixture, "key fields alone tell answers apart where a rule names them", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get")};
    spec.cache[0].keyFields = {"arguments.path", "depth"};
    declare(spec);
    call("get", R"({"arguments":{"path":"/a"},"trace":1})");
    process().answer(1, "a");
    CHECK(cached("get", R"({"trace":2,"arguments":{"path":"/a","x":1}})") == json("a"));
    CHECK_FALSE(cached("get", R"({"arguments":{"path":"/b"}})"));
    CHECK_FALSE(cached("get", R"({"arguments":{"path":"/a"},"depth":null})"));
}

TEST_CASE_METHOD(BackendsFixture, "a stale answer is given while a fresh one is fetched", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get")};
    spec.cache[0].staleWhileRevalidateMs = 500;
    declare(spec);
    call("get");
    process().answer(1, "old");
    timers.advance_ms(1200);
    CHECK(cached("get") == json("old"));
    CHECK(cached("get") == json("old"));
    timers.advance_ms(0);
    REQUIRE(process().written.size() == 2);
    process().answer(2, "new");
    CHECK(cached("get") == json("new"));
    timers.advance_ms(1600);
    CHECK_FALSE(cached("get"));
    CHECK(stats().staleServed == 2);
}

TEST_CASE_METHOD(BackendsFixture, "a stale answer is better than an error where the rule says so", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get")};
    spec.cache[0].staleIfErrorMs = 10'000;
    spec.restart = false;
    declare(spec);
    call("get");
    process().answer(1, "old");
    timers.advance_ms(2000);
    const auto waiting = call("get");
    process().end(1);
    CHECK(waiting->value == json("old"));
    timers.advance_ms(10'000);
    const auto late = call("get");
    process().end(1);
    CHECK(late->error);
}

TEST_CASE_METHOD(BackendsFixture, "notifications void answers, in either direction, also those on their way",
                 "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get", std::nullopt), rule("other", std::nullopt)};
    spec.cache[0].invalidatedBy = {"changed*"};
    declare(spec);
    call("get");
    process().answer(1, "old");
    call("other");
    process().answer(2, "other");
    process().notify("changedNow", json::object());
    CHECK_FALSE(cached("get"));
    CHECK(cached("other"));
    const auto waiting = call("get");
    process().notify("changedNow", json::object());
    process().answer(process().last()["id"], "too old");
    CHECK(waiting->value == json("too old"));
    CHECK_FALSE(cached("get"));
    call("get");
    process().answer(process().last()["id"], "new");
    CHECK(cached("get"));
    CHECK(backends.notify("files", "changedByUs", "{}"));
    CHECK_FALSE(cached("get"));
}

TEST_CASE_METHOD(BackendsFixture, "the caller's own wishes about caching are met", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get", 10'000)};
    declare(spec);
    const auto nothing = call("get", {}, {.cache = CacheMode::onlyIfCached});
    REQUIRE(nothing->error);
    CHECK(nothing->error->code == ErrorCode::not_found);
    CHECK(transports.started.empty());
    call("get");
    process().answer(1, "one");
    call("get", {}, {.cache = CacheMode::bypass});
    CHECK(process().written.size() == 2);
    process().answer(2, "two");
    CHECK(cached("get") == json("one"));
    call("get", {}, {.cache = CacheMode::refresh});
    process().answer(3, "three");
    CHECK(cached("get") == json("three"));
    timers.advance_ms(100);
    call("get", {}, {.max_age_ms = 50});
    CHECK(process().written.size() == 4);
}

TEST_CASE_METHOD(BackendsFixture, "errors are not kept", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get")};
    declare(spec);
    call("get");
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"no\"}}\n");
    CHECK_FALSE(cached("get"));
}

TEST_CASE_METHOD(BackendsFixture, "answers kept are bounded in number and in bytes", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("get")};
    spec.cacheEntriesMax = 3;
    spec.cacheBytesMax = 4000;
    declare(spec);
    for (int i = 0; i < 5; ++i) {
        call("get", json{{"n", i}}.dump());
        process().answer(process().last()["id"], i);
    }
    CHECK(stats().cacheEntries == 3);
    CHECK(stats().cacheEvictions == 2);
    CHECK_FALSE(cached("get", R"({"n":0})"));
    CHECK(cached("get", R"({"n":4})") == json(4));
    call("get", R"({"n":5})");
    process().answer(process().last()["id"], std::string(5000, 'x'));
    CHECK_FALSE(cached("get", R"({"n":5})"));
    CHECK(cached("get", R"({"n":4})"));
}

TEST_CASE_METHOD(BackendsFixture, "answers are dropped by method and by tag", "[backends]") {
    BackendSpec spec = plain();
    spec.cache = {rule("a"), rule("b")};
    spec.cache[1].tags = {"users"};
    declare(spec);
    for (const char* const method : {"a", "b"}) {
        call(method);
        process().answer(process().last()["id"], method);
    }
    CHECK(backends.invalidate("files", "", "nothing") == 0u);
    CHECK(backends.invalidate("files", "", "users") == 1u);
    CHECK(cached("a"));
    CHECK_FALSE(cached("b"));
    CHECK(backends.invalidate("files", "?", "") == 1u);
    CHECK_FALSE(backends.invalidate("nobody", "", ""));
}

TEST_CASE_METHOD(BackendsFixture, "MCP's capability lists are kept until they change", "[backends]") {
    declare(mcp());
    call("tools/list");
    shake_hands();
    process().answer(process().last()["id"], {{"tools", json::array()}});
    timers.advance_ms(3'600'000 / 100);
    CHECK(cached("tools/list"));
    process().notify("notifications/resources/list_changed", json::object());
    CHECK(cached("tools/list"));
    process().notify("notifications/tools/list_changed", json::object());
    CHECK_FALSE(cached("tools/list"));
    REQUIRE(notifications.size() == 2);
    CHECK(std::get<1>(notifications[1]) == "notifications/tools/list_changed");
}

TEST_CASE_METHOD(BackendsFixture, "a list that has changed is asked again at once, but not for ever", "[backends]") {
    declare(mcp());
    call("tools/list");
    shake_hands();
    process().answer(process().last()["id"], {{"tools", 1}});
    const auto written = process().written.size();
    process().notify("notifications/tools/list_changed", json::object());
    REQUIRE(process().written.size() == written + 1);
    const auto joined = call("tools/list");
    CHECK(process().written.size() == written + 1);
    process().answer(process().last()["id"], {{"tools", 2}});
    CHECK(joined->value == json{{"tools", 2}});
    CHECK(cached("tools/list") == json{{"tools", 2}});
    process().notify("notifications/tools/list_changed", json::object());
    CHECK(process().written.size() == written + 1);
    CHECK_FALSE(cached("tools/list"));
}

TEST_CASE_METHOD(BackendsFixture, "a call behind a change does not join a run from before it", "[backends]") {
    declare(mcp());
    const auto before = call("tools/list");
    shake_hands();
    const json first = process().last()["id"];
    process().notify("notifications/tools/list_changed", json::object());
    const auto after = call("tools/list");
    CHECK(process().last()["id"] != first);
    process().answer(first, {{"tools", "old"}});
    CHECK(before->value == json{{"tools", "old"}});
    CHECK(after->answers == 0);
    process().answer(process().last()["id"], {{"tools", "new"}});
    CHECK(after->value == json{{"tools", "new"}});
    CHECK(cached("tools/list") == json{{"tools", "new"}});
}

TEST_CASE_METHOD(BackendsFixture, "a list that changed on its way is asked again, but not for ever", "[backends]") {
    declare(mcp());
    const auto asked = call("tools/list");
    shake_hands();
    const json first = process().last()["id"];
    process().notify("notifications/tools/list_changed", json::object());
    process().answer(first, {{"tools", "old"}});
    CHECK(asked->value == json{{"tools", "old"}});
    CHECK_FALSE(cached("tools/list"));
    const json second = process().last()["id"];
    REQUIRE(second != first);
    const auto written = process().written.size();
    SECTION("and then kept") {
        process().answer(second, {{"tools", "new"}});
        CHECK(cached("tools/list") == json{{"tools", "new"}});
    }
    SECTION("not again where it changes each time") {
        process().notify("notifications/tools/list_changed", json::object());
        process().answer(second, {{"tools", "new"}});
    }
    CHECK(process().written.size() == written);
}

TEST_CASE_METHOD(BackendsFixture, "what an MCP result says of its own time counts", "[backends]") {
    declare(mcp());
    call("tools/list");
    shake_hands();
    process().answer(process().last()["id"], {{"tools", json::array()}, {"ttlMs", 500}, {"cacheScope", "public"}});
    CHECK(cached("tools/list"));
    timers.advance_ms(500);
    CHECK_FALSE(cached("tools/list"));
    call("prompts/list");
    process().answer(process().last()["id"], {{"prompts", json::array()}, {"ttlMs", 0}});
    CHECK_FALSE(cached("prompts/list"));
    call("resources/read", R"({"uri":"file:///a"})");
    process().answer(process().last()["id"], {{"contents", json::array()}});
    CHECK_FALSE(cached("resources/read", R"({"uri":"file:///a"})"));
    for (const char* const uri : {"file:///a", "file:///b"}) {
        call("resources/read", json{{"uri", uri}}.dump());
        process().answer(process().last()["id"], {{"contents", json::array()}, {"ttlMs", 60'000}});
    }
    process().notify("notifications/resources/updated", {{"uri", "file:///a"}});
    CHECK_FALSE(cached("resources/read", R"({"uri":"file:///a"})"));
    CHECK(cached("resources/read", R"({"uri":"file:///b"})"));
}

TEST_CASE_METHOD(BackendsFixture, "tools/call is kept for the tools that are named, and not where it failed",
                 "[backends]") {
    BackendSpec spec = mcp();
    spec.cache = {rule("*", 10'000)};
    spec.cache[0].tools = {"add"};
    declare(spec);
    const auto use = [this](const std::string& params, const json& result) {
        call("tools/call", params);
        if (transports.now().last()["method"] == "initialize") shake_hands();
        process().answer(process().last()["id"], result);
        return cached("tools/call", params).has_value();
    };
    CHECK(use(R"({"name":"add","arguments":{"a":1}})", {{"content", json::array()}}));
    CHECK_FALSE(use(R"({"name":"write","arguments":{"a":1}})", {{"content", json::array()}}));
    CHECK_FALSE(use(R"({"name":"add","arguments":{"a":2}})", {{"isError", true}}));
    CHECK_FALSE(use(R"({"arguments":{"name":"add"}})", {{"content", json::array()}}));
}

TEST_CASE_METHOD(BackendsFixture, "lists that an earlier process of Pillion kept are answered before anything runs",
                 "[backends]") {
    Backends remembering{
        {.transports = transports, .timers = timers, .clock = clock, .buffers = pool, .memory = &memory, .random = [] {
             return 0.5;
         }}};
    REQUIRE(remembering.declare("files", mcp()));
    const auto list = std::make_shared<Waiting>();
    remembering.call("files", {.method = "tools/list"}, list);
    timers.advance_ms(0);
    CHECK(transports.started.empty());
    REQUIRE(memory.loads.size() == 1);
    memory.loads[0]({{"tools/list", "", R"({"tools":["old"]})"}, {"initialize", "", R"({"serverInfo":1})"}});
    CHECK(list->value == json{{"tools", {"old"}}});
    const auto hello = std::make_shared<Waiting>();
    remembering.call("files", {.method = "initialize"}, hello);
    timers.advance_ms(0);
    CHECK(hello->value == json{{"serverInfo", 1}});
    CHECK(transports.started.empty());
    // A call that must be made wakes it; then the list is asked again.
    remembering.call("files", {.method = "tools/call"}, std::make_shared<Waiting>());
    shake_hands({{"serverInfo", 2}});
    const auto& written = process().written;
    const auto asked = std::find_if(written.begin(), written.end(),
                                    [](const json& message) { return message["method"] == "tools/list"; });
    REQUIRE(asked != written.end());
    process().answer((*asked)["id"], {{"tools", {"new"}}});
    Buffer out(pool);
    CHECK(remembering.answer_from_cache("files", {.method = "tools/list"}, out) == true);
    CHECK(json::parse(out.view()) == json{{"tools", {"new"}}});
    REQUIRE(memory.saved.size() == 2);
    CHECK(memory.saved[0].method == "initialize");
    CHECK(memory.saved[1].json == R"({"tools":["new"]})");
    process().notify("notifications/tools/list_changed", json::object());
    CHECK(memory.forgotten == std::vector<std::string>{"tools/list"});
}

TEST_CASE_METHOD(BackendsFixture, "with nothing kept, the list's own call starts the process", "[backends]") {
    Backends remembering{
        {.transports = transports, .timers = timers, .clock = clock, .buffers = pool, .memory = &memory, .random = [] {
             return 0.5;
         }}};
    REQUIRE(remembering.declare("files", mcp()));
    const auto list = std::make_shared<Waiting>();
    remembering.call("files", {.method = "tools/list"}, list);
    memory.loads.at(0)({});
    shake_hands();
    process().answer(process().last()["id"], {{"tools", json::array()}, {"cacheScope", "private"}});
    CHECK(list->value);
    REQUIRE(memory.saved.size() == 1); // the handshake; what is private stays in memory
    CHECK(memory.saved[0].method == "initialize");
}
