#include "sidecar/application.h"

#include "ipc/base/platform.h"
#include "ipc/dispatcher_metrics.h"
#include "ipc/json_text.h"
#include "ipc/lifetime.h"
#include "ipc/schema/openrpc.h"
#include "modules/components/components_series.h"
#include "sidecar/config_rpc.h"

#include <algorithm>
#include <thread>
#include <unistd.h>

namespace pillion {

namespace {

std::size_t worker_count(const IpcConfig& config) {
    return config.workers > 0 ? static_cast<std::size_t>(config.workers)
                              : std::max<std::size_t>(2, std::thread::hardware_concurrency());
}

DispatcherOptions dispatcher_options(const IpcConfig& config) {
    return {.message = {.nesting = static_cast<std::size_t>(config.nestingMax),
                        .batch = static_cast<std::size_t>(config.batchMax)},
            .workers = worker_count(config),
            .in_flight_calls_max = static_cast<std::size_t>(config.inFlightCallsMax),
            .in_flight_bytes_max = static_cast<std::size_t>(config.inFlightBytesMax),
            .cache_entries_max = static_cast<std::size_t>(config.cacheEntriesMax),
            .cache_bytes_max = static_cast<std::size_t>(config.cacheBytesMax)};
}

} // namespace

std::vector<std::string> program_options(const ApplicationOptions& options) {
    std::vector<std::string> words{"--data-dir", options.data_directory};
    if (options.config.file) words.insert(words.end(), {"--config", *options.config.file});
    for (const std::string& value : options.config.set) words.insert(words.end(), {"--set", value});
    return words;
}

Result<std::unique_ptr<Application>> Application::create(const ApplicationOptions& options, int output) {
    std::unique_ptr<Application> application(new Application);
    Application& self = *application;
    self.configuration_ = std::make_unique<Configuration>(std::vector<ConfigSection>{
        config_section("ipc", self.ipc_config_), config_section<check_memory_config>("memory", self.memory_config_),
        config_section("log", self.log_config_), config_section("startup", self.parts_config_.startup),
        config_section("lazyLoading", self.parts_config_.lazy_loading),
        config_section<check_components>("components", self.parts_config_.components),
        config_section<check_backend_specs>("backends", self.parts_config_.backends),
        config_section<check_cache_config>("cache", self.cache_config_.cache),
        config_section("disk", self.cache_config_.disk),
        config_section<check_redis_config>("redis", self.cache_config_.redis),
        config_section<check_postgres_config>("postgres", self.cache_config_.postgres),
        config_section("encryption", self.cache_config_.encryption),
        config_section<check_cdn_config>("cdn", self.cache_config_.cdn),
        config_section("monitoring", self.monitoring_config_.monitor),
        config_section<check_alerts_config>("alerts", self.monitoring_config_.alerts),
        config_section<check_suggestions_config>("suggestions", self.suggestions_config_)});
    PILLION_TRY(self.configuration_->load(options.config));
    PILLION_TRY(install_logging(self.log_config_));
    self.compose(options, output);
    PILLION_TRY(self.memory_->configure(self.memory_config_));
    // What is declared is checked now; otherwise these parts are made when something is asked of them.
    if (!self.parts_config_.components.empty() || !self.parts_config_.backends.empty())
        PILLION_TRY(self.parts_.get().declare(self.parts_config_));
    return application;
}

Application::~Application() {
    end();
    if (io_) io_->stop();
    benchmarks_.reset();
    suggestions_.reset();
    monitoring_.reset();
    parts_.reset();
    dispatcher_.reset();
    profiler_.reset(); // requests were traced into it
    if (outbox_) outbox_->stop();
}

// Calls that may take minutes are answered with what came of them, rather than hold up the end.
void Application::end_long_calls() {
    if (BenchmarkParts* const benchmarks = benchmarks_.find()) benchmarks->stop();
    if (SuggestionParts* const suggestions = suggestions_.find()) suggestions->end_trials();
}

// Everything that runs ends, in an order in which nothing is missed by what still runs.
void Application::end() {
    if (has_ended_) return;
    has_ended_ = true;
    if (memory_) memory_->stop();
    if (Profiler* const profiler = profiler_.find()) profiler->end();
    if (BenchmarkParts* const benchmarks = benchmarks_.find()) benchmarks->stop();
    if (SessionParts* const sessions = sessions_.find()) sessions->stop();
    if (SuggestionParts* const suggestions = suggestions_.find()) suggestions->stop();
    if (MonitoringParts* const monitoring = monitoring_.find()) monitoring->stop();
    if (AppParts* const parts = parts_.find()) parts->stop(ipc_config_.shutdownMs);
    if (MetricsParts* const series = series_.find()) series->stop();
    if (CacheParts* const cache = cache_.find()) cache->stop();
    if (state_) state_->stop();
}

void Application::compose(const ApplicationOptions& options, int output) {
    const Clock& clock = system_clock();
    data_directory_ = options.data_directory;
    framing_ = options.framing;
    started_ns_ = clock.now_ns();
    if (ipc_config_.pipeBytes > 0) platform::enlarge_pipe(output, static_cast<std::size_t>(ipc_config_.pipeBytes));
    io_ = std::make_unique<Io>(clock);
    outbox_ = std::make_unique<Outbox>(output, pools_.buffers, limits::outbox_bytes);
    hub_ = std::make_unique<EventHub>(EventHub::Host{*outbox_, frames_, pools_.buffers, *io_, clock});
    memory_ = std::make_unique<Memory>(pools_, *io_, clock);
    dispatcher_ = std::make_unique<Dispatcher>(Dispatcher::Host{methods_, *outbox_, frames_, pools_, *io_, clock},
                                               dispatcher_options(ipc_config_));
    outbox_->set_hooks({.on_broken = [] { Lifetime::request_end(EndReason::stdout_closed); },
                        .on_drained = [this] { hub_->on_drained(); }});

    state_ = std::make_unique<Store>(StoreOptions{.path = data_directory_ + "/state.db"}, clock);
    state_->on_damaged([this](const StoreDamage& damage) { heed(trouble_alert(damage)); });
    prepare_parts(options);
    prepare_insight(options);
    dispatcher_->set_response_handler([this](const Message& message) {
        AppParts* const parts = parts_.find();
        return parts != nullptr && parts->take_response(message);
    });
    metrics_ = std::make_unique<Metrics>(clock, methods_, *memory_, [this] { return readings(); });
    MetricsSources blocks = sources_.blocks();
    blocks.resources = [this] { return monitoring_.get().resources(); };
    metrics_->set_sources(std::move(blocks));
    declare_events();
    connect_memory();
    add_methods();
}

void Application::prepare_parts(const ApplicationOptions& options) {
    parts_.set([this] {
        auto parts = std::make_unique<AppParts>(
            AppParts::Host{.io = *io_,
                           .clock = system_clock(),
                           .memory = *memory_,
                           .state = *state_,
                           .hub = *hub_,
                           .outbox = *outbox_,
                           .frames = frames_,
                           .buffers = pools_.buffers,
                           .data_directory = data_directory_,
                           .version = PILLION_VERSION,
                           .on_component_changed =
                               [this](const ComponentChange& change) {
                                   heed(trouble_alert(change));
                                   if (MetricsParts* const found = series_.find())
                                       observe_component_change(change, found->series());
                               },
                           .on_backend_changed = [this](const BackendChange& change) { heed(trouble_alert(change)); }},
            parts_config_);
        if (components_are_watched_.load()) parts->components().set_listened(true);
        return parts;
    });
    series_.set([this] {
        return std::make_unique<MetricsParts>(MetricsParts::Host{.io = *io_,
                                                                 .clock = system_clock(),
                                                                 .state = *state_,
                                                                 .metrics = *metrics_,
                                                                 .sources = sources_,
                                                                 .buffers = pools_.buffers,
                                                                 .version = PILLION_VERSION,
                                                                 .monitored = MonitoringParts::series()});
    });
    cache_.set([this, app = options.app_id] {
        return std::make_unique<CacheParts>(
            CacheParts::Host{.io = *io_,
                             .clock = system_clock(),
                             .memory = *memory_,
                             .state = *state_,
                             .hub = *hub_,
                             .dispatcher = *dispatcher_,
                             .data_directory = data_directory_,
                             .app = app,
                             .version = PILLION_VERSION,
                             .on_trouble = [this](const CacheTrouble& trouble) { heed(trouble_alert(trouble)); }},
            cache_config_);
    });
}

// What looks at all the others.
void Application::prepare_insight(const ApplicationOptions& options) {
    monitoring_.set([this] {
        return std::make_unique<MonitoringParts>(MonitoringParts::Host{.io = *io_,
                                                                       .clock = system_clock(),
                                                                       .state = *state_,
                                                                       .hub = *hub_,
                                                                       .methods = methods_,
                                                                       .series = series_,
                                                                       .parts = parts_,
                                                                       .data_directory = data_directory_},
                                                 monitoring_config_);
    });
    suggestions_.set([this] {
        return std::make_unique<SuggestionParts>(
            SuggestionParts::Host{.io = *io_,
                                  .clock = system_clock(),
                                  .state = *state_,
                                  .hub = *hub_,
                                  .memory = *memory_,
                                  .metrics = *metrics_,
                                  .dispatcher = *dispatcher_,
                                  .series = series_,
                                  .parts = parts_,
                                  .cache = cache_,
                                  .set_monitored = [this](bool wanted) { want_watched("suggestions", wanted); },
                                  .started_ns = started_ns_},
            suggestions_config_);
    });
    sessions_.set([this] {
        return std::make_unique<SessionParts>(SessionParts::Host{.io = *io_,
                                                                 .clock = system_clock(),
                                                                 .state = *state_,
                                                                 .hub = *hub_,
                                                                 .monitoring = monitoring_,
                                                                 .suggestions = suggestions_});
    });
    benchmarks_.set([this, words = program_options(options)] {
        return std::make_unique<BenchmarkParts>(
            BenchmarkParts::Host{.io = *io_,
                                 .clock = system_clock(),
                                 .state = *state_,
                                 .hub = *hub_,
                                 .dispatcher = *dispatcher_,
                                 .data_directory = data_directory_,
                                 .version = PILLION_VERSION,
                                 .program_options = words,
                                 .has_components = !parts_config_.components.empty(),
                                 .is_idle = {},
                                 .is_on_mains = {}});
    });
    profiler_.set([this] {
        return std::make_unique<Profiler>(
            Profiler::Host{.timers = *io_,
                           .clock = system_clock(),
                           .set_trace = [this](TraceSink* sink) { dispatcher_->set_trace(sink); },
                           .method_times = [this] { return method_times(methods_); }});
    });
}

// Trouble is met on all kinds of threads, with all kinds of locks held: it is told from the io thread.
void Application::heed(TroubleAlert trouble) {
    if (!trouble.raise && (trouble.resolve.empty() || monitoring_.find() == nullptr)) return;
    io_->post([this, trouble = std::move(trouble)] { monitoring_.get().heed(trouble); });
}

void Application::want_watched(std::string_view topic, bool is_wanted) {
    if (is_wanted || monitoring_.find() != nullptr) monitoring_.get().set_wanted(topic, is_wanted);
}

void Application::declare_events() {
    hub_->hold_until_answered();
    dispatcher_->set_flushed_handler([this] { hub_->on_answers_sent(); });
    hub_->set_listener([this](const Event& event) { dispatcher_->cache().invalidate_by(event.name); });
    hub_->declare(config_changed);
    hub_->declare(memory_pressure_event);
    AppParts::declare_events(*hub_);
    CacheParts::declare_events(*hub_);
    MonitoringParts::declare_events(*hub_);
    SuggestionParts::declare_events(*hub_);
    SessionParts::declare_events(*hub_);
    BenchmarkParts::declare_events(*hub_);
    for (const char* const topic : {"monitor", "alerts"})
        hub_->on_interest(topic, [this, topic](bool wanted) { want_watched(topic, wanted); });
    hub_->on_interest("metrics", [this](bool wanted) { series_.get().set_subscribed(wanted); });
    hub_->on_interest("components", [this](bool wanted) {
        components_are_watched_ = wanted;
        if (AppParts* const parts = parts_.find()) parts->components().set_listened(wanted);
    });
    hub_->declare(metrics_sample_event, [this](Buffer& json) { wire::encode(metrics_->sample(), json); });
}

void Application::connect_memory() {
    hub_->on_interest("memory", [this](bool wanted) { memory_->set_subscribed(wanted); });
    memory_->set_publisher([this](const MemoryPressure& pressure) { hub_->publish(memory_pressure_event, pressure); });
    memory_->add_cache_source("responses", [this] {
        const ResponseCacheStats stats = dispatcher_->cache().stats();
        return MemoryCache{.name = {}, .bytes = stats.bytes, .entries = stats.entries};
    });
    memory_->add_optimizer("responseCache", [this](OptimizeLevel level) {
        if (level == OptimizeLevel::light) return Freed{};
        const std::size_t entries = dispatcher_->cache().stats().entries;
        return Freed{.bytes = dispatcher_->cache().clear(), .entries = entries};
    });
    configuration_->on_change([this](std::string_view section) {
        if (section == "memory") // checked already: the section has its check
            if (const auto configured = memory_->configure(memory_config_); !configured) std::abort();
        if (CacheParts* const cache = cache_.find(); cache != nullptr && section == "cache")
            if (const auto configured = cache->cache().configure(cache_config_.cache); !configured) std::abort();
        if (section == "log") set_log_level(log_config_.level);
        if (section == "monitoring" || section == "alerts") monitoring_.get().configure(monitoring_config_);
        if (section == "suggestions" && (suggestions_config_.automatic || suggestions_.find() != nullptr))
            suggestions_.get().configure(suggestions_config_);
    });
}

IpcReadings Application::readings() const {
    const ResponseCacheStats cache = dispatcher_->cache().stats();
    return {.requests = metrics::requests.value(),
            .notifications = metrics::notifications.value(),
            .errors = metrics::errors.value(),
            .batches = metrics::batches.value(),
            .bytes_in = metrics::bytes_in.value(),
            .bytes_out = outbox_->bytes_written(),
            .queue_depth = dispatcher_->workers().depth(),
            .in_flight = dispatcher_->in_flight(),
            .batch_size = &dispatcher_->batch_sizes(),
            .queue_wait_ns = &dispatcher_->workers().wait_ns(),
            .cache_entries = cache.entries,
            .cache_bytes = cache.bytes,
            .cache_hits = cache.hits,
            .cache_misses = cache.misses,
            .coalesced = cache.coalesced};
}

void Application::add_methods() {
    methods_.add(rpc_methods(
        {.timers = *io_,
         .clock = system_clock(),
         .events = *hub_,
         .discover = [this] { return openrpc_document(methods_, events(), PILLION_VERSION, OpenrpcLayout::one_line); },
         .describe = [this] { return describe(); },
         .request_shutdown = [] { Lifetime::request_end(EndReason::shutdown); }}));
    methods_.add_later([this] {
        return config_methods(*configuration_,
                              [this](const ConfigChanged& changed) { hub_->publish(config_changed, changed); });
    });
    methods_.add_later([this] { return status_methods([this] { return status(); }, [this] { return health(); }); });
    methods_.add_later([this] { return parts_.get().methods(); });
    methods_.add_later([this] { return cache_.get().methods(); });
    methods_.set_fallback([this] { return backend_route(parts_.get().backends(), system_clock()); },
                          [this](std::string_view name) {
                              const AppParts* const parts = parts_.find();
                              return parts != nullptr && routes_to_backend(parts->backends(), name);
                          });
    methods_.add_later([this] { return memory_methods(*memory_); });
    methods_.add_later([this] { return metrics_methods(*metrics_); });
    methods_.add_later([this] { return series_.get().methods(); });
    methods_.add_later([this] { return monitoring_.get().methods(); });
    methods_.add_later([this] { return suggestions_.get().methods(); });
    methods_.add_later([this] { return sessions_.get().methods(); });
    methods_.add_later([this] { return benchmarks_.get().methods(); });
    methods_.add_later([this] { return profiler_methods(profiler_.get(), data_directory_); });
}

std::string Application::openrpc() const { return openrpc_document(methods_, events(), PILLION_VERSION); }

InitializeResult Application::describe() const {
    return {.name = "pillion",
            .version = PILLION_VERSION,
            .pid = getpid(),
            .limits = {.messageBytesMax = ipc_config_.messageBytesMax,
                       .nestingMax = ipc_config_.nestingMax,
                       .batchMax = ipc_config_.batchMax,
                       .inFlightCallsMax = ipc_config_.inFlightCallsMax,
                       .inFlightBytesMax = ipc_config_.inFlightBytesMax,
                       .outboxBytesMax = limits::outbox_bytes},
            .methods = static_cast<std::int64_t>(methods_.names()),
            .features = {"memory", "metrics", "responseCache", "events", "components", "startup", "backends", "cache",
                         "monitor", "alerts", "analysis", "suggestions", "sessions", "benchmarks", "profiler"},
            .dataDirectory = data_directory_};
}

HealthResult Application::health() const {
    HealthResult result;
    const auto check = [&result](std::string name, Health health, std::optional<std::string> reason = {}) {
        result.health = std::max(result.health, health);
        result.checks.push_back({std::move(name), health, std::move(reason)});
    };
    const std::size_t depth = dispatcher_->workers().depth();
    const bool crowded = dispatcher_->in_flight() * 10 >= dispatcher_->options().in_flight_calls_max * 9;
    check("requests", crowded ? Health::degraded : Health::ok,
          crowded ? std::optional("nearly as many requests are waiting as are allowed: " + std::to_string(depth) +
                                  " in the queue")
                  : std::nullopt);
    const bool behind = outbox_->backlog_bytes() >= limits::outbox_event_bytes;
    check("output", behind ? Health::degraded : Health::ok,
          behind ? std::optional<std::string>("the reader of stdout is slow") : std::nullopt);
    const MemoryPressure pressure = memory_->pressure();
    check("memory",
          pressure.level == MemoryLevel::normal    ? Health::ok
          : pressure.level == MemoryLevel::warning ? Health::degraded
                                                   : Health::failing,
          pressure.level == MemoryLevel::normal
              ? std::nullopt
              : std::optional<std::string>("memory is short; memory.pressure says why"));
    return result;
}

StatusResult Application::status() const {
    const ResponseCacheStats cache = dispatcher_->cache().stats();
    return {.version = PILLION_VERSION,
            .pid = getpid(),
            .uptimeMs = (system_clock().now_ns() - started_ns_) / 1'000'000,
            .health = health().health,
            .requests = static_cast<std::int64_t>(metrics::requests.value()),
            .errors = static_cast<std::int64_t>(metrics::errors.value()),
            .inFlight = static_cast<std::int64_t>(dispatcher_->in_flight()),
            .queueDepth = static_cast<std::int64_t>(dispatcher_->workers().depth()),
            .subscriptions = static_cast<std::int64_t>(hub_->subscriptions()),
            .residentBytes = static_cast<std::int64_t>(platform::resident_bytes()),
            .cacheHitRatio = hit_ratio(cache.hits, cache.misses)};
}

int Application::serve(int input) {
    if (ipc_config_.pipeBytes > 0) platform::enlarge_pipe(input, static_cast<std::size_t>(ipc_config_.pipeBytes));
    Lifetime::install(input);
    Server server(input, *dispatcher_, *outbox_, frames_, pools_,
                  {.framing = framing_,
                   .message_bytes_max = static_cast<std::size_t>(ipc_config_.messageBytesMax),
                   .shutdown_ms = ipc_config_.shutdownMs,
                   .on_ending = [this] { end_long_calls(); }});
    metrics_->mark_ready();
    if (AppParts* const parts = parts_.find()) parts->begin();
    if (monitoring_config_.monitor.enabled || !monitoring_config_.alerts.rules.empty() ||
        MonitoringParts::has_rules_to_watch(data_directory_))
        monitoring_.get();
    if (suggestions_config_.automatic) suggestions_.get().begin();
    if (BenchmarkParts::has_schedule(data_directory_)) benchmarks_.get().begin();
    // What was hottest in the last run comes back.
    if (CacheParts::has_something_to_bring_back(data_directory_, cache_config_)) cache_.get().begin();
    const bool in_good_order = server.run();
    end();
    // A worker that does not come back must not keep the process: it has nothing left to say.
    if (!in_good_order) _exit(0);
    return 0;
}

void Application::call(std::string_view method, std::string_view params) {
    Buffer request(pools_.buffers);
    request.append("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":");
    append_quoted(request, method);
    if (!params.empty()) {
        request.append(",\"params\":");
        request.append(params);
    }
    request.append('}');
    dispatcher_->begin_read();
    dispatcher_->receive(request.view());
    dispatcher_->drain(600'000);
    dispatcher_->flush([] { return false; });
    outbox_->wait_until_empty(60'000);
}

} // namespace pillion
