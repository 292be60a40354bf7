// A circuit breaker (Nygard, Release It!) around a tier, with the writes and invalidations that it has not confirmed.
#include "modules/cache/tier_gate.h"

#include <algorithm>
#include <random>

namespace pillion {

namespace {

std::string id_of(const TierKey& key) {
    std::string id;
    id.reserve(key.space.size() + 1 + key.name.size());
    return id.append(key.space).append(1, '\0').append(key.name);
}

Error is_down(const std::string& name) { return {ErrorCode::unavailable, "the tier \"" + name + "\" is down", {}, {}}; }

// Up to a quarter more, so that many sidecars do not ask at once.
std::int64_t jittered(std::int64_t pause_ms) {
    thread_local std::minstd_rand random(std::random_device{}());
    return pause_ms + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(pause_ms / 4 + 1));
}

} // namespace

std::string_view tier_outcome_name(TierOutcome outcome) {
    switch (outcome) {
    case TierOutcome::hit:
        return "hit";
    case TierOutcome::miss:
        return "miss";
    case TierOutcome::skipped:
        return "skipped";
    case TierOutcome::timeout:
        return "timeout";
    case TierOutcome::error:
        return "error";
    }
    return "";
}

bool selection_covers(const TierSelection& selection, const TierKey& key, const RecordMeta& meta) {
    if (!selection.space.empty() && selection.space != key.space) return false;
    if (selection.name && *selection.name != key.name) return false;
    if (selection.pattern && !glob_match(*selection.pattern, key.parts.empty() ? key.name : key.parts)) return false;
    if (selection.tag && std::ranges::find(meta.tags, *selection.tag) == meta.tags.end()) return false;
    if (selection.created_before_ms && meta.created_ms >= *selection.created_before_ms) return false;
    return true;
}

void TierGate::tell(std::string kind, std::string detail) const {
    if (host_.trouble) host_.trouble({std::move(kind), source_.name, {}, {}, std::move(detail)});
}

// Opening.

void TierGate::with_tier(Use use) {
    TierPointer tier;
    bool opens = false;
    {
        const std::lock_guard lock(mutex_);
        if (stopped_ || state() == TierState::down) {
            // answered below
        } else if (tier_) {
            tier = tier_;
        } else {
            waiting_.push_back(std::move(use));
            use = nullptr;
            opens = state() == TierState::unopened;
            if (opens) state_ = TierState::opening;
        }
    }
    if (opens) open();
    if (use) use(tier);
}

void TierGate::open() {
    host_.executor.post([self = shared_from_this()] { self->opened(self->source_.open()); });
}

void TierGate::listen(CacheTier& tier) {
    tier.on_notice([weak = weak_from_this()](const CacheTier::Notice& notice) {
        if (const auto self = weak.lock(); self && self->host_.notice) self->host_.notice(*self, notice);
    });
}

void TierGate::opened(const Result<TierPointer>& result) {
    TierPointer tier;
    std::vector<Use> waiting;
    if (result) listen(**result); // a tier begins to hear with its first call, which anybody may make from here on
    {
        const std::lock_guard lock(mutex_);
        waiting.swap(waiting_);
        if (result && stopped_) {
            (*result)->stop();
        } else if (result) {
            tier = tier_ = *result;
            state_ = TierState::up;
        }
    }
    if (!tier) go_down(result ? "it was stopped" : result.error().message);
    for (const Use& use : waiting) use(tier);
}

// Waiting. Whoever asks is answered by the tier or by the clock, whichever is first.

