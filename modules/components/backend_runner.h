// Components of kind `backend`: started, put to sleep and heard of through functions, so that whoever keeps backends
// need not know components. The composition root ties both together:
//
//     auto runner = std::make_shared<BackendRunner>(BackendControl{
//         .start = [&](const std::string& name, auto done) { backends.start(name, done); }, ...});
//     components.set_runner(ComponentKind::backend, runner);
//     backends.on_change([&, runner](const BackendChange& change) {
//         if (asleep) runner->ended(change.backend, ComponentEnd::slept, change.reason);
//         if (failed) runner->ended(change.backend, ComponentEnd::failed, change.reason);
//         if (ready) components.load(change.backend, LoadCause::demand, [](const Result<ComponentLoad>&) {});
//     });
//
// The last line is for a backend that a call has woken: the component follows. Any thread may call.
#pragma once

#include "modules/components/component_runner.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace pillion {

struct BackendControl {
    using Done = std::function<void(const Result<void>&)>;
    using Act = std::function<void(const std::string& name, Done done)>;
    Act start{}; // `done` when it is ready, at once if it is
    Act sleep{}; // as if nobody had called for long: the next call wakes it
    Act stop{};  // for one that cannot sleep now
    // Whether there is a backend of that name; the error is for who declares the component. May be empty.
    std::function<Result<void>(const std::string& name)> check{};
};

class BackendRunner final : public ComponentRunner {
  public:
    explicit BackendRunner(BackendControl control) : control_(std::move(control)) {}

    Result<void> check(const std::string& name, const ComponentSpec& spec) const override;
    Result<std::shared_ptr<ComponentRun>> start(const ComponentLaunch& launch, ComponentEvents events) override;
    // A backend is down without having been asked by its component.
    void ended(const std::string& name, ComponentEnd end, std::string why);

  private:
    class Run;
    const BackendControl control_;
    std::mutex mutex_;
    std::map<std::string, ComponentEvents> running_; // guarded by mutex_
};

} // namespace pillion
