#include "modules/sessions/session_history.h"

#include "ipc/base/log.h"
#include "modules/storage/storage.h"

#include <utility>

namespace pillion {

namespace {

std::optional<std::int64_t> time_of(const Statement& row, int column) {
    return row.is_null(column) ? std::nullopt : std::optional(row.integer(column));
}

Result<void> write(Database& database, const Session& session, const std::string& owner, const std::string& summary) {
    Statement put = PILLION_TRY(
        database.prepare("INSERT OR REPLACE INTO session (id, owner, name, state, apply_advice, started_ms, ends_ms,"
                         " ended_ms, summary) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"));
    using View = std::string_view;
    put.with(View(session.id), View(owner), View(session.name), static_cast<std::int64_t>(session.state),
             std::int64_t{session.applyAdvice}, session.startedAt);
    put.bind(7, session.endsAt);
    put.bind(8, session.endedAt);
    put.bind(9, View(summary));
    PILLION_TRY(put.run());
    Statement oldest = PILLION_TRY(database.prepare(
        "DELETE FROM session WHERE id NOT IN (SELECT id FROM session ORDER BY started_ms DESC LIMIT ?)"));
    return oldest.with(static_cast<std::int64_t>(Sessions::kept_max)).run();
}

} // namespace

void SessionHistory::add_schema(Store& store) {
    store.add_schema("sessions", {"CREATE TABLE session (id TEXT PRIMARY KEY, owner TEXT, name TEXT, state INTEGER,"
                                  " apply_advice INTEGER, started_ms INTEGER, ends_ms INTEGER, ended_ms INTEGER,"
                                  " summary TEXT)"});
}

void SessionHistory::keep(const Session& session) {
    if (host_.store == nullptr) return;
    host_.store->write(
        [session, owner = host_.owner, summary = session.summary ? host_.summary_text(*session.summary) : ""](
            Database& database) { return write(database, session, owner, summary); },
        [](const Result<void>& done) {
            if (!done) log(LogLevel::warning, "sessions", "a session was not recorded: " + done.error().message);
        });
}

Result<std::vector<Session>> SessionHistory::others(const std::string& id) const {
    std::vector<Session> sessions;
    if (host_.store == nullptr) return sessions;
    const Result<void> read = host_.store->read([&](Database& database) -> Result<void> {
        Statement rows = PILLION_TRY(
            database.prepare("SELECT id, name, state, apply_advice, started_ms, ends_ms, ended_ms, summary, owner FROM"
                             " session WHERE owner <> ?1 AND (?2 = '' OR id = ?2) ORDER BY started_ms DESC"));
        rows.with(std::string_view(host_.owner), std::string_view(id));
        while (PILLION_TRY(rows.step())) {
            auto state = static_cast<SessionState>(rows.integer(2));
            const bool is_alive = host_.is_alive && host_.is_alive(std::string(rows.text(8)));
            if (state == SessionState::running && !is_alive) state = SessionState::interrupted;
            Session session{.id = std::string(rows.text(0)),
                            .name = std::string(rows.text(1)),
                            .state = state,
                            .applyAdvice = rows.integer(3) != 0,
                            .startedAt = rows.integer(4),
                            .endsAt = time_of(rows, 5),
                            .endedAt = time_of(rows, 6)};
            if (auto summary = host_.read_summary(rows.text(7))) session.summary = std::move(*summary);
            sessions.push_back(std::move(session));
        }
        return {};
    });
    if (!read) return std::unexpected(read.error());
    return sessions;
}

} // namespace pillion
