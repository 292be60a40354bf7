// A database file of Pillion's own, opened at its first use: one writer thread that commits what has gathered as one
// transaction (group commit), and readers with connections of their own. `state.db` (jobs, schedules, baselines,
// learned order; full durability) and `cache.db` (may be deleted at any time; relaxed) are one Store each, made by the
// composition root. Any thread may call.
//
//     store.add_schema("usage", {"CREATE TABLE usage (...)", "ALTER TABLE ..."});     // at composition
//     store.write([](Database& db) { return db.prepare("...")...; }, [](Result<void> done) { ... });
//     store.read([&](Database& db) -> Result<void> { ... });
//
// A damaged file is set aside as NAME.damaged-YYYYMMDD-HHMMSS, reported (on_damaged), and a fresh one made. Several
// processes may use one file. With nothing asked of it, a Store has opened no library and started no thread.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/metric.h"
#include "modules/storage/database.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pillion {

enum class OpenCheck : std::uint8_t {
    whole_file,  // read through for damage at opening: right for small files that matter
    when_in_use, // damage is noticed when it is met
};

struct StoreOptions {
    std::string path{}; // its folder is made when needed
    Durability durability = Durability::full;
    OpenCheck check = OpenCheck::whole_file;
    std::int64_t mmap_bytes = 0;
    std::int64_t busy_wait_ms = 5000; // how long to wait for another process's lock
    std::int64_t checkpoint_pages = 1000;
    Vacuum vacuum = Vacuum::none;
    std::size_t queued_writes_max = 4096; // past it write() waits: a store never loses a write
    std::size_t readers_max = 4;          // idle reading connections kept
};

// What happened to a file that was found damaged.
struct StoreDamage {
    std::string path;      // of the database
    std::string set_aside; // where the damaged file is now
    std::string reason;
};

struct StoreStats {
    bool is_open = false;
    std::uint64_t writes = 0;
    std::uint64_t commits = 0; // fewer than writes: that is group commit
    std::uint64_t failed_writes = 0;
    std::uint64_t queued = 0;
    std::uint64_t file_bytes = 0;
};

class Store {
  public:
    using Work = std::function<Result<void>(Database&)>;
    using Done = std::function<void(Result<void>)>;

    Store(StoreOptions options, const Clock& clock);
    ~Store();
    Store(const Store&) = delete;

    // A module's tables, as numbered migrations in order, before the module's first use of the store. They run when the
    // file is opened; where it is already, before what is written or read next.
    void add_schema(std::string module, std::vector<const char*> migrations);
    // At composition: called on the thread that found the damage.
    void on_damaged(std::function<void(const StoreDamage&)> listener);

    // Queues `work` for the writer thread. It runs inside a transaction that other writes share; if it fails, only its
    // own changes are undone. `done` comes on the writer thread after the commit: success means durable as the options
    // say. Waits only when the queue is full.
    void write(Work work, Done done = {});
    // The same, and waits for the end. Not on the writer thread.
    Result<void> write_and_wait(Work work);
    // Runs `work` on the calling thread with a connection that only reads. It sees every write whose `done` has come.
    // Not inside another read: where damage was met, that would wait for itself.
    Result<void> read(const Work& work);
    // Opens the file now; the error says why it cannot be used.
    Result<void> open();
    // Waits until all that was queued is committed.
    void flush();
    // flush(), then ends the thread and closes the file. What comes later is -32005. Called by the composition root.
    void stop();

    StoreStats stats() const;
    // How long groups of writes took, in nanoseconds, commits among it.
    const Histogram& write_ns() const { return write_ns_; }
    const std::string& path() const { return options_.path; }

  private:
    struct Queued {
        Work work;
        Done done;
    };
    Result<Database> open_database(OpenMode mode);
    Result<Database> open_checked();
    Result<void> open_locked();
    Result<void> set_aside(const std::string& reason);
    Result<void> read_with(std::unique_ptr<Database>& reader, const Work& work);
    void recover(std::unique_lock<std::mutex>& lock);
    Result<void> replace_if_damaged();
    void run();
    void commit(std::vector<Queued>& group);
    Result<void> run_group(std::vector<Queued>& group, std::vector<Result<void>>& results);

    const StoreOptions options_;
    const Clock& clock_;
    std::vector<std::pair<std::string, std::vector<const char*>>> schemas_; // guarded by mutex_
    std::function<void(const StoreDamage&)> damaged_;                       // constant after composition
    Histogram write_ns_;

    mutable std::mutex mutex_; // guards what follows
    std::condition_variable changed_;
    std::vector<Queued> queue_;
    bool writing_ = false;
    bool suspect_ = false; // damage was met: the writer thread looks into it
    bool stopped_ = false;
    std::unique_ptr<Database> writer_; // used by the writer thread alone once it runs
    std::thread thread_;               // joined by stop()
    std::vector<std::unique_ptr<Database>> readers_; // those that wait for work
    std::size_t readers_out_ = 0;
    bool recovering_ = false; // no reader begins
    StoreStats stats_;
};

} // namespace pillion
