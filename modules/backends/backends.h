// Backends: processes that speak JSON-RPC over their stdio, behind one door. They are started by their first call, kept
// alive, put to sleep when nobody calls, restarted when they crash; their answers are cached by rules, equal calls
// share one run, ids are rewritten, and whatever a backend writes, no answer goes to a wrong caller.
//
// Owned by the composition root; outlives nothing that `Host` names. Any thread may call. Callers and listeners are
// called on the io thread, or inside the call that causes it, and must not block. Nothing is started and nothing opened
// before the first call.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/base/metric.h"
#include "ipc/base/pool.h"
#include "ipc/request_meta.h"
#include "ipc/timers.h"
#include "modules/backends/backend_spec.h"
#include "modules/backends/backend_transport.h"
#include "modules/backends/circuit_breaker.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

class Backend;
class Store;
struct BackendFlight;

enum class BackendState : std::uint8_t {
    cold,     // never started; the first call starts it
    starting, // until its handshake is done
    ready,
    asleep, // stopped for want of work; the next call that no cached answer serves wakes it
    stopping,
    stopped, // by request; calls are refused until it is started
    waiting, // crashed; started again after a while
    failed,  // could not be started, or crashed too often; a call tries again when the circuit breaker lets it
};

struct BackendRequest {
    std::string_view method{}; // decoded
    std::string_view params{}; // an object or array; empty where there are none
    CacheMode cache = CacheMode::standard;
    std::optional<std::int64_t> max_age_ms{};
    std::int64_t stale_ok_ms = 0;
    bool wants_progress = false;
};

// Who waits for the answer of a call.
class BackendCaller {
  public:
    virtual ~BackendCaller() = default;
    // Once, unless the call was cancelled: the result as JSON, or an error; an error of the backend itself has `raw`.
    virtual void answered(const Result<std::string_view>& result) = 0;
    // Percentage in 0..100, negative where it is unknown.
    virtual void progressed(double percentage, std::string_view message) = 0;
};
using BackendCallerPtr = std::shared_ptr<BackendCaller>;

enum class CancelReason : std::uint8_t { caller_left, timeout };

// A call on its way.
class BackendTicket {
  public:
    BackendTicket() = default;
    BackendTicket(std::weak_ptr<Backend> backend, std::weak_ptr<BackendFlight> flight, std::uint64_t number)
        : backend_(std::move(backend)), flight_(std::move(flight)), number_(number) {}
    // Its caller is forgotten: nothing is answered any more. The backend is told if nobody else waits.
    void cancel(CancelReason reason) const;

  private:
    std::weak_ptr<Backend> backend_{};
    std::weak_ptr<BackendFlight> flight_{};
    std::uint64_t number_ = 0;
};

// The app's own side, as backends reach it. Calls must not block and never answer from inside.
class ClientRequests {
  public:
    virtual ~ClientRequests() = default;
    // Sends a request; `done` gets the result as JSON, or the client's error with `raw`. What cannot be asked is an
    // error from here. The number is for forget().
    virtual Result<std::uint64_t> ask(std::string_view method, std::string_view params,
                                      std::function<void(const Result<std::string_view>&)> done) = 0;
    // Nobody wants that answer any more; the client is told.
    virtual void forget(std::uint64_t number) = 0;
    virtual void notify(std::string_view method, std::string_view params) = 0;
};

// What outlives the process: a backend's capability lists and the result of its handshake, so that they are answered
// before it runs. Any thread.
class BackendMemory {
  public:
    struct Item {
        std::string method{};
        std::string params{};
        std::string json{};
    };
    virtual ~BackendMemory() = default;
    // `done` comes from any thread, never from inside.
    virtual void load(const std::string& backend, const std::string& fingerprint,
                      std::function<void(std::vector<Item>)> done) = 0;
    virtual void save(const std::string& backend, const std::string& fingerprint, Item item) = 0;
    virtual void forget(const std::string& backend, const std::string& method) = 0;
};
// In a table of `store`; adds its schema, so before the store is opened.
std::unique_ptr<BackendMemory> store_memory(Store& store, const Clock& clock);

struct BackendChange {
    std::string backend{};
    BackendState state = BackendState::cold;
    std::string reason{}; // why, where that is not plain
};

struct BackendNotification {
    std::string_view backend;
    std::string_view method;
    std::string_view params; // empty where there are none
};

struct BackendStatus {
    std::string name{};
    BackendKind kind = BackendKind::plain;
    BackendState state = BackendState::cold;
    BreakerState breaker = BreakerState::closed;
    std::optional<std::int64_t> pid{};
    std::vector<std::string> command;
    std::optional<std::string> reason{}; // of a state that is not plain
    std::int64_t inFlight = 0;
    std::int64_t queued = 0;
};

struct BackendLatency {
    std::uint64_t count = 0;
    double p50Us = 0;
    double p95Us = 0;
    double p99Us = 0;
    double maxUs = 0;
};

