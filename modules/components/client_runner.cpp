#include "modules/components/component_runners.h"

namespace pillion {

class ClientRunner::Run final : public ComponentRun {
  public:
    Run(ClientRunner& runner, std::string token) : runner_(runner), token_(std::move(token)) {}
    void stop(std::function<void()> done) override {
        runner_.forget(token_);
        done();
    }
    std::string last_words() const override {
        return runner_.is_listened_
                   ? "the client did not answer components.wanted with components.complete"
                   : "nobody is subscribed to the topic components, so components.wanted was not heard";
    }

  private:
    ClientRunner& runner_; // the engine owns it, and the runs
    const std::string token_;
};

Result<std::shared_ptr<ComponentRun>> ClientRunner::start(const ComponentLaunch& launch, ComponentEvents events) {
    const std::string token = launch.name + "#" + std::to_string(++last_token_);
    ComponentWanted event{.name = launch.name, .token = token, .timeoutMs = launch.spec.timeoutMs};
    event.settings = launch.spec.settings;
    if (host_.on_wanted && is_listened_) host_.on_wanted(event);
    wanted_.emplace(token, Wanted{.event = std::move(event), .events = std::move(events)});
    return std::make_shared<Run>(*this, token);
}

Result<void> ClientRunner::complete(ComponentCompletion completion) {
    const auto at = wanted_.find(completion.token);
    if (at == wanted_.end())
        return fail(ErrorCode::not_found,
                    "nobody waits for the token \"" + completion.token +
                        "\": it was answered, its time was up, or it is not one of components.wanted",
                    "/token");
    const ComponentEvents events = std::move(at->second.events);
    wanted_.erase(at);
    if (completion.error) {
        events.ready(fail(ErrorCode::unavailable, "the client could not load it: " + *completion.error));
        return {};
    }
    ComponentReady ready{.memory_bytes = static_cast<std::uint64_t>(completion.memoryBytes.value_or(0))};
    if (completion.result) ready.result = std::move(completion.result->text);
    events.ready(std::move(ready));
    return {};
}

void ClientRunner::set_listened(bool listened) {
    if (listened && !is_listened_ && host_.on_wanted)
        for (const auto& [token, wanted] : wanted_) host_.on_wanted(wanted.event);
    is_listened_ = listened;
}

} // namespace pillion
