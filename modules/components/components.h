// The app's components: what is declared, in which state each one is, and the engine that loads them in the order they
// need each other, watches them, restarts them and lets them go. Owned by the composition root; any thread may call.
//
// All work is one strand on the timers' thread: a call from elsewhere is queued there, what it is told comes back from
// there, and nothing is locked while somebody else is called. What list() and find() show is a copy kept beside.
// With no component declared nothing runs.
//
//     idle ──> waiting ──> loading ──> ready ──> stopping ──> idle
//               (for what    │  ▲        │
//              it depends on)│  └─ restarting <─ (it went down)
//                            └──> failed, skipped (what it depends on failed)
//
// Concurrent demands share one load. A demand may leave; a load that nobody waits for any more is taken back. A demand
// on a failed component tries again. What depends on a component is unloaded before it.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/io.h"
#include "modules/components/backend_runner.h"
#include "modules/components/component_runner.h"
#include "modules/components/component_spec.h"
#include "modules/memory/memory.h"
#include "modules/prediction/prediction.h"
#include "modules/process/process.h"
#include "modules/startup/startup.h"
#include "modules/storage/storage.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// Section `lazyLoading`.
struct LazyLoadingConfig {
    std::int64_t delayMs = 5000;
    double idleCpuPercent = 30;
    std::int64_t memoryFloorBytes = 512LL * 1024 * 1024;
    std::int64_t lanes = 1;
    bool prediction = true;
    double probability = 0.5;
    std::int64_t predictionMemoryBytes = 256LL * 1024 * 1024;
    double predictionCpuPercent = 50;
    std::int64_t predictionWindowMs = 10 * 60'000;
};

// Section `startup`.
struct StartupConfig {
    bool automatic = true;
    std::int64_t lanes = 4;
    std::int64_t timeoutMs = 120'000;
};

enum class ComponentState : std::uint8_t { idle, waiting, loading, ready, restarting, stopping, failed, skipped };

// Why it was loaded the last time.
enum class LoadCause : std::uint8_t { demand, dependency, startup, rule, signal, prediction, preload, restart };

struct ComponentInfo {
    std::string name{};
    ComponentKind kind = ComponentKind::service;
    ComponentState state = ComponentState::idle;
    std::optional<std::string> reason{}; // of the state: why it failed, for whom it waits
    std::optional<std::string> description{};
    bool critical = false;
    LoadRule load = LoadRule::eager;
    std::vector<std::string> dependsOn{};
    std::optional<LoadCause> cause{};
    std::optional<std::int64_t> pid{};
    std::optional<std::int64_t> port{};
    std::optional<double> loadMs{};            // the last load, from its own start to ready
    std::optional<std::int64_t> memoryBytes{}; // what it cost when it had become ready
    bool cached = false;                       // a task's result came from an earlier start
    std::int64_t loads = 0;
    std::int64_t uses = 0;
    std::int64_t restarts = 0;
    std::int64_t waiters = 0;
    std::optional<std::int64_t> readySince{}; // milliseconds since the epoch
    std::optional<std::int64_t> lastUsedAt{};
};

// Payload of components.changed.
struct ComponentChange {
    std::string name{};
    ComponentKind kind = ComponentKind::service;
    ComponentState state = ComponentState::idle;
    ComponentState previous = ComponentState::idle;
    std::optional<std::string> reason{};
    std::optional<double> loadMs{};
};

// Payload of components.wanted: the webview is to load a client component and to answer components.complete.
struct ComponentWanted {
    std::string name{};
    std::string token{};
    std::int64_t timeoutMs = 0;
    std::optional<Json> settings{};
};

// What the webview says of it.
struct ComponentCompletion {
    std::string token{};
    std::optional<std::string> error{};
    std::optional<Json> result{};
    std::optional<std::int64_t> memoryBytes{};
};

// What a load came to. A component that failed and declares a fallback is no error: `failed` with its content.
struct ComponentLoad {
    std::string name{};
    ComponentState state = ComponentState::ready;
    std::optional<std::string> reason{};
    std::optional<Json> result{};
    std::optional<Json> fallback{};
    bool cached = false;
    bool shared = false; // another demand had begun it, or it was there already
    double loadMs = 0;
    std::optional<std::int64_t> port{};
};

struct ComponentUse {
    std::string name{};
    std::int64_t uses = 0;
    std::int64_t loads = 0;
    std::int64_t failures = 0;
    std::int64_t restarts = 0;
    std::optional<std::int64_t> lastUsedAt{};
    std::optional<double> loadMs{};
    std::int64_t memoryBytes = 0; // now, of its process tree
    std::int64_t processes = 0;   // now
    double cpuMs = 0;             // since its process began
    double savedMs = 0;           // by results kept from earlier starts
};

