#include "modules/remote_store/remote_tier.h"

#include "modules/remote_store/remote_notice.h"

#include <random>

namespace pillion {

namespace {

constexpr std::size_t name_bytes_max = 64 * 1024;

// Sixteen hexadecimal digits that no other tier has.
std::string random_origin() {
    std::random_device random;
    const std::string bytes = std::to_string(random()) + "." + std::to_string(random());
    return bytes;
}

std::optional<Error> find_fault(const TierKey& key) {
    if (key.name.size() <= name_bytes_max) return std::nullopt;
    return Error{ErrorCode::invalid_params,
                 "the key has " + std::to_string(key.name.size()) + " bytes; at most 65536 are kept"};
}

} // namespace

RemoteTier::RemoteTier(Parts parts, const Clock& clock)
    : name_(parts.name), app_(std::move(parts.app)), origin_(random_origin()),
      notice_bytes_max_(parts.notice_bytes_max), limits_(parts.limits), clock_(clock),
      outbox_(encode_notice(origin_, app_, {}, notice_bytes_max_)), ear_(std::move(parts.ear)) {
    for (std::size_t i = 0; i < parts.links.size(); ++i) {
        RemoteLimits limits = limits_;
        if (i > 0) limits.clean_interval_ms = 0;
        RemoteWorker::Hooks hooks;
        hooks.before_first = [this] {
            if (RemoteListener* const listening = listener()) listening->wait_for_first_attempt();
        };
        hooks.opened = [this] {
            if (RemoteListener* const listening = listener()) listening->kick();
        };
        if (i == 0) hooks.outbox = &outbox_;
        workers_.push_back(
            std::make_unique<RemoteWorker>(std::move(parts.links[i]), limits, counters_, clock, std::move(hooks)));
    }
}

RemoteListener* RemoteTier::listener() const {
    const std::lock_guard lock(mutex_);
    return listener_.get();
}

void RemoteTier::call(RemoteCall call) {
    if (const auto fault = find_fault(call.key)) {
        if (call.got) call.got(std::unexpected(*fault));
        if (call.done) call.done(std::unexpected(*fault));
        return;
    }
    const std::size_t hash =
        std::hash<std::string_view>{}(call.key.name) ^ std::hash<std::string_view>{}(call.key.space);
    workers_[hash % workers_.size()]->add(std::move(call));
}

void RemoteTier::get(TierKey key, Got got) {
    RemoteCall made;
    made.kind = RemoteCall::Kind::get;
    made.key = std::move(key);
    made.got = std::move(got);
    call(std::move(made));
}

void RemoteTier::put(TierKey key, TierValue value, Done done) {
    RemoteCall made;
    made.kind = RemoteCall::Kind::put;
    made.key = std::move(key);
    made.value = std::move(value);
    made.done = std::move(done);
    call(std::move(made));
}

void RemoteTier::remove(TierKey key, Done done) {
    RemoteCall made;
    made.kind = RemoteCall::Kind::remove;
    made.key = std::move(key);
    made.done = std::move(done);
    call(std::move(made));
}

void RemoteTier::begin(RemoteTask task) {
    const auto shared = std::make_shared<RemoteTask>(std::move(task));
    const auto missing = std::make_shared<std::atomic<std::size_t>>(workers_.size());
    for (const auto& worker : workers_) worker->add(RemoteMark{shared, missing});
}

void RemoteTier::invalidate(TierSelection selection, Counted counted) {
    // Tags are not kept here: the cache looks at them when it reads.
    if (selection.tag) {
        counted(0);
        return;
    }
    const auto sweep = std::make_shared<RemoteSweep>();
    sweep->selection = std::move(selection);
    const auto answer = std::make_shared<Counted>(std::move(counted));
    begin({.step = [sweep, answer](RemoteLink& link) -> Result<SliceEnd> {
               const SliceEnd end = PILLION_TRY(link.sweep(*sweep));
               if (end == SliceEnd::done && *answer) (*answer)(sweep->count);
               return end;
           },
           .refuse =
               [answer](const Error& error) {
                   if (*answer) (*answer)(std::unexpected(error));
               }});
}

void RemoteTier::list(TierSelection selection, std::string after, std::size_t limit, Listed listed) {
    if (selection.space.empty()) {
        listed(fail(ErrorCode::invalid_params, limits_.where + " lists one namespace at a time, and none was named"));
        return;
    }
    if (selection.tag || limit == 0) {
        listed(std::vector<TierKey>{});
        return;
    }
    const auto listing = std::make_shared<RemoteListing>();
    listing->selection = std::move(selection);
    listing->after = std::move(after);
    listing->limit = limit;
    const auto answer = std::make_shared<Listed>(std::move(listed));
    begin({.step = [listing, answer](RemoteLink& link) -> Result<SliceEnd> {
               const SliceEnd end = PILLION_TRY(link.list(*listing));
               if (end == SliceEnd::done) (*answer)(std::move(listing->keys));
               return end;
           },
           .refuse = [answer](const Error& error) { (*answer)(std::unexpected(error)); }});
}

// Asks each worker; the first error counts.
void RemoteTier::probe(Done done) {
    struct Asked {
        std::mutex mutex;
        std::size_t missing;
        Result<void> result;
        Done done;
        void answer(const Result<void>& one) {
            {
                const std::lock_guard lock(mutex);
                if (!one && result) result = one;
                if (--missing > 0) return;
            }
            done(result);
        }
    };
    const auto asked = std::make_shared<Asked>();
    asked->missing = workers_.size();
    asked->done = std::move(done);
    for (const auto& worker : workers_) {
        const auto task = std::make_shared<RemoteTask>(
            RemoteTask{.step = [asked](RemoteLink& link) -> Result<SliceEnd> {
                           PILLION_TRY(link.ping());
                           asked->answer({});
                           return SliceEnd::done;
                       },
                       .refuse = [asked](const Error& error) { asked->answer(std::unexpected(error)); },
                       .may_connect_early = true});
        worker->add(RemoteMark{task, std::make_shared<std::atomic<std::size_t>>(1)});
    }
}

void RemoteTier::survey(Surveyed surveyed) {
    const auto survey = std::make_shared<RemoteSurvey>();
    const auto answer = std::make_shared<Surveyed>(std::move(surveyed));
    begin({.step = [this, survey, answer](RemoteLink& link) -> Result<SliceEnd> {
               const SliceEnd end = PILLION_TRY(link.survey(*survey));
               if (end == SliceEnd::more) return end;
               std::vector<SpaceStats> spaces;
               std::uint64_t entries = 0;
               std::uint64_t bytes = 0;
               for (auto& [space, stats] : survey->spaces) {
                   entries += stats.entries;
                   bytes += stats.bytes;
                   spaces.push_back(std::move(stats));
               }
               {
                   const std::lock_guard lock(mutex_);
                   entries_ = entries;
                   bytes_ = bytes;
               }
               if (*answer) (*answer)(std::move(spaces));
               return end;
           },
           .refuse =
               [answer](const Error& error) {
                   if (*answer) (*answer)(std::unexpected(error));
               }});
}

TierStats RemoteTier::stats() const {
    TierStats stats;
    for (const auto& worker : workers_) {
        const auto trouble = worker->trouble();
        if (!trouble) continue;
        stats.is_up = false;
        stats.trouble = trouble->message;
        break;
    }
    stats.reads = counters_.reads.load(std::memory_order_relaxed);
    stats.hits = counters_.hits.load(std::memory_order_relaxed);
    stats.writes = counters_.writes.load(std::memory_order_relaxed);
    stats.errors = counters_.errors.load(std::memory_order_relaxed);
    stats.expired = counters_.expired.load(std::memory_order_relaxed);
    stats.damaged = counters_.damaged.load(std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    stats.entries = entries_;
    stats.bytes = bytes_;
    return stats;
}

void RemoteTier::on_notice(std::function<void(const Notice&)> listener) {
    const std::lock_guard lock(mutex_);
    if (!ear_) return;
    listener_ = std::make_unique<RemoteListener>(std::move(ear_), limits_, origin_, app_, std::move(listener));
}

void RemoteTier::announce(const TierSelection& selection) {
    const auto message =
        std::make_shared<const std::string>(encode_notice(origin_, app_, selection, notice_bytes_max_));
    begin({.step = [message](RemoteLink& link) -> Result<SliceEnd> {
               PILLION_TRY(link.publish(*message));
               return SliceEnd::done;
           },
           .refuse =
               [this, message](const Error&) {
                   outbox_.add(*message);
                   workers_.front()->nudge();
               }});
}

void RemoteTier::stop() {
    // The listener first: its threads of waiting workers go on then.
    if (RemoteListener* const listening = listener()) listening->stop();
    for (const auto& worker : workers_) worker->stop();
}

} // namespace pillion
