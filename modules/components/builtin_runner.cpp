// Parts of Pillion itself: two functions that may block, so they run away from the strand. A load that is taken back
// cannot be stopped in its middle; its end is waited for, and undone.
#include "modules/components/component_runners.h"

namespace pillion {

namespace {

class BuiltinRun final : public ComponentRun {
  public:
    BuiltinRun(RunnerHost host, const BuiltinComponent& builtin) : host_(std::move(host)), builtin_(builtin) {}

    void begin(const std::shared_ptr<BuiltinRun>& self, ComponentEvents events) {
        host_.run_blocking([self, events = std::move(events)] {
            Result<void> loaded = self->builtin_.load ? self->builtin_.load() : Result<void>{};
            const std::uint64_t bytes = loaded && self->builtin_.bytes ? self->builtin_.bytes() : 0;
            self->host_.post([self, events, loaded = std::move(loaded), bytes] {
                self->is_loading_ = false;
                self->is_loaded_ = loaded.has_value();
                if (loaded)
                    events.ready(ComponentReady{.memory_bytes = bytes});
                else
                    events.ready(std::unexpected(loaded.error()));
                if (self->stopped_) self->unload(std::move(self->stopped_));
            });
        });
    }
    void stop(std::function<void()> done) override {
        if (is_loading_)
            stopped_ = std::move(done); // when the load has ended
        else
            unload(std::move(done));
    }

  private:
    void unload(std::function<void()> done) {
        if (!is_loaded_ || !builtin_.unload) return done();
        is_loaded_ = false;
        host_.run_blocking([unload = builtin_.unload, post = host_.post, done = std::move(done)] {
            unload();
            post(done);
        });
    }

    const RunnerHost host_;
    const BuiltinComponent builtin_;
    bool is_loading_ = true;
    bool is_loaded_ = false;
    std::function<void()> stopped_{};
};

class BuiltinRunner final : public ComponentRunner {
  public:
    BuiltinRunner(RunnerHost host, const std::map<std::string, BuiltinComponent, std::less<>>& builtins)
        : host_(std::move(host)), builtins_(builtins) {}

    Result<void> check(const std::string& name, const ComponentSpec&) const override {
        if (builtins_.contains(name)) return {};
        std::string known;
        for (const auto& [other, builtin] : builtins_) known += (known.empty() ? "" : ", ") + other;
        return fail(ErrorCode::invalid_params,
                    "component \"" + name + "\": Pillion has no part of that name" +
                        (known.empty() ? "" : "; it has " + known),
                    "/" + name + "/kind");
    }
    Result<std::shared_ptr<ComponentRun>> start(const ComponentLaunch& launch, ComponentEvents events) override {
        PILLION_TRY(check(launch.name, launch.spec));
        auto run = std::make_shared<BuiltinRun>(host_, builtins_.find(launch.name)->second);
        run->begin(run, std::move(events));
        return run;
    }

  private:
    const RunnerHost host_;
    const std::map<std::string, BuiltinComponent, std::less<>>& builtins_;
};

} // namespace

std::shared_ptr<ComponentRunner>
make_builtin_runner(RunnerHost host, const std::map<std::string, BuiltinComponent, std::less<>>& builtins) {
    return std::make_shared<BuiltinRunner>(std::move(host), builtins);
}

} // namespace pillion
