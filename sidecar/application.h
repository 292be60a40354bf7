// The composition root: the one place that knows every module. Owns them in the order they need each other. Made and
// ended on the main thread, which is the reader thread.
#pragma once

#include "ipc/dispatcher.h"
#include "ipc/event_hub.h"
#include "ipc/io.h"
#include "ipc/ipc_config.h"
#include "ipc/outbox.h"
#include "ipc/rpc_methods.h"
#include "ipc/server.h"
#include "modules/memory/memory_rpc.h"
#include "modules/metrics/metrics_rpc.h"
#include "modules/profiler/profiler_rpc.h"
#include "modules/storage/storage.h"
#include "sidecar/app_parts.h"
#include "sidecar/benchmark_parts.h"
#include "sidecar/cache_parts.h"
#include "sidecar/config.h"
#include "sidecar/lazy.h"
#include "sidecar/logging.h"
#include "sidecar/metric_sources.h"
#include "sidecar/metrics_parts.h"
#include "sidecar/monitoring_parts.h"
#include "sidecar/session_parts.h"
#include "sidecar/status_rpc.h"
#include "sidecar/suggestion_parts.h"

#include <memory>
#include <string>

namespace pillion {

struct ApplicationOptions {
    ConfigSources config{};
    std::string data_directory{};
    std::string app_id = "pillion";
    Framing framing = Framing::automatic;
};

// What another process of this program is to be started with, to have the same configuration and data.
std::vector<std::string> program_options(const ApplicationOptions& options);

class Application {
  public:
    // Reads the configuration and puts everything together; starts no thread and opens no file. `output` stays the
    // caller's and outlives the application.
    static Result<std::unique_ptr<Application>> create(const ApplicationOptions& options, int output);
    ~Application();

    // Serves `input` until the end; the process's exit status. Does not return if threads had to be left behind.
    int serve(int input);
    // Runs one method as a client would; its response goes to `output` as a line.
    void call(std::string_view method, std::string_view params);

    std::string openrpc() const;
    const MethodTable& methods() const { return methods_; }
    std::vector<const Event*> events() const { return hub_->events(); }
    const Configuration& configuration() const { return *configuration_; }
    AppParts& parts() { return parts_.get(); }

  private:
    Application() = default;
    void compose(const ApplicationOptions& options, int output);
    void add_methods();
    void end_long_calls();
    void end();
    void declare_events();
    void connect_memory();
    void prepare_parts(const ApplicationOptions& options);
    void prepare_insight(const ApplicationOptions& options);
    void heed(TroubleAlert trouble);
    void want_watched(std::string_view topic, bool is_wanted);
    IpcReadings readings() const;
    InitializeResult describe() const;
    StatusResult status() const;
    HealthResult health() const;

    IpcConfig ipc_config_{};
    MemoryConfig memory_config_{};
    LogConfig log_config_{};
    AppPartsConfig parts_config_{};
    CachePartsConfig cache_config_{};
    MonitoringConfig monitoring_config_{};
    SuggestionsConfig suggestions_config_{};
    std::unique_ptr<Configuration> configuration_;
    std::string data_directory_;
    Framing framing_ = Framing::automatic;
    std::int64_t started_ns_ = 0;
    bool has_ended_ = false;
    std::atomic<bool> components_are_watched_{false};

    MemoryPools pools_;
    FrameWriter frames_;
    MethodTable methods_;
    std::unique_ptr<Io> io_;
    std::unique_ptr<Outbox> outbox_;
    std::unique_ptr<EventHub> hub_;
    std::unique_ptr<Memory> memory_;
    std::unique_ptr<Metrics> metrics_;
    std::unique_ptr<Store> state_; // state.db
    Lazy<MetricsParts> series_;
    Lazy<AppParts> parts_;
    std::unique_ptr<Dispatcher> dispatcher_;
    Lazy<CacheParts> cache_; // loads by the dispatcher
    MetricSources sources_{state_, parts_, cache_};
    Lazy<MonitoringParts> monitoring_;
    Lazy<SuggestionParts> suggestions_;
    Lazy<SessionParts> sessions_;
    Lazy<BenchmarkParts> benchmarks_;
    Lazy<Profiler> profiler_;
};

} // namespace pillion
