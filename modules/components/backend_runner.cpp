#include "modules/components/backend_runner.h"

namespace pillion {

class BackendRunner::Run final : public ComponentRun {
  public:
    Run(BackendRunner& runner, std::string name) : runner_(runner), name_(std::move(name)) {}
    void stop(std::function<void()> done) override {
        {
            const std::lock_guard lock(runner_.mutex_);
            runner_.running_.erase(name_);
        }
        runner_.control_.sleep(name_, [stop = runner_.control_.stop, name = name_, done](const Result<void>& slept) {
            if (slept) return done();
            stop(name, [done](const Result<void>&) { done(); });
        });
    }

  private:
    BackendRunner& runner_; // the engine keeps it as long as its runs
    const std::string name_;
};

Result<void> BackendRunner::check(const std::string& name, const ComponentSpec&) const {
    return control_.check ? control_.check(name) : Result<void>{};
}

Result<std::shared_ptr<ComponentRun>> BackendRunner::start(const ComponentLaunch& launch, ComponentEvents events) {
    PILLION_TRY(check(launch.name, launch.spec));
    const auto ready = events.ready;
    {
        const std::lock_guard lock(mutex_);
        running_[launch.name] = std::move(events);
    }
    control_.start(launch.name, [ready](const Result<void>& started) {
        if (started)
            ready(ComponentReady{});
        else
            ready(std::unexpected(started.error()));
    });
    return std::make_shared<Run>(*this, launch.name);
}

void BackendRunner::ended(const std::string& name, ComponentEnd end, std::string why) {
    ComponentEvents events;
    {
        const std::lock_guard lock(mutex_);
        const auto at = running_.find(name);
        if (at == running_.end()) return;
        events = std::move(at->second);
        running_.erase(at);
    }
    events.ended(end, std::move(why));
}

} // namespace pillion
