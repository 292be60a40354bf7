// What may be started at all, and what the graph says of it.
#include "modules/startup/startup.h"

#include <catch2/catch.hpp>

using namespace pillion;

namespace {

StartupNode node(std::string name, std::vector<std::string> needs = {}, std::int64_t expected_ms = -1) {
    StartupNode made{.name = std::move(name), .dependencies = std::move(needs)};
    if (expected_ms >= 0) made.expected_ns = expected_ms * 1'000'000;
    return made;
}

std::string refusal(std::vector<StartupNode> nodes) {
    const auto graph = StartupGraph::create(std::move(nodes));
    if (graph) return "accepted";
    CHECK(graph.error().code == ErrorCode::invalid_params);
    return graph.error().message + (graph.error().hint.empty() ? "" : " | " + graph.error().hint);
}

} // namespace

TEST_CASE("a graph of nothing is fine", "[startup]") {
    const auto graph = StartupGraph::create({});
    REQUIRE(graph);
    CHECK(graph->size() == 0);
    CHECK(graph->lower_bound_ns(4) == 0);
}

TEST_CASE("a cycle is told as the path that closes", "[startup]") {
    const std::string path =
        "the components need each other in a circle: a → b → c → a | remove one of these dependencies";
    CHECK(refusal({node("a", {"b"}), node("b", {"c"}), node("c", {"a"})}) == path);
    // However it is declared, and whatever hangs on it.
    CHECK(refusal({node("x", {"c"}), node("c", {"a", "free"}), node("free"), node("b", {"c"}), node("a", {"b"})}) ==
          path);
    CHECK(refusal({node("a", {"b"}), node("b", {"a"})}).find("a → b → a") != std::string::npos);
}

TEST_CASE("a very long cycle is told in short", "[startup]") {
    std::vector<StartupNode> nodes;
    for (int index = 0; index < 100; ++index)
        nodes.push_back(node("c" + std::to_string(index), {"c" + std::to_string((index + 1) % 100)}));
    const std::string message = refusal(std::move(nodes));
    CHECK(message.find("c0 → c1 → c2") != std::string::npos);
    CHECK(message.find("(80 more) → c0") != std::string::npos);
}

TEST_CASE("an unknown dependency is told with the nearest name", "[startup]") {
    CHECK(refusal({node("storage"), node("index", {"storege"})}) ==
          "component \"index\" depends on \"storege\", which is not declared; did you mean \"storage\"?");
    CHECK(refusal({node("storage"), node("index", {"xyz"})}) ==
          "component \"index\" depends on \"xyz\", which is not declared");
}

TEST_CASE("a dependency on itself, a name twice and an empty name are refused", "[startup]") {
    CHECK(refusal({node("a", {"a"})}) == "component \"a\" depends on itself");
    CHECK(refusal({node("a"), node("b"), node("a")}) == "component \"a\" is declared twice");
    CHECK(refusal({node("")}) == "a component has an empty name");
}

TEST_CASE("a dependency named twice counts once", "[startup]") {
    const auto graph = StartupGraph::create({node("a"), node("b", {"a", "a"})});
    REQUIRE(graph);
    CHECK(graph->dependencies(1).size() == 1);
    CHECK(graph->dependents(0).size() == 1);
}

TEST_CASE("what a critical component needs is critical in effect", "[startup]") {
    auto shell = node("shell", {"theme"});
    shell.is_critical = true;
    const auto graph = StartupGraph::create({node("fonts"), node("theme", {"fonts"}), shell, node("help", {"theme"})});
    REQUIRE(graph);
    CHECK(graph->is_critical(*graph->find("fonts")));
    CHECK(graph->is_critical(*graph->find("theme")));
    CHECK_FALSE(graph->is_critical(*graph->find("help")));
    CHECK_FALSE(graph->find("nothing"));
}

TEST_CASE("unknown durations are taken to be the median of the known", "[startup]") {
    const auto graph = StartupGraph::create({node("a", {}, 10), node("b", {}, 20), node("c", {}, 900), node("d")});
    REQUIRE(graph);
    CHECK(graph->expected_ns(3) == 20'000'000);
}

TEST_CASE("the longest path and the shared work bound every schedule from below", "[startup]") {
    const auto graph =
        StartupGraph::create({node("a", {}, 10), node("b", {"a"}, 20), node("c", {"b"}, 5), node("d", {}, 100)});
    REQUIRE(graph);
    CHECK(graph->remaining_ns(0) == 35'000'000);
    CHECK(graph->critical_path_ns() == 100'000'000);
    CHECK(graph->lower_bound_ns(1) == 135'000'000);
    CHECK(graph->lower_bound_ns(4) == 100'000'000);
    CHECK(graph->lower_bound_ns(0) == 135'000'000);
}
