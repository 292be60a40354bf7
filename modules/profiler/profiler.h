// Says where the time and the memory of Pillion itself go, when asked to: a sampling profile of its threads
// (sampler.h), what it allocates (allocation_sampler.h), or the life of each request (request_trace.h). One recording
// at a time; it ends when told or after its time, and is kept until the next one begins. Owned by the composition root.
// Any thread may call.
//
// With nothing recorded there is no timer, no signal handler, no memory and no thread: a Profiler is a few pointers.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/base/trace.h"
#include "ipc/timers.h"
#include "modules/profiler/request_trace.h"
#include "modules/profiler/stack_profile.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

class AllocationSampler;
class CpuSampler;

enum class ProfileKind : std::uint8_t { cpu, requests, allocations };

struct ProfileRequest {
    ProfileKind kind = ProfileKind::cpu;
    std::int64_t hz = 99;
    std::int64_t interval_bytes = 512 * 1024;
    std::int64_t duration_ms = 10'000;
};

// What is being recorded, or was.
struct ProfileState {
    ProfileKind kind = ProfileKind::cpu;
    bool running = false;
    std::int64_t hz = 0;            // of cpu; otherwise 0
    std::int64_t intervalBytes = 0; // of allocations; otherwise 0
    std::int64_t beganAt = 0;       // since the Unix epoch
    std::int64_t durationMs = 0;    // wanted
    std::int64_t recordedMs = 0;    // so far
    std::uint64_t recorded = 0;     // samples, or steps of requests
    std::uint64_t dropped = 0;      // for want of room
};

// What a recording holds: that of its kind.
struct Recording {
    ProfileState state;
    std::optional<StackProfile> stacks{}; // of cpu and of allocations
    std::optional<RequestTraceSteps> requests{};
};

// What the calls of one method took since the start.
struct MethodTime {
    std::string method;
    std::uint64_t calls = 0;
    double total_ms = 0;
    double p95_ms = 0;
};

class Profiler {
  public:
    static constexpr std::int64_t rescan_ms = 50; // how soon a thread that begins is profiled too

    struct Host {
        Timers& timers;
        const Clock& clock;
        std::function<void(TraceSink*)> set_trace;             // where requests are traced from; null ends it
        std::function<std::vector<MethodTime>()> method_times; // may be empty
    };

    explicit Profiler(Host host);
    // The timers have stopped, or run none of our tasks any more; nothing traces into us any more.
    ~Profiler();
    Profiler(const Profiler&) = delete;

    // -32003 while something is recorded already.
    Result<ProfileState> start(const ProfileRequest& request);
    // Ends the recording, if it has not ended by itself, and gives what it holds; as often as one asks, until the next
    // start. -32002 if nothing was ever recorded. Reads symbol tables: some tens of milliseconds.
    Result<Recording> stop();
    // The same without an end to it. Of a running recording, what is there so far.
    Result<Recording> peek();
    std::optional<ProfileState> find_state() const;
    // Longest first.
    std::vector<MethodTime> method_times() const;
    // Nothing is sampled or traced after this.
    void end();

  private:
    ProfileState state_now() const;
    void end_recording();
    void rescan(std::uint64_t session);
    Result<Recording> recording() const;

    const Host host_;
    RequestTrace trace_;

    mutable std::mutex mutex_; // guards what follows
    std::optional<ProfileState> state_;
    std::shared_ptr<CpuSampler> sampler_;
    std::shared_ptr<AllocationSampler> allocations_;
    std::uint64_t session_ = 0; // tells a timer of an earlier recording that it is late
    std::int64_t began_ns_ = 0;
    TimerId end_timer_{};
    TimerId rescan_timer_{};
};

} // namespace pillion