template <class Answer>
std::function<void(Answer)> TierGate::bounded(std::int64_t hard_ms, Answer late, std::function<void(Answer)> done) {
    struct Wait {
        std::mutex mutex;
        std::function<void(Answer)> done; // empty once answered
        TimerId timer{};
    };
    const auto wait = std::make_shared<Wait>();
    wait->done = std::move(done);
    const auto take = [](Wait& from) {
        const std::lock_guard lock(from.mutex);
        return std::exchange(from.done, nullptr);
    };
    {
        const std::lock_guard lock(wait->mutex);
        wait->timer =
            host_.timers.after_ms(hard_ms, [wait, take, late = std::move(late), weak = weak_from_this()]() mutable {
                const auto answer = take(*wait);
                if (!answer) return;
                if (const auto self = weak.lock()) {
                    self->timeouts_.fetch_add(1, std::memory_order_relaxed);
                    self->failed({ErrorCode::timeout, "it did not answer in time", {}, {}});
                }
                answer(std::move(late));
            });
    }
    return [wait, take, &timers = host_.timers](Answer answer) {
        const auto waiting = take(*wait);
        if (!waiting) return;
        TimerId timer;
        {
            const std::lock_guard lock(wait->mutex);
            timer = wait->timer;
        }
        timers.cancel(timer);
        waiting(std::move(answer));
    };
}

void TierGate::read(const TierKey& key, std::int64_t hard_ms, std::function<void(TierRead)> done) {
    {
        std::optional<TierRead> known;
        {
            const std::lock_guard lock(mutex_);
            if (const auto at = pending_.find(id_of(key)); at != pending_.end()) {
                known.emplace();
                if (at->second.value) *known = {TierOutcome::hit, *at->second.value, {}, 0};
            }
        }
        if (known) return done(std::move(*known));
    }
    if (state() == TierState::down) {
        skipped_.fetch_add(1, std::memory_order_relaxed);
        return done({TierOutcome::skipped, {}, {}, 0});
    }
    const std::int64_t began_ns = host_.clock.now_ns();
    TierRead late{TierOutcome::timeout,
                  {},
                  "it did not answer within " + std::to_string(hard_ms) + " ms",
                  static_cast<double>(hard_ms)};
    auto answer = bounded<TierRead>(hard_ms, std::move(late), std::move(done));
    with_tier([self = shared_from_this(), key, began_ns, answer = std::move(answer)](const TierPointer& tier) {
        if (!tier) return answer({TierOutcome::skipped, {}, {}, self->since_ms(began_ns)});
        tier->get(key, [self, began_ns, answer](Result<std::optional<TierValue>> got) {
            const double waited_ms = self->since_ms(began_ns);
            if (!got) {
                self->errors_.fetch_add(1, std::memory_order_relaxed);
                if (got.error().code != ErrorCode::corrupt) self->failed(got.error());
                return answer({TierOutcome::error, {}, got.error().message, waited_ms});
            }
            self->succeeded();
            self->read_ns_.record(static_cast<std::uint64_t>(waited_ms * 1'000'000));
            const double smoothed = self->read_ms();
            self->read_ms_ = smoothed == 0 ? waited_ms : smoothed * 0.9 + waited_ms * 0.1;
            (*got ? self->hits_ : self->misses_).fetch_add(1, std::memory_order_relaxed);
            if (*got)
                answer({TierOutcome::hit, std::move(**got), {}, waited_ms});
            else
                answer({TierOutcome::miss, {}, {}, waited_ms});
        });
    });
}

// Writes.

// With mutex_ held. More keys wait than can be kept: from here on nothing older than now is believed.
void TierGate::give_up_pending(std::vector<CacheTier::Done>& waiting) {
    for (auto& [id, pending] : pending_) std::ranges::move(pending.waiting, std::back_inserter(waiting));
    pending_.clear();
    pending_bytes_ = 0;
    distrust_before_ = std::max(distrust_before_, newest_ + 1);
}