struct BackendStats {
    std::string name{};
    BackendState state = BackendState::cold;
    BreakerState breaker = BreakerState::closed;
    std::uint64_t calls = 0; // all that were asked, however they were answered
    std::uint64_t hits = 0;  // answered from the cache
    std::uint64_t staleServed = 0;
    std::uint64_t coalesced = 0; // joined a run that another call had started
    std::uint64_t sent = 0;      // requests that went to the backend
    std::uint64_t batches = 0;
    std::uint64_t errors = 0;   // the backend's own
    std::uint64_t failures = 0; // unavailable: it died, would not start, the breaker was open
    std::uint64_t timeouts = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t refused = 0; // the queue was full
    std::uint64_t notificationsIn = 0;
    std::uint64_t notificationsOut = 0;
    std::uint64_t clientRequests = 0;
    std::uint64_t garbage = 0; // what was no message
    std::uint64_t oversized = 0;
    std::uint64_t unknownIds = 0;
    std::uint64_t duplicateAnswers = 0;
    std::uint64_t lateAnswers = 0; // to calls that had been cancelled or timed out
    std::uint64_t starts = 0;
    std::uint64_t restarts = 0;
    std::uint64_t crashes = 0;
    std::uint64_t sleeps = 0;
    std::uint64_t wakes = 0;
    std::uint64_t breakerOpenings = 0;
    std::uint64_t invalidations = 0;
    std::int64_t inFlight = 0;
    std::int64_t queued = 0;
    std::int64_t queueHighWater = 0;
    std::uint64_t cacheEntries = 0;
    std::uint64_t cacheBytes = 0;
    std::uint64_t cacheEvictions = 0;
    std::uint64_t memoryBytes = 0;
    BackendLatency latency; // of requests that went to the backend
};

// What of a backend may be changed while it runs. What is absent is as it was declared.
struct BackendTuning {
    std::optional<std::int64_t> concurrency{};
    std::optional<std::int64_t> queueMax{};
    std::map<std::string, std::int64_t> kept_ms{}; // for how long answers of these methods are kept
};

// A method that no cache rule covers: how often it was asked the same, and whether it answered otherwise then.
struct BackendRepeated {
    std::string backend{};
    std::string method{};
    std::uint64_t calls = 0;
    std::uint64_t repeats = 0;
    std::uint64_t contradictions = 0;
    double meanMs = 0;
};

class Backends {
  public:
    struct Host {
        BackendTransports& transports;
        Timers& timers;
        const Clock& clock;
        BufferPool& buffers;
        ClientRequests* client = nullptr; // null: nobody answers the backends' own requests
        BackendMemory* memory = nullptr;  // null: nothing outlives the process
        std::string version = "0";        // of this program, for handshakes
        std::function<double()> random{}; // 0..1, for delays; empty: a generator of its own
    };
    using Done = std::function<void(const Result<void>&)>;

    explicit Backends(Host host);
    ~Backends();
    Backends(const Backends&) = delete;

    // Declares them all: what is gone is stopped, what has changed is stopped and starts anew with its next call, what
    // is equal stays as it is. -32602 names the backend and changes nothing.
    Result<void> configure(std::map<std::string, BackendSpec> specs);
    // Declares one, in place of the one of that name.
    Result<void> declare(const std::string& name, BackendSpec spec);
    bool remove(const std::string& name);
    bool empty() const;
    // In place of the tuning before, while the backend runs on; it ends with the process, and when another backend is
    // declared in its place. -32602 for what no declaration could say, or a method that a rule covers.
    Result<void> tune(std::string_view name, BackendTuning tuning);
    Result<BackendTuning> tuning(std::string_view name) const;
    // What holds now: as declared, or as tuned.
    Result<BackendTuning> limits(std::string_view name) const;

    // Appends the answer if it is at hand; false if the backend must be asked. For the reader thread.
    Result<bool> answer_from_cache(std::string_view name, const BackendRequest& request, Buffer& out);
    // The request's texts need not live longer than the call.
    BackendTicket call(std::string_view name, const BackendRequest& request, BackendCallerPtr caller);
    Result<void> notify(std::string_view name, std::string_view method, std::string_view params);

    // `done` comes when it is ready, or why it is not.
    void start(std::string_view name, Done done);
    // `done` comes when nothing of it is left. Calls are refused until it is started again.
    void stop(std::string_view name, Done done);
    // As if it had been idle; -32007 while calls are in flight.
    void sleep(std::string_view name, Done done);
    // Stops all, for the end of the program; later calls are refused. `done` once.
    void stop_all(std::function<void()> done);

    // Drops cached answers: of methods that match `method` (empty: any) and rules with `tag` (empty: any). How many.
    Result<std::size_t> invalidate(std::string_view name, std::string_view method, std::string_view tag);

    std::vector<BackendStatus> list() const;
    // Reads memory from /proc: not for the reader thread.
    Result<BackendStats> stats(std::string_view name) const;
    // What each has counted, and its latencies, without reading /proc: memoryBytes and latency are left at 0.
    void visit_counts(const std::function<void(const BackendStats&, const Histogram& latency_ns)>& visit) const;
    // Methods whose answers are not kept, as far as they were called.
    std::vector<BackendRepeated> repeats() const;
    // Bytes and entries of all caches.
    std::pair<std::size_t, std::size_t> cache_size() const;
    std::size_t clear_caches();

    // At composition.
    void on_change(std::function<void(const BackendChange&)> listener);
    void on_notification(std::function<void(const BackendNotification&)> listener);

  private:
    Result<std::shared_ptr<Backend>> find(std::string_view name) const;
    void retire(std::shared_ptr<Backend> old);

    const Host host_;
    std::function<void(const BackendChange&)> changed_;
    std::function<void(const BackendNotification&)> notified_;
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<Backend>, std::less<>> backends_; // guarded by mutex_
    std::vector<std::shared_ptr<Backend>> retired_;                         // are ending; guarded by mutex_
    bool stopped_ = false;                                                  // guarded by mutex_
};

} // namespace pillion
