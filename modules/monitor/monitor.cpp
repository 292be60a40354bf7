// One reading at a time, under the gate's mutex: the timer's task, and the two of a sample that was asked for while
// nothing runs. A task holds the gate, not the monitor, so one that comes after close() finds nobody.
#include "modules/monitor/monitor.h"

#include <algorithm>
#include <utility>

namespace pillion {

Monitor::Monitor(Host host) : host_(std::move(host)) { gate_->monitor = this; }

void Monitor::configure(const MonitorConfig& config) {
    const std::lock_guard lock(mutex_);
    const std::int64_t before_ms = interval_ms();
    config_ = config;
    if (config.enabled)
        wanted_by_.emplace("configuration");
    else if (const auto found = wanted_by_.find("configuration"); found != wanted_by_.end())
        wanted_by_.erase(found);
    if (!is_running() || interval_ms() != before_ms) rearrange();
    arrange();
}

// The smallest of what those who want samples want.
std::int64_t Monitor::interval_ms() const {
    if (!started_) return config_.intervalMs;
    return wanted_by_.empty() ? started_interval_ms_ : std::min(started_interval_ms_, config_.intervalMs);
}

MonitorStatus Monitor::start(std::optional<std::int64_t> interval_ms) {
    const std::lock_guard lock(mutex_);
    const std::int64_t before_ms = this->interval_ms();
    started_ = true;
    started_interval_ms_ = std::clamp(interval_ms.value_or(config_.intervalMs), interval_ms_min, interval_ms_max);
    if (this->interval_ms() != before_ms) rearrange();
    arrange();
    return make_status();
}

MonitorStatus Monitor::stop() {
    const std::lock_guard lock(mutex_);
    const std::int64_t before_ms = interval_ms();
    started_ = false;
    if (!is_running() || interval_ms() != before_ms) rearrange();
    arrange();
    return make_status();
}

void Monitor::set_wanted(std::string_view who, bool is_wanted) {
    const std::lock_guard lock(mutex_);
    const std::int64_t before_ms = interval_ms();
    if (is_wanted)
        wanted_by_.emplace(who);
    else if (const auto found = wanted_by_.find(who); found != wanted_by_.end())
        wanted_by_.erase(found);
    if (!is_running() || interval_ms() != before_ms) rearrange();
    arrange();
}

MonitorStatus Monitor::status() const {
    const std::lock_guard lock(mutex_);
    return make_status();
}

MonitorStatus Monitor::make_status() const {
    MonitorStatus status{
        .running = is_running() && !closed_, .started = started_, .intervalMs = interval_ms(), .samples = samples_};
    if (latest_) {
        status.latestAt = latest_->at;
        status.costPercent = latest_->costPercent;
    }
    return status;
}

std::shared_ptr<const MonitorSample> Monitor::latest() const {
    const std::lock_guard lock(mutex_);
    return latest_;
}

std::optional<MonitorConditions> Monitor::find_conditions() const {
    const std::lock_guard lock(mutex_);
    if (!latest_ || host_.clock.now_ns() - latest_at_ns_ > stale_ms * 1'000'000) return std::nullopt;
    return latest_->background;
}

MonitorMachine Monitor::machine() const {
    const std::lock_guard lock(platform_mutex_);
    MonitorMachine machine = host_.platform->describe();
    machine.versions.insert(host_.versions.begin(), host_.versions.end());
    return machine;
}

double Monitor::cost() const {
    const std::lock_guard lock(mutex_);
    return latest_ && is_running() ? latest_->costPercent.value_or(0) / 100 : 0;
}

// mutex_ is held, as by those that call the two below.
std::int64_t Monitor::age_ms() const {
    return latest_ ? (host_.clock.now_ns() - latest_at_ns_) / 1'000'000 : interval_ms_max;
}

void Monitor::arrange() {
    if (timer_ || closed_ || !is_running()) return;
    // The first reading of a run comes at once.
    timer_ = schedule(std::max<std::int64_t>(interval_ms() - age_ms(), 0), &Monitor::tick);
}

void Monitor::rearrange() {
    if (timer_ && host_.timers.cancel(*timer_)) timer_.reset(); // one that runs arranges the next itself
}

TimerId Monitor::schedule(std::int64_t delay_ms, void (Monitor::*task)()) {
    const auto guarded = [gate = gate_, task] {
        const std::lock_guard lock(gate->mutex);
        if (gate->monitor != nullptr) (gate->monitor->*task)();
    };
    if (!host_.run) return host_.timers.after_ms(delay_ms, guarded);
    return host_.timers.after_ms(delay_ms, [run = host_.run, guarded] { run(guarded); });
}

void Monitor::tick() {
    bool is_due = false;
    {
        const std::lock_guard lock(mutex_);
        is_due = is_running() && !closed_ && age_ms() >= interval_ms() / 4; // else somebody else has just read
    }
    if (is_due) read();
    const std::lock_guard lock(mutex_);
    timer_.reset();
    arrange();
}

void Monitor::sample_soon(SampleListener hear) {
    std::shared_ptr<const MonitorSample> fresh;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        if (latest_ && latest_->spanMs && age_ms() < (is_running() ? std::min(interval_ms(), fresh_ms) : pair_ms)) {
            fresh = latest_;
        } else {
            waiting_.push_back(std::move(hear));
            if (!std::exchange(pair_under_way_, true)) schedule(0, &Monitor::read_first);
        }
    }
    if (fresh) hear(*fresh);
}

