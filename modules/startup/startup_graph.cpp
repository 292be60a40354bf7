// Kahn's algorithm (1962) sorts; what it cannot sort contains a cycle, which a walk from need to need closes. Remaining
// paths are summed from the end, as in critical-path list scheduling: Hu (1961) orders by the longest path to the end,
// and Graham (1969) shows that any list schedule on m lanes takes at most 2 - 1/m times the shortest one. All is linear
// in nodes and edges but for the sorting of names.
#include "modules/startup/startup_graph.h"

#include "ipc/nearest.h"

#include <algorithm>
#include <numeric>

namespace pillion {

namespace {

constexpr std::int64_t unknown_ns = 1'000'000; // where nothing at all is known
constexpr std::size_t cycle_names_max = 20;    // of a path in a message

Error wrong(std::string message, std::string hint = {}) {
    return {.code = ErrorCode::invalid_params, .message = std::move(message), .hint = std::move(hint)};
}

std::string quoted(std::string_view name) { return "\"" + std::string(name) + "\""; }

} // namespace

Result<StartupGraph> StartupGraph::create(std::vector<StartupNode> nodes) {
    StartupGraph graph;
    graph.nodes_ = std::move(nodes);
    PILLION_TRY(graph.connect());
    PILLION_TRY(graph.sort());
    graph.weigh();
    return graph;
}

std::optional<StartupGraph::Index> StartupGraph::find(std::string_view name) const {
    const auto at = std::ranges::lower_bound(by_name_, name, {},
                                             [this](Index index) -> std::string_view { return nodes_[index].name; });
    if (at == by_name_.end() || nodes_[*at].name != name) return std::nullopt;
    return *at;
}

Result<void> StartupGraph::connect() {
    const auto name_of = [this](Index index) -> std::string_view { return nodes_[index].name; };
    by_name_.resize(nodes_.size());
    std::iota(by_name_.begin(), by_name_.end(), Index{0});
    std::ranges::sort(by_name_, {}, name_of);
    if (!by_name_.empty() && name_of(by_name_.front()).empty())
        return std::unexpected(wrong("a component has an empty name"));
    if (const auto twice = std::ranges::adjacent_find(by_name_, {}, name_of); twice != by_name_.end())
        return std::unexpected(wrong("component " + quoted(name_of(*twice)) + " is declared twice"));

    std::vector<Index> users(nodes_.size(), 0);
    for (const StartupNode& node : nodes_) {
        const std::size_t first = needs_.ends.size();
        for (const std::string& dependency : node.dependencies) {
            if (dependency == node.name)
                return std::unexpected(wrong("component " + quoted(node.name) + " depends on itself"));
            const std::optional<Index> found = find(dependency);
            if (!found) {
                NearestName nearest(dependency);
                for (const StartupNode& other : nodes_)
                    if (other.name != node.name) nearest.consider(other.name);
                // In the message itself: at the program's start nothing else is shown.
                return std::unexpected(wrong(
                    "component " + quoted(node.name) + " depends on " + quoted(dependency) + ", which is not declared" +
                    (nearest.best().empty() ? "" : "; did you mean " + quoted(nearest.best()) + "?")));
            }
            // Said twice is needed once.
            const auto known = std::span(needs_.ends).subspan(first);
            if (std::ranges::find(known, *found) != known.end()) continue;
            needs_.ends.push_back(*found);
            ++users[*found];
        }
        needs_.starts.push_back(static_cast<Index>(needs_.ends.size()));
    }

    needed_by_.ends.resize(needs_.ends.size());
    for (const Index count : users) needed_by_.starts.push_back(needed_by_.starts.back() + count);
    std::vector<Index> next(needed_by_.starts.begin(), needed_by_.starts.end() - 1);
    for (Index user = 0; user < nodes_.size(); ++user)
        for (const Index needed : needs_.of(user)) needed_by_.ends[next[needed]++] = user;
    return {};
}

Result<void> StartupGraph::sort() {
    std::vector<Index> missing(nodes_.size());
    order_.reserve(nodes_.size());
    for (Index index = 0; index < nodes_.size(); ++index) {
        missing[index] = static_cast<Index>(needs_.of(index).size());
        if (missing[index] == 0) order_.push_back(index);
    }
    for (std::size_t done = 0; done < order_.size(); ++done)
        for (const Index user : needed_by_.of(order_[done]))
            if (--missing[user] == 0) order_.push_back(user);
    if (order_.size() < nodes_.size()) return std::unexpected(cycle(missing));
    return {};
}

// Every node still missing something has a need that is missing something itself: following those must come back.
Error StartupGraph::cycle(std::span<const Index> missing) const {
    Index at =
        static_cast<Index>(std::ranges::find_if(missing, [](Index count) { return count > 0; }) - missing.begin());
    std::vector<Index> path;
    std::vector<std::uint8_t> seen(nodes_.size(), 0);
    while (seen[at] == 0) {
        seen[at] = 1;
        path.push_back(at);
        at = *std::ranges::find_if(needs_.of(at), [&](Index needed) { return missing[needed] > 0; });
    }
    path.erase(path.begin(), std::ranges::find(path, at));
    // The same cycle reads the same whatever the order of declaration.
    std::ranges::rotate(path, std::ranges::min_element(path, {}, [this](Index index) { return nodes_[index].name; }));

    std::string text;
    for (std::size_t step = 0; step < path.size(); ++step) {
        if (step == cycle_names_max && path.size() > cycle_names_max + 1) {
            text += "(" + std::to_string(path.size() - step) + " more) → ";
            break;
        }
        text += nodes_[path[step]].name + " → ";
    }
    return wrong("the components need each other in a circle: " + text + nodes_[path.front()].name,
                 "remove one of these dependencies");
}

void StartupGraph::weigh() {
    std::vector<std::int64_t> known;
    for (const StartupNode& node : nodes_)
        if (node.expected_ns) known.push_back(*node.expected_ns);
    std::int64_t median = unknown_ns;
    if (!known.empty()) {
        const auto middle = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
        std::ranges::nth_element(known, middle);
        median = *middle;
    }
    expected_ns_.reserve(nodes_.size());
    is_critical_.reserve(nodes_.size());
    for (const StartupNode& node : nodes_) {
        expected_ns_.push_back(std::max<std::int64_t>(node.expected_ns.value_or(median), 0));
        is_critical_.push_back(node.is_critical ? 1 : 0);
    }
    remaining_ns_.assign(nodes_.size(), 0);
    for (std::size_t position = order_.size(); position-- > 0;) {
        const Index index = order_[position];
        for (const Index user : needed_by_.of(index)) {
            remaining_ns_[index] = std::max(remaining_ns_[index], remaining_ns_[user]);
            is_critical_[index] |= is_critical_[user];
        }
        remaining_ns_[index] += expected_ns_[index];
    }
}

std::int64_t StartupGraph::critical_path_ns() const {
    return remaining_ns_.empty() ? 0 : *std::ranges::max_element(remaining_ns_);
}

std::int64_t StartupGraph::work_ns() const {
    return std::accumulate(expected_ns_.begin(), expected_ns_.end(), std::int64_t{0});
}

std::int64_t StartupGraph::lower_bound_ns(unsigned lanes) const {
    const std::int64_t count = std::max(lanes, 1u);
    return std::max(critical_path_ns(), (work_ns() + count - 1) / count);
}

} // namespace pillion
