// Monitoring sessions put together with what they look at: the analysis, alerts, advice. A piece of the composition
// root (application.h), which owns it; made when sessions are first asked for.
#pragma once

#include "ipc/event_hub.h"
#include "ipc/io.h"
#include "ipc/serial_executor.h"
#include "modules/sessions/sessions_rpc.h"
#include "sidecar/lazy.h"
#include "sidecar/monitoring_parts.h"
#include "sidecar/suggestion_parts.h"

#include <functional>
#include <vector>

namespace pillion {

class SessionParts {
  public:
    // All outlive the parts.
    struct Host {
        Io& io;
        const Clock& clock;
        Store& state;
        EventHub& hub;
        Lazy<MonitoringParts>& monitoring;
        Lazy<SuggestionParts>& suggestions;
    };
    explicit SessionParts(const Host& host) : host_(host), sessions_(sessions_host()) {}
    ~SessionParts() { stop(); }
    SessionParts(const SessionParts&) = delete;

    static void declare_events(EventHub& hub) { hub.declare(sessions_ended_event); }
    std::vector<Method> methods() { return sessions_methods(sessions_); }
    // Before what it looks at stops.
    void stop();

  private:
    Sessions::Host sessions_host();
    void try_advice();

    const Host host_;
    SerialExecutor executor_{"pillion-session"}; // a thread for looks, from the first session on
    Sessions sessions_;
};

} // namespace pillion
