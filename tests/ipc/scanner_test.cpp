#include "ipc/json_scanner.h"
#include "tests/support/tight_text.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

using namespace pillion;
using test::TightText;

namespace {

bool accepts(std::string_view text, std::size_t nesting_max = limits::nesting) {
    const TightText tight(text);
    JsonScanner scanner(tight.view(), nesting_max);
    return scanner.skip_value() && scanner.at_end();
}

std::string quoted(std::string_view inside) { return "\"" + std::string(inside) + "\""; }

std::string nested(std::string_view open, std::string_view close, std::size_t levels) {
    std::string text;
    for (std::size_t i = 0; i < levels; ++i) text += open;
    for (std::size_t i = 0; i < levels; ++i) text += close;
    return text;
}

// Table 3-7 of the Unicode Standard, the slow way: decode, then look at the code point. Length of the first character,
// 0 if it is none.
std::size_t utf8_character(std::string_view bytes) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(bytes[i])); };
    const std::size_t length = byte(0) < 0x80       ? 1
                               : byte(0) >> 5 == 6  ? 2
                               : byte(0) >> 4 == 14 ? 3
                               : byte(0) >> 3 == 30 ? 4
                                                    : 0;
    if (length == 0 || length > bytes.size()) return 0;
    unsigned code = length == 1 ? byte(0) : byte(0) & (0xFFu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if (byte(i) >> 6 != 2) return 0;
        code = code << 6 | (byte(i) & 0x3F);
    }
    constexpr unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    return code >= least[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF) ? length : 0;
}

// Whether a string may hold these bytes as they are.
bool is_plain(std::string_view bytes) {
    while (!bytes.empty()) {
        const std::size_t length = utf8_character(bytes);
        if (length == 0 || static_cast<unsigned char>(bytes[0]) < 0x20 || bytes[0] == '"' || bytes[0] == '\\')
            return false;
        bytes.remove_prefix(length);
    }
    return true;
}

} // namespace

TEST_CASE("every kind of JSON text is accepted", "[scanner]") {
    const std::string_view texts[] = {
        "true",
        "false",
        "null",
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "1234567890",
        "0.0",
        "-0.5",
        "1.25",
        "1e5",
        "1E5",
        "1e+5",
        "1e-5",
        "1.5E-10",
        "0e0",
        "0E+1",
        "123e65",
        "1e400",
        "-1e-400",
        "123456789012345678901234567890123456789012",
        "20.5e0000000000000000001",
        R"("")",
        R"("a")",
        R"("\"\\\/\b\f\n\r\t")",
        R"("\u0000")",
        R"("\uABCD\uabcd\u12aF")",
        R"("\uD83D\uDE00")",
        R"("\uD800")",
        R"("\uDC00x")",
        R"("\\u0041")",
        "\"\x7F\"",
        "\"/\"",
        "\"\xC2\x80\"",
        "\"\xF4\x8F\xBF\xBF\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,2]",
        "[ 1 , 2 ]",
        "[[]]",
        "[[],[]]",
        "[{}]",
        "[null, 1, \"1\", {}]",
        "[1,null,null]",
        "[]  ",
        "{}",
        "{ }",
        R"({"a":1})",
        R"({"a":1,"a":2})",
        R"({"":0})",
        R"({ "a" : [ ] , "b" : { } })",
        R"({"\u0061":null})",
        " \t\n\r[\t\n\r 1 \t\n\r]\t\n\r ",
        "  0  ",
        R"({"a":{"b":{"c":[{}]}}})",
    };
    for (const std::string_view text : texts) {
        INFO(text);
        CHECK(accepts(text));
    }
}

