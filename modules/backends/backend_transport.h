// A backend's process as far as the proxy sees it: bytes in, bytes out, an end. Real ones are children of a ProcessHost
// (process_transports), tests have their own. Handlers run on the io thread, never inside a call of the transport; any
// other call may come from any thread.
#pragma once

#include "ipc/base/error.h"
#include "modules/backends/backend_spec.h"
#include "modules/process/process.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pillion {

struct TransportHandlers {
    std::function<void(std::string_view bytes)> on_output{};
    std::function<void(const ProcessExit&)> on_end{}; // once, after all output
};

class BackendTransport {
  public:
    virtual ~BackendTransport() = default;
    // Queues bytes, whole messages. -32004 if too much waits already, -32005 if the other end is gone.
    virtual Result<void> write(std::string bytes) = 0;
    virtual void close_input() = 0;
    virtual void stop() = 0; // asks, then makes it end; on_end follows
    virtual void kill() = 0;
    virtual std::int64_t pid() const = 0;
    virtual std::string last_lines() const = 0;
    virtual std::uint64_t memory_bytes() const = 0; // some hundred microseconds
};

class BackendTransports {
  public:
    virtual ~BackendTransports() = default;
    virtual Result<std::shared_ptr<BackendTransport>> start(const std::string& name, const BackendSpec& spec,
                                                            TransportHandlers handlers) = 0;
};

// Each start is a child process of `host`.
std::unique_ptr<BackendTransports> process_transports(ProcessHost& host);

} // namespace pillion
