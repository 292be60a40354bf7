// One link to a server, the thread that uses it and the calls that wait for it. Private to this module. Owned by a
// remote tier, which adds from any thread; links, answers and tasks run on the worker's own.
#pragma once

#include "modules/remote_store/remote_link.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <variant>

namespace pillion {

struct RemoteLimits {
    std::string where{}; // "redis at 127.0.0.1:6379"
    std::int64_t command_ms = 1000;
    std::int64_t backoff_ms_min = 100;
    std::int64_t backoff_ms_max = 30'000;
    std::size_t queued_calls_max = 8192; // of each worker
    std::size_t queued_bytes_max = 64 << 20;
    std::int64_t clean_interval_ms = 0; // 0: never
};

// What goes in one exchange; small enough that the time limit of an exchange means something for each call.
inline constexpr std::size_t remote_batch_calls_max = 256;
inline constexpr std::size_t remote_batch_bytes_max = 1 << 20;

// How long to leave a server alone. Exponential with jitter, so that many sidecars do not come back at one moment. What
// will not mend itself (a refused password, a database that does not exist) waits the longest time at once.
class RemoteBackoff {
  public:
    RemoteBackoff(std::int64_t ms_min, std::int64_t ms_max) : ms_min_(ms_min), ms_max_(ms_max) {}
    void failed(std::int64_t now_ns, ErrorCode code);
    void succeeded() {
        pause_ms_ = 0;
        next_ns_ = 0;
    }
    std::int64_t next_ns() const { return next_ns_; } // 0: at any time

  private:
    std::int64_t ms_min_;
    std::int64_t ms_max_;
    std::int64_t pause_ms_ = 0;
    std::int64_t next_ns_ = 0;
    std::minstd_rand random_{std::random_device{}()};
};

struct RemoteCounters {
    std::atomic<std::uint64_t> reads{0}, hits{0}, writes{0}, errors{0}, expired{0}, damaged{0};
};

// Anything but a single call. `step` is repeated until it is done; then it has answered. Otherwise `refuse` answers.
struct RemoteTask {
    std::function<Result<SliceEnd>(RemoteLink&)> step;
    std::function<void(const Error&)> refuse;
    bool may_connect_early = false; // does not wait for the next attempt to be due
    bool was_repeated = false;
};

// A task's place in the queue of each worker: it begins where the last of them has reached it, so that all calls made
// before it are over.
struct RemoteMark {
    std::shared_ptr<RemoteTask> task;
    std::shared_ptr<std::atomic<std::size_t>> missing;
};

// Announcements that could not be sent. Any thread. Past its bound they become one, which says that all is invalid.
class RemoteOutbox {
  public:
    explicit RemoteOutbox(std::string everything) : everything_(std::move(everything)) {}
    void add(std::string message);
    std::optional<std::string> take();
    bool empty() const;

  private:
    static constexpr std::size_t messages_max = 1000;
    const std::string everything_;
    mutable std::mutex mutex_;
    std::deque<std::string> messages_; // guarded by mutex_
};

class RemoteWorker {
  public:
    struct Hooks {
        std::function<void()> before_first; // on the worker's thread, before its first connection
        std::function<void()> opened;       // a link was made
        RemoteOutbox* outbox = nullptr;     // of one worker only
    };

    RemoteWorker(std::unique_ptr<RemoteLink> link, const RemoteLimits& limits, RemoteCounters& counters,
                 const Clock& clock, Hooks hooks);
    ~RemoteWorker() { stop(); }
    RemoteWorker(const RemoteWorker&) = delete;

    // Starts the thread where it does not run yet. Where the call cannot be queued it is answered here.
    void add(RemoteCall call);
    void add(RemoteMark mark);
    // Something was put into the outbox.
    void nudge();
    // Finishes what is queued, for at most the time of a command; refuses the rest.
    void stop();
    // Why the last attempt to use the server failed; nothing while it works.
    std::optional<Error> trouble() const;

  private:
    void start_locked();
    void run();
    bool gather();
    std::optional<std::int64_t> wait_ns() const;
    void run_calls();
    void exchange(std::span<RemoteCall> calls);
    void run_task();
    void deliver();
    void do_chores();
    Result<void> ensure_open(bool may_connect_early);
    Result<void> open();
    void note(const std::optional<Error>& trouble);
    void answer(RemoteCall& call);
    void refuse_all();

    const std::unique_ptr<RemoteLink> link_;
    const RemoteLimits limits_;
    RemoteCounters& counters_;
    const Clock& clock_;
    const Hooks hooks_;

    mutable std::mutex mutex_; // guards what follows
    std::condition_variable wake_;
    std::deque<std::variant<RemoteCall, RemoteMark>> queue_;
    std::size_t queued_bytes_ = 0;
    bool is_stopping_ = false;
    bool is_nudged_ = false;
    std::int64_t stop_due_ns_ = 0;
    std::optional<Error> trouble_;
    std::thread thread_;

    // Of the worker's thread.
    RemoteBackoff backoff_;
    std::vector<RemoteCall> batch_;
    std::deque<std::shared_ptr<RemoteTask>> tasks_;
    bool is_idle_due_ = false;
    std::int64_t clean_due_ns_ = 0;
};

// Signals are for the threads that wait for them; a broken connection's SIGPIPE is for nobody.
void block_signals();

} // namespace pillion
