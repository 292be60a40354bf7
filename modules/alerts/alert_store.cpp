// An alert is one row from when it is raised: its id is its fingerprint, and with the time it was raised the key. What
// can be seen anew (members, suppression) is not kept. Resolved ones go when they are too old or too many. A row that
// makes no sense is left out, and goes in its time.
#include "modules/alerts/alert_store.h"

#include <algorithm>
#include <iterator>

namespace pillion {

std::vector<const char*> alerts_schema() {
    return {
        "CREATE TABLE alert (id TEXT NOT NULL, raised_ms INTEGER NOT NULL, rule TEXT NOT NULL, metric TEXT NOT NULL,"
        " unit TEXT NOT NULL, labels TEXT NOT NULL, state INTEGER NOT NULL, level INTEGER NOT NULL, worst INTEGER NOT "
        "NULL,"
        " title TEXT NOT NULL, detail TEXT NOT NULL, advice TEXT NOT NULL, value REAL, threshold REAL,"
        " changed_ms INTEGER NOT NULL, resolved_ms INTEGER, ending INTEGER, occurrences INTEGER NOT NULL,"
        " flapping INTEGER NOT NULL, members INTEGER NOT NULL, acknowledged_by TEXT, acknowledged_comment TEXT,"
        " acknowledged_ms INTEGER, PRIMARY KEY (id, raised_ms)) WITHOUT ROWID;"
        "CREATE INDEX alert_resolved ON alert (resolved_ms);"
        "CREATE TABLE alert_silence (id TEXT PRIMARY KEY, rule TEXT NOT NULL, labels TEXT NOT NULL,"
        " created_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, author TEXT NOT NULL, comment TEXT NOT NULL)"
        " WITHOUT ROWID;"
        "CREATE TABLE alert_rule (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID",
        "ALTER TABLE alert ADD COLUMN owner TEXT NOT NULL DEFAULT ''"};
}

namespace {

template <class Enum>
std::int64_t as_integer(Enum value) {
    return static_cast<std::int64_t>(value);
}

template <class Enum>
std::optional<Enum> enum_of(std::int64_t value, Enum last) {
    if (value < 0 || value > as_integer(last)) return {};
    return static_cast<Enum>(value);
}

Result<void> write_alert(Database& database, const Alert& alert, const std::string& owner) {
    Statement& put = *PILLION_TRY(database.prepared(
        "INSERT OR REPLACE INTO alert (id, raised_ms, rule, metric, unit, labels, state, level, worst, title, detail,"
        " advice, changed_ms, occurrences, flapping, members, value, threshold, resolved_ms, ending, acknowledged_by,"
        " acknowledged_comment, acknowledged_ms, owner) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"));
    const std::string labels = series_labels_text(alert.labels);
    using View = std::string_view;
    put.with(View(alert.id), alert.raisedAt, View(alert.rule), View(alert.metric), View(alert.unit), View(labels),
             as_integer(alert.state), as_integer(alert.level), as_integer(alert.worst), View(alert.title),
             View(alert.detail), View(alert.advice), alert.changedAt, alert.occurrences, alert.flapping ? 1 : 0,
             alert.membersCount, alert.value, alert.threshold, alert.resolvedAt,
             alert.end ? std::optional(as_integer(*alert.end)) : std::nullopt);
    for (const int parameter : {21, 22, 23}) put.bind_null(parameter);
    put.bind(24, View(owner));
    if (alert.acknowledged) {
        put.bind(21, View(alert.acknowledged->by));
        put.bind(22, View(alert.acknowledged->comment));
        put.bind(23, alert.acknowledged->at);
    }
    return put.run();
}

std::optional<Alert> read_alert(const Statement& row) {
    auto labels = read_series_labels(row.text(5));
    const auto state = enum_of(row.integer(6), AlertState::resolved);
    const auto level = enum_of(row.integer(7), AlertLevel::critical);
    const auto worst = enum_of(row.integer(8), AlertLevel::critical);
    if (!labels || !state || !level || !worst || row.text(0).empty() || row.text(2).empty() || row.integer(1) < 0)
        return {};
    const bool is_resolved = !row.is_null(18);
    if (is_resolved != (*state == AlertState::resolved)) return {};
    Alert alert{.id = std::string(row.text(0)), .rule = std::string(row.text(2)), .state = *state, .level = *level};
    alert.worst = *worst;
    alert.metric = row.text(3);
    alert.unit = row.text(4);
    alert.labels = std::move(*labels);
    alert.title = row.text(9);
    alert.detail = row.text(10);
    alert.advice = row.text(11);
    alert.raisedAt = row.integer(1);
    alert.changedAt = row.integer(12);
    alert.occurrences = row.integer(13);
    alert.flapping = row.integer(14) != 0;
    alert.membersCount = row.integer(15);
    if (!row.is_null(16)) alert.value = row.number(16);
    if (!row.is_null(17)) alert.threshold = row.number(17);
    if (is_resolved) {
        alert.resolvedAt = row.integer(18);
        alert.durationMs = std::max<std::int64_t>(0, *alert.resolvedAt - alert.raisedAt);
        alert.end = enum_of(row.integer(19), AlertEnd::notConfirmed).value_or(AlertEnd::cleared);
    }
    if (!row.is_null(22)) alert.acknowledged = {std::string(row.text(20)), std::string(row.text(21)), row.integer(22)};
    return alert;
}

Result<void> prune(Database& database, const AlertBounds& bounds) {
    Statement& expire = *PILLION_TRY(database.prepared("DELETE FROM alert WHERE resolved_ms < ?"));
    PILLION_TRY(expire.with(bounds.resolved_after_ms).run());
    Statement& surplus = *PILLION_TRY(database.prepared(
        "DELETE FROM alert WHERE (id, raised_ms) IN (SELECT id, raised_ms FROM alert WHERE resolved_ms IS NOT NULL"
        " ORDER BY resolved_ms DESC LIMIT -1 OFFSET ?)"));
    PILLION_TRY(surplus.with(bounds.history_max).run());
    // Only other processes' ones can be more than we have at a time.
    Statement& stray = *PILLION_TRY(database.prepared(
        "DELETE FROM alert WHERE (id, raised_ms) IN (SELECT id, raised_ms FROM alert WHERE resolved_ms IS NULL"
        " ORDER BY changed_ms DESC LIMIT -1 OFFSET ?)"));
    return stray.with(2 * bounds.active_max).run();
}

// The first parameter is another's; owners follow.
std::string standing(const std::vector<std::string>& others) {
    std::string condition = "resolved_ms IS NULL";
    for (std::size_t i = 0; i < others.size(); ++i) condition += " AND owner <> ?" + std::to_string(i + 2);
    return condition;
}

void bind_owners(Statement& statement, const std::vector<std::string>& owners) {
    for (std::size_t i = 0; i < owners.size(); ++i)
        statement.bind(static_cast<int>(i + 2), std::string_view(owners[i]));
}

Result<void> read_rows(Database& database, const std::string& condition, std::int64_t count_max,
                       const std::vector<std::string>& others, std::vector<Alert>& alerts, std::size_t& unreadable) {
    Statement rows = PILLION_TRY(database.prepare(
        std::string("SELECT id, raised_ms, rule, metric, unit, labels, state, level, worst, title, detail, advice,"
                    " changed_ms, occurrences, flapping, members, value, threshold, resolved_ms, ending,"
                    " acknowledged_by, acknowledged_comment, acknowledged_ms FROM alert WHERE ") +
        condition + " LIMIT ?1"));
    rows.with(count_max);
    bind_owners(rows, others);
    while (PILLION_TRY(rows.step())) {
        if (auto alert = read_alert(rows))
            alerts.push_back(std::move(*alert));
        else
            ++unreadable;
    }
    return {};
}

} // namespace

void AlertWrites::add_older(AlertWrites older) {
    alerts.merge(older.alerts);
    silences.merge(older.silences);
    rules.merge(older.rules);
}

Result<void> write_alerts(Database& database, const AlertWrites& writes, const AlertBounds& bounds) {
    bool has_resolved = false;
    for (const auto& [key, alert] : writes.alerts) {
        PILLION_TRY(write_alert(database, alert, writes.owner));
        has_resolved = has_resolved || alert.resolvedAt;
    }
    for (const auto& [id, silence] : writes.silences) {
        if (!silence) {
            Statement& drop = *PILLION_TRY(database.prepared("DELETE FROM alert_silence WHERE id = ?"));
            PILLION_TRY(drop.with(std::string_view(id)).run());
            continue;
        }
        Statement& put = *PILLION_TRY(database.prepared("INSERT OR REPLACE INTO alert_silence VALUES (?,?,?,?,?,?,?)"));
        const std::string labels = series_labels_text(silence->labels);
        PILLION_TRY(put.with(std::string_view(id), std::string_view(silence->rule), std::string_view(labels),
                             silence->createdAt, silence->until, std::string_view(silence->by),
                             std::string_view(silence->comment))
                        .run());
    }
    for (const auto& [name, text] : writes.rules) {
        Statement& change =
            *PILLION_TRY(text ? database.prepared("INSERT OR REPLACE INTO alert_rule (name, text) VALUES (?, ?)")
                              : database.prepared("DELETE FROM alert_rule WHERE name = ?"));
        change.with(std::string_view(name));
        if (text) change.bind(2, std::string_view(*text));
        PILLION_TRY(change.run());
    }
    if (has_resolved) PILLION_TRY(prune(database, bounds));
    return {};
}

Result<std::vector<std::string>> find_alert_owners(Database& database, const std::string& own,
                                                   const std::function<bool(const std::string& owner)>& is_alive) {
    std::vector<std::string> others;
    Statement owners =
        PILLION_TRY(database.prepare("SELECT DISTINCT owner FROM alert WHERE resolved_ms IS NULL AND owner <> ?"));
    owners.with(std::string_view(own));
    while (PILLION_TRY(owners.step()))
        if (std::string owner(owners.text(0)); is_alive && is_alive(owner)) others.push_back(std::move(owner));
    return others;
}

Result<void> take_over_alerts(Database& database, const std::string& own, const std::vector<std::string>& others) {
    Statement take =
        PILLION_TRY(database.prepare("UPDATE alert SET owner = ?1 WHERE owner <> ?1 AND " + standing(others)));
    take.with(std::string_view(own));
    bind_owners(take, others);
    return take.run();
}

Result<AlertsKept> read_alerts(Database& database, const AlertBounds& bounds, const std::vector<std::string>& others) {
    AlertsKept kept;
    PILLION_TRY(read_rows(database, standing(others) + " ORDER BY raised_ms DESC", bounds.active_max, others,
                          kept.active, kept.unreadable));
    PILLION_TRY(read_rows(database, "resolved_ms IS NOT NULL ORDER BY resolved_ms DESC", bounds.history_max, {},
                          kept.resolved, kept.unreadable));
    std::ranges::reverse(kept.resolved);
    Statement silences = PILLION_TRY(
        database.prepare("SELECT id, rule, labels, created_ms, until_ms, author, comment FROM alert_silence"));
    while (PILLION_TRY(silences.step())) {
        auto labels = read_series_labels(silences.text(2));
        if (!labels) {
            ++kept.unreadable;
            continue;
        }
        kept.silences.push_back({.id = std::string(silences.text(0)),
                                 .rule = std::string(silences.text(1)),
                                 .labels = std::move(*labels),
                                 .createdAt = silences.integer(3),
                                 .until = silences.integer(4),
                                 .by = std::string(silences.text(5)),
                                 .comment = std::string(silences.text(6))});
    }
    Statement rules = PILLION_TRY(database.prepare("SELECT name, text FROM alert_rule"));
    while (PILLION_TRY(rules.step())) kept.rules.emplace(rules.text(0), rules.text(1));
    kept.is_read = true;
    return kept;
}

Result<std::vector<Alert>> read_kept_alerts(Store& store, AlertsOf which) {
    const AlertsConfig defaults;
    Alerts::add_schema(store);
    const AlertBounds bounds{
        .history_max = defaults.historyMax, .resolved_after_ms = 0, .active_max = defaults.activeMax};
    Result<AlertsKept> read;
    PILLION_TRY(store.read([&](Database& database) -> Result<void> {
        read = read_alerts(database, bounds, {});
        return {};
    }));
    AlertsKept kept = PILLION_TRY(std::move(read));
    std::vector<Alert> alerts;
    if (which != AlertsOf::resolved) alerts = std::move(kept.active);
    if (which != AlertsOf::active) std::move(kept.resolved.rbegin(), kept.resolved.rend(), std::back_inserter(alerts));
    return alerts;
}

} // namespace pillion
