// Keys are `pillion:APP:SPACE:NAME`; app and space are percent-encoded, so that the colons between them are the only
// ones before the name, which is as it is. Values are strings:
//
//     4 bytes  "PLN1"
//     8 bytes  when it is gone, 8 bytes  when it was created (ms since 1970), 4 bytes  how long the parts are; all
//              little endian
//     the parts (canonical JSON of a composite key, what patterns match), then the record
//
// so that patterns and ages need only the beginning of each value (GETRANGE). Redis removes what expired by itself.
// Sweeps go by SCAN, whose cursors mean nothing to another process: a cursor is kept with the number of the connection.
#include "modules/remote_store/redis_link.h"

#include "modules/memory_store/memory_store.h"
#include "modules/remote_store/remote_notice.h"
#include "modules/remote_store/remote_tier.h"

#include <cstring>
#include <hiredis/hiredis.h>
#include <utility>

namespace pillion {

namespace {

constexpr std::string_view magic = "PLN1";
constexpr std::size_t header_bytes = 24;
constexpr std::size_t header_bytes_guessed = 512; // enough for most parts
constexpr std::string_view scan_count = "1000";
constexpr int ear_quiet_ms = 10'000; // then the server is asked whether it is still there

void append_number(std::string& out, std::uint64_t number, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) out.push_back(static_cast<char>(number >> (8 * i)));
}

std::uint64_t number_at(std::string_view text, std::size_t at, std::size_t bytes) {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
        number |= std::uint64_t{static_cast<unsigned char>(text[at + i])} << (8 * i);
    }
    return number;
}

std::int64_t created_ms_of(std::string_view record) {
    const auto glance = glance_record(record);
    return glance ? glance->created_ms : 0;
}

std::string value_of(const RemoteCall& call) {
    std::string value;
    value.reserve(header_bytes + call.key.parts.size() + call.value.record.size());
    value.append(magic);
    append_number(value, static_cast<std::uint64_t>(call.value.gone_at_ms), 8);
    append_number(value, static_cast<std::uint64_t>(created_ms_of(call.value.record)), 8);
    append_number(value, call.key.parts.size(), 4);
    return value.append(call.key.parts).append(call.value.record);
}

// A literal text as a pattern that matches only it.
std::string escaped(std::string_view text) {
    std::string out;
    for (const char byte : text) {
        if (byte == '*' || byte == '?' || byte == '[' || byte == ']' || byte == '\\' || byte == '^')
            out.push_back('\\');
        out.push_back(byte);
    }
    return out;
}

std::string_view text_of(const redisReply& reply) {
    return reply.str == nullptr ? std::string_view() : std::string_view(reply.str, reply.len);
}

} // namespace

std::string RedisKeyspace::prefix(std::string_view space) const {
    std::string out = "pillion:" + app + ":";
    if (!space.empty()) out.append(percent_encode(space)).append(":");
    return out;
}
std::string RedisKeyspace::key(std::string_view space, std::string_view name) const {
    return ("pillion:" + app + ":").append(percent_encode(space)).append(":").append(name);
}
// Channels are the whole server's, whatever database is selected.
std::string RedisKeyspace::channel() const { return "pillion:" + app + ":notices:" + std::to_string(database); }

RedisLink::RedisLink(RedisAddress address, const RedisConfig& config, RedisKeyspace keyspace, const Clock& clock)
    : connection_(std::move(address), config.connectMs, config.commandMs), keyspace_(std::move(keyspace)),
      clock_(clock) {}

Result<void> RedisLink::open() {
    ++openings_;
    return connection_.open();
}

void RedisLink::append(const RemoteCall& call) {
    const std::string key = keyspace_.key(call.key.space, call.key.name);
    if (call.kind == RemoteCall::Kind::get) {
        connection_.append({"GET", key});
        return;
    }
    // Redis counts from when the command arrives, so what is left is what is told.
    const std::int64_t left_ms = call.value.gone_at_ms == never_ms ? 0 : call.value.gone_at_ms - clock_.wall_ms();
    if (call.kind == RemoteCall::Kind::remove || (left_ms <= 0 && call.value.gone_at_ms != never_ms)) {
        connection_.append({"UNLINK", key});
        return;
    }
    const std::string value = value_of(call);
    // Redis refuses what lies beyond the year 292 million; a century is for ever.
    constexpr std::int64_t century_ms = 100LL * 365 * 86'400'000;
    if (left_ms == 0 || left_ms > century_ms) {
        connection_.append({"SET", key, value});
    } else {
        connection_.append({"SET", key, value, "PX", std::to_string(left_ms)});
    }
}

