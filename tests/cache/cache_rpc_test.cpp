// The methods as a client meets them, through a dispatcher.
#include "modules/cache/cache_rpc.h"
#include "tests/cache/fake_tier.h"
#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <unistd.h>

using namespace pillion;
using nlohmann::json;
using test::CacheFixture;

namespace {

struct Wire {
    std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("pillion-cache-rpc-" + std::to_string(getpid()));
    CacheFixture it{{}, folder};
    CacheLeases leases{folder, it.timers, it.clock};
    CacheStrategies strategies{*it.cache};
    std::optional<test::WireFixture> wire;

    Wire() { wire.emplace(cache_methods(*it.cache, leases, strategies)); }
    ~Wire() {
        wire.reset();
        strategies.stop();
        std::filesystem::remove_all(folder);
    }
    json ask(const std::string& method, const json& params) {
        return wire->ask(json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", params}}.dump());
    }
    json call(const std::string& method, const json& params) {
        const json answer = ask(method, params);
        INFO(answer.dump());
        REQUIRE(answer.contains("result"));
        return answer["result"];
    }
    json refusal(const std::string& method, const json& params) {
        const json answer = ask(method, params);
        INFO(answer.dump());
        REQUIRE(answer.contains("error"));
        return answer["error"];
    }
};

} // namespace

TEST_CASE("what is put is what is got, at once and later", "[cache]") {
    Wire wire;
    const json put = wire.call("cache.put", {{"key", "k"}, {"value", {{"a", 1}}}});
    CHECK(put["stored"] == true);
    CHECK(put["tiers"] == json{"memory", "disk", "redis"});
    CHECK(wire.call("cache.get", {{"key", "k"}}) == json{{"found", true}, {"value", {{"a", 1}}}});
    wire.call("clear_memory_caches", json::object());
    CHECK(wire.call("cache.get", {{"key", "k"}}) == json{{"found", true}, {"value", {{"a", 1}}}});
    CHECK(wire.call("cache.get", {{"key", "nothing"}}) == json{{"found", false}});
    const json explained = wire.call("cache.get", {{"key", "k"}, {"explain", true}})["explanation"];
    CHECK(explained["source"] == "memory");
    CHECK(explained["freshness"] == "fresh");
    CHECK(explained["steps"][0]["outcome"] == "hit");
    CHECK(wire.call("cache.has", {{"key", "k"}})["found"] == true);
    CHECK(wire.call("cache.touch", {{"key", "k"}, {"ttlMs", 5}})["found"] == true);
    wire.it.timers.advance_ms(5);
    CHECK(wire.call("cache.has", {{"key", "k"}})["found"] == false);
}

TEST_CASE("a composite key is one key however its members are ordered", "[cache]") {
    Wire wire;
    wire.call("cache.put", {{"namespace", "llmResponse"}, {"key", {{"prompt", "p"}, {"provider", "x"}}}, {"value", 1}});
    CHECK(
        wire.wire->ask(
            R"({"jsonrpc":"2.0","id":1,"method":"cache.get","params":{"namespace":"llmResponse","key":{"provider":"x","prompt":"p"}}})")
            ["result"]["value"] == 1);
    CHECK(wire.call("cache.list", {{"namespace", "llmResponse"}})["items"][0]["key"] ==
          R"({"prompt":"p","provider":"x"})");
    CHECK(wire.call("cache.delete", {{"namespace", "llmResponse"},
                                     {"key", {{"prompt", "p"}, {"provider", "x"}}}})["memoryEntries"] == 1);
}

TEST_CASE("bytes go in and out as base64 with their content type", "[cache]") {
    Wire wire;
    wire.call("cache.put", {{"namespace", "audio"},
                            {"key", "s"},
                            {"base64", "AAEC/w=="},
                            {"contentType", "audio/wav"},
                            {"profile", "anna"}});
    const json got = wire.call("cache.get", {{"namespace", "audio"}, {"key", "s"}});
    CHECK(got["base64"] == "AAEC/w==");
    CHECK(got["contentType"] == "audio/wav");
    CHECK(wire.call("cache.list", {{"namespace", "audio"}})["items"][0]["dependsOn"] == json{"voiceProfiles/anna"});
    wire.call("cache.put", {{"namespace", "voiceProfiles"}, {"key", "anna"}, {"value", 1}});
    CHECK(wire.call("cache.get", {{"namespace", "audio"}, {"key", "s"}})["found"] == false);
}

TEST_CASE("a value comes from a file and goes to one that its lease ends", "[cache]") {
    Wire wire;
    const std::filesystem::path file = wire.folder / "in.bin";
    std::filesystem::create_directories(wire.folder);
    std::ofstream(file) << "some bytes";
    wire.call("cache.put", {{"key", "f"}, {"file", file.string()}, {"contentType", "text/plain"}});
    const json got = wire.call("cache.get", {{"key", "f"}, {"as", "file"}, {"leaseMs", 1000}});
    const std::string path = got["file"];
    CHECK(path.ends_with(".txt"));
    CHECK_FALSE(got.contains("base64"));
    std::string content;
    std::getline(std::ifstream(path), content);
    CHECK(content == "some bytes");
    wire.it.timers.advance_ms(1000);
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(wire.refusal("cache.put", {{"key", "f"}, {"file", "/nowhere/at/all"}})["data"]["kind"] == "not_found");
    CHECK(wire.refusal("cache.put", {{"key", "f"}, {"file", "relative"}})["code"] == -32602);
    CHECK(wire.refusal("cache.put", {{"key", "f"}, {"file", wire.folder.string()}})["code"] == -32602);
    wire.it.cache->configure({.fileBytesMax = 3}).value();
    CHECK(wire.refusal("cache.put", {{"key", "f"}, {"file", file.string()}})["code"] == -32004);
}

TEST_CASE("files that a killed run left are removed, leased ones of others stay", "[cache]") {
    ManualClock clock;
    ManualTimers timers(clock);
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("pillion-leases-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder / "leases");
    const auto make = [&](const std::string& name) { std::ofstream(folder / "leases" / name) << "x"; };
    make(std::to_string(clock.wall_ms() - 1) + "-1-1.bin");
    make(std::to_string(clock.wall_ms() + 5000) + "-1-1.bin");
    make("foreign");
    CacheLeases leases(folder, timers, clock);
    REQUIRE(leases.grant("y", "image/png", 1000));
    CHECK(std::distance(std::filesystem::directory_iterator(folder / "leases"), {}) == 2);
    leases.stop();
    CHECK(std::distance(std::filesystem::directory_iterator(folder / "leases"), {}) == 1);
    CHECK_FALSE(leases.grant("y", "image/png", 1000));
    std::filesystem::remove_all(folder);
}

TEST_CASE("what cannot be is refused by name", "[cache]") {
    Wire wire;
    CHECK(wire.refusal("cache.put", {{"key", "k"}})["message"] ==
          "there is no value: give value, base64, file or absent");
    CHECK(wire.refusal("cache.put", {{"key", "k"}, {"value", 1}, {"base64", ""}})["data"]["field"] == "/value");
    CHECK(wire.refusal("cache.put", {{"key", "k"}, {"base64", "a"}})["data"]["field"] == "/base64");
    CHECK(wire.refusal("cache.put", {{"key", ""}, {"value", 1}})["data"]["field"] == "/key");
    CHECK(wire.refusal("cache.put", {{"key", 5}, {"value", 1}})["data"]["field"] == "/key");
    CHECK(wire.refusal("cache.put", {{"key", "k"}, {"value", 1}, {"ttlMs", -1}})["data"]["field"] == "/ttlMs");
    CHECK(wire.refusal("cache.put", {{"key", "k"}, {"value", 1}, {"tags", {""}}})["data"]["field"] == "/tags");
    CHECK(wire.refusal("cache.get", {{"key", "k"}, {"refresh", true}})["data"]["field"] == "/load");
    CHECK(wire.refusal("cache.get", {{"key", "k"}, {"namespace", "audoi"}})["message"].get<std::string>().find(
              "audio") != std::string::npos);
    CHECK(wire.refusal("cache.invalidate", json::object())["data"]["field"] == "/all");
    CHECK(wire.refusal("cache.invalidate",
                       {{"batch", {{{"tag", "a"}}, {{"all", true}, {"tag", "x"}}}}})["data"]["field"] ==
          "/batch/1/all");
    CHECK(wire.refusal("cache.setPolicy", {{"namespace", "a b"}, {"policy", json::object()}})["data"]["field"] ==
          "/namespace");
    CHECK(wire.refusal("cache.setPolicy",
                       {{"namespace", "x"}, {"policy", {{"ttlMs", 5}, {"ttlClass", "long"}}}})["data"]["field"] ==
          "/policy/ttlClass");
    CHECK(
        wire.refusal("cache.setPolicy",
                     {{"namespace", "x"}, {"policy", {{"tiers", {{"tape", {{"enabled", true}}}}}}}})["data"]["field"] ==
        "/policy/tiers/tape");
    CHECK(wire.refusal("cache.setPolicy", {{"namespace", "x"}, {"policy", {{"encrypt", true}}}})["code"] == -32005);
}

TEST_CASE("many are read and written in one request, each with its own outcome", "[cache]") {
    Wire wire;
    const json put = wire.call(
        "cache.putMany", {{"entries", {{{"key", "a"}, {"value", 1}}, {{"key", "b"}}, {{"key", "c"}, {"value", 3}}}}});
    CHECK(put["stored"] == 2);
    CHECK(put["errors"].size() == 1);
    const json got = wire.call("cache.getMany", {{"keys", {"c", "x", "a"}}});
    CHECK(got["found"] == 2);
    CHECK(got["items"][0]["value"] == 3);
    CHECK(got["items"][1]["found"] == false);
    CHECK(got["items"][2]["key"] == "a");
    CHECK(wire.call("cache.invalidate",
                    {{"batch", {{{"namespace", "default"}, {"key", "a"}}, {{"pattern", "c*"}}}}})["memoryEntries"] ==
          2);
}

TEST_CASE("a value is loaded by a method and kept", "[cache]") {
    Wire wire;
    const json params = {{"key", "k"}, {"load", {{"method", "db/query"}, {"params", {{"q", 1}}}}}};
    CHECK(wire.call("cache.get", params)["value"] == "loaded 1");
    CHECK(wire.it.last_load.load.method == "db/query");
    CHECK(wire.it.last_load.load.params == R"({"q":1})");
    CHECK(wire.call("cache.get", params)["value"] == "loaded 1");
}

TEST_CASE("statistics tell tiers and namespaces apart", "[cache]") {
    Wire wire;
    wire.call("cache.put", {{"key", "k"}, {"value", 1}});
    for (int i = 0; i < 3; ++i) wire.call("cache.get", {{"key", "k"}});
    wire.call("cache.get", {{"key", "none"}});
    const json stats = wire.call("get_cache_stats", json::object());
    CHECK(stats["hits"] == 3);
    CHECK(stats["misses"] == 1);
    CHECK(stats["hitRatio"] == 0.75);
    REQUIRE(stats["namespaces"].size() == 1);
    CHECK(stats["namespaces"][0]["layers"][1]["tier"] == "disk");
    CHECK(stats["namespaces"][0]["layers"][1]["misses"] == 1);
    CHECK(stats["tiers"][0]["state"] == "up");
    CHECK(stats["tiers"][0]["writes"] == 1);
}

TEST_CASE("policies are shown and changed while running, namespaces listed", "[cache]") {
    Wire wire;
    CHECK(wire.call("cache.policy", {{"namespace", "vectorSearch"}})["policy"]["ttlMs"] == 300'000);
    const json set =
        wire.call("cache.setPolicy", {{"namespace", "mine"}, {"policy", {{"ttlClass", "long"}, {"eviction", "lru"}}}});
    CHECK(set["policy"]["ttlMs"] == 86'400'000);
    CHECK(wire.call("cache.policy", {{"namespace", "mine"}})["policy"]["eviction"] == "lru");
    const json names = wire.call("cache.namespaces", {{"_meta", {{"limit", 100}}}});
    INFO(names.dump());
    CHECK(names["page"]["total"] == 16);
}

TEST_CASE("assets get headers by their name and freshness", "[cache]") {
    Wire wire;
    wire.call(
        "cache.put",
        {{"namespace", "static"}, {"key", "app.3f9a1c07.js"}, {"base64", "AAAA"}, {"contentType", "text/javascript"}});
    const json fixed = wire.call("cache.headers", {{"namespace", "static"}, {"key", "app.3f9a1c07.js"}});
    CHECK(fixed["headers"]["Cache-Control"] == "public, max-age=31536000, immutable");
    CHECK(fixed["immutable"] == true);
    const std::string etag = fixed["headers"]["ETag"];
    CHECK(wire.call("cache.headers", {{"namespace", "static"},
                                      {"key", "app.3f9a1c07.js"},
                                      {"ifNoneMatch", "\"x\", W/" + etag}})["notModified"] == true);
    wire.call("cache.put", {{"namespace", "asset"}, {"key", "logo.png"}, {"base64", "AAAA"}, {"ttlMs", 60'000}});
    CHECK(wire.call("cache.headers", {{"key", "logo.png"}})["headers"]["Cache-Control"] == "public, max-age=60");
    CHECK(wire.call("cache.headers", {{"key", "none"}})["found"] == false);
}

TEST_CASE("entries leave through a file and come back", "[cache]") {
    Wire wire;
    wire.call("cache.put", {{"key", "a"}, {"value", {{"x", "line\nbreak"}}}, {"tags", {"t"}}});
    wire.call("cache.put", {{"key", {{"p", 1}}}, {"base64", "AAEC"}});
    const std::string file = (wire.folder / "export.jsonl").string();
    CHECK(wire.call("cache.export", {{"file", file}})["entries"] == 2);
    CHECK(wire.refusal("cache.export", {{"file", file}})["code"] == -32003);
    wire.call("cache.invalidate", {{"all", true}});
    std::ofstream(file, std::ios::app) << "not json\n{\"key\":\"a\"}\n";
    const json back = wire.call("cache.import", {{"file", file}});
    CHECK(back["entries"] == 2);
    CHECK(back["skipped"] == 2);
    CHECK(wire.call("cache.get", {{"key", "a"}})["value"]["x"] == "line\nbreak");
    CHECK(wire.call("cache.get", {{"key", {{"p", 1}}}})["base64"] == "AAEC");
}

TEST_CASE("every method stands once under its name", "[cache]") {
    Wire wire;
    std::set<std::string_view> names;
    for (const auto& method : wire.wire->table.all()) CHECK(names.insert(method->name).second);
    CHECK(names.contains("cache.simulate"));
    CHECK(names.size() == 22);
}