void Monitor::first_sample_soon(SampleListener hear) {
    std::shared_ptr<const MonitorSample> latest;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        latest = latest_;
        if (!latest) {
            waiting_for_first_.push_back(std::move(hear));
            if (waiting_for_first_.size() == 1) schedule(0, &Monitor::read_at_once);
        }
    }
    if (latest) hear(*latest);
}

void Monitor::read_at_once() {
    if (!latest()) read();
}

// One reading is enough where an earlier one can be compared with.
void Monitor::read_first() {
    const std::int64_t now_ns = host_.clock.now_ns();
    const auto before_ns = rates_.read_ns();
    const std::int64_t age_ms = before_ns ? (now_ns - *before_ns) / 1'000'000 : stale_ms + 1;
    if (age_ms >= pair_ms && age_ms <= stale_ms) return read_second();
    if (age_ms > stale_ms) read();
    const std::lock_guard lock(mutex_);
    if (!closed_) schedule(pair_ms, &Monitor::read_second);
}

void Monitor::read_second() {
    std::vector<SampleListener> waiting;
    std::shared_ptr<const MonitorSample> sample;
    bool is_fresh = false; // the timer came between
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        is_fresh = latest_ && latest_->spanMs && age_ms() < pair_ms;
    }
    if (!is_fresh) read();
    {
        const std::lock_guard lock(mutex_);
        pair_under_way_ = false;
        waiting = std::exchange(waiting_, {});
        sample = latest_;
    }
    for (const SampleListener& hear : waiting) hear(*sample);
}

void Monitor::read() {
    const std::int64_t began_ns = host_.platform->thread_cpu_ns(), now_ns = host_.clock.now_ns();
    MonitorMeasure measure = measure_now(now_ns);
    MonitorSample& sample = measure.sample;
    if (cost_from_ns_ && sample.spanMs && now_ns > *cost_from_ns_)
        sample.costPercent = 100 * static_cast<double>(cost_ns_) / static_cast<double>(now_ns - *cost_from_ns_);
    sample.readingMs = static_cast<double>(host_.platform->thread_cpu_ns() - began_ns) / 1e6;
    if (host_.sink) writer_.write(measure, host_.sink);
    const auto latest = std::make_shared<const MonitorSample>(std::move(sample));
    std::vector<SampleListener> waiting;
    {
        const std::lock_guard lock(mutex_);
        waiting = std::exchange(waiting_for_first_, {});
        latest_ = latest;
        latest_at_ns_ = now_ns;
        ++samples_;
    }
    for (const SampleListener& hear : waiting) hear(*latest);
    if (host_.publish) host_.publish(*latest);
    cost_from_ns_ = now_ns;
    cost_ns_ = std::max<std::int64_t>(host_.platform->thread_cpu_ns() - began_ns, 0);
}

MonitorMeasure Monitor::measure_now(std::int64_t now_ns) {
    std::int64_t stale_ns = stale_ms * 1'000'000;
    {
        const std::lock_guard lock(mutex_);
        if (is_running()) stale_ns = std::max(stale_ns, 3 * interval_ms() * 1'000'000);
    }
    const std::lock_guard lock(platform_mutex_);
    MonitorPlatform& platform = *host_.platform;
    const TreeReading tree = platform.read_tree();
    const MachineReading machine = platform.read_machine();
    if (!surroundings_at_ns_ || now_ns - *surroundings_at_ns_ >= surroundings_ms * 1'000'000) {
        surroundings_ = platform.read_surroundings();
        surroundings_at_ns_ = now_ns;
    }
    memory_.update(platform, tree, now_ns);
    return rates_.next({.now_ns = now_ns,
                        .wall_ms = host_.clock.wall_ms(),
                        .stale_ns = stale_ns,
                        .tree = tree,
                        .machine = machine,
                        .surroundings = surroundings_,
                        .surroundings_ns = *surroundings_at_ns_,
                        .memory = memory_},
                       host_.component_of);
}

void Monitor::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        if (timer_) host_.timers.cancel(*timer_);
        timer_.reset();
        waiting_.clear();
        waiting_for_first_.clear();
    }
    const std::lock_guard lock(gate_->mutex);
    gate_->monitor = nullptr;
}

} // namespace pillion