TEST_CASE("what is not JSON is refused", "[scanner]") {
    const std::string_view texts[] = {
        "",
        " ",
        "\n",
        "nul",
        "nulL",
        "Null",
        "tru",
        "True",
        "TRUE",
        "fals",
        "truefalse",
        "true1",
        "nan",
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "-",
        "+1",
        "01",
        "-01",
        "00",
        "1.",
        ".5",
        "-.5",
        "1.e1",
        "1e",
        "1e+",
        "1E-",
        "1eE2",
        "1.2.3",
        "1e1.5",
        "0x10",
        "1 000",
        "1_000",
        "--1",
        "1-",
        "-a",
        "-2.",
        "2.e3",
        "0.e1",
        "1+2",
        "\xEF\xBC\x91",
        "0.1.",
        "1e++1",
        "Inf",
        "0e+-1",
        "\"",
        "\"a",
        "a",
        "'a'",
        R"("\")",
        R"("\x41")",
        R"("\a")",
        R"("\u")",
        R"("\u1")",
        R"("\u12")",
        R"("\u123")",
        R"("\u123g")",
        R"("\U0041")",
        R"("\u00 1")",
        R"("\)",
        R"("a"b)",
        R"("a" "b")",
        "\"\t\"",
        "\"\n\"",
        "\"a\rb\"",
        R"(\u0041)",
        R"("\ ")",
        R"("\0")",
        R"("\v")",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[,]",
        "[1,,2]",
        "[1 2]",
        "[1;2]",
        "[1}",
        "[1]]",
        "[1],",
        "[[]",
        "[\"a\"",
        "[\"a",
        "[:1]",
        "[1:2]",
        "[a]",
        "[*]",
        "{",
        "}",
        "{]",
        "{1:1}",
        "{a:1}",
        "{'a':1}",
        R"({"a"})",
        R"({"a":})",
        R"({"a":1)",
        R"({"a":1,)",
        R"({"a":1,})",
        R"({,"a":1})",
        R"({"a":1,,"b":2})",
        R"({"a":1 "b":2})",
        R"({"a":1;"b":2})",
        R"({"a"::1})",
        R"({"a",1})",
        R"({"a":1}})",
        R"({"a":1}{)",
        R"({"a" 1})",
        R"({:1})",
        R"({null:1})",
        R"({[]:1})",
        R"({"a":1]")",
        "1 2",
        "[] []",
        "{}{}",
        "1,",
        ",",
        ":",
        "//",
        "1//x",
        "/**/1",
        "#1",
        "\xEF\xBB\xBF{}",
        "\f1",
        "\v1",
        "\xC2\xA0[]",
        "\xE2\x81\xA0[]",
    };
    for (const std::string_view text : texts) {
        INFO(text);
        CHECK_FALSE(accepts(text));
    }
}

TEST_CASE("a NUL byte is refused wherever it stands", "[scanner]") {
    const std::string text = R"( { "a" : [ 1 , true , "bc" ] } )";
    for (std::size_t i = 0; i <= text.size(); ++i) {
        std::string broken = text;
        broken.insert(i, 1, '\0');
        INFO(i);
        CHECK_FALSE(accepts(broken));
    }
}

TEST_CASE("each control character is refused in a string and in a name", "[scanner]") {
    for (char c = 0; c < 0x20; ++c) {
        INFO(int{c});
        CHECK_FALSE(accepts("\"a" + std::string(1, c) + "\""));
        CHECK_FALSE(accepts("{\"" + std::string(1, c) + "\":1}"));
    }
    CHECK(accepts("\" \x7F\""));
}

TEST_CASE("only eight letters may follow a backslash, and u", "[scanner]") {
    for (int c = 0; c < 256; ++c) {
        const char letter = static_cast<char>(c);
        const bool valid = std::string_view("\"\\/bfnrt").find(letter) != std::string_view::npos && letter != '\0';
        INFO(c);
        CHECK(accepts(std::string("\"\\") + letter + "\"") == valid);
        CHECK(accepts(std::string("\"\\") + letter + "0041\"") == (valid || letter == 'u'));
    }
}

TEST_CASE("all characters of UTF-8 are accepted and nothing else", "[scanner]") {
    std::size_t wrong = 0;
    const auto check = [&wrong](std::string_view bytes) { wrong += accepts(quoted(bytes)) != is_plain(bytes); };
    for (int first = 0; first < 0x100; ++first) {
        const std::string one(1, static_cast<char>(first));
        check(one);
        if (first == '\\') continue; // escapes are another fact
        for (int second = 0; second < 0x100; ++second) check(one + static_cast<char>(second));
    }
    // Every byte at which table 3-7 changes its mind, in every place of a longer sequence.
    const std::string_view turns =
        "\x1F\x41\x7F\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5\xFF";
    for (const char first : turns.substr(9)) // the leads
        for (const char second : turns)
            for (const char third : turns) {
                check(std::string{first, second, third});
                for (const char fourth : turns) check(std::string{first, second, third, fourth});
            }
    CHECK(wrong == 0);
}

