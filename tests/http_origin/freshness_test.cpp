#include "modules/http_origin/http_origin.h"

#include <catch2/catch.hpp>

using namespace pillion;

namespace {

constexpr std::int64_t now_ms = 1'700'000'000'000; // Tue, 14 Nov 2023 22:13:20 GMT
const char* const now_date = "Tue, 14 Nov 2023 22:13:20 GMT";

Freshness judge(HttpHeaders headers, int status = 200) { return judge_freshness(status, headers, now_ms, now_ms); }

HttpHeaders language(const std::string& value) {
    HttpHeaders headers;
    headers.emplace_back("Accept-LANGUAGE", value);
    return headers;
}

} // namespace

TEST_CASE("max-age is stronger than Expires, and Age counts against it", "[freshness]") {
    CHECK(judge({{"Cache-Control", "max-age=60"}, {"Expires", "Thu, 01 Jan 1970 00:00:00 GMT"}}).fresh_ms == 60'000);
    CHECK(judge({{"cache-control", "max-age=60"}, {"age", "20"}}).fresh_ms == 40'000);
    CHECK(judge({{"Cache-Control", "max-age=60"}, {"Age", "90"}}).fresh_ms == 0);
}

TEST_CASE("time on the way counts against the freshness", "[freshness]") {
    const Freshness slow = judge_freshness(200, {{"Cache-Control", "max-age=60"}}, now_ms - 5000, now_ms);
    CHECK(slow.fresh_ms == 55'000);
    CHECK(judge({{"Cache-Control", "max-age=60"}, {"Date", "Tue, 14 Nov 2023 22:13:00 GMT"}}).fresh_ms == 40'000);
}

TEST_CASE("a server's clock that runs ahead makes nothing older", "[freshness]") {
    CHECK(judge({{"Cache-Control", "max-age=60"}, {"Date", "Tue, 14 Nov 2023 22:20:00 GMT"}}).fresh_ms == 60'000);
}

TEST_CASE("Expires counts from Date, and an invalid one is in the past", "[freshness]") {
    CHECK(judge({{"Expires", "Tue, 14 Nov 2023 22:14:20 GMT"}, {"Date", now_date}}).fresh_ms == 60'000);
    CHECK(judge({{"Expires", "0"}, {"ETag", "\"a\""}}).fresh_ms == 0);
}

TEST_CASE("where nothing is said a tenth of the age since the last change is taken, a day at most", "[freshness]") {
    const Freshness hour = judge({{"Last-Modified", "Tue, 14 Nov 2023 12:13:20 GMT"}, {"Date", now_date}});
    CHECK(hour.is_heuristic);
    CHECK(hour.fresh_ms == 3'600'000);
    CHECK(judge({{"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"}}).fresh_ms == 86'400'000);
    CHECK(judge({{"Last-Modified", "Tue, 14 Nov 2023 12:13:20 GMT"}}, 500).fresh_ms == 0);
}

TEST_CASE("no-store is not stored and no-cache is asked for again before each use", "[freshness]") {
    CHECK(!judge({{"Cache-Control", "no-store, max-age=60"}}).may_store);
    const Freshness asked = judge({{"Cache-Control", "no-cache, max-age=60"}, {"ETag", "\"a\""}});
    CHECK(asked.may_store);
    CHECK(asked.fresh_ms == 0);
}

TEST_CASE("an answer that is neither fresh nor can be asked for again is not worth storing", "[freshness]") {
    CHECK(!judge({}).may_store);
    CHECK(!judge({{"Cache-Control", "max-age=0"}}).may_store);
    CHECK(judge({{"Cache-Control", "max-age=0"}, {"ETag", "\"a\""}}).may_store);
}

TEST_CASE("parts of an answer, and errors without permission, are not stored", "[freshness]") {
    CHECK(!judge({{"Cache-Control", "max-age=60"}}, 206).may_store);
    CHECK(!judge({{"ETag", "\"a\""}}, 500).may_store);
    CHECK(judge({{"Cache-Control", "max-age=60"}}, 404).may_store);
}

TEST_CASE("stale use is allowed as said, unless it must be revalidated", "[freshness]") {
    const Freshness stale = judge({{"Cache-Control", "max-age=1, stale-while-revalidate=30, stale-if-error=\"600\""}});
    CHECK(stale.stale_revalidate_ms == 30'000);
    CHECK(stale.stale_error_ms == 600'000);
    CHECK(judge({{"Cache-Control", "max-age=1, stale-if-error=600, must-revalidate"}}).stale_error_ms == 0);
}

TEST_CASE("directives are read whatever their case, quotes, repetition and nonsense", "[freshness]") {
    CHECK(parse_cache_control("MAX-AGE=\"5\"").max_age_ms == 5000);
    CHECK(parse_cache_control("max-age=5, max-age=9").max_age_ms == 5000);
    CHECK(parse_cache_control("max-age=abc").max_age_ms == 0);
    CHECK(parse_cache_control("max-age=-5").max_age_ms == 0);
    CHECK(parse_cache_control("max-age=99999999999999999999").max_age_ms == 2'147'483'648'000);
    CHECK(parse_cache_control("private=\"a, max-age=3\", no-store").no_store);
    CHECK(!parse_cache_control("private=\"a, max-age=3\"").max_age_ms);
    CHECK(!parse_cache_control(",,=,").max_age_ms);
}

TEST_CASE("dates are read in all three forms and nothing else is", "[freshness]") {
    constexpr std::int64_t date = 784'111'777'000;
    CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == date);
    CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == date);
    CHECK(parse_http_date("Sun Nov  6 08:49:37 1994") == date);
    CHECK(!parse_http_date("1994-11-06T08:49:37Z"));
    CHECK(!parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT and more"));
    CHECK(!parse_http_date(""));
}

TEST_CASE("cache groups are lists of strings", "[freshness]") {
    CHECK(judge({{"Cache-Groups", R"("a", "b \"c\"";x=1, token, "open)"}}).groups ==
          std::vector<std::string>{"a", "b \"c\""});
    CHECK(groups_made_void({{"Cache-Group-Invalidation", "\"a\""}, {"cache-group-invalidation", "\"b\""}}) ==
          std::vector<std::string>{"a", "b"});
}

TEST_CASE("answers that vary by request fields are kept apart by their values", "[freshness]") {
    const std::vector<std::string> vary = judge({{"Vary", "Accept-Language, X-App"}}).vary;
    CHECK(vary_key(vary, language("de")) == "accept-language:de\n");
    CHECK(vary_key(vary, {}) == "");
    CHECK(vary_key(vary, language("de")) == vary_key({"x-app", "accept-language"}, language(" de ")));
    CHECK(vary_key(vary, language("fr")) != vary_key(vary, language("de")));
    CHECK(!vary_key({"*"}, {}));
    CHECK(!judge({{"Vary", "*"}, {"Cache-Control", "max-age=60"}}).may_store);
}

TEST_CASE("a URL is shown without its secrets", "[freshness]") {
    CHECK(printable_url("https://me:secret@host:1/a/b?token=x#y") == "https://host:1/a/b");
    CHECK(printable_url("http://host") == "http://host");
    CHECK(printable_url("http://host/a@b") == "http://host/a@b");
}
