#include "modules/components/components.h"

#include "modules/components/background_loader.h"
#include "modules/components/component_engine.h"
#include "modules/components/component_results.h"
#include "modules/components/component_runners.h"
#include "modules/components/component_start.h"

namespace pillion {

Components::Components(Host host) : engine_(std::make_shared<ComponentEngine>(std::move(host))) { engine_->open(); }

// Work under way may be about to tell the strand, which ends after this.
Components::~Components() { engine_->end_blocking(); }

void Components::add_schema(Store& state) { ComponentResults::add_schema(state); }

void Components::set_runner(ComponentKind kind, std::shared_ptr<ComponentRunner> runner) {
    engine_->set_runner(kind, std::move(runner));
}

void Components::add_builtin(const std::string& name, BuiltinComponent builtin) {
    engine_->add_builtin(name, std::move(builtin));
}

void Components::configure(const LazyLoadingConfig& lazy_loading, const StartupConfig& startup) {
    engine_->background().configure(lazy_loading);
    engine_->start().configure(startup);
}

Result<void> Components::declare(const ComponentSpecs& specs) { return engine_->declare(specs); }

void Components::begin() {
    engine_->begin();
    if (engine_->count() == 0) return;
    engine_->post([engine = engine_.get()] {
        if (engine->start().config().automatic && engine->start().has_work()) engine->start().run({}, {});
    });
}

void Components::stop(std::int64_t wait_ms_max) { engine_->stop(wait_ms_max); }

std::size_t Components::count() const { return engine_->count(); }
std::vector<ComponentInfo> Components::list() const { return engine_->list(); }
Result<ComponentInfo> Components::find(std::string_view name) const { return engine_->info(name); }
Result<ComponentSpec> Components::find_spec(std::string_view name) const { return engine_->declared(name); }
std::vector<ComponentUse> Components::usage() const { return engine_->usage(); }
PreloadWorth Components::prediction_worth() const { return engine_->background().worth(); }

Components::Ticket Components::load(std::string name, LoadCause cause, LoadDone done) {
    const Ticket ticket = engine_->new_ticket();
    engine_->post([engine = engine_.get(), ticket, name = std::move(name), cause, done = std::move(done)] {
        engine->demand(ticket, name, cause, done);
    });
    return ticket;
}

void Components::leave(Ticket ticket) {
    engine_->post([engine = engine_.get(), ticket] { engine->leave(ticket); });
}

void Components::unload(std::string name, Done done) {
    engine_->post(
        [engine = engine_.get(), name = std::move(name), done = std::move(done)] { engine->unload(name, done); });
}

void Components::restart(std::string name, LoadDone done) {
    engine_->post([engine = engine_.get(), ticket = engine_->new_ticket(), name = std::move(name),
                   done = std::move(done)] { engine->restart(name, ticket, done); });
}

void Components::note_use(std::string name) {
    engine_->post([engine = engine_.get(), name = std::move(name)] { engine->note_use(name, PreloadUse::was_there); });
}

void Components::signal(std::string name, std::function<void(std::vector<std::string>)> done) {
    engine_->post([engine = engine_.get(), name = std::move(name), done = std::move(done)] {
        engine->enqueue([done, names = engine->background().signal(name)] { done(names); });
    });
}

void Components::preload(std::vector<std::string> names, std::function<void(Result<std::vector<std::string>>)> done) {
    engine_->post([engine = engine_.get(), names = std::move(names), done = std::move(done)] {
        std::vector<std::string> queued;
        for (const std::string& name : names)
            if (engine->find(name) == nullptr)
                return engine->enqueue([done, error = engine->unknown(name)] { done(std::unexpected(error)); });
        if (names.empty()) queued = engine->background().queue_likely();
        for (const std::string& name : names)
            if (engine->background().queue(name, LoadCause::preload)) queued.push_back(name);
        engine->enqueue([done, queued] { done(queued); });
    });
}

void Components::predict(std::size_t limit, std::function<void(std::vector<ComponentPrediction>)> done) {
    engine_->post([engine = engine_.get(), limit, done = std::move(done)] {
        engine->enqueue([done, likely = engine->background().predict(limit)] { done(likely); });
    });
}

void Components::complete(ComponentCompletion completion, Done done) {
    engine_->post([engine = engine_.get(), completion = std::move(completion), done = std::move(done)] {
        engine->enqueue([done, result = engine->clients().complete(completion)] { done(result); });
    });
}

void Components::set_listened(bool listened) {
    if (engine_->count() == 0 && !listened) return;
    engine_->post([engine = engine_.get(), listened] { engine->clients().set_listened(listened); });
}

StartupHost Components::startup_host() {
    const std::weak_ptr<ComponentEngine> weak = engine_;
    const auto ended = [] { return fail(ErrorCode::unavailable, "Pillion is ending"); };
    return {.run =
                [weak, ended](StartupHost::Progress progress, StartupHost::Done done) {
                    const auto engine = weak.lock();
                    if (!engine) return done(ended());
                    engine->post([engine = engine.get(), progress = std::move(progress), done = std::move(done)] {
                        engine->start().run(progress, done);
                    });
                },
            .timeline = [weak]() -> std::shared_ptr<const StartupTimeline> {
                const auto engine = weak.lock();
                return engine ? engine->start().timeline() : nullptr;
            },
            .mark = [weak, ended](const std::string& name) -> Result<bool> {
                const auto engine = weak.lock();
                if (!engine) return ended();
                return engine->start().mark(name);
            },
            .forget_results = [weak, ended]() -> Result<std::uint64_t> {
                const auto engine = weak.lock();
                if (!engine) return ended();
                return ComponentResults(engine->host().state).forget();
            }};
}

} // namespace pillion
