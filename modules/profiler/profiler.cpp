#include "modules/profiler/profiler.h"

#include "modules/profiler/profile_builder.h"
#include "modules/profiler/sampler.h"

#include <algorithm>

namespace pillion {

Profiler::Profiler(Host host) : host_(std::move(host)) {}

Profiler::~Profiler() { end(); }

Result<ProfileState> Profiler::start(const ProfileRequest& request) {
    const std::lock_guard lock(mutex_);
    if (state_ && state_->running)
        return fail(ErrorCode::conflict,
                    std::string("a recording of ") + (state_->kind == ProfileKind::cpu ? "cpu" : "requests") +
                        " is running; one is made at a time",
                    {}, "profiler.stop ends it");
    sampler_.reset();
    trace_.clear();
    state_.reset();
    if (request.kind == ProfileKind::cpu) {
        sampler_ = PILLION_TRY(CpuSampler::create(request.hz));
    } else {
        trace_.open(host_.clock.now_ns());
        host_.set_trace(&trace_);
    }
    const std::uint64_t session = ++session_;
    began_ns_ = host_.clock.now_ns();
    state_ = ProfileState{.kind = request.kind,
                          .running = true,
                          .hz = request.kind == ProfileKind::cpu ? request.hz : 0,
                          .beganAt = host_.clock.wall_ms(),
                          .durationMs = request.duration_ms};
    end_timer_ = host_.timers.after_ms(request.duration_ms, [this, session] {
        const std::lock_guard timer_lock(mutex_);
        if (session == session_) end_recording();
    });
    if (request.kind == ProfileKind::cpu)
        rescan_timer_ = host_.timers.after_ms(rescan_ms, [this, session] { rescan(session); });
    return state_now();
}

void Profiler::rescan(std::uint64_t session) {
    const std::lock_guard lock(mutex_);
    if (session != session_ || !state_ || !state_->running) return;
    sampler_->scan_threads();
    rescan_timer_ = host_.timers.after_ms(rescan_ms, [this, session] { rescan(session); });
}

// With the lock.
void Profiler::end_recording() {
    if (!state_ || !state_->running) return;
    *state_ = state_now();
    state_->running = false;
    host_.timers.cancel(end_timer_);
    if (state_->kind == ProfileKind::cpu) {
        host_.timers.cancel(rescan_timer_);
        sampler_->end();
        state_->recorded = sampler_->samples();
    } else {
        host_.set_trace(nullptr);
        trace_.close(host_.clock.now_ns());
    }
}

// With the lock.
ProfileState Profiler::state_now() const {
    ProfileState state = *state_;
    if (!state.running) return state;
    state.recordedMs = (host_.clock.now_ns() - began_ns_) / 1'000'000;
    const bool samples = state.kind == ProfileKind::cpu;
    state.recorded = samples ? sampler_->samples() : trace_.recorded();
    state.dropped = samples ? sampler_->dropped() : trace_.dropped();
    return state;
}

Result<Recording> Profiler::stop() {
    {
        const std::lock_guard lock(mutex_);
        end_recording();
    }
    return recording();
}

Result<Recording> Profiler::peek() { return recording(); }

// Reads what there is under the lock, and gives it names without it.
Result<Recording> Profiler::recording() const {
    Recording recording;
    std::shared_ptr<CpuSampler> sampler;
    std::map<std::int32_t, std::string> threads;
    {
        const std::lock_guard lock(mutex_);
        if (!state_)
            return fail(ErrorCode::not_found, "nothing has been recorded yet", {}, "profiler.start begins a recording");
        recording.state = state_now();
        if (state_->kind == ProfileKind::requests) {
            recording.requests = trace_.read(host_.clock.now_ns());
            return recording;
        }
        sampler = sampler_;
        threads = sampler_->threads();
    }
    recording.cpu = build_profile(sampler->read(), threads);
    recording.cpu->hz = recording.state.hz;
    recording.cpu->recorded_ms = recording.state.recordedMs;
    recording.cpu->dropped = recording.state.dropped;
    return recording;
}

std::optional<ProfileState> Profiler::find_state() const {
    const std::lock_guard lock(mutex_);
    if (!state_) return std::nullopt;
    return state_now();
}

std::vector<MethodTime> Profiler::method_times() const {
    std::vector<MethodTime> times = host_.method_times ? host_.method_times() : std::vector<MethodTime>{};
    std::stable_sort(times.begin(), times.end(),
                     [](const MethodTime& a, const MethodTime& b) { return a.total_ms > b.total_ms; });
    return times;
}

void Profiler::end() {
    const std::lock_guard lock(mutex_);
    end_recording();
}

} // namespace pillion
