// The engine with components that come up and go down when a test says so, on a clock that stands still.
#pragma once

#include "modules/components/components.h"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace pillion::test {

// Components of which the test decides everything.
class FakeRunner final : public ComponentRunner {
  public:
    struct Begun {
        ComponentEvents events{};
        std::vector<std::pair<std::string, std::string>> environment{};
        std::function<void()> stopped{}; // held back where stops are slow
        bool is_stopping = false;
    };

    Result<std::shared_ptr<ComponentRun>> start(const ComponentLaunch& launch, ComponentEvents events) override {
        if (refused.contains(launch.name)) return fail(ErrorCode::unavailable, refused[launch.name]);
        log.push_back("start " + launch.name);
        begun[launch.name] = {.events = std::move(events), .environment = launch.environment};
        return std::make_shared<Run>(*this, launch.name);
    }
    void ready(const std::string& name, ComponentReady how = {}) { begun.at(name).events.ready(std::move(how)); }
    void fails(const std::string& name, std::string why) {
        begun.at(name).events.ready(fail(ErrorCode::unavailable, std::move(why)));
    }
    void ends(const std::string& name, ComponentEnd end, std::string why) {
        begun.at(name).events.ended(end, std::move(why));
    }
    std::size_t starts_of(const std::string& name) const {
        return static_cast<std::size_t>(std::count(log.begin(), log.end(), "start " + name));
    }

    std::map<std::string, Begun> begun;
    std::map<std::string, std::string> refused; // by name, why
    std::vector<std::string> log;
    bool stops_slowly = false;
    Result<void> health{};
    int health_checks = 0;

  private:
    class Run final : public ComponentRun {
      public:
        Run(FakeRunner& runner, std::string name) : runner_(runner), name_(std::move(name)) {}
        void stop(std::function<void()> done) override {
            runner_.log.push_back("stop " + name_);
            runner_.begun[name_].is_stopping = true;
            if (runner_.stops_slowly)
                runner_.begun[name_].stopped = std::move(done);
            else
                done();
        }
        void check(std::int64_t, std::function<void(Result<void>)> done) override {
            ++runner_.health_checks;
            done(runner_.health);
        }

      private:
        FakeRunner& runner_;
        const std::string name_;
    };
};

struct ComponentFixture {
    ManualClock clock;
    ManualTimers timers{clock};
    Io io{clock};
    ProcessHost processes{io, clock, {}};
    MemoryReading reading{.system = {.totalBytes = 100, .availableBytes = 90}};
    MemoryPools pools;
    Memory memory{pools, timers, clock, [this] { return reading; }};
    Predictor predictor{{.scope = "components"}, clock};
    std::shared_ptr<FakeRunner> runner = std::make_shared<FakeRunner>();
    std::vector<ComponentChange> changes;
    std::vector<ComponentWanted> wanted;
    std::vector<ComponentStartStep> steps;
    double cpu_percent = 5;
    StartupHistory history{nullptr};
    Components components{host()};

    ComponentFixture() {
        components.set_runner(ComponentKind::service, runner);
        components.configure({.memoryFloorBytes = 50}, {});
    }
    ~ComponentFixture() { memory.stop(); }

    Components::Host host() {
        return {.io = io,
                .timers = timers,
                .clock = clock,
                .processes = processes,
                .memory = &memory,
                .history = &history,
                .predictor = &predictor,
                .run_blocking = [](const std::function<void()>& work) { work(); },
                .on_changed = [this](const ComponentChange& change) { changes.push_back(change); },
                .on_wanted = [this](const ComponentWanted& want) { wanted.push_back(want); },
                .on_start_step = [this](const ComponentStartStep& step) { steps.push_back(step); },
                .read_cpu_percent = [this] { return std::optional(cpu_percent); }};
    }
    // Lets the strand do what it has to do now.
    void settle() { timers.advance_ms(0); }

    static ComponentSpec service(std::vector<std::string> depends_on = {}, LoadRule load = LoadRule::firstUse) {
        ComponentSpec spec;
        spec.command = {"program"};
        spec.dependsOn = std::move(depends_on);
        spec.load = load;
        return spec;
    }
    void declare(const ComponentSpecs& specs) {
        const auto declared = components.declare(specs);
        if (!declared) FAIL(declared.error().message);
    }

    // A demand and what came of it.
    struct Demand {
        Components::Ticket ticket = 0;
        std::shared_ptr<Result<ComponentLoad>> answer{};
    };
    std::shared_ptr<Demand> load(const std::string& name, LoadCause cause = LoadCause::demand) {
        auto demand = std::make_shared<Demand>();
        demand->ticket = components.load(name, cause, [demand](Result<ComponentLoad> answer) {
            CHECK(!demand->answer);
            demand->answer = std::make_shared<Result<ComponentLoad>>(std::move(answer));
        });
        settle();
        return demand;
    }
    void bring_up(const std::string& name) {
        const auto demand = load(name);
        runner->ready(name);
        settle();
        REQUIRE(state(name) == ComponentState::ready);
    }
    ComponentState state(const std::string& name) const { return info(name).state; }
    ComponentInfo info(const std::string& name) const {
        const auto found = components.find(name);
        if (!found) FAIL(found.error().message);
        return *found;
    }
    static std::string error(const std::shared_ptr<Demand>& demand) {
        if (!demand->answer) return "(not answered)";
        return demand->answer->has_value() ? "(no error)" : demand->answer->error().message;
    }
};

} // namespace pillion::test
