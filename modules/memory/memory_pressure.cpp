// Four signs, each on its own scale: stalls (PSI) say that memory is scarce already; the shares of the machine, of the
// control group and of the budget say that it soon will be. The worst counts. Rising takes two readings and falling
// three, so a reading on the edge changes nothing and relief is believed later than need.
#include "modules/memory/memory_pressure.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pillion {

namespace {

std::string percent_text(double percent) { return std::to_string(std::lround(percent)) + " %"; }

} // namespace

MemoryPressure judge_memory(const MemoryReading& reading, const PressureLimits& limits) {
    MemoryPressure pressure{.residentBytes = reading.resident_bytes,
                            .totalBytes = reading.system.totalBytes,
                            .availableBytes = reading.system.availableBytes};
    const auto consider = [&](MemoryReason reason, MemoryLevel level, double percent, std::string_view what) {
        if (level <= pressure.reading) return;
        pressure.reading = level;
        pressure.reason = reason;
        pressure.detail = percent_text(percent).append(what);
    };
    const auto consider_share = [&](MemoryReason reason, double share, std::string_view what) {
        const MemoryLevel level = share >= limits.critical_share  ? MemoryLevel::critical
                                  : share >= limits.warning_share ? MemoryLevel::warning
                                                                  : MemoryLevel::normal;
        consider(reason, level, share * 100, what);
        return share;
    };
    const auto ratio = [](std::uint64_t part, std::uint64_t whole) {
        return static_cast<double>(part) / static_cast<double>(whole);
    };
    if (reading.stall) {
        const double some = reading.stall->someAvg10Percent, full = reading.stall->fullAvg10Percent;
        pressure.stallSomePercent = some;
        pressure.stallFullPercent = full;
        if (full >= limits.stall_critical_percent)
            consider(MemoryReason::stall, MemoryLevel::critical, full, " of the last 10 s all tasks waited for memory");
        else if (some >= limits.stall_warning_percent)
            consider(MemoryReason::stall, MemoryLevel::warning, some, " of the last 10 s some task waited for memory");
    }
    if (const MemorySystem& system = reading.system; system.totalBytes != 0) {
        const std::uint64_t used = system.totalBytes - std::min(system.totalBytes, system.availableBytes);
        pressure.usedShare = consider_share(MemoryReason::available, ratio(used, system.totalBytes),
                                            " of the machine's memory is in use");
    }
    if (reading.cgroup && reading.cgroup->limitBytes) {
        const double share = *reading.cgroup->limitBytes == 0
                                 ? 1.0
                                 : ratio(reading.cgroup->workingSetBytes, *reading.cgroup->limitBytes);
        pressure.cgroupShare = consider_share(MemoryReason::cgroup, share, " of the control group's limit is in use");
    }
    if (limits.budget_bytes != 0)
        pressure.budgetShare = consider_share(MemoryReason::budget, ratio(reading.resident_bytes, limits.budget_bytes),
                                              " of the configured budget is in use");
    pressure.level = pressure.reading;
    return pressure;
}

bool PressureFilter::observe(MemoryLevel reading) {
    if (reading == level_) {
        streak_ = 0;
        return false;
    }
    if (reading > level_) {
        candidate_ = streak_ > 0 ? std::min(candidate_, reading) : reading;
        streak_ = std::max(streak_, 0) + 1;
        if (streak_ < readings_up) return false;
    } else {
        candidate_ = streak_ < 0 ? std::max(candidate_, reading) : reading;
        streak_ = std::min(streak_, 0) - 1;
        if (-streak_ < readings_down) return false;
    }
    level_ = candidate_;
    streak_ = 0;
    return true;
}

PressureWatch::PressureWatch(Timers& timers, const Clock& clock, MemoryReader reader, std::function<void()> on_reading,
                             Listener on_change)
    : timers_(timers), clock_(clock), reader_(std::move(reader)), on_reading_(std::move(on_reading)),
      on_change_(std::move(on_change)) {
    gate_->watch = this;
}

void PressureWatch::configure(const PressureLimits& limits, std::int64_t interval_ms) {
    const std::lock_guard lock(mutex_);
    limits_ = limits;
    if (std::exchange(interval_ms_, interval_ms) == interval_ms || !timer_) return;
    if (timers_.cancel(*timer_)) { // a reading that is under way arranges the next one itself
        timer_.reset();
        arrange();
    }
}

void PressureWatch::set_subscribed(bool subscribed) {
    const std::lock_guard lock(mutex_);
    subscribed_ = subscribed;
    if (is_wanted()) return arrange();
    if (timer_ && timers_.cancel(*timer_)) timer_.reset();
    filter_ = {};
    since_ms_.reset();
}

void PressureWatch::add_listener(Listener listener) {
    const std::lock_guard lock(mutex_);
    listeners_.push_back(std::move(listener));
    arrange();
}

void PressureWatch::arrange() {
    if (timer_ || stopped_ || !is_wanted()) return;
    timer_ = timers_.after_ms(interval_ms_, [gate = gate_] {
        const std::lock_guard lock(gate->mutex);
        if (gate->watch != nullptr) gate->watch->tick();
    });
}

void PressureWatch::tick() {
    const MemoryReading reading = reader_();
    MemoryPressure pressure;
    std::vector<Listener> told;
    {
        const std::lock_guard lock(mutex_);
        timer_.reset();
        if (!is_wanted()) return;
        arrange();
        pressure = judge_memory(reading, limits_);
        const bool changed = filter_.observe(pressure.reading);
        pressure.level = filter_.level();
        pressure.at = clock_.wall_ms();
        pressure.sampled = true;
        if (changed) {
            since_ms_ = pressure.at;
            reason_ = pressure.level == MemoryLevel::normal ? MemoryReason::none : pressure.reason;
            detail_ = pressure.level == MemoryLevel::normal ? std::string() : pressure.detail;
            told.push_back(on_change_);
            told.insert(told.end(), listeners_.begin(), listeners_.end());
        }
        pressure.since = since_ms_;
        pressure.reason = reason_;
        pressure.detail = detail_;
    }
    if (on_reading_) on_reading_();
    for (const Listener& listener : told)
        if (listener) listener(pressure);
}

MemoryPressure PressureWatch::read() {
    const MemoryReading reading = reader_();
    const std::lock_guard lock(mutex_);
    MemoryPressure pressure = judge_memory(reading, limits_);
    pressure.at = clock_.wall_ms();
    pressure.sampled = is_wanted() && !stopped_;
    if (!pressure.sampled) return pressure;
    pressure.level = filter_.level();
    pressure.since = since_ms_;
    if (pressure.level != pressure.reading && pressure.level != MemoryLevel::normal) {
        pressure.reason = reason_;
        pressure.detail = detail_;
    }
    return pressure;
}

void PressureWatch::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        if (timer_) timers_.cancel(*timer_);
    }
    const std::lock_guard lock(gate_->mutex);
    gate_->watch = nullptr;
}

} // namespace pillion
