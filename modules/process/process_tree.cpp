#include "modules/process/process_tree.h"

#include "ipc/base/log.h"
#include "modules/process/descriptor.h"
#include "modules/process/guard.h"
#include "modules/process/known_children.h"

#include <algorithm>
#include <csignal>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pillion {

namespace {

constexpr std::int64_t first_delay_ms = 5;
constexpr std::int64_t delay_ms_max = 100;
// After SIGKILL only a process that hangs in the kernel stays.
constexpr std::int64_t unkillable_ns = 5'000'000'000;
constexpr std::int64_t kill_wait_ms_max = 1000;

// An orphan was left to us by a descendant that ended; it is in a process group of theirs.
bool is_orphan(const process_table::Entry& entry, const KnownChildren::Lock& known) {
    return entry.parent == ::getpid() && entry.group != ::getpgrp() && !known.contains(entry.pid);
}

} // namespace

std::vector<process_table::Entry> all_processes() {
    std::vector<process_table::Entry> found;
    process_table::for_each([&](const process_table::Entry& entry) { found.push_back(entry); });
    return found;
}

void reap_orphans() {
    siginfo_t ended{};
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
    const auto known = known_children().lock();
    process_table::for_each([&](const process_table::Entry& entry) {
        if (entry.state == 'Z' && is_orphan(entry, known)) ::waitpid(entry.pid, nullptr, WNOHANG);
    });
}

bool ProcessTree::has_mark(const process_table::Entry& entry) const {
    return !roots_.mark.empty() && process_table::has_environment(entry.pid, roots_.mark);
}

bool ProcessTree::is_root(const process_table::Entry& entry) const {
    if (const auto root = roots_.processes.find(entry.pid); root != roots_.processes.end())
        return root->second == entry.start_ticks;
    if (std::ranges::find(roots_.groups, entry.group) != roots_.groups.end()) return true;
    if (roots_.search == TreeRoots::Search::everywhere) return has_mark(entry);
    if (!is_orphan(entry, known_children().lock())) return false;
    return has_mark(entry) || (roots_.takes_unmarked_orphans &&
                               !process_table::has_environment(entry.pid, std::string(run_variable) + "="));
}

std::size_t ProcessTree::look(const std::vector<process_table::Entry>& processes) {
    const pid_t self = ::getpid();
    std::vector<const process_table::Entry*> others;
    for (auto& [pid, member] : members_) member.is_alive = false;
    for (const process_table::Entry& entry : processes) {
        if (!entry.is_alive() || entry.pid == self || entry.pid == 1) continue;
        const auto known = members_.find(entry.pid);
        if (known != members_.end() && known->second.start_ticks == entry.start_ticks)
            known->second.is_alive = true;
        else
            others.push_back(&entry);
    }
    for (bool is_growing = true; is_growing;) {
        is_growing = std::erase_if(others, [this](const process_table::Entry* entry) {
                         const auto parent = members_.find(entry->parent);
                         const bool belongs = (parent != members_.end() && parent->second.is_alive) || is_root(*entry);
                         if (!belongs || process_table::has_environment(entry->pid, std::string(guard_variable) + "="))
                             return false;
                         members_[entry->pid] = {entry->start_ticks};
                         return true;
                     }) > 0;
    }
    return living().size();
}

void ProcessTree::ask() {
    for (auto& [pid, member] : members_) {
        if (!member.is_alive || member.was_asked) continue;
        process_table::send_signal(pid, member.start_ticks, SIGTERM);
        // A stopped process gets its SIGTERM only when it goes on.
        process_table::send_signal(pid, member.start_ticks, SIGCONT);
        member.was_asked = true;
    }
}

void ProcessTree::kill() {
    for (const auto& [pid, member] : members_)
        if (member.is_alive) process_table::send_signal(pid, member.start_ticks, SIGKILL);
}

std::vector<pid_t> ProcessTree::living() const {
    std::vector<pid_t> found;
    for (const auto& [pid, member] : members_)
        if (member.is_alive) found.push_back(pid);
    return found;
}

void end_tree_now(ProcessTree& tree, std::int64_t grace_ms) {
    const std::int64_t begin_ns = system_clock().now_ns();
    for (std::int64_t delay_ms = 1;; delay_ms = std::min(delay_ms * 2, delay_ms_max)) {
        reap_orphans();
        if (tree.look(all_processes()) == 0) return;
        const std::int64_t passed_ms = (system_clock().now_ns() - begin_ns) / 1'000'000;
        if (passed_ms >= grace_ms + kill_wait_ms_max) return;
        if (passed_ms >= grace_ms)
            tree.kill();
        else
            tree.ask();
        // Any one's end is a reason to look again.
        std::vector<Descriptor> held;
        std::vector<pollfd> ends;
        for (const pid_t pid : tree.living()) {
            held.emplace_back(process_table::open_descriptor(pid));
            ends.push_back({held.back().number(), POLLIN, 0});
        }
        ::poll(ends.data(), ends.size(), static_cast<int>(delay_ms));
    }
}

void TreeEnder::end(pid_t key, TreeRoots roots, std::int64_t grace_ms, std::function<void()> on_gone) {
    const std::int64_t kill_at_ns = clock_.now_ns() + std::max<std::int64_t>(grace_ms, 0) * 1'000'000;
    if (const auto known = endings_.find(key); known != endings_.end())
        known->second.kill_at_ns = std::min(known->second.kill_at_ns, kill_at_ns);
    else
        endings_.emplace(key, Ending{ProcessTree(std::move(roots)), kill_at_ns, std::move(on_gone)});
    look_soon();
}

void TreeEnder::look_soon() {
    if (is_posted_ || endings_.empty()) return;
    is_posted_ = true;
    delay_ms_ = 0;
    io_.post([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) round();
    });
}

void TreeEnder::clear() {
    alive_ = std::make_shared<int>(0);
    io_.cancel(timer_);
    endings_.clear();
    is_posted_ = false;
}

void TreeEnder::round() {
    is_posted_ = false;
    io_.cancel(timer_);
    reap_orphans();
    const std::vector<process_table::Entry> processes = all_processes();
    const std::int64_t now_ns = clock_.now_ns();
    std::vector<std::function<void()>> gone;
    const auto is_over = [&](pid_t key, Ending& ending) {
        bool is_gone = ending.tree.look(processes) == 0;
        if (!is_gone && now_ns > ending.kill_at_ns + unkillable_ns) {
            log(LogLevel::error, "process", "process " + std::to_string(key) + " or a descendant cannot be killed");
            is_gone = true;
        }
        if (is_gone) {
            gone.push_back(std::move(ending.on_gone));
            return true;
        }
        if (now_ns >= ending.kill_at_ns)
            ending.tree.kill();
        else
            ending.tree.ask();
        return false;
    };
    for (auto ending = endings_.begin(); ending != endings_.end();)
        ending = is_over(ending->first, ending->second) ? endings_.erase(ending) : std::next(ending);
    for (const auto& tell : gone) tell();
    schedule(now_ns);
}

void TreeEnder::schedule(std::int64_t now_ns) {
    if (endings_.empty() || is_posted_) return;
    delay_ms_ = std::clamp(delay_ms_ * 2, first_delay_ms, delay_ms_max);
    std::int64_t wait_ms = delay_ms_;
    for (const auto& [key, ending] : endings_)
        if (ending.kill_at_ns > now_ns) wait_ms = std::min(wait_ms, (ending.kill_at_ns - now_ns) / 1'000'000 + 1);
    timer_ = io_.after_ms(wait_ms, [this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) round();
    });
}

} // namespace pillion
