// Layers: each component needs up to three of the layer before. Fan-out: a tree. Chains: ten of them, joined here and
// there. Random edges: a directed Erdős–Rényi graph with five edges a component, all pointing back.
#include "random_graph.h"

#include <algorithm>

namespace pillion::bench {

namespace {

std::vector<std::size_t> needs_of(Shape shape, std::size_t index, std::size_t count, std::mt19937& random) {
    std::vector<std::size_t> needs;
    const auto below = [&random](std::size_t limit) { return random() % limit; };
    switch (shape) {
    case Shape::layers: {
        const std::size_t width = std::max<std::size_t>(count / 12, 4);
        const std::size_t layer = index / width;
        for (int edge = 0; layer > 0 && edge < 3; ++edge) needs.push_back((layer - 1) * width + below(width));
        break;
    }
    case Shape::fan_out:
        if (index > 0) needs.push_back(below(std::max<std::size_t>(index / 2, 1)));
        break;
    case Shape::chains:
        if (index >= 10) needs.push_back(index - 10);
        if (index >= 20 && below(20) == 0) needs.push_back(below(index - 10));
        break;
    case Shape::random_edges:
        for (int edge = 0; index > 0 && edge < 5; ++edge) needs.push_back(below(index));
        break;
    }
    return needs;
}

} // namespace

std::string name_of(Shape shape) {
    switch (shape) {
    case Shape::layers:
        return "layers";
    case Shape::fan_out:
        return "fan-out";
    case Shape::chains:
        return "chains";
    case Shape::random_edges:
        return "random edges";
    }
    return {};
}

RandomStart random_start(Shape shape, std::size_t count, std::mt19937& random) {
    std::lognormal_distribution<double> milliseconds(3.0, 0.8);
    RandomStart start;
    for (std::size_t index = 0; index < count; ++index) {
        StartupNode node{.name = "component-" + std::to_string(index)};
        for (const std::size_t need : needs_of(shape, index, count, random))
            node.dependencies.push_back("component-" + std::to_string(need));
        start.nodes.push_back(std::move(node));
        start.durations_ns.push_back(static_cast<std::int64_t>(milliseconds(random) * 1e6));
    }
    return start;
}

} // namespace pillion::bench
