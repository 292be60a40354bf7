// What a ProcessHost does: starts children, keeps the guard and the ledger informed, ends trees, waits for orphans.
// Private to the module. spawn(), post(), stop_all(), close() and running() from any thread, the rest on the io thread.
//
// Nothing is opened or started before the first spawn.
#pragma once

#include "modules/process/child_process.h"
#include "modules/process/guard.h"
#include "modules/process/ledger.h"
#include "modules/process/process.h"
#include "modules/process/process_tree.h"

#include <boost/asio/signal_set.hpp>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace pillion {

class Supervisor : public std::enable_shared_from_this<Supervisor> {
  public:
    Supervisor(Io& io, const Clock& clock, ProcessHostOptions options);

    Result<std::shared_ptr<Process>> spawn(ProcessSpec spec, ProcessHandlers handlers);
    void stop_all(std::int64_t wait_ms_max);
    // Ends what still runs and gives back all that belongs to Asio.
    void close();
    std::size_t running() const;

    // Runs the task on the io thread, unless the host has been closed.
    void post(std::function<void()> task);
    void end_tree(ChildProcess& child, std::int64_t grace_ms);
    void forget_if_done(const ChildProcess& child);

  private:
    Result<std::shared_ptr<Process>> spawn_here(ProcessSpec spec, ProcessHandlers handlers);
    Result<ChildProcess::Parts> start(ProcessSpec& spec);
    void prepare();
    void tree_is_gone(pid_t pid);
    void wait_for_orphans();
    bool is_io_over() const;
    bool wait_until_empty(std::int64_t wait_ms_max);
    void sweep_orphans();
    void release();

    Io& io_;
    const Clock& clock_;
    const ProcessHostOptions options_;

    // io thread
    TreeEnder ender_;
    Guard guard_;
    std::unique_ptr<Ledger> ledger_;
    std::optional<boost::asio::signal_set> child_signals_;
    TimerId orphan_timer_{};
    bool waits_for_orphans_ = false;
    std::uint64_t spawned_ = 0;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<pid_t, std::shared_ptr<ChildProcess>> children_; // guarded by mutex_
    std::string run_id_;                                      // empty before the first spawn; guarded by mutex_
    bool is_stopping_ = false;
    bool is_closed_ = false;
};

} // namespace pillion
