#include "ipc/event_hub.h"

#include "ipc/base/limits.h"
#include "ipc/dispatcher_metrics.h"
#include "ipc/json_text.h"
#include "ipc/nearest.h"

#include <algorithm>

namespace pillion {

bool EventHub::Subscription::wants(const Event& event) const {
    return std::find(topics.begin(), topics.end(), event.topic) != topics.end();
}

void EventHub::declare(const Event& event, Sampler sampler) {
    declared_.push_back(std::make_unique<Declared>(Declared{event, std::move(sampler)}));
}

void EventHub::on_interest(std::string_view topic, std::function<void(bool wanted)> hear) {
    interests_.push_back({topic, std::move(hear)});
}

void EventHub::tell_interest() {
    const std::lock_guard telling(interest_mutex_);
    for (Interest& interest : interests_) {
        bool wanted = false;
        {
            const std::lock_guard lock(mutex_);
            for (const auto& subscription : subscriptions_)
                wanted = wanted || std::find(subscription->topics.begin(), subscription->topics.end(),
                                             interest.topic) != subscription->topics.end();
        }
        if (std::exchange(interest.wanted, wanted) != wanted) interest.hear(wanted);
    }
}

bool EventHub::is_wanted(const Event& event) {
    if (listener_) listener_(event);
    const std::lock_guard lock(mutex_);
    return std::any_of(subscriptions_.begin(), subscriptions_.end(),
                       [&](const auto& subscription) { return subscription->wants(event); });
}

void EventHub::publish_json(const Event& event, std::string_view json) {
    const std::lock_guard lock(mutex_);
    // The caller's constant may have a shorter life than what is pending: keep ours.
    const auto ours = std::find_if(declared_.begin(), declared_.end(),
                                   [&](const auto& declared) { return declared->event.name == event.name; });
    if (ours == declared_.end()) return;
    for (const auto& subscription : subscriptions_)
        if (subscription->wants(event)) enqueue(*subscription, (*ours)->event, json);
}

void EventHub::enqueue(Subscription& subscription, const Event& event, std::string_view json) {
    auto& pending = subscription.pending;
    const std::int64_t now_ms = host_.clock.wall_ms();
    if (event.kind == EventKind::sample) {
        const auto older =
            std::find_if(pending.begin(), pending.end(), [&](const Pending& entry) { return entry.event == &event; });
        if (older != pending.end()) {
            subscription.pending_bytes += json.size() - older->json.size();
            older->json.assign(json);
            older->at_ms = now_ms;
            return send_pending(subscription);
        }
    }
    pending.push_back({&event, now_ms, std::string(json)});
    subscription.pending_bytes += json.size();
    while (pending.size() > limits::subscription_events ||
           (subscription.pending_bytes > limits::subscription_bytes && pending.size() > 1)) {
        subscription.pending_bytes -= pending.front().json.size();
        pending.pop_front();
        ++subscription.dropped;
        ++subscription.sequence; // what is lost has had its number: the gap shows
        metrics::events_dropped.add();
    }
    send_pending(subscription);
}

void EventHub::send_pending(Subscription& subscription) {
    if (subscription.is_held) return;
    while (!subscription.pending.empty()) {
        if (host_.outbox.backlog_bytes() >= limits::outbox_event_bytes) {
            kept_back_.store(true, std::memory_order_release);
            return;
        }
        const Pending& next = subscription.pending.front();
        Buffer out(host_.buffers);
        const std::size_t mark = host_.frames.begin(out);
        out.append("{\"jsonrpc\":\"2.0\",\"method\":");
        append_quoted(out, next.event->name);
        out.append(",\"params\":{\"subscription\":");
        append_quoted(out, subscription.id);
        out.append(",\"seq\":");
        append_integer(out, ++subscription.sequence);
        out.append(",\"dropped\":");
        append_integer(out, subscription.dropped);
        out.append(",\"at\":");
        append_integer(out, next.at_ms);
        out.append(",\"data\":");
        out.append(next.json);
        out.append("}}");
        host_.frames.end(out, mark);
        subscription.pending_bytes -= next.json.size();
        subscription.pending.pop_front();
        metrics::events_sent.add();
        host_.outbox.send(std::move(out));
    }
}

void EventHub::on_answers_sent() {
    if (!holds_any_.load(std::memory_order_relaxed)) return;
    holds_any_.store(false, std::memory_order_relaxed);
    const std::lock_guard lock(mutex_);
    for (const auto& subscription : subscriptions_)
        if (std::exchange(subscription->is_held, false)) send_pending(*subscription);
}

// May be called from inside a send of ours, with the mutex held: leaves the work to the timers' thread.
void EventHub::on_drained() {
    if (!kept_back_.exchange(false, std::memory_order_acq_rel)) return;
    host_.timers.after_ms(0, [this] {
        const std::lock_guard lock(mutex_);
        for (const auto& subscription : subscriptions_) send_pending(*subscription);
    });
}

Result<void> EventHub::check_topics(const std::vector<std::string>& topics) const {
    for (std::size_t i = 0; i < topics.size(); ++i) {
        NearestName nearest(topics[i]);
        std::string all;
        bool known = false;
        for (const auto& declared : declared_) {
            known = known || declared->event.topic == topics[i];
            nearest.consider(declared->event.topic);
            if (all.find("\"" + std::string(declared->event.topic) + "\"") == std::string::npos)
                all += (all.empty() ? "\"" : ", \"") + std::string(declared->event.topic) + "\"";
        }
        if (!known)
            return fail(ErrorCode::invalid_params, "there is no topic \"" + topics[i] + "\"; topics are " + all,
                        "/topics/" + std::to_string(i), std::string(nearest.best()));
    }
    return {};
}

Result<std::string> EventHub::subscribe(const std::vector<std::string>& topics, std::int64_t interval_ms) {
    PILLION_TRY(check_topics(topics));
    std::string id;
    {
        const std::lock_guard lock(mutex_);
        if (subscriptions_.size() >= limits::subscriptions)
            return fail(ErrorCode::exhausted, "there are " + std::to_string(limits::subscriptions) +
                                                  " subscriptions already; unsubscribe one first");
        id = "s" + std::to_string(++last_id_);
        auto& subscription = *subscriptions_.emplace_back(std::make_unique<Subscription>());
        subscription.id = id;
        subscription.topics = topics;
        subscription.interval_ms = interval_ms;
        subscription.is_held = holds_new_;
        if (holds_new_) holds_any_.store(true, std::memory_order_relaxed);
        arm(subscription);
    }
    tell_interest();
    return id;
}

bool EventHub::unsubscribe(std::string_view id) {
    {
        const std::lock_guard lock(mutex_);
        const auto at = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                                     [&](const auto& subscription) { return subscription->id == id; });
        if (at == subscriptions_.end()) return false;
        host_.timers.cancel((*at)->timer);
        subscriptions_.erase(at);
    }
    tell_interest();
    return true;
}

