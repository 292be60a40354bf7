// One component as the engine keeps it. Private to the engine. `declared`, `info`, `run` and the counters beside them
// are guarded by the engine's mutex and written on the strand; the rest is the strand's alone.
#pragma once

#include "modules/components/components.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

struct ComponentWaiter {
    Components::Ticket ticket = 0;
    Components::LoadDone done{};
    bool is_shared = false;
};

// What a component is taken down for, and what it is afterwards.
struct ComponentTakedown {
    ComponentState after = ComponentState::idle;
    std::string reason{};
    std::vector<std::function<void()>> done{};
    std::size_t dependents_left = 0;
    bool is_restart = false; // comes up again at once
};

struct ComponentEntry {
    explicit ComponentEntry(std::string its_name) : name(std::move(its_name)) {}

    const std::string name;

    std::shared_ptr<const ComponentSpec> declared{};
    ComponentInfo info{};
    std::shared_ptr<ComponentRun> run{};
    std::int64_t failures = 0;
    std::int64_t saved_ns = 0;

    std::shared_ptr<const ComponentSpec> spec{}; // of the present load
    std::uint64_t generation = 0;                // counts beginnings and ends; what comes late is recognised by it
    LoadCause cause = LoadCause::demand;
    std::vector<ComponentWaiter> waiters{};
    std::vector<Components::Ticket> needs{}; // its demands on what it depends on
    std::size_t missing = 0;                 // of those, not ready yet
    std::int64_t started_ns = 0;
    std::int64_t ready_ns = 0;
    std::int64_t used_ns = 0;
    std::int64_t load_ns = 0;
    std::uint16_t port = 0;
    std::string result{};
    bool is_restart = false;        // it went down and comes up again by itself
    bool was_used = false;          // since it became ready
    std::optional<TimerId> timer{}; // of the load's time, or of the restart
    std::optional<TimerId> health{};
    std::int64_t health_failures = 0;
    std::unique_ptr<RestartPolicy> policy{};
    std::optional<ComponentTakedown> takedown{};

    ComponentState state() const { return info.state; }
    bool is_down() const {
        return info.state == ComponentState::idle || info.state == ComponentState::failed ||
               info.state == ComponentState::skipped;
    }
    bool is_coming() const {
        return info.state == ComponentState::waiting || info.state == ComponentState::loading ||
               info.state == ComponentState::restarting;
    }
};

} // namespace pillion
