#include "modules/profiler/profiler.h"

#include "modules/profiler/allocation_sampler.h"
#include "modules/profiler/profile_builder.h"
#include "modules/profiler/sampler.h"

#include <algorithm>

namespace pillion {

namespace {

const char* name_of(ProfileKind kind) {
    return kind == ProfileKind::cpu ? "cpu" : kind == ProfileKind::requests ? "requests" : "allocations";
}

template <class Sampler>
void count_samples(ProfileState& state, const Sampler& sampler) {
    state.dropped = sampler.dropped();
    state.recorded = sampler.samples() + state.dropped;
}

} // namespace

Profiler::Profiler(Host host) : host_(std::move(host)) {}

Profiler::~Profiler() { end(); }

Result<ProfileState> Profiler::start(const ProfileRequest& request) {
    const std::lock_guard lock(mutex_);
    if (state_ && state_->running)
        return fail(ErrorCode::conflict,
                    std::string("a recording of ") + name_of(state_->kind) + " is running; one is made at a time", {},
                    "profiler.stop ends it");
    sampler_.reset();
    allocations_.reset();
    trace_.clear();
    state_.reset();
    if (request.kind == ProfileKind::cpu) {
        sampler_ = PILLION_TRY(CpuSampler::create(request.hz));
    } else if (request.kind == ProfileKind::allocations) {
        allocations_ = PILLION_TRY(AllocationSampler::create(request.interval_bytes));
    } else {
        trace_.open(host_.clock.now_ns());
        host_.set_trace(&trace_);
    }
    const std::uint64_t session = ++session_;
    began_ns_ = host_.clock.now_ns();
    state_ = ProfileState{.kind = request.kind,
                          .running = true,
                          .hz = request.kind == ProfileKind::cpu ? request.hz : 0,
                          .intervalBytes = request.kind == ProfileKind::allocations ? request.interval_bytes : 0,
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
        count_samples(*state_, *sampler_);
    } else if (state_->kind == ProfileKind::allocations) {
        allocations_->end();
        count_samples(*state_, *allocations_);
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
    if (state.kind == ProfileKind::cpu)
        count_samples(state, *sampler_);
    else if (state.kind == ProfileKind::allocations)
        count_samples(state, *allocations_);
    else
        state.recorded = trace_.recorded(), state.dropped = trace_.dropped();
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
    std::shared_ptr<AllocationSampler> allocations;
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
        allocations = allocations_;
        threads = sampler ? sampler->threads() : allocations->threads();
    }
    recording.stacks = build_profile(sampler ? sampler->read() : allocations->read(), threads);
    recording.stacks->interval_bytes = recording.state.intervalBytes;
    recording.stacks->hz = recording.state.hz;
    recording.stacks->recorded_ms = recording.state.recordedMs;
    recording.stacks->dropped = recording.state.dropped;
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
