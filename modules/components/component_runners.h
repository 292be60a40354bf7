// The runners of this module's own kinds. Private to the module; owned by the engine, used on its strand.
#pragma once

#include "modules/components/components.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace pillion {

// What runners need of the engine. The functions do nothing once the engine is gone.
struct RunnerHost {
    Io& io;
    const Clock& clock;
    ProcessHost& processes;
    Store* state = nullptr;
    std::function<void(std::function<void()>)> post{};
    std::function<void(std::function<void()>)> run_blocking{};
    std::function<Result<void>(std::string_view)> check_json{};
    std::function<void(const ComponentWanted&)> on_wanted{};
};

// How a process ended, with the last lines that it wrote.
std::string describe_exit(const ProcessExit& exit);
// The process of a task or service, as its spec has it.
ProcessSpec process_spec(const ComponentLaunch& launch);

std::shared_ptr<ComponentRunner> make_task_runner(RunnerHost host);
std::shared_ptr<ComponentRunner> make_service_runner(RunnerHost host);
std::shared_ptr<ComponentRunner> make_library_runner(RunnerHost host);
std::shared_ptr<ComponentRunner>
make_builtin_runner(RunnerHost host, const std::map<std::string, BuiltinComponent, std::less<>>& builtins);

// Work that the webview does: it is told by components.wanted, and tells by components.complete. A want that was said
// while nobody listened is said again to the first who does.
class ClientRunner final : public ComponentRunner {
  public:
    explicit ClientRunner(RunnerHost host) : host_(std::move(host)) {}
    Result<std::shared_ptr<ComponentRun>> start(const ComponentLaunch& launch, ComponentEvents events) override;
    Result<void> complete(ComponentCompletion completion);
    void set_listened(bool listened);

  private:
    class Run;
    struct Wanted {
        ComponentWanted event{};
        ComponentEvents events{};
    };
    void forget(const std::string& token) { wanted_.erase(token); }

    const RunnerHost host_;
    std::map<std::string, Wanted> wanted_; // by token
    std::uint64_t last_token_ = 0;
    bool is_listened_ = false;
};

} // namespace pillion
