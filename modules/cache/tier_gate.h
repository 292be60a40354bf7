// The way to one slower tier: opens it at the first need, bounds how long anybody waits for it, leaves it alone while
// it is down and asks after it with growing pauses, and keeps what it has not confirmed yet, so that a read never finds
// an older value than was written. Owned by the cache; any thread.
//
// What is kept while the tier is down or behind: writes by key (at most pending_bytes_max, then only that the key is
// void) and invalidations as rules (at most rules_max, then everything older is void). Both are sent when it is back.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/metric.h"
#include "ipc/timers.h"
#include "ipc/serial_executor.h"
#include "modules/cache/cache_types.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace pillion {

struct CacheTierSource {
    std::string name{};
    bool is_shared = false; // other machines use it: they are told, and heard
    std::function<Result<std::shared_ptr<CacheTier>>()> open{};
};

enum class TierOutcome : std::uint8_t { hit, miss, skipped, timeout, error };
std::string_view tier_outcome_name(TierOutcome outcome);

struct TierRead {
    TierOutcome outcome = TierOutcome::miss;
    TierValue value{};
    std::string reason{}; // of an error
    double waited_ms = 0;
};

enum class TierState : std::uint8_t { unopened, opening, up, down };

struct TierGateStats {
    TierState state = TierState::unopened;
    std::string trouble{};
    std::uint64_t hits = 0, misses = 0, skipped = 0, timeouts = 0, errors = 0, writes = 0, failed_writes = 0;
    std::uint64_t pending_writes = 0, pending_bytes = 0, rules = 0;
    HistogramSummary read_ns{}, write_ns{};
    TierStats tier{}; // as the tier says; empty while it is not open
};

class TierGate : public std::enable_shared_from_this<TierGate> {
  public:
    static constexpr std::size_t pending_bytes_max = 32 * 1024 * 1024;
    static constexpr std::size_t pending_keys_max = 100'000;
    static constexpr std::size_t rules_max = 256;
    static constexpr int failures_max = 3; // in a row; then it is down
    static constexpr std::int64_t pause_ms_first = 1000;
    static constexpr std::int64_t pause_ms_max = 60'000;
    static constexpr std::int64_t full_told_again_ns = 60'000'000'000; // how long it need not be said again
    static constexpr std::int64_t probe_ms = 2000;                     // how long a probe may take

    struct Host {
        const Clock& clock;
        Timers& timers;
        SerialExecutor& executor;
        std::function<void(const CacheTrouble&)> trouble{};
        std::function<void(TierGate&, const CacheTier::Notice&)> notice{};
    };

    TierGate(CacheTierSource source, Host host) : source_(std::move(source)), host_(std::move(host)) {}

    const std::string& name() const { return source_.name; }
    bool is_shared() const { return source_.is_shared; }
    TierState state() const { return state_.load(std::memory_order_acquire); }
    // Smoothed time of a read; 0 before the first.
    double read_ms() const { return read_ms_.load(std::memory_order_relaxed); }

    // Answers once, within `hard_ms`.
    void read(const TierKey& key, std::int64_t hard_ms, std::function<void(TierRead)> done);
    // Answers when the tier has it, or with -32001 after `hard_ms` or -32005 while it is down: then it is tried again
    // later by itself.
    // In two steps, so that the first may be done under the cache's lock of the key: from stage() on, reads find this
    // value (none: the key is to be removed); push() sends it.
    void stage(const TierKey& key, std::optional<TierValue> value, std::int64_t version, std::int64_t hard_ms,
               CacheTier::Done done);
    void push(const TierKey& key);
    // As push() within `delay_ms`; later writes of the key take its place.
    void push_later(std::int64_t delay_ms);
    // How many went; -32005 while it is down: a rule holds until the tier has confirmed it.
    void invalidate(const TierSelection& selection, std::int64_t version, std::int64_t hard_ms,
                    CacheTier::Counted done);
    void list(TierSelection selection, std::string after, std::size_t limit, std::int64_t hard_ms,
              CacheTier::Listed done);
    void announce(const TierSelection& selection);
    // Whether a record from this tier may be believed: no unconfirmed rule speaks against it.
    bool trusts(const TierKey& key, const RecordMeta& meta) const;
    // Sends what was put off.
    void flush();
    TierGateStats stats() const;
    // Sends what is pending, then stops the tier; waits for it. Nothing is answered afterwards but with -32005.
    void stop();

  private:
    using TierPointer = std::shared_ptr<CacheTier>;
    struct Pending {
        TierKey key{};
        std::optional<TierValue> value{}; // none: the key is to be removed
        std::uint64_t sequence = 0;
        bool in_flight = false;
        std::vector<CacheTier::Done> waiting{};
        std::size_t bytes() const { return key.name.size() + (value ? value->record.size() : 0) + 128; }
    };
    struct Rule {
        TierSelection selection{};
        std::int64_t version = 0;
        std::uint64_t id = 0;
    };

    // Calls `use` with the tier, once it is open, or with null where it is not to be had.
    using Use = std::function<void(const TierPointer&)>;
    void with_tier(Use use);
    void open();
    void opened(const Result<TierPointer>& tier);
    void listen(CacheTier& tier);
    template <class Answer>
    std::function<void(Answer)> bounded(std::int64_t hard_ms, Answer late, std::function<void(Answer)> done);
    void give_up_pending(std::vector<CacheTier::Done>& waiting);
    void send(const std::string& id);
    void sent(const std::string& id, std::uint64_t sequence, std::int64_t began_ns, const Result<void>& result);
    void drop_matching(const TierSelection& selection);
    void send_rule(const Rule& rule, CacheTier::Counted done);
    void succeeded();
    void failed(const Error& error);
    void tell_if_full(const Error& error);
    void go_down(const std::string& reason);
    void schedule_probe();
    void probe();
    void come_back();
    void tell(std::string kind, std::string detail) const;
    double since_ms(std::int64_t began_ns) const {
        return static_cast<double>(host_.clock.now_ns() - began_ns) / 1'000'000;
    }

    const CacheTierSource source_;
    const Host host_;
    std::atomic<TierState> state_{TierState::unopened};
    std::atomic<double> read_ms_{0};
    std::atomic<int> failures_{0};
    std::atomic<std::uint64_t> hits_{0}, misses_{0}, skipped_{0}, timeouts_{0}, errors_{0}, writes_{0},
        failed_writes_{0};
    Histogram read_ns_, write_ns_;

    mutable std::mutex mutex_; // guards what follows
    TierPointer tier_;
    std::string trouble_;
    std::vector<Use> waiting_;                         // for the opening
    std::unordered_map<std::string, Pending> pending_; // by namespace, NUL, name
    std::size_t pending_bytes_ = 0;
    std::uint64_t sequence_ = 0;
    std::vector<Rule> rules_;
    std::int64_t distrust_before_ = 0; // versions
    std::int64_t newest_ = 0;          // version of what was ever staged
    std::int64_t pause_ms_ = pause_ms_first;
    std::optional<std::int64_t> full_told_ns_{};
    TimerId probe_timer_{};
    TimerId flush_timer_{};
    bool flush_planned_ = false;
    bool stopped_ = false;
};

// Whether an entry is one of those selected, as far as its key and record tell.
bool selection_covers(const TierSelection& selection, const TierKey& key, const RecordMeta& meta);

} // namespace pillion
