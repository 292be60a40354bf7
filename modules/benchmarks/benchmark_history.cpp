// Samples are stored as the machine's doubles, since state.db stays on its machine. A level of a benchmark's history
// ends where statistics::change_points (PELT with ranks) sees a step of at least 5 % in the medians of the runs.
#include "modules/benchmarks/benchmark_history.h"

#include "modules/statistics/statistics.h"

#include <algorithm>
#include <cstring>

namespace pillion {

namespace {

constexpr double step_share_min = 0.05;

constexpr const char* tables = R"(
CREATE TABLE benchmark_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, label TEXT NOT NULL, duration_ms REAL NOT NULL,
    machine TEXT NOT NULL, processor TEXT NOT NULL, cores INTEGER NOT NULL, memory_bytes INTEGER NOT NULL,
    architecture TEXT NOT NULL, kernel TEXT NOT NULL, load_before REAL NOT NULL,
    build TEXT NOT NULL, version TEXT NOT NULL, compiler TEXT NOT NULL,
    runs INTEGER NOT NULL, runs_max INTEGER NOT NULL, warmup_ms INTEGER NOT NULL, time_ms INTEGER NOT NULL,
    timeout_ms INTEGER NOT NULL);
CREATE TABLE benchmark_results (
    run INTEGER NOT NULL REFERENCES benchmark_runs(id), position INTEGER NOT NULL, name TEXT NOT NULL,
    suite TEXT NOT NULL, operations INTEGER NOT NULL, mean_ns REAL NOT NULL, min_ns REAL NOT NULL,
    p50_ns REAL NOT NULL, p95_ns REAL NOT NULL, p99_ns REAL NOT NULL, max_ns REAL NOT NULL,
    intervals BLOB NOT NULL, cpu_wait_percent REAL NOT NULL, stolen_percent REAL NOT NULL, noise TEXT NOT NULL,
    error TEXT, samples BLOB NOT NULL,
    PRIMARY KEY (run, position)) WITHOUT ROWID;
CREATE INDEX benchmark_results_by_name ON benchmark_results(name, run);
CREATE TABLE benchmark_baselines (
    machine TEXT NOT NULL, name TEXT NOT NULL, run INTEGER NOT NULL,
    PRIMARY KEY (machine, name)) WITHOUT ROWID;
)";

std::string_view bytes_of(const std::vector<double>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)};
}

std::vector<double> values_of(std::string_view bytes) {
    std::vector<double> values(bytes.size() / sizeof(double));
    if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(double));
    return values;
}

