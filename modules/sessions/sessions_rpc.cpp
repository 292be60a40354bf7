#include "modules/sessions/sessions_rpc.h"

#include <memory>
#include <utility>

namespace pillion {

struct SessionsStartParams {
    std::string name{};
    std::optional<std::int64_t> durationMs{};
    bool applyAdvice = false;
};
PILLION_WIRE(SessionsStartParams,
             PILLION_FIELD(name, "For people: `release 2.1`, `opening a large file`.", between(0, 200), defaulted),
             PILLION_FIELD(durationMs, "How long, in milliseconds; until sessions.stop if left out.",
                           between(1000, 2'592'000'000)),
             PILLION_FIELD(applyAdvice,
                           "Whether advice is tried, every ten minutes at most, while an alert is critical, as "
                           "suggestions.apply with `all` does.",
                           defaulted))

struct SessionsIdParams {
    std::string id{};
};
PILLION_WIRE(SessionsIdParams, PILLION_FIELD(id, "As sessions.start gave it.", between(1, 64)))

std::vector<Method> sessions_methods(Sessions& sessions) {
    std::vector<Method> methods;
    methods.push_back(
        method("sessions.start", "Watches the app from now on, for a time or until sessions.stop, and sums it up.",
               Lane::pooled, [&sessions](const SessionsStartParams& params) {
                   return sessions.start(
                       {.name = params.name, .duration_ms = params.durationMs, .applies_advice = params.applyAdvice});
               }));
    methods.push_back(async_method<SessionsIdParams, Session>(
        "sessions.stop", "Ends a session before its time; answers its summary.",
        [&sessions](const SessionsIdParams& params, Reply<Session> reply) {
            const auto shared = std::make_shared<Reply<Session>>(std::move(reply));
            sessions.stop(params.id, [shared](Result<Session> session) { (*shared)(std::move(session)); });
        }));
    methods.push_back(method("sessions.get", "A session with its summary; of one that runs as it stands now.",
                             Lane::pooled,
                             [&sessions](const SessionsIdParams& params) { return sessions.get(params.id); }));
    methods.push_back(list_method("sessions.list", "Sessions, the latest first; of earlier runs too.", Lane::pooled,
                                  [&sessions](const NoParams&) { return sessions.list(); }));
    return methods;
}

} // namespace pillion