TEST_CASE("overlong, surrogate and too large sequences are refused", "[scanner]") {
    const std::string_view sequences[] = {"\xC0\x80",
                                          "\xC0\xAF",
                                          "\xC1\xBF",
                                          "\xE0\x80\x80",
                                          "\xE0\x9F\xBF",
                                          "\xF0\x80\x80\x80",
                                          "\xF0\x8F\xBF\xBF",
                                          "\xED\xA0\x80",
                                          "\xED\xAF\xBF",
                                          "\xED\xB0\x80",
                                          "\xED\xBF\xBF",
                                          "\xED\xA0\xBD\xED\xB8\x80",
                                          "\xF4\x90\x80\x80",
                                          "\xF5\x80\x80\x80",
                                          "\xF8\x88\x80\x80\x80",
                                          "\xFE",
                                          "\xFF",
                                          "\x80",
                                          "\xBF",
                                          "\xC3\xA9\x80"};
    for (const std::string_view sequence : sequences) {
        CHECK_FALSE(accepts(quoted(sequence)));
        CHECK_FALSE(accepts("{" + quoted(sequence) + ":1}"));
        CHECK_FALSE(accepts(quoted("abcdefghijklmnopq" + std::string(sequence) + "abcdefghijklmnopq")));
    }
}

TEST_CASE("a character cut short is refused at every cut", "[scanner]") {
    for (const std::string_view character :
         {"\xC3\xA9", "\xE2\x82\xAC", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"}) {
        CHECK(accepts(quoted(character)));
        for (std::size_t bytes = 1; bytes < character.size(); ++bytes) {
            const std::string cut(character.substr(0, bytes));
            CHECK_FALSE(accepts(quoted(cut)));
            CHECK_FALSE(accepts("\"" + cut)); // the text ends inside it
            CHECK_FALSE(accepts(quoted(cut + "a")));
            CHECK_FALSE(accepts(quoted(cut + std::string(character)))); // the next one begins too soon
        }
    }
}

TEST_CASE("nesting is accepted up to the limit and refused one over it", "[scanner]") {
    const auto refused_as_too_deep = [](const std::string& text, std::size_t nesting_max) {
        const TightText tight(text);
        JsonScanner scanner(tight.view(), nesting_max);
        return !scanner.skip_value() && scanner.too_deep();
    };
    for (const std::size_t limit : {std::size_t{1}, std::size_t{5}, limits::nesting}) {
        CHECK(accepts(nested("[", "]", limit), limit));
        CHECK(refused_as_too_deep(nested("[", "]", limit + 1), limit));
        CHECK(accepts(nested(R"({"a":)", "}", limit - 1).insert((limit - 1) * 5, "{}"), limit));
        CHECK(refused_as_too_deep(nested(R"({"a":)", "}", limit).insert(limit * 5, "{}"), limit));
    }
    CHECK(refused_as_too_deep("[]", 0));
    CHECK(accepts("1", 0));
}

TEST_CASE("containers beside each other do not count as nesting", "[scanner]") {
    std::string text = "[[]";
    for (int i = 0; i < 1000; ++i) text += ",[{}]";
    CHECK(accepts(text + "]", 3));
}

TEST_CASE("a million opening brackets are refused without harm", "[scanner]") {
    const std::string text(1'000'000, '[');
    JsonScanner deep(text);
    CHECK_FALSE(deep.skip_value());
    CHECK(deep.too_deep());
}

TEST_CASE("every prefix of a document is refused", "[scanner]") {
    const std::string_view document =
        R"({"a":[1,-2.5e+10,true,false,null,"x\u00e9\n\ud83d\ude00)"
        "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 and some more, so that it takes two steps of sixteen"
        R"("],"b":{"c":{}},"":[[]], "d" : 0.125 })";
    REQUIRE(accepts(document));
    for (std::size_t bytes = 0; bytes < document.size(); ++bytes) {
        INFO(bytes);
        CHECK_FALSE(accepts(document.substr(0, bytes)));
    }
}

