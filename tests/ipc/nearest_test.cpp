#include "ipc/nearest.h"

#include <catch2/catch.hpp>
#include <initializer_list>
#include <string>

using namespace pillion;

namespace {

std::string_view nearest(std::string_view wanted, std::initializer_list<std::string_view> candidates) {
    NearestName name(wanted);
    for (const std::string_view candidate : candidates) name.consider(candidate);
    return name.best();
}

} // namespace

TEST_CASE("spelling distance counts insertions, deletions, substitutions and swaps", "[nearest]") {
    CHECK(spelling_distance("", "") == 0);
    CHECK(spelling_distance("abc", "abc") == 0);
    CHECK(spelling_distance("", "abc") == 3);
    CHECK(spelling_distance("abc", "") == 3);
    CHECK(spelling_distance("abc", "abcd") == 1);
    CHECK(spelling_distance("abcd", "acd") == 1);
    CHECK(spelling_distance("abc", "axc") == 1);
    CHECK(spelling_distance("abc", "acb") == 1);
    CHECK(spelling_distance("ca", "abc") == 3); // optimal string alignment edits no part twice
    CHECK(spelling_distance("kitten", "sitting") == 3);
    CHECK(spelling_distance("limit", "LIMIT") == 0);
}

TEST_CASE("spelling distance is the same both ways", "[nearest]") {
    for (const std::string_view a : {"cache.get", "cache.gte", "cahce.get", "x", "", "components.list"})
        for (const std::string_view b : {"cache.put", "ache.get", "y", "components.start"})
            CHECK(spelling_distance(a, b) == spelling_distance(b, a));
}

TEST_CASE("words over 64 bytes are never near anything", "[nearest]") {
    const std::string longest(64, 'a');
    CHECK(spelling_distance(longest, longest) == 0);
    CHECK(spelling_distance(longest + "a", longest) == 64);
    CHECK(nearest(longest + "a", {longest}).empty());
    CHECK(nearest(longest, {std::string_view(longest)}) == longest);
}

TEST_CASE("the nearest name is found", "[nearest]") {
    CHECK(nearest("cache.gte", {"cache.put", "cache.get", "cache.delete"}) == "cache.get");
    CHECK(nearest("Priority", {"page", "priority"}) == "priority");
    CHECK(nearest("timeout", {"timeoutMs", "timing"}) == "timeoutMs");
    CHECK(nearest("b", {"a", "c"}) == "a"); // the first of equals
}

TEST_CASE("no name is suggested where none was meant", "[nearest]") {
    CHECK(nearest("overwrite", {"from", "to", "limit"}).empty());
    CHECK(nearest("anything", {}).empty());
    CHECK(nearest("", {"limit"}).empty());
    CHECK(nearest("rpc.ping", {"metrics.query"}).empty());
}
