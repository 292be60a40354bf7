// One running child: its pipes, its end. Made and kept by the supervisor. Private to the module.
//
// What belongs to Asio is touched on the io thread only; the rest is behind mutex_. Handlers are called without it.
#pragma once

#include "modules/process/descriptor.h"
#include "modules/process/output_tail.h"
#include "modules/process/process.h"

#include <atomic>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

namespace pillion {

class Supervisor;

class ChildProcess final : public Process, public std::enable_shared_from_this<ChildProcess> {
  public:
    struct Parts {
        ProcessSpec spec;
        ProcessHandlers handlers;
        pid_t pid = 0;
        std::uint64_t start_ticks = 0;
        std::string mark; // its PILLION_RUN_ID entry, with the zero at its end
        Descriptor input; // not open: no input
        Descriptor output;
        Descriptor errors;
        Descriptor end; // readable when it has ended
    };
    ChildProcess(std::weak_ptr<Supervisor> supervisor, Io& io, const Clock& clock, Parts parts);

    std::int64_t pid() const override { return pid_; }
    const ProcessSpec& spec() const override { return spec_; }
    bool is_running() const override { return is_running_.load(std::memory_order_acquire); }
    Result<void> write(std::string bytes) override;
    void close_input() override;
    void pause_output() override;
    void resume_output() override;
    void stop() override;
    void kill() override;
    std::string last_lines() const override;
    ProcessUsage usage() const override;
    void observe_output_lines(std::function<bool(std::string_view line)> observer) override;

    // The supervisor's part, on the io thread.
    void begin();
    void tree_is_gone();
    bool is_done() const { return is_finished_ && tree_gone_; }
    const std::string& mark() const { return mark_; }
    // Closes everything without a word; for the end of the host.
    void abandon();

  private:
    struct Stream {
        std::optional<boost::asio::posix::stream_descriptor> descriptor{};
        bool is_at_end = false;
        bool is_waiting = false;
    };
    void wait_for(Stream& stream);
    void read(Stream& stream);
    bool read_some(Stream& stream);
    void deliver(const Stream& stream, std::string_view bytes);
    void show_lines(std::string_view bytes);
    void end_of(Stream& stream);
    void notice_exit();
    void finish_if_ready();
    void finish();
    void request_end(std::int64_t grace_ms);
    void wait_to_write();
    void flush_input();
    Result<void> write_now(std::string& bytes);
    void close_input_now();
    void on_io(void (ChildProcess::*task)());

    const std::weak_ptr<Supervisor> supervisor_;
    Io& io_;
    const Clock& clock_;
    const ProcessSpec spec_;
    const pid_t pid_;
    const std::uint64_t start_ticks_;
    const std::string mark_;
    const std::int64_t started_ns_;
    std::atomic<bool> is_running_{true};
    std::atomic<bool> is_paused_{false};
    std::atomic<bool> was_requested_{false};

    // io thread
    ProcessHandlers handlers_;
    Stream output_;
    Stream errors_;
    std::optional<boost::asio::posix::stream_descriptor> end_;
    std::optional<boost::asio::posix::stream_descriptor> input_;
    LineCutter error_lines_;
    LineCutter output_lines_; // only while somebody observes
    std::vector<std::function<bool(std::string_view)>> observers_;
    std::optional<ProcessExit> exit_;
    TimerId drain_timer_{};
    bool drain_is_over_ = false;
    bool tree_gone_ = false;
    bool is_finished_ = false;

    mutable std::mutex mutex_;
    OutputTail output_tail_;
    OutputTail error_tail_;
    int input_number_ = -1; // -1: none, or closed
    std::deque<std::string> input_queue_;
    std::size_t input_offset_ = 0; // of the first in the queue
    std::size_t input_bytes_ = 0;  // waiting
    bool closes_input_ = false;    // once the queue is empty
    bool waits_to_write_ = false;
};

} // namespace pillion
