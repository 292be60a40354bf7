// The start of what is eager, with all that it depends on: plans it (modules/startup), drives the scheduler by demands
// on the engine, and tells of it. Private to the module; owned by the engine. The strand's, but for what is marked.
#pragma once

#include "modules/components/components.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

class ComponentEngine;

class ComponentStart {
  public:
    explicit ComponentStart(ComponentEngine& engine) : engine_(engine) {}
    void configure(const StartupConfig& config) { config_ = config; }
    const StartupConfig& config() const { return config_; }

    // Whether anything is eager.
    bool has_work();
    // Joins the start that is running, if one is.
    void run(StartupHost::Progress progress, StartupHost::Done done);
    // What runs is taken back.
    void stop();

    // Any thread. The start that is running or was last; null if there was none.
    std::shared_ptr<const StartupTimeline> timeline() const;
    // Any thread.
    Result<bool> mark(const std::string& name);

  private:
    using Index = StartupGraph::Index;
    struct Listener {
        StartupHost::Progress progress{};
        StartupHost::Done done{};
    };
    Result<std::vector<StartupNode>> plan();
    void begin(std::vector<StartupNode> nodes);
    void drive();
    void load(Index index);
    void finish(Index index, StartupFinish finish);
    void expire();
    void skip(const std::vector<Index>& skipped);
    void arm();
    void step(Index index);
    void end();
    void refuse(const Error& error);

    ComponentEngine& engine_;
    StartupConfig config_{};
    std::vector<Listener> listeners_{};
    std::vector<Components::Ticket> tickets_{}; // by index
    std::optional<TimerId> timer_{};
    bool is_running_ = false;
    std::uint64_t generation_ = 0;

    mutable std::mutex mutex_; // guards what follows: the strand writes, others look
    std::unique_ptr<StartupGraph> graph_{};
    std::unique_ptr<StartupScheduler> scheduler_{};
};

} // namespace pillion
