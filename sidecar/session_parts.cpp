#include "sidecar/session_parts.h"

#include "ipc/base/log.h"
#include "ipc/wire_text.h"
#include "sidecar/owner.h"

#include <utility>

namespace pillion {

namespace {

Store& with_tables(Store& state) {
    Sessions::add_schema(state);
    return state;
}

} // namespace

Sessions::Host SessionParts::sessions_host() {
    const auto monitoring = [this]() -> MonitoringParts& { return host_.monitoring.get(); };
    return {.clock = host_.clock,
            .timers = host_.io,
            .store = &with_tables(host_.state),
            .set_watched = [monitoring](bool is_wanted) { monitoring().set_wanted("sessions", is_wanted); },
            .analyse = [monitoring](const AnalysisRange& range) { return monitoring().analysis().run(range); },
            .changes = [monitoring](const AnalysisRange& range) { return monitoring().analysis().changes(range); },
            .alerts = [monitoring] { return monitoring().alerts().list(AlertsOf::all); },
            .trials = [this]() -> Result<std::vector<SuggestionTrial>> {
                SuggestionParts* const advice = host_.suggestions.find();
                if (advice == nullptr) return {};
                return advice->suggestions().history();
            },
            .raise = [monitoring](AlertNotice notice) { monitoring().alerts().raise(std::move(notice)); },
            .resolve = [monitoring](const std::string& key) { monitoring().alerts().resolve(key); },
            .try_advice = [this] { try_advice(); },
            .on_ended = [this](const Session& session) { host_.hub.publish(sessions_ended_event, session); },
            .run = [this](std::function<void()> work) { executor_.post(std::move(work)); },
            .summary_text = wire::text_of<SessionSummary>,
            .read_summary = wire::read_text<SessionSummary>,
            .owner = own_name(),
            .is_alive = is_alive};
}

void SessionParts::try_advice() {
    host_.suggestions.get().suggestions().apply({.all = true}, {}, [](const Result<SuggestionOutcome>& outcome) {
        if (!outcome) log(LogLevel::info, "sessions", "no advice was tried: " + outcome.error().message);
    });
}

void SessionParts::stop() {
    sessions_.end();
    executor_.stop();
}

} // namespace pillion