RemoteOutcome RedisLink::read(const RemoteCall& call, redisReply& reply) {
    if (reply.type == REDIS_REPLY_ERROR) {
        constexpr std::array<std::string_view, 3> commands{"GET", "SET", "UNLINK"};
        return std::unexpected(connection_.error_of(reply, commands[static_cast<std::size_t>(call.kind)]));
    }
    if (call.kind != RemoteCall::Kind::get || reply.type == REDIS_REPLY_NIL) return std::optional<TierValue>();
    const std::string_view value = text_of(reply);
    const std::size_t parts = value.size() < header_bytes ? 0 : number_at(value, 20, 4);
    if (!value.starts_with(magic) || value.size() < header_bytes + parts) {
        return fail(ErrorCode::corrupt, connection_.where() + " holds a value in namespace " + call.key.space +
                                            " that Pillion did not write");
    }
    TierValue found;
    found.gone_at_ms = static_cast<std::int64_t>(number_at(value, 4, 8));
    if (found.gone_at_ms <= clock_.wall_ms()) return std::optional<TierValue>();
    found.record = value.substr(header_bytes + parts);
    return found;
}

Result<void> RedisLink::exchange(std::span<RemoteCall> calls) {
    std::size_t bytes = 0;
    for (const RemoteCall& call : calls) {
        if (call.outcome) continue;
        append(call);
        bytes += call.bytes();
    }
    Patience patience(connection_.command_ms(), bytes);
    bool was_read_only = false;
    for (RemoteCall& call : calls) {
        if (call.outcome) continue;
        const RedisReply reply = PILLION_TRY(connection_.next(patience));
        call.outcome = read(call, *reply);
        was_read_only = was_read_only || (reply->type == REDIS_REPLY_ERROR && text_of(*reply).starts_with("READONLY"));
    }
    // After a failover the name leads to the new primary: the next call looks it up.
    if (was_read_only) connection_.close();
    return {};
}

Result<void> RedisLink::ping() {
    PILLION_TRY(connection_.ask({"PING"}));
    return {};
}

Result<void> RedisLink::publish(const std::string& message) {
    PILLION_TRY(connection_.ask({"PUBLISH", keyspace_.channel(), message}));
    return {};
}

// One SCAN. The cursor is "connection:cursor"; that of another connection begins again.
Result<RedisLink::Scanned> RedisLink::scan(std::string& cursor, std::string_view prefix) {
    const std::string connection = std::to_string(openings_) + ":";
    const std::string at = cursor.starts_with(connection) ? cursor.substr(connection.size()) : "0";
    const RedisReply reply =
        PILLION_TRY(connection_.ask({"SCAN", at, "MATCH", escaped(prefix) + "*", "COUNT", scan_count}));
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
        return fail(ErrorCode::internal_error, connection_.where() + " answered SCAN with something else than keys");
    }
    const std::string next(text_of(*reply->element[0]));
    cursor = connection + next;
    Scanned scanned;
    scanned.end = next == "0" ? SliceEnd::done : SliceEnd::more;
    const redisReply& keys = *reply->element[1];
    for (std::size_t i = 0; i < keys.elements; ++i) scanned.keys.emplace_back(text_of(*keys.element[i]));
    return scanned;
}

