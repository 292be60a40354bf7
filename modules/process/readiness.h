// Is it ready yet? One probe looks at a started component again and again until it answers, its process ends, its time
// is up or somebody cancels: the process is up, a line was printed, a port takes connections, a URL answers 2xx, or a
// check of the caller's own (a JSON-RPC call) succeeds.
//
// Owned by whoever waits; start_probe() and cancel() from any thread, the answer comes on the io thread.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/io.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace pillion {

class Process;

enum class ProbeKind : std::uint8_t {
    process, // it runs, and still does after the first interval
    line,    // a line of stdout contains `text`
    pattern, // a line of stdout matches `text`, an ECMAScript regular expression without back-references
    tcp,     // host:port takes a connection
    http,    // GET http://host:port/path answers 2xx
    custom,  // `check` succeeds
};

struct ProbeSpec {
    ProbeKind kind = ProbeKind::process;
    std::string text{};
    std::string host = "127.0.0.1"; // an address, or localhost for both 127.0.0.1 and ::1
    std::uint16_t port = 0;
    std::string path = "/";
    // Calls back once, on the io thread; a call that comes after the attempt's time is ignored.
    std::function<void(std::function<void(Result<void>)> done)> check{};
    std::int64_t interval_ms = 50; // between attempts; grows by half each time
    std::int64_t interval_ms_max = 500;
    std::int64_t attempt_ms_max = 2000;
    std::int64_t timeout_ms = 30'000;
};

class ReadinessProbe {
  public:
    virtual ~ReadinessProbe() = default;
    // No answer comes after this has returned on the io thread; on another one it may be under way.
    virtual void cancel() = 0;
};

// -32602 for a probe that cannot work (a bad expression, port 0, a host name). The answer is a success, or -32001 or
// -32005 with what was seen last. The probe goes on without its handle. `process` may be null for tcp, http and custom.
Result<std::shared_ptr<ReadinessProbe>> start_probe(Io& io, const Clock& clock, ProbeSpec spec,
                                                    std::shared_ptr<Process> process,
                                                    std::function<void(Result<void>)> on_answer);

} // namespace pillion
