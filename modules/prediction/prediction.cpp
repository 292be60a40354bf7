// The model's time is minutes since the Unix epoch, taken once from the wall clock and carried on by the monotonic one:
// a wall clock that is set does not age what was learned. Being away teaches nothing, so an absence counts for at most
// three half-lives, after which what was known still outweighs nothing at all.
#include "modules/prediction/prediction.h"

#include "modules/prediction/prediction_model.h"

#include <algorithm>
#include <utility>

namespace pillion {

namespace {

constexpr std::size_t predictions_max = 16;
constexpr double absence_half_lives_max = 3;
constexpr std::int64_t minutes_max = 1 << 30; // a stored time past the year 4000 is damage

using Changes = PredictionModel::Changes;

Result<void> write_changes(Database& database, const std::string& scope, const Changes& changes) {
    const std::string_view of{scope};
    const auto integer = [](std::uint64_t hash) { return static_cast<std::int64_t>(hash); };
    Statement drop_name = PILLION_TRY(database.prepare("DELETE FROM prediction_name WHERE scope = ? AND hash = ?"));
    for (const std::uint64_t hash : changes.dropped_names) PILLION_TRY(drop_name.with(of, integer(hash)).run());
    Statement drop_context =
        PILLION_TRY(database.prepare("DELETE FROM prediction_context WHERE scope = ? AND last = ? AND before = ?"));
    for (const auto& [last, before] : changes.dropped_contexts)
        PILLION_TRY(drop_context.with(of, integer(last), integer(before)).run());
    Statement name = PILLION_TRY(database.prepare("INSERT OR REPLACE INTO prediction_name VALUES (?, ?, ?, ?, ?)"));
    for (const PredictionModel::NameRow& row : changes.names)
        PILLION_TRY(name.with(of, integer(row.hash), std::string_view(row.text), row.weight,
                              static_cast<std::int64_t>(row.minutes))
                        .run());
    Statement context =
        PILLION_TRY(database.prepare("INSERT OR REPLACE INTO prediction_context VALUES (?, ?, ?, ?, ?, ?)"));
    for (const PredictionModel::ContextRow& row : changes.contexts)
        PILLION_TRY(context
                        .with(of, integer(row.last), integer(row.before), row.total,
                              static_cast<std::int64_t>(row.minutes), Blob{row.successors})
                        .run());
    return {};
}

// The newest first, so that a store with more than fits loses what was not used for longest.
Result<Changes> read_rows(Database& database, const PredictorOptions& options) {
    Changes rows;
    const std::string_view scope{options.scope};
    Statement names = PILLION_TRY(database.prepare(
        "SELECT hash, name, weight, minutes FROM prediction_name WHERE scope = ? AND minutes BETWEEN 0 AND ? "
        "ORDER BY minutes DESC LIMIT ?"));
    names.with(scope, minutes_max, static_cast<std::int64_t>(options.names_max));
    while (PILLION_TRY(names.step()))
        rows.names.push_back({static_cast<std::uint64_t>(names.integer(0)), std::string(names.text(1)), names.number(2),
                              static_cast<std::uint32_t>(names.integer(3))});
    Statement contexts = PILLION_TRY(
        database.prepare("SELECT last, before, total, minutes, successors FROM prediction_context WHERE scope = ? "
                         "AND minutes BETWEEN 0 AND ? ORDER BY minutes DESC LIMIT ?"));
    contexts.with(scope, minutes_max, static_cast<std::int64_t>(options.contexts_max));
    while (PILLION_TRY(contexts.step()))
        rows.contexts.push_back({static_cast<std::uint64_t>(contexts.integer(0)),
                                 static_cast<std::uint64_t>(contexts.integer(1)), contexts.number(2),
                                 static_cast<std::uint32_t>(contexts.integer(3)), std::string(contexts.text(4))});
    return rows;
}

// What read_rows() left.
Result<void> drop_surplus(Database& database, const PredictorOptions& options) {
    Statement names = PILLION_TRY(database.prepare(
        "DELETE FROM prediction_name WHERE scope = ?1 AND hash NOT IN (SELECT hash FROM prediction_name "
        "WHERE scope = ?1 ORDER BY minutes DESC LIMIT ?2)"));
    PILLION_TRY(names.with(std::string_view(options.scope), static_cast<std::int64_t>(options.names_max)).run());
    Statement contexts = PILLION_TRY(database.prepare(
        "DELETE FROM prediction_context WHERE scope = ?1 AND (last, before) NOT IN (SELECT last, before FROM "
        "prediction_context WHERE scope = ?1 ORDER BY minutes DESC LIMIT ?2)"));
    return contexts.with(std::string_view(options.scope), static_cast<std::int64_t>(options.contexts_max)).run();
}

} // namespace

// A timer may fire while its predictor ends.
struct PredictorGuard {
    std::mutex mutex;
    Predictor* predictor; // null once it is gone
    void save() {
        const std::lock_guard lock(mutex);
        if (predictor != nullptr) predictor->save();
    }
};

Predictor::Predictor(PredictorOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), model_(std::make_unique<PredictionModel>(options_)),
      base_minutes_(static_cast<std::uint32_t>(std::max<std::int64_t>(clock.wall_ms(), 0) / 60'000)),
      base_ns_(clock.now_ns()) {}

Predictor::~Predictor() {
    stop();
    if (!guard_) return;
    const std::lock_guard lock(guard_->mutex);
    guard_->predictor = nullptr;
}

void Predictor::add_schema(Store& store) {
    store.add_schema("prediction",
                     {"CREATE TABLE prediction_name (scope TEXT, hash INTEGER, name TEXT, weight REAL, minutes INTEGER,"
                      " PRIMARY KEY (scope, hash)) WITHOUT ROWID;"
                      "CREATE TABLE prediction_context (scope TEXT, last INTEGER, before INTEGER, total REAL,"
                      " minutes INTEGER, successors BLOB, PRIMARY KEY (scope, last, before)) WITHOUT ROWID;"});
}

void Predictor::persist(Store& store, Timers& timers) {
    const std::lock_guard lock(mutex_);
    store_ = &store;
    timers_ = &timers;
    guard_ = std::make_shared<PredictorGuard>();
    guard_->predictor = this;
    model_->track_changes();
}

std::uint32_t Predictor::minutes() const {
    return base_minutes_ + static_cast<std::uint32_t>((clock_.now_ns() - base_ns_) / 60'000'000'000);
}

Result<void> Predictor::load() {
    Store* store = nullptr;
    {
        const std::lock_guard lock(mutex_);
        if (is_loaded_ || store_ == nullptr) return {};
        store = store_;
    }
    Changes rows;
    const Result<void> read = store->read([&](Database& database) -> Result<void> {
        rows = PILLION_TRY(read_rows(database, options_));
        return {};
    });
    if (!read) return read;
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_loaded_, true)) return {};
    std::uint32_t newest = 0;
    for (const PredictionModel::NameRow& row : rows.names) newest = std::max(newest, row.minutes);
    const auto absence_max =
        static_cast<std::uint32_t>(std::max(absence_half_lives_max * options_.half_life_days * 24 * 60, 0.0));
    if (newest > 0) {
        // A stored time from the future is kept to: time must not run back.
        const std::uint32_t now = minutes();
        base_minutes_ = std::clamp(now, newest, newest + absence_max);
        base_ns_ = clock_.now_ns();
    }
    for (const PredictionModel::NameRow& row : rows.names) model_->restore(row);
    for (const PredictionModel::ContextRow& row : rows.contexts) model_->restore(row);
    if (rows.names.size() >= options_.names_max || rows.contexts.size() >= options_.contexts_max)
        store->write([options = options_](Database& database) { return drop_surplus(database, options); });
    return {};
}

void Predictor::observe(std::string_view name, PredictionContext& context) {
    const std::lock_guard lock(mutex_);
    const std::uint32_t now = minutes();
    ++observations_;
    if (options_.repeats == Repeats::ignored && context.last != 0 && model_->find(name) == context.last) return;
    const NameId next = model_->intern(name, now);
    if (next != 0) model_->learn(context.before, context.last, next, now);
    // A name that is not learned still comes between the others.
    context = {.last = next, .before = next == 0 ? 0 : context.last};
    if (store_ != nullptr && !is_armed_ && next != 0) arm();
}

std::vector<Prediction> Predictor::predict(std::size_t limit, double probability_min,
                                           const PredictionContext& context) const {
    const std::lock_guard lock(mutex_);
    std::vector<Prediction> found;
    for (const auto& [id, probability] : model_->candidates(context.before, context.last, minutes())) {
        if (found.size() == std::min(limit, predictions_max) || probability < probability_min || probability <= 0)
            break;
        found.push_back({std::string(model_->text(id)), probability});
    }
    return found;
}

std::vector<Prediction> Predictor::predict_after(std::string_view name, std::size_t limit) const {
    PredictionContext context;
    {
        const std::lock_guard lock(mutex_);
        context.last = model_->find(name);
    }
    return predict(limit, 0, context);
}

double Predictor::probability(std::string_view name, const PredictionContext& context) const {
    const std::lock_guard lock(mutex_);
    return model_->probability(context.before, context.last, model_->find(name), minutes());
}

Result<std::uint64_t> Predictor::forget() {
    Store* store = nullptr;
    PredictorStats before;
    {
        const std::lock_guard lock(mutex_);
        store = store_;
        model_->fill(before);
        model_ = std::make_unique<PredictionModel>(options_);
        if (store != nullptr) model_->track_changes();
        own_context_ = {};
        is_loaded_ = true; // nothing comes back later
    }
    Result<void> done;
    if (store != nullptr)
        done = store->write_and_wait([scope = options_.scope](Database& database) -> Result<void> {
            for (const char* const sql :
                 {"DELETE FROM prediction_name WHERE scope = ?", "DELETE FROM prediction_context WHERE scope = ?"}) {
                Statement statement = PILLION_TRY(database.prepare(sql));
                PILLION_TRY(statement.with(std::string_view(scope)).run());
            }
            return {};
        });
    if (!done) return std::unexpected(std::move(done).error());
    return before.names;
}

PredictorStats Predictor::stats() const {
    const std::lock_guard lock(mutex_);
    PredictorStats stats{.observations = observations_};
    model_->fill(stats);
    return stats;
}

// Holding mutex_.
void Predictor::arm() {
    is_armed_ = true;
    timer_ = timers_->after_ms(options_.save_delay_ms, [guard = guard_] { guard->save(); });
}

void Predictor::save() {
    Store* store = nullptr;
    auto changes = std::make_shared<Changes>();
    {
        const std::lock_guard lock(mutex_);
        is_armed_ = false;
        if (store_ == nullptr) return;
        store = store_;
        *changes = model_->take_changes(std::max<std::size_t>(options_.save_rows_max, 1));
        if (model_->unsaved() > 0) arm();
    }
    store->write(
        [scope = options_.scope, changes](Database& database) { return write_changes(database, scope, *changes); });
}

void Predictor::stop() {
    while (true) {
        Store* store = nullptr;
        auto changes = std::make_shared<Changes>();
        {
            const std::lock_guard lock(mutex_);
            if (store_ == nullptr) return;
            store = store_;
            if (std::exchange(is_armed_, false)) timers_->cancel(timer_);
            *changes = model_->take_changes(std::max<std::size_t>(options_.save_rows_max, 1));
            if (model_->unsaved() == 0) store_ = nullptr;
            if (changes->empty()) continue;
        }
        store->write(
            [scope = options_.scope, changes](Database& database) { return write_changes(database, scope, *changes); });
    }
}

} // namespace pillion
