#include "modules/backends/backends_rpc.h"

#include "ipc/json_text.h"

namespace pillion {

namespace {

BackendRequest request_of(const Call& call, std::string_view method, std::string_view params) {
    return {.method = method,
            .params = params,
            .cache = call.meta().cache.value_or(CacheMode::standard),
            .max_age_ms = call.meta().maxAgeMs,
            .stale_ok_ms = call.meta().staleOkMs,
            .wants_progress = call.meta().progressToken.has_value()};
}

class CallCaller final : public BackendCaller {
  public:
    explicit CallCaller(CallPtr call) : call_(std::move(call)) {}
    void answered(const Result<std::string_view>& result) override {
        if (result)
            call_->answer(*result);
        else
            call_->answer(result.error());
    }
    void progressed(double percentage, std::string_view message) override {
        call_->report_progress(percentage, message);
    }

  private:
    const CallPtr call_;
};

// Hands a request over and sees to it that its end by cancellation or deadline is told.
void forward(Backends& backends, const Clock& clock, std::string_view backend, const BackendRequest& request,
             CallPtr call) {
    const auto caller = std::make_shared<CallCaller>(call);
    if (call->id().empty()) {
        if (const auto sent = backends.notify(backend, request.method, request.params); !sent)
            return call->answer(sent.error());
        return call->answer("null");
    }
    const BackendTicket ticket = backends.call(backend, request, caller);
    if (call->is_answered()) return;
    const std::int64_t deadline_ns =
        call->meta().timeoutMs ? call->received_ns() + *call->meta().timeoutMs * 1'000'000 : INT64_MAX;
    call->on_cancel([ticket, deadline_ns, &clock] {
        ticket.cancel(clock.now_ns() >= deadline_ns ? CancelReason::timeout : CancelReason::caller_left);
    });
}

std::string_view text_of(const std::optional<JsonView>& params) {
    return params && params->text != "null" ? params->text : std::string_view{};
}

Result<void> check_params(std::string_view params) {
    if (params.empty() || params.front() == '{' || params.front() == '[') return {};
    return fail(ErrorCode::invalid_params, "params must be an object or an array", "/params");
}

// The parts of NAME/METHOD; `kept` holds them where the name was sent with escapes.
Result<std::pair<std::string_view, std::string_view>> split(std::string_view name, std::string& kept) {
    if (name.find('\\') != std::string_view::npos) {
        auto decoded = unescaped(name);
        if (!decoded) return fail(ErrorCode::invalid_request, "the method's name is no valid text", "/method");
        kept = std::move(*decoded);
        name = kept;
    }
    const std::size_t slash = name.find('/');
    if (slash == std::string_view::npos) return fail(ErrorCode::method_not_found, "there is no such method");
    return std::pair{name.substr(0, slash), name.substr(slash + 1)};
}

// On this way an unknown backend is an unknown method.
Error as_method(Error error) {
    if (error.code != ErrorCode::not_found || error.field != "/backend") return error;
    error.code = ErrorCode::method_not_found;
    error.field.clear();
    return error;
}

Method call_method(Backends& backends, const Clock& clock) {
    Method method = hybrid_method<BackendCallParams, Json>(
        "backends.call", "Asks a backend: its result comes back as it is, from the cache where a rule allows it.",
        [&backends](const BackendCallParams& params, Call& call, Buffer& out) -> Result<bool> {
            PILLION_TRY(check_params(text_of(params.params)));
            if (call.id().empty()) return false;
            return backends.answer_from_cache(params.backend, request_of(call, params.method, text_of(params.params)),
                                              out);
        },
        [](const BackendCallParams&, Reply<Json>) {});
    method.start = [&backends, &clock](CallPtr call) {
        BackendCallParams params{};
        if (auto decoded = wire::decode_params(call->params(), params, call->scratch()); !decoded)
            return call->answer(std::move(decoded).error());
        forward(backends, clock, params.backend, request_of(*call, params.method, text_of(params.params)), call);
    };
    return method;
}

} // namespace

BackendNotificationEvent to_event(const BackendNotification& notification) {
    return {std::string(notification.backend),
            std::string(notification.method),
            {notification.params.empty() ? "null" : std::string(notification.params)}};
}

bool routes_to_backend(const Backends& backends, std::string_view name) {
    return name.find('/') != std::string_view::npos && !backends.empty();
}

Method backend_route(Backends& backends, const Clock& clock) {
    Method route{.name = "backends.route",
                 .summary = "Serves NAME/METHOD: METHOD of the backend NAME, params and result as they are.",
                 .lane = Lane::hybrid};
    route.attempt = [&backends](Call& call, Buffer& out) -> Result<bool> {
        if (call.id().empty()) return false;
        std::string kept;
        const auto parts = PILLION_TRY(split(call.name(), kept));
        auto answered = backends.answer_from_cache(parts.first, request_of(call, parts.second, call.params()), out);
        if (!answered) return std::unexpected(as_method(std::move(answered).error()));
        return answered;
    };
    route.start = [&backends, &clock](CallPtr call) {
        std::string kept;
        const auto parts = split(call->name(), kept);
        if (!parts) return call->answer(parts.error());
        forward(backends, clock, parts->first, request_of(*call, parts->second, call->params()), call);
    };
    return route;
}

std::vector<Method> backends_methods(Backends& backends, const Clock& clock) {
    std::vector<Method> methods;
    methods.push_back(call_method(backends, clock));
    methods.push_back(method("backends.notify", "Sends a backend a notification; starts it if need be.", Lane::direct,
                             [&backends](const BackendCallParams& params) -> Result<BackendNotifyResult> {
                                 PILLION_TRY(check_params(text_of(params.params)));
                                 PILLION_TRY(backends.notify(params.backend, params.method, text_of(params.params)));
                                 return BackendNotifyResult{};
                             }));
    methods.push_back(list_method(
        "backends.list", "The declared backends and how they are.", Lane::direct,
        [&backends](const BackendListParams&) -> Result<std::vector<BackendStatus>> { return backends.list(); }));
    methods.push_back(list_method("backends.stats", "What each backend was asked, and how it answered.", Lane::pooled,
                                  [&backends](const BackendStatsParams& params) -> Result<std::vector<BackendStats>> {
                                      std::vector<BackendStats> all;
                                      if (params.backend) {
                                          all.push_back(PILLION_TRY(backends.stats(*params.backend)));
                                          return all;
                                      }
                                      for (const BackendStatus& backend : backends.list())
                                          if (auto stats = backends.stats(backend.name))
                                              all.push_back(std::move(*stats));
                                      return all;
                                  }));
    methods.push_back(method("backends.invalidate", "Drops cached answers of a backend.", Lane::direct,
                             [&backends](const BackendInvalidateParams& params) -> Result<BackendInvalidateResult> {
                                 const std::size_t removed = PILLION_TRY(backends.invalidate(
                                     params.backend, params.method.value_or(""), params.tag.value_or("")));
                                 return BackendInvalidateResult{static_cast<std::int64_t>(removed)};
                             }));
    return methods;
}

} // namespace pillion
