// A query reads the finest resolution that still has its beginning, merges the buckets that fall into each step and
// makes a number of each. Percentiles of histograms merge the counts first, over labels too, and so stay within 1 %: a
// mean of percentiles would be no percentile.
#include "modules/series/series_engine.h"

#include <algorithm>
#include <cmath>

namespace pillion {

namespace {

// The buckets of one step of one line.
struct Window {
    SeriesBucket all{};
    double first = 0;               // the first bucket's last value
    std::optional<double> before{}; // the last value before the step
    std::vector<double> means{};    // bucket by bucket
};

struct Line {
    SeriesLabels labels;
    std::map<std::int64_t, Window> windows; // by step
};

double of_bucket(const SeriesBucket& bucket, SeriesKind kind, std::int64_t step_ms) {
    if (kind != SeriesKind::counter) return bucket.sum / static_cast<double>(bucket.count);
    return bucket.sum * 1000.0 / static_cast<double>(bucket.covered_ms > 0 ? bucket.covered_ms : step_ms);
}

double percentile_of(const SeriesCells& cells, double percentile) {
    std::uint64_t total = 0, seen = 0;
    for (const auto& [cell, count] : cells) total += count;
    const auto rank = std::max<std::uint64_t>(
        1, static_cast<std::uint64_t>(std::ceil(percentile / 100.0 * static_cast<double>(total))));
    for (const auto& [cell, count] : cells)
        if ((seen += count) >= rank) return cell == 0 ? 0.0 : (series_cell_low(cell) + series_cell_low(cell + 1)) / 2;
    return 0;
}

double percentile_of(std::vector<double> values, double percentile) {
    const auto rank =
        static_cast<std::size_t>(std::max(std::ceil(percentile / 100.0 * static_cast<double>(values.size())), 1.0));
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(rank - 1);
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

std::optional<double> evaluate(const Window& window, SeriesKind kind, const SeriesQuery& query, std::int64_t step_ms) {
    const SeriesBucket& all = window.all;
    const bool is_counter = kind == SeriesKind::counter, is_histogram = kind == SeriesKind::histogram;
    const auto count = static_cast<double>(all.count);
    const auto rate = [&](double rise) -> std::optional<double> {
        const std::int64_t over_ms = is_counter && all.covered_ms > 0 ? all.covered_ms : step_ms;
        return rise * 1000.0 / static_cast<double>(over_ms);
    };
    switch (query.function) {
    case SeriesFunction::rate:
        return rate(is_histogram ? count : all.sum);
    case SeriesFunction::increase:
        return is_histogram ? count : all.sum;
    case SeriesFunction::avg:
        return is_counter ? rate(all.sum) : all.sum / count;
    case SeriesFunction::min:
        return is_counter ? std::ranges::min(window.means) : all.min;
    case SeriesFunction::max:
        return is_counter ? std::ranges::max(window.means) : all.max;
    case SeriesFunction::sum:
        return all.sum;
    case SeriesFunction::count:
        return count;
    case SeriesFunction::last:
        return all.last;
    case SeriesFunction::percentile:
        return is_histogram ? percentile_of(all.cells, query.percentile)
                            : percentile_of(window.means, query.percentile);
    case SeriesFunction::delta:
        return is_counter ? all.sum : all.last - window.before.value_or(window.first);
    }
    return {};
}

Result<void> check(const SeriesQuery& query, SeriesKind kind) {
    using enum SeriesFunction;
    if (kind == SeriesKind::gauge && (query.function == rate || query.function == increase))
        return fail(ErrorCode::invalid_params, "\"" + query.name + "\" is a gauge; only what counts has a rate",
                    "/function", "delta says by how much it changed");
    if (kind == SeriesKind::histogram && query.function == delta)
        return fail(ErrorCode::invalid_params, "\"" + query.name + "\" is a histogram; it has no delta", "/function",
                    "increase says how many values came");
    if (!(query.percentile >= 0 && query.percentile <= 100))
        return fail(ErrorCode::invalid_params, "the percentile must be from 0 to 100", "/percentile");
    if (!query.by.empty() && query.aggregate == SeriesAggregate::none)
        return fail(ErrorCode::invalid_params, "`by` says what an aggregate keeps apart; there is no aggregate", "/by",
                    "name one in aggregate: sum, avg, min or max");
    return {};
}

double aggregate_of(SeriesAggregate aggregate, const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    switch (aggregate) {
    case SeriesAggregate::avg:
        return sum / static_cast<double>(values.size());
    case SeriesAggregate::min:
        return std::ranges::min(values);
    case SeriesAggregate::max:
        return std::ranges::max(values);
    case SeriesAggregate::none:
    case SeriesAggregate::sum:
        break;
    }
    return sum;
}

// From when to when, in which steps, of which resolution.
struct Range {
    std::int64_t from_ms, to_ms, step_ms;
    std::size_t level;
};

std::int64_t rounded_step(std::int64_t span_ms, std::int64_t resolution_ms) {
    constexpr std::int64_t nice_ms[] = {1'000,     10'000,    30'000,     60'000,     300'000,    600'000,
                                        1'800'000, 3'600'000, 21'600'000, 86'400'000, 604'800'000};
    for (const std::int64_t step_ms : nice_ms)
        if (step_ms >= resolution_ms && step_ms % resolution_ms == 0 && span_ms / step_ms <= 1'000) return step_ms;
    return (span_ms / 1'000 / resolution_ms + 1) * resolution_ms;
}

Result<Range> range_of(const SeriesQuery& query, std::int64_t now_ms, bool whole) {
    constexpr std::int64_t far_ms = 4'102'444'800'000 * 100; // beyond it sums of times might overflow
    Range range{
        .from_ms = query.from_ms, .to_ms = query.to_ms == 0 ? now_ms + 1 : query.to_ms, .step_ms = 0, .level = 0};
    if (range.from_ms < 0 || range.to_ms < 0 || range.to_ms > far_ms)
        return fail(ErrorCode::invalid_params, "from and to are milliseconds since the Unix epoch", "/from");
    if (range.from_ms == 0) range.from_ms = std::max<std::int64_t>(0, range.to_ms - 3'600'000);
    if (range.from_ms >= range.to_ms)
        return fail(ErrorCode::invalid_params,
                    "from (" + std::to_string(range.from_ms) + ") must be before to (" + std::to_string(range.to_ms) +
                        (query.to_ms == 0 ? ", which is now)" : ")"),
                    "/from");
    while (range.level + 1 < series_resolutions_count &&
           now_ms - range.from_ms > series_resolutions[range.level].keep_ms)
        ++range.level;
    const std::int64_t resolution_ms = series_resolutions[range.level].step_ms;
    range.from_ms -= range.from_ms % resolution_ms;
    const std::int64_t span_ms = range.to_ms - range.from_ms;
    if (whole) {
        range.step_ms = (span_ms + resolution_ms - 1) / resolution_ms * resolution_ms;
        return range;
    }
    if (query.step_ms < 0)
        return fail(ErrorCode::invalid_params, "a step is a positive number of milliseconds", "/step");
    range.step_ms = query.step_ms == 0
                        ? rounded_step(span_ms, resolution_ms)
                        : (std::min(query.step_ms, far_ms) + resolution_ms - 1) / resolution_ms * resolution_ms;
    if (const auto points = static_cast<std::uint64_t>(span_ms / range.step_ms); points > Series::points_max)
        return fail(ErrorCode::invalid_params,
                    std::to_string(points) + " points; an answer has at most " + std::to_string(Series::points_max),
                    "/step",
                    "a step of " + std::to_string(rounded_step(span_ms, resolution_ms)) + " ms gives at most 1,000");
    return range;
}

void read(const SeriesTimeline& timeline, SeriesKind kind, const Range& range, bool with_means, Line& line) {
    const std::int64_t resolution_ms = series_resolutions[range.level].step_ms;
    const std::int64_t from = range.from_ms / resolution_ms, per_step = range.step_ms / resolution_ms;
    const std::int64_t to = (range.to_ms + resolution_ms - 1) / resolution_ms;
    std::optional<double> before;
    timeline.visit(range.level, from - per_step, to, [&](const SeriesBucket& bucket) {
        if (bucket.index >= from) {
            const auto [at, fresh] = line.windows.try_emplace((bucket.index - from) / per_step);
            Window& window = at->second;
            if (fresh) {
                window.first = bucket.last;
                window.before = before;
            }
            window.all.merge(bucket);
            if (with_means) window.means.push_back(of_bucket(bucket, kind, resolution_ms));
        }
        before = bucket.last;
    });
}

SeriesLabels picked(const SeriesLabels& labels, const std::vector<std::string>& by) {
    SeriesLabels group;
    for (const std::string& name : by)
        if (const auto at = labels.find(name); at != labels.end()) group.insert(*at);
    return group;
}

bool matches(const SeriesLabels& labels, const SeriesLabels& wanted) {
    return std::ranges::all_of(wanted, [&labels](const auto& pair) {
        const auto at = labels.find(pair.first);
        return at != labels.end() && at->second == pair.second;
    });
}

// A step that is not over yet, or that the range cuts, is as long as what of it lies within.
std::int64_t length_ms(const Range& range, std::int64_t step, std::int64_t now_ms) {
    const std::int64_t begin_ms = range.from_ms + step * range.step_ms;
    const std::int64_t end_ms = std::min({begin_ms + range.step_ms, std::max(range.to_ms, begin_ms), now_ms});
    return std::clamp(end_ms - begin_ms, series_resolutions[range.level].step_ms, range.step_ms);
}

} // namespace

Result<SeriesAnswer> Series::Engine::query(const SeriesQuery& query, bool whole) {
    std::unique_lock lock(mutex);
    const auto named = names.find(query.name);
    if (named == names.end())
        return fail(ErrorCode::not_found, "nothing was recorded under the name \"" + query.name.substr(0, 160) + "\"",
                    "/name", "metrics.list names what there is");
    const SeriesKind kind = named->second.kind;
    PILLION_TRY(check(query, kind));
    const std::int64_t now = now_ms();
    const Range range = PILLION_TRY(range_of(query, now, whole));
    SeriesAnswer answer{.unit = named->second.unit,
                        .kind = kind,
                        .from_ms = range.from_ms,
                        .to_ms = range.to_ms,
                        .step_ms = range.step_ms,
                        .resolution_ms = series_resolutions[range.level].step_ms};
    const bool with_means = kind != SeriesKind::histogram &&
                            (query.function == SeriesFunction::percentile ||
                             (kind == SeriesKind::counter &&
                              (query.function == SeriesFunction::min || query.function == SeriesFunction::max)));
    const bool merges_counts = kind == SeriesKind::histogram && query.function == SeriesFunction::percentile &&
                               query.aggregate != SeriesAggregate::none;
    std::map<SeriesLabels, std::map<std::int64_t, std::vector<double>>> groups;
    std::map<SeriesLabels, Line> merged;
    std::size_t points = 0;
    const std::vector<std::size_t> indexes = named->second.entries; // there may be more by the time it is unlocked
    for (const std::size_t index : indexes) {
        const SeriesEntry& entry = *entries[index];
        if (!matches(entry.labels, query.labels)) continue;
        const bool is_grouped = query.aggregate != SeriesAggregate::none;
        const SeriesLabels group = is_grouped ? picked(entry.labels, query.by) : entry.labels;
        Line single{};
        Line& line = merges_counts ? merged[group] : single;
        read(entry.timeline, kind, range, with_means, line);
        lock.unlock(); // recording must not wait for a long answer
        points += line.windows.size();
        if (points > answer_points_max)
            return fail(ErrorCode::invalid_params, "more than " + std::to_string(answer_points_max) + " points in all",
                        "/labels", "name labels, aggregate, or take a longer step");
        if (!merges_counts)
            for (const auto& [step, window] : line.windows)
                if (const auto value = evaluate(window, kind, query, length_ms(range, step, now)))
                    groups[group][step].push_back(*value);
        lock.lock();
    }
    for (const auto& [labels, line] : merged)
        for (const auto& [step, window] : line.windows)
            groups[labels][step].push_back(*evaluate(window, kind, query, range.step_ms));
    for (const auto& [labels, steps] : groups) {
        SeriesLine line{.labels = labels};
        line.points.reserve(steps.size());
        for (const auto& [step, values] : steps)
            line.points.push_back({range.from_ms + step * range.step_ms, aggregate_of(query.aggregate, values)});
        answer.lines.push_back(std::move(line));
    }
    return answer;
}

Result<SeriesAnswer> Series::query(const SeriesQuery& query) {
    load();
    return engine_->query(query, false);
}

Result<SeriesAnswer> Series::values(const SeriesQuery& query) { return engine_->query(query, true); }

Result<std::optional<double>> Series::value(const SeriesQuery& query) {
    const SeriesAnswer answer = PILLION_TRY(engine_->query(query, true));
    if (answer.lines.size() > 1)
        return fail(ErrorCode::invalid_params,
                    std::to_string(answer.lines.size()) + " series match \"" + query.name +
                        "\"; one value is asked for",
                    "/labels", "name labels, or aggregate");
    if (answer.lines.empty() || answer.lines[0].points.empty()) return std::nullopt;
    return answer.lines[0].points[0].value;
}

} // namespace pillion
