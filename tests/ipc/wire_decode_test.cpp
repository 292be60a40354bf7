#include "ipc/request_meta.h"
#include "ipc/wire_decode.h"

#include <catch2/catch.hpp>

namespace pillion {

enum class DecodeColor : std::uint8_t { red, green, blue };
PILLION_ENUM(DecodeColor, "red", "green", "blue")

struct DecodePoint {
    std::int32_t x = 0;
    std::optional<std::int32_t> y;
};
PILLION_WIRE(DecodePoint, PILLION_FIELD(x, "Across.", between(-10, 10)), PILLION_FIELD(y, "Up."))

struct DecodeAll {
    bool flag = false;
    std::int64_t wide = 0;
    std::uint32_t narrow = 0;
    double ratio = 0;
    std::string name;
    std::string_view view;
    DecodeColor color = DecodeColor::red;
    DecodePoint point;
    std::vector<DecodePoint> points;
    std::map<std::string, std::int64_t> counts;
    Json json;
    JsonView raw;
    std::optional<std::string> note;
};
PILLION_WIRE(DecodeAll, PILLION_FIELD(flag, "Flag.", defaulted), PILLION_FIELD(wide, "Wide.", defaulted),
             PILLION_FIELD(narrow, "Narrow.", defaulted), PILLION_FIELD(ratio, "Ratio.", between(-1, 1), defaulted),
             PILLION_FIELD(name, "Name.", between(1, 5), defaulted),
             PILLION_FIELD(view, "View.", at_most(8), defaulted), PILLION_FIELD(color, "Color.", defaulted),
             PILLION_FIELD(point, "Point.", defaulted), PILLION_FIELD(points, "Points.", at_most(3), defaulted),
             PILLION_FIELD(counts, "Counts.", defaulted), PILLION_FIELD(json, "Json.", defaulted),
             PILLION_FIELD(raw, "Raw.", defaulted), PILLION_FIELD(note, "Note."))

struct DecodeCopy {
    std::string from;
    std::optional<std::int64_t> limit;
    std::string to;
};
PILLION_WIRE(DecodeCopy, PILLION_FIELD(from, "Where it is."), PILLION_FIELD(limit, "How much.", at_least(1)),
             PILLION_FIELD(to, "Where it goes."))

struct DecodeIntegers {
    std::int32_t i32 = 0;
    std::uint32_t u32 = 0;
    std::int64_t i64 = 0;
    std::uint64_t u64 = 0;
};
PILLION_WIRE(DecodeIntegers, PILLION_FIELD(i32, "."), PILLION_FIELD(u32, "."), PILLION_FIELD(i64, "."),
             PILLION_FIELD(u64, "."))

// g++ 12 does not survive initialiser lists of strings in a described struct; calls it takes.
inline std::vector<std::string> decode_default_topics() { return {"metrics", "alerts"}; }
inline std::map<std::string, bool> decode_default_switches() { return {{"a", true}}; }
struct DecodeDefaults {
    std::vector<std::string> topics = decode_default_topics();
    std::map<std::string, bool> switches = decode_default_switches();
};
PILLION_WIRE(DecodeDefaults, PILLION_FIELD(topics, "Topics.", defaulted),
             PILLION_FIELD(switches, "Switches.", defaulted))

struct DecodeViews {
    std::vector<std::string_view> words;
};
PILLION_WIRE(DecodeViews, PILLION_FIELD(words, "Words."))

struct DecodeOptionals {
    std::optional<Json> json;
    std::optional<DecodePoint> point;
    std::optional<std::vector<std::int64_t>> list;
};
PILLION_WIRE(DecodeOptionals, PILLION_FIELD(json, "Json."), PILLION_FIELD(point, "Point."),
             PILLION_FIELD(list, "List.", at_least(1)))

} // namespace pillion

using namespace pillion;

namespace {

template <class T>
T decoded(std::string_view params) {
    static std::string scratch;
    scratch = {};
    T out;
    const auto result = wire::decode_params(params, out, scratch);
    INFO(params);
    INFO((result ? std::string() : result.error().message));
    REQUIRE(result);
    return out;
}

// "pointer: message" of the error that these params give.
template <class T>
std::string refusal(std::string_view params) {
    std::string scratch;
    T out;
    const auto result = wire::decode_params(params, out, scratch);
    INFO(params);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == ErrorCode::invalid_params);
    return result.error().field + ": " + result.error().message;
}

