// The scanner against two other readers on texts that are nearly JSON. Seeds are fixed: a failure repeats.
#include "ipc/json_scanner.h"
#include "tests/support/tight_text.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>
#include <simdjson.h>
#include <string>

using namespace pillion;

namespace {

const std::string_view seeds[] = {
    R"({"a":[1,-2.5e+10,true,false,null,"x\u00e9\n\ud83d\ude00"],"b":{"c":{}},"":[[]]})",
    "[0,-0,0.1,1E-2,12345678901234567890,1e5,\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 plain text of some length\"]",
    R"({"jsonrpc":"2.0","id":1,"method":"cache.get","params":{"key":"some/key \\ \"quoted\"","tags":["a","b"],"n":1.25}})",
    " [ { } , [ ] , \"\" , \"\\u0000\\/\" ] ",
};

std::string mutated(std::string text, std::mt19937_64& random) {
    static constexpr std::string_view interesting =
        "{}[]\",:\\u0019-+.eE/tfn \n\x1F\x7F\x80\xBF\xC3\xE2\xED\xF0\xF4\xFF";
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (std::size_t edits = 1 + below(3); edits != 0 && !text.empty(); --edits) {
        const std::size_t at = below(text.size());
        switch (below(5)) {
        case 0:
            text.erase(at, 1 + below(4));
            break;
        case 1:
            text.insert(at, 1, interesting[below(interesting.size())]);
            break;
        case 2:
            text[at] = interesting[below(interesting.size())];
            break;
        case 3:
            text.insert(at, text.substr(below(text.size()), below(12)));
            break;
        default:
            std::swap(text[at], text[below(text.size())]);
        }
    }
    return text;
}

bool scanner_accepts(std::string_view text) {
    const test::TightText tight(text);
    JsonScanner scanner(tight.view());
    return scanner.skip_value() && scanner.at_end();
}

// What both libraries refuse although the grammar allows it: numbers no double holds, unpaired surrogate escapes.
bool refused_for_its_value(const std::string& text) {
    try {
        return nlohmann::json::parse(text).is_discarded();
    } catch (const nlohmann::json::out_of_range&) {
        return true;
    } catch (const nlohmann::json::parse_error& error) {
        return std::string_view(error.what()).find("surrogate") != std::string_view::npos;
    }
}

} // namespace

TEST_CASE("the scanner agrees with nlohmann_json on 40,000 mutated texts", "[scanner][differential]") {
    std::mt19937_64 random(20240601);
    std::size_t accepted = 0;
    for (int round = 0; round < 10'000; ++round)
        for (const std::string_view seed : seeds) {
            const std::string text = mutated(std::string(seed), random);
            const bool ours = scanner_accepts(text);
            accepted += ours;
            if (ours == nlohmann::json::accept(text) || (ours && refused_for_its_value(text))) continue;
            FAIL("disagree on: " << text);
        }
    CHECK(accepted > 1000); // the mutations are mild enough to test both answers
}

TEST_CASE("the scanner agrees with simdjson on 40,000 mutated texts", "[scanner][differential]") {
    std::mt19937_64 random(19700101);
    simdjson::dom::parser parser;
    for (int round = 0; round < 10'000; ++round)
        for (const std::string_view seed : seeds) {
            const std::string text = mutated(std::string(seed), random);
            const bool ours = scanner_accepts(text);
            const simdjson::error_code theirs = parser.parse(text).error();
            if (ours == (theirs == simdjson::SUCCESS)) continue;
            if (ours && (theirs == simdjson::NUMBER_ERROR || refused_for_its_value(text))) continue;
            FAIL("disagree (" << simdjson::error_message(theirs) << ") on: " << text);
        }
}
