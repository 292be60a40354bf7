#include "modules/backends/backends_rpc.h"
#include "modules/backends/client_link.h"
#include "tests/backends/fake_backend.h"
#include "tests/support/wire_fixture.h"

using namespace pillion;
using namespace pillion::test;

TEST_CASE_METHOD(BackendsFixture, "what the spec declares is answered without asking anybody", "[backends]") {
    BackendSpec spec = mcp();
    spec.roots.push_back({"file:///a/b", {}});
    spec.settings = Json{R"({"editor":{"tab":4}})"};
    spec.answers["custom/thing"] = Json{"{\"x\":\n1}"};
    declare(spec);
    call("tools/call");
    CHECK(process().last()["params"]["capabilities"].contains("roots"));
    const auto ask = [this](const char* method, const json& params) {
        process().say({{"jsonrpc", "2.0"}, {"id", "r 1"}, {"method", method}, {"params", params}});
        CHECK(process().last()["id"] == "r 1");
        return process().last()["result"];
    };
    CHECK(ask("roots/list", json::object()) == json{{"roots", {{{"uri", "file:///a/b"}, {"name", "b"}}}}});
    CHECK(ask("ping", json::object()) == json::object());
    CHECK(ask("custom/thing", json::object()) == json{{"x", 1}});
    CHECK(ask("workspace/configuration", {{"items", {{{"section", "editor.tab"}}, {{"section", "none"}}}}}) ==
          json{4, nullptr});
    CHECK(client.asked.empty());
}

TEST_CASE_METHOD(BackendsFixture, "other requests of a backend go to the client and come back", "[backends]") {
    declare(mcp());
    call("tools/call");
    shake_hands();
    process().say_bytes(
        "{\"jsonrpc\":\"2.0\",\"id\":5.0,\"method\":\"sampling/createMessage\",\"params\":{\"n\": 1}}\n");
    REQUIRE(client.asked.size() == 1);
    CHECK(client.asked[0].method == "files/sampling/createMessage");
    CHECK(client.asked[0].params == "{\"n\": 1}");
    client.asked[0].done(std::string_view("{\"role\":\n\"x\"}"));
    CHECK(process().texts.back() == "{\"jsonrpc\":\"2.0\",\"id\":5.0,\"result\":{\"role\": \"x\"}}\n");
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":6,\"method\":\"elicitation/create\"}\n");
    Error refused{ErrorCode::internal_error, "no", {}, {}};
    refused.raw = R"({"code":-1,"message":"declined"})";
    client.asked[1].done(std::unexpected(refused));
    CHECK(process().last()["error"]["message"] == "declined");
}

TEST_CASE_METHOD(BackendsFixture, "a request that the client does not answer is an error in the end", "[backends]") {
    BackendSpec spec = mcp();
    spec.clientRequestMs = 100;
    declare(spec);
    call("tools/call");
    shake_hands();
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"elicitation/create\"}\n");
    timers.advance_ms(101);
    CHECK(process().last()["error"]["code"] == -32601);
    CHECK(client.forgotten == std::vector<std::uint64_t>{1});
    const auto written = process().written.size();
    client.asked[0].done(std::string_view("{}"));
    CHECK(process().written.size() == written);
    client.refuses = true;
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"elicitation/create\"}\n");
    CHECK(process().last()["error"]["code"] == -32601);
    client.refuses = false;
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"elicitation/create\"}\n");
    process().notify("notifications/cancelled", {{"requestId", 3}});
    CHECK(client.forgotten.back() == 2);
    for (int i = 0; i < 70; ++i) process().say({{"jsonrpc", "2.0"}, {"id", 100 + i}, {"method", "elicitation/create"}});
    CHECK(process().last()["error"]["code"] == -32004);
}

TEST_CASE_METHOD(BackendsFixture, "progress of an MCP call goes to those who asked for it", "[backends]") {
    declare(mcp());
    const auto waiting = call("tools/call", R"({"name":"a"})", {.wants_progress = true});
    shake_hands();
    CHECK(process().last()["params"]["_meta"]["progressToken"] == 1);
    process().notify("notifications/progress",
                     {{"progressToken", 1}, {"progress", 5}, {"total", 20}, {"message", "m"}});
    process().notify("notifications/progress", {{"progressToken", 1}, {"progress", 6}});
    process().notify("notifications/progress", {{"progressToken", 77}, {"progress", 6}});
    REQUIRE(waiting->progress.size() == 2);
    CHECK(waiting->progress[0] == std::pair(25.0, std::string("m")));
    CHECK(waiting->progress[1].first < 0);
    CHECK(notifications.empty());
}

