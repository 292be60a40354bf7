// How components look on the wire: descriptions of what is declared of them and shown of them, the methods
// `components.*`, the events of the topic `components`. Constants; any thread.
//
// The lazy classes of an app's parts are load rules:
//     data                 load = "delayed"            5 s after the start
//     security             load = "firstUse"           at the first access
//     advanced features    load = "onSignal"           on a user's action: signals = ["editor.advanced"]
//     backup               load = "whenMemoryAllows"   when that much is available
//     plugins              load = "never"              on demand only, not predicted either
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "modules/components/components.h"

#include <map>
#include <string>
#include <vector>

namespace pillion {

PILLION_ENUM(ComponentKind, "task", "service", "backend", "library", "client", "builtin")
PILLION_ENUM(LoadRule, "eager", "delayed", "firstUse", "onSignal", "idle", "whenMemoryAllows", "never")
PILLION_ENUM(RestartRule, "never", "onFailure", "always")
PILLION_ENUM(ReadyRule, "process", "line", "tcp", "http", "call")
PILLION_ENUM(ComponentState, "idle", "waiting", "loading", "ready", "restarting", "stopping", "failed", "skipped")
PILLION_ENUM(LoadCause, "demand", "dependency", "startup", "rule", "signal", "prediction", "preload", "restart")

PILLION_WIRE(ComponentReadiness,
             PILLION_FIELD(by,
                           "`process`: it runs; `line`: it has written a line; `tcp`: it takes connections; `http`: it "
                           "answers a GET with 2xx; `call`: it answers its handshake (backends).",
                           defaulted),
             PILLION_FIELD(text, "For `line`: a part of it.", between(1, 1024)),
             PILLION_FIELD(pattern, "For `line`: a regular expression, as ECMAScript has them.", between(1, 1024)),
             PILLION_FIELD(port, "For `tcp` and `http`, on this machine; the one handed out if left out.",
                           between(1, 65'535)),
             PILLION_FIELD(path, "For `http`; / if left out.", between(1, 1024)))

PILLION_WIRE(
    ComponentHealth,
    PILLION_FIELD(intervalMs,
                  "Time between two checks of a service that is ready, by its readiness; 0: it is not checked.",
                  between(0, 86'400'000), defaulted),
    PILLION_FIELD(timeoutMs, "How long a check may take.", between(10, 600'000), defaulted),
    PILLION_FIELD(failuresMax, "After so many failures in a row it is restarted.", between(1, 1000), defaulted))

PILLION_WIRE(ComponentRestart,
             PILLION_FIELD(rule,
                           "Whether it comes up again when it went down by itself: `never`, `onFailure` (services if "
                           "left out), `always`. Backends have rules of their own besides."),
             PILLION_FIELD(delayMs, "Before the first restart; doubled for each that follows.", between(1, 3'600'000),
                           defaulted),
             PILLION_FIELD(delayMsMax, "The longest such delay.", between(1, 86'400'000), defaulted),
             PILLION_FIELD(crashesMax, "If it goes down more often than this within the window, it is given up.",
                           between(1, 1000), defaulted),
             PILLION_FIELD(windowMs, "The window, in milliseconds.", between(100, 86'400'000), defaulted))

PILLION_WIRE(ComponentLimits,
             PILLION_FIELD(memoryBytes, "Of data for each of its processes; 0: no limit.",
                           between(0, 9'007'199'254'740'991), defaulted),
             PILLION_FIELD(niceness, "How far its CPU time comes behind that of others, 0 to 19.", between(0, 19),
                           defaulted))

PILLION_WIRE(ComponentInputs, PILLION_FIELD(files, "Files by name.", at_most(10'000), defaulted),
             PILLION_FIELD(globs, "Files by pattern: `*`, `?`, `[...]`, and `**` for any folders.", at_most(1000),
                           defaulted),
             PILLION_FIELD(values, "Anything else, such as a version.", at_most(1000), defaulted))

PILLION_WIRE(
    ComponentSpec,
    PILLION_FIELD(kind,
                  "`task`: a command that runs once and prints a JSON result; `service`: a process that runs on; "
                  "`backend`: a process that speaks JSON-RPC; `library`: a shared object with the interface of "
                  "pillion_component.h; `client`: work of the webview; `builtin`: a part of Pillion.",
                  defaulted),
    PILLION_FIELD(description, "For people.", at_most(4096)),
    PILLION_FIELD(dependsOn, "Components that must be ready first.", at_most(1000), defaulted),
    PILLION_FIELD(critical, "Whether its failure fails the start.", defaulted),
    PILLION_FIELD(command, "The program, looked up in PATH, and its arguments.", at_most(4096), defaulted),
    PILLION_FIELD(library, "For a library: the path of its shared object.", at_most(4096)),
    PILLION_FIELD(settings, "For a library: handed to its create(); for a client: sent with components.wanted."),
    PILLION_FIELD(environment, "Variables beside Pillion's own.", at_most(1000), defaulted),
    PILLION_FIELD(workingDirectory, "The folder it runs in, and its inputs are in; Pillion's own if left out.",
                  at_most(4096)),
    PILLION_FIELD(timeoutMs, "How long it may take from its own start until it is ready.", between(1, 86'400'000),
                  defaulted),
    PILLION_FIELD(stopMs, "How long it may take to end when asked, before it is killed.", between(0, 600'000),
                  defaulted),
    PILLION_FIELD(readiness, "When it counts as ready.", defaulted),
    PILLION_FIELD(load,
                  "When it is loaded without being asked for: `eager`: by startup.run; `delayed`: some time after the "
                  "start (data); `firstUse`: when it is first asked for, or predicted (security); `onSignal`: on an "
                  "action or context that components.signal tells of (advanced features); `idle`: when the CPU is "
                  "idle; `whenMemoryAllows`: when enough is available (backup); `never`: only when it is asked for "
                  "(plugins).",
                  defaulted),
    PILLION_FIELD(delayMs, "For `delayed`: lazyLoading.delayMs if left out.", between(0, 86'400'000)),
    PILLION_FIELD(signals, "For `onSignal`: their names.", at_most(1000), defaulted),
    PILLION_FIELD(idleCpuPercent, "For `idle`: lazyLoading.idleCpuPercent if left out.", between(0, 100)),
    PILLION_FIELD(memoryFloorBytes, "For `whenMemoryAllows`: lazyLoading.memoryFloorBytes if left out.",
                  between(0, 9'007'199'254'740'991)),
    PILLION_FIELD(keepAliveMs, "It is unloaded when it was not used for so long; 0: it stays.", between(0, 86'400'000),
                  defaulted),
    PILLION_FIELD(restart, "What happens when it goes down by itself.", defaulted),
    PILLION_FIELD(health, "How it is watched.", defaulted), PILLION_FIELD(limits, "What it may use.", defaulted),
    PILLION_FIELD(inputs,
                  "What a task's result depends on: it is kept until one of them changes. A task without inputs runs "
                  "each time.",
                  defaulted),
    PILLION_FIELD(portWanted,
                  "Whether a free port is handed to its process; what depends on it gets it as "
                  "PILLION_PORT_NAME.",
                  defaulted),
    PILLION_FIELD(portVariable, "The variable with that port.", between(1, 256), defaulted),
    PILLION_FIELD(fallback, "What components.load answers instead of an error when it fails."))

PILLION_WIRE(
    LazyLoadingConfig,
    PILLION_FIELD(delayMs, "When components that load delayed are loaded, after the start.", between(0, 86'400'000),
                  defaulted),
    PILLION_FIELD(idleCpuPercent, "The CPU is idle while less than this of it is used.", between(0, 100), defaulted),
    PILLION_FIELD(memoryFloorBytes, "Components that load when memory allows wait until so much is available.",
                  between(0, 9'007'199'254'740'991), defaulted),
    PILLION_FIELD(lanes, "How many components are loaded in the background at a time.", between(1, 64), defaulted),
    PILLION_FIELD(prediction, "Whether components are loaded because they are likely to be used next.", defaulted),
    PILLION_FIELD(probability, "From which probability on they are.", between(0.01, 1), defaulted),
    PILLION_FIELD(predictionMemoryBytes, "Most that predicted components that were not used yet may hold.",
                  between(0, 9'007'199'254'740'991), defaulted),
    PILLION_FIELD(predictionCpuPercent, "Nothing is loaded on prediction while more of the CPU is used.",
                  between(0, 100), defaulted),
    PILLION_FIELD(predictionWindowMs, "A prediction that is not used within this time counts as wasted.",
                  between(1000, 86'400'000), defaulted))

PILLION_WIRE(StartupConfig,
             PILLION_FIELD(automatic, "Whether eager components are started with Pillion; otherwise by startup.run.",
                           defaulted),
             PILLION_FIELD(lanes, "How many components start at a time.", between(1, 256), defaulted),
             PILLION_FIELD(timeoutMs, "How long the whole start may take; 0: as long as it does.",
                           between(0, 86'400'000), defaulted))

PILLION_WIRE(ComponentInfo, PILLION_FIELD(name, "The component.", sortable),
             PILLION_FIELD(kind, "What it is.", sortable), PILLION_FIELD(state, "How it is.", sortable),
             PILLION_FIELD(reason, "Why it is in that state, where there is something to say."),
             PILLION_FIELD(description, "For people."), PILLION_FIELD(critical, "Whether its failure fails the start."),
             PILLION_FIELD(load, "When it is loaded without being asked for."),
             PILLION_FIELD(dependsOn, "What must be ready first."),
             PILLION_FIELD(cause, "Why it was loaded the last time."), PILLION_FIELD(pid, "Of its process."),
             PILLION_FIELD(port, "Handed to its process."),
             PILLION_FIELD(loadMs, "How long its last load took, from its own start to ready.", sortable),
             PILLION_FIELD(memoryBytes, "What it held when it had become ready.", sortable),
             PILLION_FIELD(cached, "Whether its result is that of an earlier start."),
             PILLION_FIELD(loads, "How often it was loaded.", sortable),
             PILLION_FIELD(uses, "How often it was asked for.", sortable),
             PILLION_FIELD(restarts, "How often it came up again by itself.", sortable),
             PILLION_FIELD(waiters, "Who waits for it now."),
             PILLION_FIELD(readySince, "In milliseconds since the Unix epoch."),
             PILLION_FIELD(lastUsedAt, "In milliseconds since the Unix epoch.", sortable))

PILLION_WIRE(ComponentChange, PILLION_FIELD(name, "The component."), PILLION_FIELD(kind, "What it is."),
             PILLION_FIELD(state, "How it is now."), PILLION_FIELD(previous, "How it was."),
             PILLION_FIELD(reason, "Why, where there is something to say."),
             PILLION_FIELD(loadMs, "How long it took to become ready."))

PILLION_WIRE(ComponentWanted, PILLION_FIELD(name, "The component of kind `client` that is to be loaded."),
             PILLION_FIELD(token, "To be sent back in components.complete."),
             PILLION_FIELD(timeoutMs, "How long that may take."), PILLION_FIELD(settings, "As declared."))

PILLION_WIRE(ComponentCompletion, PILLION_FIELD(token, "As components.wanted gave it.", at_most(256)),
             PILLION_FIELD(error, "Why it could not be loaded; left out if it was.", at_most(4096)),
             PILLION_FIELD(result, "What components.load is to answer."),
             PILLION_FIELD(memoryBytes, "What it costs, if known.", between(0, 9'007'199'254'740'991)))

PILLION_WIRE(ComponentLoad, PILLION_FIELD(name, "The component."),
             PILLION_FIELD(state, "`ready`, or `failed` where the fallback stands in."),
             PILLION_FIELD(reason, "Why it failed."), PILLION_FIELD(result, "What a task printed, or the client sent."),
             PILLION_FIELD(fallback, "As declared, where it failed."),
             PILLION_FIELD(cached, "Whether the result is that of an earlier start."),
             PILLION_FIELD(shared, "Whether it was there, or coming, already."),
             PILLION_FIELD(loadMs, "How long the load took, from its own start to ready."),
             PILLION_FIELD(port, "Handed to its process."))

PILLION_WIRE(ComponentUse, PILLION_FIELD(name, "The component."), PILLION_FIELD(uses, "How often it was asked for."),
             PILLION_FIELD(loads, "How often it was loaded."), PILLION_FIELD(failures, "How often that failed."),
             PILLION_FIELD(restarts, "How often it came up again by itself."),
             PILLION_FIELD(lastUsedAt, "In milliseconds since the Unix epoch."),
             PILLION_FIELD(loadMs, "How long its last load took."),
             PILLION_FIELD(memoryBytes, "What its process tree, or its load, holds now."),
             PILLION_FIELD(processes, "In its tree now."), PILLION_FIELD(cpuMs, "CPU time of its tree."),
             PILLION_FIELD(savedMs, "Time saved by results of earlier starts."))

PILLION_WIRE(ComponentPrediction, PILLION_FIELD(name, "The component."),
             PILLION_FIELD(probability, "That it is the next to be used, 0 to 1."),
             PILLION_FIELD(state, "How it is now."))

inline constexpr Event components_changed_event =
    event<ComponentChange>("components.changed", "components", EventKind::change, "A component's state changed.");
inline constexpr Event components_wanted_event =
    event<ComponentWanted>("components.wanted", "components", EventKind::change,
                           "The webview is to load a component and to answer components.complete.");

// Whether the text is one JSON value; for Components::Host.
Result<void> check_json_text(std::string_view text);

std::vector<Method> components_methods(Components& components);

} // namespace pillion
