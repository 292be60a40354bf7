// One request while it is being worked on. Shared by whoever still needs it (the worker, a timer, the table of calls
// that may be cancelled) and answered exactly once, by whoever comes first: the handler, the deadline, a cancellation.
//
// A direct call lives on the reader thread's stack for the time of its handler; it is never shared and its handler
// never sees a CallPtr.
#pragma once

#include "ipc/base/error.h"
#include "ipc/base/pool.h"
#include "ipc/message.h"
#include "ipc/request_meta.h"
#include "ipc/timers.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace pillion {

struct Method;
class Call;
using CallPtr = std::shared_ptr<Call>;

// Where answers and progress of a call go. Any thread; outlives its calls.
class CallSink {
  public:
    virtual ~CallSink() = default;
    // The call's one answer: its result as JSON, or an error.
    virtual void answered(Call& call, const Result<std::string_view>& result) = 0;
    virtual void progressed(Call& call, double percentage, std::string_view message) = 0;
};

class Call : public std::enable_shared_from_this<Call> {
  public:
    Call(const Method& method, BufferPool& pool, CallSink& sink) : method_(&method), pool_(&pool), sink_(&sink) {}

    const Method& method() const { return *method_; }
    BufferPool& pool() const { return *pool_; }
    // As sent; empty for a notification.
    std::string_view id() const { return id_; }
    // The method's name as sent, escapes included: one method may serve many names (MethodTable::set_fallback).
    std::string_view name() const { return name_; }
    std::string_view params() const { return params_; }
    const RequestMeta& meta() const { return meta_; }
    // Holds decoded text that params point to.
    std::string& scratch() { return scratch_; }
    std::int64_t received_ns() const { return received_ns_; }

    // True once nobody waits for the answer any more: a handler that takes long should look and stop.
    bool is_cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
    // Runs when the call is cancelled, at once if it was already; on the canceller's thread, must not block.
    void on_cancel(std::function<void()> stop);
    // Tells the client how far the work is, if it asked; percentage in 0..100, negative where nobody knows.
    void report_progress(double percentage, std::string_view message = {});

    // Answers. Only the first answer counts, later ones are dropped. Any thread.
    void answer(std::string_view result_json);
    void answer(Error error);
    // As answer(), and asks the handler to stop.
    void cancel(Error error);
    void answer_dropped();
    bool is_answered() const { return answered_.load(std::memory_order_acquire); }

  private:
    friend class Dispatcher;
    void finish(const Result<std::string_view>& result);

    const Method* method_;
    BufferPool* pool_;
    CallSink* sink_;
    std::string_view id_{};
    std::string_view name_{};
    std::string_view params_{};
    RequestMeta meta_{};
    std::string scratch_{};
    std::optional<Buffer> text_{}; // owns what id_ and params_ point to, unless the call is direct
    std::int64_t received_ns_ = 0;
    std::shared_ptr<struct BatchReply> batch_{}; // null for a message of its own
    std::atomic<bool> answered_{false};
    std::atomic<bool> cancelled_{false};
    std::atomic<bool> progress_begun_{false};
    std::mutex mutex_;
    TimerId deadline_{};           // guarded by mutex_
    std::function<void()> stop_{}; // guarded by mutex_
};

} // namespace pillion
