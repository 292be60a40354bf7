// The three documents made from one table of methods: what a machine, a compiler and a person read of it.
#include "ipc/json_scanner.h"
#include "ipc/schema/example.h"
#include "ipc/schema/openrpc.h"
#include "ipc/schema/reference.h"
#include "ipc/schema/type_names.h"
#include "ipc/schema/typescript.h"

#include <catch2/catch.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>

namespace pillion {

enum class Level : std::uint8_t { low, high };
PILLION_ENUM(Level, "low", "high")

struct Tag {
    std::string label;
    Level level = Level::high;
};
PILLION_WIRE(Tag, PILLION_FIELD(label, "What it says", between(1, 32)),
             PILLION_FIELD(level, "How loud it says it.", defaulted))

struct StoreParams {
    std::string key;
    std::vector<Tag> tags;
    double weight = 0.5;
    std::int64_t ttlMs = 60'000;
    std::optional<Json> value;
    std::map<std::string, std::uint32_t> counts;
};
PILLION_WIRE(StoreParams, PILLION_FIELD(key, "Where to store it: a | b.", between(1, 256)),
             PILLION_FIELD(tags, "Labels to put on it.", between(1, 8)),
             PILLION_FIELD(weight, "How much it counts.", between(0.25, 1), defaulted),
             PILLION_FIELD(ttlMs, "How long to keep it.", between(0, 86'400'000), defaulted),
             PILLION_FIELD(value, "Anything; a comment ends with */ there."),
             PILLION_FIELD(counts, "Counters by name.", defaulted))

struct StoreResult {
    bool stored = true;
    std::optional<std::string> previous;
};
PILLION_WIRE(StoreResult, PILLION_FIELD(stored, "Whether it was stored.", defaulted),
             PILLION_FIELD(previous, "What stood there."))

struct Entry {
    std::string key;
    std::int64_t bytes = 0;
};
PILLION_WIRE(Entry, PILLION_FIELD(key, "Its key.", sortable), PILLION_FIELD(bytes, "Its size.", sortable))

struct LateFirst {
    std::optional<std::int32_t> limit;
    std::uint64_t offset = 0;
};
PILLION_WIRE(LateFirst, PILLION_FIELD(limit, "At most so many."), PILLION_FIELD(offset, "From there."))

struct Reading {
    double load = 0;
    Level level = Level::low;
};
PILLION_WIRE(Reading, PILLION_FIELD(load, "Load from 0 to 1."), PILLION_FIELD(level, "How bad that is."))

namespace {

// PILLION_WIRE cannot say this, for a struct is not described before its list of members ends; a table by hand can.
extern const wire::Type tree_type;
constexpr wire::Type trees_type{.kind = wire::Kind::list, .element = &tree_type};
constexpr wire::Field tree_fields[] = {
    {.name = "name", .doc = "Name of the node.", .offset = 0, .type = &wire::type_of<std::string>},
    {.name = "children", .doc = "The nodes below.", .offset = 0, .type = &trees_type}};
constexpr wire::Type tree_type{
    .kind = wire::Kind::object, .name = "forest::Tree", .doc = "A node.", .fields = tree_fields};

constexpr Event reading_event = event<Reading>("gauge.sample", "gauges", EventKind::sample, "A reading of the gauge.");
constexpr Event stored_event = event<Entry>("store.changed", "store", EventKind::change, "An entry changed");
constexpr const Event* events[] = {&reading_event, &stored_event};

std::vector<Method> make_methods() {
    std::vector<Method> methods;
    methods.push_back(
        method("store.put", "Stores a value", Lane::pooled, [](const StoreParams&) -> Result<StoreResult> {
            return StoreResult{};
        }).alias("store.set"));
    methods.push_back(
        list_method("store.list", "All entries.", Lane::direct, [](const NoParams&) -> Result<std::vector<Entry>> {
            return std::vector<Entry>{};
        }).cached(5'000, {"store.changed"}));
    methods.push_back(async_method<LateFirst, Entry>("gauge.wait", "Waits.", [](const LateFirst&, Reply<Entry>) {}));
    methods.push_back(Method{.name = "shutdown", .summary = "Ends it.", .lane = Lane::direct});
    methods.push_back(Method{.name = "tree.get", .summary = "The tree.", .params = &tree_type, .result = &tree_type});
    return methods;
}

const MethodTable& methods() {
    static const auto table = [] {
        auto made = std::make_unique<MethodTable>();
        made->add(make_methods());
        return made;
    }();
    return *table;
}

const nlohmann::json& openrpc() {
    static const nlohmann::json document = nlohmann::json::parse(openrpc_document(methods(), events, "1.2.3"));
    return document;
}

nlohmann::json openrpc_method(const std::string& name) {
    for (const auto& method : openrpc()["methods"])
        if (method["name"] == name) return method;
    return nullptr;
}

nlohmann::json openrpc_param(const std::string& method, const std::string& name) {
    const nlohmann::json described = openrpc_method(method);
    for (const auto& param : described["params"])
        if (param["name"] == name) return param;
    return nullptr;
}

const nlohmann::json& schema_of(const std::string& name) { return openrpc()["components"]["schemas"][name]; }

std::set<std::string> all_matches(const std::string& text, const std::string& pattern) {
    const std::regex regex(pattern);
    std::set<std::string> found;
    for (auto at = std::sregex_iterator(text.begin(), text.end(), regex); at != std::sregex_iterator(); ++at)
        found.insert((*at)[1].str());
    return found;
}

const std::string& typescript() {
    static const std::string text = typescript_types(methods(), events);
    return text;
}

const std::string& reference() {
    static const std::string text = method_reference(methods(), events);
    return text;
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("the OpenRPC document lists every method and every alias", "[schema]") {
    CHECK(openrpc()["openrpc"] == "1.3.2");
    CHECK(openrpc()["info"]["version"] == "1.2.3");
    std::vector<std::string> names;
    for (const auto& method : openrpc()["methods"]) names.push_back(method["name"]);
    CHECK(names ==
          std::vector<std::string>{"store.put", "store.set", "store.list", "gauge.wait", "shutdown", "tree.get"});
    CHECK(openrpc_method("store.put")["x-aliases"] == nlohmann::json::array({"store.set"}));
    CHECK(openrpc_method("store.set")["x-aliasOf"] == "store.put");
    CHECK(openrpc_method("store.set")["params"] == openrpc_method("store.put")["params"]);
}

TEST_CASE("OpenRPC methods say their lane and what their answers are worth keeping for", "[schema]") {
    CHECK(openrpc_method("store.put")["x-lane"] == "pooled");
    CHECK(openrpc_method("gauge.wait")["x-lane"] == "async");
    CHECK(openrpc_method("store.list")["x-cacheTtlMs"] == 5000);
    CHECK(openrpc_method("store.list")["x-invalidatedBy"] == nlohmann::json::array({"store.changed"}));
    CHECK_FALSE(openrpc_method("store.put").contains("x-cacheTtlMs"));
}

TEST_CASE("OpenRPC params carry bounds without decimals, defaults and whether they are required", "[schema]") {
    const auto key = openrpc_param("store.put", "key");
    CHECK(key["required"] == true);
    CHECK(key["schema"] == R"({"type":"string","minLength":1,"maxLength":256})"_json);
    const auto ttl = openrpc_param("store.put", "ttlMs");
    CHECK(ttl["required"] == false);
    CHECK(ttl["schema"] == R"({"type":"integer","minimum":0,"maximum":86400000,"default":60000})"_json);
    CHECK(ttl["schema"]["maximum"].is_number_integer());
    const auto weight = openrpc_param("store.put", "weight")["schema"];
    CHECK(weight == R"({"type":"number","minimum":0.25,"maximum":1,"default":0.5})"_json);
    const auto tags = openrpc_param("store.put", "tags")["schema"];
    CHECK(tags == R"({"type":"array","items":{"$ref":"#/components/schemas/Tag"},"minItems":1,"maxItems":8})"_json);
    const auto counts = openrpc_param("store.put", "counts")["schema"];
    CHECK(counts["additionalProperties"] == R"({"type":"integer","minimum":0,"maximum":4294967295})"_json);
    CHECK(counts["default"] == nlohmann::json::object());
    CHECK(openrpc_param("store.put", "value")["schema"] == nlohmann::json::object());
}

TEST_CASE("OpenRPC params that are required come first, and by name only where that is not the declared order",
          "[schema]") {
    CHECK(openrpc_method("store.put")["paramStructure"] == "either");
    CHECK(openrpc_method("gauge.wait")["paramStructure"] == "by-name");
    CHECK(openrpc_method("gauge.wait")["params"][0]["name"] == "offset");
    CHECK(openrpc_method("gauge.wait")["params"][1]["name"] == "limit");
}

TEST_CASE("a struct's schema refuses unknown members only where clients send it", "[schema]") {
    CHECK(schema_of("Tag")["additionalProperties"] == false);
    CHECK(schema_of("Tag")["required"] == nlohmann::json::array({"label"}));
    CHECK(schema_of("Tag")["properties"]["level"] == R"({
        "allOf": [{"$ref": "#/components/schemas/Level"}],
        "description": "How loud it says it.",
        "default": "high"
    })"_json);
    CHECK_FALSE(schema_of("StoreResult").contains("additionalProperties"));
    CHECK(schema_of("StoreResult")["required"] == nlohmann::json::array({"stored"}));
    CHECK(schema_of("Level") == R"({"type":"string","enum":["low","high"]})"_json);
    CHECK(schema_of("StoreParams")["properties"]["_meta"] == R"({"$ref":"#/components/schemas/RequestMeta"})"_json);
    CHECK_FALSE(schema_of("Tag")["properties"].contains("_meta"));
}

TEST_CASE("the schema of _meta says which JSON its free-form members take", "[schema]") {
    CHECK(schema_of("RequestMeta")["properties"]["progressToken"]["type"] ==
          nlohmann::json::array({"string", "number"}));
    CHECK(schema_of("RequestMeta")["properties"]["timeoutMs"]["maximum"] == 86400000);
    CHECK(schema_of("RequestMeta")["properties"]["priority"]["default"] == "normal");
    CHECK(schema_of("RequestMeta")["patternProperties"].contains("[./]"));
}

TEST_CASE("a method that lists answers items and their page", "[schema]") {
    const auto schema = openrpc_method("store.list")["result"]["schema"];
    CHECK(schema["properties"]["items"] == R"({"type":"array","items":{"$ref":"#/components/schemas/Entry"}})"_json);
    CHECK(schema["properties"]["page"] == R"({"$ref":"#/components/schemas/Page"})"_json);
    CHECK(openrpc_method("store.list")["x-sortable"] == nlohmann::json::array({"key", "bytes"}));
    CHECK(openrpc_method("store.list")["params"] == nlohmann::json::array());
}

TEST_CASE("every reference of the OpenRPC document resolves", "[schema]") {
    const std::string text = openrpc().dump();
    const auto references = all_matches(text, R"re("\$ref":"#([^"]+)")re");
    CHECK(references.size() > 20);
    for (const std::string& reference : references) {
        INFO(reference);
        CHECK(openrpc().contains(nlohmann::json::json_pointer(reference)));
    }
    CHECK(openrpc()["components"]["errors"]["timeout"]["code"] == -32001);
    CHECK(openrpc()["components"]["errors"]["timeout"]["data"]["retryable"] == true);
}

TEST_CASE("the OpenRPC document describes events", "[schema]") {
    CHECK(openrpc()["x-events"][0] == R"({"name":"gauge.sample","topic":"gauges","kind":"sample",
        "summary":"A reading of the gauge.","payload":{"$ref":"#/components/schemas/Reading"}})"_json);
    CHECK(openrpc()["x-events"][1]["kind"] == "change");
}

TEST_CASE("a free-form method is described without params of its own", "[schema]") {
    CHECK(openrpc_method("shutdown")["params"] == nlohmann::json::array());
    CHECK(openrpc_method("shutdown")["x-freeFormParams"] == true);
    CHECK(openrpc_method("shutdown")["result"]["schema"] == R"({"type":"object"})"_json);
    CHECK(has(typescript(),
              R"("shutdown": { params: Record<string, unknown> | unknown[]; result: Record<string, unknown> };)"));
    CHECK(has(reference(), "**Params:** free-form."));
}

TEST_CASE("TypeScript types start with who made them", "[schema]") {
    CHECK(typescript().starts_with("// Generated by `pillion schema --format typescript`. Do not edit.\n"));
    CHECK(typescript().ends_with("] as const;\n"));
}

TEST_CASE("a member may be left out in TypeScript where the wire allows it", "[schema]") {
    CHECK(has(typescript(), "  key: string;\n"));
    CHECK(has(typescript(), "  weight?: number;\n"));
    CHECK(has(typescript(), "  counts?: Record<string, number>;\n"));
    CHECK(has(typescript(), "  value?: unknown;\n"));
    CHECK(has(typescript(), "  tags: Tag[];\n"));
    CHECK(has(typescript(), "  stored: boolean;\n"));
    CHECK(has(typescript(), "  previous?: string;\n"));
    CHECK(has(typescript(), "  progressToken?: string | number;\n"));
    CHECK(has(typescript(), "  fields?: string | string[];\n"));
}

TEST_CASE("TypeScript comments tell range and default and cannot be ended from inside", "[schema]") {
    CHECK(
        has(typescript(), "  /** How long to keep it. Range: 0 to 86400000. Default: 60000. */\n  ttlMs?: number;\n"));
    CHECK(has(typescript(), "  /** What it says. Range: 1 to 32 bytes. */\n"));
    CHECK(has(typescript(), "a comment ends with *\\/ there."));
}

TEST_CASE("TypeScript has enums, structs that hold themselves and structs without members", "[schema]") {
    CHECK(has(typescript(), "export type Level = \"low\" | \"high\";\n"));
    CHECK(has(typescript(), "  children: forestTree[];\n"));
    CHECK(has(typescript(), "export type NoParams = Record<string, never>;\n"));
}

TEST_CASE("TypeScript maps name every method, alias and event", "[schema]") {
    CHECK(has(typescript(),
              "  /** Stores a value. */\n  \"store.put\": { params: StoreParams; result: StoreResult };\n"));
    CHECK(has(typescript(), "  \"store.set\": { params: StoreParams; result: StoreResult };\n"));
    CHECK(has(typescript(), "  \"store.list\": { params: NoParams; result: ListOf<Entry> };\n"));
    CHECK(has(typescript(), "  \"gauge.sample\": Reading;\n"));
    CHECK(has(
        typescript(),
        "export const topics = {\n  \"gauge.sample\": \"gauges\",\n  \"store.changed\": \"store\",\n} as const;\n"));
    CHECK(has(typescript(), "export const asyncMethods = [\n  \"gauge.wait\",\n] as const;\n"));
}

TEST_CASE("every link of the reference leads to an anchor that stands there once", "[schema]") {
    const auto links = all_matches(reference(), R"(\]\(#([^)]+)\))");
    const auto anchors = all_matches(reference(), R"re(<a id="([^"]+)"></a>)re");
    CHECK(links.size() > 10);
    for (const std::string& target : links) {
        INFO(target);
        CHECK(anchors.contains(target));
    }
    for (const std::string& anchor : anchors) {
        INFO(anchor);
        const std::string tag = "id=\"" + anchor + "\"";
        CHECK(reference().find(tag) == reference().rfind(tag));
    }
}

TEST_CASE("the reference groups methods by the part before the dot", "[schema]") {
    CHECK(has(reference(),
              "- [store](#group-store): [`store.put`](#method-store.put), [`store.list`](#method-store.list)\n"));
    CHECK(has(reference(), "- [general](#group-general): [`shutdown`](#method-shutdown)\n"));
}

TEST_CASE("the reference tables every param and keeps the table whole", "[schema]") {
    CHECK(has(reference(), "| `key` | string | yes | 1 to 256 bytes | Where to store it: a \\| b. |\n"));
    CHECK(has(reference(), "| `tags` | list of [Tag](#type-Tag) | yes | 1 to 8 elements | Labels to put on it. |\n"));
    CHECK(has(reference(), "| `weight` | number | default `0.5` | 0.25 to 1 | How much it counts. |\n"));
    CHECK(has(reference(), "| `previous` | string | may be missing | What stood there. |\n"));
}

TEST_CASE("the reference has a section for nested types only", "[schema]") {
    CHECK(has(reference(), "### forestTree\n"));
    CHECK(has(reference(), "### Level\n\nOne of `\"low\"`, `\"high\"`.\n"));
    CHECK_FALSE(has(reference(), "### StoreParams\n"));
}

TEST_CASE("the reference tells aliases, caching and errors", "[schema]") {
    CHECK(has(reference(), "Also called `store.set`."));
    CHECK(has(reference(), "The answer may be kept for 5000 ms or until `store.changed`."));
    CHECK(has(reference(), "| `-32001` | `timeout` | yes | The request's deadline passed. |\n"));
}

TEST_CASE("an example request has the required params and is accepted", "[schema]") {
    const std::string request = schema::example_request(*methods().find("store.put"));
    CHECK(request ==
          R"({"jsonrpc":"2.0","id":1,"method":"store.put","params":{"key":"key-1","tags":[{"label":"label"}]}})");
    CHECK(has(reference(), "```json\n" + request + "\n```\n"));
    StoreParams params;
    std::string scratch;
    CHECK(wire::decode_params(nlohmann::json::parse(request)["params"].dump(), params, scratch));
}

TEST_CASE("an example of a struct that requires itself comes to an end", "[schema]") {
    const std::string request = schema::example_request(*methods().find("tree.get"));
    CHECK(nlohmann::json::accept(request));
    CHECK(has(request, R"("children":[]})"));
}

TEST_CASE("an example request of a method without required params has none", "[schema]") {
    CHECK(schema::example_request(*methods().find("store.list")) ==
          R"({"jsonrpc":"2.0","id":1,"method":"store.list"})");
}

TEST_CASE("two types of one name get names of their own", "[schema]") {
    static constexpr wire::Type other{.kind = wire::Kind::object, .name = "Entry"};
    MethodTable table;
    table.add({Method{.name = "a", .summary = "One.", .result = &wire::type_of<Entry>},
               Method{.name = "b", .summary = "Other.", .result = &other}});
    CHECK(has(typescript_types(table, {}), "export interface Entry2 {\n}\n"));
    CHECK(has(typescript_types(table, {}), "result: Entry2 };\n"));
}

TEST_CASE("documents are the same each time they are made", "[schema]") {
    CHECK(openrpc_document(methods(), events, "1") == openrpc_document(methods(), events, "1"));
    CHECK(method_reference(methods(), events) == reference());
    CHECK(openrpc_document(methods(), events, "1").ends_with("}\n"));
    CHECK(reference().ends_with("|\n"));
}

TEST_CASE("documents of a program without methods and events are whole", "[schema]") {
    const MethodTable none;
    CHECK(nlohmann::json::parse(openrpc_document(none, {}, "1"))["methods"] == nlohmann::json::array());
    CHECK(has(typescript_types(none, {}), "export interface Methods {\n}\n"));
    CHECK(has(method_reference(none, {}), "## Errors\n"));
}

} // namespace pillion
