// Who belongs to a child, and the ending of them all. Private to the module.
//
// Members are found by parents, by the child's process group and, once their parent is gone and they are ours, by the
// mark in their environment. Whoever was a member once stays one.
#pragma once

#include "ipc/io.h"
#include "modules/process/process_table.h"

#include <functional>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace pillion {

std::vector<process_table::Entry> all_processes();

struct TreeRoots {
    // Where marks are looked for: among our own orphans, where a living run's lost descendants are; or everywhere.
    enum class Search : std::uint8_t { orphans, everywhere };

    std::map<pid_t, std::uint64_t> processes{}; // with their start ticks
    std::vector<pid_t> groups{};
    std::string mark{}; // how the environment's entry begins; a zero at its end asks for the whole entry
    Search search = Search::orphans;
    bool takes_unmarked_orphans = false; // at the very end: who dropped their environment
};

class ProcessTree {
  public:
    explicit ProcessTree(TreeRoots roots) : roots_(std::move(roots)) {}

    // Takes in new members; how many members are alive.
    std::size_t look(const std::vector<process_table::Entry>& processes);
    // SIGTERM to those who were not told yet.
    void ask();
    // SIGKILL to all.
    void kill();
    std::vector<pid_t> living() const;

  private:
    struct Member {
        std::uint64_t start_ticks = 0;
        bool is_alive = true;
        bool was_asked = false;
    };
    bool is_root(const process_table::Entry& entry) const;
    bool has_mark(const process_table::Entry& entry) const;

    TreeRoots roots_;
    std::map<pid_t, Member> members_;
};

// Ends a tree and waits for it: SIGTERM, after `grace_ms` SIGKILL, at most a second more. Not on the io thread.
void end_tree_now(ProcessTree& tree, std::int64_t grace_ms);

// Ends trees on the io thread, all of them with one look at the process table.
class TreeEnder {
  public:
    TreeEnder(Io& io, const Clock& clock) : io_(io), clock_(clock) {}

    // Asks all members to end, now and as new ones appear, and kills the rest after the grace. `key` names the tree: a
    // second call for it may only shorten the grace. `on_gone` comes on the io thread.
    void end(pid_t key, TreeRoots roots, std::int64_t grace_ms, std::function<void()> on_gone);
    // Somebody ended: looks again at once.
    void look_soon();
    // Forgets all; nothing is called any more.
    void clear();

  private:
    struct Ending {
        ProcessTree tree;
        std::int64_t kill_at_ns = 0;
        std::function<void()> on_gone;
    };
    void round();
    void schedule(std::int64_t now_ns);

    Io& io_;
    const Clock& clock_;
    std::map<pid_t, Ending> endings_;
    std::int64_t delay_ms_ = 0;
    TimerId timer_{};
    bool is_posted_ = false;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0); // what was posted before clear() finds it replaced
};

} // namespace pillion