void TierGate::stage(const TierKey& key, std::optional<TierValue> value, std::int64_t version, std::int64_t hard_ms,
                     CacheTier::Done done) {
    if (done)
        done = bounded<Result<void>>(
            hard_ms, fail(ErrorCode::timeout, "the tier \"" + source_.name + "\" did not confirm in time"),
            std::move(done));
    std::vector<CacheTier::Done> waiting;
    {
        const std::lock_guard lock(mutex_);
        newest_ = std::max(newest_, version);
        if (pending_.size() >= pending_keys_max) give_up_pending(waiting);
        Pending& pending = pending_[id_of(key)];
        if (pending.sequence != 0) pending_bytes_ -= pending.bytes();
        pending.key = key;
        pending.value = std::move(value);
        pending.sequence = ++sequence_;
        if (pending_bytes_ + pending.bytes() > pending_bytes_max) pending.value.reset(); // at least the old one is void
        pending_bytes_ += pending.bytes();
        if (done) pending.waiting.push_back(std::move(done));
    }
    for (const auto& dropped : waiting) dropped(std::unexpected(is_down(source_.name)));
}

void TierGate::push(const TierKey& key) { send(id_of(key)); }

void TierGate::push_later(std::int64_t delay_ms) {
    const std::lock_guard lock(mutex_);
    if (stopped_ || flush_planned_) return;
    flush_planned_ = true;
    flush_timer_ = host_.timers.after_ms(delay_ms, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->flush();
    });
}

void TierGate::flush() {
    std::vector<std::string> ids;
    {
        const std::lock_guard lock(mutex_);
        flush_planned_ = false;
        for (const auto& [id, pending] : pending_)
            if (!pending.in_flight) ids.push_back(id);
    }
    for (const std::string& id : ids) send(id);
}

void TierGate::send(const std::string& id) {
    if (state() == TierState::down) {
        std::vector<CacheTier::Done> waiting;
        {
            const std::lock_guard lock(mutex_);
            if (const auto at = pending_.find(id); at != pending_.end()) waiting.swap(at->second.waiting);
        }
        for (const auto& done : waiting) done(std::unexpected(is_down(source_.name)));
        return;
    }
    with_tier([self = shared_from_this(), id](const TierPointer& tier) {
        if (!tier) return self->send(id); // it is down by now: answers those who wait
        TierKey key;
        std::optional<TierValue> value;
        std::uint64_t sequence = 0;
        {
            const std::lock_guard lock(self->mutex_);
            const auto at = self->pending_.find(id);
            if (at == self->pending_.end() || at->second.in_flight) return;
            at->second.in_flight = true;
            key = at->second.key;
            value = at->second.value;
            sequence = at->second.sequence;
        }
        auto done = [self, id, sequence, began_ns = self->host_.clock.now_ns()](const Result<void>& result) {
            self->sent(id, sequence, began_ns, result);
        };
        if (value)
            tier->put(std::move(key), std::move(*value), std::move(done));
        else
            tier->remove(std::move(key), std::move(done));
    });
}

void TierGate::sent(const std::string& id, std::uint64_t sequence, std::int64_t began_ns, const Result<void>& result) {
    std::vector<CacheTier::Done> waiting;
    bool again = false;
    {
        const std::lock_guard lock(mutex_);
        const auto at = pending_.find(id);
        if (at == pending_.end()) return;
        Pending& pending = at->second;
        pending.in_flight = false;
        const bool is_latest = pending.sequence == sequence;
        if (result && is_latest) {
            waiting.swap(pending.waiting);
            pending_bytes_ -= pending.bytes();
            pending_.erase(at);
        } else if (result) {
            again = true;
        } else {
            waiting.swap(pending.waiting);
            // What the tier cannot take must not leave an older value there.
            const bool is_refused =
                !error_is_retryable(result.error().code) || result.error().code == ErrorCode::exhausted;
            if (is_refused && is_latest && pending.value) {
                pending_bytes_ -= pending.bytes();
                pending.value.reset();
                pending.sequence = ++sequence_;
                pending_bytes_ += pending.bytes();
                again = true;
            }
        }
    }
    if (result) {
        succeeded();
        writes_.fetch_add(1, std::memory_order_relaxed);
        write_ns_.record(static_cast<std::uint64_t>(host_.clock.now_ns() - began_ns));
    } else {
        failed_writes_.fetch_add(1, std::memory_order_relaxed);
        failed(result.error());
        tell_if_full(result.error());
        if (!again) push_later(pause_ms_first);
    }
    for (const auto& done : waiting) done(result);
    if (again) send(id);
}

