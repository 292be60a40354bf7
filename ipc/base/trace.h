// What the wire tells of a request's life while somebody records it (modules/profiler). The dispatcher holds a pointer
// to a sink that is null otherwise: then a request costs one load and one branch more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pillion {

enum class TraceStep : std::uint8_t {
    direct,   // received, run and answered in place, on the reader thread
    received, // read and handed on: queued for a worker, or started
    run,      // the handler, on a worker
    answered, // encoded into its response and handed to the outbox, on whatever thread answered
};

// One step, told when it has ended, on its own thread.
struct TraceEvent {
    TraceStep step = TraceStep::direct;
    const void* call = nullptr; // the same for all steps of a request; may be another's once it is answered
    std::string_view method{};  // as sent; gone after the event
    std::int64_t received_ns = 0;
    std::int64_t begun_ns = 0;
    std::int64_t ended_ns = 0;
    std::size_t params_bytes = 0;
    std::size_t result_bytes = 0; // 0 where it is not known yet
    bool failed = false;
};

class TraceSink {
  public:
    virtual ~TraceSink() = default;
    // Any thread; quick, never blocks on anything but its own kind.
    virtual void record(const TraceEvent& event) noexcept = 0;
};

} // namespace pillion
