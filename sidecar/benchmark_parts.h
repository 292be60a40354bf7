// The benchmarks put together with what they measure: a piece of the composition root (application.h), which owns it;
// made when a benchmark is first asked for, or at once where an earlier process left a schedule.
#pragma once

#include "ipc/dispatcher.h"
#include "ipc/event_hub.h"
#include "ipc/io.h"
#include "modules/benchmarks/benchmarks_rpc.h"

#include <functional>
#include <string>
#include <vector>

namespace pillion {

class BenchmarkParts {
  public:
    struct Host {
        Io& io;
        const Clock& clock;
        Store& state;
        EventHub& hub;
        Dispatcher& dispatcher;
        std::string data_directory;
        std::string version;
        std::vector<std::string> program_options; // --config and --set
        bool has_components = false;
        // For the schedule. Where empty: nothing else is asked of us and the load is low; no battery is in use.
        std::function<bool()> is_idle{};
        std::function<bool()> is_on_mains{};
    };
    explicit BenchmarkParts(const Host& host);

    static void declare_events(EventHub& hub) { hub.declare(benchmarks_finished_event); }
    static bool has_schedule(const std::string& data_directory) { return Benchmarks::has_schedule(data_directory); }

    std::vector<Method> methods() { return benchmarks_methods(benchmarks_); }
    // Serving begins: goes on with the schedule.
    void begin();
    // Ends what is being measured. Before the dispatcher, the io thread and the state store stop.
    void stop() { benchmarks_.stop(); }
    Benchmarks& benchmarks() { return benchmarks_; }

  private:
    Benchmarks::Host benchmarks_host() const;

    const Host host_;
    Benchmarks benchmarks_;
};

} // namespace pillion