TEST_CASE_METHOD(BackendsFixture, "notifications of a backend are told with their params as they came", "[backends]") {
    declare(plain());
    call("a");
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"method\":\"log\\/line\",\"params\":{\"a\": 1.0}}\n");
    REQUIRE(notifications.size() == 1);
    CHECK(notifications[0] == std::tuple(std::string("files"), std::string("log/line"), std::string("{\"a\": 1.0}")));
}

TEST_CASE_METHOD(BackendsFixture, "notifications keep their place among calls", "[backends]") {
    declare(plain());
    CHECK(backends.notify("files", "open", "{\"n\":1}"));
    call("a");
    CHECK(backends.notify("files", "close", ""));
    REQUIRE(process().written.size() == 3);
    CHECK(process().written[0]["method"] == "open");
    CHECK(process().written[2]["method"] == "close");
    CHECK_FALSE(process().written[0].contains("id"));
}

namespace {

// A backend behind a whole dispatcher.
struct Routed : BackendsFixture {
    WireFixture wire{{}};
    Routed() {
        wire.table.add(backends_methods(backends, wire.clock));
        wire.table.set_fallback([this] { return backend_route(backends, wire.clock); },
                                [this](std::string_view name) { return routes_to_backend(backends, name); });
    }
    void send(const std::string& text) {
        wire.send(text);
        timers.advance_ms(0);
    }
};

} // namespace

TEST_CASE_METHOD(Routed, "NAME/METHOD goes to the backend NAME and comes back under the client's exact id",
                 "[backends]") {
    declare(mcp());
    send(
        R"({"jsonrpc":"2.0","id":1e2,"method":"files/tools/call","params":{"name":"x","_meta":{"progressToken":"t"}}})");
    shake_hands();
    CHECK(process().last()["method"] == "tools/call");
    const json id = process().last()["id"];
    process().notify("notifications/progress", {{"progressToken", id}, {"progress", 1}, {"total", 2}});
    process().answer(id, {{"content", "c"}});
    const json begin = wire.next();
    CHECK(begin["params"]["token"] == "t");
    CHECK(begin["params"]["value"]["percentage"] == 50.0);
    CHECK(begin["params"]["value"]["title"] == "files/tools/call");
    CHECK(wire.next()["params"]["value"]["kind"] == "end");
    const json answer = wire.next();
    CHECK(answer["id"].dump() == "100.0");
    CHECK(answer["result"] == json{{"content", "c"}});
}

TEST_CASE_METHOD(Routed, "a kept answer is given at once, in batches too, and selected from", "[backends]") {
    declare(mcp());
    send(R"({"jsonrpc":"2.0","id":1,"method":"files\/tools\/list"})");
    shake_hands();
    process().answer(process().last()["id"], {{"tools", {{{"name", "a"}, {"x", 1}}}}});
    CHECK(wire.next()["id"] == 1);
    CHECK(wire.ask(R"({"jsonrpc":"2.0","id":2,"method":"files/tools/list"})")["result"]["tools"].size() == 1);
    CHECK(wire.ask(
              R"({"jsonrpc":"2.0","id":3,"method":"backends.call","params":{"backend":"files","method":"tools/list"}})")
              ["result"]["tools"][0]["x"] == 1);
    const json batch = wire.ask(
        R"([{"jsonrpc":"2.0","id":4,"method":"files/tools/list"},{"jsonrpc":"2.0","id":5,"method":"files/initialize"}])");
    REQUIRE(batch.size() == 2);
    CHECK(wire.ask(R"({"jsonrpc":"2.0","id":6,"method":"files/tools/list","params":{"_meta":{"fields":"tools.name"}}})")
              ["result"] == json{{"tools", {{{"name", "a"}}}}});
    CHECK(wire.dispatcher->in_flight() == 0);
}

TEST_CASE_METHOD(Routed, "errors of the backend pass, unknown backends and wrong params are refused", "[backends]") {
    declare(plain());
    send(R"({"jsonrpc":"2.0","id":"a","method":"files/x"})");
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":7,\"message\":\"m\",\"data\":{\"d\":1}}}\n");
    CHECK(wire.next()["error"] == json{{"code", 7}, {"message", "m"}, {"data", {{"d", 1}}}});
    const json unknown = wire.ask(R"({"jsonrpc":"2.0","id":1,"method":"fils/x"})");
    CHECK(unknown["error"]["code"] == -32601);
    CHECK(unknown["error"]["data"]["hint"] == "files");
    const json named =
        wire.ask(R"({"jsonrpc":"2.0","id":1,"method":"backends.call","params":{"backend":"fils","method":"x"}})");
    CHECK(named["error"]["code"] == -32002);
    const json scalar = wire.ask(
        R"({"jsonrpc":"2.0","id":1,"method":"backends.call","params":{"backend":"files","method":"x","params":5}})");
    CHECK(scalar["error"]["code"] == -32602);
    CHECK(wire.ask(R"({"jsonrpc":"2.0","id":1,"method":"nomethod"})")["error"]["code"] == -32601);
}