// Six figures, or none.
std::vector<double> intervals_of(const BenchmarkResult& result) {
    std::vector<double> figures;
    for (const auto& interval : {result.p50IntervalNs, result.p95IntervalNs, result.p99IntervalNs}) {
        if (!interval) return {};
        figures.push_back(interval->low);
        figures.push_back(interval->high);
    }
    return figures;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
    return text;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

Result<void> insert(Database& database, const BenchmarkResult& result, std::int64_t run, std::int64_t position) {
    Statement statement = PILLION_TRY(database.prepare(
        "INSERT INTO benchmark_results VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)"));
    const std::vector<double> intervals = intervals_of(result);
    const std::string noise = joined(result.noise);
    statement.with(run, position, std::string_view(result.name), std::string_view(result.suite), result.operations,
                   result.meanNs, result.minNs, result.p50Ns, result.p95Ns, result.p99Ns, result.maxNs,
                   Blob{bytes_of(intervals)}, result.cpuWaitPercent, result.stolenPercent, std::string_view(noise));
    if (result.error) statement.bind(16, std::string_view(*result.error));
    statement.bind(17, Blob{bytes_of(result.samples)});
    return statement.run();
}

Result<std::int64_t> insert(Database& database, const BenchmarkRun& run) {
    Statement statement = PILLION_TRY(database.prepare(
        "INSERT INTO benchmark_runs VALUES (NULL,?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)"));
    const BenchmarkMachine& machine = run.machine;
    const BenchmarkSettings& settings = run.settings;
    PILLION_TRY(statement
                    .with(run.at, std::string_view(run.label), run.durationMs, std::string_view(machine.fingerprint),
                          std::string_view(machine.processor), machine.cores, machine.memoryBytes,
                          std::string_view(machine.architecture), std::string_view(machine.kernel), machine.loadBefore,
                          std::string_view(run.build.fingerprint), std::string_view(run.build.version),
                          std::string_view(run.build.compiler), settings.runs, settings.runsMax, settings.warmupMs,
                          settings.timeMs, settings.timeoutMs)
                    .run());
    const std::int64_t id = database.last_row_id();
    for (std::size_t position = 0; position < run.results.size(); ++position)
        PILLION_TRY(insert(database, run.results[position], id, static_cast<std::int64_t>(position)));
    return id;
}

Result<void> drop_old(Database& database) {
    Statement statement = PILLION_TRY(database.prepare("DELETE FROM benchmark_runs WHERE id NOT IN "
                                                       "(SELECT id FROM benchmark_runs ORDER BY id DESC LIMIT ?1) "
                                                       "AND id NOT IN (SELECT run FROM benchmark_baselines)"));
    PILLION_TRY(statement.with(benchmark_runs_kept).run());
    return database.execute("DELETE FROM benchmark_results WHERE run NOT IN (SELECT id FROM benchmark_runs)");
}

constexpr std::string_view select_results =
    "SELECT r.name, suite, operations, mean_ns, min_ns, p50_ns, p95_ns, p99_ns, max_ns, intervals, cpu_wait_percent, "
    "stolen_percent, noise, error, samples FROM benchmark_results r ";

BenchmarkResult result_of(const Statement& row) {
    BenchmarkResult result{.name = std::string(row.text(0)),
                           .suite = std::string(row.text(1)),
                           .operations = row.integer(2),
                           .meanNs = row.number(3),
                           .minNs = row.number(4),
                           .p50Ns = row.number(5),
                           .p95Ns = row.number(6),
                           .p99Ns = row.number(7),
                           .maxNs = row.number(8),
                           .cpuWaitPercent = row.number(10),
                           .stolenPercent = row.number(11),
                           .noise = lines_of(row.text(12)),
                           .samples = values_of(row.text(14))};
    if (const auto intervals = values_of(row.text(9)); intervals.size() == 6) {
        result.p50IntervalNs = {intervals[0], intervals[1]};
        result.p95IntervalNs = {intervals[2], intervals[3]};
        result.p99IntervalNs = {intervals[4], intervals[5]};
    }
    if (!row.is_null(13)) result.error = std::string(row.text(13));
    result.runs = static_cast<std::int64_t>(result.samples.size());
    result.noisy = !result.noise.empty();
    return result;
}

BenchmarkRun run_of(const Statement& row) {
    return {.id = row.integer(0),
            .at = row.integer(1),
            .label = std::string(row.text(2)),
            .durationMs = row.number(3),
            .machine = {.fingerprint = std::string(row.text(4)),
                        .processor = std::string(row.text(5)),
                        .cores = row.integer(6),
                        .memoryBytes = row.integer(7),
                        .architecture = std::string(row.text(8)),
                        .kernel = std::string(row.text(9)),
                        .loadBefore = row.number(10)},
            .build = {.fingerprint = std::string(row.text(11)),
                      .version = std::string(row.text(12)),
                      .compiler = std::string(row.text(13))},
            .settings = {.runs = row.integer(14),
                         .runsMax = row.integer(15),
                         .warmupMs = row.integer(16),
                         .timeMs = row.integer(17),
                         .timeoutMs = row.integer(18)}};
}

Result<BenchmarkRun> read_run(Database& database, std::int64_t id) {
    Statement runs = PILLION_TRY(database.prepare("SELECT * FROM benchmark_runs WHERE id = ?1"));
    runs.with(id);
    if (!PILLION_TRY(runs.step()))
        return fail(ErrorCode::not_found, "there is no stored benchmark run " + std::to_string(id), {},
                    "benchmarks.history lists them");
    BenchmarkRun run = run_of(runs);
    Statement results = PILLION_TRY(database.prepare(std::string(select_results) + "WHERE run = ?1 ORDER BY position"));
    results.with(id);
    while (PILLION_TRY(results.step())) run.results.push_back(result_of(results));
    return run;
}

Result<BenchmarkRun> read_latest(Database& database) {
    Statement newest = PILLION_TRY(database.prepare("SELECT max(id) FROM benchmark_runs"));
    if (!PILLION_TRY(newest.step()) || newest.is_null(0))
        return fail(ErrorCode::not_found, "no benchmark has been run yet", {}, "benchmarks.run runs them");
    return read_run(database, newest.integer(0));
}

// The newest of the runs that the machine's baselines are of stands for them all; each result is of its own run.
Result<BenchmarkRun> read_baseline(Database& database, const std::string& machine) {
    Statement newest = PILLION_TRY(database.prepare("SELECT max(run) FROM benchmark_baselines WHERE machine = ?1"));
    newest.with(std::string_view(machine));
    if (!PILLION_TRY(newest.step()) || newest.is_null(0))
        return fail(ErrorCode::not_found, "no baseline is set on this machine", {},
                    "benchmarks.setBaseline makes a run the baseline");
    BenchmarkRun run = PILLION_TRY(read_run(database, newest.integer(0)));
    run.results.clear();
    Statement results = PILLION_TRY(database.prepare(std::string(select_results) +
                                                     "JOIN benchmark_baselines b ON b.machine = ?1 AND b.name = r.name "
                                                     "AND b.run = r.run ORDER BY r.run, position"));
    results.with(std::string_view(machine));
    while (PILLION_TRY(results.step())) run.results.push_back(result_of(results));
    return run;
}

std::vector<BenchmarkStep> steps_of(const std::vector<BenchmarkPoint>& points) {
    std::vector<double> medians;
    for (const BenchmarkPoint& point : points) medians.push_back(point.p50Ns);
    std::vector<BenchmarkStep> steps;
    const auto changes = statistics::change_points(medians, {.minimum_effect = step_share_min});
    if (!changes) return steps; // too few yet
    for (const statistics::ChangePoint& change : *changes)
        steps.push_back({.run = points[change.index].run,
                         .at = points[change.index].at,
                         .beforeNs = change.before,
                         .afterNs = change.after,
                         .changePercent = change.before > 0 ? change.shift / change.before * 100 : 0});
    return steps;
}

} // namespace

