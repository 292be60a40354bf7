// The monitor, the alerts and the analysis put together: what is measured is judged by rules, leaks are looked for, and
// what other parts complain of is raised. A piece of the composition root (application.h), which owns it.
//
// Watching (samples, time series, rules, the search for leaks) goes on while somebody is subscribed to `monitor` or
// `alerts`, after monitor.start, where the configuration says so or has rules, where rules were set at run time, in an
// earlier run too, and from the first call of alerts.*, analysis.* or metrics.snapshot on. Before that no timer is set
// and no file open.
#pragma once

#include "ipc/event_hub.h"
#include "ipc/io.h"
#include "ipc/serial_executor.h"
#include "modules/alerts/alerts_rpc.h"
#include "modules/analysis/analysis_rpc.h"
#include "modules/components/components.h"
#include "modules/monitor/monitor_rpc.h"
#include "sidecar/lazy.h"
#include "sidecar/leak_alerts.h"
#include "sidecar/metrics_parts.h"
#include "sidecar/trouble_alerts.h"

#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

struct MonitoringConfig {
    MonitorConfig monitor{};
    AlertsConfig alerts{};
};

class MonitoringParts {
  public:
    // All outlive the parts.
    struct Host {
        Io& io;
        const Clock& clock;
        Store& state;
        EventHub& hub;
        const MethodTable& methods;
        Lazy<MetricsParts>& series;
        const Lazy<AppParts>& parts;
        std::string data_directory;
    };
    MonitoringParts(const Host& host, const MonitoringConfig& config);
    ~MonitoringParts() { stop(); }
    MonitoringParts(const MonitoringParts&) = delete;

    // Whether an earlier run in this directory left rules that were set at run time.
    static bool has_rules_to_watch(const std::string& data_directory);
    static void declare_events(EventHub& hub);
    // The series that the monitor makes, for the reference.
    static std::span<const SeriesSpec> series();
    std::vector<Method> methods();
    Alerts& alerts() { return alerts_; }
    Analysis& analysis() { return analysis_; }
    void configure(const MonitoringConfig& config);
    // What another part complains of, or no longer does.
    void heed(const TroubleAlert& trouble);
    // Somebody wants the machine watched, or no longer does.
    void set_wanted(std::string_view who, bool is_wanted);
    // Of the latest sample. Watching goes on from here; the first call waits for its first sample, some milliseconds,
    // which has no rates. Not on the reader thread.
    std::optional<MetricsResources> resources();
    // Before the series, the io thread and the state store stop.
    void stop();

  private:
    Monitor::Host monitor_host();
    Alerts::Host alerts_host();
    void watch_rules(bool has_rules);
    std::string component_of(std::int64_t pid);
    void on_sample(const MonitorSample& sample);
    void set_running(bool is_running);
    void arm_leaks();
    void look_for_leaks();

    const Host host_;
    SerialExecutor executor_{"pillion-watch"}; // a thread for readings and the search for leaks, from the first one on
    Monitor monitor_;
    Alerts alerts_;
    Analysis analysis_;
    LeakAlerts leak_alerts_; // of the executor's thread

    std::mutex mutex_; // guards what follows
    bool is_running_ = false;
    bool is_stopped_ = false;
    std::int64_t leaks_ms_ = MonitorConfig{}.leaksMs;
    TimerId leaks_timer_{};
    std::map<std::int64_t, std::string> components_{}; // by pid, as of components_at_ns_
    std::int64_t components_at_ns_ = 0;
};

} // namespace pillion