struct ComponentPrediction {
    std::string name{};
    double probability = 0;
    ComponentState state = ComponentState::idle;
};

// One component of a start has come to an end, or begun.
struct ComponentStartStep {
    std::string name{};
    StartupState state = StartupState::running;
    std::size_t done = 0;
    std::size_t total = 0;
    std::string error{};
};

// A part of Pillion itself. `load` and `unload` may block; they run where run_blocking takes them.
struct BuiltinComponent {
    std::function<Result<void>()> load{};
    std::function<void()> unload{};
    std::function<std::uint64_t()> bytes{}; // what it holds now; may be empty
};

class ComponentEngine;

class Components {
  public:
    struct Host {
        Io& io;         // on which processes and their probes run
        Timers& timers; // their thread is the strand: `io`, but for tests without processes
        const Clock& clock;
        ProcessHost& processes;
        Memory* memory = nullptr;          // null: memory is taken to be plentiful
        Store* state = nullptr;            // null: no task's result is kept
        StartupHistory* history = nullptr; // null: every start is the first
        Predictor* predictor = nullptr;    // null: nothing is predicted
        // Runs what blocks (hashing files, opening a library) away from the strand. Empty: on threads of the engine's
        // own, which end when they have nothing to do.
        std::function<void(std::function<void()>)> run_blocking{};
        // Whether the text is one JSON value; the message says what is wrong. The engine itself knows no JSON.
        std::function<Result<void>(std::string_view text)> check_json{};
        // On the strand; must not block.
        std::function<void(const ComponentChange&)> on_changed{};
        std::function<void(const ComponentWanted&)> on_wanted{};
        std::function<void(const ComponentStartStep&)> on_start_step{};
        // The machine's busy share of the CPU since the last call, 0..100; empty: read from the system.
        std::function<std::optional<double>()> read_cpu_percent{};
    };
    using LoadDone = std::function<void(Result<ComponentLoad>)>;
    using Done = std::function<void(Result<void>)>;
    using Ticket = std::uint64_t;

    explicit Components(Host host);
    ~Components();
    Components(const Components&) = delete;

    // At composition, once for the store.
    static void add_schema(Store& state);
    // At composition. A kind without a runner of its own uses the one given here.
    void set_runner(ComponentKind kind, std::shared_ptr<ComponentRunner> runner);
    void add_builtin(const std::string& name, BuiltinComponent builtin);
    void configure(const LazyLoadingConfig& lazy_loading, const StartupConfig& startup);

    // Declares components, beside those there are; all or none. A name that exists is replaced while it is not loaded,
    // and -32003 otherwise.
    Result<void> declare(const ComponentSpecs& specs);
    // Begins the start by itself where the configuration says so. From now on delayed, idle and memory rules count, and
    // components that are unused are let go.
    void begin();
    // Takes everything down, what depends on something before it, and waits until it is gone, at most so long. No
    // component can be loaded afterwards. Not on the strand.
    void stop(std::int64_t wait_ms_max);

    std::size_t count() const;
    std::vector<ComponentInfo> list() const;
    // -32002 with the nearest name where there is none.
    Result<ComponentInfo> find(std::string_view name) const;
    Result<ComponentSpec> find_spec(std::string_view name) const;
    std::vector<ComponentUse> usage() const; // reads /proc for each process; blocks some milliseconds
    PreloadWorth prediction_worth() const;

    // Loads it and what it depends on; `done` comes once, also when it was there already. The ticket names this demand.
    Ticket load(std::string name, LoadCause cause, LoadDone done);
    // The demand is given up; its `done` comes with -32800, and a load that nobody else waits for is taken back.
    void leave(Ticket ticket);
    void unload(std::string name, Done done);
    void restart(std::string name, LoadDone done);
    // Somebody uses a component that is loaded: it is kept, and what follows it is learned.
    void note_use(std::string name);
    // A user action or context happened: loads whose signal it is, in the background, and learns. Their names.
    void signal(std::string name, std::function<void(std::vector<std::string>)> done);
    // Loads in the background, as the machine allows: these, or (none named) what is likely next. What was queued.
    void preload(std::vector<std::string> names, std::function<void(Result<std::vector<std::string>>)> done);
    // What is likely to be asked for next, the likeliest first.
    void predict(std::size_t limit, std::function<void(std::vector<ComponentPrediction>)> done);
    // The webview's answer to components.wanted. -32002 if nobody waits for that token any more.
    void complete(ComponentCompletion completion, Done done);
    // Whether anybody listens to components.wanted; what is outstanding is said again when somebody begins to.
    void set_listened(bool listened);

    // What the methods `startup.*` ask for: the start of what is eager, with what that depends on. Valid as long as
    // this.
    StartupHost startup_host();

  private:
    std::shared_ptr<ComponentEngine> engine_;
};

} // namespace pillion