// Invalidations.

void TierGate::drop_matching(const TierSelection& selection) {
    // With mutex_ held. What is pending and covered becomes a removal.
    for (auto& [id, pending] : pending_) {
        if (!pending.value) continue;
        const auto decoded = decode_record(pending.value->record);
        if (decoded && !selection_covers(selection, pending.key, decoded->meta)) continue;
        pending_bytes_ -= pending.bytes();
        pending.value.reset();
        pending.sequence = ++sequence_;
        pending_bytes_ += pending.bytes();
    }
}

void TierGate::invalidate(const TierSelection& selection, std::int64_t version, std::int64_t hard_ms,
                          CacheTier::Counted done) {
    Rule rule{selection, version, 0};
    {
        const std::lock_guard lock(mutex_);
        if (!selection.expired) {
            drop_matching(selection);
            rule.id = ++sequence_;
            rules_.push_back(rule);
            if (rules_.size() > rules_max) {
                distrust_before_ = std::max(distrust_before_, version);
                rules_.clear();
            }
        }
    }
    if (state() == TierState::down) return done(std::unexpected(is_down(source_.name)));
    send_rule(rule, bounded<Result<std::uint64_t>>(
                        hard_ms, fail(ErrorCode::timeout, "the tier \"" + source_.name + "\" did not confirm in time"),
                        std::move(done)));
}

void TierGate::send_rule(const Rule& rule, CacheTier::Counted done) {
    with_tier([self = shared_from_this(), rule, done = std::move(done)](const TierPointer& tier) {
        if (!tier) return done(std::unexpected(is_down(self->source_.name)));
        tier->invalidate(rule.selection, [self, id = rule.id, done](Result<std::uint64_t> counted) {
            if (counted) {
                self->succeeded();
                const std::lock_guard lock(self->mutex_);
                std::erase_if(self->rules_, [id](const Rule& kept) { return kept.id == id; });
            } else {
                self->failed(counted.error());
            }
            done(std::move(counted));
        });
    });
}

bool TierGate::trusts(const TierKey& key, const RecordMeta& meta) const {
    const std::lock_guard lock(mutex_);
    if (meta.version_ms < distrust_before_) return false;
    return std::ranges::none_of(rules_, [&](const Rule& rule) {
        return meta.version_ms < rule.version && selection_covers(rule.selection, key, meta);
    });
}

void TierGate::list(TierSelection selection, std::string after, std::size_t limit, std::int64_t hard_ms,
                    CacheTier::Listed done) {
    auto answer = bounded<Result<std::vector<TierKey>>>(
        hard_ms, fail(ErrorCode::timeout, "the tier \"" + source_.name + "\" did not answer in time"), std::move(done));
    with_tier([self = shared_from_this(), selection = std::move(selection), after = std::move(after), limit,
               answer = std::move(answer)](const TierPointer& tier) mutable {
        if (!tier) return answer(std::unexpected(is_down(self->source_.name)));
        tier->list(std::move(selection), std::move(after), limit, std::move(answer));
    });
}

void TierGate::announce(const TierSelection& selection) {
    if (!source_.is_shared || state() == TierState::down) return;
    with_tier([selection](const TierPointer& tier) {
        if (tier) tier->announce(selection);
    });
}

// Being down and coming back.

void TierGate::succeeded() { failures_.store(0, std::memory_order_relaxed); }

void TierGate::failed(const Error& error) {
    // Full, or refusing this one thing: it works.
    if (error.code == ErrorCode::exhausted || error.code == ErrorCode::invalid_params) return;
    if (failures_.fetch_add(1, std::memory_order_relaxed) + 1 >= failures_max) go_down(error.message);
}

