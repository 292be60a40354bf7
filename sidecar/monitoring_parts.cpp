#include "sidecar/monitoring_parts.h"

#include "ipc/base/log.h"
#include "modules/process/guard.h"
#include "modules/profiler/profiler_rpc.h"
#include "sidecar/owner.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <unistd.h>
#include <utility>

namespace pillion {

namespace {

Store& with_tables(Store& state) {
    Alerts::add_schema(state);
    return state;
}

std::string rules_mark(const std::string& data_directory) { return data_directory + "/alert_rules"; }

std::vector<HotPath> method_paths(const MethodTable& methods) {
    std::vector<HotPath> paths;
    double total_ms = 0;
    for (MethodTime& time : method_times(methods)) {
        total_ms += time.total_ms;
        paths.push_back({.kind = "method",
                         .name = std::move(time.method),
                         .count = time.calls,
                         .totalMs = time.total_ms,
                         .meanMs = time.total_ms / static_cast<double>(time.calls),
                         .p95Ms = time.p95_ms});
    }
    for (HotPath& path : paths) path.share = total_ms > 0 ? path.totalMs / total_ms : 0;
    return paths;
}

// The same methods; `before` is called ahead of each.
std::vector<Method> preceded(std::vector<Method> methods, const std::function<void()>& before) {
    for (Method& method : methods) {
        if (method.run)
            method.run = [before, run = std::move(method.run)](Call& call, Buffer& out) {
                before();
                return run(call, out);
            };
        if (method.start)
            method.start = [before, start = std::move(method.start)](CallPtr call) {
                before();
                start(std::move(call));
            };
    }
    return methods;
}

} // namespace

std::span<const SeriesSpec> MonitoringParts::series() { return monitor_series(); }

MonitoringParts::MonitoringParts(const Host& host, const MonitoringConfig& config)
    : host_(host), monitor_(monitor_host()), alerts_(alerts_host(), config.alerts),
      analysis_({.series = host.series.get().series(),
                 .hot_paths = [this] { return method_paths(host_.methods); },
                 .folder = host.data_directory + "/reports"}) {
    configure(config);
    if (has_rules_to_watch(host.data_directory)) set_wanted("rules", true);
}

bool MonitoringParts::has_rules_to_watch(const std::string& data_directory) {
    return access(rules_mark(data_directory).c_str(), F_OK) == 0;
}

// state.db is not opened at a start to see whether there are rules that were set at run time: a file stands for them.
void MonitoringParts::watch_rules(bool has_rules) {
    std::error_code trouble;
    const std::string mark = rules_mark(host_.data_directory);
    if (has_rules)
        std::ofstream(mark, std::ios::app);
    else
        std::filesystem::remove(mark, trouble);
    set_wanted("rules", has_rules);
}

Monitor::Host MonitoringParts::monitor_host() {
    Series& series = host_.series.get().series();
    return {.timers = host_.io,
            .clock = host_.clock,
            .platform = create_monitor_platform({.mark_variable = run_variable, .folders = {host_.data_directory}}),
            .component_of = [this](std::int64_t pid) { return component_of(pid); },
            .sink =
                [&series](const SeriesSpec& measured, const SeriesLabels& labels, double value) {
                    static_cast<void>(series.observe(measured, labels, value)); // refusals are counted there
                },
            .publish = [this](const MonitorSample& sample) { on_sample(sample); },
            .versions = {{"pillion", PILLION_VERSION}},
            .run = [this](std::function<void()> reading) { executor_.post(std::move(reading)); }};
}

Alerts::Host MonitoringParts::alerts_host() {
    return {
        .clock = host_.clock,
        .timers = host_.io,
        .source = alert_source(host_.series.get().series()),
        .store = &with_tables(host_.state),
        .publish = [this](AlertChange change, const Alert& alert) { host_.hub.publish(alert_event(change), alert); },
        .rule_text = alert_rule_text,
        .read_rule = read_alert_rule,
        .owner = own_name(),
        .is_alive = is_alive,
        .on_runtime_rules = [this](bool has_rules) { watch_rules(has_rules); }};
}

void MonitoringParts::declare_events(EventHub& hub) {
    hub.declare(monitor_sample_event);
    for (const AlertChange change : {AlertChange::raised, AlertChange::changed, AlertChange::resolved})
        hub.declare(alert_event(change));
}

std::vector<Method> MonitoringParts::methods() {
    std::vector<Method> methods = monitor_methods(monitor_);
    const auto watch = [this] { set_wanted("asked", true); };
    std::ranges::move(preceded(alerts_methods(alerts_), watch), std::back_inserter(methods));
    std::ranges::move(preceded(analysis_methods(analysis_), watch), std::back_inserter(methods));
    return methods;
}

void MonitoringParts::configure(const MonitoringConfig& config) {
    if (const auto configured = alerts_.configure(config.alerts); !configured)
        log(LogLevel::error, "alerts", configured.error().message); // it was checked
    monitor_.configure(config.monitor);
    {
        const std::lock_guard lock(mutex_);
        const bool is_another = leaks_ms_ != config.monitor.leaksMs;
        leaks_ms_ = config.monitor.leaksMs;
        if (is_another && is_running_ && !is_stopped_) arm_leaks();
    }
    // Whoever writes rules into the configuration wants them looked at.
    const bool has_rules =
        std::ranges::any_of(config.alerts.rules, [](const auto& rule) { return rule.second.enabled; });
    set_wanted("configuration", config.monitor.enabled || has_rules);
}

void MonitoringParts::heed(const TroubleAlert& trouble) {
    constexpr std::int64_t momentary_ms = 3'600'000;
    if (!trouble.resolve.empty()) alerts_.resolve(trouble.resolve);
    if (!trouble.raise) return;
    alerts_.raise(*trouble.raise);
    if (trouble.is_momentary)
        host_.io.after_ms(momentary_ms, [this, key = trouble.raise->key] { alerts_.resolve(key); });
}

void MonitoringParts::set_wanted(std::string_view who, bool is_wanted) {
    monitor_.set_wanted(who, is_wanted);
    set_running(monitor_.status().running);
}

// monitor.start and .stop change it too: a sample that comes says that it runs, and the look for leaks that it does
// not.
void MonitoringParts::on_sample(const MonitorSample& sample) {
    if (monitor_.status().running) set_running(true);
    if (sample.costPercent)
        static_cast<void>(host_.series.get().series().observe(monitor_cost, {{"part", "processes"}},
                                                              *sample.costPercent / 100)); // counted there if refused
    host_.hub.publish(monitor_sample_event, sample);
}

void MonitoringParts::set_running(bool is_running) {
    {
        const std::lock_guard lock(mutex_);
        if (is_running_ == is_running || is_stopped_) return;
        is_running_ = is_running;
        if (is_running) arm_leaks();
    }
    host_.series.get().sampler().set_wanted("monitoring", is_running);
    alerts_.set_sampled(is_running);
}

// mutex_ is held. A look that is under way arms it too: there is one timer all the same.
void MonitoringParts::arm_leaks() {
    host_.io.cancel(leaks_timer_);
    leaks_timer_ = host_.io.after_ms(leaks_ms_, [this] {
        if (!monitor_.status().running) return set_running(false);
        executor_.post([this] { look_for_leaks(); });
    });
}

void MonitoringParts::look_for_leaks() {
    const auto sample = monitor_.latest();
    const auto is_running = [&sample](const Leak& leak) {
        return sample && std::ranges::any_of(sample->processes, [&leak](const MonitorProcess& process) {
                   return process.name == leak.process && process.component.value_or("") == leak.component;
               });
    };
    if (const auto found = analysis_.leaks()) {
        LeakAlerts::Changes changes = leak_alerts_.look(*found, is_running);
        for (AlertNotice& notice : changes.raise) alerts_.raise(std::move(notice));
        for (const std::string& key : changes.resolve) alerts_.resolve(key);
    }
    const std::lock_guard lock(mutex_);
    if (is_running_ && !is_stopped_) arm_leaks();
}

std::string MonitoringParts::component_of(std::int64_t pid) {
    constexpr std::int64_t fresh_ns = 500'000'000;
    AppParts* const parts = host_.parts.find();
    if (parts == nullptr) return {};
    const std::lock_guard lock(mutex_);
    if (const std::int64_t now = host_.clock.now_ns(); components_at_ns_ == 0 || now - components_at_ns_ > fresh_ns) {
        components_at_ns_ = now;
        components_.clear();
        for (const BackendStatus& backend : parts->backends().list())
            if (backend.pid) components_[*backend.pid] = backend.name;
        for (const ComponentInfo& component : parts->components().list())
            if (component.pid) components_[*component.pid] = component.name;
    }
    const auto found = components_.find(pid);
    return found == components_.end() ? std::string() : found->second;
}

std::optional<MetricsResources> MonitoringParts::resources() {
    constexpr std::chrono::seconds patience(1);
    set_wanted("asked", true);
    auto sample = monitor_.latest();
    if (!sample) {
        const auto promise = std::make_shared<std::promise<void>>();
        const std::future<void> read = promise->get_future();
        monitor_.first_sample_soon([promise](const MonitorSample&) { promise->set_value(); });
        read.wait_for(patience);
        sample = monitor_.latest();
    }
    if (!sample) return {};
    const auto count = [](std::int64_t number) {
        return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number));
    };
    MetricsResources resources{.allocatedBytes = sample->total.memoryBytes,
                               .cpuPercent = sample->total.cpuPercent,
                               .openFiles = count(sample->total.descriptors),
                               .threads = count(sample->total.threads),
                               .processes = count(sample->total.processes)};
    std::uint64_t read = 0, written = 0, received = 0, sent = 0;
    for (const MonitorProcess& process : sample->processes) {
        read += process.readBytes.value_or(0);
        written += process.writtenBytes.value_or(0);
    }
    for (const MonitorNetwork& network : sample->system.networks) {
        if (network.name == "lo") continue;
        received += network.receivedBytes;
        sent += network.sentBytes;
    }
    resources.diskReadBytes = read;
    resources.diskWrittenBytes = written;
    resources.networkReceivedBytes = received;
    resources.networkSentBytes = sent;
    return resources;
}

void MonitoringParts::stop() {
    {
        const std::lock_guard lock(mutex_);
        if (is_stopped_) return;
        is_stopped_ = true;
        if (is_running_) host_.io.cancel(leaks_timer_);
    }
    monitor_.close();
    executor_.stop();
    alerts_.stop();
}

} // namespace pillion
