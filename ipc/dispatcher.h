// From a message to its answer: finds the method, reads `_meta`, serves from the response cache, runs the method in its
// lane, and answers each request once. Knows no transport beyond the outbox and no method beyond the table.
//
// receive(), refuse() and flush() are the reader thread's. Answers come from any thread. Life of a request:
//   direct     decoded, run and written into the reader's own buffer, which flush() sends; nothing is shared
//   pooled     copied into a Call, queued by priority, run by a worker, answered from there
//   async      copied into a Call, started on the reader thread, answered by whoever finishes it
//   hybrid     tried as a direct one first, then as an async one
// and, for a method that is cached: an equal answer that is kept is served on the reader thread; an equal request that
// runs already is waited for (a "flight"), whoever asked first may leave without ending it.
#pragma once

#include "ipc/base/memory_pools.h"
#include "ipc/base/trace.h"
#include "ipc/call.h"
#include "ipc/frame_writer.h"
#include "ipc/message.h"
#include "ipc/method.h"
#include "ipc/outbox.h"
#include "ipc/response_cache.h"
#include "ipc/result_pipeline.h"
#include "ipc/worker_pool.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pillion {

struct DispatcherOptions {
    MessageLimits message{};
    std::size_t workers = 2;
    std::size_t in_flight_calls_max = limits::in_flight_calls;
    std::size_t in_flight_bytes_max = limits::in_flight_bytes;
    std::size_t cache_entries_max = 1024;
    std::size_t cache_bytes_max = 8 * limits::kMiB;
};

// The answers of one batch, gathered until the last member is done.
struct BatchReply {
    explicit BatchReply(BufferPool& pool) : out(pool) {}
    std::mutex mutex;
    Buffer out; // the frame so far; guarded by mutex
    std::size_t mark = 0;
    std::size_t remaining = 1; // members to come, and one for the reader thread itself; guarded by mutex
    bool any = false;          // an answer is in it; guarded by mutex
};

class Dispatcher final : public CallSink {
  public:
    // The host of the dispatcher: what it needs of the rest.
    struct Host {
        const MethodTable& methods;
        Outbox& outbox;
        FrameWriter& frames;
        MemoryPools& pools;
        Timers& timers;
        const Clock& clock;
    };

    Dispatcher(const Host& host, const DispatcherOptions& options);
    ~Dispatcher() override;

    // New bytes have come: the messages that follow were received now. Those behind a direct call count from its end,
    // so that one look at the clock serves for both.
    void begin_read();
    // Takes one JSON text. Views into it are not kept.
    void receive(std::string_view text);
    // Answers a message that could not even be cut out of the stream (id null).
    void refuse(const Error& error);
    // Sends what direct calls have answered; then waits while the backlog or the calls in flight are over their bounds,
    // as long as `go_on` says so.
    void flush(const std::function<bool()>& go_on);
    // Whether direct calls have answered so much since the last flush that it should not wait for more.
    bool has_much_to_send() const { return out_.size() >= limits::outbox_event_bytes; }
    // Waits until every accepted request is answered; what is left after that time is answered with -32005. Whether
    // none was.
    bool drain(std::int64_t wait_ms_max);

    // Runs a method for a part of Pillion itself, as if a client had called it. `done` comes once, from any thread,
    // also from inside. Unknown names are -32601.
    void run_own(std::string_view method, std::string_view params,
                 std::function<void(const Result<std::string_view>&)> done);

    // Responses to requests that Pillion itself sent; unknown ones are logged.
    void set_response_handler(std::function<bool(const Message&)> handler) { response_handler_ = std::move(handler); }
    // On the reader thread, whenever the answers of direct calls have been handed to the outbox.
    void set_flushed_handler(std::function<void()> handler) { flushed_handler_ = std::move(handler); }
    // Tells the sink of every request, until it is null again. It may be told of one more just then. Any thread.
    void set_trace(TraceSink* sink) { trace_.store(sink, std::memory_order_release); }

    ResponseCache& cache() { return cache_; }
    const WorkerPool& workers() const { return workers_; }
    // From now on so many workers, at least one. Any thread.
    void set_workers(std::size_t workers) { workers_.resize(workers); }
    std::size_t in_flight() const { return in_flight_calls_.load(std::memory_order_relaxed); }
    const Histogram& batch_sizes() const { return batch_sizes_; }
    const DispatcherOptions& options() const { return options_; }

