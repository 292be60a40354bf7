// What is to be started and what needs what: checked once, then constant. Owned by whoever starts; any thread may read.
#pragma once

#include "ipc/base/error.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

struct StartupNode {
    std::string name{};
    std::vector<std::string> dependencies{};
    bool is_critical = false;                  // its failure fails the start
    std::int64_t timeout_ms = 0;               // from its own start; 0: none
    std::optional<std::int64_t> expected_ns{}; // how long it is likely to take (StartupHistory::fill); absent: unknown
    std::optional<std::int64_t> solo_ns{};     // the same with nothing else running; for the estimate of contention
};

class StartupGraph {
  public:
    using Index = std::uint32_t;

    // Errors, -32602, name the component: a name twice or empty, a dependency on itself, on a name that is not there
    // (with the nearest that is), and a cycle as the path that closes: "a → b → c → a".
    static Result<StartupGraph> create(std::vector<StartupNode> nodes);

    std::size_t size() const { return nodes_.size(); }
    const StartupNode& node(Index index) const { return nodes_[index]; }
    std::optional<Index> find(std::string_view name) const;
    std::span<const Index> dependencies(Index index) const { return needs_.of(index); }
    std::span<const Index> dependents(Index index) const { return needed_by_.of(index); }
    // Critical itself, or needed by one that is.
    bool is_critical(Index index) const { return is_critical_[index] != 0; }
    // What is known, else the median of what is known of the others, else 1 ms.
    std::int64_t expected_ns(Index index) const { return expected_ns_[index]; }
    // The longest path from the beginning of this one to the end of all that follow it.
    std::int64_t remaining_ns(Index index) const { return remaining_ns_[index]; }
    // Each after all that it needs.
    std::span<const Index> order() const { return order_; }

    std::int64_t critical_path_ns() const;
    std::int64_t work_ns() const;
    // No schedule on so many lanes is shorter: the longest path, or the work shared out evenly.
    std::int64_t lower_bound_ns(unsigned lanes) const;

  private:
    // Edges of all nodes, one after another.
    struct Edges {
        std::vector<Index> starts{0};
        std::vector<Index> ends{};
        std::span<const Index> of(Index index) const {
            return std::span(ends).subspan(starts[index], starts[index + 1] - starts[index]);
        }
    };
    StartupGraph() = default;
    Result<void> connect();
    Result<void> sort();
    Error cycle(std::span<const Index> waiting_for) const;
    void weigh();

    std::vector<StartupNode> nodes_;
    std::vector<Index> by_name_; // sorted
    Edges needs_, needed_by_;
    std::vector<Index> order_;
    std::vector<std::uint8_t> is_critical_;
    std::vector<std::int64_t> expected_ns_, remaining_ns_;
};

} // namespace pillion
