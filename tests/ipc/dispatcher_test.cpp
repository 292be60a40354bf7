#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>
#include <latch>

namespace pillion {

struct NumberParams {
    std::int64_t number = 0;
};
PILLION_WIRE(NumberParams, PILLION_FIELD(number, "Any number."))

namespace {

using test::WireFixture;

// Methods that a test holds in its hand: `kept` are calls that wait to be answered.
struct Hand {
    std::vector<CallPtr> kept;
    std::atomic<int> runs{0};
};

Method kept_method(Hand& hand, std::string_view name) {
    return {.name = name,
            .summary = "",
            .lane = Lane::async,
            .params = &wire::type_of<NumberParams>,
            .start = [&hand](CallPtr call) {
                ++hand.runs;
                hand.kept.push_back(std::move(call));
            }};
}

std::vector<Method> methods_of(Hand& hand) {
    std::vector<Method> methods;
    methods.push_back({.name = "echo", .summary = "", .run = [](Call& call, Buffer& out) -> Result<void> {
                           out.append(call.params().empty() ? "{}" : call.params());
                           return {};
                       }});
    methods.push_back({.name = "large", .summary = "", .run = [](Call&, Buffer& out) -> Result<void> {
                           out.append('"' + std::string(30 * limits::kMiB, 'x') + '"');
                           return {};
                       }});
    methods.push_back(kept_method(hand, "kept"));
    methods.push_back(kept_method(hand, "cached").cached(1000, {"changed"}));
    methods.push_back(method("counted", "", Lane::direct, [&hand](const NumberParams& params) -> Result<NumberParams> {
                          ++hand.runs;
                          return params;
                      }).cached(1000, {"changed"}));
    methods.push_back(method("throws", "", Lane::pooled,
                             [](const NoParams&) -> Result<NoParams> { throw std::runtime_error("secret"); }));
    methods.push_back(async_method<NoParams, NoParams>("forgets", "", [](const NoParams&, Reply<NoParams>) {}));
    methods.push_back(
        list_method("numbers", "", Lane::pooled, [](const NoParams&) -> Result<std::vector<NumberParams>> {
            std::vector<NumberParams> items(45);
            for (std::size_t i = 0; i < items.size(); ++i) items[i].number = static_cast<std::int64_t>(i);
            return items;
        }).cached(1000));
    return methods;
}

struct HandOnWire {
    Hand hand;
    WireFixture wire{methods_of(hand)};
    ~HandOnWire() { hand.kept.clear(); } // calls give their memory back to the wire's pools
};

// Does something in between, as another thread might, when it is looked at for the so many-th time.
struct InterruptingClock final : Clock {
    mutable int looks_left = 0;
    std::function<void()> interrupt;
    std::int64_t now_ns() const override {
        if (looks_left > 0 && --looks_left == 0) interrupt();
        return time.now_ns();
    }
    std::int64_t wall_ms() const override { return time.wall_ms(); }
    ManualClock time;
};

std::string request(int id, std::string_view method, std::string_view params = "{}") {
    return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":")" + std::string(method) +
           R"(","params":)" + std::string(params) + "}";
}

} // namespace

TEST_CASE("a batch with a member that takes time is answered once, when that member is done", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    wire.send("[" + request(1, "kept", R"({"number":1})") + "," + request(2, "echo") + "]");
    CHECK(wire.is_silent());
    hand.kept.at(0)->answer("{}");
    const auto answer = wire.next();
    REQUIRE(answer.is_array());
    CHECK(answer.size() == 2);
    CHECK(wire.is_silent());
}

