// The pids that this process started itself and will wait for itself. Whoever else turns up as our child is an orphan
// of one of them, left to us because we are their subreaper. One list for the process, since that is what a parent is.
// Private to the module; any thread.
#pragma once

#include <mutex>
#include <set>
#include <sys/types.h>

namespace pillion {

class KnownChildren {
  public:
    // Held around a start, so that nobody takes the new child for an orphan before it is in the list.
    class Lock {
      public:
        explicit Lock(KnownChildren& children) : children_(children), lock_(children.mutex_) {}
        void add(pid_t pid) const { children_.pids_.insert(pid); }
        bool contains(pid_t pid) const { return children_.pids_.contains(pid); }

      private:
        KnownChildren& children_;
        std::unique_lock<std::mutex> lock_;
    };

    Lock lock() { return Lock(*this); }
    void remove(pid_t pid) {
        const std::lock_guard lock(mutex_);
        pids_.erase(pid);
    }

  private:
    std::mutex mutex_;
    std::set<pid_t> pids_; // guarded by mutex_
};

inline KnownChildren& known_children() {
    static KnownChildren children;
    return children;
}

// Waits for orphans that have ended, so that they do not stay as zombies. A child in our own process group was started
// by some library, which waits for it itself.
void reap_orphans();

} // namespace pillion
