// Watches how scarce memory is: judges readings, settles a level that does not flap, and tells those who listen. Owned
// by Memory. It samples by a timer only while somebody wants to know; nothing runs otherwise. Any thread may call; the
// listeners run on the timers' thread, one reading at a time.
#pragma once

#include "ipc/timers.h"
#include "modules/memory/memory_system.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

enum class MemoryLevel : std::uint8_t { normal, warning, critical };
enum class MemoryReason : std::uint8_t { none, stall, available, cgroup, budget };

// From which readings on memory counts as scarce. Shares are of what there is, in 0..1.
struct PressureLimits {
    double warning_share = 0.75;
    double critical_share = 0.90;
    double stall_warning_percent = 10;  // of 10 s in which some task waited for memory
    double stall_critical_percent = 10; // of 10 s in which all tasks waited for memory
    std::uint64_t budget_bytes = 0;     // what this process may be resident with; 0: no budget
};

// The level, why, and the reading behind it.
struct MemoryPressure {
    MemoryLevel level = MemoryLevel::normal;   // settled, while sampled
    MemoryLevel reading = MemoryLevel::normal; // what this reading alone says
    MemoryReason reason = MemoryReason::none;
    std::string detail{};
    std::int64_t at = 0;
    std::optional<std::int64_t> since{};
    bool sampled = false;
    std::uint64_t residentBytes = 0;
    std::uint64_t totalBytes = 0;
    std::uint64_t availableBytes = 0;
    std::optional<double> usedShare{};
    std::optional<double> cgroupShare{};
    std::optional<double> budgetShare{};
    std::optional<double> stallSomePercent{};
    std::optional<double> stallFullPercent{};
};

// What one reading says by itself: the worst of its signs, and the first of those that are equally bad.
MemoryPressure judge_memory(const MemoryReading& reading, const PressureLimits& limits);

// Settles a level: two readings in a row raise it, to the lower of them; three lower it, to the highest of them.
class PressureFilter {
  public:
    static constexpr int readings_up = 2;
    static constexpr int readings_down = 3;

    MemoryLevel level() const { return level_; }
    // True if the level changed.
    bool observe(MemoryLevel reading);

  private:
    MemoryLevel level_ = MemoryLevel::normal;
    int streak_ = 0; // positive: readings in a row above the level; negative: below
    MemoryLevel candidate_ = MemoryLevel::normal;
};

class PressureWatch {
  public:
    using Listener = std::function<void(const MemoryPressure&)>;

    // `on_reading` runs after every timed reading, `on_change` when it changed the level, then the listeners.
    PressureWatch(Timers& timers, const Clock& clock, MemoryReader reader, std::function<void()> on_reading,
                  Listener on_change);
    ~PressureWatch() { stop(); }
    PressureWatch(const PressureWatch&) = delete;

    void configure(const PressureLimits& limits, std::int64_t interval_ms);
    void set_subscribed(bool subscribed);
    void add_listener(Listener listener);
    // Reads now. While sampled, the level is the settled one.
    MemoryPressure read();
    // Waits for a reading that is under way; none comes after it. Not from a listener.
    void stop();

  private:
    // Shared with the timer's task, which may outlive the watch.
    struct Gate {
        std::mutex mutex;
        PressureWatch* watch = nullptr;
    };
    bool is_wanted() const { return subscribed_ || !listeners_.empty(); }
    void arrange(); // mutex_ is held
    void tick();

    Timers& timers_;
    const Clock& clock_;
    const MemoryReader reader_;
    const std::function<void()> on_reading_;
    const Listener on_change_;
    const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();

    std::mutex mutex_; // guards what follows
    PressureLimits limits_{};
    std::int64_t interval_ms_ = 2000;
    bool subscribed_ = false;
    bool stopped_ = false;
    std::vector<Listener> listeners_;
    std::optional<TimerId> timer_;
    PressureFilter filter_;
    std::optional<std::int64_t> since_ms_;
    MemoryReason reason_ = MemoryReason::none; // of the settled level
    std::string detail_;
};

} // namespace pillion
