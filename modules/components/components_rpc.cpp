#include "modules/components/components_rpc.h"

#include "ipc/json_scanner.h"

#include <memory>

namespace pillion {

struct ComponentRegisterParams {
    std::map<std::string, ComponentSpec> components;
};
PILLION_WIRE(ComponentRegisterParams, PILLION_FIELD(components, "By name. All are taken, or none.", between(1, 10'000)))

struct ComponentRegisterResult {
    std::vector<std::string> registered;
    std::int64_t total = 0;
};
PILLION_WIRE(ComponentRegisterResult, PILLION_FIELD(registered, "Their names."),
             PILLION_FIELD(total, "How many components there are now."))

struct ComponentFilter {
    std::optional<ComponentKind> kind;
    std::optional<ComponentState> state;
};
PILLION_WIRE(ComponentFilter, PILLION_FIELD(kind, "Only those of this kind."),
             PILLION_FIELD(state, "Only those in this state."))

struct ComponentName {
    std::string name;
};
PILLION_WIRE(ComponentName, PILLION_FIELD(name, "The component.", between(1, 256)))

// Takes the older spelling of the name too.
struct ComponentLoadParams {
    std::optional<std::string> name;
    std::optional<std::string> component_name;
};
PILLION_WIRE(ComponentLoadParams, PILLION_FIELD(name, "The component.", between(1, 256)),
             PILLION_FIELD(component_name, "Another spelling of `name`.", between(1, 256)))

struct ComponentDetails {
    ComponentInfo info;
    ComponentSpec spec;
};
PILLION_WIRE(ComponentDetails, PILLION_FIELD(info, "How it is."), PILLION_FIELD(spec, "As declared."))

struct ComponentUnloaded {
    std::string name;
    ComponentState state = ComponentState::idle;
};
PILLION_WIRE(ComponentUnloaded, PILLION_FIELD(name, "The component."), PILLION_FIELD(state, "How it is now."))

struct ComponentPreloadParams {
    std::vector<std::string> names;
    std::optional<std::string> trigger;
};
PILLION_WIRE(ComponentPreloadParams,
             PILLION_FIELD(names, "Components to load in the background; if there are none, what is likely next.",
                           at_most(1000), defaulted),
             PILLION_FIELD(trigger, "Or a signal: what is declared to load on it.", between(1, 256)))

struct ComponentSignalParams {
    std::string signal;
};
PILLION_WIRE(ComponentSignalParams,
             PILLION_FIELD(signal, "The action or context, by a name of the app's own.", between(1, 256)))

struct ComponentQueued {
    std::vector<std::string> queued;
};
PILLION_WIRE(ComponentQueued, PILLION_FIELD(queued, "Components that are loaded in the background because of this."))

struct ComponentPredictParams {
    std::int64_t limit = 5;
};
PILLION_WIRE(ComponentPredictParams, PILLION_FIELD(limit, "Most that are wanted.", between(1, 16), defaulted))

struct ComponentPredictions {
    std::vector<ComponentPrediction> components;
};
PILLION_WIRE(ComponentPredictions, PILLION_FIELD(components, "The likeliest first."))

struct ComponentPredictionWorth {
    std::int64_t preloads = 0;
    std::int64_t pending = 0;
    std::int64_t hits = 0;
    std::int64_t wasted = 0;
    std::int64_t lateHits = 0;
    std::int64_t misses = 0;
    double precision = 0;
    double recall = 0;
    double expectedHits = 0;
    double savedMs = 0;
    double wastedCpuMs = 0;
    std::int64_t wastedBytes = 0;
    std::int64_t heldBytes = 0;
};
PILLION_WIRE(ComponentPredictionWorth, PILLION_FIELD(preloads, "Components loaded on prediction."),
             PILLION_FIELD(pending, "Of those, not judged yet."), PILLION_FIELD(hits, "Used within the window."),
             PILLION_FIELD(wasted, "Not used within it, or unloaded before."),
             PILLION_FIELD(lateHits, "Of those, used later after all."),
             PILLION_FIELD(misses, "Loads that somebody waited for and no prediction had foreseen."),
             PILLION_FIELD(precision, "Hits among what was judged, 0 to 1."),
             PILLION_FIELD(recall, "Hits among all first uses, 0 to 1."),
             PILLION_FIELD(expectedHits, "What the predicted probabilities sum to: near `hits` if they are honest."),
             PILLION_FIELD(savedMs, "Waiting that hits made unnecessary."),
             PILLION_FIELD(wastedCpuMs, "CPU time of what was loaded for nothing."),
             PILLION_FIELD(wastedBytes, "Memory of what was loaded for nothing, all together."),
             PILLION_FIELD(heldBytes, "Memory of what was predicted and not used yet."))

struct ComponentUsageResult {
    std::vector<ComponentUse> components;
    ComponentPredictionWorth prediction;
};
PILLION_WIRE(ComponentUsageResult, PILLION_FIELD(components, "Each of them."),
             PILLION_FIELD(prediction, "What prediction was worth."))

struct ComponentCompleted {
    bool accepted = true;
};
PILLION_WIRE(ComponentCompleted, PILLION_FIELD(accepted, "Always true: what is not accepted is an error."))

namespace {

// A reply that a callback can hold.
template <class T>
std::function<void(const Result<T>&)> hold(Reply<T> reply) {
    return [held = std::make_shared<Reply<T>>(std::move(reply))](const Result<T>& result) { (*held)(result); };
}

template <class T>
std::int64_t whole(T value) {
    return static_cast<std::int64_t>(value);
}

ComponentPredictionWorth worth_of(const PreloadWorth& worth) {
    return {.preloads = whole(worth.preloads),
            .pending = whole(worth.pending),
            .hits = whole(worth.hits),
            .wasted = whole(worth.wasted),
            .lateHits = whole(worth.lateHits),
            .misses = whole(worth.misses),
            .precision = worth.precision,
            .recall = worth.recall,
            .expectedHits = worth.expectedHits,
            .savedMs = worth.savedMs,
            .wastedCpuMs = worth.wastedCpuMs,
            .wastedBytes = whole(worth.wastedBytes),
            .heldBytes = whole(worth.heldBytes)};
}

Result<std::string> name_of(const ComponentLoadParams& params) {
    if (params.name && params.component_name && *params.name != *params.component_name)
        return fail(ErrorCode::invalid_params, "`name` and `component_name` are the same; two values were given",
                    "/component_name");
    if (params.name) return *params.name;
    if (params.component_name) return *params.component_name;
    return fail(ErrorCode::invalid_params, "`name` is missing: the component to load", "/name");
}

void start_load(Components& components, const ComponentLoadParams& params, Reply<ComponentLoad> reply) {
    const auto name = name_of(params);
    if (!name) return reply(std::unexpected(name.error()));
    Call& call = reply.call();
    const std::shared_ptr<Call> kept = call.shared_from_this();
    const Components::Ticket ticket = components.load(*name, LoadCause::demand, hold(std::move(reply)));
    kept->on_cancel([&components, ticket] { components.leave(ticket); });
}

void start_preload(Components& components, const ComponentPreloadParams& params, Reply<ComponentQueued> reply) {
    if (params.trigger && !params.names.empty())
        return reply(fail(ErrorCode::invalid_params, "give either `names` or a `trigger`", "/trigger"));
    auto answer = hold(std::move(reply));
    if (params.trigger)
        return components.signal(*params.trigger, [answer](std::vector<std::string> names) {
            answer(ComponentQueued{.queued = std::move(names)});
        });
    components.preload(params.names, [answer](const Result<std::vector<std::string>>& names) {
        if (!names) return answer(std::unexpected(names.error()));
        answer(ComponentQueued{.queued = *names});
    });
}

std::vector<Method> table_methods(Components& components) {
    std::vector<Method> methods;
    methods.push_back(method("components.register",
                             "Declares components beside those there are. One that exists is replaced, unless it is "
                             "loaded.",
                             Lane::pooled,
                             [&components](const ComponentRegisterParams& params) -> Result<ComponentRegisterResult> {
                                 PILLION_TRY(components.declare(params.components));
                                 ComponentRegisterResult result;
                                 result.total = whole(components.count());
                                 for (const auto& [name, spec] : params.components) result.registered.push_back(name);
                                 return result;
                             }));
    methods.push_back(list_method("components.list", "The components and how they are.", Lane::pooled,
                                  [&components](const ComponentFilter& filter) -> Result<std::vector<ComponentInfo>> {
                                      std::vector<ComponentInfo> all = components.list();
                                      std::erase_if(all, [&filter](const ComponentInfo& info) {
                                          return (filter.kind && info.kind != *filter.kind) ||
                                                 (filter.state && info.state != *filter.state);
                                      });
                                      return all;
                                  })
                          .alias("get_component_info"));
    methods.push_back(method("components.get", "One component: how it is, and as it was declared.", Lane::pooled,
                             [&components](const ComponentName& params) -> Result<ComponentDetails> {
                                 ComponentInfo info = PILLION_TRY(components.find(params.name));
                                 ComponentSpec spec = PILLION_TRY(components.find_spec(params.name));
                                 return ComponentDetails{.info = std::move(info), .spec = std::move(spec)};
                             }));
    methods.push_back(method("components.usage",
                             "What components cost and how they are used, and what prediction is worth.", Lane::pooled,
                             [&components](const NoParams&) -> Result<ComponentUsageResult> {
                                 return ComponentUsageResult{.components = components.usage(),
                                                             .prediction = worth_of(components.prediction_worth())};
                             }));
    return methods;
}

} // namespace

Result<void> check_json_text(std::string_view text) {
    JsonScanner scanner(text);
    if (scanner.skip_value() && scanner.at_end()) return {};
    const char* const reason = scanner.reason();
    return fail(ErrorCode::parse_error, std::string(reason != nullptr ? reason : "more follows after the value") +
                                            " at byte " + std::to_string(scanner.offset()));
}

std::vector<Method> components_methods(Components& components) {
    std::vector<Method> methods = table_methods(components);
    methods.push_back(async_method<ComponentLoadParams, ComponentLoad>(
                          "components.load", "Loads a component and what it depends on, and answers when it is ready.",
                          [&components](const ComponentLoadParams& params, Reply<ComponentLoad> reply) {
                              start_load(components, params, std::move(reply));
                          })
                          .alias("load_component"));
    methods.push_back(async_method<ComponentName, ComponentUnloaded>(
        "components.unload", "Takes a component down, after what depends on it.",
        [&components](const ComponentName& params, Reply<ComponentUnloaded> reply) {
            components.unload(params.name,
                              [answer = hold(std::move(reply)), name = params.name](const Result<void>& done) {
                                  if (!done) return answer(std::unexpected(done.error()));
                                  answer(ComponentUnloaded{.name = name});
                              });
        }));
    methods.push_back(async_method<ComponentName, ComponentLoad>(
        "components.restart", "Takes a component down and loads it again; what depends on it stays.",
        [&components](const ComponentName& params, Reply<ComponentLoad> reply) {
            components.restart(params.name, hold(std::move(reply)));
        }));
    methods.push_back(async_method<ComponentPreloadParams, ComponentQueued>(
                          "components.preload", "Loads components in the background, as the machine allows.",
                          [&components](const ComponentPreloadParams& params, Reply<ComponentQueued> reply) {
                              start_preload(components, params, std::move(reply));
                          })
                          .alias("preload_components"));
    methods.push_back(async_method<ComponentSignalParams, ComponentQueued>(
        "components.signal", "Tells of a user's action or a context: loads what waits for it, and learns what follows.",
        [&components](const ComponentSignalParams& params, Reply<ComponentQueued> reply) {
            components.signal(params.signal, [answer = hold(std::move(reply))](std::vector<std::string> names) {
                answer(ComponentQueued{.queued = std::move(names)});
            });
        }));
    methods.push_back(async_method<ComponentPredictParams, ComponentPredictions>(
        "components.predict", "Which components are likely to be used next.",
        [&components](const ComponentPredictParams& params, Reply<ComponentPredictions> reply) {
            components.predict(static_cast<std::size_t>(params.limit),
                               [answer = hold(std::move(reply))](std::vector<ComponentPrediction> likely) {
                                   answer(ComponentPredictions{.components = std::move(likely)});
                               });
        }));
    methods.push_back(async_method<ComponentCompletion, ComponentCompleted>(
        "components.complete", "The webview has loaded what components.wanted asked for, or could not.",
        [&components](const ComponentCompletion& params, Reply<ComponentCompleted> reply) {
            components.complete(params, [answer = hold(std::move(reply))](const Result<void>& done) {
                if (!done) return answer(std::unexpected(done.error()));
                answer(ComponentCompleted{});
            });
        }));
    return methods;
}

} // namespace pillion
