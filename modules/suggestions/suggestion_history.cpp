#include "modules/suggestions/suggestion_history.h"

#include "ipc/base/log.h"
#include "modules/storage/storage.h"

#include <algorithm>
#include <utility>

namespace pillion {

namespace {

constexpr const char* columns = "number, id, kind, target, title, verdict, reason, in_force, automatic, lasts,"
                                " configuration, began_at, ended_at, figure, unit, better, before_samples,"
                                " before_median, before_low, before_high, after_samples, after_median, after_low,"
                                " after_high, shift, shift_low, shift_high, probability, effect_min, owner";

std::string text_of(const Statement& row, int column) { return std::string(row.text(column)); }

template <class Enum>
Enum enum_of(const Statement& row, int column, Enum last, Enum otherwise) {
    const std::int64_t value = row.integer(column);
    return value >= 0 && value <= static_cast<std::int64_t>(last) ? static_cast<Enum>(value) : otherwise;
}

std::optional<double> number_of(const Statement& row, int column) {
    return row.is_null(column) ? std::nullopt : std::optional(row.number(column));
}

SuggestionTrial trial_of(const Statement& row) {
    SuggestionTrial trial{
        .number = row.integer(0),
        .id = text_of(row, 1),
        .kind = text_of(row, 2),
        .target = text_of(row, 3),
        .title = text_of(row, 4),
        .verdict = enum_of(row, 5, SuggestionVerdict::failed, SuggestionVerdict::failed),
        .reason = text_of(row, 6),
        .inForce = row.integer(7) != 0,
        .automatic = row.integer(8) != 0,
        .lasts = enum_of(row, 9, SuggestionLasts::forever, SuggestionLasts::run),
        .configuration = text_of(row, 10),
        .beganAt = row.integer(11),
        .endedAt = row.is_null(12) ? std::nullopt : std::optional(row.integer(12)),
    };
    if (row.is_null(13)) return trial;
    trial.measured = SuggestionComparison{
        .figure = text_of(row, 13),
        .unit = text_of(row, 14),
        .better = enum_of(row, 15, SuggestionBetter::lower, SuggestionBetter::higher),
        .before = {row.integer(16), row.number(17), row.number(18), row.number(19)},
        .after = {row.integer(20), row.number(21), row.number(22), row.number(23)},
        .shift = number_of(row, 24),
        .shiftLow = number_of(row, 25),
        .shiftHigh = number_of(row, 26),
        .probability = number_of(row, 27),
        .effectMin = row.number(28),
    };
    return trial;
}

Result<void> write_progress(Database& database, const SuggestionTrial& trial) {
    Statement update = PILLION_TRY(database.prepare(
        "UPDATE suggestion_trial SET verdict = ?2, reason = ?3, in_force = ?4, ended_at = ?5, figure = ?6, unit = ?7,"
        " better = ?8, before_samples = ?9, before_median = ?10, before_low = ?11, before_high = ?12,"
        " after_samples = ?13, after_median = ?14, after_low = ?15, after_high = ?16, shift = ?17, shift_low = ?18,"
        " shift_high = ?19, probability = ?20, effect_min = ?21 WHERE number = ?1"));
    update.bind(1, trial.number);
    update.bind(2, static_cast<std::int64_t>(trial.verdict));
    update.bind(3, std::string_view(trial.reason));
    update.bind(4, std::int64_t{trial.inForce});
    update.bind(5, trial.endedAt);
    if (!trial.measured) {
        for (int parameter = 6; parameter <= 21; ++parameter) update.bind_null(parameter);
        return update.run();
    }
    const SuggestionComparison& measured = *trial.measured;
    update.bind(6, std::string_view(measured.figure));
    update.bind(7, std::string_view(measured.unit));
    update.bind(8, static_cast<std::int64_t>(measured.better));
    int parameter = 9;
    for (const SuggestionFigure* figure : {&measured.before, &measured.after}) {
        update.bind(parameter++, figure->samples);
        for (const double value : {figure->median, figure->low, figure->high}) update.bind(parameter++, value);
    }
    for (const auto& value : {measured.shift, measured.shiftLow, measured.shiftHigh, measured.probability})
        update.bind(parameter++, value);
    update.bind(parameter, measured.effectMin);
    return update.run();
}

Result<std::int64_t> insert(Database& database, const SuggestionTrial& trial, const std::string& owner) {
    Statement statement = PILLION_TRY(database.prepare(
        "INSERT INTO suggestion_trial (id, kind, target, title, verdict, reason, in_force, automatic, lasts,"
        " configuration, began_at, owner) VALUES (?, ?, ?, ?, ?, '', 0, ?, ?, ?, ?, ?)"));
    PILLION_TRY(statement
                    .with(std::string_view(trial.id), std::string_view(trial.kind), std::string_view(trial.target),
                          std::string_view(trial.title), static_cast<std::int64_t>(trial.verdict),
                          std::int64_t{trial.automatic}, static_cast<std::int64_t>(trial.lasts),
                          std::string_view(trial.configuration), trial.beganAt, std::string_view(owner))
                    .run());
    const std::int64_t number = database.last_row_id();
    Statement oldest = PILLION_TRY(database.prepare(
        "DELETE FROM suggestion_trial WHERE number NOT IN (SELECT number FROM suggestion_trial ORDER BY number DESC"
        " LIMIT ?)"));
    PILLION_TRY(oldest.with(static_cast<std::int64_t>(Suggestions::trials_kept)).run());
    return number;
}

} // namespace

void SuggestionHistory::add_schema(Store& store) {
    store.add_schema("suggestions",
                     {"CREATE TABLE suggestion_trial (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT, kind TEXT,"
                      " target TEXT, title TEXT, verdict INTEGER, reason TEXT, in_force INTEGER, automatic INTEGER,"
                      " lasts INTEGER, configuration TEXT, began_at INTEGER, ended_at INTEGER, figure TEXT, unit TEXT,"
                      " better INTEGER, before_samples INTEGER, before_median REAL, before_low REAL, before_high REAL,"
                      " after_samples INTEGER, after_median REAL, after_low REAL, after_high REAL, shift REAL,"
                      " shift_low REAL, shift_high REAL, probability REAL, effect_min REAL, owner TEXT);"});
}

Result<void> SuggestionHistory::add(SuggestionTrial& trial) {
    Result<void> written{};
    std::int64_t number = 0;
    if (store_ != nullptr)
        written = store_->write_and_wait([&](Database& database) -> Result<void> {
            number = PILLION_TRY(insert(database, trial, owner_));
            return {};
        });
    const std::lock_guard lock(mutex_);
    trial.number = number > 0 && written ? number : number_ + 1;
    number_ = std::max(number_, trial.number);
    own_.push_back(trial);
    if (own_.size() > Suggestions::trials_kept) own_.pop_front();
    return written;
}

void SuggestionHistory::update(const SuggestionTrial& trial) {
    {
        const std::lock_guard lock(mutex_);
        const auto at = std::ranges::find(own_, trial.number, &SuggestionTrial::number);
        if (at != own_.end()) *at = trial;
    }
    if (store_ == nullptr) return;
    store_->write([trial](Database& database) { return write_progress(database, trial); },
                  [](const Result<void>& done) {
                      if (!done)
                          log(LogLevel::warning, "suggestions",
                              "what became of a suggestion was not recorded: " + done.error().message);
                  });
}

Result<void> SuggestionHistory::close_orphans(const std::function<bool(const std::string&)>& is_alive,
                                              std::int64_t now_ms) {
    if (store_ == nullptr) return {};
    return store_->write_and_wait([&](Database& database) -> Result<void> {
        std::vector<SuggestionTrial> orphans;
        Statement rows = PILLION_TRY(database.prepare(std::string("SELECT ") + columns +
                                                      " FROM suggestion_trial WHERE verdict = ? AND owner <> ?"));
        rows.with(static_cast<std::int64_t>(SuggestionVerdict::running), std::string_view(owner_));
        while (PILLION_TRY(rows.step()))
            if (!is_alive || !is_alive(text_of(rows, 29))) orphans.push_back(trial_of(rows));
        for (SuggestionTrial& orphan : orphans) {
            orphan.verdict = SuggestionVerdict::interrupted;
            orphan.endedAt = now_ms;
            orphan.reason = suggestion_interrupted;
            orphan.inForce = false;
            PILLION_TRY(write_progress(database, orphan));
        }
        return {};
    });
}

Result<std::vector<SuggestionTrial>> SuggestionHistory::trials() const {
    std::vector<SuggestionTrial> found;
    if (store_ != nullptr) {
        const Result<void> read = store_->read([&found, this](Database& database) -> Result<void> {
            Statement rows = PILLION_TRY(
                database.prepare(std::string("SELECT ") + columns + " FROM suggestion_trial WHERE owner <> ?"));
            rows.with(std::string_view(owner_));
            while (PILLION_TRY(rows.step())) {
                SuggestionTrial trial = trial_of(rows);
                trial.inForce = false; // what another process has set holds for that one
                found.push_back(std::move(trial));
            }
            return {};
        });
        if (!read) return std::unexpected(read.error());
    }
    const std::lock_guard lock(mutex_);
    found.insert(found.end(), own_.begin(), own_.end());
    std::ranges::stable_sort(found, [](const SuggestionTrial& a, const SuggestionTrial& b) {
        return std::pair(a.beganAt, a.number) > std::pair(b.beganAt, b.number);
    });
    return found;
}

} // namespace pillion
