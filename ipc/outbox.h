// Owns stdout. Whoever has bytes ready writes them at once if nobody else is writing; else they join the next write. If
// stdout takes no more (a reader that stopped reading), the writer thread, started then, waits for it and goes on.
//
// Bound: the backlog is `backlog_bytes_max` plus one message, because the reader thread stops reading past it
// (wait_for_room). Any thread, but for flush_own, which is the reader thread's.
#pragma once

#include "ipc/base/pool.h"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

namespace pillion {

class Outbox {
  public:
    struct Hooks {
        std::function<void()> on_broken{};  // stdout was closed: nothing can be sent any more; called once
        std::function<void()> on_drained{}; // a backlog has been written; whoever held events back may send them
    };

    // `descriptor` stays the caller's. Where it can block, writes never do: see ipc/base/platform.h.
    Outbox(int descriptor, BufferPool& pool, std::size_t backlog_bytes_max);
    ~Outbox();
    // Before anything is sent.
    void set_hooks(Hooks hooks) { hooks_ = std::move(hooks); }

    // Sends whole framed messages. Never waits.
    void send(Buffer bytes);
    // As send(), but leaves `bytes` empty with its memory when everything could be written at once.
    void flush_own(Buffer& bytes);

    std::size_t backlog_bytes() const { return backlog_bytes_.load(std::memory_order_relaxed); }
    bool is_broken() const { return broken_.load(std::memory_order_acquire); }
    // Waits until the backlog is under its bound; false if that did not come within the time.
    bool wait_for_room(std::int64_t wait_ms_max) { return wait_below(backlog_bytes_max_, wait_ms_max); }
    // Waits until everything is written.
    bool wait_until_empty(std::int64_t wait_ms_max) { return wait_below(1, wait_ms_max); }
    // Ends the writer thread. Called once, when nothing sends any more.
    void stop();

    std::uint64_t bytes_written() const { return bytes_written_.load(std::memory_order_relaxed); }

  private:
    bool wait_below(std::size_t bytes, std::int64_t wait_ms_max);
    // Writes as much as goes, waiting at most `patience_ms` at a time; the caller has set writing_. How many bytes were
    // taken.
    std::size_t write_now(const char* data, std::size_t size, bool& blocked, int patience_ms);
    bool gather(const Buffer& bytes);
    void write_pending(std::unique_lock<std::mutex>& lock);
    void break_off(std::unique_lock<std::mutex>& lock);
    void hand_to_writer();
    void run_writer();

    int descriptor_;
    bool owns_descriptor_ = false;
    bool is_socket_ = false;
    BufferPool& pool_;
    const std::size_t backlog_bytes_max_;
    unsigned small_flushes_ = 0; // since the last large one; the reader thread's
    Hooks hooks_;

    std::mutex mutex_;
    std::condition_variable room_;
    std::condition_variable work_;
    std::vector<Buffer> pending_;   // guarded by mutex_
    std::size_t first_written_ = 0; // bytes of pending_.front() already written; guarded by mutex_
    bool writing_ = false;          // somebody is between taking and giving back; guarded by mutex_
    bool writer_wanted_ = false;    // guarded by mutex_
    bool stopping_ = false;         // guarded by mutex_
    std::thread writer_;
    std::atomic<std::size_t> backlog_bytes_{0};
    std::atomic<std::uint64_t> bytes_written_{0};
    std::atomic<bool> broken_{false};
};

} // namespace pillion
