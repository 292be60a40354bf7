// Takes stack samples of this process's threads, each when it has used so much processor time. Owned by the Profiler.
//
// create() installs the handler of SIGPROF (it stays: a signal under way must never meet the default action, which ends
// the process) and gives every thread a timer on its own CPU clock; scan_threads() does so for threads that have begun
// since. scan_threads(), threads() and end() on one thread at a time; the rest on any.
#pragma once

#include "ipc/base/error.h"
#include "modules/profiler/stack_profile.h"

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pillion {

struct RawSample {
    std::int32_t thread = 0;
    std::uint32_t weight = 1;                   // timer periods it stands for
    bool is_cut = false;                        // outer frames are missing
    std::span<const std::uint64_t> addresses{}; // innermost first; all but that are return addresses
    Allocated allocated{};                      // what it stands for, where allocations are sampled
};

class SampleArena;

class CpuSampler {
  public:
    static constexpr std::size_t frames_max = 128;

    // -32005 where the system does not let us; -32007 if SIGPROF is somebody else's.
    static Result<std::unique_ptr<CpuSampler>> create(std::int64_t hz);
    ~CpuSampler();
    CpuSampler(const CpuSampler&) = delete;

    void scan_threads();
    // No sample comes after this.
    void end();

    std::uint64_t samples() const;
    std::uint64_t dropped() const;
    std::int64_t hz() const { return hz_; }
    // Names by thread id, of all that were sampled.
    std::map<std::int32_t, std::string> threads() const;
    // The samples so far. The addresses are valid as long as the sampler.
    std::vector<RawSample> read() const;

  private:
    struct Thread {
        timer_t timer{};
        bool is_alive = true;
        unsigned scans = 0;
        std::string name;
    };
    CpuSampler(std::int64_t hz, std::unique_ptr<SampleArena> arena);
    bool add_thread(std::int32_t id);

    const std::int64_t hz_;
    std::unique_ptr<SampleArena> arena_;
    std::map<std::int32_t, Thread> threads_;
    bool has_ended_ = false;
};

} // namespace pillion
