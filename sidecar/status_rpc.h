// health.check and status.get: how the process is, in one look.
#pragma once

#include "ipc/method.h"

#include <functional>
#include <string>
#include <vector>

namespace pillion {

enum class Health : std::uint8_t { ok, degraded, failing };
PILLION_ENUM(Health, "ok", "degraded", "failing")

struct HealthCheck {
    std::string name;
    Health health = Health::ok;
    std::optional<std::string> reason;
};
PILLION_WIRE(HealthCheck, PILLION_FIELD(name, "What was looked at."), PILLION_FIELD(health, "How it is."),
             PILLION_FIELD(reason, "Why it is not ok."))

struct HealthResult {
    Health health = Health::ok;
    std::vector<HealthCheck> checks;
};
PILLION_WIRE(HealthResult, PILLION_FIELD(health, "The worst of the checks."),
             PILLION_FIELD(checks, "Each part by itself."))

struct StatusResult {
    std::string version;
    std::int64_t pid = 0;
    std::int64_t uptimeMs = 0;
    Health health = Health::ok;
    std::int64_t requests = 0;
    std::int64_t errors = 0;
    std::int64_t inFlight = 0;
    std::int64_t queueDepth = 0;
    std::int64_t subscriptions = 0;
    std::int64_t residentBytes = 0;
    double cacheHitRatio = 0;
};
PILLION_WIRE(StatusResult, PILLION_FIELD(version, "Version of this program."), PILLION_FIELD(pid, "Process id."),
             PILLION_FIELD(uptimeMs, "Milliseconds since it was ready."),
             PILLION_FIELD(health, "As health.check has it."), PILLION_FIELD(requests, "Requests received so far."),
             PILLION_FIELD(errors, "Requests answered with an error so far."),
             PILLION_FIELD(inFlight, "Requests being worked on."),
             PILLION_FIELD(queueDepth, "Requests waiting for a worker."),
             PILLION_FIELD(subscriptions, "Event subscriptions."),
             PILLION_FIELD(residentBytes, "Memory of the process, in bytes."),
             PILLION_FIELD(cacheHitRatio, "Share of cacheable requests answered from the response cache, 0..1."))

std::vector<Method> status_methods(std::function<StatusResult()> status, std::function<HealthResult()> health);

} // namespace pillion