TEST_CASE("a batch is answered with 64 MiB at most, and who finds no room is told", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    const bool is_shared = GENERATE(false, true);
    std::string batch =
        "[" + request(1, "large") + "," + request(2, "large") + "," + request(3, "large") + "," + request(4, "echo");
    if (is_shared) batch += "," + request(5, "kept");
    // Not by send(): it waits until there is room for more, and nobody reads yet.
    wire.dispatcher->begin_read();
    wire.dispatcher->receive(batch + "]");
    wire.dispatcher->flush([] { return false; });
    if (is_shared) hand.kept.at(0)->answer("\"" + std::string(30 * limits::kMiB, 'y') + "\"");
    const auto answer = wire.next();
    REQUIRE(answer.size() == (is_shared ? 5 : 4));
    CHECK(answer[0]["result"].get_ref<const std::string&>().size() == 30 * limits::kMiB);
    CHECK(answer[1]["id"] == 2);
    CHECK(answer[1].contains("result"));
    for (const std::size_t refused : is_shared ? std::vector<std::size_t>{2, 4} : std::vector<std::size_t>{2}) {
        CHECK(answer[refused]["id"] == refused + 1);
        CHECK(answer[refused]["error"]["code"] == -32004);
        CHECK(answer[refused]["error"]["message"] ==
              "the answers of this batch are larger than 67108864 bytes together; send this request by itself");
    }
    CHECK(answer[3]["result"] == nlohmann::json::object()); // what is small still finds room
}

TEST_CASE("equal requests in flight run once and all are answered", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    for (int id = 1; id <= 100; ++id)
        wire.send(request(id, "cached", id % 2 ? R"({"number":7})" : R"({ "number" : 7.0e0 })"));
    CHECK(hand.runs == 1);
    hand.kept.at(0)->answer(R"({"n":1})");
    for (int id = 1; id <= 100; ++id) CHECK(wire.next()["result"]["n"] == 1);
    CHECK(wire.dispatcher->cache().stats().coalesced == 99);
}

TEST_CASE("an equal request runs nothing once more, at whatever moment the answer comes", "[dispatcher]") {
    for (int looks = 1; looks < 10; ++looks) {
        CAPTURE(looks);
        InterruptingClock clock;
        HandOnWire held;
        auto& [hand, wire] = held;
        wire.dispatcher.emplace(Dispatcher::Host{wire.table, *wire.outbox, wire.frames, wire.pools, wire.timers, clock},
                                DispatcherOptions{});
        wire.send(request(1, "cached", R"({"number":7})"));
        clock.interrupt = [&hand = hand] { hand.kept.at(0)->answer(R"({"n":1})"); };
        clock.looks_left = looks;
        wire.send(request(2, "cached", R"({"number":7})"));
        if (clock.looks_left > 0) clock.interrupt();
        CHECK(hand.runs == 1);
        CHECK(wire.next()["result"]["n"] == 1);
        CHECK(wire.next()["result"]["n"] == 1);
    }
}

TEST_CASE("who asked first may leave without ending the run that others wait for", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    wire.send(request(1, "cached", R"({"number":7})"));
    wire.send(request(2, "cached", R"({"number":7})"));
    wire.send(R"({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}})");
    CHECK(wire.next()["error"]["code"] == -32800);
    CHECK_FALSE(hand.kept.at(0)->is_cancelled());
    hand.kept.at(0)->answer(R"({"n":1})");
    CHECK(wire.next()["id"] == 2);
}

TEST_CASE("a run that nobody waits for any more is asked to stop", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    wire.send(request(1, "cached", R"({"number":7})"));
    wire.send(R"({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":1}})");
    CHECK(wire.next()["error"]["code"] == -32800);
    CHECK(hand.kept.at(0)->is_cancelled());
}

TEST_CASE("an answer is kept until its time is over or an event ends it", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    const auto ask = [&](std::string_view meta = "{}") {
        return wire.ask(request(1, "counted", R"({"number":7,"_meta":)" + std::string(meta) + "}"));
    };
    ask();
    CHECK(ask(R"({"cache":"default"})")["result"]["_meta"]["cached"] == true);
    CHECK(hand.runs == 1);
    wire.clock.advance_ms(1001);
    CHECK(ask(R"({"cache":"default"})")["result"]["_meta"]["cached"] == false);
    CHECK(hand.runs == 2);
    wire.dispatcher->cache().invalidate_by("changed");
    ask();
    CHECK(hand.runs == 3);
    ask(R"({"cache":"bypass"})");
    CHECK(hand.runs == 4);
    wire.clock.advance_ms(500);
    CHECK(ask(R"({"maxAgeMs":400})")["result"]["_meta"]["cached"] == false);
    CHECK(ask(R"({"cache":"refresh"})")["result"]["_meta"]["cached"] == false);
}

