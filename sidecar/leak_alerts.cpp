#include "sidecar/leak_alerts.h"

#include <algorithm>
#include <utility>

namespace pillion {

namespace {

std::string key_of(const Leak& leak) {
    return "memory.leak/" + (leak.component.empty() ? std::string() : leak.component + "/") + leak.process;
}

AlertNotice notice_of(const Leak& leak) {
    const std::string who = leak.component.empty() ? leak.process : leak.component;
    AlertNotice notice{.key = key_of(leak),
                       .level = AlertLevel::warning,
                       .title = who + " leaks memory",
                       .detail = describe(leak),
                       .labels = {{"process", leak.process}, {"role", leak.role}},
                       .advice = leak.component.empty()
                                     ? "analysis.leaks has the figures"
                                     : "components.restart gives the memory back; analysis.leaks has the figures"};
    if (!leak.component.empty()) notice.labels["component"] = leak.component;
    return notice;
}

// Of the same process, some looks after it was called a leak.
bool is_over(const MemoryVerdict& leak, const MemoryVerdict& now) {
    if (now.course == MemoryCourse::unknown) return true;
    const std::int64_t since_ms = now.since_ms + now.window_ms - leak.since_ms - leak.window_ms;
    return since_ms >= leak.window_ms / 2 || now.level_bytes <= leak.level_bytes - leak.grown_bytes / 2;
}

} // namespace

LeakAlerts::Changes LeakAlerts::look(std::span<const Leak> judged, const std::function<bool(const Leak&)>& is_running) {
    Changes changes;
    for (auto& [key, standing] : standing_) ++standing.looks_without;
    for (const Leak& leak : judged) {
        if (leak.verdict.course != MemoryCourse::leak || !is_running(leak)) continue;
        changes.raise.push_back(notice_of(leak));
        standing_[key_of(leak)] = {.leak = leak, .looks_without = 0};
    }
    std::erase_if(standing_, [&](const auto& entry) {
        const auto& [key, standing] = entry;
        if (standing.looks_without == 0) return false;
        if (is_running(standing.leak)) {
            if (standing.looks_without < looks_without) return false;
            const auto now = std::ranges::find(judged, key, key_of);
            if (now != judged.end() && !is_over(standing.leak.verdict, now->verdict)) return false;
        }
        changes.resolve.push_back(key);
        return true;
    });
    return changes;
}

} // namespace pillion
