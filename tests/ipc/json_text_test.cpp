#include "ipc/json_scanner.h"
#include "ipc/json_text.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <random>

using namespace pillion;

namespace {

std::string quoted(std::string_view text) {
    std::string out;
    append_quoted(out, text);
    return out;
}

std::string number_text(double value) {
    BufferPool pool;
    Buffer out(pool);
    append_number(out, value);
    return std::string(out.view());
}

std::string canonical(std::string_view text, std::string_view omit = {}) {
    std::string out;
    return append_canonical(out, text, omit) ? out : "refused";
}

} // namespace

TEST_CASE("escapes decode to what they stand for", "[json_text]") {
    CHECK(unescaped("") == "");
    CHECK(unescaped("plain") == "plain");
    CHECK(unescaped(R"(\"\\\/\b\f\n\r\t)") == "\"\\/\b\f\n\r\t");
    CHECK(unescaped(R"(a\u0041b)") == "aAb");
    CHECK(unescaped(R"(\u0000)") == std::string(1, '\0'));
    CHECK(unescaped(R"(\u007f\u0080\u07ff\u0800\uffff)") == "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF");
    CHECK(unescaped(R"(\ud83d\ude00)") == "\xF0\x9F\x98\x80");
    CHECK(unescaped(R"(\uD800\uDC00\uDBFF\uDFFF)") == "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF");
    CHECK(unescaped(R"(\\u0041)") == "\\u0041");
}

TEST_CASE("an unpaired surrogate escape does not decode", "[json_text]") {
    for (const std::string_view raw :
         {R"(\ud800)", R"(\udc00)", R"(\ud800x)", R"(\ud800\n)", R"(\ud800\ud800)", R"(\ud800\u0041)",
          R"(\udc00\ud800)", R"(a\udfff)", R"(\ud83d\ude00\ude00)", R"(\udbff\\udc00)"}) {
        INFO(raw);
        CHECK_FALSE(unescaped(raw));
    }
}

TEST_CASE("a quoted string is valid JSON and reads back as it was", "[json_text]") {
    CHECK(quoted("") == "\"\"");
    CHECK(quoted("a\"b\\c/d") == R"("a\"b\\c/d")");
    CHECK(quoted("\b\f\n\r\t") == R"("\b\f\n\r\t")");
    CHECK(quoted(std::string_view("\0\x1F\x7F", 3)) == "\"\\u0000\\u001f\x7F\"");
    std::mt19937 random(7);
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (auto length = random() % 40; length != 0; --length) {
            static constexpr std::string_view pieces[] = {
                "a", "\"", "\\", "\n", "\x01", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\x7F", "/"};
            text += pieces[random() % std::size(pieces)];
        }
        const std::string json = quoted(text);
        JsonScanner scanner(json);
        std::string_view raw;
        REQUIRE(scanner.read_string(raw));
        REQUIRE(scanner.at_end());
        REQUIRE(unescaped(raw) == text);
    }
}

TEST_CASE("both outputs of quoting are the same", "[json_text]") {
    BufferPool pool;
    Buffer out(pool);
    append_quoted(out, "a\n\xFF\xE2\x82\xAC\"");
    CHECK(out.view() == quoted("a\n\xFF\xE2\x82\xAC\""));
}

TEST_CASE("bytes that are not UTF-8 become U+FFFD", "[json_text]") {
    const std::string replaced = "\xEF\xBF\xBD";
    CHECK(quoted("\xFF") == "\"" + replaced + "\"");
    CHECK(quoted("a\x80z") == "\"a" + replaced + "z\"");
    CHECK(quoted("\xC3") == "\"" + replaced + "\"");
    CHECK(quoted("\xC3(") == "\"" + replaced + "(\"");
    CHECK(quoted("\xC3\"") == "\"" + replaced + "\\\"\"");
    CHECK(quoted("\xF0\x9F\x98") == "\"" + replaced + replaced + replaced + "\"");
    CHECK(quoted("\xED\xA0\x80") == "\"" + replaced + replaced + replaced + "\"");
    CHECK(quoted("\xC0\x80") == "\"" + replaced + replaced + "\"");
    CHECK(quoted("\xFF\xC3\xA9") == "\"" + replaced + "\xC3\xA9\"");
}

