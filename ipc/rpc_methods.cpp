#include "ipc/rpc_methods.h"

#include "ipc/base/log.h"

namespace pillion {

namespace {

// rpc.delay: one step after the other on the timers' thread until the time is up or nobody waits any more.
struct Delay : std::enable_shared_from_this<Delay> {
    Timers& timers;
    const Clock& clock;
    const std::int64_t duration_ms, steps, started_ns;
    Reply<DelayResult> reply;
    std::int64_t step = 0;
    std::mutex mutex; // guards timer
    TimerId timer{};

    Delay(const RpcHost& host, const DelayParams& params, Reply<DelayResult> answer)
        : timers(host.timers), clock(host.clock), duration_ms(params.durationMs), steps(params.steps),
          started_ns(host.clock.now_ns()), reply(std::move(answer)) {}

    void next() {
        const std::int64_t due_ms = duration_ms * (step + 1) / steps - (clock.now_ns() - started_ns) / 1'000'000;
        const std::lock_guard lock(mutex);
        timer = timers.after_ms(std::max<std::int64_t>(0, due_ms), [self = shared_from_this()] { self->on_step(); });
    }
    void on_step() {
        if (reply.call().is_answered()) return;
        if (++step == steps) return reply(DelayResult{(clock.now_ns() - started_ns) / 1'000'000});
        reply.call().report_progress(100.0 * static_cast<double>(step) / static_cast<double>(steps),
                                     "step " + std::to_string(step) + " of " + std::to_string(steps));
        next();
    }
};

Method echo_method() {
    return {.name = "rpc.echo",
            .summary = "Answers with its params as they came; {} if there were none.",
            .lane = Lane::direct,
            .run = [](Call& call, Buffer& out) -> Result<void> {
                out.append(call.params().empty() ? std::string_view("{}") : call.params());
                return {};
            }};
}

Method discover_method(const RpcHost& host) {
    return Method{.name = "rpc.discover",
                  .summary = "The OpenRPC document of this program: every method and event with its types.",
                  .lane = Lane::pooled,
                  .params = &wire::type_of<NoParams>,
                  .run = [discover = host.discover](Call& call, Buffer& out) -> Result<void> {
                      NoParams none;
                      PILLION_TRY(wire::decode_params(call.params(), none, call.scratch()));
                      out.append(discover());
                      return {};
                  }}
        .cached(24 * 3'600'000);
}

} // namespace

std::vector<Method> rpc_methods(const RpcHost& host) {
    std::vector<Method> methods;
    methods.push_back(method("rpc.ping", "Answers at once: is the other end there, and how long is the way?",
                             Lane::direct, [](const NoParams&) -> Result<PingResult> { return PingResult{}; }));
    methods.push_back(echo_method());
    methods.push_back(async_method<DelayParams, DelayResult>(
        "rpc.delay",
        "Answers after a while, with progress on the way: to try out deadlines, cancellation and progress.",
        [host](const DelayParams& params, Reply<DelayResult> reply) {
            const auto delay = std::make_shared<Delay>(host, params, std::move(reply));
            delay->reply.call().on_cancel([weak = std::weak_ptr(delay)] {
                const auto waiting = weak.lock();
                if (!waiting) return;
                const std::lock_guard lock(waiting->mutex);
                waiting->timers.cancel(waiting->timer);
            });
            delay->next();
        }));
    methods.push_back(discover_method(host));
    methods.push_back(
        method("initialize",
               "Name, version, limits and features of this program. Optional: any request may come first.",
               Lane::direct,
               [describe = host.describe](const InitializeParams& params) -> Result<InitializeResult> {
                   if (params.client) log(LogLevel::info, "ipc", "client " + std::string(*params.client));
                   return describe();
               })
            .alias("initialize_performance_manager"));
    methods.push_back(method("shutdown", "Ends the process: finishes what was accepted, then exits with status 0.",
                             Lane::direct,
                             [shutdown = host.request_shutdown](const NoParams&) -> Result<ShutdownResult> {
                                 shutdown();
                                 return ShutdownResult{};
                             })
                          .alias("shutdown_performance_manager"));
    methods.push_back(
        method("events.subscribe", "Sends events of these topics as notifications until unsubscribed.", Lane::direct,
               [&events = host.events](const SubscribeParams& params) -> Result<SubscribeResult> {
                   return SubscribeResult{PILLION_TRY(events.subscribe(params.topics, params.intervalMs))};
               }));
    methods.push_back(method(
        "events.unsubscribe", "Ends a subscription.", Lane::direct,
        [&events = host.events](const UnsubscribeParams& params) -> Result<UnsubscribeResult> {
            if (!events.unsubscribe(params.subscription))
                return fail(ErrorCode::not_found,
                            "there is no subscription \"" + std::string(params.subscription) + "\"", "/subscription");
            return UnsubscribeResult{};
        }));
    return methods;
}

} // namespace pillion
