#include "ipc/base/number_text.h"
#include "ipc/base/xml.h"

#include <catch2/catch.hpp>
#include <limits>

using namespace pillion;

TEST_CASE("markup in XML text becomes references", "[xml]") {
    CHECK(xml_escaped("a & <b> \"c\" 'd'") == "a &amp; &lt;b&gt; &quot;c&quot; &#39;d&#39;");
    CHECK(xml_escaped("one\ntwo\tthree") == "one&#10;two three");
    CHECK(xml_escaped("").empty());
}

TEST_CASE("letters of every length stay as they are in XML text", "[xml]") {
    CHECK(xml_escaped("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8E\xB5z") == "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8E\xB5z");
}

TEST_CASE("what XML cannot hold is replaced", "[xml]") {
    const std::string replaced = "\xEF\xBF\xBD";
    CHECK(xml_escaped(std::string("a\0b", 3)) == "a" + replaced + "b");
    CHECK(xml_escaped("\x1B[31m\x7F") == replaced + "[31m" + replaced);
    CHECK(xml_escaped("\xFF") == replaced);
    CHECK(xml_escaped("\xC3") == replaced);
    CHECK(xml_escaped("\xC3<") == replaced + "&lt;");
    CHECK(xml_escaped("\xC0\xAF") == replaced + replaced);
    CHECK(xml_escaped("\xE0\x80\xAF") == replaced + replaced + replaced);
    CHECK(xml_escaped("\xED\xA0\x80") == replaced + replaced + replaced);
    CHECK(xml_escaped("\xEF\xBF\xBF") == replaced + replaced + replaced);
    CHECK(xml_escaped("\xF4\x90\x80\x80") == replaced + replaced + replaced + replaced);
}

TEST_CASE("numbers are written in the format that is asked for", "[number_text]") {
    CHECK(formatted("%.1f s", 1.25) == "1.2 s");
    CHECK(formatted("%+.0f %%", 12.4) == "+12 %");
    CHECK(formatted("%.1f", -std::numeric_limits<double>::max()).size() == 312);
    CHECK(formatted("%.0f", std::numeric_limits<double>::infinity()) == "inf");
}

TEST_CASE("a hash has sixteen hexadecimal digits", "[number_text]") {
    CHECK(hex_digits(0) == "0000000000000000");
    CHECK(hex_digits(0xFEDCBA9876543210) == "fedcba9876543210");
}