    void answered(Call& call, const Result<std::string_view>& result) override;
    void progressed(Call& call, double percentage, std::string_view message) override;

  private:
    struct Flight; // one run of a cached method that several requests wait for
    struct OwnCall;

    void handle(const Message& message, const std::shared_ptr<BatchReply>& batch, Buffer* inline_out);
    void handle_batch();
    void handle_shared(std::span<const Message> messages, const std::shared_ptr<BatchReply>& batch);
    void leave_inline(std::size_t index, std::size_t content, std::size_t mark);
    bool runs_inline(const Message& message) const;
    void call_method(const Method& method, const Message& message, const std::shared_ptr<BatchReply>& batch,
                     Buffer* inline_out);
    // False if a hybrid method declined: nothing was written, and it is to be started.
    bool run_direct(const Method& method, const Message& message, Buffer& out);
    Result<bool> run_into(const Method& method, Call& call, Buffer& out);
    void start_call(const Method& method, const Message& message, const RequestMeta& meta,
                    const std::shared_ptr<BatchReply>& batch);
    bool serve_from_cache(const Method& method, Call& call, const std::string& key, bool& refresh);
    void prepare_runner(Call& runner, const Call& wanted);
    enum class FlightFor : std::uint8_t { miss, refresh };
    void join_flight(const CallPtr& call, std::string key, FlightFor purpose);
    void finish_flight(const std::string& key, const Method& method, std::uint64_t generation,
                       const Result<std::string_view>& result);
    void land_flight(const std::string& key, const Result<std::string_view>& result);
    void dispatch(const CallPtr& call);
    void run_pooled(const CallPtr& call);
    void cancel_by_id(const Message& message, std::string_view member);
    CallPtr make_call(const Method& method, const Message& message, const std::shared_ptr<BatchReply>& batch);

    // Appends one response to `out`, unframed; nothing for a notification.
    void append_response(const Call& call, const Result<std::string_view>& result, const AnswerOrigin& origin,
                         Buffer& out);
    void append_error(std::string_view id, const Error& error, Buffer& out);
    // Appends an unframed response to the batch, or frames and sends it.
    void deliver(const std::shared_ptr<BatchReply>& batch, Buffer& response);
    void leave_batch(const std::shared_ptr<BatchReply>& batch, Buffer* response);
    void answer_error(const Message& message, const Error& error, const std::shared_ptr<BatchReply>& batch,
                      Buffer* inline_out);
    // When a step begins that is traced; 0 while nobody traces.
    std::int64_t trace_begin() const { return trace_.load(std::memory_order_acquire) ? host_.clock.now_ns() : 0; }
    void trace(TraceStep step, const Call& call, std::int64_t begun_ns, std::size_t result_bytes, bool failed) const;
    void track(const CallPtr& call);
    void untrack(const Call& call);

    const Host host_;
    const DispatcherOptions options_;
    MessageReader reader_;
    Buffer out_;                       // answers of direct calls, framed; the reader thread's
    Buffer result_;                    // a direct result on its way through the pipeline; the reader thread's
    bool inline_any_ = false;          // an answer stands in the inline batch
    const Method* declined_ = nullptr; // the hybrid method that the message being handled is to be started with
    Call direct_call_;                 // the call that the reader thread is running; the reader thread's
    std::string key_;                  // cache key being made; the reader thread's
    std::function<bool(const Message&)> response_handler_;
    std::function<void()> flushed_handler_;
    std::atomic<TraceSink*> trace_{nullptr};
    Histogram batch_sizes_;
    ResponseCache cache_;

    std::mutex flights_mutex_;
    std::unordered_map<std::string, std::shared_ptr<Flight>> flights_; // guarded by flights_mutex_

    std::mutex calls_mutex_;
    std::condition_variable calls_changed_;
    std::unordered_multimap<std::string_view, CallPtr> calls_; // by id as sent; guarded by calls_mutex_
    std::atomic<std::size_t> in_flight_calls_{0};
    std::atomic<std::size_t> in_flight_bytes_{0};

    WorkerPool workers_; // last: its threads use all of the above
};

} // namespace pillion
