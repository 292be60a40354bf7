// Plays a start by hand: components take as long as they are told, on a clock that jumps from event to event. One test
// owns one.
#pragma once

#include "modules/startup/startup.h"

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace pillion {

struct PlayedComponent {
    std::string name{};
    std::vector<std::string> needs{};
    std::int64_t ms = 10;
    bool is_critical = false;
    bool fails = false;
    bool is_cached = false;
    std::optional<std::int64_t> expected_ms{};
    std::optional<std::int64_t> solo_ms{};
    std::int64_t timeout_ms = 0;
};

inline std::vector<StartupNode> nodes_of(const std::vector<PlayedComponent>& components) {
    std::vector<StartupNode> nodes;
    for (const PlayedComponent& component : components) {
        StartupNode node{.name = component.name, .dependencies = component.needs, .is_critical = component.is_critical};
        node.timeout_ms = component.timeout_ms;
        if (component.expected_ms) node.expected_ns = *component.expected_ms * 1'000'000;
        if (component.solo_ms) node.solo_ns = *component.solo_ms * 1'000'000;
        nodes.push_back(std::move(node));
    }
    return nodes;
}

class PlayedStart {
  public:
    explicit PlayedStart(std::vector<PlayedComponent> components, StartupOptions options = {},
                         std::int64_t wall_shift_ms = 0)
        : components_(std::move(components)), graph_(StartupGraph::create(nodes_of(components_)).value()) {
        clock.jump_wall_ms(wall_shift_ms);
        scheduler = std::make_unique<StartupScheduler>(graph_, options, clock);
    }

    // To the end; each step waits for the next end or deadline. `dispatch_ms` passes before each beginning.
    const StartupTimeline& play(std::int64_t dispatch_ms = 0) {
        while (!scheduler->is_done()) step(dispatch_ms);
        return scheduler->timeline();
    }
    void begin(std::int64_t dispatch_ms = 0) {
        while (true) {
            if (dispatch_ms > 0) clock.advance_ms(dispatch_ms);
            const auto next = scheduler->next_ready();
            if (!next) break;
            begun.push_back(components_[*next].name);
            ends_.emplace(now_ms() + components_[*next].ms, *next);
            most_at_once = std::max(most_at_once, scheduler->running().size());
        }
    }
    void step(std::int64_t dispatch_ms = 0) {
        begin(dispatch_ms);
        const auto deadline_ns = scheduler->next_deadline_ns();
        REQUIRE((!ends_.empty() || deadline_ns));
        if (ends_.empty() || (deadline_ns && *deadline_ns / 1'000'000 < ends_.begin()->first)) {
            advance_to(*deadline_ns / 1'000'000);
            const StartupExpiry expiry = scheduler->expire();
            for (const auto index : expiry.timed_out)
                std::erase_if(ends_, [index](const auto& end) { return end.second == index; });
            for (const auto index : expiry.skipped) skipped.push_back(components_[index].name);
            return;
        }
        const auto [at_ms, index] = *ends_.begin();
        ends_.erase(ends_.begin());
        advance_to(at_ms);
        const PlayedComponent& component = components_[index];
        StartupFinish finish{.was_cached = component.is_cached};
        if (component.fails) {
            finish.outcome = StartupOutcome::failed;
            finish.error = "exited with status 3";
        }
        for (const auto other : scheduler->finished(index, finish)) skipped.push_back(components_[other].name);
    }
    const StartupEntry& entry(std::string_view name) const { return scheduler->timeline().entries[*graph_.find(name)]; }
    const StartupGraph& graph() const { return graph_; }

    ManualClock clock;
    std::unique_ptr<StartupScheduler> scheduler;
    std::vector<std::string> begun;
    std::vector<std::string> skipped;
    std::size_t most_at_once = 0;

  private:
    std::int64_t now_ms() const { return clock.now_ns() / 1'000'000; }
    void advance_to(std::int64_t ms) {
        if (ms > now_ms()) clock.advance_ms(ms - now_ms());
    }

    std::vector<PlayedComponent> components_;
    StartupGraph graph_;
    std::set<std::pair<std::int64_t, StartupGraph::Index>> ends_;
};

// A random graph without cycles, some of it critical, failing, cached or known.
inline std::vector<PlayedComponent> random_components(std::mt19937& random, std::size_t count, bool may_fail = true) {
    std::vector<PlayedComponent> components;
    for (std::size_t index = 0; index < count; ++index) {
        PlayedComponent component{.name = "c" + std::to_string(index)};
        for (int edge = 0; index > 0 && edge < 3; ++edge)
            if (random() % 2 == 0) component.needs.push_back("c" + std::to_string(random() % index));
        component.ms = static_cast<std::int64_t>(random() % 50);
        component.is_critical = random() % 6 == 0;
        component.fails = may_fail && random() % 25 == 0;
        component.is_cached = random() % 5 == 0;
        if (random() % 2 == 0) component.expected_ms = static_cast<std::int64_t>(random() % 50);
        if (random() % 2 == 0) component.solo_ms = component.ms / 2;
        components.push_back(std::move(component));
    }
    return components;
}

} // namespace pillion
