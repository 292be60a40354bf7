// All queries are sent before the first answer is awaited; libpq's buffers take what the socket does not, and both
// directions are served while waiting, so neither side can block the other. A Sync ends a transaction and makes the
// server send what it has: after each query an error concerns only that query; after all of them they share a
// transaction and few system calls.
#include "modules/remote_store/postgres_connection.h"

#include "ipc/base/shared_library.h"
#include "modules/cache_entry/cache_entry.h"

#include <algorithm>
#include <cstdlib>
#include <postgresql/libpq-fe.h>

namespace pillion {

namespace {

#define PILLION_LIBPQ(X)                                                                                               \
    X(PQconninfoParse)                                                                                                 \
    X(PQconninfoFree)                                                                                                  \
    X(PQconnectStartParams)                                                                                            \
    X(PQconnectPoll)                                                                                                   \
    X(PQfinish)                                                                                                        \
    X(PQstatus)                                                                                                        \
    X(PQsocket)                                                                                                        \
    X(PQerrorMessage)                                                                                                  \
    X(PQsetErrorVerbosity)                                                                                             \
    X(PQsetNoticeProcessor)                                                                                            \
    X(PQsetnonblocking)                                                                                                \
    X(PQenterPipelineMode)                                                                                             \
    X(PQpipelineSync)                                                                                                  \
    X(PQsendPrepare)                                                                                                   \
    X(PQsendQueryParams)                                                                                               \
    X(PQsendQueryPrepared)                                                                                             \
    X(PQflush)                                                                                                         \
    X(PQconsumeInput)                                                                                                  \
    X(PQisBusy)                                                                                                        \
    X(PQgetResult)                                                                                                     \
    X(PQresultStatus)                                                                                                  \
    X(PQresultErrorField)                                                                                              \
    X(PQclear)                                                                                                         \
    X(PQntuples)                                                                                                       \
    X(PQgetvalue)                                                                                                      \
    X(PQgetlength)                                                                                                     \
    X(PQgetisnull)                                                                                                     \
    X(PQcmdTuples)                                                                                                     \
    X(PQnotifies)                                                                                                      \
    X(PQfreemem)

struct Libpq {
    PILLION_LIBPQ(PILLION_LIBRARY_MEMBER)
};

Result<const Libpq*> open_libpq() {
    static const Result<Libpq> opened = []() -> Result<Libpq> {
        const auto library = PILLION_TRY(SharedLibrary::open({"libpq.so.5"}, "libpq5"));
        Libpq functions;
        PILLION_LIBPQ(PILLION_LIBRARY_BIND)
        return functions;
    }();
    if (!opened) return std::unexpected(opened.error());
    return &*opened;
}
// For those who hold something of the library, which therefore is open.
const Libpq& libpq() { return **open_libpq(); }

constexpr std::int64_t microseconds = 1000;
constexpr std::int64_t epoch_2000_ms = 946'684'800'000;
constexpr std::int64_t year_10000_ms = 253'402'300'800'000;
constexpr int binary = 1;

std::int64_t read_number(const char* data) {
    std::uint64_t number = 0;
    for (int i = 0; i < 8; ++i) number = number << 8 | static_cast<unsigned char>(data[i]);
    return static_cast<std::int64_t>(number);
}

struct StateMeaning {
    std::string_view begins_with;
    ErrorCode code;
};

// SQLSTATE, exact ones before classes.
constexpr std::array state_meanings{
    StateMeaning{"28", ErrorCode::denied},                 // refuses user or password
    StateMeaning{"42501", ErrorCode::denied},              // no right to this
    StateMeaning{"3D000", ErrorCode::failed_precondition}, // no such database
    StateMeaning{"53300", ErrorCode::unavailable},         // too many connections
    StateMeaning{"53", ErrorCode::exhausted},              // disk full, out of memory
    StateMeaning{"57014", ErrorCode::timeout},             // statement_timeout
    StateMeaning{"57", ErrorCode::unavailable},            // shutting down, starting up, terminated
    StateMeaning{"25006", ErrorCode::unavailable},         // a read-only replica
    StateMeaning{"08", ErrorCode::unavailable},            // connection
    StateMeaning{"40", ErrorCode::unavailable},            // deadlock, serialisation: may be repeated
    StateMeaning{"55", ErrorCode::unavailable},            // locked
    StateMeaning{"22", ErrorCode::invalid_params},         // data that a column cannot hold
    StateMeaning{"54", ErrorCode::invalid_params},         // nor an index, or a parser
    StateMeaning{"58", ErrorCode::unavailable},            // the server's file system
    // The schema is gone, changed by another version, or a pooler gave us another server connection: begin afresh.
    StateMeaning{"42P01", ErrorCode::unavailable},
    StateMeaning{"3F000", ErrorCode::unavailable},
    StateMeaning{"0A000", ErrorCode::unavailable},
    StateMeaning{"26000", ErrorCode::unavailable},
};

// States after which this connection is of no use.
constexpr std::array<std::string_view, 9> fatal_states{"57P01", "57P02", "57P03", "57P05", "25006",
                                                       "42P01", "3F000", "0A000", "26000"};

ErrorCode code_of(std::string_view state) {
    for (const StateMeaning& known : state_meanings) {
        if (state.starts_with(known.begins_with)) return known.code;
    }
    return ErrorCode::internal_error;
}

// The state in "FATAL:  28P01: password authentication failed", whatever language the rest has.
std::string_view find_state(std::string_view text) {
    const auto is_state = [](std::string_view five) {
        return std::all_of(five.begin(), five.end(),
                           [](char byte) { return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z'); });
    };
    for (std::size_t at = text.find(":  "); at != std::string_view::npos; at = text.find(":  ", at + 1)) {
        if (at + 8 < text.size() && text[at + 8] == ':' && is_state(text.substr(at + 3, 5)))
            return text.substr(at + 3, 5);
    }
    return {};
}

std::string one_line(std::string text) {
    // The place in the server's source says nothing to a user.
    if (const std::size_t place = text.find("\nLOCATION:"); place != std::string::npos) text.resize(place);
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    for (char& byte : text) {
        if (byte == '\n' || byte == '\t') byte = ' ';
    }
    return text;
}

} // namespace

PostgresParam PostgresParam::bytes(std::string_view bytes) {
    PostgresParam param;
    param.view_ = bytes.data() == nullptr ? std::string_view("") : bytes;
    return param;
}

PostgresParam PostgresParam::number(std::int64_t number) {
    PostgresParam param;
    param.is_number_ = true;
    for (std::size_t i = 0; i < 8; ++i)
        param.number_[i] = static_cast<char>(static_cast<std::uint64_t>(number) >> (56 - 8 * i));
    return param;
}

PostgresParam PostgresParam::time(std::int64_t wall_ms) {
    if (wall_ms >= year_10000_ms) return null();
    return number((std::max(wall_ms, std::int64_t{0}) - epoch_2000_ms) * microseconds);
}

void PostgresResultEnd::operator()(pg_result* result) const { libpq().PQclear(result); }

int PostgresResult::rows() const { return libpq().PQntuples(result_.get()); }
std::uint64_t PostgresResult::changed() const { return std::strtoull(libpq().PQcmdTuples(result_.get()), nullptr, 10); }
bool PostgresResult::is_null(int row, int column) const { return libpq().PQgetisnull(result_.get(), row, column) != 0; }
std::string_view PostgresResult::bytes(int row, int column) const {
    return {libpq().PQgetvalue(result_.get(), row, column),
            static_cast<std::size_t>(libpq().PQgetlength(result_.get(), row, column))};
}
std::int64_t PostgresResult::number(int row, int column) const {
    const std::string_view value = bytes(row, column);
    return value.size() == 8 ? read_number(value.data()) : 0;
}
std::int64_t PostgresResult::time_ms(int row, int column) const {
    return is_null(row, column) ? never_ms : number(row, column) / microseconds + epoch_2000_ms;
}

PostgresConnection::PostgresConnection(std::string url, std::string where, std::int64_t connect_ms,
                                       std::int64_t command_ms)
    : url_(std::move(url)), where_(std::move(where)), connect_ms_(connect_ms), command_ms_(command_ms) {}

int PostgresConnection::socket() const { return connection_ == nullptr ? -1 : libpq().PQsocket(connection_); }

void PostgresConnection::close() {
    if (connection_ == nullptr) return;
    libpq().PQfinish(connection_);
    connection_ = nullptr;
    prepared_.clear();
}

// libpq's own words about a string that it cannot read may quote it, so they are not passed on.
Result<void> PostgresConnection::connect() {
    close();
    const Libpq* const library = PILLION_TRY(open_libpq());
    char* problem = nullptr;
    PQconninfoOption* const options = library->PQconninfoParse(url_.c_str(), &problem);
    if (problem != nullptr) library->PQfreemem(problem);
    if (options == nullptr) {
        return fail(ErrorCode::failed_precondition, where_ + " cannot be reached: libpq cannot read its address", {},
                    "write postgresql://user:password@host:5432/database, special characters as %XX");
    }
    for (const PQconninfoOption* option = options; option->keyword != nullptr; ++option) {
        if (std::string_view(option->keyword) == "password" && option->val != nullptr) password_ = option->val;
    }
    library->PQconninfoFree(options);

    const std::array<const char*, 4> keywords{"dbname", "fallback_application_name", "client_encoding", nullptr};
    const std::array<const char*, 4> values{url_.c_str(), "pillion", "UTF8", nullptr};
    connection_ = library->PQconnectStartParams(keywords.data(), values.data(), 1);
    if (connection_ == nullptr) return fail(ErrorCode::exhausted, where_ + " cannot be reached: out of memory");
    library->PQsetErrorVerbosity(connection_, PQERRORS_VERBOSE); // brings the SQLSTATE
    library->PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
    const Patience patience(connect_ms_);
    auto wanted = PGRES_POLLING_WRITING;
    while (library->PQstatus(connection_) != CONNECTION_BAD && wanted != PGRES_POLLING_OK &&
           wanted != PGRES_POLLING_FAILED) {
        const auto wish = wanted == PGRES_POLLING_READING ? SocketWish::read : SocketWish::write;
        if (wait_for_socket(library->PQsocket(connection_), wish, patience.left_ms()) != SocketWait::ready) {
            return fail(ErrorCode::unavailable,
                        where_ + " did not accept the connection within " + std::to_string(connect_ms_) + " ms");
        }
        wanted = library->PQconnectPoll(connection_);
    }
    if (library->PQstatus(connection_) != CONNECTION_OK) return std::unexpected(connection_error());
    library->PQsetErrorVerbosity(connection_, PQERRORS_DEFAULT);
    if (library->PQsetnonblocking(connection_, 1) != 0 || library->PQenterPipelineMode(connection_) == 0) {
        return std::unexpected(connection_error());
    }
    return {};
}

Result<void> PostgresConnection::open() {
    if (const auto connected = connect(); !connected) {
        close();
        return connected;
    }
    const std::string timeout = std::to_string(command_ms_);
    const std::array settings{PostgresQuery{.sql = "SELECT set_config('statement_timeout', $1, false)",
                                            .params = {PostgresParam::bytes(timeout)}},
                              PostgresQuery{.sql = "SELECT set_config('synchronous_commit', 'off', false)"}};
    Result<void> result;
    const Result<void> exchanged = exchange(settings, [&result](std::size_t, Result<PostgresResult> answer) {
        if (!answer) result = std::unexpected(answer.error());
    });
    if (!exchanged) return exchanged;
    if (!result) close();
    return result;
}

std::string PostgresConnection::without_secrets(std::string text) const {
    if (password_.empty()) return text;
    for (std::size_t at = text.find(password_); at != std::string::npos; at = text.find(password_, at + 3)) {
        text.replace(at, password_.size(), "***");
    }
    return text;
}

Error PostgresConnection::connection_error() const {
    const std::string said = libpq().PQerrorMessage(connection_);
    const std::string_view state = find_state(said);
    return {state.empty() ? ErrorCode::unavailable : code_of(state),
            where_ + " cannot be reached: " + without_secrets(one_line(said))};
}

Error PostgresConnection::lost() {
    const std::string said = without_secrets(one_line(libpq().PQerrorMessage(connection_)));
    close();
    return {ErrorCode::unavailable, where_ + " closed the connection" + (said.empty() ? "" : ": " + said)};
}

Error PostgresConnection::error_of(const pg_result& result) const {
    const auto field = [&result](int code) {
        const char* const text = libpq().PQresultErrorField(&result, code);
        return std::string(text == nullptr ? "" : text);
    };
    const std::string state = field(PG_DIAG_SQLSTATE);
    return {state.empty() ? ErrorCode::unavailable : code_of(state),
            where_ + " answered: " + without_secrets(one_line(field(PG_DIAG_MESSAGE_PRIMARY))) +
                (state.empty() ? "" : " (SQLSTATE " + state + ")")};
}

Result<PostgresConnection::Sent> PostgresConnection::send(const PostgresQuery& query) {
    const Libpq& library = libpq();
    std::vector<const char*> values;
    std::vector<int> sizes;
    const std::vector<int> formats(query.params.size(), binary);
    for (const PostgresParam& param : query.params) {
        values.push_back(param.data());
        sizes.push_back(param.size());
    }
    const int count = static_cast<int>(query.params.size());
    int sent = 1;
    Sent what = Sent::query;
    if (query.name.empty()) {
        sent = library.PQsendQueryParams(connection_, query.sql, count, nullptr, values.data(), sizes.data(),
                                         formats.data(), binary);
    } else {
        const std::string name(query.name);
        if (!prepared_.contains(name)) {
            sent = library.PQsendPrepare(connection_, name.c_str(), query.sql, 0, nullptr);
            prepared_.insert(name);
            what = Sent::preparation_and_query;
        }
        if (sent == 1) {
            sent = library.PQsendQueryPrepared(connection_, name.c_str(), count, values.data(), sizes.data(),
                                               formats.data(), binary);
        }
    }
    if (sent != 1) return std::unexpected(lost());
    return what;
}

Result<void> PostgresConnection::sync() {
    if (libpq().PQpipelineSync(connection_) != 1) return std::unexpected(lost());
    return {};
}

Result<pg_result*> PostgresConnection::next(Patience& patience) {
    const Libpq& library = libpq();
    while (library.PQisBusy(connection_) != 0) {
        const int flushed = library.PQflush(connection_);
        if (flushed < 0) return std::unexpected(lost());
        const auto wish = flushed == 0 ? SocketWish::read : SocketWish::read_or_write;
        if (wait_for_socket(library.PQsocket(connection_), wish, patience.left_ms()) != SocketWait::ready) {
            close();
            return fail(ErrorCode::timeout, where_ + " did not answer within " + std::to_string(command_ms_) + " ms");
        }
        patience.progress();
        if (library.PQconsumeInput(connection_) == 0) return std::unexpected(lost());
    }
    return library.PQgetResult(connection_);
}

// Closes the connection on an error after which it is of no use.
Result<void> PostgresConnection::check_alive(const pg_result& result) {
    const char* const state = libpq().PQresultErrorField(&result, PG_DIAG_SQLSTATE);
    if (state != nullptr && std::ranges::find(fatal_states, std::string_view(state)) == fatal_states.end()) return {};
    Error error = error_of(result);
    close();
    return std::unexpected(std::move(error));
}

Result<void> PostgresConnection::exchange(std::span<const PostgresQuery> queries, const Answered& answered) {
    if (connection_ == nullptr) return fail(ErrorCode::unavailable, where_ + " is not connected");
    const Libpq& library = libpq();
    std::size_t bytes = 0;
    for (const PostgresQuery& query : queries) {
        PILLION_TRY(send(query));
        PILLION_TRY(sync());
        for (const PostgresParam& param : query.params) bytes += static_cast<std::size_t>(param.size());
    }
    // A statement has its own limit at the server; what travels may take a little longer.
    Patience patience(command_ms_ + command_ms_ / 4, bytes);
    for (std::size_t index = 0; index < queries.size(); ++index) {
        // The last result before the Sync is the query's, unless there was an error.
        std::unique_ptr<pg_result, PostgresResultEnd> kept;
        bool is_error = false;
        int empty_in_a_row = 0;
        while (true) {
            std::unique_ptr<pg_result, PostgresResultEnd> result(PILLION_TRY(next(patience)));
            if (!result) {
                // Between results there is one null; more mean that nothing comes any more.
                if (++empty_in_a_row > 2 || library.PQstatus(connection_) == CONNECTION_BAD)
                    return std::unexpected(lost());
                continue;
            }
            empty_in_a_row = 0;
            const ExecStatusType status = library.PQresultStatus(result.get());
            if (status == PGRES_PIPELINE_SYNC) break;
            if (is_error) continue;
            is_error = status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
            kept = std::move(result);
            if (!is_error) continue;
            PILLION_TRY(check_alive(*kept));
        }
        if (is_error) {
            // A statement that could not be prepared is unknown (26000) at its next use, which begins afresh.
            answered(index, std::unexpected(error_of(*kept)));
        } else {
            answered(index, PostgresResult(kept.release()));
        }
    }
    return {};
}

Result<bool> PostgresConnection::exchange_together(std::span<const PostgresQuery> queries, const Answered& answered) {
    if (connection_ == nullptr) return fail(ErrorCode::unavailable, where_ + " is not connected");
    const Libpq& library = libpq();
    std::size_t bytes = 0;
    std::vector<Sent> sent;
    for (const PostgresQuery& query : queries) {
        sent.push_back(PILLION_TRY(send(query)));
        for (const PostgresParam& param : query.params) bytes += static_cast<std::size_t>(param.size());
    }
    PILLION_TRY(sync());
    Patience patience(command_ms_ + command_ms_ / 4, bytes);
    std::size_t index = 0; // of the query whose answer is next
    bool is_preparation = !sent.empty() && sent[0] == Sent::preparation_and_query;
    bool is_failed = false;
    int empty_in_a_row = 0;
    while (true) {
        std::unique_ptr<pg_result, PostgresResultEnd> result(PILLION_TRY(next(patience)));
        if (!result) {
            if (++empty_in_a_row > 2 || library.PQstatus(connection_) == CONNECTION_BAD) return std::unexpected(lost());
            continue;
        }
        empty_in_a_row = 0;
        const ExecStatusType status = library.PQresultStatus(result.get());
        if (status == PGRES_PIPELINE_SYNC) break;
        if (is_failed) continue;
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            PILLION_TRY(check_alive(*result));
            is_failed = true;
        } else if (is_preparation) {
            is_preparation = false;
        } else {
            answered(index, PostgresResult(result.release()));
            if (++index < queries.size()) is_preparation = sent[index] == Sent::preparation_and_query;
        }
    }
    // What came after the error was not prepared.
    for (std::size_t i = index; is_failed && i < queries.size(); ++i) {
        const bool was_prepared = sent[i] == Sent::query || (i == index && !is_preparation);
        if (!was_prepared) prepared_.erase(std::string(queries[i].name));
    }
    return !is_failed;
}

Result<PostgresResult> PostgresConnection::ask(const PostgresQuery& query) {
    Result<PostgresResult> result = fail(ErrorCode::internal_error, where_ + " gave no answer");
    PILLION_TRY(exchange(std::span(&query, 1),
                         [&result](std::size_t, Result<PostgresResult> answer) { result = std::move(answer); }));
    return result;
}

Result<std::vector<std::string>> PostgresConnection::take_notifications() {
    const Libpq& library = libpq();
    if (library.PQconsumeInput(connection_) == 0) return std::unexpected(lost());
    std::vector<std::string> taken;
    while (PGnotify* const notification = library.PQnotifies(connection_)) {
        taken.emplace_back(notification->extra);
        library.PQfreemem(notification);
    }
    return taken;
}

} // namespace pillion
