// Recording: a value becomes a bucket of one second and is merged into the one that is growing; all else follows from
// that (series_timeline.cpp). One mutex guards everything and is held for well under a microsecond by a recording;
// readers take it anew for each series.
#include "ipc/base/number_text.h"
#include "modules/series/series_engine.h"
#include "modules/storage/storage.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace pillion {

namespace {

constexpr std::int64_t ahead_ms_max = 2'000;   // the wall clock before the axis: then the axis leaps
constexpr std::int64_t behind_ms_max = 60'000; // and behind it: then it is set back
constexpr std::size_t name_bytes_max = 128, label_name_bytes_max = 64, label_value_bytes_max = 128;

bool is_name(std::string_view text, std::size_t bytes_max, std::string_view extra) {
    if (text.empty() || text.size() > bytes_max || (text[0] >= '0' && text[0] <= '9')) return false;
    return std::ranges::all_of(text, [extra](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               extra.find(c) != std::string_view::npos;
    });
}

std::string_view kind_name(SeriesKind kind) {
    constexpr std::string_view names[] = {"counter", "gauge", "histogram"};
    return names[static_cast<std::size_t>(kind)];
}

std::string quoted(std::string_view text) { return "\"" + std::string(text.substr(0, 160)) + "\""; }

Result<void> check(const SeriesSpec& spec, const SeriesLabels& labels, const SeriesLimits& limits) {
    if (!is_name(spec.name, name_bytes_max, "._-/"))
        return fail(ErrorCode::invalid_params,
                    quoted(spec.name) + " is not a name of a metric: it needs 1 to 128 letters, digits and . _ - /, " +
                        "with no digit in front",
                    "/name");
    if (labels.size() > limits.labels_max)
        return fail(ErrorCode::invalid_params,
                    std::to_string(labels.size()) + " labels; a series has at most " +
                        std::to_string(limits.labels_max),
                    "/labels");
    for (const auto& [name, value] : labels) {
        if (!is_name(name, label_name_bytes_max, "."))
            return fail(ErrorCode::invalid_params,
                        quoted(name) + " is not a name of a label: it needs 1 to 64 letters, digits, . and _, " +
                            "with no digit in front",
                        "/labels");
        if (value.size() > label_value_bytes_max)
            return fail(ErrorCode::invalid_params,
                        "the label " + quoted(name) + " has a value of " + std::to_string(value.size()) +
                            " bytes; 128 are allowed",
                        "/labels/" + name);
    }
    return {};
}

Result<void> check_value(const SeriesSpec& spec, double value) {
    if (!std::isfinite(value))
        return fail(ErrorCode::invalid_params,
                    quoted(spec.name) + ": " + (std::isnan(value) ? "NaN" : "infinity") + " is not a value", "/value",
                    "leave out what was not measured");
    if (std::abs(value) > Series::value_max)
        return fail(ErrorCode::invalid_params,
                    quoted(spec.name) + ": " + number_text(value) + " is too large to be summed up; values are from " +
                        number_text(-Series::value_max) + " to " + number_text(Series::value_max),
                    "/value");
    if (value < 0 && spec.kind != SeriesKind::gauge)
        return fail(ErrorCode::invalid_params,
                    quoted(spec.name) + ": " + number_text(value) +
                        (spec.kind == SeriesKind::counter ? " would make a counter go down"
                                                          : " is negative; a histogram takes values from 0"),
                    "/value", spec.kind == SeriesKind::counter ? "record a gauge for what goes up and down" : "");
    return {};
}

void append(std::string& text, const SeriesLabels& labels) {
    for (const auto& [label, value] : labels)
        for (const std::string& part : {std::cref(label), std::cref(value)})
            text.append(std::to_string(part.size())).append(":").append(part);
}

std::optional<std::string> take_part(std::string_view& text) {
    std::size_t size = 0;
    const auto [end, trouble] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (trouble != std::errc{} || end == text.data() + text.size() || *end != ':') return {};
    text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
    if (size > text.size()) return {};
    std::string part(text.substr(0, size));
    text.remove_prefix(size);
    return part;
}

SeriesBucket bucket_of(double value, std::int64_t index) {
    return {.index = index, .min = value, .max = value, .sum = value, .last = value, .count = 1};
}

SeriesCells cells_of(std::span<const std::pair<double, std::uint64_t>> values) {
    SeriesCells cells;
    cells.reserve(values.size());
    for (const auto& [value, count] : values) cells.emplace_back(series_cell_of(value), count);
    std::ranges::sort(cells);
    SeriesCells joined;
    for (const auto& cell : cells)
        if (!joined.empty() && joined.back().first == cell.first)
            joined.back().second += cell.second;
        else
            joined.push_back(cell);
    return joined;
}

} // namespace

