// The thread takes what has gathered, exchanges it as one pipeline, does one slice of the task at hand, and so on: the
// more waits, the larger the batches, and nobody waits for a batch to fill.
#include "modules/remote_store/remote_worker.h"

#include <algorithm>
#include <chrono>
#include <csignal>

namespace pillion {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;

bool mends_itself(ErrorCode code) {
    return code != ErrorCode::denied && code != ErrorCode::failed_precondition && code != ErrorCode::invalid_params;
}

Error stopped(const std::string& where) {
    return {ErrorCode::unavailable, where + " is not used any more: it was stopped"};
}

} // namespace

void block_signals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

void RemoteBackoff::failed(std::int64_t now_ns, ErrorCode code) {
    pause_ms_ = mends_itself(code) ? std::clamp(pause_ms_ * 2, ms_min_, ms_max_) : ms_max_;
    const std::int64_t jittered = std::uniform_int_distribution<std::int64_t>(pause_ms_ / 2, pause_ms_)(random_);
    next_ns_ = now_ns + jittered * 1'000'000;
}

void RemoteOutbox::add(std::string message) {
    const std::lock_guard lock(mutex_);
    if (messages_.size() >= messages_max) {
        messages_.clear();
        message = everything_;
    }
    messages_.push_back(std::move(message));
}

std::optional<std::string> RemoteOutbox::take() {
    const std::lock_guard lock(mutex_);
    if (messages_.empty()) return std::nullopt;
    std::string message = std::move(messages_.front());
    messages_.pop_front();
    return message;
}

bool RemoteOutbox::empty() const {
    const std::lock_guard lock(mutex_);
    return messages_.empty();
}

RemoteWorker::RemoteWorker(std::unique_ptr<RemoteLink> link, const RemoteLimits& limits, RemoteCounters& counters,
                           const Clock& clock, Hooks hooks)
    : link_(std::move(link)), limits_(limits), counters_(counters), clock_(clock), hooks_(std::move(hooks)),
      backoff_(limits.backoff_ms_min, limits.backoff_ms_max) {}

void RemoteWorker::add(RemoteCall call) {
    {
        const std::lock_guard lock(mutex_);
        const std::size_t bytes = call.bytes();
        if (is_stopping_) {
            call.outcome = std::unexpected(stopped(limits_.where));
        } else if (queue_.size() >= limits_.queued_calls_max ||
                   (queued_bytes_ > 0 && queued_bytes_ + bytes > limits_.queued_bytes_max)) {
            call.outcome = fail(ErrorCode::exhausted,
                                limits_.where + " has " + std::to_string(queue_.size()) + " calls of " +
                                    std::to_string(queued_bytes_) + " bytes waiting and takes no more",
                                {}, "wait until some are answered");
        } else {
            call.due_ns = clock_.now_ns() + limits_.command_ms * 1'000'000;
            queued_bytes_ += bytes;
            queue_.emplace_back(std::move(call));
            start_locked();
            wake_.notify_one();
            return;
        }
    }
    answer(call);
}

void RemoteWorker::add(RemoteMark mark) {
    {
        const std::lock_guard lock(mutex_);
        if (!is_stopping_) {
            queue_.emplace_back(std::move(mark));
            start_locked();
            wake_.notify_one();
            return;
        }
    }
    if (mark.missing->fetch_sub(1) == 1) mark.task->refuse(stopped(limits_.where));
}

void RemoteWorker::nudge() {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return;
    is_nudged_ = true;
    start_locked();
    wake_.notify_one();
}

