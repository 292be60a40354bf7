// The app's own parts put together: components, backends, the processes they run in, what is learned of them. A piece
// of the composition root (application.h), which owns it. With no component declared and no backend called it has
// started and opened nothing.
#pragma once

#include "ipc/event_hub.h"
#include "ipc/io.h"
#include "modules/backends/backends_rpc.h"
#include "modules/backends/client_link.h"
#include "modules/components/components_rpc.h"
#include "modules/startup/startup_rpc.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace pillion {

struct AppPartsConfig {
    StartupConfig startup{};
    LazyLoadingConfig lazy_loading{};
    ComponentSpecs components{};
    std::map<std::string, BackendSpec> backends{};
};

class AppParts {
  public:
    struct Host {
        Io& io;
        const Clock& clock;
        Memory& memory;
        Store& state;
        EventHub& hub;
        Outbox& outbox;
        FrameWriter& frames;
        BufferPool& buffers;
        std::string data_directory;
        std::string version;
        // On the io thread; must not block.
        std::function<void(const ComponentChange&)> on_component_changed;
        std::function<void(const BackendChange&)> on_backend_changed;
    };
    AppParts(const Host& host, const AppPartsConfig& config);
    ~AppParts();
    AppParts(const AppParts&) = delete;

    // What the configuration declares.
    Result<void> declare(const AppPartsConfig& config);
    static void declare_events(EventHub& hub);
    std::vector<Method> methods();
    // Serving begins: ends what a crashed run left alive, and starts what is to be started.
    void begin();
    // Takes everything down, at most so long. Not on the io thread.
    void stop(std::int64_t wait_ms_max);

    Components& components() { return *components_; }
    Backends& backends() const { return *backends_; }
    ProcessHost& processes() { return *processes_; }
    StartupHistory& history() { return history_; }
    StartupHost startup() { return components_->startup_host(); }
    // The client's answers to what backends asked it.
    bool take_response(const Message& message) { return client_.take(message); }

  private:
    Components::Host components_host();
    BackendControl backend_control();
    void on_backend_change(const BackendChange& change);
    void connect_memory();

    const Host host_;
    ClientLink client_;
    std::unique_ptr<ProcessHost> processes_;
    std::unique_ptr<BackendTransports> transports_;
    std::unique_ptr<BackendMemory> backend_memory_;
    std::unique_ptr<Backends> backends_;
    std::shared_ptr<BackendRunner> backend_runner_;
    StartupHistory history_;
    Predictor predictor_;
    std::unique_ptr<Components> components_;
    std::thread starter_; // joined by stop()
};

} // namespace pillion
