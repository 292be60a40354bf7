// Discrete events: time jumps to the next end of a component.
#include "modules/startup/startup_simulation.h"

#include "modules/startup/startup_scheduler.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace pillion {

namespace {

class SimulatedClock final : public Clock {
  public:
    std::int64_t now_ns() const override { return now_ns_; }
    std::int64_t wall_ms() const override { return 0; }
    void set(std::int64_t now_ns) { now_ns_ = now_ns; }

  private:
    std::int64_t now_ns_ = 0;
};

} // namespace

StartupMakespan simulate_startup(const StartupGraph& graph, std::span<const std::int64_t> durations_ns,
                                 std::uint32_t lanes) {
    using End = std::pair<std::int64_t, StartupGraph::Index>;
    SimulatedClock clock;
    StartupScheduler scheduler(graph, {.lanes = lanes}, clock);
    std::priority_queue<End, std::vector<End>, std::greater<>> ends;
    while (!scheduler.is_done()) {
        while (const auto next = scheduler.next_ready()) ends.emplace(clock.now_ns() + durations_ns[*next], *next);
        const auto [at_ns, index] = ends.top();
        ends.pop();
        clock.set(at_ns);
        scheduler.finished(index, {});
    }
    const StartupTimeline& timeline = scheduler.timeline();
    const bool has_critical = std::ranges::any_of(timeline.entries, &StartupEntry::is_critical);
    return {timeline.ended_ns, has_critical ? timeline.critical_done_ns : timeline.ended_ns};
}

} // namespace pillion