std::string series_key(std::string_view name, const SeriesLabels& labels) {
    std::string key;
    key.reserve(name.size() + 1 + labels.size() * 40);
    key.append(name).push_back('\n');
    append(key, labels);
    return key;
}

std::string series_labels_text(const SeriesLabels& labels) {
    std::string text;
    append(text, labels);
    return text;
}

std::optional<SeriesLabels> read_series_labels(std::string_view text) {
    SeriesLabels labels;
    while (!text.empty()) {
        auto name = take_part(text), value = take_part(text);
        if (!name || !value) return {};
        labels.emplace(std::move(*name), std::move(*value));
    }
    return labels;
}

bool Series::Engine::is_reserved(std::string_view name) const {
    return name.starts_with("pillion.") || std::ranges::any_of(reserved, [name](const auto& specs) {
               return std::ranges::find(specs, name, &SeriesSpec::name) != specs.end();
           });
}

std::int64_t Series::Engine::now_ms() {
    const std::int64_t now_ns = host.clock.now_ns(), wall_ms = host.clock.wall_ms();
    if (!axis_ms) {
        axis_ms = wall_ms;
        axis_ns = now_ns;
    }
    const std::int64_t now = *axis_ms + (now_ns - axis_ns) / 1'000'000, ahead_ms = wall_ms - now;
    if (ahead_ms <= ahead_ms_max && ahead_ms >= -behind_ms_max) return now;
    axis_ms = wall_ms;
    axis_ns = now_ns;
    if (ahead_ms < 0) {
        for (const auto& each : entries) {
            each->timeline.drop_future(wall_ms);
            each->at_ms = std::min(each->at_ms, wall_ms);
        }
        forget_after_ms = wall_ms;
    }
    return wall_ms;
}

std::size_t Series::Engine::make_entry(SeriesName& series, std::string_view name, const SeriesLabels& labels,
                                       std::string key) {
    const std::size_t index = entries.size();
    entries.push_back(std::make_unique<SeriesEntry>(SeriesEntry{.name = std::string(name), .labels = labels}));
    series.entries.push_back(index);
    by_key.emplace(std::move(key), index);
    if (series.is_custom) ++stats.custom;
    return index;
}

