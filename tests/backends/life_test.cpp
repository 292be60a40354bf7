#include "tests/backends/fake_backend.h"

using namespace pillion;
using namespace pillion::test;

TEST_CASE("a breaker opens after failures in a row, lets one probe through, and waits longer each time", "[backends]") {
    CircuitBreaker breaker(2, 100, 300);
    const auto at_ms = [](std::int64_t ms) { return ms * 1'000'000; };
    CHECK_FALSE(breaker.failed(at_ms(0)));
    breaker.succeeded();
    CHECK_FALSE(breaker.failed(at_ms(0)));
    CHECK(breaker.failed(at_ms(0)));
    CHECK_FALSE(breaker.allow(at_ms(99)));
    CHECK(breaker.wait_ms(at_ms(40)) == 60);
    CHECK(breaker.allow(at_ms(100)));
    CHECK_FALSE(breaker.allow(at_ms(100)));
    CHECK(breaker.failed(at_ms(110)));
    CHECK_FALSE(breaker.allow(at_ms(309)));
    CHECK(breaker.allow(at_ms(310)));
    breaker.abandoned();
    CHECK(breaker.allow(at_ms(311)));
    breaker.failed(at_ms(320));
    CHECK(breaker.wait_ms(at_ms(320)) == 300);
    CHECK(breaker.allow(at_ms(620)));
    breaker.succeeded();
    CHECK(breaker.state() == BreakerState::closed);
}

TEST_CASE_METHOD(BackendsFixture, "after failures in a row calls are refused with the time of the next try",
                 "[backends]") {
    BackendSpec spec = plain();
    spec.breakerFailures = 2;
    spec.breakerOpenMs = 1000;
    spec.timeoutMs = 50;
    spec.cache = {rule("list", std::nullopt)};
    declare(spec);
    call("list");
    process().answer(1, "kept");
    for (int i = 0; i < 2; ++i) {
        call("slow");
        timers.advance_ms(51);
    }
    const auto refused = call("slow");
    REQUIRE(refused->error);
    CHECK(refused->error->code == ErrorCode::unavailable);
    CHECK(refused->error->message.find("next try is in 999 ms") != std::string::npos);
    CHECK(call("list")->value == json("kept"));
    timers.advance_ms(1000);
    const auto probe = call("slow"), meanwhile = call("slow");
    CHECK(probe->answers == 0);
    CHECK(meanwhile->error);
    process().answer(process().last()["id"], "well again");
    CHECK(probe->value == json("well again"));
    CHECK(stats().breaker == BreakerState::closed);
    CHECK(stats().breakerOpenings == 1);
}

TEST_CASE_METHOD(BackendsFixture, "an MCP server is greeted before anything else is sent to it", "[backends]") {
    declare(mcp());
    const auto waiting = call("tools/call", R"({"name":"a"})");
    REQUIRE(process().written.size() == 1);
    const json hello = process().last();
    CHECK(hello["method"] == "initialize");
    CHECK(hello["params"]["protocolVersion"] == "2025-06-18");
    CHECK(hello["params"]["clientInfo"]["name"] == "pillion");
    shake_hands({{"serverInfo", "x"}});
    REQUIRE(process().written.size() == 3);
    CHECK(process().written[1]["method"] == "notifications/initialized");
    CHECK(process().written[2]["method"] == "tools/call");
    CHECK(call("initialize", R"({"protocolVersion":"1"})")->value == json{{"serverInfo", "x"}});
    CHECK(backends.notify("files", "notifications/initialized", ""));
    CHECK(process().written.size() == 3);
    // Replayed after a crash.
    process().end(1);
    timers.advance_ms(1000);
    REQUIRE(transports.started.size() == 2);
    CHECK(process().last()["method"] == "initialize");
}

TEST_CASE_METHOD(BackendsFixture, "a client's initialize before the first start waits for the handshake",
                 "[backends]") {
    declare(mcp());
    const auto waiting = call("initialize");
    CHECK(waiting->answers == 0);
    shake_hands({{"serverInfo", "x"}});
    CHECK(waiting->value == json{{"serverInfo", "x"}});
    CHECK(process().written.size() == 2);
}

TEST_CASE_METHOD(BackendsFixture, "a refused or unanswered handshake fails the calls that wait and ends the process",
                 "[backends]") {
    BackendSpec spec = mcp();
    spec.restart = false;
    declare(spec);
    const auto refused = call("tools/call");
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":1,\"message\":\"too old\"}}\n");
    CHECK(process().killed);
    process().end(0);
    REQUIRE(refused->error);
    CHECK(refused->error->message.find("too old") != std::string::npos);
    const auto silent = call("tools/call");
    timers.advance_ms(10'001);
    CHECK(process().killed);
    process().end(0);
    REQUIRE(silent->error);
    CHECK(silent->error->message.find("10000 ms") != std::string::npos);
    CHECK(state() == BackendState::failed);
}