// A full queue passes and one value that is too large concerns nobody else; a tier that is full says so itself.
void TierGate::tell_if_full(const Error& error) {
    if (error.code != ErrorCode::exhausted) return;
    const std::int64_t now_ns = host_.clock.now_ns();
    TierPointer tier;
    {
        const std::lock_guard lock(mutex_);
        if (full_told_ns_ && now_ns - *full_told_ns_ < full_told_again_ns) return;
        tier = tier_;
    }
    const std::string trouble = tier ? tier->stats().trouble : std::string();
    if (trouble.empty()) return;
    {
        const std::lock_guard lock(mutex_);
        full_told_ns_ = now_ns;
    }
    tell("tierFull", trouble);
}

void TierGate::go_down(const std::string& reason) {
    {
        const std::lock_guard lock(mutex_);
        trouble_ = reason;
        if (stopped_ || state() == TierState::down) return;
        state_ = TierState::down;
        pause_ms_ = pause_ms_first;
        schedule_probe();
    }
    tell("tierDown", reason);
}

void TierGate::schedule_probe() {
    // With mutex_ held.
    probe_timer_ = host_.timers.after_ms(jittered(pause_ms_), [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->probe();
    });
    pause_ms_ = std::min(pause_ms_ * 2, pause_ms_max);
}

void TierGate::probe() {
    TierPointer tier;
    {
        const std::lock_guard lock(mutex_);
        if (stopped_) return;
        tier = tier_;
    }
    auto done = bounded<Result<void>>(probe_ms, fail(ErrorCode::timeout, "a probe was not answered"),
                                      [self = shared_from_this()](const Result<void>& result) {
                                          if (result) return self->come_back();
                                          const std::lock_guard lock(self->mutex_);
                                          self->trouble_ = result.error().message;
                                          if (!self->stopped_) self->schedule_probe();
                                      });
    if (tier) return tier->probe(std::move(done));
    host_.executor.post([self = shared_from_this(), done = std::move(done)] {
        auto opened = self->source_.open();
        if (!opened) return done(std::unexpected(opened.error()));
        self->listen(**opened);
        {
            const std::lock_guard lock(self->mutex_);
            self->tier_ = *opened;
        }
        done({});
    });
}

void TierGate::come_back() {
    std::vector<Rule> rules;
    {
        const std::lock_guard lock(mutex_);
        if (stopped_) return;
        state_ = TierState::up;
        trouble_.clear();
        failures_ = 0;
        rules = rules_;
        for (auto& [id, pending] : pending_) pending.in_flight = false; // not confirmed: sent again
    }
    tell("tierUp", {});
    for (const Rule& rule : rules) send_rule(rule, [](const Result<std::uint64_t>&) {});
    flush();
}

TierGateStats TierGate::stats() const {
    TierGateStats stats;
    TierPointer tier;
    {
        const std::lock_guard lock(mutex_);
        tier = tier_;
        stats.trouble = trouble_;
        stats.pending_writes = pending_.size();
        stats.pending_bytes = pending_bytes_;
        stats.rules = rules_.size();
    }
    stats.state = state();
    stats.hits = hits_;
    stats.misses = misses_;
    stats.skipped = skipped_;
    stats.timeouts = timeouts_;
    stats.errors = errors_;
    stats.writes = writes_;
    stats.failed_writes = failed_writes_;
    stats.read_ns = read_ns_.summary();
    stats.write_ns = write_ns_.summary();
    if (tier) stats.tier = tier->stats();
    return stats;
}

void TierGate::stop() {
    flush();
    TierPointer tier;
    TimerId probe_timer, flush_timer;
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(stopped_, true)) return;
        tier = tier_;
        probe_timer = probe_timer_;
        flush_timer = flush_timer_;
        state_ = TierState::down;
    }
    host_.timers.cancel(probe_timer);
    host_.timers.cancel(flush_timer);
    if (tier) tier->stop();
    // What the tier never answered holds this gate, and the tier holds that.
    const std::lock_guard lock(mutex_);
    tier_.reset();
}

} // namespace pillion