template <class T>
std::string hint(std::string_view params) {
    std::string scratch;
    T out;
    const auto result = wire::decode_params(params, out, scratch);
    REQUIRE_FALSE(result);
    return result.error().hint;
}

} // namespace

TEST_CASE("each kind of member is read", "[decode]") {
    const auto all =
        decoded<DecodeAll>(R"({"flag":true,"wide":-5,"narrow":7,"ratio":0.5,"name":"\u0041b","view":"cd","color":"blue",
        "point":{"x":1,"y":2},"points":[{"x":3},{"x":4,"y":null}],"counts":{"a":1,"\u0062":2},"json":{ "k" : [1.0] },"raw": "x\n" ,"note":"n"})");
    CHECK(all.flag);
    CHECK(all.wide == -5);
    CHECK(all.narrow == 7);
    CHECK(all.ratio == 0.5);
    CHECK(all.name == "Ab");
    CHECK(all.view == "cd");
    CHECK(all.color == DecodeColor::blue);
    CHECK(all.point.x == 1);
    CHECK(all.point.y == 2);
    REQUIRE(all.points.size() == 2);
    CHECK(all.points[0].x == 3);
    CHECK_FALSE(all.points[1].y);
    CHECK(all.counts == std::map<std::string, std::int64_t>{{"a", 1}, {"b", 2}});
    CHECK(all.json.text == R"({ "k" : [1.0] })");
    CHECK(all.raw.text == R"("x\n")");
    CHECK(all.note == "n");
}

TEST_CASE("members may come in any order and be left out where they have a default", "[decode]") {
    const auto all = decoded<DecodeAll>(R"({"note":"n","wide":1,"flag":true})");
    CHECK(all.flag);
    CHECK(all.wide == 1);
    CHECK(all.raw.text == "null");
    CHECK(decoded<DecodeCopy>(R"({"to":"b","from":"a"})").to == "b");
}

TEST_CASE("no params are as good as an empty object", "[decode]") {
    decoded<NoParams>("");
    decoded<NoParams>("{}");
    decoded<NoParams>("[]");
    decoded<DecodeAll>("");
    CHECK(refusal<DecodeCopy>("") == "/from: from is missing; it is a string: Where it is.");
}

TEST_CASE("the wrong type is refused with what came and what would be right", "[decode]") {
    CHECK(refusal<DecodeAll>(R"({"flag":1})") == "/flag: flag must be true or false, got 1");
    CHECK(refusal<DecodeAll>(R"({"flag":"true"})") == R"(/flag: flag must be true or false, got "true")");
    CHECK(refusal<DecodeAll>(R"({"wide":"5"})") == R"(/wide: wide must be an integer, got "5")");
    CHECK(refusal<DecodeAll>(R"({"wide":null})") == "/wide: wide must be an integer, got null");
    CHECK(refusal<DecodeAll>(R"({"ratio":true})") == "/ratio: ratio must be a number, got true");
    CHECK(refusal<DecodeAll>(R"({"name":["a"]})") == R"(/name: name must be a string, got ["a"])");
    CHECK(refusal<DecodeAll>(R"({"view":5})") == "/view: view must be a string, got 5");
    CHECK(refusal<DecodeAll>(R"({"color":0})") == "/color: color must be a string, got 0");
    CHECK(refusal<DecodeAll>(R"({"point":[1,2]})") == "/point: point must be an object, got [1,2]");
    CHECK(refusal<DecodeAll>(R"({"points":{"x":1}})") == R"(/points: points must be an array, got {"x":1})");
    CHECK(refusal<DecodeAll>(R"({"counts":[1]})") == "/counts: counts must be an object, got [1]");
    CHECK(refusal<DecodeAll>(R"({"note":1})") == "/note: note must be a string, got 1");
}

TEST_CASE("a long value is cut in the message, never inside a character", "[decode]") {
    const std::string long_value = "\"" + std::string(58, 'a') + "\xE2\x82\xAC\xE2\x82\xAC\"";
    CHECK(refusal<DecodeAll>("{\"wide\":" + long_value + "}") ==
          "/wide: wide must be an integer, got \"" + std::string(58, 'a') + "...");
}

