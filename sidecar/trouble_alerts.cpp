#include "sidecar/trouble_alerts.h"

namespace pillion {

TroubleAlert trouble_alert(const StoreDamage& damage) {
    return {.raise = AlertNotice{.key = "storage.damaged/" + damage.path,
                                 .level = AlertLevel::critical,
                                 .title = "A database was damaged",
                                 .detail = damage.path + ": " + damage.reason + "; it was set aside as " +
                                           damage.set_aside + " and a fresh one was made",
                                 .advice = "Look at the disk; the file that was set aside may be sent to support."},
            .is_momentary = true};
}

TroubleAlert trouble_alert(const CacheTrouble& trouble) {
    const std::string down = "cache.tierDown/" + trouble.where, full = "cache.tierFull/" + trouble.where;
    if (trouble.kind == "tierUp") return {.resolve = down};
    if (trouble.kind == "tierDown")
        return {.raise = AlertNotice{.key = down,
                                     .level = AlertLevel::warning,
                                     .title = "The cache's tier " + trouble.where + " cannot be reached",
                                     .detail = trouble.detail,
                                     .labels = {{"tier", trouble.where}},
                                     .advice = "The other tiers serve meanwhile; it is tried again by itself."}};
    if (trouble.kind == "tierFull")
        return {.raise = AlertNotice{.key = full,
                                     .level = AlertLevel::warning,
                                     .title = "The cache's tier " + trouble.where + " takes nothing more",
                                     .detail = trouble.detail,
                                     .labels = {{"tier", trouble.where}},
                                     .advice = "Free some space there; values are kept in the other tiers meanwhile."},
                .is_momentary = true};
    return {.raise = AlertNotice{.key = "cache." + trouble.kind + "/" + trouble.where,
                                 .level = AlertLevel::warning,
                                 .title = "The cache met something damaged in " + trouble.where,
                                 .detail = trouble.detail,
                                 .labels = {{"where", trouble.where}},
                                 .advice = "It was set aside; values are loaded anew when they are asked for."},
            .is_momentary = true};
}

TroubleAlert trouble_alert(const ComponentChange& change) {
    const std::string key = "component.failed/" + change.name;
    if (change.state == ComponentState::ready) return {.resolve = key};
    if (change.state != ComponentState::failed) return {};
    return {.raise = AlertNotice{.key = key,
                                 .level = AlertLevel::critical,
                                 .title = "The component " + change.name + " has failed",
                                 .detail = change.reason.value_or(""),
                                 .labels = {{"component", change.name}},
                                 .advice = "components.load tries again."}};
}

TroubleAlert trouble_alert(const BackendChange& change) {
    const std::string key = "backend.failed/" + change.backend;
    if (change.state == BackendState::ready || change.state == BackendState::asleep) return {.resolve = key};
    if (change.state != BackendState::failed) return {};
    return {.raise = AlertNotice{.key = key,
                                 .level = AlertLevel::critical,
                                 .title = "The backend " + change.backend + " has failed",
                                 .detail = change.reason,
                                 .labels = {{"backend", change.backend}},
                                 .advice = "The next call tries again when its circuit breaker lets it."}};
}

} // namespace pillion
