// The chart and the text: nothing cut off, nothing that is not XML, columns under each other.
#include "modules/startup/startup_text.h"
#include "tests/startup/played_start.h"

#include <cstdlib>
#include <sstream>

using namespace pillion;

namespace {

std::string chart(PlayedStart& start) {
    const StartupTimeline& timeline = start.play();
    return startup_plot(timeline, startup_report(timeline, {}));
}

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
    return count;
}

// Every tag that opens closes, in order; every & begins a reference.
bool is_well_formed(const std::string& xml) {
    std::vector<std::string> open;
    for (std::size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
        const std::size_t end = xml.find('>', at);
        if (end == std::string::npos) return false;
        const std::string tag = xml.substr(at + 1, end - at - 1);
        if (tag.starts_with('/')) {
            if (open.empty() || open.back() != tag.substr(1)) return false;
            open.pop_back();
        } else if (!tag.ends_with('/')) {
            open.push_back(tag.substr(0, tag.find(' ')));
        }
        if (xml.substr(end + 1, xml.find('<', end) - end - 1).find('&') != std::string::npos &&
            xml.find(';', end) > xml.find('<', end))
            return false;
    }
    return open.empty();
}

} // namespace

TEST_CASE("a chart is well-formed XML whatever components are called", "[startup]") {
    PlayedStart start({{.name = "a & <b> \"c\" 'd'"}, {.name = "データ索引"}, {.name = std::string("bell\x07\n")}});
    start.scheduler->mark("first <paint>");
    const std::string svg = chart(start);
    CHECK(is_well_formed(svg));
    CHECK(svg.find("a &amp; &lt;b&gt; &quot;c&quot; &#39;d&#39;") != std::string::npos);
    CHECK(svg.find("データ索引") != std::string::npos);
    CHECK(svg.find('\x07') == std::string::npos);
    CHECK(svg.find("first &lt;paint&gt; 0 ms") != std::string::npos);
}

TEST_CASE("a chart has a row for each of 3 and of 300 components", "[startup]") {
    std::mt19937 random(4);
    for (const std::size_t count : {3u, 300u}) {
        PlayedStart start(random_components(random, count));
        const std::string svg = chart(start);
        CHECK(is_well_formed(svg));
        CHECK(count_of(svg, "<g><title>") == count);
    }
}

TEST_CASE("a chart grows wider where a name needs it", "[startup]") {
    const auto width_of = [](const std::string& svg) { return std::atof(svg.c_str() + svg.find("width=\"") + 7); };
    PlayedStart with_short({{.name = "a"}});
    PlayedStart with_long({{.name = std::string(300, 'w')}});
    const std::string svg = chart(with_long);
    CHECK(width_of(chart(with_short)) == Approx(1200).margin(30));
    CHECK(width_of(svg) > 300 * 6 + 500);
    CHECK(svg.find(std::string(300, 'w')) != std::string::npos);
}

TEST_CASE("a chart tells failed, skipped, cached and waiting components apart", "[startup]") {
    PlayedStart start({{.name = "bad", .fails = true},
                       {.name = "poor", .needs = {"bad"}},
                       {.name = "kept", .is_cached = true},
                       {.name = "queued", .ms = 5},
                       {.name = "user", .needs = {"kept"}, .ms = 50}},
                      {.lanes = 1});
    const std::string svg = chart(start);
    CHECK(svg.find("class=\"failed\"") != std::string::npos);
    CHECK(count_of(svg, "class=\"hatch\"") == 2); // the legend's and kept's
    CHECK(svg.find("class=\"skip\"") != std::string::npos);
    CHECK(svg.find("class=\"lane\"") != svg.rfind("class=\"lane\""));
    CHECK(svg.find("skipped because &quot;bad&quot; failed") != std::string::npos);
    CHECK(svg.find("class=\"chain\"") != svg.rfind("class=\"chain\""));
}

TEST_CASE("a start that goes on can be drawn", "[startup]") {
    PlayedStart start({{.name = "a"}, {.name = "b", .ms = 40}, {.name = "c", .needs = {"b"}}}, {.lanes = 2});
    start.step();
    const StartupTimeline& timeline = start.scheduler->timeline();
    const std::string svg = startup_plot(timeline, startup_report(timeline, {}));
    CHECK(is_well_formed(svg));
    CHECK(svg.find("class=\"active\"") != std::string::npos);
}

TEST_CASE("the text puts columns under each other, wide letters too", "[startup]") {
    PlayedStart start({{.name = "データ", .ms = 5}, {.name = "a-longer-name", .ms = 1234}});
    const StartupTimeline& timeline = start.play();
    std::istringstream text(startup_text(startup_report(timeline, {})));
    std::vector<std::size_t> ends;
    for (std::string line; std::getline(text, line);)
        if (line.starts_with("  ") && line.ends_with("  ready"))
            ends.push_back(columns_of(std::string_view(line).substr(0, line.find("ready"))));
    REQUIRE(ends.size() == 2);
    CHECK(ends[0] == ends[1]);
}

TEST_CASE("columns count letters as a terminal shows them", "[startup]") {
    CHECK(columns_of("abc") == 3);
    CHECK(columns_of("é") == 1);
    CHECK(columns_of("e\xCC\x81") == 1); // with a combining accent
    CHECK(columns_of("データ") == 6);
    CHECK(columns_of("🚀") == 2);
    CHECK(columns_of("") == 0);
    CHECK(columns_of("\xE3\x83") <= 2); // cut off
}

TEST_CASE("durations read well at every size", "[startup]") {
    CHECK(duration_text(0) == "0 ms");
    CHECK(duration_text(0.004) == "0.004 ms");
    CHECK(duration_text(3.14) == "3.1 ms");
    CHECK(duration_text(812.4) == "812 ms");
    CHECK(duration_text(1250) == "1.25 s");
    CHECK(duration_text(61'000) == "61.0 s");
    CHECK(duration_text(-20) == "-20 ms");
}
