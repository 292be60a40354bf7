// One backend: its process, what is on its way to it and from it, its cache, its breaker. Made by Backends. Any thread
// may call; one mutex guards the state, is held while bytes are handed to the transport (so that messages leave in
// order), and never while callers, listeners or timers are called: what is to be called is gathered in a Turn and run
// behind it.
//
// backend.cpp: calls and their end; backend_run.cpp: start, handshake, sleep, end; backend_input.cpp: what it writes.
#pragma once

#include "ipc/framing.h"
#include "ipc/message.h"
#include "modules/backends/backend_cache.h"
#include "modules/backends/backend_repeats.h"
#include "modules/backends/backend_rules.h"
#include "modules/backends/backends.h"
#include "modules/process/process.h"

#include <deque>
#include <map>
#include <set>
#include <unordered_map>

namespace pillion {

enum class FlightKind : std::uint8_t { call, refresh, handshake, shutdown, notification };

// One message on its way to the backend, and those who wait for its answer.
struct BackendFlight {
    struct Waiter {
        std::uint64_t number = 0;
        BackendCallerPtr caller{};
        bool wants_progress = false;
    };
    FlightKind kind = FlightKind::call;
    std::int64_t id = 0;     // on the backend's wire
    std::string method{};    // decoded
    std::string params{};    // as asked; kept where the answer may be kept
    std::string text{};      // the message; empty once sent
    std::string key{};       // of the cache and of equal calls; empty: neither
    std::uint64_t asked = 0; // hash of method and params, where no rule covers them
    const BackendCacheRule* rule = nullptr;
    std::uint64_t generation = 0; // of the cache, when it was asked
    std::vector<Waiter> waiters{};
    std::string progress_token{}, work_token{}, partial_token{}; // the client's own, as JSON; empty: none
    std::int64_t asked_ns = 0;
    std::int64_t sent_ns = 0;
    bool is_probe = false; // the breaker waits for its outcome
};
using FlightPtr = std::shared_ptr<BackendFlight>;

class Backend : public std::enable_shared_from_this<Backend> {
  public:
    struct Host {
        BackendTransports& transports;
        Timers& timers;
        const Clock& clock;
        BufferPool& buffers;
        ClientRequests* client;
        BackendMemory* memory;
        std::string version;
        std::function<double()> random;
        std::function<void(const BackendChange&)> changed;
        std::function<void(const BackendNotification&)> notified;
    };
    using Done = Backends::Done;

    Backend(std::string name, BackendSpec spec, Host host);

    const BackendSpec& spec() const { return spec_; }
    Result<bool> answer_from_cache(const BackendRequest& request, Buffer& out);
    BackendTicket call(const BackendRequest& request, BackendCallerPtr caller);
    Result<void> notify(std::string_view method, std::string_view params);
    void cancel(const FlightPtr& flight, std::uint64_t number, CancelReason reason);
    void start(Done done);
    void stop(Done done);
    void sleep(Done done);
    std::size_t invalidate(std::string_view method, std::string_view tag);
    Result<void> tune(BackendTuning tuning);
    BackendTuning tuning() const;
    BackendTuning limits() const;
    BackendStatus status() const;
    BackendStats stats() const;
    // The same without memory and latency, which take longer.
    BackendStats counts() const;
    const Histogram& latency_ns() const { return latency_ns_; }
    std::vector<BackendRepeated> repeats() const;
    std::pair<std::size_t, std::size_t> cache_size() const;
    std::size_t clear_cache();

  private:
    // Holds the lock; what must happen without it happens at its end, in order.
    class Turn {
      public:
        explicit Turn(const Backend& backend) : lock_(backend.mutex_) {}
        ~Turn() {
            lock_.unlock();
            for (auto& task : tasks_) task();
        }
        Turn(const Turn&) = delete;
        void after(std::function<void()> task) { tasks_.push_back(std::move(task)); }

      private:
        std::unique_lock<std::mutex> lock_;
        std::vector<std::function<void()>> tasks_;
    };
    enum class Recall : std::uint8_t { untouched, loading, done }; // of what an earlier process kept

    // backend.cpp
    enum class Freshness : std::uint8_t { absent, fresh, stale };
    Freshness freshness(const KeptAnswer* kept, const BackendRequest& request) const;
    KeptAnswer* find_kept(const BackendRequest& request, const BackendCacheRule*& rule);
    const BackendCacheRule* find_rule(std::string_view method, std::string_view params) const;
    bool answer_own(Turn& turn, const BackendRequest& request, const BackendCallerPtr& caller);
    std::optional<Error> refusal(const BackendRequest& request, bool& is_probe);
    FlightPtr make_flight(const BackendRequest& request, const BackendCacheRule* rule);
    std::string outgoing_params(BackendFlight& flight, std::string_view params, bool wants_progress) const;
    void refresh(Turn& turn, const std::string& method, const std::string& params, const BackendCacheRule* rule,
                 std::string key);
    void enqueue(Turn& turn, FlightPtr flight);
    void pump(Turn& turn);
    void pump_batch(Turn& turn);
    bool send(Turn& turn, const FlightPtr& flight);
    Result<void> write(std::string_view text);
    void arm_deadline(Turn& turn);
    void on_deadline();
    void expire(Turn& turn, const FlightPtr& flight);
    void abandon(const FlightPtr& flight);
    void tell_cancelled(const BackendFlight& flight, std::string_view reason);
    void release(const FlightPtr& flight);
    void fail(Turn& turn, const FlightPtr& flight, const Error& error);
    void fail_all(Turn& turn, std::vector<FlightPtr> flights, const Error& error);
    void note_failure();
    std::vector<FlightPtr> take_sent();
    std::vector<FlightPtr> take_queued();
    void close_shared_runs();
    void void_by(Turn& turn, std::string_view notification, std::string_view params);
    Error unavailable(std::string message) const;
    Error full() const;
    std::size_t queue_max() const { return static_cast<std::size_t>(tuning_.queueMax.value_or(spec_.queueMax)); }
    bool is_full() const { return queue_.size() >= queue_max(); }
    bool sends_enough(std::size_t calls) const {
        return calls >= static_cast<std::size_t>(tuning_.concurrency.value_or(spec_.concurrency));
    }
    std::size_t calls_sent() const { return sent_.size() - own_sent_; }

