// What the engine of remote tiers (remote_tier.h) needs of a server: links, each one connection on which calls are
// exchanged, and an ear, the connection on which invalidations of other machines are heard. Private to this module.
// Each belongs to one thread.
#pragma once

#include "modules/remote_store/remote_store.h"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pillion {

using RemoteOutcome = Result<std::optional<TierValue>>; // nothing for a miss, a put or a removal

// One get, put or remove.
struct RemoteCall {
    enum class Kind : std::uint8_t { get, put, remove };
    Kind kind = Kind::get;
    TierKey key{};
    TierValue value{};
    CacheTier::Got got{};
    CacheTier::Done done{};
    std::int64_t due_ns = 0; // later it is not even sent
    std::optional<RemoteOutcome> outcome{};

    std::size_t bytes() const { return key.space.size() + key.name.size() + key.parts.size() + value.record.size(); }
};

// Work over many entries, done in slices so that calls are not held up.
struct RemoteSweep {
    TierSelection selection{};
    std::uint64_t count = 0;
    std::string cursor{};  // the link's own; empty at the start
    std::size_t table = 0; // the link's own
};
struct RemoteListing {
    TierSelection selection{};
    std::string after{};
    std::size_t limit = 0;
    std::vector<TierKey> keys{};
    std::map<std::string, std::string> smallest{}; // the link's own: names with their parts
    std::string cursor{};
};
struct RemoteSurvey {
    std::map<std::string, SpaceStats> spaces{};
    std::string cursor{};
};

enum class SliceEnd : std::uint8_t { more, done };

class RemoteLink {
  public:
    virtual ~RemoteLink() = default;
    virtual Result<void> open() = 0;
    virtual bool is_open() const = 0;
    virtual void close() = 0;

    // Sends all calls that have no outcome and sets it as answers come. An error means that the connection is of no use
    // any more; calls may be left without an outcome.
    virtual Result<void> exchange(std::span<RemoteCall> calls) = 0;
    virtual Result<void> ping() = 0;
    virtual Result<void> publish(const std::string& message) = 0;
    virtual Result<SliceEnd> sweep(RemoteSweep& sweep) = 0;
    virtual Result<SliceEnd> list(RemoteListing& listing) = 0;
    virtual Result<SliceEnd> survey(RemoteSurvey& survey) = 0;
    // What is done when there is nothing else to do.
    virtual Result<void> idle() { return {}; }
};

// The wake of a thread that waits in poll(): a descriptor that becomes readable. Any thread may call ring().
class WakeDescriptor {
  public:
    WakeDescriptor();
    ~WakeDescriptor();
    WakeDescriptor(const WakeDescriptor&) = delete;
    void ring() const;
    void silence() const;
    int descriptor() const { return descriptor_; }

  private:
    int descriptor_;
};

class RemoteEar {
  public:
    virtual ~RemoteEar() = default;
    virtual Result<void> open() = 0;
    virtual void close() = 0;
    // Waits for messages; returns those that came, none if `wake` rang or after a while. An error means that the
    // connection is lost.
    virtual Result<std::vector<std::string>> hear(const WakeDescriptor& wake) = 0;
};

} // namespace pillion
