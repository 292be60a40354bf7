// Reads and writes go out as prepared statements in one pipeline. Sweeps work on pages of 1,000 rows, each a
// transaction of its own, and pass by rows that somebody else has locked, so nobody waits long for them.
#include "modules/remote_store/postgres_link.h"

#include "modules/memory_store/memory_store.h"
#include "modules/remote_store/postgres_address.h"
#include "modules/remote_store/remote_tier.h"

#include <algorithm>
#include <charconv>
#include <tuple>

namespace pillion {

namespace {

constexpr int ear_quiet_ms = 10'000; // then the server is asked whether it is still there
constexpr std::size_t readable_bytes_max = 1 << 20;
constexpr std::size_t hits_count_max = 20'000;
constexpr std::int64_t hits_interval_ns = 5'000'000'000;
constexpr std::int64_t year_10000_ms = 253'402'300'800'000;
constexpr std::uint32_t type_bytea = 17, type_int8 = 20, type_text = 25;

// An array in binary format: dimensions, whether there are nulls, the element type, the length, the first index, then
// each element with its length before it.
class ArrayWriter {
  public:
    ArrayWriter(std::uint32_t type, std::size_t count) {
        for (const std::uint32_t word : {1U, 0U, type, static_cast<std::uint32_t>(count), 1U}) add_word(word);
    }
    void add(std::string_view element) {
        add_word(static_cast<std::uint32_t>(element.size()));
        out_.append(element);
    }
    void add(std::int64_t number) { add(std::string_view(PostgresParam::number(number).data(), 8)); }
    const std::string& text() const { return out_; }