void RemoteWorker::start_locked() {
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void RemoteWorker::stop() {
    std::thread ended;
    {
        const std::lock_guard lock(mutex_);
        if (!is_stopping_) stop_due_ns_ = system_clock().now_ns() + limits_.command_ms * 1'000'000;
        is_stopping_ = true;
        ended.swap(thread_);
        wake_.notify_one();
    }
    if (ended.joinable()) ended.join();
}

std::optional<Error> RemoteWorker::trouble() const {
    const std::lock_guard lock(mutex_);
    return trouble_;
}

void RemoteWorker::run() {
    block_signals();
    if (hooks_.before_first) hooks_.before_first();
    while (gather()) {
        run_calls();
        run_task();
        deliver();
    }
    if (link_->is_open()) (void)link_->idle();
    refuse_all();
    link_->close();
}

// How long to wait for something to do; nothing: until there is.
std::optional<std::int64_t> RemoteWorker::wait_ns() const {
    const std::int64_t now_ns = clock_.now_ns();
    std::optional<std::int64_t> wait;
    const auto at_most = [&wait](std::int64_t ns) {
        wait = std::min(wait.value_or(ns), std::max<std::int64_t>(ns, 0));
    };
    if (is_idle_due_) at_most(second_ns);
    if (hooks_.outbox != nullptr && !hooks_.outbox->empty()) at_most(backoff_.next_ns() - now_ns);
    if (clean_due_ns_ != 0) at_most(clean_due_ns_ - now_ns);
    return wait;
}

// Fills the batch with calls up to the next mark, or takes a mark. False when the thread is to end.
bool RemoteWorker::gather() {
    std::unique_lock lock(mutex_);
    const auto has_work = [this] { return !queue_.empty() || is_stopping_ || is_nudged_; };
    if (tasks_.empty() && !has_work()) {
        const auto wait = wait_ns();
        const bool woken =
            wait ? wake_.wait_for(lock, std::chrono::nanoseconds(*wait), has_work) : (wake_.wait(lock, has_work), true);
        if (!woken) {
            lock.unlock();
            do_chores();
            return true;
        }
    }
    is_nudged_ = false;
    if (is_stopping_ && ((queue_.empty() && tasks_.empty()) || system_clock().now_ns() > stop_due_ns_)) return false;
    std::size_t bytes = 0;
    while (!queue_.empty() && batch_.size() < remote_batch_calls_max) {
        if (auto* const call = std::get_if<RemoteCall>(&queue_.front())) {
            if (!batch_.empty() && bytes + call->bytes() > remote_batch_bytes_max) break;
            bytes += call->bytes();
            queued_bytes_ -= call->bytes();
            batch_.push_back(std::move(*call));
        } else {
            if (!batch_.empty()) break; // the calls before it come first
            auto& mark = std::get<RemoteMark>(queue_.front());
            if (mark.missing->fetch_sub(1) == 1) tasks_.push_back(std::move(mark.task));
        }
        queue_.pop_front();
    }
    return true;
}

void RemoteWorker::run_calls() {
    if (batch_.empty()) return;
    const std::int64_t now_ns = clock_.now_ns();
    bool is_any_left = false;
    for (RemoteCall& call : batch_) {
        if (now_ns > call.due_ns) {
            call.outcome = fail(ErrorCode::timeout, limits_.where + " was not reached within " +
                                                        std::to_string(limits_.command_ms) + " ms: it is busy");
        } else {
            is_any_left = true;
        }
    }
    if (is_any_left) exchange(batch_);
    for (RemoteCall& call : batch_) answer(call);
    batch_.clear();
}

// A connection that breaks is made again once, and what has no outcome is sent again: every call may be repeated. After
// a timeout it is not, since the server would only be asked more.
void RemoteWorker::exchange(std::span<RemoteCall> calls) {
    Result<void> result = ensure_open(false);
    if (result) {
        is_idle_due_ = true;
        result = link_->exchange(calls);
        if (!result && result.error().code == ErrorCode::unavailable) {
            link_->close();
            result = open();
            if (result) result = link_->exchange(calls);
        }
        if (!result) {
            link_->close();
            backoff_.failed(clock_.now_ns(), result.error().code);
        }
        note(result ? std::nullopt : std::optional(result.error()));
    }
    if (result) return;
    for (RemoteCall& call : calls) {
        if (!call.outcome) call.outcome = std::unexpected(result.error());
    }
}

Result<void> RemoteWorker::ensure_open(bool may_connect_early) {
    if (link_->is_open()) return {};
    const std::int64_t wait_ns = backoff_.next_ns() - clock_.now_ns();
    if (backoff_.next_ns() != 0 && wait_ns > 0 && !may_connect_early) {
        const auto why = trouble();
        return fail(why && !mends_itself(why->code) ? why->code : ErrorCode::unavailable,
                    limits_.where + " is not connected" + (why ? ": " + why->message : std::string()), {},
                    "the next attempt is due in " + std::to_string(wait_ns / 1'000'000) + " ms");
    }
    const Result<void> opened = open();
    if (!opened) {
        link_->close();
        backoff_.failed(clock_.now_ns(), opened.error().code);
        note(opened.error());
    }
    return opened;
}

Result<void> RemoteWorker::open() {
    PILLION_TRY(link_->open());
    backoff_.succeeded();
    note(std::nullopt);
    if (limits_.clean_interval_ms > 0 && clean_due_ns_ == 0) {
        clean_due_ns_ = clock_.now_ns() + limits_.clean_interval_ms * 1'000'000;
    }
    if (hooks_.opened) hooks_.opened();
    return {};
}

void RemoteWorker::note(const std::optional<Error>& trouble) {
    const std::lock_guard lock(mutex_);
    trouble_ = trouble;
}

void RemoteWorker::run_task() {
    if (tasks_.empty()) return;
    const std::shared_ptr<RemoteTask> task = tasks_.front();
    Result<void> opened = ensure_open(task->may_connect_early);
    if (!opened) {
        tasks_.pop_front();
        task->refuse(opened.error());
        return;
    }
    is_idle_due_ = true;
    const Result<SliceEnd> slice = task->step(*link_);
    if (slice) {
        if (*slice == SliceEnd::done) tasks_.pop_front();
        return;
    }
    // The link closes itself where the connection is lost.
    const bool is_lost = !link_->is_open();
    if (is_lost && slice.error().code == ErrorCode::unavailable && !task->was_repeated) {
        task->was_repeated = true;
        return;
    }
    if (is_lost) {
        backoff_.failed(clock_.now_ns(), slice.error().code);
        note(slice.error());
    }
    tasks_.pop_front();
    counters_.errors.fetch_add(1, std::memory_order_relaxed);
    task->refuse(slice.error());
}

void RemoteWorker::deliver() {
    if (hooks_.outbox == nullptr || hooks_.outbox->empty() || !ensure_open(false)) return;
    while (auto message = hooks_.outbox->take()) {
        const Result<void> sent = link_->publish(*message);
        if (sent) continue;
        // Where it is refused there is no sense in repeating it.
        if (!link_->is_open()) {
            hooks_.outbox->add(std::move(*message));
            backoff_.failed(clock_.now_ns(), sent.error().code);
            note(sent.error());
        }
        return;
    }
}

void RemoteWorker::do_chores() {
    if (is_idle_due_ && link_->is_open()) {
        is_idle_due_ = false;
        if (const auto done = link_->idle(); !done && !link_->is_open()) note(done.error());
    }
    is_idle_due_ = false;
    if (clean_due_ns_ == 0 || clock_.now_ns() < clean_due_ns_) return;
    clean_due_ns_ = clock_.now_ns() + limits_.clean_interval_ms * 1'000'000;
    const auto sweep = std::make_shared<RemoteSweep>();
    sweep->selection.expired = true;
    tasks_.push_back(
        std::make_shared<RemoteTask>(RemoteTask{.step = [this, sweep](RemoteLink& link) -> Result<SliceEnd> {
                                                    const SliceEnd end = PILLION_TRY(link.sweep(*sweep));
                                                    if (end == SliceEnd::done) counters_.expired += sweep->count;
                                                    return end;
                                                },
                                                .refuse = [](const Error&) {}}));
}

void RemoteWorker::answer(RemoteCall& call) {
    RemoteOutcome& outcome = *call.outcome;
    const auto count = [](std::atomic<std::uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); };
    if (!outcome) count(outcome.error().code == ErrorCode::corrupt ? counters_.damaged : counters_.errors);
    if (call.kind == RemoteCall::Kind::get) {
        count(counters_.reads);
        if (outcome && outcome->has_value()) count(counters_.hits);
        if (call.got) call.got(std::move(outcome));
        return;
    }
    if (call.kind == RemoteCall::Kind::put) count(counters_.writes);
    if (!call.done) return;
    if (outcome) {
        call.done({});
    } else {
        call.done(std::unexpected(std::move(outcome).error()));
    }
}

void RemoteWorker::refuse_all() {
    std::deque<std::variant<RemoteCall, RemoteMark>> left;
    {
        const std::lock_guard lock(mutex_);
        left.swap(queue_);
        queued_bytes_ = 0;
    }
    const Error error = stopped(limits_.where);
    for (const auto& task : tasks_) task->refuse(error);
    tasks_.clear();
    for (auto& entry : left) {
        if (auto* const call = std::get_if<RemoteCall>(&entry)) {
            call->outcome = std::unexpected(error);
            answer(*call);
        } else if (auto& mark = std::get<RemoteMark>(entry); mark.missing->fetch_sub(1) == 1) {
            mark.task->refuse(error);
        }
    }
}

} // namespace pillion