TEST_CASE_METHOD(Routed, "a cancelled or late request is cancelled at the backend", "[backends]") {
    declare(plain());
    send(R"({"jsonrpc":"2.0","id":"a","method":"files/x"})");
    send(R"({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":"a"}})");
    CHECK(wire.next()["error"]["code"] == -32800);
    CHECK(process().last()["method"] == "$/cancelRequest");
    CHECK(process().last()["params"]["id"] == 1);
    send(R"({"jsonrpc":"2.0","id":"b","method":"files/x","params":{"_meta":{"timeoutMs":10}}})");
    wire.timers.advance_ms(11);
    CHECK(wire.next()["error"]["code"] == -32001);
    CHECK(process().last()["params"]["id"] == 2);
    CHECK(stats().timeouts == 1);
    CHECK(stats().cancelled == 1);
}

TEST_CASE_METHOD(Routed, "notifications are passed on, lists and figures are told", "[backends]") {
    declare(plain());
    send(R"({"jsonrpc":"2.0","method":"files/note","params":{"a":1}})");
    CHECK(process().last()["method"] == "note");
    CHECK(wire.ask(R"({"jsonrpc":"2.0","id":1,"method":"backends.notify","params":{"backend":"files","method":"n"}})")
              ["result"] == json::object());
    CHECK(process().last()["method"] == "n");
    const json list = wire.ask(R"({"jsonrpc":"2.0","id":1,"method":"backends.list"})");
    CHECK(list["result"]["items"][0]["state"] == "ready");
    CHECK(list["result"]["items"][0]["pid"] == 4711);
    const json figures = wire.ask(R"({"jsonrpc":"2.0","id":1,"method":"backends.stats","params":{"backend":"files"}})");
    CHECK(figures["result"]["items"][0]["notificationsOut"] == 2);
    CHECK(figures["result"]["items"][0]["memoryBytes"] == 12345);
    CHECK(
        wire.ask(R"({"jsonrpc":"2.0","id":1,"method":"backends.stats","params":{"backend":"no"}})")["error"]["code"] ==
        -32002);
    CHECK(wire.ask(
              R"({"jsonrpc":"2.0","id":1,"method":"backends.invalidate","params":{"backend":"files"}})")["result"]
                                                                                                        ["removed"] ==
          0);
}

TEST_CASE("requests of our own to the client are numbered, answered once, and can be forgotten", "[backends]") {
    WireFixture wire({});
    ClientLink link(*wire.outbox, wire.frames, wire.pools.buffers);
    wire.dispatcher->set_response_handler([&link](const Message& message) { return link.take(message); });
    std::vector<std::string> answers;
    const auto ask = [&] {
        return link.ask("files/roots/list", R"({"a":1})", [&answers](const Result<std::string_view>& result) {
            answers.emplace_back(result ? std::string(*result) : result.error().raw);
        });
    };
    REQUIRE(ask());
    const json request = wire.next();
    CHECK(request["method"] == "files/roots/list");
    CHECK(request["params"] == json{{"a", 1}});
    const std::string id = request["id"].dump();
    wire.send("{\"jsonrpc\":\"2.0\",\"id\":" + id + ",\"result\":{\"roots\":[]}}");
    wire.send("{\"jsonrpc\":\"2.0\",\"id\":" + id + ",\"result\":{\"again\":1}}");
    CHECK(answers == std::vector<std::string>{"{\"roots\":[]}"});
    const auto second = ask();
    wire.send("{\"jsonrpc\":\"2.0\",\"id\":" + wire.next()["id"].dump() + ",\"error\":{\"code\":1,\"message\":\"m\"}}");
    CHECK(answers.back() == "{\"code\":1,\"message\":\"m\"}");
    const auto third = ask();
    wire.next();
    link.forget(*third);
    CHECK(wire.next()["method"] == "$/cancelRequest");
    link.forget(*second);
    CHECK(wire.is_silent());
}