void EventHub::arm(Subscription& subscription) {
    const bool samples = std::any_of(declared_.begin(), declared_.end(), [&](const auto& declared) {
        return declared->sampler && subscription.wants(declared->event);
    });
    if (samples)
        subscription.timer =
            host_.timers.after_ms(subscription.interval_ms, [this, id = subscription.id] { sample(id); });
}

EventHub::Subscription* EventHub::find_subscription(std::string_view id) const {
    const auto at = std::find_if(subscriptions_.begin(), subscriptions_.end(),
                                 [&](const auto& subscription) { return subscription->id == id; });
    return at == subscriptions_.end() ? nullptr : at->get();
}

// Without the lock while a reading is made, which may wait for whoever publishes.
void EventHub::sample(const std::string& id) {
    std::vector<std::pair<const Declared*, Buffer>> readings;
    {
        const std::lock_guard lock(mutex_);
        const Subscription* const subscription = find_subscription(id);
        if (subscription == nullptr) return;
        for (const auto& declared : declared_)
            if (declared->sampler && subscription->wants(declared->event))
                readings.emplace_back(declared.get(), Buffer(host_.buffers));
    }
    for (auto& [declared, json] : readings) declared->sampler(json);
    const std::lock_guard lock(mutex_);
    Subscription* const subscription = find_subscription(id);
    if (subscription == nullptr) return; // it ended meanwhile
    for (const auto& [declared, json] : readings) enqueue(*subscription, declared->event, json.view());
    arm(*subscription);
}

std::vector<const Event*> EventHub::events() const {
    std::vector<const Event*> all;
    for (const auto& declared : declared_) all.push_back(&declared->event);
    return all;
}

std::size_t EventHub::subscriptions() const {
    const std::lock_guard lock(mutex_);
    return subscriptions_.size();
}

} // namespace pillion