TEST_CASE("numbers outside of their bounds are refused and those on them taken", "[decode]") {
    CHECK(decoded<DecodeAll>(R"({"ratio":1})").ratio == 1);
    CHECK(decoded<DecodeAll>(R"({"ratio":-1.0})").ratio == -1);
    CHECK(refusal<DecodeAll>(R"({"ratio":1.0000001})") == "/ratio: ratio must be at most 1, got 1.0000001");
    CHECK(refusal<DecodeAll>(R"({"ratio":-2})") == "/ratio: ratio must be at least -1, got -2");
    CHECK(refusal<DecodeAll>(R"({"ratio":1e999})") == "/ratio: ratio is out of the range of a number: 1e999");
    CHECK(decoded<DecodeAll>(R"({"point":{"x":-10}})").point.x == -10);
    CHECK(refusal<DecodeAll>(R"({"point":{"x":11}})") == "/point/x: point/x must be at most 10, got 11");
    CHECK(decoded<DecodeCopy>(R"({"from":"a","to":"b","limit":1})").limit == 1);
    CHECK(refusal<DecodeCopy>(R"({"from":"a","to":"b","limit":0})") == "/limit: limit must be at least 1, got 0");
}

TEST_CASE("texts and lists outside of their bounds are refused by their decoded size", "[decode]") {
    CHECK(decoded<DecodeAll>(R"({"name":"abcde"})").name == "abcde");
    CHECK(decoded<DecodeAll>(R"({"name":"\u0061\u0062"})").name == "ab");
    CHECK(refusal<DecodeAll>(R"({"name":""})") == "/name: name must have at least 1 bytes, got 0");
    CHECK(refusal<DecodeAll>(R"({"name":"abcdef"})") == "/name: name must have at most 5 bytes, got 6");
    CHECK(refusal<DecodeAll>("{\"name\":\"\xE2\x82\xAC\xE2\x82\xAC\"}") ==
          "/name: name must have at most 5 bytes, got 6");
    CHECK(refusal<DecodeAll>(R"({"view":"123456789"})") == "/view: view must have at most 8 bytes, got 9");
    CHECK(decoded<DecodeAll>(R"({"points":[{"x":1},{"x":1},{"x":1}]})").points.size() == 3);
    CHECK(refusal<DecodeAll>(R"({"points":[{"x":1},{"x":1},{"x":1},{"x":1}]})") ==
          "/points: points must have at most 3 elements, got 4");
}

TEST_CASE("integers are whole and within what their type and the wire hold", "[decode]") {
    const auto most =
        decoded<DecodeIntegers>(R"({"i32":2147483647,"u32":4294967295,"i64":9007199254740991,"u64":9007199254740991})");
    CHECK(most.i32 == 2147483647);
    CHECK(most.u32 == 4294967295u);
    CHECK(most.i64 == 9007199254740991);
    CHECK(most.u64 == 9007199254740991u);
    const auto least = decoded<DecodeIntegers>(R"({"i32":-2147483648,"u32":0,"i64":-9007199254740991,"u64":-0})");
    CHECK(least.i32 == -2147483648);
    CHECK(least.i64 == -9007199254740991);
    CHECK(least.u64 == 0);
    const auto refused = [](std::string_view member, std::string_view value) {
        return refusal<DecodeIntegers>("{\"" + std::string(member) + "\":" + std::string(value) + "}");
    };
    CHECK(refused("i32", "2147483648") == "/i32: i32 must be between -2147483648 and 2147483647, got 2147483648");
    CHECK(refused("i32", "-2147483649") == "/i32: i32 must be between -2147483648 and 2147483647, got -2147483649");
    CHECK(refused("u32", "4294967296") == "/u32: u32 must be between 0 and 4294967295, got 4294967296");
    CHECK(refused("u32", "-1") == "/u32: u32 must be between 0 and 4294967295, got -1");
    CHECK(refused("i64", "9007199254740992") ==
          "/i64: i64 must be between -9007199254740991 and 9007199254740991, got 9007199254740992");
    CHECK(refused("i64", "-9007199254740992") ==
          "/i64: i64 must be between -9007199254740991 and 9007199254740991, got -9007199254740992");
    CHECK(refused("u64", "9007199254740992") ==
          "/u64: u64 must be between 0 and 9007199254740991, got 9007199254740992");
    CHECK(refused("u64", "-1") == "/u64: u64 must be between 0 and 9007199254740991, got -1");
    CHECK(refused("i64", "99999999999999999999999") ==
          "/i64: i64 must be between -9007199254740991 and 9007199254740991, got 99999999999999999999999");
    CHECK(refused("i64", "1.5") == "/i64: i64 must be an integer, got 1.5");
    CHECK(refused("i64", "1e-3") == "/i64: i64 must be an integer, got 1e-3");
}