TEST_CASE("a stale answer is served within its grace while a fresh one is made", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    wire.ask(request(1, "counted", R"({"number":7})"));
    wire.clock.advance_ms(1500);
    const auto answer = wire.ask(request(2, "counted", R"({"number":7,"_meta":{"staleOkMs":1000}})"));
    CHECK(answer["result"]["_meta"]["stale"] == true);
    CHECK(answer["result"]["_meta"]["ageMs"] == 1500);
    CHECK(hand.runs == 2); // the refresh
    CHECK(wire.ask(request(3, "counted", R"({"number":7,"_meta":{"cache":"default"}})"))["result"]["_meta"]["ageMs"] ==
          0);
}

TEST_CASE("onlyIfCached makes nothing", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    CHECK(wire.ask(request(1, "counted", R"({"number":7,"_meta":{"cache":"onlyIfCached"}})"))["error"]["code"] ==
          -32002);
    CHECK(hand.runs == 0);
}

TEST_CASE("an unchanged result is not sent again to who has its etag", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    const auto first = wire.ask(request(1, "echo", R"({"a":1})"));
    CHECK_FALSE(first["result"].contains("_meta"));
    const std::string etag =
        wire.ask(request(2, "counted", R"({"number":7,"_meta":{"ifNoneMatch":""}})"))["result"]["_meta"]["etag"];
    const auto again = wire.ask(request(3, "counted", R"({"number":7,"_meta":{"ifNoneMatch":")" + etag + R"("}})"));
    CHECK(again["result"] == nlohmann::json{{"_meta", {{"notModified", true}, {"etag", etag}}}});
}

TEST_CASE("pages of a cached list are kept apart", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    CHECK(wire.ask(request(1, "numbers", R"({"_meta":{"page":2}})"))["result"]["items"][0]["number"] == 20);
    CHECK(wire.ask(request(2, "numbers", R"({"_meta":{"page":3,"fields":"number"}})"))["result"]["items"].size() == 5);
    CHECK(wire.ask(request(3, "numbers", R"({"_meta":{"sortOrder":"desc"}})"))["result"]["items"][0]["number"] == 44);
    CHECK(wire.ask(request(4, "numbers"))["result"]["page"] ==
          nlohmann::json{{"page", 1}, {"limit", 20}, {"total", 45}, {"pages", 3}});
    CHECK(wire.ask(request(5, "numbers", R"({"_meta":{"fields":"nmber"}})"))["error"]["data"]["hint"] == "number");
}

TEST_CASE("a deadline answers, and stops the work", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    wire.send(request(1, "kept", R"({"number":1,"_meta":{"timeoutMs":50}})"));
    wire.timers.advance_ms(49);
    CHECK(wire.is_silent());
    wire.timers.advance_ms(1);
    CHECK(wire.next()["error"]["data"]["kind"] == "timeout");
    CHECK(hand.kept.at(0)->is_cancelled());
    hand.kept.at(0)->answer("{}");
    CHECK(wire.is_silent());
    CHECK(wire.dispatcher->in_flight() == 0);
}

TEST_CASE("a handler that throws answers an internal error without its text", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    const auto answer = wire.ask(request(1, "throws"));
    CHECK(answer["error"]["code"] == -32603);
    CHECK(answer.dump().find("secret") == std::string::npos);
}

TEST_CASE("a reply that is dropped is answered all the same", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    CHECK(wire.ask(request(1, "forgets"))["error"]["code"] == -32603);
}

TEST_CASE("draining waits for nothing that is done and answers what is not", "[dispatcher]") {
    HandOnWire held;
    auto& [hand, wire] = held;
    CHECK(wire.dispatcher->drain(0));
    wire.send(request(1, "kept", R"({"number":1})"));
    CHECK_FALSE(wire.dispatcher->drain(0));
    CHECK(wire.next()["error"]["data"]["kind"] == "unavailable");
}

TEST_CASE("urgent work goes first, and what was passed over often enough is served all the same", "[dispatcher]") {
    PriorityPicker picker;
    const std::array<bool, priorities> all{true, true, true, true};
    std::array<unsigned, priorities> served{};
    CHECK(picker.pick({false, false, true, true}) == 2);
    CHECK(picker.pick({false, false, false, false}) == priorities);
    for (int i = 0; i < 1000; ++i) ++served[picker.pick(all)];
    CHECK(served[0] > 800);
    for (const unsigned count : served) CHECK(count > 30);
}

} // namespace pillion
