#include "tests/backends/fake_backend.h"

using namespace pillion;
using namespace pillion::test;

namespace {

BackendSpec reading(BackendSpec spec) {
    spec.singleFlight = {"read"};
    return spec;
}

} // namespace

TEST_CASE_METHOD(BackendsFixture, "the first call starts the process and comes back with its result", "[backends]") {
    declare(plain());
    CHECK(transports.started.empty());
    const auto waiting = call("sum", R"({"a":1})");
    REQUIRE(transports.started.size() == 1);
    CHECK(process().last()["method"] == "sum");
    CHECK(process().last()["params"] == json{{"a", 1}});
    process().answer(process().last()["id"], {{"sum", 1}});
    CHECK(waiting->value == json{{"sum", 1}});
    CHECK(waiting->answers == 1);
    CHECK(state() == BackendState::ready);
    call("sum");
    CHECK(transports.started.size() == 1);
    CHECK_FALSE(process().last().contains("params"));
}

TEST_CASE_METHOD(BackendsFixture, "answers find their callers whatever their order", "[backends]") {
    declare(plain());
    const auto first = call("a"), second = call("b");
    const json first_id = process().written[0]["id"], second_id = process().written[1]["id"];
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":" + second_id.dump() +
                        ",\"result\":2}\n{\"jsonrpc\":\"2.0\",\"id\":");
    CHECK(second->value == json(2));
    CHECK(first->answers == 0);
    process().say_bytes(first_id.dump() + ",\"result\":1}\n");
    CHECK(first->value == json(1));
}

TEST_CASE_METHOD(BackendsFixture, "an error of the backend comes as it is", "[backends]") {
    declare(plain());
    const auto waiting = call("a");
    process().say_bytes(R"({"jsonrpc":"2.0","id":1,"error":{"code":-7,"message":"no","data":[1, 2]}})"
                        "\n");
    REQUIRE(waiting->error);
    CHECK(waiting->error->raw == R"({"code":-7,"message":"no","data":[1, 2]})");
    CHECK(waiting->error->message == "no");
    CHECK(stats().errors == 1);
    CHECK(stats().breaker == BreakerState::closed);
}