TEST_CASE("an enum takes its names and suggests the nearest", "[decode]") {
    CHECK(decoded<DecodeAll>(R"({"color":"green"})").color == DecodeColor::green);
    CHECK(refusal<DecodeAll>(R"({"color":"gren"})") ==
          R"(/color: color must be one of "red", "green", "blue", got "gren")");
    CHECK(hint<DecodeAll>(R"({"color":"gren"})") == "green");
    CHECK(hint<DecodeAll>(R"({"color":"Blue"})") == "blue");
    CHECK(hint<DecodeAll>(R"({"color":"purple-ish"})").empty());
    CHECK(refusal<DecodeAll>(R"({"color":""})") == R"(/color: color must be one of "red", "green", "blue", got "")");
}

TEST_CASE("an unknown member is named with its nearest spelling", "[decode]") {
    CHECK(refusal<DecodeCopy>(R"({"form":"a","to":"b"})") == R"(/form: unknown member "form"; did you mean "from"?)");
    CHECK(hint<DecodeCopy>(R"({"Limit":1})") == "limit");
    CHECK(refusal<DecodeCopy>(R"({"overwrite":true})") ==
          R"(/overwrite: unknown member "overwrite"; known members are from, limit, to)");
    CHECK(refusal<NoParams>(R"({"a":1})") == R"(/a: unknown member "a"; this takes no members)");
    CHECK(refusal<DecodeAll>(R"({"point":{"z":1}})") == R"(/point/z: unknown member "z"; did you mean "x"?)");
}

TEST_CASE("an unknown member with a dot or slash is as unknown as any in params", "[decode]") {
    CHECK(refusal<NoParams>(R"({"a.b":1})").starts_with("/a.b: unknown member"));
}

TEST_CASE("`_meta` is passed over in params and nowhere else", "[decode]") {
    CHECK(decoded<DecodeCopy>(R"({"_meta":{"any":[1]},"from":"a","to":"b"})").from == "a");
    decoded<NoParams>(R"({"_meta":{}})");
    CHECK(refusal<DecodeAll>(R"({"point":{"x":1,"_meta":{}}})").starts_with("/point/_meta: unknown member \"_meta\""));
}

TEST_CASE("a missing member is named with what it is", "[decode]") {
    CHECK(refusal<DecodeCopy>(R"({"from":"a"})") == "/to: to is missing; it is a string: Where it goes.");
    CHECK(refusal<DecodeAll>(R"({"points":[{"x":1},{"y":1}]})") ==
          "/points/1/x: points/1/x is missing; it is an integer: Across.");
}

TEST_CASE("a member that stands twice is refused by name", "[decode]") {
    CHECK(refusal<DecodeCopy>(R"({"from":"a","from":"a","to":"b"})") == "/from: from stands twice");
    CHECK(refusal<DecodeCopy>(R"({"from":"a","limit":null,"limit":1,"to":"b"})") == "/limit: limit stands twice");
    CHECK(refusal<DecodeAll>(R"({"counts":{"a":1,"\u0061":2}})") == "/counts/a: counts/a stands twice");
}

TEST_CASE("free-form values keep even members that stand twice", "[decode]") {
    CHECK(decoded<DecodeAll>(R"({"json":{"a":1,"a":2}})").json.text == R"({"a":1,"a":2})");
}

