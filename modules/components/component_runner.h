// How components of one kind are brought up and taken down. The engine (components.h) decides when; a runner knows how.
// Runners of tasks, services, libraries, clients and builtins are this module's own; the one of backends lives where
// backends do and is handed over by the composition root:
//
//     components.set_runner(ComponentKind::backend, std::make_shared<BackendRunner>(backends));
//
// start() and stop() are called on the io thread and must not block. Events may come from any thread.
#pragma once

#include "ipc/base/error.h"
#include "modules/components/component_spec.h"
#include "modules/process/process.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pillion {

// One start of a component. Valid during start(); copy what is needed later.
struct ComponentLaunch {
    const std::string& name;
    const ComponentSpec& spec;
    // The declared variables, the port handed to it, and PILLION_PORT_NAME of each prerequisite that has one.
    std::vector<std::pair<std::string, std::string>> environment{};
    std::uint16_t port = 0; // handed out to it; 0: none was wanted
};

struct ComponentReady {
    std::string result{};           // JSON; empty: none
    bool is_cached = false;         // of an earlier start
    std::int64_t saved_ns = 0;      // what making it again would have cost
    std::uint64_t memory_bytes = 0; // what it has cost, where the runner knows better than usage()
};

enum class ComponentEnd : std::uint8_t {
    failed,   // it went down by itself, badly
    finished, // it went down by itself, in good order
    slept,    // it was put to sleep for want of work: no failure, the next demand starts it again
};

struct ComponentEvents {
    // Once after start(): it can be used, or why not. After an error nothing of it is left running,
    // unless the run says needs_stop().
    std::function<void(Result<ComponentReady>)> ready{};
    // At most once, after it was ready and unless stop() came first: it is gone, nothing of it is left running.
    std::function<void(ComponentEnd, std::string why)> ended{};
};

// A component that is coming up, or up. Dropping it without stop() may leave work running until the process ends.
class ComponentRun {
  public:
    virtual ~ComponentRun() = default;
    // Takes it down, also in the middle of its start; `done` comes when nothing of it is left. Called once. Events that
    // come after it are ignored.
    virtual void stop(std::function<void()> done) = 0;
    virtual std::int64_t pid() const { return 0; }
    // The last that was heard of it, for the message when it is not ready in time; may be empty.
    virtual std::string last_words() const { return {}; }
    // Whether start() itself sees to timeoutMs; otherwise the engine does.
    virtual bool keeps_time() const { return false; }
    // Whether an error of ready() has left something running, which stop() is to take down.
    virtual bool needs_stop() const { return false; }
    // What it uses of the machine; any thread, some hundred microseconds. Zeros where it has no process.
    virtual ProcessUsage usage() const { return {}; }
    // Whether it still works, for health checks. Kinds that cannot tell say yes.
    virtual void check(std::int64_t timeout_ms, std::function<void(Result<void>)> done) {
        (void)timeout_ms;
        done({});
    }
};

class ComponentRunner {
  public:
    virtual ~ComponentRunner() = default;
    // What of a spec this kind cannot run. Called when it is declared.
    virtual Result<void> check(const std::string& name, const ComponentSpec& spec) const {
        (void)name;
        (void)spec;
        return {};
    }
    // Begins. What can be refused at once is an error from here; then no event follows.
    virtual Result<std::shared_ptr<ComponentRun>> start(const ComponentLaunch& launch, ComponentEvents events) = 0;
};

} // namespace pillion