TEST_CASE("random bytes always become valid JSON", "[json_text]") {
    std::mt19937 random(11);
    for (int round = 0; round < 5000; ++round) {
        std::string bytes;
        for (auto length = random() % 24; length != 0; --length)
            bytes += static_cast<char>(random() % 3 == 0 ? random() : 0xC0 | (random() & 0x3F));
        const std::string json = quoted(bytes);
        JsonScanner scanner(json);
        REQUIRE(scanner.skip_value());
        REQUIRE(scanner.at_end());
    }
}

TEST_CASE("numbers are written so that they read back, and never as what JSON lacks", "[json_text]") {
    CHECK(number_text(0.0) == "0");
    CHECK(number_text(1.0) == "1");
    CHECK(number_text(0.1) == "0.1");
    CHECK(number_text(-2.5) == "-2.5");
    CHECK(number_text(1e300) == "1e+300");
    CHECK(number_text(NAN) == "null");
    CHECK(number_text(INFINITY) == "null");
    CHECK(number_text(-INFINITY) == "null");
    std::mt19937_64 random(3);
    for (int round = 0; round < 20'000; ++round) {
        const double value = std::bit_cast<double>(random());
        if (!std::isfinite(value)) continue;
        const std::string text = number_text(value);
        JsonScanner scanner(text);
        REQUIRE(scanner.skip_value());
        REQUIRE(scanner.at_end());
        REQUIRE(std::strtod(text.c_str(), nullptr) == value);
    }
}

TEST_CASE("integers of any size are written whole", "[json_text]") {
    BufferPool pool;
    Buffer out(pool);
    append_integer(out, INT64_MIN);
    CHECK(out.view() == "-9223372036854775808");
    out.clear();
    append_integer(out, 9007199254740991);
    CHECK(out.view() == "9007199254740991");
}

TEST_CASE("numbers take the canonical form of RFC 8785, appendix B", "[canonical]") {
    const struct {
        std::uint64_t bits;
        std::string_view text;
    } rows[] = {
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xc340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555554, "333333333.33333325"},
        {0x41b3de4355555555, "333333333.3333333"},
        {0x41b3de4355555556, "333333333.3333334"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
    };
    for (const auto& row : rows) {
        char spelled[64];
        std::snprintf(spelled, sizeof spelled, "%.17e", std::bit_cast<double>(row.bits));
        INFO(spelled);
        CHECK(canonical(spelled) == row.text);
    }
}

TEST_CASE("one value has one canonical form however its number is spelled", "[canonical]") {
    CHECK(canonical("100") == "100");
    CHECK(canonical("1e2") == "100");
    CHECK(canonical("100.0") == "100");
    CHECK(canonical("1E+2") == "100");
    CHECK(canonical("-0") == "0");
    CHECK(canonical("-0.0e5") == "0");
    CHECK(canonical("0.00001") == "0.00001");
    CHECK(canonical("1e-5") == "0.00001");
    CHECK(canonical("1e-7") == "1e-7");
    CHECK(canonical("123456789012345680000.0") == "123456789012345680000");
}

TEST_CASE("integers that no double holds keep their digits", "[canonical]") {
    CHECK(canonical("9007199254740991") == "9007199254740991");
    CHECK(canonical("9007199254740993") == "9007199254740993");
    CHECK(canonical("-9007199254740993") == "-9007199254740993");
    CHECK(canonical("1e400") == "1e400");
    CHECK(canonical("123456789012345678901234567890") == "123456789012345678901234567890");
}