  private:
    void add_word(std::uint32_t word) {
        for (int shift = 24; shift >= 0; shift -= 8) out_.push_back(static_cast<char>(word >> shift));
    }
    std::string out_;
};

std::size_t index_of(const PostgresSchema& schema, const PostgresTable& table) {
    return static_cast<std::size_t>(&table - schema.tables.data());
}

bool is_chosen(const TierSelection& selection, std::string_view key, std::string_view parts) {
    if (selection.name && key != *selection.name) return false;
    return !selection.pattern || glob_match(*selection.pattern, parts.empty() ? key : parts);
}

// The length of the namespace, a colon, the namespace, the key.
std::string make_cursor(std::string_view space, std::string_view key) {
    return (std::to_string(space.size()) + ":").append(space).append(key);
}
std::pair<std::string_view, std::string_view> read_cursor(std::string_view cursor) {
    if (cursor.empty()) return {};
    std::size_t size = 0;
    const char* const end = std::from_chars(cursor.data(), cursor.data() + cursor.size(), size).ptr;
    cursor.remove_prefix(static_cast<std::size_t>(end - cursor.data()) + 1);
    return {cursor.substr(0, size), cursor.substr(size)};
}

PostgresParam time_or_null(const std::optional<std::int64_t>& ms) {
    return ms ? PostgresParam::time(*ms) : PostgresParam::null();
}

} // namespace

PostgresLink::PostgresLink(const PostgresConfig& config, std::string app, std::shared_ptr<const PostgresSchema> schema,
                           const Clock& clock)
    : connection_(config.url, postgres_where(config.url), config.connectMs, config.commandMs), app_(std::move(app)),
      schema_(std::move(schema)), clock_(clock), hits_(schema_->tables.size()) {}

Result<void> PostgresLink::open() {
    PILLION_TRY(connection_.open());
    const auto made = ensure_postgres_schema(connection_, schema_->name);
    if (!made) connection_.close();
    return made;
}

PostgresLink::Contents PostgresLink::contents_of(std::string_view record) const {
    Contents contents;
    contents.record = record;
    contents.created_ms = clock_.wall_ms();
    const auto view = decode_record(record);
    if (!view) return contents;
    const RecordMeta& meta = view->meta;
    const std::string_view payload = view->payload;
    contents.content_type = meta.content_type;
    // What no calendar knows is as good as now.
    if (meta.created_ms > 0 && meta.created_ms < year_10000_ms) contents.created_ms = meta.created_ms;
    const bool is_plain = !meta.is_negative && !meta.is_compressed && meta.key_id == 0;
    contents.is_readable = is_plain && meta.content_type == "application/json" && payload.size() <= readable_bytes_max;
    contents.is_split = !contents.is_readable && payload.data() + payload.size() == record.data() + record.size();
    if (contents.is_readable) contents.json = payload;
    if (contents.is_split) {
        contents.payload = payload;
        contents.record.remove_suffix(payload.size());
    }
    return contents;
}

PostgresQuery PostgresLink::query_of(const RemoteCall& call, const Contents& contents) const {
    const PostgresTable& table = schema_->table_of(call.key.space);
    PostgresQuery query;
    query.params = {PostgresParam::bytes(app_), PostgresParam::bytes(call.key.name)};
    const auto given = [](bool is_given, std::string_view text) {
        return is_given ? PostgresParam::bytes(text) : PostgresParam::null();
    };
    if (call.kind == RemoteCall::Kind::get) {
        query.name = table.get_name;
        query.sql = table.get.c_str();
        query.params.push_back(PostgresParam::time(clock_.wall_ms()));
    } else if (call.kind == RemoteCall::Kind::remove || call.value.gone_at_ms <= clock_.wall_ms()) {
        query.name = table.remove_name;
        query.sql = table.remove.c_str();
    } else {
        query.name = table.put_name;
        query.sql = table.put.c_str();
        query.params.insert(query.params.end(),
                            {given(!call.key.parts.empty(), call.key.parts), given(contents.is_readable, contents.json),
                             given(contents.is_split, contents.payload), PostgresParam::bytes(contents.record),
                             PostgresParam::time(contents.created_ms), PostgresParam::time(call.value.gone_at_ms),
                             given(!contents.content_type.empty(), contents.content_type)});
    }
    if (table.is_general()) query.params.push_back(PostgresParam::bytes(call.key.space));
    return query;
}

PostgresQuery PostgresLink::plain_query_of(const RemoteCall& call, const Contents& contents) const {
    const PostgresTable& table = schema_->table_of(call.key.space);
    PostgresQuery query = query_of(call, contents);
    query.name = table.put_plain_name;
    query.sql = table.put_plain.c_str();
    query.params[3] = PostgresParam::null(); // the readable value
    return query;
}

RemoteOutcome PostgresLink::read(const RemoteCall& call, const PostgresResult& result) {
    if (call.kind != RemoteCall::Kind::get || result.rows() == 0) return std::optional<TierValue>();
    TierValue found;
    const std::string_view head = result.bytes(0, 0);
    const std::string_view payload = result.bytes(0, 1);
    found.record.reserve(head.size() + payload.size());
    found.record.append(head).append(payload);
    found.gone_at_ms = result.time_ms(0, 2);
    count_hit(call);
    return found;
}

void PostgresLink::count_hit(const RemoteCall& call) {
    const PostgresTable& table = schema_->table_of(call.key.space);
    if (hits_count_ >= hits_count_max) return;
    auto [counted, is_new] = hits_[index_of(*schema_, table)].try_emplace(
        {call.key.name, table.is_general() ? call.key.space : std::string()}, 0);
    ++counted->second;
    if (is_new) ++hits_count_;
}

// All calls as one transaction first. If one of them fails nothing has changed, and each is sent on its own. Calls go
// in the order of their keys, as they do in every sidecar, so that no two wait for each other's rows.
Result<void> PostgresLink::exchange(std::span<RemoteCall> calls) {
    std::vector<RemoteCall*> sent;
    for (RemoteCall& call : calls) {
        if (!call.outcome) sent.push_back(&call);
    }
    std::ranges::stable_sort(sent, {},
                             [](const RemoteCall* call) { return std::tie(call->key.space, call->key.name); });
    if (sent.size() == 1 || !PILLION_TRY(exchange_together(sent))) PILLION_TRY(exchange_singly(sent));
    if (clock_.now_ns() - hits_written_ns_ > hits_interval_ns) return write_hits();
    return {};
}

Result<bool> PostgresLink::exchange_together(std::span<RemoteCall* const> calls) {
    const Prepared prepared = prepare(calls);
    const Result<bool> is_done =
        connection_.exchange_together(prepared.queries, [&](std::size_t index, Result<PostgresResult> answer) {
            RemoteCall& call = *calls[index];
            if (call.kind == RemoteCall::Kind::get) call.outcome = read(call, *answer);
        });
    for (RemoteCall* const call : calls) {
        // A get that saw a put of the same transaction may have seen what was taken back.
        if (!is_done || !*is_done) {
            call->outcome.reset();
        } else if (!call->outcome) {
            call->outcome = std::optional<TierValue>();
        }
    }
    return is_done;
}

PostgresLink::Prepared PostgresLink::prepare(std::span<RemoteCall* const> calls) const {
    Prepared prepared;
    prepared.contents.reserve(calls.size()); // parameters point into it
    prepared.queries.reserve(calls.size());
    for (const RemoteCall* const call : calls) {
        prepared.contents.push_back(call->kind == RemoteCall::Kind::put ? contents_of(call->value.record) : Contents());
        prepared.queries.push_back(query_of(*call, prepared.contents.back()));
    }
    return prepared;
}

Result<void> PostgresLink::exchange_singly(std::span<RemoteCall* const> calls) {
    const Prepared prepared = prepare(calls);
    std::vector<RemoteCall*> refused;
    PILLION_TRY(connection_.exchange(prepared.queries, [&](std::size_t index, Result<PostgresResult> answer) {
        RemoteCall& call = *calls[index];
        if (answer) {
            call.outcome = read(call, *answer);
        } else if (call.kind == RemoteCall::Kind::put && answer.error().code == ErrorCode::invalid_params) {
            refused.push_back(&call);
        } else {
            call.outcome = std::unexpected(answer.error());
        }
    }));
    return put_plain(refused);
}

Result<void> PostgresLink::put_plain(std::span<RemoteCall* const> refused) {
    for (RemoteCall* const call : refused) {
        const Contents contents = contents_of(call->value.record);
        const PostgresQuery query = plain_query_of(*call, contents);
        const auto answer = connection_.ask(query);
        if (!answer && !connection_.is_open()) return std::unexpected(answer.error());
        if (answer) {
            call->outcome = std::optional<TierValue>();
        } else {
            call->outcome = std::unexpected(answer.error());
        }
    }
    return {};
}

Result<void> PostgresLink::ping() {
    PILLION_TRY(connection_.ask({.sql = "SELECT 1"}));
    return {};
}

Result<void> PostgresLink::publish(const std::string& message) {
    const std::string channel = schema_->name + "_notices";
    PILLION_TRY(connection_.ask({.sql = "SELECT pg_notify($1::text, $2::text)::text",
                                 .params = {PostgresParam::bytes(channel), PostgresParam::bytes(message)}}));
    return {};
}

// The next rows by digest, and which of them are chosen. The cursor is that of the last row that was looked at.
Result<PostgresLink::Page> PostgresLink::page(const PostgresTable& table, const TierSelection& selection,
                                              std::string& cursor) {
    const auto [after_space, after_key] = read_cursor(cursor);
    PostgresQuery query{.sql = table.page.c_str()};
    query.params = {PostgresParam::bytes(app_),
                    cursor.empty() ? PostgresParam::null() : PostgresParam::bytes(after_key),
                    time_or_null(selection.created_before_ms), PostgresParam::time(clock_.wall_ms())};
    if (table.is_general()) {
        query.params.push_back(selection.space.empty() ? PostgresParam::null() : PostgresParam::bytes(selection.space));
        query.params.push_back(PostgresParam::bytes(after_space));
    }
    const PostgresResult result = PILLION_TRY(connection_.ask(query));
    Page page;
    const int rows = result.rows();
    for (int row = 0; row < rows; ++row) {
        const std::string_view key = result.bytes(row, 0);
        const std::string_view parts = result.bytes(row, 1);
        if (is_chosen(selection, key, parts)) {
            page.chosen.push_back({std::string(key), std::string(parts), std::string(result.bytes(row, 2))});
        }
    }
    if (rows > 0) cursor = make_cursor(result.bytes(rows - 1, 2), result.bytes(rows - 1, 0));
    page.end = static_cast<std::size_t>(rows) < postgres_page_rows ? SliceEnd::done : SliceEnd::more;
    return page;
}

Result<std::uint64_t> PostgresLink::remove(const PostgresTable& table, const std::vector<Row>& rows) {
    std::vector<PostgresQuery> queries;
    for (const Row& row : rows) {
        queries.push_back({.name = table.remove_name, .sql = table.remove.c_str()});
        queries.back().params = {PostgresParam::bytes(app_), PostgresParam::bytes(row.key)};
        if (table.is_general()) queries.back().params.push_back(PostgresParam::bytes(row.space));
    }
    std::uint64_t removed = 0;
    std::optional<Error> error;
    PILLION_TRY(connection_.exchange(queries, [&](std::size_t, Result<PostgresResult> answer) {
        if (answer) {
            removed += answer->changed();
        } else {
            error = answer.error();
        }
    }));
    if (error) return std::unexpected(*error);
    return removed;
}

Result<SliceEnd> PostgresLink::sweep_table(const PostgresTable& table, RemoteSweep& sweep) {
    const TierSelection& selection = sweep.selection;
    if (selection.name || selection.pattern) {
        const Page page = PILLION_TRY(this->page(table, selection, sweep.cursor));
        sweep.count += PILLION_TRY(remove(table, page.chosen));
        return page.end;
    }
    PostgresQuery query{.sql = table.drop.c_str()};
    query.params = {PostgresParam::bytes(app_), time_or_null(selection.created_before_ms),
                    selection.expired ? PostgresParam::time(clock_.wall_ms()) : PostgresParam::null()};
    if (table.is_general()) {
        query.params.push_back(selection.space.empty() ? PostgresParam::null() : PostgresParam::bytes(selection.space));
    }
    const auto dropped = PILLION_TRY(connection_.ask(query)).changed();
    sweep.count += dropped;
    return dropped < postgres_page_rows ? SliceEnd::done : SliceEnd::more;
}

Result<SliceEnd> PostgresLink::sweep(RemoteSweep& sweep) {
    const TierSelection& selection = sweep.selection;
    const bool is_one_key = selection.name && !selection.pattern && !selection.created_before_ms && !selection.expired;
    if (!selection.space.empty() && is_one_key) {
        sweep.count = PILLION_TRY(remove(schema_->table_of(selection.space), {{*selection.name, {}, selection.space}}));
        return SliceEnd::done;
    }
    if (!selection.space.empty()) return sweep_table(schema_->table_of(selection.space), sweep);
    const SliceEnd end = PILLION_TRY(sweep_table(schema_->tables[sweep.table], sweep));
    if (end == SliceEnd::more) return end;
    sweep.cursor.clear();
    return ++sweep.table < schema_->tables.size() ? SliceEnd::more : SliceEnd::done;
}

Result<SliceEnd> PostgresLink::list(RemoteListing& listing) {
    if (listing.selection.expired) return SliceEnd::done; // what is gone is not listed
    if (listing.cursor.empty() && !listing.after.empty())
        listing.cursor = make_cursor(listing.selection.space, listing.after);
    const PostgresTable& table = schema_->table_of(listing.selection.space);
    Page page = PILLION_TRY(this->page(table, listing.selection, listing.cursor));
    for (Row& row : page.chosen) {
        if (listing.keys.size() == listing.limit) return SliceEnd::done;
        listing.keys.push_back({listing.selection.space, std::move(row.key), std::move(row.parts)});
    }
    return listing.keys.size() == listing.limit ? SliceEnd::done : page.end;
}

Result<SliceEnd> PostgresLink::survey(RemoteSurvey& survey) {
    PostgresQuery query{.sql = schema_->survey.c_str()};
    query.params = {PostgresParam::bytes(app_), PostgresParam::time(clock_.wall_ms())};
    const PostgresResult result = PILLION_TRY(connection_.ask(query));
    const auto count = [&result](int row, int column) {
        return static_cast<std::uint64_t>(result.number(row, column));
    };
    survey.spaces.clear();
    for (int row = 0; row < result.rows(); ++row) {
        const std::string space(result.bytes(row, 0));
        survey.spaces[space] = {.space = space,
                                .table = std::string(result.bytes(row, 1)),
                                .entries = count(row, 2),
                                .expired = count(row, 3),
                                .bytes = count(row, 4),
                                .hits = count(row, 5)};
    }
    return SliceEnd::done;
}

// Counts are for people: those that meet an error are given up.
Result<void> PostgresLink::write_hits() {
    hits_written_ns_ = clock_.now_ns();
    if (hits_count_ == 0) return {};
    for (std::size_t index = 0; index < hits_.size(); ++index) {
        Hits hits;
        hits.swap(hits_[index]);
        if (hits.empty()) continue;
        const PostgresTable& table = schema_->tables[index];
        ArrayWriter keys(type_bytea, hits.size());
        ArrayWriter counts(type_int8, hits.size());
        ArrayWriter spaces(type_text, hits.size());
        for (const auto& [read, count] : hits) {
            keys.add(read.first);
            spaces.add(read.second);
            counts.add(count);
        }
        PostgresQuery query{.sql = table.count_hits.c_str()};
        query.params = {PostgresParam::bytes(app_), PostgresParam::bytes(keys.text()),
                        PostgresParam::bytes(counts.text())};
        if (table.is_general()) query.params.push_back(PostgresParam::bytes(spaces.text()));
        const auto answer = connection_.ask(query);
        if (!answer && !connection_.is_open()) return std::unexpected(answer.error());
    }
    hits_count_ = 0;
    return {};
}

PostgresEar::PostgresEar(const PostgresConfig& config, std::string channel)
    : connection_(config.url, postgres_where(config.url), config.connectMs, config.commandMs),
      channel_(std::move(channel)) {}

Result<void> PostgresEar::open() {
    PILLION_TRY(connection_.open());
    const std::string listen = "LISTEN " + channel_;
    PILLION_TRY(connection_.ask({.sql = listen.c_str()}));
    return {};
}

Result<std::vector<std::string>> PostgresEar::hear(const WakeDescriptor& wake) {
    const auto woke = wait_for_socket(connection_.socket(), SocketWish::read, ear_quiet_ms, wake.descriptor());
    if (woke == SocketWait::woken) return std::vector<std::string>();
    if (woke == SocketWait::timed_out) PILLION_TRY(connection_.ask({.sql = "SELECT 1"}));
    return connection_.take_notifications();
}

Result<void> check_postgres_config(const PostgresConfig& config) {
    if (!config.url.empty()) PILLION_TRY(check_postgres_url(config.url));
    const auto fits = [](char byte) {
        return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
    };
    const bool begins_well = !config.schema.empty() && (config.schema.front() < '0' || config.schema.front() > '9');
    if (!begins_well || config.schema.size() > 48 || !std::ranges::all_of(config.schema, fits)) {
        return fail(ErrorCode::invalid_params,
                    "the schema \"" + config.schema +
                        "\" is no name of at most 48 letters a-z, digits and _, not beginning with a digit",
                    "/schema");
    }
    if (config.backoffMsMin > config.backoffMsMax) {
        return fail(ErrorCode::invalid_params,
                    "backoffMsMin " + std::to_string(config.backoffMsMin) + " is more than backoffMsMax " +
                        std::to_string(config.backoffMsMax),
                    "/backoffMsMin");
    }
    return {};
}

Result<std::unique_ptr<RemoteStore>> create_postgres_tier(const PostgresConfig& config, std::string app,
                                                          const Clock& clock) {
    PILLION_TRY(check_postgres_config(config));
    PILLION_TRY(check_postgres_url(config.url));
    RemoteTier::Parts parts;
    parts.name = "postgres";
    parts.limits = {.where = postgres_where(config.url),
                    .command_ms = config.commandMs,
                    .backoff_ms_min = config.backoffMsMin,
                    .backoff_ms_max = config.backoffMsMax,
                    .queued_calls_max = static_cast<std::size_t>(config.queuedCallsMax),
                    .queued_bytes_max = static_cast<std::size_t>(config.queuedBytesMax),
                    .clean_interval_ms = config.cleanIntervalMs};
    parts.notice_bytes_max = 7900; // NOTIFY takes less than 8,000
    const auto schema = std::make_shared<const PostgresSchema>(make_postgres_schema(config.schema));
    for (std::int64_t i = 0; i < std::max<std::int64_t>(config.connections, 1); ++i) {
        parts.links.push_back(std::make_unique<PostgresLink>(config, app, schema, clock));
    }
    parts.ear = std::make_unique<PostgresEar>(config, config.schema + "_notices");
    parts.app = std::move(app);
    return std::make_unique<RemoteTier>(std::move(parts), clock);
}

} // namespace pillion