TEST_CASE("what ends or breaks a string is found at every offset", "[scanner]") {
    for (std::size_t before = 0; before <= 40; ++before)
        for (const std::size_t after : {0, 1, 7, 14, 15, 16, 17, 33}) {
            const std::string head(before, 'a');
            const std::string tail(after, 'z');
            INFO(before << " before, " << after << " after");
            for (const std::string_view good :
                 {"\\n", "\\\"", "\\\\", "\\u00e9", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\x7F", " "})
                CHECK(accepts(quoted(head + std::string(good) + tail)));
            for (const std::string_view bad :
                 {"\n", "\x1F", "\x01", "\\x", "\\u12", "\x80", "\xFF", "\xC3", "\"", "\xE2\x82", "\xF0\x9F\x98"})
                CHECK_FALSE(accepts(quoted(head + std::string(bad) + tail)));
            CHECK_FALSE(accepts("\"" + head + tail));
            CHECK_FALSE(accepts("\"" + head + "\\"));
        }
}

TEST_CASE("a quote is found at every offset and what follows is still read", "[scanner]") {
    for (std::size_t length = 0; length <= 40; ++length) {
        const std::string word(length, 'q');
        const TightText text("[" + quoted(word) + ",1]");
        JsonScanner scanner(text.view());
        std::string_view raw;
        REQUIRE(scanner.enter('['));
        REQUIRE(scanner.next_element());
        REQUIRE(scanner.read_string(raw));
        CHECK(raw == word);
        REQUIRE(scanner.next_element());
        REQUIRE(scanner.read_value(raw));
        CHECK(raw == "1");
        CHECK_FALSE(scanner.next_element());
        CHECK_FALSE(scanner.failed());
        CHECK(scanner.at_end());
    }
}

TEST_CASE("members and elements can be read by hand with their exact text", "[scanner]") {
    JsonScanner scanner(R"( { "a\n" : [ 1 , 2 ] , "b" : 1.50 , "c":{} } )");
    std::string_view key, value;
    REQUIRE(scanner.enter('{'));
    REQUIRE(scanner.next_member(key));
    CHECK(key == "a\\n");
    CHECK(scanner.peek() == JsonKind::array);
    REQUIRE(scanner.read_value(value));
    CHECK(value == "[ 1 , 2 ]");
    REQUIRE(scanner.next_member(key));
    CHECK(key == "b");
    REQUIRE(scanner.read_value(value));
    CHECK(value == "1.50");
    REQUIRE(scanner.next_member(key));
    REQUIRE(scanner.enter('{'));
    CHECK_FALSE(scanner.next_member(key));
    CHECK_FALSE(scanner.failed());
    CHECK_FALSE(scanner.next_member(key));
    CHECK_FALSE(scanner.failed());
    CHECK(scanner.at_end());
}

TEST_CASE("reading what is not there fails and stays failed", "[scanner]") {
    std::string_view text;
    JsonScanner number("1");
    CHECK_FALSE(number.read_string(text));
    CHECK(std::string_view(number.reason()) == "expected a string");
    CHECK_FALSE(number.skip_value());
    JsonScanner array("[1]");
    CHECK_FALSE(array.enter('{'));
    CHECK_FALSE(array.enter('['));
    CHECK(array.failed());
    JsonScanner empty("");
    CHECK(empty.peek() == JsonKind::null);
    CHECK_FALSE(empty.read_value(text));
}

TEST_CASE("a kind is told by the first byte", "[scanner]") {
    CHECK(JsonScanner(" {").peek() == JsonKind::object);
    CHECK(JsonScanner("\n[").peek() == JsonKind::array);
    CHECK(JsonScanner("\"").peek() == JsonKind::string);
    CHECK(JsonScanner("true").peek() == JsonKind::boolean);
    CHECK(JsonScanner("false").peek() == JsonKind::boolean);
    CHECK(JsonScanner("null").peek() == JsonKind::null);
    CHECK(JsonScanner("-1").peek() == JsonKind::number);
}

TEST_CASE("an error says what was wrong and where", "[scanner]") {
    const auto failure = [](std::string_view text) {
        JsonScanner scanner(text);
        scanner.skip_value();
        REQUIRE(scanner.failed());
        return std::to_string(scanner.offset()) + " " + scanner.reason();
    };
    CHECK(failure("[1, 02]") == "5 number with a leading zero");
    CHECK(failure(R"({"a" 1})") == "5 expected a colon after the member name");
    CHECK(failure("[1,]") == "3 comma before a closing bracket");
    CHECK(failure("{\"a\":1,}") == "7 expected a member name in quotes");
    CHECK(failure("\"ab\n\"") == "3 control character in a string; it must be escaped");
    CHECK(failure("\"a\xFF\"") == "2 invalid UTF-8");
    CHECK(failure("[") == "1 array without its closing bracket");
}
