// The methods `components.*` as a client sees them.
#include "modules/components/components_rpc.h"
#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>

using namespace pillion;
using nlohmann::json;

namespace {

// A client's component, so that everything happens over the wire.
struct Wire {
    ManualClock clock;
    ManualTimers timers{clock};
    Io io{clock};
    ProcessHost processes{io, clock, {}};
    std::vector<ComponentWanted> wanted;
    Components components{{.io = io,
                           .timers = timers,
                           .clock = clock,
                           .processes = processes,
                           .run_blocking = [](const std::function<void()>& work) { work(); },
                           .check_json = check_json_text,
                           .on_wanted = [this](const ComponentWanted& want) { wanted.push_back(want); }}};
    test::WireFixture wire{components_methods(components)};

    Wire() {
        components.set_listened(true);
        timers.advance_ms(0);
    }
    void send(std::string_view method, const json& params, int id = 1) {
        wire.send(json{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}}.dump());
        timers.advance_ms(0);
    }
    json ask(std::string_view method, const json& params) {
        send(method, params);
        return wire.next();
    }
    void declare(const json& components_of) {
        const json answer = ask("components.register", {{"components", components_of}});
        INFO(answer.dump());
        REQUIRE(answer.contains("result"));
    }
};

const json editor = {{"kind", "client"}, {"load", "firstUse"}, {"timeoutMs", 1000}};

} // namespace

TEST_CASE_METHOD(Wire, "components are registered, listed and shown", "[components]") {
    const json answer =
        ask("components.register",
            {{"components", {{"editor", editor}, {"spelling", {{"kind", "client"}, {"dependsOn", {"editor"}}}}}}});
    CHECK(answer["result"]["registered"] == json{"editor", "spelling"});
    CHECK(answer["result"]["total"] == 2);
    CHECK(ask("get_component_info", {{"kind", "client"}})["result"]["items"].size() == 2);
    CHECK(ask("components.list", {{"state", "ready"}})["result"]["items"].empty());
    const json shown = ask("components.get", {{"name", "spelling"}})["result"];
    CHECK(shown["info"]["state"] == "idle");
    CHECK(shown["spec"]["dependsOn"] == json{"editor"});
}

TEST_CASE_METHOD(Wire, "what is wrong in a declaration is named with its component and the nearest spelling",
                 "[components]") {
    json unknown_member = editor;
    unknown_member["dependOn"] = json::array();
    const json member = ask("components.register", {{"components", {{"editor", unknown_member}}}})["error"];
    CHECK(member["code"] == -32602);
    CHECK(member.dump().find("dependsOn") != std::string::npos);
    CHECK(member.dump().find("editor") != std::string::npos);
    const json circle = ask("components.register", {{"components",
                                                     {{"a", {{"kind", "client"}, {"dependsOn", {"b"}}}},
                                                      {"b", {{"kind", "client"}, {"dependsOn", {"a"}}}}}}})["error"];
    CHECK(circle["message"].get<std::string>().find("a → b → a") != std::string::npos);
    CHECK(ask("components.list", json::object())["result"]["items"].empty());
    CHECK(ask("components.get", {{"name", "x"}})["error"]["code"] == -32002);
}

TEST_CASE_METHOD(Wire, "a load is answered when the client has done its work", "[components]") {
    declare({{"editor", editor}});
    send("components.load", {{"name", "editor"}}, 7);
    REQUIRE(wanted.size() == 1);
    send("components.complete", {{"token", wanted[0].token}, {"result", {{"chunks", 3}}}}, 8);
    json load = wire.next(), completed = wire.next();
    if (load["id"] == 8) std::swap(load, completed);
    CHECK(completed["result"]["accepted"] == true);
    CHECK(load["id"] == 7);
    CHECK(load["result"]["state"] == "ready");
    CHECK(load["result"]["result"] == json{{"chunks", 3}});
    CHECK(ask("components.complete", {{"token", "x"}})["error"]["code"] == -32002);
}

TEST_CASE_METHOD(Wire, "the older name takes the older spelling", "[components]") {
    declare({{"editor", editor}});
    send("load_component", {{"component_name", "editor"}});
    REQUIRE(wanted.size() == 1);
    send("components.complete", {{"token", wanted[0].token}});
    const json first = wire.next(), second = wire.next();
    CHECK((first.contains("result") && second.contains("result")));
    CHECK(ask("load_component", json::object())["error"]["message"] == "`name` is missing: the component to load");
    CHECK(ask("load_component", {{"name", "a"}, {"component_name", "b"}})["error"]["code"] == -32602);
}

TEST_CASE_METHOD(Wire, "a cancelled load is taken back", "[components]") {
    declare({{"editor", editor}});
    send("components.load", {{"name", "editor"}}, 7);
    wire.send(R"({"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":7}})");
    timers.advance_ms(0);
    CHECK(wire.next()["error"]["code"] == -32800);
    CHECK(components.find("editor")->state == ComponentState::idle);
}

TEST_CASE_METHOD(Wire, "a load that fails says why, or gives the fallback", "[components]") {
    json with_fallback = editor;
    with_fallback["fallback"] = {{"html", "<p>plain</p>"}};
    declare({{"editor", editor}, {"slides", with_fallback}});
    send("components.load", {{"name", "editor"}}, 7);
    send("components.load", {{"name", "slides"}}, 8);
    timers.advance_ms(1000);
    json first = wire.next(), second = wire.next();
    if (first["id"] == 8) std::swap(first, second);
    CHECK(first["error"]["code"] == -32001);
    CHECK(
        first["error"]["message"].get<std::string>().starts_with("component \"editor\": was not ready within 1000 ms"));
    CHECK(second["result"]["state"] == "failed");
    CHECK(second["result"]["fallback"]["html"] == "<p>plain</p>");
}

TEST_CASE_METHOD(Wire, "signals and triggers answer what they load", "[components]") {
    json advanced = editor;
    advanced["load"] = "onSignal";
    advanced["signals"] = {"editor.advanced"};
    declare({{"advanced", advanced}});
    CHECK(ask("preload_components", {{"trigger", "editor.advanced"}})["result"]["queued"] == json{"advanced"});
    CHECK(ask("components.signal", {{"signal", "nothing"}})["result"]["queued"].empty());
    CHECK(ask("components.preload", {{"names", {"advancd"}}})["error"]["code"] == -32002);
    CHECK(ask("components.predict", json::object())["result"]["components"].empty());
}

TEST_CASE_METHOD(Wire, "unload and usage answer for the component", "[components]") {
    declare({{"editor", editor}});
    CHECK(ask("components.unload", {{"name", "editor"}})["result"]["state"] == "idle");
    CHECK(ask("components.unload", {{"name", "editr"}})["error"]["message"] ==
          "no component is named \"editr\"; the nearest is \"editor\"");
    const json usage = ask("components.usage", json::object())["result"];
    CHECK(usage["components"][0]["name"] == "editor");
    CHECK(usage["prediction"]["preloads"] == 0);
}

TEST_CASE("a result is checked as JSON with the place where it is wrong", "[components]") {
    CHECK(check_json_text(R"({"a":[1,2]})"));
    CHECK(check_json_text("{\"a\":1} x").error().message == "more follows after the value at byte 8");
    CHECK(!check_json_text("Reading ..."));
    CHECK(!check_json_text(""));
}
