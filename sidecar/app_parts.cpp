#include "sidecar/app_parts.h"

#include "ipc/base/log.h"
#include "ipc/base/platform.h"

#include <algorithm>
#include <iterator>

namespace pillion {

namespace {

StartupProgress progress_of(const ComponentStartStep& step) {
    return {.component = step.name,
            .state = step.state,
            .done = static_cast<std::int64_t>(step.done),
            .total = static_cast<std::int64_t>(step.total),
            .error = step.error.empty() ? std::nullopt : std::optional(step.error)};
}

} // namespace

AppParts::AppParts(const Host& host, const AppPartsConfig& config)
    : host_(host), client_(host.outbox, host.frames, host.buffers),
      processes_(std::make_unique<ProcessHost>(
          host.io, host.clock,
          ProcessHostOptions{.data_directory = host.data_directory, .guard_program = "/proc/self/exe"})),
      transports_(process_transports(*processes_)), backend_memory_(store_memory(host.state, host.clock)),
      backends_(std::make_unique<Backends>(Backends::Host{.transports = *transports_,
                                                          .timers = host.io,
                                                          .clock = host.clock,
                                                          .buffers = host.buffers,
                                                          .client = &client_,
                                                          .memory = backend_memory_.get(),
                                                          .version = host.version})),
      backend_runner_(std::make_shared<BackendRunner>(backend_control())), history_(&host.state),
      predictor_({.scope = "components"}, host.clock) {
    StartupHistory::add_schema(host.state);
    Predictor::add_schema(host.state);
    Components::add_schema(host.state);
    predictor_.persist(host.state, host.io);
    components_ = std::make_unique<Components>(components_host());
    components_->configure(config.lazy_loading, config.startup);
    components_->set_runner(ComponentKind::backend, backend_runner_);
    backends_->on_change([this](const BackendChange& change) { on_backend_change(change); });
    backends_->on_notification([this](const BackendNotification& notification) {
        host_.hub.publish(backends_notification_event, to_event(notification));
    });
    connect_memory();
}

void AppParts::connect_memory() {
    host_.memory.add_cache_source("backends", [this] {
        const auto [bytes, entries] = backends_->cache_size();
        return MemoryCache{.name = {}, .bytes = bytes, .entries = entries};
    });
    host_.memory.add_optimizer("backendCaches", [this](OptimizeLevel level) {
        if (level != OptimizeLevel::aggressive) return Freed{};
        const auto [bytes, entries] = backends_->cache_size();
        backends_->clear_caches();
        return Freed{.bytes = bytes, .entries = entries};
    });
}

AppParts::~AppParts() {
    // Components hold runs of backends, which hold processes.
    components_.reset();
    backend_runner_.reset();
    backends_.reset();
}

BackendControl AppParts::backend_control() {
    return {
        .start = [this](const std::string& name,
                        BackendControl::Done done) { backends_->start(name, std::move(done)); },
        .sleep = [this](const std::string& name,
                        BackendControl::Done done) { backends_->sleep(name, std::move(done)); },
        .stop = [this](const std::string& name, BackendControl::Done done) { backends_->stop(name, std::move(done)); },
        .check = [this](const std::string& name) -> Result<void> {
            for (const BackendStatus& backend : backends_->list())
                if (backend.name == name) return {};
            return fail(ErrorCode::invalid_params,
                        "component " + name + " is of kind backend, but there is no backend " + name, {},
                        "add a table [backends." + name + "] to the configuration");
        }};
}

// A component of kind `backend` follows its backend, which calls may wake and idleness puts to sleep.
void AppParts::on_backend_change(const BackendChange& change) {
    host_.hub.publish(backends_changed_event, change);
    host_.on_backend_changed(change);
    if (!components_ || !components_->find(change.backend)) return;
    if (change.state == BackendState::asleep)
        backend_runner_->ended(change.backend, ComponentEnd::slept, change.reason);
    else if (change.state == BackendState::failed)
        backend_runner_->ended(change.backend, ComponentEnd::failed, change.reason);
    else if (change.state == BackendState::ready)
        components_->load(change.backend, LoadCause::rule, [](const Result<ComponentLoad>&) {});
}

Components::Host AppParts::components_host() {
    return {
        .io = host_.io,
        .timers = host_.io,
        .clock = host_.clock,
        .processes = *processes_,
        .memory = &host_.memory,
        .state = &host_.state,
        .history = &history_,
        .predictor = &predictor_,
        .check_json = check_json_text,
        .on_changed =
            [this](const ComponentChange& change) {
                host_.hub.publish(components_changed_event, change);
                host_.on_component_changed(change);
            },
        .on_wanted = [this](const ComponentWanted& wanted) { host_.hub.publish(components_wanted_event, wanted); },
        .on_start_step =
            [this](const ComponentStartStep& step) { host_.hub.publish(startup_progress_event, progress_of(step)); }};
}

Result<void> AppParts::declare(const AppPartsConfig& config) {
    if (!config.backends.empty()) PILLION_TRY(backends_->configure(config.backends));
    if (!config.components.empty()) PILLION_TRY(components_->declare(config.components));
    return {};
}

void AppParts::declare_events(EventHub& hub) {
    hub.declare(components_changed_event);
    hub.declare(components_wanted_event);
    hub.declare(startup_progress_event);
    hub.declare(backends_changed_event);
    hub.declare(backends_notification_event);
}

std::vector<Method> AppParts::methods() {
    std::vector<Method> methods = startup_methods(components_->startup_host(), history_, host_.clock);
    std::ranges::move(components_methods(*components_), std::back_inserter(methods));
    std::ranges::move(backends_methods(*backends_, host_.clock), std::back_inserter(methods));
    return methods;
}

void AppParts::begin() {
    if (components_->count() == 0 && backends_->empty()) return components_->begin(); // for what is registered later
    // What is left of a crashed run may take a while to go, and may hold the ports and files that the components need.
    starter_ = std::thread([this] {
        platform::name_thread("pillion-start");
        for (const Leftover& left : processes_->end_leftovers())
            log(LogLevel::warning, "process",
                "ended " + left.name + " (pid " + std::to_string(left.pid) + "), which an earlier run had left behind");
        components_->begin();
    });
}

void AppParts::stop(std::int64_t wait_ms_max) {
    if (starter_.joinable()) starter_.join();
    components_->stop(wait_ms_max);
    backends_->stop_all([] {}); // asked to end in their own way; the host waits for their processes
    predictor_.stop();
    processes_->stop_all(wait_ms_max);
}

} // namespace pillion
