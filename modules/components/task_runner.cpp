// Tasks: looks whether the result of an earlier start is still good, and otherwise runs the command and takes what it
// prints. The inputs' fingerprint is that of before the run, so a file that changes meanwhile makes it run again.
#include "ipc/base/log.h"
#include "modules/components/component_results.h"
#include "modules/components/component_runners.h"

#include <algorithm>

namespace pillion {

namespace {

constexpr std::size_t output_bytes_max = 8 * 1024 * 1024;
constexpr std::size_t quoted_bytes_max = 60;

// The beginning of something, on one line.
std::string beginning(std::string_view text) {
    std::string shown;
    for (const char c : text.substr(0, quoted_bytes_max)) shown += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    return "\"" + shown + (text.size() > quoted_bytes_max ? "...\"" : "\"");
}

class TaskRun final : public ComponentRun, public std::enable_shared_from_this<TaskRun> {
  public:
    TaskRun(RunnerHost host, const ComponentLaunch& launch, ComponentEvents events)
        : host_(std::move(host)), results_(host_.state), name_(launch.name), spec_(launch.spec),
          process_spec_(process_spec(launch)), events_(std::move(events)) {}

    Result<void> begin() {
        if (host_.state == nullptr || !spec_.inputs.any()) return spawn();
        host_.run_blocking([self = shared_from_this()] {
            auto found = self->results_.find(self->name_, self->spec_);
            self->host_.post([self, found = std::move(found)] { self->on_found(found); });
        });
        return {};
    }
    void stop(std::function<void()> done) override {
        is_stopped_ = true;
        if (!process_ || !process_->is_running()) return done();
        stopped_ = std::move(done);
        process_->stop();
    }
    std::int64_t pid() const override { return process_ ? process_->pid() : 0; }
    std::string last_words() const override { return process_ ? process_->last_lines() : std::string(); }

  private:
    void on_found(const Result<ComponentResults::Found>& found) {
        if (is_stopped_) return;
        if (!found)
            log(LogLevel::warning, "components",
                "task " + name_ + " runs without its kept result: " + found.error().message);
        else if (found->result)
            return events_.ready(
                ComponentReady{.result = found->result->json, .is_cached = true, .saved_ns = found->result->took_ns});
        else
            fingerprint_ = found->fingerprint;
        if (const auto spawned = spawn(); !spawned) events_.ready(std::unexpected(spawned.error()));
    }
    Result<void> spawn() {
        began_ns_ = host_.clock.now_ns();
        process_ = PILLION_TRY(host_.processes.spawn(
            process_spec_, {.on_output = [self = shared_from_this()](std::string_view bytes) { self->take(bytes); },
                            .on_error_line = {},
                            .on_exit = [self = shared_from_this()](const ProcessExit& exit) { self->on_exit(exit); }}));
        return {};
    }
    void take(std::string_view bytes) {
        if (is_too_long_) return;
        output_.append(bytes);
        if (output_.size() <= output_bytes_max) return;
        is_too_long_ = true;
        output_ = {};
        if (process_) process_->kill();
    }
    void on_exit(const ProcessExit& exit) {
        process_.reset(); // its handlers own this
        if (is_stopped_) {
            if (stopped_) std::exchange(stopped_, {})();
            return;
        }
        auto ready = judge(exit);
        if (ready)
            results_.keep(name_, fingerprint_, {.json = ready->result, .took_ns = host_.clock.now_ns() - began_ns_});
        events_.ready(std::move(ready));
    }
    Result<ComponentReady> judge(const ProcessExit& exit) {
        if (is_too_long_)
            return fail(ErrorCode::exhausted, "printed more than " + std::to_string(output_bytes_max >> 20) +
                                                  " MiB, the most that a result may have");
        if (exit.code != 0) return fail(ErrorCode::unavailable, describe_exit(exit));
        const auto is_blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
        const auto first = std::ranges::find_if_not(output_, is_blank);
        output_.erase(output_.begin(), first);
        while (!output_.empty() && is_blank(output_.back())) output_.pop_back();
        if (output_.empty())
            return fail(ErrorCode::unavailable, "printed nothing; a task prints its result as one JSON value");
        if (host_.check_json)
            if (const auto checked = host_.check_json(output_); !checked)
                return fail(ErrorCode::unavailable,
                            "printed no JSON value, as a task must: " + checked.error().message + "; it begins with " +
                                beginning(output_));
        return ComponentReady{.result = std::move(output_)};
    }

    const RunnerHost host_;
    ComponentResults results_;
    const std::string name_;
    const ComponentSpec spec_;
    const ProcessSpec process_spec_;
    const ComponentEvents events_;
    std::shared_ptr<Process> process_{};
    std::string fingerprint_{};
    std::string output_{};
    std::int64_t began_ns_ = 0;
    bool is_too_long_ = false;
    bool is_stopped_ = false;
    std::function<void()> stopped_{};
};

class TaskRunner final : public ComponentRunner {
  public:
    explicit TaskRunner(RunnerHost host) : host_(std::move(host)) {}
    Result<std::shared_ptr<ComponentRun>> start(const ComponentLaunch& launch, ComponentEvents events) override {
        auto run = std::make_shared<TaskRun>(host_, launch, std::move(events));
        PILLION_TRY(run->begin());
        return run;
    }

  private:
    const RunnerHost host_;
};

} // namespace

std::string describe_exit(const ProcessExit& exit) {
    std::string text = exit.describe();
    if (exit.last_lines.find('\n') != std::string::npos) text += "\nits last lines:\n" + exit.last_lines;
    return text;
}

ProcessSpec process_spec(const ComponentLaunch& launch) {
    ProcessSpec spec{.name = launch.name, .command = launch.spec.command, .environment = launch.environment};
    spec.working_directory = launch.spec.workingDirectory.value_or("");
    spec.memory_bytes_max = launch.spec.limits.memoryBytes;
    spec.niceness = static_cast<int>(launch.spec.limits.niceness);
    spec.stop_grace_ms = launch.spec.stopMs;
    return spec;
}

std::shared_ptr<ComponentRunner> make_task_runner(RunnerHost host) {
    return std::make_shared<TaskRunner>(std::move(host));
}

} // namespace pillion
