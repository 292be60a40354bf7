// Watches Pillion's tree of processes and the machine: reads, makes rates, keeps the latest sample, hands series to a
// sink. Owned by the composition root; any thread may call. It reads by a timer while it was started or somebody wants
// it; otherwise it has no timer and no open file, and reads only for sample_soon().
//
// What the figures mean where they could mislead: a sample across a sleep of the machine or a pause of the readings
// has no rates (`spanMs` is absent); a counter that goes back gives no rate; figures of memory maps (proportional,
// private) are up to `memoryAgeMs` old, since walking them is dear (monitor_memory.h).
#pragma once

#include "ipc/base/clock.h"
#include "ipc/timers.h"
#include "modules/monitor/monitor_memory.h"
#include "modules/monitor/monitor_platform.h"
#include "modules/monitor/monitor_rates.h"
#include "modules/monitor/monitor_sample.h"
#include "modules/monitor/monitor_series.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// Section `monitoring`. Described in monitor_rpc.h.
struct MonitorConfig {
    bool enabled = false;
    std::int64_t intervalMs = 1000;
    std::int64_t leaksMs = 20'000; // of the host, which looks for leaks in what was recorded
};

struct MonitorStatus {
    bool running = false;
    bool started = false;
    std::int64_t intervalMs = 0;
    std::int64_t samples = 0;
    std::optional<std::int64_t> latestAt{};
    std::optional<double> costPercent{};
};

class Monitor {
  public:
    static constexpr std::int64_t interval_ms_min = 100;
    static constexpr std::int64_t interval_ms_max = 3'600'000;
    // Between the two readings that sample_soon() makes where there is nothing to compare with: five ticks of the
    // processor times at least.
    static constexpr std::int64_t pair_ms = 250;
    // While samples are taken, one no older than this is the present.
    static constexpr std::int64_t fresh_ms = 2000;
    static constexpr std::int64_t surroundings_ms = 5000;
    // After a longer pause a reading is only the new base.
    static constexpr std::int64_t stale_ms = 30'000;

    using SampleListener = std::function<void(const MonitorSample&)>;

    struct Host {
        Timers& timers;
        const Clock& clock;
        std::unique_ptr<MonitorPlatform> platform;
        // The component or backend that a process was started for; empty for none. Descendants belong to it too. Called
        // on the thread that reads, which must not be kept waiting by somebody who waits for the monitor.
        std::function<std::string(std::int64_t pid)> component_of{};
        MonitorSink sink{};
        // Hears of every sample, after the sink, on the thread that read.
        SampleListener publish{};
        // Names and versions of programs, for machine().
        std::map<std::string, std::string> versions{};
        // Runs a reading where blocking for some milliseconds is allowed, one after the other; empty: on the timers'
        // thread. What is handed over may be dropped at the end.
        std::function<void(std::function<void()>)> run{};
    };
    explicit Monitor(Host host);
    ~Monitor() { close(); }
    Monitor(const Monitor&) = delete;

    void configure(const MonitorConfig& config);
    // A client's wish; without an interval the configured one. Again: changes the interval.
    MonitorStatus start(std::optional<std::int64_t> interval_ms);
    MonitorStatus stop();
    // A part of Pillion's wish (alerts, subscribers), at the configured interval.
    void set_wanted(std::string_view who, bool is_wanted);
    MonitorStatus status() const;

    // Null before the first reading.
    std::shared_ptr<const MonitorSample> latest() const;
    // Calls `hear` with a sample that is fresh and, unless the machine slept, has rates: at once where there is one,
    // otherwise on the timers' thread or that of `run`.
    void sample_soon(SampleListener hear);
    // Calls `hear` with the latest sample, at once; where there is none, with the first, which has no rates, as soon as
    // it is read.
    void first_sample_soon(SampleListener hear);
    // Of the latest sample, if it is no older than `stale_ms`.
    std::optional<MonitorConditions> find_conditions() const;
    // Walks some dozens of small files.
    MonitorMachine machine() const;
    // Share of one core that readings took lately; 0 while there are none.
    double cost() const;

    // Waits for a reading that is under way; none comes after it, and who waits for a sample hears nothing. Not from a
    // listener.
    void close();

  private:
    // Shared with tasks that may outlive the monitor.
    struct Gate {
        std::mutex mutex;
        Monitor* monitor = nullptr;
    };
    bool is_running() const { return started_ || !wanted_by_.empty(); }
    std::int64_t interval_ms() const;
    std::int64_t age_ms() const;
    void arrange();
    void rearrange();
    TimerId schedule(std::int64_t delay_ms, void (Monitor::*task)());
    MonitorStatus make_status() const;
    void tick();
    // Of sample_soon(), one after the other.
    void read_at_once();
    void read_first();
    void read_second();
    void read();
    MonitorMeasure measure_now(std::int64_t now_ns);

    Host host_;
    const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();

    mutable std::mutex platform_mutex_; // guards the platform; taken after the gate's, before mutex_
    // What follows belongs to the reading thread, under the gate's mutex.
    MonitorRates rates_;
    MonitorMemory memory_;
    MonitorSeriesWriter writer_;
    SurroundingsReading surroundings_;
    std::optional<std::int64_t> surroundings_at_ns_;
    std::int64_t cost_ns_ = 0;
    std::optional<std::int64_t> cost_from_ns_;

    mutable std::mutex mutex_; // guards what follows
    MonitorConfig config_;
    bool started_ = false;
    bool closed_ = false;
    bool pair_under_way_ = false;
    std::int64_t started_interval_ms_ = 0;
    std::set<std::string, std::less<>> wanted_by_;
    std::optional<TimerId> timer_;
    std::vector<SampleListener> waiting_;
    std::vector<SampleListener> waiting_for_first_;
    std::shared_ptr<const MonitorSample> latest_;
    std::int64_t latest_at_ns_ = 0;
    std::int64_t samples_ = 0;
};

} // namespace pillion
