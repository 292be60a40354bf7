// Carries events to those who subscribed. Modules publish; each subscription numbers what it gets, keeps it back while
// the reader of stdout is slow, and then lets samples be replaced by newer ones and the oldest changes go, counting
// them.
//
// Bound: per subscription limits::subscription_events and limits::subscription_bytes. Any thread; sampling runs on the
// timers' thread, and only while somebody subscribes to it.
#pragma once

#include "ipc/base/clock.h"
#include "ipc/base/error.h"
#include "ipc/event.h"
#include "ipc/frame_writer.h"
#include "ipc/outbox.h"
#include "ipc/timers.h"
#include "ipc/wire_encode.h"

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

class EventHub {
  public:
    // Gives one reading of a sampled event as JSON. On the timers' thread; must not block.
    using Sampler = std::function<void(Buffer& json)>;

    struct Host {
        Outbox& outbox;
        FrameWriter& frames;
        BufferPool& buffers;
        Timers& timers;
        const Clock& clock;
    };
    explicit EventHub(const Host& host) : host_(host) {}

    // At composition: which events there are, and where readings come from.
    void declare(const Event& event, Sampler sampler = {});
    // At composition: hears of every published event before subscribers do.
    void set_listener(std::function<void(const Event&)> listener) { listener_ = std::move(listener); }
    // At composition: hears when a topic gets its first subscriber (true) and loses its last (false), on the thread of
    // the one who did it.
    void on_interest(std::string_view topic, std::function<void(bool wanted)> hear);

    template <class Payload>
    void publish(const Event& event, const Payload& payload) {
        if (!is_wanted(event)) return;
        Buffer json(host_.buffers);
        wire::encode(payload, json);
        publish_json(event, json.view());
    }

    // At composition: events of a new subscription are kept back until on_answers_sent(), so that no event comes before
    // the answer that names its subscription.
    void hold_until_answered() { holds_new_ = true; }
    // On the thread that subscribes: what it has answered so far is on its way.
    void on_answers_sent();

    // The new subscription's id. Unknown topics are -32602, too many subscriptions -32004.
    Result<std::string> subscribe(const std::vector<std::string>& topics, std::int64_t interval_ms);
    bool unsubscribe(std::string_view id);
    // The backlog of stdout is written: what was kept back may go.
    void on_drained();

    std::vector<const Event*> events() const;
    std::size_t subscriptions() const;

  private:
    struct Declared {
        Event event;
        Sampler sampler;
    };
    struct Pending {
        const Event* event;
        std::int64_t at_ms;
        std::string json;
    };
    struct Subscription {
        std::string id;
        std::vector<std::string> topics;
        std::int64_t interval_ms = 0;
        std::int64_t sequence = 0;
        std::int64_t dropped = 0;
        std::deque<Pending> pending{};
        std::size_t pending_bytes = 0;
        bool is_held = false; // not answered yet
        TimerId timer{};
        bool wants(const Event& event) const;
    };
    // Runs the listener; whether any subscription has the topic.
    bool is_wanted(const Event& event);
    void publish_json(const Event& event, std::string_view json);
    void enqueue(Subscription& subscription, const Event& event, std::string_view json);
    void send_pending(Subscription& subscription);
    void arm(Subscription& subscription);
    // With mutex_ held; null where it has ended.
    Subscription* find_subscription(std::string_view id) const;
    void sample(const std::string& id);
    void tell_interest();
    Result<void> check_topics(const std::vector<std::string>& topics) const;

    const Host host_;
    std::vector<std::unique_ptr<Declared>> declared_; // constant after composition
    struct Interest {
        std::string_view topic;
        std::function<void(bool)> hear;
        bool wanted = false; // guarded by interest_mutex_
    };
    std::vector<Interest> interests_; // constant after composition, but for `wanted`
    std::mutex interest_mutex_;
    std::function<void(const Event&)> listener_;
    mutable std::mutex mutex_;
    std::vector<std::unique_ptr<Subscription>> subscriptions_; // guarded by mutex_
    std::uint64_t last_id_ = 0;                                // guarded by mutex_
    std::atomic<bool> kept_back_{false};
    bool holds_new_ = false; // constant after composition
    std::atomic<bool> holds_any_{false};
};

} // namespace pillion