Result<std::vector<RedisLink::Header>> RedisLink::headers(const std::vector<std::string>& keys) {
    const std::string last = std::to_string(header_bytes_guessed - 1);
    for (const std::string& key : keys) connection_.append({"GETRANGE", key, "0", last});
    Patience patience(connection_.command_ms());
    std::vector<Header> found(keys.size());
    std::vector<std::size_t> longer; // parts that go beyond what was read
    for (std::size_t i = 0; i < keys.size(); ++i) {
        const RedisReply reply = PILLION_TRY(connection_.next(patience));
        const std::string_view value = text_of(*reply);
        if (reply->type != REDIS_REPLY_STRING || !value.starts_with(magic) || value.size() < header_bytes) continue;
        Header& header = found[i];
        header.is_ours = true;
        header.gone_at_ms = static_cast<std::int64_t>(number_at(value, 4, 8));
        header.created_ms = static_cast<std::int64_t>(number_at(value, 12, 8));
        const std::size_t parts = number_at(value, 20, 4);
        header.parts = value.substr(header_bytes, parts);
        if (header.parts.size() < parts) {
            connection_.append(
                {"GETRANGE", keys[i], std::to_string(header_bytes), std::to_string(header_bytes + parts - 1)});
            longer.push_back(i);
        }
    }
    for (const std::size_t i : longer) {
        const RedisReply reply = PILLION_TRY(connection_.next(patience));
        if (reply->type == REDIS_REPLY_STRING) found[i].parts = text_of(*reply);
    }
    return found;
}

Result<std::uint64_t> RedisLink::unlink(const std::vector<std::string>& keys) {
    if (keys.empty()) return 0;
    std::vector<std::string_view> words{"UNLINK"};
    words.insert(words.end(), keys.begin(), keys.end());
    connection_.append(words);
    Patience patience(connection_.command_ms());
    const RedisReply reply = PILLION_TRY(connection_.next(patience));
    if (reply->type == REDIS_REPLY_ERROR) return std::unexpected(connection_.error_of(*reply, "UNLINK"));
    return static_cast<std::uint64_t>(reply->integer);
}

Result<SliceEnd> RedisLink::sweep(RemoteSweep& sweep) {
    const TierSelection& selection = sweep.selection;
    if (selection.expired) return SliceEnd::done; // Redis has seen to it
    const bool looks_inside = selection.pattern || selection.created_before_ms;
    Scanned scanned;
    if (selection.name && !selection.space.empty()) {
        scanned.keys.push_back(keyspace_.key(selection.space, *selection.name));
        scanned.end = SliceEnd::done;
    } else {
        scanned = PILLION_TRY(scan(sweep.cursor, keyspace_.prefix(selection.space)));
    }
    const auto inside = looks_inside ? PILLION_TRY(headers(scanned.keys)) : std::vector<Header>();
    std::vector<std::string> chosen;
    const std::size_t app_bytes = keyspace_.prefix({}).size();
    for (std::size_t i = 0; i < scanned.keys.size(); ++i) {
        std::string& key = scanned.keys[i];
        const std::string_view name =
            std::string_view(key).substr(std::min(key.find(':', app_bytes), key.size() - 1) + 1);
        if (selection.name && name != *selection.name) continue;
        if (looks_inside && !inside[i].is_ours) continue;
        if (selection.created_before_ms && inside[i].created_ms >= *selection.created_before_ms) continue;
        if (selection.pattern && !glob_match(*selection.pattern, inside[i].parts.empty() ? name : inside[i].parts))
            continue;
        chosen.push_back(std::move(key));
    }
    sweep.count += PILLION_TRY(unlink(chosen));
    return scanned.end;
}

// Redis keeps no order, so a page is the smallest names after the last, chosen while all are scanned.
Result<SliceEnd> RedisLink::list(RemoteListing& listing) {
    const TierSelection& selection = listing.selection;
    const std::string prefix = keyspace_.prefix(selection.space);
    const Scanned scanned = PILLION_TRY(scan(listing.cursor, prefix));
    const auto inside = PILLION_TRY(headers(scanned.keys));
    for (std::size_t i = 0; i < scanned.keys.size(); ++i) {
        const std::string_view name = std::string_view(scanned.keys[i]).substr(prefix.size());
        const Header& header = inside[i];
        if (!header.is_ours || (!listing.after.empty() && name <= listing.after)) continue;
        if (selection.name && name != *selection.name) continue;
        if (selection.expired || header.gone_at_ms <= clock_.wall_ms()) continue;
        if (selection.created_before_ms && header.created_ms >= *selection.created_before_ms) continue;
        if (selection.pattern && !glob_match(*selection.pattern, header.parts.empty() ? name : header.parts)) continue;
        listing.smallest.emplace(name, header.parts);
        if (listing.smallest.size() > listing.limit) listing.smallest.erase(std::prev(listing.smallest.end()));
    }
    if (scanned.end == SliceEnd::more) return scanned.end;
    for (const auto& [name, parts] : listing.smallest) listing.keys.push_back({selection.space, name, parts});
    return SliceEnd::done;
}