TEST_CASE_METHOD(BackendsFixture,
                 "a language server is spoken to with headers, greeted with its options and asked to end",
                 "[backends]") {
    BackendSpec spec = plain();
    spec.kind = BackendKind::lsp;
    spec.roots.push_back({"file:///project", {}});
    spec.initializationOptions = Json{R"({"fast":true})"};
    declare(spec);
    const auto say = [this](const json& message) {
        const std::string text = message.dump(2);
        process().say_bytes("Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
    };
    const auto waiting = call("textDocument/hover", R"({"workDoneToken":"mine","x":1})");
    CHECK(process().texts[0].starts_with("Content-Length: "));
    CHECK(process().last()["params"]["rootUri"] == "file:///project");
    CHECK(process().last()["params"]["initializationOptions"]["fast"] == true);
    CHECK(process().last()["params"]["workspaceFolders"][0]["name"] == "project");
    say({{"jsonrpc", "2.0"}, {"id", process().last()["id"]}, {"result", {{"capabilities", json::object()}}}});
    timers.advance_ms(0);
    CHECK(process().written[1]["method"] == "initialized");
    const json hover = process().last();
    CHECK(hover["params"]["workDoneToken"] == "w1");
    say({{"jsonrpc", "2.0"}, {"method", "$/progress"}, {"params", {{"token", "w1"}, {"value", {{"kind", "begin"}}}}}});
    REQUIRE(client.notified.size() == 1);
    CHECK(client.notified[0].second == json{{"token", "mine"}, {"value", {{"kind", "begin"}}}});
    say({{"jsonrpc", "2.0"}, {"method", "$/progress"}, {"params", {{"token", "own"}, {"value", 1}}}});
    CHECK(notifications.size() == 1);
    say({{"jsonrpc", "2.0"}, {"id", hover["id"]}, {"result", {{"contents", "text"}}}});
    CHECK(waiting->value == json{{"contents", "text"}});
    CHECK(call("shutdown")->value == json(nullptr));

    bool stopped = false;
    backends.stop("files", [&](const Result<void>& done) { stopped = done.has_value(); });
    CHECK(process().last()["method"] == "shutdown");
    CHECK_FALSE(process().input_closed);
    say({{"jsonrpc", "2.0"}, {"id", process().last()["id"]}, {"result", nullptr}});
    CHECK(process().last()["method"] == "exit");
    CHECK(process().input_closed);
    CHECK_FALSE(stopped);
    process().end(0);
    CHECK(stopped);
    CHECK(state() == BackendState::stopped);
}

TEST_CASE_METHOD(BackendsFixture, "headers that cannot be followed end the process", "[backends]") {
    BackendSpec spec = plain();
    spec.framing = BackendFraming::headers;
    declare(spec);
    const auto waiting = call("a");
    process().say_bytes("Content-Length: none\r\n\r\n{}");
    CHECK(process().killed);
    process().end(0);
    REQUIRE(waiting->error);
    CHECK(waiting->error->message.find("cannot be followed") != std::string::npos);
    timers.advance_ms(1000);
    CHECK(transports.started.size() == 2);
}

TEST_CASE_METHOD(BackendsFixture, "an idle backend sleeps, goes on answering what it said, and is woken once",
                 "[backends]") {
    BackendSpec spec = mcp();
    spec.idleMs = 1000;
    declare(spec);
    call("tools/list");
    shake_hands();
    process().answer(process().last()["id"], {{"tools", 1}});
    timers.advance_ms(600);
    call("tools/call");
    timers.advance_ms(600); // the call still runs
    CHECK_FALSE(process().input_closed);
    process().answer(process().last()["id"], 1);
    timers.advance_ms(2000);
    CHECK(process().input_closed);
    timers.advance_ms(500);
    CHECK(process().stop_asked);
    process().end(0);
    CHECK(state() == BackendState::asleep);
    CHECK(cached("tools/list") == json{{"tools", 1}});
    CHECK(call("initialize")->value);
    CHECK(transports.started.size() == 1);
    timers.advance_ms(100'000);
    CHECK(transports.started.size() == 1); // a requested stop is not a crash
    const auto first = call("tools/call"), second = call("tools/call");
    REQUIRE(transports.started.size() == 2);
    shake_hands();
    std::vector<std::string> methods;
    for (const json& message : process().written) methods.push_back(message["method"]);
    // The list is asked again, for a new process may be a new program.
    CHECK(methods == std::vector<std::string>{"initialize", "notifications/initialized", "tools/call", "tools/call",
                                              "tools/list"});
    CHECK(stats().sleeps == 1);
    CHECK(stats().wakes == 1);
}

TEST_CASE_METHOD(BackendsFixture, "a call that comes while it falls asleep wakes it", "[backends]") {
    BackendSpec spec = plain();
    spec.idleMs = 1000;
    declare(spec);
    call("a");
    process().answer(1, 0);
    timers.advance_ms(2000);
    REQUIRE(process().input_closed);
    const auto waiting = call("b");
    process().end(0);
    timers.advance_ms(0);
    REQUIRE(transports.started.size() == 2);
    process().answer(process().last()["id"], "awake");
    CHECK(waiting->value == json("awake"));
}

TEST_CASE_METHOD(BackendsFixture, "a stopped backend refuses calls until it is started", "[backends]") {
    declare(plain());
    const auto running = call("a");
    int stopped = 0;
    backends.stop("files", [&](const Result<void>&) { ++stopped; });
    backends.stop("files", [&](const Result<void>&) { ++stopped; });
    REQUIRE(running->error);
    CHECK(running->error->code == ErrorCode::unavailable);
    process().end(0);
    CHECK(stopped == 2);
    const auto refused = call("b");
    REQUIRE(refused->error);
    CHECK(refused->error->message.find("stopped") != std::string::npos);
    CHECK(transports.started.size() == 1);
    bool started = false;
    backends.start("files", [&](const Result<void>& done) { started = done.has_value(); });
    timers.advance_ms(0);
    CHECK(started);
    CHECK(transports.started.size() == 2);
    CHECK(stats().restarts == 0);
}

TEST_CASE_METHOD(BackendsFixture, "a stop in the middle of a start leaves nothing", "[backends]") {
    declare(mcp());
    const auto waiting = std::make_shared<Waiting>();
    backends.call("files", {.method = "tools/call"}, waiting);
    bool stopped = false;
    backends.stop("files", [&](const Result<void>&) { stopped = true; });
    CHECK(stopped);
    CHECK(waiting->error);
    timers.advance_ms(10);
    CHECK(transports.started.empty());
    backends.start("files", [](const Result<void>&) {});
    timers.advance_ms(0);
    backends.stop("files", [](const Result<void>&) {});
    CHECK(process().input_closed);
    process().end(0);
    CHECK(state() == BackendState::stopped);
}

TEST_CASE_METHOD(BackendsFixture, "a crash loop is given up, and tried again by a call", "[backends]") {
    BackendSpec spec = plain();
    spec.restartsMax = 2;
    spec.breakerFailures = 100;
    declare(spec);
    call("a");
    for (int i = 0; i < 3; ++i) {
        process().end(1);
        timers.advance_ms(5000);
    }
    CHECK(transports.started.size() == 3);
    CHECK(state() == BackendState::failed);
    REQUIRE(backends.list().front().reason);
    const auto waiting = call("b");
    CHECK(transports.started.size() == 4);
    process().answer(process().last()["id"], 1);
    CHECK(waiting->value);
}

TEST_CASE_METHOD(BackendsFixture, "what is declared anew starts anew, what is equal stays", "[backends]") {
    REQUIRE(backends.configure({{"files", plain()}, {"other", plain()}}));
    call("a");
    REQUIRE(backends.configure({{"files", plain()}}));
    CHECK(backends.list().size() == 1);
    CHECK_FALSE(process().input_closed);
    BackendSpec changed = plain();
    changed.environment["A"] = "1";
    REQUIRE(backends.configure({{"files", changed}}));
    CHECK(process().input_closed);
    CHECK(state() == BackendState::cold);
    BackendSpec wrong;
    const auto refused = backends.configure({{"files", wrong}});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("\"files\"") != std::string::npos);
    CHECK(backends.list().size() == 1);
}

TEST_CASE_METHOD(BackendsFixture, "all are stopped for the end of the program", "[backends]") {
    declare(plain());
    declare(plain(), "other");
    call("a");
    bool done = false;
    backends.stop_all([&] { done = true; });
    CHECK_FALSE(done);
    process().end(0);
    CHECK(done);
    const auto late = call("b");
    CHECK(late->error->code == ErrorCode::unavailable);
}

TEST_CASE_METHOD(BackendsFixture, "changes of state are told", "[backends]") {
    declare(plain());
    call("a");
    process().end(1, "why");
    std::vector<BackendState> states;
    for (const auto& change : changes) states.push_back(change.state);
    CHECK(states == std::vector<BackendState>{BackendState::starting, BackendState::ready, BackendState::waiting});
    CHECK(changes.back().reason.find("status 1") != std::string::npos);
}
