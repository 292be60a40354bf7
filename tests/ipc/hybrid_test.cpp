// Methods that are tried as direct ones first.
#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>
#include <set>

using namespace pillion;

namespace {

struct LookParams {
    std::string_view key;
};
struct LookResult {
    std::string value;
};

} // namespace

namespace pillion {
PILLION_WIRE(LookParams, PILLION_FIELD(key, "What to look for."))
PILLION_WIRE(LookResult, PILLION_FIELD(value, "What was found."))
} // namespace pillion

namespace {

// Has "near" at hand, "far" later, refuses "bad".
struct Shelf {
    std::vector<Reply<LookResult>> waiting;
    int started = 0;
    test::WireFixture wire{{hybrid_method<LookParams, LookResult>(
        "shelf.look", "Looks.",
        [](const LookParams& params, Call&, Buffer& out) -> Result<bool> {
            if (params.key == "bad") return fail(ErrorCode::invalid_params, "bad");
            if (params.key != "near") return false;
            wire::encode(LookResult{"here"}, out);
            return true;
        },
        [this](const LookParams&, Reply<LookResult> reply) {
            ++started;
            waiting.push_back(std::move(reply));
        })}};
};

std::string request(int id, const char* key) {
    return R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":"shelf.look","params":{"key":")" + key +
           "\"}}";
}

} // namespace

TEST_CASE_METHOD(Shelf, "a hybrid method answers at once what it has at hand", "[dispatcher]") {
    CHECK(wire.ask(request(1, "near"))["result"]["value"] == "here");
    CHECK(started == 0);
}

TEST_CASE_METHOD(Shelf, "a hybrid method that declines is started once and answers later", "[dispatcher]") {
    wire.send(request(1, "far"));
    REQUIRE(started == 1);
    CHECK(wire.is_silent());
    waiting.front()(LookResult{"there"});
    const auto answer = wire.next();
    CHECK(answer["id"] == 1);
    CHECK(answer["result"]["value"] == "there");
}

TEST_CASE_METHOD(Shelf, "an error of the direct part is the answer", "[dispatcher]") {
    CHECK(wire.ask(request(1, "bad"))["error"]["code"] == -32602);
    CHECK(started == 0);
}

TEST_CASE_METHOD(Shelf, "a request that a hybrid method declined can be cancelled", "[dispatcher]") {
    wire.send(request(7, "far"));
    wire.send(R"({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}})");
    CHECK(wire.next()["error"]["code"] == -32800);
    waiting.front()(LookResult{"late"});
    CHECK(wire.is_silent());
}

TEST_CASE_METHOD(Shelf, "a batch whose members are all at hand is answered at once", "[dispatcher]") {
    const auto answer = wire.ask("[" + request(1, "near") + "," + request(2, "near") + "]");
    REQUIRE(answer.size() == 2);
    CHECK(answer[1]["id"] == 2);
}

TEST_CASE_METHOD(Shelf, "a batch waits for the member that is not at hand, wherever it stands", "[dispatcher]") {
    const std::string near = request(1, "near"), far = request(2, "far"), bad = request(3, "bad");
    const std::string silent = R"({"jsonrpc":"2.0","method":"shelf.look","params":{"key":"far"}})";
    for (const std::string& batch :
         {"[" + far + "," + near + "," + bad + "]", "[" + near + "," + bad + "," + far + "]",
          "[" + near + "," + far + "," + bad + "]", "[" + silent + "," + far + "," + near + "," + bad + "]",
          "[" + near + "," + bad + "," + silent + "," + far + "]"}) {
        INFO(batch);
        waiting.clear();
        wire.send(batch);
        CHECK(wire.is_silent());
        for (auto& reply : waiting) reply(LookResult{"there"});
        const auto answer = wire.next();
        REQUIRE(answer.size() == 3);
        std::set<int> ids;
        for (const auto& member : answer) ids.insert(member["id"].get<int>());
        CHECK(ids == std::set<int>{1, 2, 3});
        CHECK(wire.is_silent());
    }
}

TEST_CASE_METHOD(Shelf, "two members that are not at hand are both waited for", "[dispatcher]") {
    wire.send("[" + request(1, "far") + "," + request(2, "far") + "]");
    REQUIRE(waiting.size() == 2);
    waiting[1](LookResult{"b"});
    CHECK(wire.is_silent());
    waiting[0](LookResult{"a"});
    CHECK(wire.next().size() == 2);
}

TEST_CASE_METHOD(Shelf, "a part of Pillion itself can call a method, in whichever lane it runs", "[dispatcher]") {
    std::vector<std::string> answers;
    const auto keep = [&answers](const Result<std::string_view>& result) {
        answers.push_back(result ? std::string(*result) : std::string(error_kind(result.error().code)));
    };
    wire.dispatcher->run_own("shelf.look", R"({"key":"far"})", keep);
    REQUIRE(waiting.size() == 1);
    CHECK(answers.empty());
    CHECK_FALSE(waiting.front().call().id().empty()); // which would say that no answer is wanted
    waiting.front()(LookResult{"there"});
    waiting.clear();
    wire.dispatcher->run_own("shelf.look", R"({"kez":"far"})", keep);
    wire.dispatcher->run_own("shelf.loo", {}, keep);
    CHECK(answers == std::vector<std::string>{R"({"value":"there"})", "invalid_params", "method_not_found"});
    CHECK(wire.is_silent());
}
