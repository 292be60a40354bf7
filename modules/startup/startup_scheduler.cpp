// List scheduling by critical path: of what is ready, first what the critical components need, then what has the
// longest path still to go. Each node enters and leaves one heap once: O((n + e) log n) for a whole start.
#include "modules/startup/startup_scheduler.h"

#include <algorithm>
#include <functional>

namespace pillion {

namespace {

std::string quoted(std::string_view name) { return "\"" + std::string(name) + "\""; }

} // namespace

// The largest comes first out of the heap. Among equals the order of declaration decides, so that a start is
// repeatable.
bool StartupScheduler::Ready::operator<(const Ready& other) const {
    if (is_critical != other.is_critical) return other.is_critical;
    if (remaining_ns != other.remaining_ns) return remaining_ns < other.remaining_ns;
    return index > other.index;
}

StartupScheduler::StartupScheduler(const StartupGraph& graph, StartupOptions options, const Clock& clock)
    : graph_(graph), options_(options), clock_(clock) {
    const std::int64_t now_ns = clock_.now_ns();
    timeline_.wall_ms = clock_.wall_ms();
    timeline_.began_ns = now_ns;
    timeline_.lanes = std::max(options_.lanes, 1u);
    for (std::int32_t lane = 0; lane < static_cast<std::int32_t>(timeline_.lanes); ++lane) free_lanes_.push_back(lane);
    timeline_.entries.resize(graph_.size());
    missing_.resize(graph_.size());
    for (Index index = 0; index < graph_.size(); ++index) {
        const StartupNode& node = graph_.node(index);
        StartupEntry& entry = timeline_.entries[index];
        entry.name = node.name;
        entry.dependencies.assign(graph_.dependencies(index).begin(), graph_.dependencies(index).end());
        entry.is_critical = graph_.is_critical(index);
        entry.expected_ns = node.expected_ns;
        entry.solo_ns = node.solo_ns;
        critical_open_ += entry.is_critical ? 1 : 0;
        missing_[index] = static_cast<std::uint32_t>(entry.dependencies.size());
        if (missing_[index] == 0) enqueue(index, now_ns);
    }
    if (critical_open_ == 0) timeline_.critical_done_ns = now_ns;
    end_if_done(now_ns);
}

void StartupScheduler::enqueue(Index index, std::int64_t now_ns) {
    timeline_.entries[index].state = StartupState::queued;
    timeline_.entries[index].queued_ns = now_ns;
    ready_.push({graph_.is_critical(index), graph_.remaining_ns(index), index});
}

std::optional<StartupScheduler::Index> StartupScheduler::next_ready() {
    if (has_failed() || is_done() || free_lanes_.empty() || ready_.empty()) return std::nullopt;
    const Index index = ready_.top().index;
    ready_.pop();
    StartupEntry& entry = timeline_.entries[index];
    std::ranges::pop_heap(free_lanes_, std::greater{});
    entry.lane = free_lanes_.back();
    free_lanes_.pop_back();
    entry.state = StartupState::running;
    entry.started_ns = clock_.now_ns();
    entry.sequence = ++sequence_;
    running_.push_back(index);
    return index;
}

void StartupScheduler::release(Index index) {
    free_lanes_.push_back(timeline_.entries[index].lane);
    std::ranges::push_heap(free_lanes_, std::greater{});
    std::erase(running_, index);
}

void StartupScheduler::settle(Index index, StartupState state, std::string error, std::int64_t now_ns) {
    StartupEntry& entry = timeline_.entries[index];
    entry.state = state;
    entry.error = std::move(error);
    entry.finished_ns = now_ns;
    ++settled_;
    if (state == StartupState::ready && entry.is_critical && --critical_open_ == 0) timeline_.critical_done_ns = now_ns;
}

std::vector<StartupScheduler::Index> StartupScheduler::finished(Index index, StartupFinish finish) {
    std::vector<Index> skipped;
    if (index >= graph_.size() || !is_running(index)) return skipped;
    const std::int64_t now_ns = clock_.now_ns();
    release(index);
    timeline_.entries[index].was_cached = finish.was_cached;
    timeline_.entries[index].cpu_ns = finish.cpu_ns;
    if (finish.outcome == StartupOutcome::ready) {
        settle(index, StartupState::ready, {}, now_ns);
        for (const Index user : graph_.dependents(index))
            if (--missing_[user] == 0 && timeline_.entries[user].state == StartupState::waiting) enqueue(user, now_ns);
    } else {
        settle(index, StartupState::failed, std::move(finish.error), now_ns);
        skip_dependents(index, now_ns, skipped);
        if (graph_.is_critical(index)) fail_start(index, now_ns, skipped);
    }
    end_if_done(now_ns);
    return skipped;
}

void StartupScheduler::skip_dependents(Index index, std::int64_t now_ns, std::vector<Index>& skipped) {
    const StartupEntry& cause = timeline_.entries[index];
    const std::string what = quoted(cause.name) + (cause.state == StartupState::timedOut ? " timed out" : " failed");
    std::vector<Index> open{index};
    while (!open.empty()) {
        const Index at = open.back();
        open.pop_back();
        for (const Index user : graph_.dependents(at)) {
            if (timeline_.entries[user].state != StartupState::waiting) continue;
            const std::string through = at == index ? "" : ", which " + quoted(timeline_.entries[at].name) + " needs";
            settle(user, StartupState::skipped, "skipped because " + what + through, now_ns);
            skipped.push_back(user);
            open.push_back(user);
        }
    }
}

void StartupScheduler::skip_unbegun(const std::string& reason, std::int64_t now_ns, std::vector<Index>& skipped) {
    ready_ = {};
    for (Index index = 0; index < graph_.size(); ++index) {
        const StartupState state = timeline_.entries[index].state;
        if (state != StartupState::waiting && state != StartupState::queued) continue;
        settle(index, StartupState::skipped, "skipped because " + reason, now_ns);
        skipped.push_back(index);
    }
}

void StartupScheduler::fail_start(Index because, std::int64_t now_ns, std::vector<Index>& skipped) {
    if (has_failed()) return;
    const StartupEntry& entry = timeline_.entries[because];
    const std::string verb = entry.state == StartupState::timedOut ? " timed out" : " failed";
    timeline_.error = "critical component " + quoted(entry.name) + verb;
    if (!entry.error.empty()) timeline_.error += ": " + entry.error;
    if (!graph_.node(because).is_critical) timeline_.error += " (a critical component needs it)";
    skip_unbegun("the start failed with " + quoted(entry.name), now_ns, skipped);
}

std::optional<std::int64_t> StartupScheduler::next_deadline_ns() const {
    if (is_done()) return std::nullopt;
    std::optional<std::int64_t> next;
    const auto consider = [&next](std::int64_t at_ns) { next = next ? std::min(*next, at_ns) : at_ns; };
    if (options_.timeout_ms > 0) consider(timeline_.began_ns + options_.timeout_ms * 1'000'000);
    for (const Index index : running_)
        if (graph_.node(index).timeout_ms > 0)
            consider(timeline_.entries[index].started_ns + graph_.node(index).timeout_ms * 1'000'000);
    return next;
}

StartupExpiry StartupScheduler::expire() {
    StartupExpiry expiry;
    if (is_done()) return expiry;
    const std::int64_t now_ns = clock_.now_ns();
    const bool all = options_.timeout_ms > 0 && now_ns >= timeline_.began_ns + options_.timeout_ms * 1'000'000;
    for (const Index index : std::vector<Index>(running_)) {
        const std::int64_t timeout_ms = graph_.node(index).timeout_ms;
        const bool own = timeout_ms > 0 && now_ns >= timeline_.entries[index].started_ns + timeout_ms * 1'000'000;
        if (!own && !all) continue;
        release(index);
        settle(index, StartupState::timedOut,
               own ? "not ready after " + std::to_string(timeout_ms) + " ms"
                   : "not ready when the " + std::to_string(options_.timeout_ms) + " ms of the start were over",
               now_ns);
        expiry.timed_out.push_back(index);
    }
    for (const Index index : expiry.timed_out) {
        skip_dependents(index, now_ns, expiry.skipped);
        if (graph_.is_critical(index)) fail_start(index, now_ns, expiry.skipped);
    }
    if (all) {
        const std::string over = "the " + std::to_string(options_.timeout_ms) + " ms of the start were over";
        const bool critical_waits = critical_open_ > 0;
        skip_unbegun(over, now_ns, expiry.skipped);
        if (critical_waits && !has_failed()) timeline_.error = over + " before all critical components were ready";
    }
    end_if_done(now_ns);
    return expiry;
}

std::vector<StartupScheduler::Index> StartupScheduler::abandon(std::string reason) {
    std::vector<Index> skipped;
    if (is_done()) return skipped;
    const std::int64_t now_ns = clock_.now_ns();
    skip_unbegun(reason, now_ns, skipped);
    if (!has_failed()) timeline_.error = std::move(reason);
    end_if_done(now_ns);
    return skipped;
}

bool StartupScheduler::mark(std::string name) {
    if (std::ranges::find(timeline_.marks, name, &StartupMark::name) != timeline_.marks.end()) return false;
    timeline_.marks.push_back({std::move(name), clock_.now_ns()});
    return true;
}

void StartupScheduler::end_if_done(std::int64_t now_ns) {
    if (is_done() || !running_.empty() || settled_ < graph_.size()) return;
    timeline_.ended_ns = now_ns;
    const bool all_ready = std::ranges::all_of(
        timeline_.entries, [](const StartupEntry& entry) { return entry.state == StartupState::ready; });
    timeline_.verdict = has_failed() ? StartupVerdict::failed
                        : all_ready  ? StartupVerdict::ready
                                     : StartupVerdict::partial;
}

} // namespace pillion
