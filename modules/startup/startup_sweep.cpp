// A sweep over the sorted ends of all running times.
#include "modules/startup/startup_sweep.h"

#include <algorithm>
#include <utility>

namespace pillion {

std::int64_t startup_end_ns(const StartupTimeline& timeline) {
    if (timeline.is_done()) return timeline.ended_ns;
    std::int64_t last_ns = timeline.began_ns;
    for (const StartupEntry& entry : timeline.entries)
        last_ns = std::max({last_ns, entry.queued_ns, entry.started_ns, entry.finished_ns});
    for (const StartupMark& mark : timeline.marks) last_ns = std::max(last_ns, mark.at_ns);
    return last_ns;
}

StartupSweep::StartupSweep(const StartupTimeline& timeline) {
    const std::int64_t end_ns = startup_end_ns(timeline);
    std::vector<std::pair<std::int64_t, std::int32_t>> changes{{timeline.began_ns, 0}, {end_ns, 0}};
    for (const StartupEntry& entry : timeline.entries) {
        if (entry.started_ns < 0) continue;
        changes.emplace_back(entry.started_ns, 1);
        changes.emplace_back(entry.finished_ns < 0 ? end_ns : entry.finished_ns, -1);
    }
    std::ranges::sort(changes, {}, [](const auto& change) { return change.first; });
    std::int64_t count = 0;
    Sum sum{.at_ns = timeline.began_ns};
    for (const auto& [at_ns, change] : changes) {
        const auto passed = static_cast<double>(at_ns - sum.at_ns);
        if (count > 0)
            sum.share += passed / static_cast<double>(count);
        else
            idle_ns_ += passed;
        sum.running += passed * static_cast<double>(count);
        sum.at_ns = at_ns;
        count += change;
        sum.count = static_cast<std::uint32_t>(std::max<std::int64_t>(count, 0));
        if (!sums_.empty() && sums_.back().at_ns == at_ns)
            sums_.back() = sum;
        else
            sums_.push_back(sum);
    }
}

StartupSweep::Sum StartupSweep::at(std::int64_t ns) const {
    const auto after = std::ranges::upper_bound(sums_, ns, {}, &Sum::at_ns);
    if (after == sums_.begin()) return {};
    Sum sum = *(after - 1);
    const auto passed = static_cast<double>(ns - sum.at_ns);
    if (sum.count > 0) sum.share += passed / sum.count;
    sum.running += passed * sum.count;
    return sum;
}

} // namespace pillion
