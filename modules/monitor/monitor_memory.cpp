// Two token buckets of processor time: they fill by `core_share_max` of the time that passes, and each walk takes out
// what it cost. New processes have one of their own, so that a program that starts others all the time does not starve
// the rest: half of the time goes there until it is full. It may go below zero by `debt_ns_max`, the other by one walk,
// after which nothing is walked until it has filled up again: so the share holds whatever a single walk costs.
#include "modules/monitor/monitor_memory.h"

#include <algorithm>

namespace pillion {

bool MonitorMemory::has_moved(const Entry& entry, const ProcessReading& process) {
    const std::uint64_t now = process.resident_bytes, then = entry.resident_bytes;
    return (now > then ? now - then : then - now) > std::max(moved_bytes, then / 32);
}

bool MonitorMemory::is_due(const Entry& entry, const ProcessReading& process, std::int64_t now_ns) {
    if (!entry.asked_ns) return false; // it had its chance as a new one
    const std::int64_t age_ns = now_ns - *entry.asked_ns;
    if (age_ns >= old_ns) return true;
    return age_ns >= moved_ns && has_moved(entry, process);
}

std::int64_t MonitorMemory::walk(MonitorPlatform& platform, const ProcessReading& process, Entry& entry,
                                 std::int64_t now_ns) {
    const std::int64_t began_ns = platform.thread_cpu_ns();
    MappedMemoryReading reading = platform.read_memory(process);
    const std::int64_t cost_ns = std::max<std::int64_t>(platform.thread_cpu_ns() - began_ns, 0);
    entry.asked_ns = now_ns;
    entry.resident_bytes = process.resident_bytes;
    entry.why = std::move(reading.why);
    entry.known = reading.memory ? std::optional(Known{*reading.memory, now_ns}) : std::nullopt;
    return cost_ns;
}

void MonitorMemory::update(MonitorPlatform& platform, const TreeReading& tree, std::int64_t now_ns) {
    if (updated_ns_ && now_ns > *updated_ns_) {
        const auto filled = static_cast<std::int64_t>(static_cast<double>(now_ns - *updated_ns_) * core_share_max);
        const std::int64_t to_new = std::min(filled / 2, credit_ns_max - new_credit_ns_);
        new_credit_ns_ += to_new;
        credit_ns_ = std::min(credit_ns_max, credit_ns_ + filled - to_new);
    }
    updated_ns_ = now_ns;
    for (auto& [key, entry] : entries_) entry.is_seen = false;
    std::vector<std::pair<const ProcessReading*, Entry*>> due;
    for (const ProcessReading& process : tree.processes) {
        Entry& entry = entries_[{process.pid, process.started_ns}];
        entry.is_seen = true;
        if (process.state == MonitorState::zombie) // its memory is gone
            entry.known = Known{.memory = {.proportional_bytes = 0, .swapped_bytes = 0}, .at_ns = now_ns};
        else if (is_due(entry, process, now_ns))
            due.emplace_back(&process, &entry);
        else if (!entry.asked_ns && new_credit_ns_ > -debt_ns_max)
            new_credit_ns_ -= walk(platform, process, entry, now_ns);
    }
    std::erase_if(entries_, [](const auto& entry) { return !entry.second.is_seen; });
    std::erase_if(due,
                  [now_ns](const auto& candidate) { return !is_due(*candidate.second, *candidate.first, now_ns); });
    std::ranges::sort(due, {}, [](const auto& candidate) { return candidate.second->asked_ns; });
    for (const auto& [process, entry] : due) {
        if (credit_ns_ <= 0) break;
        credit_ns_ -= walk(platform, *process, *entry, now_ns);
    }
}

std::optional<MonitorMemory::Known> MonitorMemory::find(const ProcessReading& process) const {
    const auto at = entries_.find({process.pid, process.started_ns});
    if (at == entries_.end() || !at->second.known) return {};
    Known known = *at->second.known;
    if (process.state == MonitorState::zombie || !has_moved(at->second, process)) return known;
    const std::uint64_t now = process.resident_bytes, then = at->second.resident_bytes;
    const auto carry_on = [now, then](std::uint64_t& bytes) {
        bytes = now > then ? std::min(bytes + (now - then), now) : bytes - std::min(bytes, then - now);
    };
    carry_on(known.memory.private_bytes);
    if (known.memory.proportional_bytes) carry_on(*known.memory.proportional_bytes);
    return known;
}

std::vector<MonitorGap> MonitorMemory::gaps() const {
    std::map<std::string_view, std::int64_t> reasons;
    for (const auto& [key, entry] : entries_)
        if (!entry.why.empty()) ++reasons[entry.why];
    std::vector<MonitorGap> gaps;
    for (const auto& [why, processes] : reasons)
        gaps.push_back({"process.memory.proportional", std::string(why), processes});
    return gaps;
}

} // namespace pillion
