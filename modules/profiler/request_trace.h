// A ring of what happened to requests while it was open: the newest steps, and how many older ones had to go. Owned by
// the Profiler. record() on any thread; open(), close() and read() on any, one at a time.
#pragma once

#include "ipc/base/trace.h"

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// A step as it was recorded; times in nanoseconds of the monotonic clock.
struct RecordedStep {
    static constexpr std::size_t name_bytes_max = 47;

    TraceStep step = TraceStep::direct;
    bool failed = false;
    std::uint8_t name_bytes = 0;
    std::array<char, name_bytes_max> name{}; // the method's, cut where it is longer
    std::int32_t thread = 0;
    const void* call = nullptr;
    std::int64_t received_ns = 0;
    std::int64_t begun_ns = 0;
    std::int64_t ended_ns = 0;
    std::uint64_t params_bytes = 0;
    std::uint64_t result_bytes = 0;

    std::string_view method() const { return {name.data(), name_bytes}; }
};

struct RequestTraceSteps {
    std::vector<RecordedStep> steps;             // in the order they began
    std::map<std::int32_t, std::string> threads; // names of those that live
    std::int64_t began_ns = 0;
    std::int64_t ended_ns = 0;
    std::uint64_t dropped = 0; // older steps that had to go
};

class RequestTrace final : public TraceSink {
  public:
    static constexpr std::size_t steps_max = 65'536; // 8 MiB

    explicit RequestTrace(std::size_t capacity = steps_max) : capacity_(capacity) {}

    // Forgets what was recorded before and takes what comes.
    void open(std::int64_t now_ns);
    void close(std::int64_t now_ns);
    // Lets go of what was recorded.
    void clear();
    void record(const TraceEvent& event) noexcept override;

    std::uint64_t recorded() const;
    std::uint64_t dropped() const;
    RequestTraceSteps read(std::int64_t now_ns) const;

  private:
    const std::size_t capacity_;
    mutable std::mutex mutex_; // guards what follows
    std::vector<RecordedStep> ring_;
    std::uint64_t recorded_ = 0;
    bool is_open_ = false;
    std::int64_t began_ns_ = 0;
    std::int64_t ended_ns_ = 0;
};

} // namespace pillion
