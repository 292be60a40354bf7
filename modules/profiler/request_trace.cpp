#include "modules/profiler/request_trace.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <unistd.h>

namespace pillion {

void RequestTrace::open(std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    ring_.clear();
    ring_.reserve(capacity_);
    recorded_ = 0;
    began_ns_ = now_ns;
    is_open_ = true;
}

void RequestTrace::close(std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    if (!is_open_) return;
    is_open_ = false;
    ended_ns_ = now_ns;
}

void RequestTrace::clear() {
    const std::lock_guard lock(mutex_);
    ring_ = {};
    recorded_ = 0;
}

void RequestTrace::record(const TraceEvent& event) noexcept {
    static thread_local const std::int32_t thread = gettid();
    RecordedStep step{.step = event.step,
                      .failed = event.failed,
                      .thread = thread,
                      .call = event.call,
                      .received_ns = event.received_ns,
                      .begun_ns = event.begun_ns,
                      .ended_ns = event.ended_ns,
                      .params_bytes = event.params_bytes,
                      .result_bytes = event.result_bytes};
    step.name_bytes = static_cast<std::uint8_t>(std::min(event.method.size(), RecordedStep::name_bytes_max));
    std::memcpy(step.name.data(), event.method.data(), step.name_bytes);
    const std::lock_guard lock(mutex_);
    if (!is_open_) return; // told just when it ended
    if (ring_.size() < capacity_)
        ring_.push_back(step); // there is room: open() made it
    else
        ring_[recorded_ % capacity_] = step;
    ++recorded_;
}

std::uint64_t RequestTrace::recorded() const {
    const std::lock_guard lock(mutex_);
    return recorded_;
}

std::uint64_t RequestTrace::dropped() const {
    const std::lock_guard lock(mutex_);
    return recorded_ - ring_.size();
}

RequestTraceSteps RequestTrace::read(std::int64_t now_ns) const {
    RequestTraceSteps trace;
    {
        const std::lock_guard lock(mutex_);
        trace.steps = ring_;
        trace.began_ns = began_ns_;
        trace.ended_ns = is_open_ ? now_ns : ended_ns_;
        trace.dropped = recorded_ - ring_.size();
    }
    std::stable_sort(trace.steps.begin(), trace.steps.end(), [](const RecordedStep& a, const RecordedStep& b) {
        return a.begun_ns != b.begun_ns ? a.begun_ns < b.begun_ns : a.step < b.step;
    });
    for (const RecordedStep& step : trace.steps) {
        auto& name = trace.threads[step.thread];
        if (!name.empty()) continue;
        std::ifstream file("/proc/self/task/" + std::to_string(step.thread) + "/comm");
        if (!std::getline(file, name)) name = "thread " + std::to_string(step.thread);
    }
    return trace;
}

} // namespace pillion
