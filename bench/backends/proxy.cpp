// A sidecar with nothing but the wire and the proxy in it, composed as the whole program is: `proxy BACKEND` serves
// rpc.ping, and the program BACKEND as `echo`, whose methods `kept*` are cached and `read*` share their runs.
#include "ipc/io.h"
#include "ipc/lifetime.h"
#include "ipc/server.h"
#include "modules/backends/backends_rpc.h"
#include "modules/process/process.h"

#include <cstdio>
#include <future>

using namespace pillion;

namespace {

std::vector<Method> ping() {
    Method method{.name = "rpc.ping", .summary = "Answers at once."};
    method.run = [](Call&, Buffer& out) -> Result<void> {
        out.append("{}");
        return {};
    };
    std::vector<Method> methods;
    methods.push_back(std::move(method));
    return methods;
}

BackendSpec echo(const char* program) {
    BackendSpec spec;
    spec.command = {program};
    BackendCacheRule rule;
    rule.methods = {"kept*"};
    spec.cache = {rule};
    spec.singleFlight = {"read*"};
    return spec;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: proxy BACKEND\n", stderr);
        return 2;
    }
    const Clock& clock = system_clock();
    MemoryPools pools;
    FrameWriter frames;
    MethodTable methods;
    Io io(clock);
    Outbox outbox(STDOUT_FILENO, pools.buffers, limits::outbox_bytes);
    ProcessHost host(io, clock, {});
    const auto transports = process_transports(host);
    Backends backends({.transports = *transports, .timers = io, .clock = clock, .buffers = pools.buffers});
    if (!backends.declare("echo", echo(argv[1]))) return 1;
    methods.add(ping());
    methods.add(backends_methods(backends, clock));
    methods.set_fallback([&] { return backend_route(backends, clock); },
                         [&backends](std::string_view name) { return routes_to_backend(backends, name); });
    Dispatcher dispatcher({methods, outbox, frames, pools, io, clock}, {});
    Lifetime::install(STDIN_FILENO);
    Server(STDIN_FILENO, dispatcher, outbox, frames, pools, {}).run();
    std::promise<void> stopped;
    backends.stop_all([&stopped] { stopped.set_value(); });
    stopped.get_future().wait_for(std::chrono::seconds(2));
    host.stop_all(1000);
    io.stop();
    outbox.stop();
    return 0;
}