Result<SliceEnd> RedisLink::survey(RemoteSurvey& survey) {
    const std::string connection = std::to_string(openings_) + ":";
    if (!survey.cursor.starts_with(connection)) survey.spaces.clear();
    const std::string prefix = keyspace_.prefix({});
    const Scanned scanned = PILLION_TRY(scan(survey.cursor, prefix));
    for (const std::string& key : scanned.keys) connection_.append({"STRLEN", key});
    Patience patience(connection_.command_ms());
    for (const std::string& key : scanned.keys) {
        const RedisReply reply = PILLION_TRY(connection_.next(patience));
        if (reply->type != REDIS_REPLY_INTEGER || reply->integer == 0) continue;
        const std::string_view rest = std::string_view(key).substr(prefix.size());
        const auto space = percent_decode(rest.substr(0, rest.find(':')));
        if (!space) continue;
        SpaceStats& stats = survey.spaces[*space];
        stats.space = *space;
        ++stats.entries;
        stats.bytes += static_cast<std::uint64_t>(reply->integer);
    }
    return scanned.end;
}

RedisEar::RedisEar(RedisAddress address, const RedisConfig& config, RedisKeyspace keyspace)
    : connection_(std::move(address), config.connectMs, config.commandMs), keyspace_(std::move(keyspace)) {}

Result<void> RedisEar::open() {
    PILLION_TRY(connection_.open());
    PILLION_TRY(connection_.ask({"SUBSCRIBE", keyspace_.channel()}));
    return {};
}

// Replies of a subscription are arrays: "message", the channel, the text; or "pong".
Result<std::vector<std::string>> RedisEar::hear(const WakeDescriptor& wake) {
    std::vector<std::string> heard;
    const auto woke = wait_for_socket(connection_.socket(), SocketWish::read, ear_quiet_ms, wake.descriptor());
    if (woke == SocketWait::woken) return heard;
    const auto keep = [&heard](const redisReply& reply) {
        if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 3) return;
        if (text_of(*reply.element[0]) == "message") heard.emplace_back(text_of(*reply.element[2]));
    };
    if (woke == SocketWait::timed_out) keep(*PILLION_TRY(connection_.ask({"PING"})));
    while (const RedisReply reply = PILLION_TRY(connection_.take())) keep(*reply);
    return heard;
}

Result<void> check_redis_config(const RedisConfig& config) {
    if (!config.url.empty()) PILLION_TRY(read_redis_url(config.url));
    if (config.backoffMsMin > config.backoffMsMax) {
        return fail(ErrorCode::invalid_params,
                    "backoffMsMin " + std::to_string(config.backoffMsMin) + " is more than backoffMsMax " +
                        std::to_string(config.backoffMsMax),
                    "/backoffMsMin");
    }
    return {};
}

Result<std::unique_ptr<RemoteStore>> create_redis_tier(const RedisConfig& config, std::string app, const Clock& clock) {
    PILLION_TRY(check_redis_config(config));
    const RedisAddress address = PILLION_TRY(read_redis_url(config.url));
    const RedisKeyspace keyspace{percent_encode(app), address.database};
    RemoteTier::Parts parts;
    parts.name = "redis";
    parts.app = std::move(app);
    parts.limits = {.where = address.where(),
                    .command_ms = config.commandMs,
                    .backoff_ms_min = config.backoffMsMin,
                    .backoff_ms_max = config.backoffMsMax,
                    .queued_calls_max = static_cast<std::size_t>(config.queuedCallsMax),
                    .queued_bytes_max = static_cast<std::size_t>(config.queuedBytesMax)};
    parts.notice_bytes_max = 256 * 1024;
    parts.links.push_back(std::make_unique<RedisLink>(address, config, keyspace, clock));
    parts.ear = std::make_unique<RedisEar>(address, config, keyspace);
    return std::make_unique<RemoteTier>(std::move(parts), clock);
}

} // namespace pillion
