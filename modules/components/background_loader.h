// Loads that nobody waits for: by rule (after a delay, when the CPU is idle, when memory allows), on a signal, on
// prediction; and what is let go when it is not used or memory is short. Private to the module; owned by the engine,
// used on its strand.
//
// What is to be loaded stands in a queue that a tick works off, so many at a time (lazyLoading.lanes), and only while
// the machine has memory and CPU to spare: background work yields. What waits too long for the CPU goes ahead, unless
// it was only predicted: then it is dropped. With nothing queued and nothing to watch there is no tick.
#pragma once

#include "modules/components/component_entry.h"
#include "modules/components/cpu_meter.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

class ComponentEngine;

class BackgroundLoader {
  public:
    static constexpr std::int64_t tick_ms = 500;
    static constexpr std::int64_t look_ms_max = 10'000; // what was seen over a longer time says little of now
    static constexpr std::int64_t yield_ms_max = 60'000;
    // What was neither declared to be let go nor used is spared for so long when memory is short.
    static constexpr std::int64_t spared_ms = 10'000;

    explicit BackgroundLoader(ComponentEngine& engine);
    void configure(const LazyLoadingConfig& config); // at composition
    void begin();
    void watch(const ComponentEntry& entry); // declared after the beginning
    void stop();

    // False if it is up, coming, or queued already.
    bool queue(const std::string& name, LoadCause cause, double probability = 0);
    void forget(const std::string& name);
    std::vector<std::string> signal(const std::string& name);
    std::vector<std::string> queue_likely();
    std::vector<ComponentPrediction> predict(std::size_t limit);

    void on_use(const ComponentEntry& entry, PreloadUse use);
    void on_ready(const ComponentEntry& entry);
    void on_measured(const ComponentEntry& entry, const ProcessUsage& usage);
    void on_gone(const ComponentEntry& entry);
    PreloadWorth worth() const { return judge_->worth(); } // any thread

  private:
    struct Queued {
        std::string name;
        LoadCause cause = LoadCause::rule;
        double probability = 0;
        std::int64_t since_ns = 0;
    };
    enum class Room : std::uint8_t { free, cpu_busy, memory_short };
    bool is_queued(const std::string& name) const {
        return std::ranges::find(queue_, name, &Queued::name) != queue_.end();
    }
    void arm();
    void tick();
    void pump();
    void watch_rules(double cpu_percent, const MemoryPressure& pressure);
    Room room_for(const Queued& queued, const MemoryPressure& memory) const;
    void load(const Queued& queued);
    void arm_sweep();
    void sweep();
    void on_pressure(MemoryLevel level);
    bool may_go(const ComponentEntry& entry, MemoryLevel level) const;
    std::uint64_t memory_cost(const std::string& name) const;
    void look();
    MemoryPressure pressure() const;

    ComponentEngine& engine_;
    LazyLoadingConfig config_{};
    CpuMeter meter_{};
    std::unique_ptr<PreloadJudge> judge_; // constant after composition
    std::deque<Queued> queue_;
    std::size_t loading_ = 0;
    std::vector<std::string> watched_idle_{}, watched_memory_{}; // not loaded yet by their rule
    std::map<std::string, std::uint64_t> memory_costs_{};        // as measured the last time
    double cpu_percent_ = 100;                                   // at the last look; busy until it is known
    std::int64_t looked_ns_ = 0;
    int idle_ticks_ = 0;
    std::optional<TimerId> tick_{}, sweep_{};
    bool has_begun_ = false;
    bool is_stopped_ = false;
    bool hears_pressure_ = false;
};

} // namespace pillion