Result<SeriesEntry*> Series::Engine::entry(const SeriesSpec& spec, const SeriesLabels& labels, bool is_custom) {
    std::string key = series_key(spec.name, labels);
    const auto found = by_key.find(key);
    auto named = names.find(spec.name);
    if (named != names.end()) {
        SeriesName& series = named->second;
        if (series.kind != spec.kind)
            return fail(ErrorCode::conflict,
                        quoted(spec.name) + " is a " + std::string(kind_name(series.kind)) + ", not a " +
                            std::string(kind_name(spec.kind)),
                        "/type");
        if (is_custom && !series.is_custom)
            return fail(ErrorCode::conflict, quoted(spec.name) + " is measured by Pillion itself", "/name",
                        "give it a name of your own");
        if (!spec.unit.empty() && !series.unit.empty() && series.unit != spec.unit)
            return fail(ErrorCode::conflict,
                        quoted(spec.name) + " has the unit " + quoted(series.unit) + ", not " + quoted(spec.unit),
                        "/unit");
        if (series.unit.empty()) series.unit = spec.unit;
        if (series.help.empty()) series.help = spec.help;
        if (!is_custom) series.is_custom = false;
    }
    if (is_custom && named == names.end() && is_reserved(spec.name))
        return fail(ErrorCode::conflict, quoted(spec.name) + " is measured by Pillion itself", "/name",
                    "give it a name of your own");
    if (found != by_key.end()) return entries[found->second].get();
    PILLION_TRY(check(spec, labels, limits));
    const bool is_full = entries.size() >= limits.series_max || (is_custom && stats.custom >= limits.custom_max);
    if (named == names.end()) {
        if (is_full) {
            ++stats.refused;
            return fail(ErrorCode::exhausted,
                        "there are " + std::to_string(is_custom ? stats.custom : entries.size()) +
                            " series already, the most that are kept; " + quoted(spec.name) + " would be one more",
                        "/name", "put less into names and labels: they are kept for as long as Pillion runs");
        }
        named = names
                    .emplace(std::string(spec.name), SeriesName{.help = std::string(spec.help),
                                                                .unit = std::string(spec.unit),
                                                                .kind = spec.kind,
                                                                .is_custom = is_custom})
                    .first;
    }
    SeriesName& series = named->second;
    const std::size_t label_sets_max = is_custom ? limits.label_sets_max : limits.own_label_sets_max;
    const std::size_t label_sets = series.entries.size() - (series.overflow ? 1 : 0);
    if (!is_full && label_sets < label_sets_max)
        return entries[make_entry(series, spec.name, labels, std::move(key))].get();
    ++stats.overflowed;
    if (!series.overflow) {
        const SeriesLabels rest{{"overflow", "true"}};
        series.overflow = make_entry(series, spec.name, rest, series_key(spec.name, rest));
    }
    return entries[*series.overflow].get();
}

void Series::Engine::count_bytes(SeriesEntry& entry) {
    const std::size_t bytes = sizeof entry + entry.timeline.bytes() + entry.cells.capacity() * sizeof entry.cells[0] +
                              entry.name.size() + entry.labels.size() * 128 + 128;
    stats.bytes += bytes - entry.bytes_counted;
    entry.bytes_counted = bytes;
    while (stats.bytes > limits.bytes_max) {
        SeriesEntry& largest =
            **std::ranges::max_element(entries, {}, [](const auto& each) { return each->timeline.bytes(); });
        if (!largest.timeline.drop_oldest()) return;
        ++stats.dropped_blocks;
        const std::size_t before = largest.bytes_counted;
        largest.bytes_counted = sizeof largest + largest.timeline.bytes() +
                                largest.cells.capacity() * sizeof largest.cells[0] + largest.name.size() +
                                largest.labels.size() * 128 + 128;
        stats.bytes -= before - largest.bytes_counted;
    }
}

void Series::Engine::add(SeriesEntry& entry, SeriesKind kind, SeriesBucket bucket) {
    const std::int64_t now = now_ms();
    bucket.index = now / series_resolutions[0].step_ms;
    if (entry.began_ms == 0) entry.began_ms = now;
    entry.at_ms = now;
    if (kind == SeriesKind::gauge) entry.value = bucket.last;
    if (kind == SeriesKind::histogram) {
        entry.count += bucket.count;
        entry.sum += bucket.sum;
        entry.value = entry.sum / static_cast<double>(entry.count);
        add_cells(entry.cells, bucket.cells);
    }
    const std::size_t before = entry.timeline.bytes();
    entry.timeline.add(bucket);
    if (entry.timeline.bytes() != before || entry.bytes_counted == 0) count_bytes(entry);
    ++stats.recorded;
    recorded_since_flush = true;
    arm();
}

Result<void> Series::Engine::observe(const SeriesSpec& spec, const SeriesLabels& labels, double value, bool is_custom) {
    PILLION_TRY(check_value(spec, value));
    const std::lock_guard lock(mutex);
    SeriesEntry& entry = *PILLION_TRY(this->entry(spec, labels, is_custom));
    SeriesBucket bucket = bucket_of(value, 0);
    if (spec.kind == SeriesKind::histogram) bucket.cells = {{series_cell_of(value), 1}};
    if (spec.kind == SeriesKind::counter) {
        if (!is_custom) {
            const std::int64_t now_ns = host.clock.now_ns();
            const bool is_base = !entry.base || now_ns - entry.base_ns > stale_ns;
            bucket.sum = is_base ? 0 : value < *entry.base ? value : value - *entry.base;
            bucket.covered_ms = is_base ? 0 : (now_ns - entry.base_ns) / 1'000'000;
            // What it rose in while nobody looked belongs to the total, though not to any bucket.
            entry.value += !entry.base || value < *entry.base ? value : value - *entry.base;
            entry.base = value;
            entry.base_ns = now_ns;
        } else {
            entry.value += value;
        }
        bucket.min = bucket.max = bucket.last = entry.value;
    }
    add(entry, spec.kind, std::move(bucket));
    return {};
}

