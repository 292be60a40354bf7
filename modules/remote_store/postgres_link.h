// PostgreSQL as a place for records. Private to this module; a link and an ear belong to one thread each.
#pragma once

#include "modules/remote_store/postgres_schema.h"
#include "modules/remote_store/remote_link.h"

namespace pillion {

class PostgresLink final : public RemoteLink {
  public:
    PostgresLink(const PostgresConfig& config, std::string app, std::shared_ptr<const PostgresSchema> schema,
                 const Clock& clock);

    Result<void> open() override;
    bool is_open() const override { return connection_.is_open(); }
    void close() override { connection_.close(); }
    Result<void> exchange(std::span<RemoteCall> calls) override;
    Result<void> ping() override;
    Result<void> publish(const std::string& message) override;
    Result<SliceEnd> sweep(RemoteSweep& sweep) override;
    Result<SliceEnd> list(RemoteListing& listing) override;
    Result<SliceEnd> survey(RemoteSurvey& survey) override;
    Result<void> idle() override { return write_hits(); }

  private:
    struct Row {
        std::string key;
        std::string parts;
        std::string space;
    };
    struct Page {
        std::vector<Row> chosen;
        SliceEnd end = SliceEnd::done;
    };
    using Space = std::string;
    using Key = std::string;
    using Hits = std::map<std::pair<Key, Space>, std::int64_t>;

    // What the columns of a row are filled with. Views into the call's record.
    struct Contents {
        std::string_view json{};    // of a readable value
        std::string_view payload{}; // of any other
        std::string_view record{};  // all of it, or what precedes the payload
        std::string content_type{};
        std::int64_t created_ms = 0;
        bool is_readable = false;
        bool is_split = false;
    };
    Contents contents_of(std::string_view record) const;
    PostgresQuery query_of(const RemoteCall& call, const Contents& contents) const;
    PostgresQuery plain_query_of(const RemoteCall& call, const Contents& contents) const;
    RemoteOutcome read(const RemoteCall& call, const PostgresResult& result);
    struct Prepared {
        std::vector<Contents> contents;
        std::vector<PostgresQuery> queries; // with views into the contents
    };
    Prepared prepare(std::span<RemoteCall* const> calls) const;
    Result<bool> exchange_together(std::span<RemoteCall* const> calls);
    Result<void> exchange_singly(std::span<RemoteCall* const> calls);
    Result<void> put_plain(std::span<RemoteCall* const> refused);
    void count_hit(const RemoteCall& call);
    Result<Page> page(const PostgresTable& table, const TierSelection& selection, std::string& cursor);
    Result<std::uint64_t> remove(const PostgresTable& table, const std::vector<Row>& rows);
    Result<SliceEnd> sweep_table(const PostgresTable& table, RemoteSweep& sweep);
    Result<void> write_hits();

    PostgresConnection connection_;
    const std::string app_;
    const std::shared_ptr<const PostgresSchema> schema_;
    const Clock& clock_;
    std::vector<Hits> hits_; // reads of each table that are not written down yet
    std::size_t hits_count_ = 0;
    std::int64_t hits_written_ns_ = 0;
};

class PostgresEar final : public RemoteEar {
  public:
    PostgresEar(const PostgresConfig& config, std::string channel);
    Result<void> open() override;
    void close() override { connection_.close(); }
    Result<std::vector<std::string>> hear(const WakeDescriptor& wake) override;

  private:
    PostgresConnection connection_;
    const std::string channel_;
};

} // namespace pillion