void add_benchmark_tables(Store& state) { state.add_schema("benchmarks", {tables}); }

Result<void> store_benchmark_run(Store& state, BenchmarkRun& run) {
    return state.write_and_wait([&run](Database& database) -> Result<void> {
        run.id = PILLION_TRY(insert(database, run));
        return drop_old(database);
    });
}

Result<BenchmarkRun> find_benchmark_run(Store& state, const BenchmarkReference& reference, const std::string& machine) {
    BenchmarkRun run;
    const auto read = state.read([&](Database& database) -> Result<void> {
        using enum BenchmarkReference::Kind;
        run = PILLION_TRY(reference.kind == id       ? read_run(database, reference.id)
                          : reference.kind == latest ? read_latest(database)
                                                     : read_baseline(database, machine));
        return {};
    });
    if (!read) return std::unexpected(read.error());
    return run;
}

Result<void> set_benchmark_baseline(Store& state, const BenchmarkRun& run) {
    return state.write_and_wait([&run](Database& database) -> Result<void> {
        Statement statement =
            PILLION_TRY(database.prepare("INSERT OR REPLACE INTO benchmark_baselines VALUES (?1, ?2, ?3)"));
        for (const BenchmarkResult& result : run.results) {
            if (result.error) continue;
            PILLION_TRY(
                statement.with(std::string_view(run.machine.fingerprint), std::string_view(result.name), run.id).run());
        }
        return {};
    });
}

Result<std::vector<BenchmarkHistory>> read_benchmark_history(Store& state, const BenchmarkHistoryQuery& query,
                                                             const std::string& machine) {
    std::vector<BenchmarkHistory> all;
    const auto read = state.read([&](Database& database) -> Result<void> {
        // The newest `limit` of each name, oldest first.
        Statement rows = PILLION_TRY(database.prepare(
            "SELECT * FROM (SELECT r.name, run, runs.at, runs.label, runs.build, length(samples) / 8, p50_ns, p95_ns, "
            "p99_ns, noise <> '', EXISTS (SELECT 1 FROM benchmark_baselines b WHERE b.machine = ?1 AND b.name = r.name "
            "AND b.run = r.run), row_number() OVER (PARTITION BY r.name ORDER BY run DESC) AS newness "
            "FROM benchmark_results r JOIN benchmark_runs runs ON runs.id = r.run "
            "WHERE runs.machine = ?1 AND error IS NULL AND (?2 = '' OR r.name = ?2 OR r.suite = ?2)) "
            "WHERE newness <= ?3 ORDER BY 1, 2"));
        rows.with(std::string_view(machine), std::string_view(query.name), query.limit);
        while (PILLION_TRY(rows.step())) {
            if (all.empty() || all.back().name != rows.text(0)) all.push_back({std::string(rows.text(0)), {}, {}});
            all.back().points.push_back({.run = rows.integer(1),
                                         .at = rows.integer(2),
                                         .label = std::string(rows.text(3)),
                                         .build = std::string(rows.text(4)),
                                         .runs = rows.integer(5),
                                         .p50Ns = rows.number(6),
                                         .p95Ns = rows.number(7),
                                         .p99Ns = rows.number(8),
                                         .noisy = rows.integer(9) != 0,
                                         .baseline = rows.integer(10) != 0});
        }
        return {};
    });
    if (!read) return std::unexpected(read.error());
    for (BenchmarkHistory& history : all) history.steps = steps_of(history.points);
    return all;
}

} // namespace pillion
