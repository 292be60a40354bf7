#include "modules/backends/backend_transport.h"

#include "ipc/base/log.h"

namespace pillion {

namespace {

class ProcessTransport final : public BackendTransport {
  public:
    explicit ProcessTransport(std::shared_ptr<Process> process) : process_(std::move(process)) {}
    Result<void> write(std::string bytes) override { return process_->write(std::move(bytes)); }
    void close_input() override { process_->close_input(); }
    void stop() override { process_->stop(); }
    void kill() override { process_->kill(); }
    std::int64_t pid() const override { return process_->pid(); }
    std::string last_lines() const override { return process_->last_lines(); }
    std::uint64_t memory_bytes() const override { return process_->usage().memory_bytes; }

  private:
    const std::shared_ptr<Process> process_;
};

class ProcessTransports final : public BackendTransports {
  public:
    explicit ProcessTransports(ProcessHost& host) : host_(host) {}

    Result<std::shared_ptr<BackendTransport>> start(const std::string& name, const BackendSpec& spec,
                                                    TransportHandlers handlers) override {
        ProcessSpec process{.name = name,
                            .command = spec.command,
                            .environment = {spec.environment.begin(), spec.environment.end()},
                            .working_directory = spec.workingDirectory,
                            .memory_bytes_max = spec.memoryBytesMax,
                            .niceness = static_cast<int>(spec.niceness),
                            .has_input = true,
                            .stop_grace_ms = spec.stopMs};
        auto started = PILLION_TRY(host_.spawn(std::move(process), {.on_output = std::move(handlers.on_output),
                                                                    .on_error_line =
                                                                        [name](std::string_view line) {
                                                                            if (log_enabled(LogLevel::debug))
                                                                                log(LogLevel::debug, "backends",
                                                                                    name + ": " + std::string(line));
                                                                        },
                                                                    .on_exit = std::move(handlers.on_end)}));
        return std::make_shared<ProcessTransport>(std::move(started));
    }

  private:
    ProcessHost& host_;
};

} // namespace

std::unique_ptr<BackendTransports> process_transports(ProcessHost& host) {
    return std::make_unique<ProcessTransports>(host);
}

} // namespace pillion
