// Services: a process that runs on, with a probe that says when it is ready. A port that it is declared to listen on is
// looked at first, so that somebody else's service there is not taken for ours.
#include "modules/components/component_runners.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace pillion {

namespace {

ProbeSpec probe_spec(const ComponentSpec& spec, std::uint16_t port, std::int64_t timeout_ms) {
    const ComponentReadiness& ready = spec.readiness;
    ProbeSpec probe{.timeout_ms = timeout_ms};
    probe.port = ready.port ? static_cast<std::uint16_t>(*ready.port) : port;
    probe.path = ready.path.value_or("/");
    switch (ready.by) {
    case ReadyRule::process:
    case ReadyRule::call:
        probe.kind = ProbeKind::process;
        break;
    case ReadyRule::line:
        probe.kind = ready.pattern ? ProbeKind::pattern : ProbeKind::line;
        probe.text = ready.pattern ? *ready.pattern : ready.text.value_or("");
        break;
    case ReadyRule::tcp:
        probe.kind = ProbeKind::tcp;
        break;
    case ReadyRule::http:
        probe.kind = ProbeKind::http;
        break;
    }
    return probe;
}

bool listens(const ComponentSpec& spec) {
    return spec.readiness.by == ReadyRule::tcp || spec.readiness.by == ReadyRule::http;
}

bool is_port_taken(std::uint16_t port) {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0) return false;
    const int yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool is_taken =
        bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == EADDRINUSE;
    close(listener);
    return is_taken;
}

class ServiceRun final : public ComponentRun, public std::enable_shared_from_this<ServiceRun> {
  public:
    ServiceRun(RunnerHost host, const ComponentLaunch& launch, ComponentEvents events)
        : host_(std::move(host)), spec_(launch.spec), port_(launch.port), events_(std::move(events)) {}

    Result<void> begin(const ComponentLaunch& launch) {
        const ProbeSpec probe = probe_spec(spec_, port_, spec_.timeoutMs);
        if (listens(spec_) && is_port_taken(probe.port))
            return fail(ErrorCode::conflict,
                        "port " + std::to_string(probe.port) + ", on which it is to listen, is already taken", {},
                        "end who listens there, or let portWanted find a free one");
        process_ = PILLION_TRY(host_.processes.spawn(
            process_spec(launch),
            {.on_output = {}, .on_error_line = {}, .on_exit = [self = shared_from_this()](const ProcessExit& exit) {
                 self->on_exit(exit);
             }}));
        auto started = start_probe(host_.io, host_.clock, probe, process_,
                                   [self = shared_from_this()](Result<void> answer) { self->on_probe(answer); });
        if (!started) {
            is_stopped_ = true; // its end is of no interest
            process_->kill();
            return std::unexpected(std::move(started).error());
        }
        probe_ = std::move(*started);
        return {};
    }
    void stop(std::function<void()> done) override {
        is_stopped_ = true;
        if (probe_) probe_->cancel();
        if (check_) check_->cancel();
        if (has_exited_) return done();
        stopped_ = std::move(done);
        process_->stop();
    }
    std::int64_t pid() const override { return process_->pid(); }
    std::string last_words() const override { return process_->last_lines(); }
    bool keeps_time() const override { return true; }
    bool needs_stop() const override { return !has_exited_; }
    ProcessUsage usage() const override { return process_->usage(); }

    void check(std::int64_t timeout_ms, std::function<void(Result<void>)> done) override {
        if (!listens(spec_)) return done({}); // that it runs is known: its end is noticed
        if (check_) check_->cancel();
        auto started = start_probe(host_.io, host_.clock, probe_spec(spec_, port_, timeout_ms), process_, done);
        if (!started) return done(std::unexpected(std::move(started).error()));
        check_ = std::move(*started);
    }

  private:
    void on_probe(const Result<void>& answer) {
        if (is_stopped_ || is_ready_) return;
        if (!answer && !process_->is_running()) return; // on_exit knows more
        is_ready_ = answer.has_value();
        if (answer)
            events_.ready(ComponentReady{});
        else
            events_.ready(std::unexpected(answer.error()));
    }
    void on_exit(const ProcessExit& exit) {
        has_exited_ = true;
        if (probe_) probe_->cancel();
        if (check_) check_->cancel();
        if (stopped_) return std::exchange(stopped_, {})();
        if (is_stopped_) return;
        const std::string why = describe_exit(exit);
        if (is_ready_)
            events_.ended(exit.code == 0 ? ComponentEnd::finished : ComponentEnd::failed, why);
        else
            events_.ready(fail(ErrorCode::unavailable, why));
    }

    const RunnerHost host_;
    const ComponentSpec spec_;
    const std::uint16_t port_;
    const ComponentEvents events_;
    std::shared_ptr<Process> process_{}; // constant after begin()
    std::shared_ptr<ReadinessProbe> probe_{}, check_{};
    bool is_ready_ = false;
    bool is_stopped_ = false;
    bool has_exited_ = false;
    std::function<void()> stopped_{};
};

class ServiceRunner final : public ComponentRunner {
  public:
    explicit ServiceRunner(RunnerHost host) : host_(std::move(host)) {}
    Result<std::shared_ptr<ComponentRun>> start(const ComponentLaunch& launch, ComponentEvents events) override {
        auto run = std::make_shared<ServiceRun>(host_, launch, std::move(events));
        PILLION_TRY(run->begin(launch));
        return run;
    }

  private:
    const RunnerHost host_;
};

} // namespace

std::shared_ptr<ComponentRunner> make_service_runner(RunnerHost host) {
    return std::make_shared<ServiceRunner>(std::move(host));
}

} // namespace pillion
