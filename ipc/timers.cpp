#include "ipc/timers.h"

namespace pillion {

TimerId TimerQueue::add(std::int64_t at_ns, std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    const TimerId timer{at_ns, ++sequence_};
    tasks_.emplace(timer, std::move(task));
    return timer;
}

bool TimerQueue::remove(TimerId timer) {
    std::function<void()> task; // destroyed outside the lock: it may own anything
    const std::lock_guard lock(mutex_);
    const auto at = tasks_.find(timer);
    if (at == tasks_.end()) return false;
    task = std::move(at->second);
    tasks_.erase(at);
    return true;
}

std::optional<std::int64_t> TimerQueue::next_ns() const {
    const std::lock_guard lock(mutex_);
    if (tasks_.empty()) return std::nullopt;
    return tasks_.begin()->first.at_ns;
}

std::function<void()> TimerQueue::take_due(std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    if (tasks_.empty() || tasks_.begin()->first.at_ns > now_ns) return {};
    std::function<void()> task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    return task;
}

void ManualTimers::advance_ms(std::int64_t ms) {
    const std::int64_t until_ns = clock_.now_ns() + ms * 1'000'000;
    while (const auto next = queue_.next_ns()) {
        if (*next > until_ns) break;
        if (*next > clock_.now_ns()) clock_.advance_ms((*next - clock_.now_ns()) / 1'000'000);
        if (const auto task = queue_.take_due(*next)) task();
    }
    clock_.advance_ms((until_ns - clock_.now_ns()) / 1'000'000);
}

} // namespace pillion
