// What an author declares of a component: `[components.NAME]` in the configuration, or `components.register`. Plain
// values; any thread. Members are spelled as on the wire, which describes them in components_rpc.h.
#pragma once

#include "ipc/base/error.h"
#include "ipc/wire_type.h"
#include "modules/process/process.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

enum class ComponentKind : std::uint8_t {
    task,    // a command that runs once and prints a JSON result
    service, // a process that runs on
    backend, // a process that speaks JSON-RPC over stdio
    library, // a shared object behind the C ABI of pillion_component.h
    client,  // work of the webview, which says when it is done
    builtin, // a heavy part of Pillion itself
};

// When a component is loaded without being asked for. A demand (components.load, or somebody who depends on it) loads
// it under every rule.
enum class LoadRule : std::uint8_t {
    eager,            // by startup.run
    delayed,          // some time after the start
    firstUse,         // when it is first asked for; may be predicted
    onSignal,         // when one of its signals is given; may be predicted
    idle,             // when the machine's CPU is idle
    whenMemoryAllows, // when enough memory is available
    never,            // only when it is asked for: never predicted
};

enum class ReadyRule : std::uint8_t {
    process, // it runs
    line,    // it has written a line
    tcp,     // it accepts connections
    http,    // it answers a GET with 2xx
    call,    // it answers its handshake; for backends
};

struct ComponentReadiness {
    ReadyRule by = ReadyRule::process;
    std::optional<std::string> text{};    // line: a part of it
    std::optional<std::string> pattern{}; // line: an ECMAScript expression
    std::optional<std::int64_t> port{};   // tcp, http: the one handed out if empty
    std::optional<std::string> path{};    // http
};

struct ComponentHealth {
    std::int64_t intervalMs = 0; // 0: not asked
    std::int64_t timeoutMs = 2000;
    std::int64_t failuresMax = 3;
};

struct ComponentRestart {
    std::optional<RestartRule> rule{}; // by kind: services onFailure, the rest never
    std::int64_t delayMs = 500;
    std::int64_t delayMsMax = 30'000;
    std::int64_t crashesMax = 5;
    std::int64_t windowMs = 60'000;
};

struct ComponentLimits {
    std::int64_t memoryBytes = 0;
    std::int64_t niceness = 0;
};

struct ComponentInputs {
    std::vector<std::string> files{};
    std::vector<std::string> globs{};
    std::map<std::string, std::string> values{};
    bool any() const { return !files.empty() || !globs.empty() || !values.empty(); }
};

struct ComponentSpec {
    ComponentKind kind = ComponentKind::service;
    std::optional<std::string> description{};
    std::vector<std::string> dependsOn{};
    bool critical = false;
    std::vector<std::string> command{};               // task, service; backend where its runner wants one
    std::optional<std::string> library{};             // library: path of the shared object
    std::optional<Json> settings{};                   // library: handed to create(); client: sent with the request
    std::map<std::string, std::string> environment{}; // beside Pillion's own
    std::optional<std::string> workingDirectory{};    // Pillion's own if empty
    std::int64_t timeoutMs = 30'000;                  // from its start until it is ready
    std::int64_t stopMs = 5000;                       // from SIGTERM to SIGKILL
    ComponentReadiness readiness{};
    LoadRule load = LoadRule::eager;
    std::optional<std::int64_t> delayMs{};          // delayed: lazyLoading.delayMs if empty
    std::vector<std::string> signals{};             // onSignal
    std::optional<double> idleCpuPercent{};         // idle: lazyLoading.idleCpuPercent if empty
    std::optional<std::int64_t> memoryFloorBytes{}; // whenMemoryAllows: lazyLoading.memoryFloorBytes if empty
    std::int64_t keepAliveMs = 0;                   // unloaded when unused for so long; 0: stays
    ComponentRestart restart{};
    ComponentHealth health{};
    ComponentLimits limits{};
    ComponentInputs inputs{};          // task: its result is kept as long as they are unchanged
    bool portWanted = false;           // a free port is found and handed over
    std::string portVariable = "PORT"; // in this variable
    std::optional<Json> fallback{};    // stands in for the result when loading fails
};

using ComponentSpecs = std::map<std::string, ComponentSpec>;

std::string_view component_kind_name(ComponentKind kind);
RestartRule restart_rule_of(const ComponentSpec& spec);

// Whether the text may name a component: letters, digits, '_', '-', '.', at most 64 bytes.
bool is_component_name(std::string_view name);

// What bounds on single members cannot say of one component. -32602; the message names the component.
Result<void> check_component(const std::string& name, const ComponentSpec& spec);

// All of them together, as a check of the configuration's section: each one, and that what they depend on exists, with
// no circle.
Result<void> check_components(const ComponentSpecs& specs);

} // namespace pillion
