// The part of a remote tier that is the same for all servers: workers with a link each, the listener, announcements,
// counts. Private to this module. Any thread may call.
//
// A key always goes to the same worker, which keeps its calls in order.
#pragma once

#include "modules/remote_store/remote_listener.h"

namespace pillion {

class RemoteTier final : public RemoteStore {
  public:
    struct Parts {
        std::string_view name;
        std::string app;
        RemoteLimits limits;
        std::size_t notice_bytes_max = 0;
        std::vector<std::unique_ptr<RemoteLink>> links;
        std::unique_ptr<RemoteEar> ear;
    };
    RemoteTier(Parts parts, const Clock& clock);
    ~RemoteTier() override { stop(); }

    std::string_view name() const override { return name_; }
    void get(TierKey key, Got got) override;
    void put(TierKey key, TierValue value, Done done) override;
    void remove(TierKey key, Done done) override;
    void invalidate(TierSelection selection, Counted counted) override;
    void list(TierSelection selection, std::string after, std::size_t limit, Listed listed) override;
    void probe(Done done) override;
    TierStats stats() const override;
    void on_notice(std::function<void(const Notice&)> listener) override;
    void announce(const TierSelection& selection) override;
    void stop() override;
    void survey(Surveyed surveyed) override;

  private:
    void call(RemoteCall call);
    void begin(RemoteTask task);
    RemoteListener* listener() const;

    const std::string_view name_;
    const std::string app_;
    const std::string origin_;
    const std::size_t notice_bytes_max_;
    const RemoteLimits limits_;
    const Clock& clock_;
    RemoteCounters counters_;
    RemoteOutbox outbox_;

    mutable std::mutex mutex_; // guards what follows
    std::unique_ptr<RemoteEar> ear_;
    std::unique_ptr<RemoteListener> listener_; // stays once it is set
    std::uint64_t entries_ = 0;
    std::uint64_t bytes_ = 0;

    std::vector<std::unique_ptr<RemoteWorker>> workers_; // last: they use all of the above
};

} // namespace pillion