TEST_CASE("the example of RFC 8785, section 3.2.2, takes its canonical form", "[canonical]") {
    const std::string_view input = R"({
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    })";
    CHECK(canonical(input) == "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
                              "\"string\":\"\xE2\x82\xAC$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}

TEST_CASE("members are sorted as the example of RFC 8785, section 3.2.3, sorts them", "[canonical]") {
    const std::string_view input =
        R"({"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One",)"
        R"("\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"})";
    const std::string expected =
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xC2\x80\":\"Control\","
        "\"\xC3\xB6\":\"Latin Small Letter O With Diaeresis\",\"\xE2\x82\xAC\":\"Euro Sign\","
        "\"\xF0\x9F\x98\x80\":\"Emoji: Grinning Face\",\"\xEF\xAC\xB3\":\"Hebrew Letter Dalet With Dagesh\"}";
    CHECK(canonical(input) == expected);
    CHECK(canonical(expected) == expected);
}

// Names were kept as views into short strings, which hold their text in themselves; sorting moved the strings and left
// the views, so that values changed their names: {"\u0062":1,"\u0061":2} became {"b":2,"a":1}, and two different
// values shared a form, and so a place in the response cache.
TEST_CASE("sorting escaped names keeps each with its value", "[canonical]") {
    CHECK(canonical(R"({"\u0062":1,"\u0061":2})") == R"({"a":2,"b":1})");
    CHECK(canonical(R"({"\u0063":3,"b":2,"\u0061":1})") == R"({"a":1,"b":2,"c":3})");
    CHECK(canonical(
              R"({"a long name that no string holds in itself \u0062":1,"\u0061 long name that no string holds":2})") ==
          R"({"a long name that no string holds":2,"a long name that no string holds in itself b":1})");
    std::string shuffled = "{";
    std::string sorted = "{";
    for (int i = 0; i < 40; ++i) {
        const int back = 39 - i;
        char member[32];
        std::snprintf(member, sizeof member, "%s\"\\u00%02x\":%d", i == 0 ? "" : ",",
                      static_cast<unsigned>(0x41 + back), back);
        shuffled += member;
        if (0x41 + i == '\\')
            sorted += ",\"\\\\\":" + std::to_string(i);
        else
            sorted += std::string(i == 0 ? "" : ",") + "\"" + static_cast<char>(0x41 + i) + "\":" + std::to_string(i);
    }
    CHECK(canonical(shuffled + "}") == sorted + "}");
}

TEST_CASE("a name that stands twice has no canonical form", "[canonical]") {
    CHECK(canonical(R"({"a":1,"a":1})") == "refused");
    CHECK(canonical(R"({"a":1,"b":2,"a":3})") == "refused");
    CHECK(canonical(R"({"a":1,"\u0061":2})") == "refused");
    CHECK(canonical(R"([{"x":{"a":1,"a":1}}])") == "refused");
    CHECK(canonical(R"([{"a":1},{"a":1}])") == R"([{"a":1},{"a":1}])");
    CHECK(canonical(R"({"\ud800":1})") == "refused");
}

TEST_CASE("`omit` leaves out one member of the outermost object only", "[canonical]") {
    CHECK(canonical(R"({"b":1,"_meta":{"x":1},"a":2})", "_meta") == R"({"a":2,"b":1})");
    CHECK(canonical(R"({"a":{"_meta":1}})", "_meta") == R"({"a":{"_meta":1}})");
    CHECK(canonical(R"([{"_meta":1}])", "_meta") == R"([{"_meta":1}])");
    CHECK(canonical(R"({"_meta":1})", "_meta") == "{}");
    CHECK(canonical(R"({"_meta":1,"_meta":2})", "_meta") == "{}");
    CHECK(canonical(R"({"":1})") == R"({"":1})");
}

TEST_CASE("white space goes and strings take one spelling", "[canonical]") {
    CHECK(canonical(" [ 1 , \"a\" , { } , [ ] ] ") == R"([1,"a",{},[]])");
    CHECK(canonical(R"("\u0041\/\u000A\u001F\u00e9")") == "\"A/\\n\\u001f\xC3\xA9\"");
    CHECK(canonical(R"("\ud800")") == R"("\ud800")");
    CHECK(canonical("true") == "true");
    CHECK(canonical("null") == "null");
}