TEST_CASE_METHOD(BackendsFixture, "what is no answer to anything reaches nobody and is counted", "[backends]") {
    BackendSpec spec = plain();
    spec.messageBytesMax = 1024;
    declare(spec);
    const auto waiting = call("a");
    process().say_bytes("hello, world\n");
    process().say_bytes("{\"id\":1,\"result\":5}\n");
    process().say_bytes(
        "{\"jsonrpc\":\"2.0\",\"id\":99,\"result\":5}\n{\"jsonrpc\":\"2.0\",\"id\":\"1\",\"result\":5}\n");
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":1,\"message\":\"\"}}\n");
    for (int i = 0; i < 100; ++i) process().say_bytes(std::string(100'000, 'x'));
    process().say_bytes("\n");
    CHECK(waiting->answers == 0);
    process().answer(1, 5);
    CHECK(waiting->value == json(5));
    process().answer(1, 6);
    CHECK(waiting->answers == 1);
    CHECK(stats().garbage == 2);
    CHECK(stats().unknownIds == 3);
    CHECK(stats().oversized == 1);
    CHECK(stats().duplicateAnswers == 1);
    CHECK(pool.oversize_bytes() < 200'000);
}

TEST_CASE_METHOD(BackendsFixture, "calls in flight at its death fail with its last lines; it is started again",
                 "[backends]") {
    declare(plain());
    const auto waiting = call("a");
    process().say_bytes("{\"jsonrpc\":\"2.0\",\"id\":1,\"res");
    process().end(3, "out of cheese");
    REQUIRE(waiting->error);
    CHECK(waiting->error->code == ErrorCode::unavailable);
    CHECK(waiting->error->message.find("files") != std::string::npos);
    CHECK(waiting->error->message.find("status 3") != std::string::npos);
    CHECK((waiting->error->message + waiting->error->hint).find("out of cheese") != std::string::npos);
    CHECK(state() == BackendState::waiting);
    CHECK(stats().garbage == 1);
    const auto next = call("b");
    CHECK(transports.started.size() == 1);
    timers.advance_ms(1000);
    REQUIRE(transports.started.size() == 2);
    CHECK(process().last()["method"] == "b");
    CHECK(process().last()["id"] != 1);
    process().answer(process().last()["id"], "here");
    CHECK(next->value == json("here"));
    CHECK(stats().restarts == 1);
}

TEST_CASE_METHOD(BackendsFixture, "what an earlier process says late is dropped", "[backends]") {
    declare(plain());
    call("a");
    const auto old = transports.started.front();
    old->end(1);
    timers.advance_ms(1000);
    const auto waiting = call("b");
    old->answer(process().last()["id"], "not mine");
    CHECK(waiting->answers == 0);
}

TEST_CASE_METHOD(BackendsFixture, "a program that cannot be started fails the calls that wait, by name", "[backends]") {
    declare(plain());
    transports.start_error = Error{ErrorCode::unavailable, "\"files\": there is no program \"program\"", {}, {}};
    const auto waiting = call("a");
    REQUIRE(waiting->error);
    CHECK(waiting->error->message.find("no program") != std::string::npos);
    CHECK(state() == BackendState::failed);
    transports.start_error.reset();
    call("b");
    CHECK(state() == BackendState::ready);
}

TEST_CASE_METHOD(BackendsFixture, "no more calls are sent than the concurrency, no more wait than the queue holds",
                 "[backends]") {
    BackendSpec spec = plain();
    spec.concurrency = 2;
    spec.queueMax = 3;
    declare(spec);
    call("warm");
    process().answer(1, 0);
    std::vector<std::shared_ptr<Waiting>> waiting;
    for (int i = 0; i < 6; ++i) waiting.push_back(call("m" + std::to_string(i)));
    CHECK(process().written.size() == 3);
    REQUIRE(waiting[5]->error);
    CHECK(waiting[5]->error->code == ErrorCode::exhausted);
    CHECK(stats().queued == 3);
    process().answer(process().written[1]["id"], 0);
    CHECK(process().written.size() == 4);
    CHECK(process().last()["method"] == "m2");
    CHECK(stats().refused == 1);
}

TEST_CASE_METHOD(BackendsFixture, "a hundred equal calls of a reading method are one call of the backend",
                 "[backends]") {
    declare(reading(plain()));
    std::vector<std::shared_ptr<Waiting>> waiting;
    for (int i = 0; i < 100; ++i) waiting.push_back(call("read", i % 2 ? R"({"a":1,"b":2})" : R"({ "b":2, "a":1.0 })"));
    const auto other = call("read", R"({"a":2})");
    CHECK(process().written.size() == 2);
    process().answer(1, "once");
    for (const auto& each : waiting) CHECK(each->value == json("once"));
    CHECK(other->answers == 0);
    CHECK(stats().coalesced == 99);
}

TEST_CASE_METHOD(BackendsFixture, "calls that may change something are never joined, and end what could be joined",
                 "[backends]") {
    declare(reading(plain()));
    call("write");
    call("write");
    CHECK(process().written.size() == 2);
    call("read");
    call("write");
    call("read"); // must see what was written
    CHECK(process().written.size() == 5);
}

TEST_CASE_METHOD(BackendsFixture, "a run survives the one who asked first, and ends when nobody waits", "[backends]") {
    declare(reading(plain()));
    const auto first = call("read");
    const BackendTicket first_ticket = ticket;
    const auto second = call("read");
    const BackendTicket second_ticket = ticket;
    first_ticket.cancel(CancelReason::caller_left);
    CHECK(process().written.size() == 1);
    second_ticket.cancel(CancelReason::caller_left);
    REQUIRE(process().written.size() == 2);
    CHECK(process().last()["method"] == "$/cancelRequest");
    CHECK(process().last()["params"]["id"] == 1);
    process().answer(1, "late");
    CHECK(first->answers + second->answers == 0);
    CHECK(stats().lateAnswers == 1);
    call("read");
    CHECK(process().last()["id"] == 2);
}

TEST_CASE_METHOD(BackendsFixture, "a call without an answer in time fails, and the backend is told", "[backends]") {
    BackendSpec spec = mcp();
    spec.timeoutMs = 100;
    declare(spec);
    const auto waiting = call("tools/call", R"({"name":"slow"})");
    shake_hands();
    timers.advance_ms(99);
    CHECK(waiting->answers == 0);
    timers.advance_ms(2);
    REQUIRE(waiting->error);
    CHECK(waiting->error->code == ErrorCode::timeout);
    CHECK(waiting->error->message.find("tools/call") != std::string::npos);
    CHECK(process().last()["method"] == "notifications/cancelled");
    CHECK(stats().timeouts == 1);
    const auto next = call("tools/call", R"({"name":"slow"})");
    timers.advance_ms(101);
    CHECK(next->error->code == ErrorCode::timeout);
}

TEST_CASE_METHOD(BackendsFixture, "a cancelled call that still waits is never sent", "[backends]") {
    BackendSpec spec = plain();
    spec.concurrency = 1;
    declare(spec);
    call("a");
    call("b");
    ticket.cancel(CancelReason::caller_left);
    process().answer(1, 0);
    CHECK(process().written.size() == 1);
    CHECK(stats().cancelled == 1);
}

TEST_CASE_METHOD(BackendsFixture, "calls that gather are sent as one array where that is declared", "[backends]") {
    BackendSpec spec = plain();
    spec.acceptsBatches = true;
    declare(spec);
    call("warm");
    timers.advance_ms(0);
    const auto a = std::make_shared<Waiting>(), b = std::make_shared<Waiting>();
    backends.call("files", {.method = "a"}, a);
    backends.call("files", {.method = "b"}, b);
    timers.advance_ms(0);
    REQUIRE(process().last().is_array());
    REQUIRE(process().last().size() == 2);
    process().say(json::array({{{"jsonrpc", "2.0"}, {"id", process().last()[1]["id"]}, {"result", 2}},
                               {{"jsonrpc", "2.0"}, {"id", process().last()[0]["id"]}, {"result", 1}}}));
    CHECK(a->value == json(1));
    CHECK(b->value == json(2));
    CHECK(stats().batches == 1);
}

TEST_CASE_METHOD(BackendsFixture, "line ends between tokens do not break a message in two", "[backends]") {
    declare(plain());
    call("a", "{\n \"x\": [1,\r\n2]}");
    CHECK(std::count(process().texts.back().begin(), process().texts.back().end(), '\n') == 1);
    CHECK(process().last()["params"] == json{{"x", {1, 2}}});
}

TEST_CASE_METHOD(BackendsFixture, "Pillion's own _meta does not reach the backend, other people's does", "[backends]") {
    declare(mcp());
    call("tools/call", R"({"name":"t","_meta":{"timeoutMs":5,"cache":"bypass","example.org/trace":"7"}})");
    shake_hands();
    CHECK(process().last()["params"] == json{{"name", "t"}, {"_meta", {{"example.org/trace", "7"}}}});
    call("tools/call", R"({"name":"t","_meta":{"timeoutMs":5}})");
    CHECK(process().last()["params"] == json{{"name", "t"}});
}

TEST_CASE_METHOD(BackendsFixture, "a full pipe refuses the call, not the backend", "[backends]") {
    declare(plain());
    call("a");
    process().write_error = Error{ErrorCode::exhausted, "too much is waiting", {}, {}};
    const auto waiting = call("b");
    REQUIRE(waiting->error);
    CHECK(waiting->error->code == ErrorCode::exhausted);
    process().write_error.reset();
    process().answer(1, 0);
    call("c");
    CHECK(process().last()["method"] == "c");
}

TEST_CASE_METHOD(BackendsFixture, "an unknown backend is told with the nearest name", "[backends]") {
    declare(plain());
    const auto waiting = std::make_shared<Waiting>();
    backends.call("fils", {.method = "a"}, waiting);
    REQUIRE(waiting->error);
    CHECK(waiting->error->code == ErrorCode::not_found);
    CHECK(waiting->error->hint == "files");
}

TEST_CASE("a spec that cannot work is refused by name", "[backends]") {
    const auto refused = [](const std::string& name, const std::function<void(BackendSpec&)>& change) {
        BackendSpec spec = BackendsFixture::mcp();
        change(spec);
        const auto checked = check_backend_spec(name, spec);
        return checked ? std::string() : checked.error().message;
    };
    CHECK(refused("a", [](BackendSpec&) {}).empty());
    CHECK(refused("a/b", [](BackendSpec&) {}).find("a/b") != std::string::npos);
    CHECK(refused("a", [](BackendSpec& spec) { spec.command.clear(); }).find("command") != std::string::npos);
    CHECK(refused("a", [](BackendSpec& spec) { spec.acceptsBatches = true; }).find("batches") != std::string::npos);
    CHECK(refused("a", [](BackendSpec& spec) { spec.cache.emplace_back(); }).find("methods") != std::string::npos);
    CHECK(refused("a", [](BackendSpec& spec) { spec.breakerOpenMsMax = 1; }).find("breakerOpenMsMax") !=
          std::string::npos);
}