TEST_CASE("params by position follow the declared order", "[decode]") {
    const auto copy = decoded<DecodeCopy>(R"(["a", 5, "b"])");
    CHECK(copy.from == "a");
    CHECK(copy.limit == 5);
    CHECK(copy.to == "b");
    CHECK(decoded<DecodeAll>("[true,2]").wide == 2);
    CHECK(refusal<DecodeCopy>(R"(["a"])") == "/to: to is missing; it is a string: Where it goes.");
    CHECK(refusal<DecodeCopy>(R"(["a",0,"b"])") == "/1: 1 must be at least 1, got 0");
    CHECK(refusal<DecodeCopy>("[1]") == "/0: 0 must be a string, got 1");
}

TEST_CASE("one param too many is refused", "[decode]") {
    CHECK(refusal<DecodeCopy>(R"(["a",1,"b",2])") == "/3: one param too many; the method takes at most 3");
    CHECK(refusal<NoParams>("[1]") == "/0: one param too many; the method takes at most 0");
}

// By name null stood for absent, by position it was refused, so that a param after an optional one could not be given.
TEST_CASE("null stands for an absent optional member, by name and by position", "[decode]") {
    CHECK_FALSE(decoded<DecodeCopy>(R"({"from":"a","limit":null,"to":"b"})").limit);
    CHECK_FALSE(decoded<DecodeCopy>(R"(["a",null,"b"])").limit);
    CHECK(refusal<DecodeCopy>(R"([null,1,"b"])") == "/0: 0 must be a string, got null");
    const auto optionals = decoded<DecodeOptionals>(R"({"json":null,"point":null,"list":null})");
    REQUIRE(optionals.json); // null is a value of free-form JSON
    CHECK(optionals.json->text == "null");
    CHECK_FALSE(optionals.point);
    CHECK_FALSE(optionals.list);
}

TEST_CASE("optional structs and lists are filled and checked", "[decode]") {
    const auto optionals = decoded<DecodeOptionals>(R"({"point":{"x":2},"list":[1,2]})");
    REQUIRE(optionals.point);
    CHECK(optionals.point->x == 2);
    CHECK(optionals.list == std::vector<std::int64_t>{1, 2});
    CHECK_FALSE(optionals.json);
    CHECK(refusal<DecodeOptionals>(R"({"list":[]})") == "/list: list must have at least 1 elements, got 0");
    CHECK(refusal<DecodeOptionals>(R"({"list":[1,null]})") == "/list/1: list/1 must be an integer, got null");
}

// Elements were appended to the default: asking for ["jobs"] gave metrics, alerts and jobs.
TEST_CASE("a list or map that is given takes the place of its default", "[decode]") {
    CHECK(decoded<DecodeDefaults>("{}").topics == std::vector<std::string>{"metrics", "alerts"});
    CHECK(decoded<DecodeDefaults>(R"({"topics":["jobs"]})").topics == std::vector<std::string>{"jobs"});
    CHECK(decoded<DecodeDefaults>(R"({"topics":[]})").topics.empty());
    CHECK(decoded<DecodeDefaults>(R"({"switches":{"a":false}})").switches == std::map<std::string, bool>{{"a", false}});
    CHECK(decoded<DecodeDefaults>(R"({"switches":{"b":true}})").switches == std::map<std::string, bool>{{"b", true}});
}