Series::Series(const Host& host, SeriesLimits limits) : engine_(std::make_shared<Engine>(host, limits)) {}

Series::~Series() { stop(); }

void Series::reserve(std::span<const SeriesSpec> specs) {
    const std::lock_guard lock(engine_->mutex);
    engine_->reserved.push_back(specs);
}

Result<void> Series::observe(const SeriesSpec& spec, const SeriesLabels& labels, double value) {
    return engine_->observe(spec, labels, value, false);
}

Result<void> Series::record(const SeriesSpec& spec, const SeriesLabels& labels, double value) {
    return engine_->observe(spec, labels, value, true);
}

Result<void> Series::observe(const SeriesSpec& spec, const SeriesLabels& labels,
                             std::span<const std::pair<double, std::uint64_t>> values, double sum) {
    if (!std::isfinite(sum) || sum < 0)
        return fail(ErrorCode::invalid_params, quoted(spec.name) + ": the sum of values is not a number from 0",
                    "/sum");
    SeriesBucket bucket{.sum = sum, .cells = cells_of(values)};
    for (const auto& [value, count] : values) {
        if (!std::isfinite(value) || value < 0)
            return fail(ErrorCode::invalid_params, quoted(spec.name) + ": a histogram takes values from 0", "/value");
        bucket.min = bucket.count == 0 ? value : std::min(bucket.min, value);
        bucket.max = std::max(bucket.max, value);
        bucket.count += count;
    }
    if (bucket.count == 0) return {};
    bucket.last = bucket.max;
    const std::lock_guard lock(engine_->mutex);
    SeriesEntry& entry = *PILLION_TRY(engine_->entry(spec, labels, false));
    engine_->add(entry, spec.kind, std::move(bucket));
    return {};
}

std::int64_t Series::now_ms() {
    const std::lock_guard lock(engine_->mutex);
    return engine_->now_ms();
}

std::vector<SeriesState> Series::states() const {
    const std::lock_guard lock(engine_->mutex);
    std::vector<SeriesState> states;
    states.reserve(engine_->entries.size());
    for (const auto& [name, series] : engine_->names)
        for (const std::size_t index : series.entries) {
            const SeriesEntry& entry = *engine_->entries[index];
            SeriesState state{.name = name,
                              .help = series.help,
                              .unit = series.unit,
                              .kind = series.kind,
                              .is_custom = series.is_custom,
                              .labels = entry.labels,
                              .value = entry.value,
                              .count = entry.count,
                              .sum = entry.sum,
                              .began_ms = entry.began_ms,
                              .at_ms = entry.at_ms};
            for (const auto& [cell, count] : entry.cells)
                state.cells.push_back({series_cell_low(cell), cell == 0 ? 0.0 : series_cell_low(cell + 1), count});
            states.push_back(std::move(state));
        }
    return states;
}

std::vector<SeriesState> Series::names() const {
    const std::lock_guard lock(engine_->mutex);
    std::vector<SeriesState> states;
    for (const auto& [name, series] : engine_->names)
        states.push_back({.name = name,
                          .help = series.help,
                          .unit = series.unit,
                          .kind = series.kind,
                          .is_custom = series.is_custom,
                          .count = series.entries.size()});
    return states;
}

SeriesStats Series::stats() const {
    const std::lock_guard lock(engine_->mutex);
    SeriesStats stats = engine_->stats;
    stats.series = engine_->entries.size();
    return stats;
}

SeriesHistory Series::history() const {
    const std::lock_guard lock(engine_->mutex);
    return engine_->kept;
}

} // namespace pillion
