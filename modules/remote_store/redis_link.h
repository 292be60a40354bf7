// Redis as a place for records. Private to this module; a link and an ear belong to one thread each.
#pragma once

#include "modules/remote_store/redis_connection.h"
#include "modules/remote_store/remote_link.h"

namespace pillion {

struct RedisKeyspace {
    std::string app; // encoded
    int database = 0;
    std::string key(std::string_view space, std::string_view name) const;
    std::string prefix(std::string_view space) const; // space empty: of all
    std::string channel() const;
};

class RedisLink final : public RemoteLink {
  public:
    RedisLink(RedisAddress address, const RedisConfig& config, RedisKeyspace keyspace, const Clock& clock);

    Result<void> open() override;
    bool is_open() const override { return connection_.is_open(); }
    void close() override { connection_.close(); }
    Result<void> exchange(std::span<RemoteCall> calls) override;
    Result<void> ping() override;
    Result<void> publish(const std::string& message) override;
    Result<SliceEnd> sweep(RemoteSweep& sweep) override;
    Result<SliceEnd> list(RemoteListing& listing) override;
    Result<SliceEnd> survey(RemoteSurvey& survey) override;

  private:
    struct Scanned {
        std::vector<std::string> keys;
        SliceEnd end = SliceEnd::more;
    };
    struct Header {
        std::int64_t gone_at_ms = 0;
        std::int64_t created_ms = 0;
        std::string parts;
        bool is_ours = false; // another program's value otherwise
    };
    void append(const RemoteCall& call);
    RemoteOutcome read(const RemoteCall& call, redisReply& reply);
    Result<Scanned> scan(std::string& cursor, std::string_view prefix);
    Result<std::vector<Header>> headers(const std::vector<std::string>& keys);
    Result<std::uint64_t> unlink(const std::vector<std::string>& keys);

    RedisConnection connection_;
    const RedisKeyspace keyspace_;
    const Clock& clock_;
    std::uint64_t openings_ = 0;
};

class RedisEar final : public RemoteEar {
  public:
    RedisEar(RedisAddress address, const RedisConfig& config, RedisKeyspace keyspace);
    Result<void> open() override;
    void close() override { connection_.close(); }
    Result<std::vector<std::string>> hear(const WakeDescriptor& wake) override;

  private:
    RedisConnection connection_;
    const RedisKeyspace keyspace_;
};

} // namespace pillion