TEST_CASE("views stay valid however many of them had escapes", "[decode]") {
    std::string params = R"({"words":[)";
    for (int i = 0; i < 200; ++i)
        params += (i == 0 ? "" : ",") + std::string(R"("word \u00e9 )") + std::to_string(i) + R"(","plain")";
    params += "]}";
    std::string scratch;
    DecodeViews views;
    REQUIRE(wire::decode_params(params, views, scratch));
    REQUIRE(views.words.size() == 400);
    for (std::size_t i = 0; i < 200; ++i) {
        CHECK(views.words[2 * i] == "word \xC3\xA9 " + std::to_string(i));
        CHECK(views.words[2 * i + 1] == "plain");
        CHECK((views.words[2 * i + 1].data() > params.data() &&
               views.words[2 * i + 1].data() < params.data() + params.size()));
    }
}

TEST_CASE("short views with escapes stay valid too", "[decode]") {
    std::string scratch;
    DecodeViews views;
    const std::string params = R"({"words":["\n","\t","\\"]})";
    REQUIRE(wire::decode_params(params, views, scratch));
    CHECK(views.words == std::vector<std::string_view>{"\n", "\t", "\\"});
}

TEST_CASE("an unpaired surrogate is refused where text is decoded and kept where it is not", "[decode]") {
    CHECK(refusal<DecodeAll>(R"({"name":"\ud800"})") ==
          "/name: name has an unpaired surrogate escape, which is not a character");
    CHECK(refusal<DecodeAll>(R"({"view":"\udc00"})") ==
          "/view: view has an unpaired surrogate escape, which is not a character");
    CHECK(refusal<DecodeAll>(R"({"counts":{"\ud800":1}})") ==
          "/counts: counts has a member name with an unpaired surrogate escape");
    CHECK(decoded<DecodeAll>(R"({"json":"\ud800"})").json.text == R"("\ud800")");
}

TEST_CASE("error pointers escape ~ and / in names", "[decode]") {
    CHECK(refusal<DecodeAll>(R"({"counts":{"a/b~c":"x"}})") ==
          R"(/counts/a~1b~0c: counts/a~1b~0c must be an integer, got "x")");
    CHECK(refusal<NoParams>(R"({"~/":1})").starts_with("/~0~1: unknown member"));
}

TEST_CASE("a single value of any described type can be decoded", "[decode]") {
    std::string scratch;
    std::vector<std::int64_t> list;
    REQUIRE(wire::decode_value(wire::type_of<std::vector<std::int64_t>>, "[1,2]", &list, scratch));
    CHECK(list == std::vector<std::int64_t>{1, 2});
    const auto wrong = wire::decode_value(wire::type_of<std::vector<std::int64_t>>, "true", &list, scratch);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().message == "must be an array, got true");
    CHECK(wrong.error().field.empty());
}

TEST_CASE("request meta is read and what belongs to other protocols passed over", "[decode][meta]") {
    std::string scratch;
    const auto meta = read_request_meta(
        R"({"priority":"high","timeoutMs":5,"progressToken":"t","cache":"default","ifNoneMatch":"a\"b","fields":["x"],"page":2,"limit":100,
            "sortBy":"name","sortOrder":"desc","timing":true,"com.example/trace":{"x":1},"io.other":2})",
        scratch);
    REQUIRE(meta);
    CHECK(meta->priority == Priority::high);
    CHECK(meta->timeoutMs == 5);
    CHECK(meta->progressToken->text == "\"t\"");
    CHECK(meta->cache == CacheMode::standard);
    CHECK(meta->ifNoneMatch == "a\"b");
    CHECK(meta->fields->text == R"(["x"])");
    CHECK(meta->page == 2);
    CHECK(meta->limit == 100);
    CHECK(meta->sortBy == "name");
    CHECK(meta->sortOrder == SortOrder::desc);
    CHECK(meta->timing);
}

TEST_CASE("request meta that is wrong is refused by pointer", "[decode][meta]") {
    const auto refused = [](std::string_view text) {
        std::string scratch;
        const auto meta = read_request_meta(text, scratch);
        INFO(text);
        REQUIRE_FALSE(meta);
        CHECK(meta.error().code == ErrorCode::invalid_params);
        return meta.error().field;
    };
    CHECK(refused("[]") == "/_meta");
    CHECK(refused("null") == "/_meta");
    CHECK(refused(R"({"priorty":"low"})") == "/_meta/priorty");
    CHECK(refused(R"({"priority":"urgent"})") == "/_meta/priority");
    CHECK(refused(R"({"timeoutMs":0})") == "/_meta/timeoutMs");
    CHECK(refused(R"({"timeoutMs":86400001})") == "/_meta/timeoutMs");
    CHECK(refused(R"({"limit":101})") == "/_meta/limit");
    CHECK(refused(R"({"limit":0})") == "/_meta/limit");
    CHECK(refused(R"({"page":0})") == "/_meta/page");
    CHECK(refused(R"({"sortBy":""})") == "/_meta/sortBy");
    CHECK(refused(R"({"progressToken":{}})") == "/_meta/progressToken");
    CHECK(refused(R"({"progressToken":true})") == "/_meta/progressToken");
    CHECK(refused(R"({"timing":1})") == "/_meta/timing");
}