    // backend_run.cpp
    void set_state(Turn& turn, BackendState state, std::string reason = {});
    void wake(Turn& turn);
    void want_running(Turn& turn);
    void recall(Turn& turn);
    void on_recalled(std::vector<BackendMemory::Item> items);
    void launch(std::uint64_t run);
    void send_handshake(Turn& turn);
    std::string handshake_params() const;
    void on_handshake(Turn& turn, const Message& message);
    void become_ready(Turn& turn);
    void check_suspects(Turn& turn);
    void start_failed(Turn& turn, const Error& error);
    void begin_end(Turn& turn, BackendState target);
    void close_down(Turn& turn);
    void on_end(std::uint64_t run, const ProcessExit& exit);
    void after_requested_end(Turn& turn);
    void after_crash(Turn& turn, const ProcessExit& exit);
    void break_off(std::string reason);
    void arm_idle(Turn& turn, std::int64_t delay_ms);
    void on_idle(std::uint64_t run);
    std::string fingerprint() const;
    std::string root_list() const;
    static constexpr std::string_view handshake_method = "initialize";
    bool is_running() const { return state_ == BackendState::starting || state_ == BackendState::ready; }
    void later(std::int64_t delay_ms, std::function<void(Backend&)> task);

    // backend_input.cpp
    void on_output(std::uint64_t run, std::string_view bytes);
    void take_frame(const Frame& frame);
    void take_message(const Message& message);
    void on_response(Turn& turn, const Message& message);
    void finish(Turn& turn, const FlightPtr& flight, const Message& message);
    void keep(Turn& turn, const FlightPtr& flight, std::string_view result);
    void on_notification(Turn& turn, const Message& message, const std::string& method);
    bool on_progress(Turn& turn, const Message& message, const std::string& method);
    void report(Turn& turn, const FlightPtr& flight, std::string_view params);
    void on_request(Turn& turn, const Message& message, const std::string& method);
    std::optional<std::string> declared_answer(const std::string& method, std::string_view params) const;
    void ask_client(Turn& turn, const std::string& id, const std::string& method, std::string_view params);
    void on_client_answer(std::uint64_t run, const std::string& id, const Result<std::string_view>& answer);
    void on_client_late(std::uint64_t run, const std::string& id, std::uint64_t number);
    void drop_client_requests(Turn& turn);
    void complain(std::uint64_t& counter, const char* what, std::string_view text);
    FlightPtr find_by_token(std::string_view token, char& kind) const;

    const std::string name_;
    const BackendSpec spec_;
    const Host host_;
    const BackendRules rules_;

    mutable std::mutex mutex_; // guards what follows, but for framer_ and reader_
    BackendState state_ = BackendState::cold;
    std::string reason_{};
    BackendCache cache_;
    BackendRepeats repeats_;
    BackendTuning tuning_{};
    // Of methods that are or were tuned: what is on its way points at them, so none ever goes.
    std::map<std::string, BackendCacheRule, std::less<>> tuned_rules_{};
    CircuitBreaker breaker_;
    RestartPolicy restarts_;
    std::shared_ptr<BackendTransport> transport_{};
    std::uint64_t run_ = 0; // counts starts: what belongs to an earlier one is passed over
    std::int64_t last_id_ = 0;
    std::uint64_t last_waiter_ = 0;
    std::deque<FlightPtr> queue_{};
    std::map<std::int64_t, FlightPtr> sent_{}; // by id
    std::size_t own_sent_ = 0;                 // of these, handshake and shutdown
    std::unordered_map<std::string, FlightPtr> shared_{};
    std::set<std::int64_t> abandoned_{};                     // ids whose answers nobody wants any more, the latest
    std::map<std::string, std::uint64_t> client_requests_{}; // the client's number by the backend's id
    std::vector<Done> start_waiters_{}, end_waiters_{};
    std::vector<BackendCallerPtr> handshake_waiters_{};
    std::string handshake_result_{};
    BackendState end_target_ = BackendState::stopped;
    bool wake_after_end_ = false;
    bool is_first_start_ = true;
    std::string break_reason_{}; // why we ended it ourselves
    Recall recall_ = Recall::untouched;
    bool deadline_armed_ = false;
    bool flush_due_ = false;
    std::int64_t last_activity_ns_ = 0;
    std::set<std::string, std::less<>> complained_{}; // faults of this run that are in the log
    mutable BackendStats counts_{};
    std::string key_{}; // being made

    std::optional<Framer> framer_; // the io thread's
    MessageReader reader_;         // the io thread's
    Histogram latency_ns_;
};

} // namespace pillion
