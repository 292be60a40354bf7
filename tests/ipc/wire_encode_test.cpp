#include "ipc/wire_decode.h"
#include "ipc/wire_encode.h"

#include <catch2/catch.hpp>
#include <cmath>

namespace pillion {

enum class EncodeLevel : std::uint16_t { low, high };
PILLION_ENUM(EncodeLevel, "low", "high")

struct EncodeItem {
    std::string id;
    std::optional<double> score;
    friend bool operator==(const EncodeItem&, const EncodeItem&) = default;
};
PILLION_WIRE(EncodeItem, PILLION_FIELD(id, "Id."), PILLION_FIELD(score, "Score."))

struct EncodeAll {
    bool flag = false;
    std::int32_t i32 = 0;
    std::uint32_t u32 = 0;
    std::int64_t i64 = 0;
    std::uint64_t u64 = 0;
    double number = 0;
    std::string text;
    EncodeLevel level = EncodeLevel::low;
    EncodeItem item;
    std::vector<EncodeItem> items;
    std::map<std::string, EncodeItem> by_name;
    std::optional<std::vector<std::string>> tags;
    friend bool operator==(const EncodeAll&, const EncodeAll&) = default;
};
PILLION_WIRE(EncodeAll, PILLION_FIELD(flag, "."), PILLION_FIELD(i32, "."), PILLION_FIELD(u32, "."),
             PILLION_FIELD(i64, "."), PILLION_FIELD(u64, "."), PILLION_FIELD(number, "."), PILLION_FIELD(text, "."),
             PILLION_FIELD(level, "."), PILLION_FIELD(item, "."), PILLION_FIELD(items, "."),
             PILLION_FIELD(by_name, "."), PILLION_FIELD(tags, "."))

struct EncodeFree {
    Json json;
    JsonView view;
    std::string_view text;
};
PILLION_WIRE(EncodeFree, PILLION_FIELD(json, "."), PILLION_FIELD(view, "."), PILLION_FIELD(text, "."))

struct EncodeOptionals {
    std::optional<std::int64_t> a;
    std::optional<std::int64_t> b;
};
PILLION_WIRE(EncodeOptionals, PILLION_FIELD(a, "."), PILLION_FIELD(b, "."))

} // namespace pillion

using namespace pillion;

namespace {

template <class T>
std::string encoded(const T& value) {
    static BufferPool pool;
    Buffer out(pool);
    wire::encode(value, out);
    return std::string(out.view());
}

} // namespace

TEST_CASE("what is encoded decodes to the same", "[encode]") {
    const EncodeAll original{.flag = true,
                             .i32 = -2147483648,
                             .u32 = 4294967295,
                             .i64 = -9007199254740991,
                             .u64 = 9007199254740991,
                             .number = 0.1,
                             .text = "quote \" backslash \\ newline \n euro \xE2\x82\xAC",
                             .level = EncodeLevel::high,
                             .item = {"one", 1e-300},
                             .items = {{"a", std::nullopt}, {"", -0.5}},
                             .by_name = {{"", {"x", 1}}, {"k\"ey", {"y", std::nullopt}}},
                             .tags = std::vector<std::string>{"t", "\t"}};
    EncodeAll back;
    std::string scratch;
    const std::string json = encoded(original);
    const auto decoded = wire::decode_params(json, back, scratch);
    INFO(json);
    REQUIRE(decoded);
    CHECK(back == original);
    CHECK(encoded(back) == json);
}

TEST_CASE("members are written in the declared order and empty ones left out", "[encode]") {
    CHECK(
        encoded(EncodeAll{}) ==
        R"({"flag":false,"i32":0,"u32":0,"i64":0,"u64":0,"number":0,"text":"","level":"low","item":{"id":""},"items":[],"by_name":{}})");
    CHECK(encoded(EncodeOptionals{}) == "{}");
    CHECK(encoded(EncodeOptionals{.a = {}, .b = 2}) == R"({"b":2})");
    CHECK(encoded(EncodeOptionals{.a = 1, .b = 2}) == R"({"a":1,"b":2})");
    CHECK(encoded(NoParams{}) == "{}");
}

TEST_CASE("what JSON has no number for becomes null", "[encode]") {
    CHECK(encoded(EncodeItem{"a", NAN}) == R"({"id":"a","score":null})");
    CHECK(encoded(EncodeItem{"a", -INFINITY}) == R"({"id":"a","score":null})");
}

TEST_CASE("free-form values go out byte for byte", "[encode]") {
    CHECK(encoded(EncodeFree{{R"({ "a" : 1.0 })"}, {"1e2"}, "v"}) == R"({"json":{ "a" : 1.0 },"view":1e2,"text":"v"})");
    CHECK(encoded(EncodeFree{}) == R"({"json":null,"view":null,"text":""})");
}

TEST_CASE("text that is not UTF-8 goes out as valid JSON", "[encode]") {
    CHECK(encoded(EncodeItem{"\xFF", {}}) == "{\"id\":\"\xEF\xBF\xBD\"}");
}
