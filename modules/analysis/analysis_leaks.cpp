// Leaks by the lower envelope. Garbage collection makes memory a sawtooth, whose teeth say nothing: each window is cut
// into stretches, and their minima are what is left of the live data. Where stretches are shorter than a tooth, longer
// windows see through it. A window shows a leak when
//   - its minima rise by more than chance allows: the test of Mann and Kendall, exact, at one in a million, for the
//   same
//     question is asked every minute of every week;
//   - the growth stands out from what the minima do beside it, and matters: a short window needs a huge one;
//   - it goes on: the second half has grown as the first did, and no single step makes most of it;
//   - it was seen as clearly an eighth of the window earlier;
//   - it leads where memory has not been before since the start, so that what comes back every hour or day is none.
// Slope and interval are those of Theil and Sen. The start of a process is left out in proportion to its age.
#include "modules/analysis/analysis.h"
#include "modules/statistics/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace pillion {

namespace {

constexpr std::int64_t second_ms = 1000;
constexpr std::int64_t minute_ms = 60 * second_ms;
constexpr std::int64_t hour_ms = 60 * minute_ms;
constexpr std::int64_t day_ms = 24 * hour_ms;
constexpr double chance_max = 1e-6;
constexpr std::int64_t confirmed_part = 8; // of a window
constexpr std::array stretches = {std::size_t{24}, std::size_t{12}};

using Points = std::span<const SeriesPoint>;

struct Minima {
    std::vector<double> at_ms{};
    std::vector<double> values{};
};

double middle(std::span<const double> values) { return statistics::median(values).value_or(0); }

// The minima of equal stretches from `from` on; those without points are left out.
Minima minima_of(Points points, std::int64_t from_ms, std::int64_t to_ms, std::size_t count) {
    Minima minima;
    std::size_t stretch = count; // of the latest one
    const auto first = std::ranges::lower_bound(points, from_ms, {}, &SeriesPoint::at_ms);
    for (const SeriesPoint& point : points.subspan(static_cast<std::size_t>(first - points.begin()))) {
        if (point.at_ms > to_ms) break;
        const auto part = static_cast<double>(point.at_ms - from_ms) / static_cast<double>(to_ms - from_ms + 1);
        const auto index = static_cast<std::size_t>(part * static_cast<double>(count));
        if (index != stretch) {
            minima.at_ms.push_back(static_cast<double>(point.at_ms));
            minima.values.push_back(point.value);
            stretch = index;
        } else if (point.value < minima.values.back()) {
            minima.at_ms.back() = static_cast<double>(point.at_ms);
            minima.values.back() = point.value;
        }
    }
    return minima;
}

// What was seen since the process last began: after the restart that is known, or a pause after which there was less.
Points since_start(Points points, std::int64_t restarted_ms) {
    std::size_t first = 0;
    for (std::size_t index = 1; index < points.size(); ++index) {
        const std::int64_t pause = points[index].at_ms - points[index - 1].at_ms;
        const std::int64_t before = index > 1 ? points[index - 1].at_ms - points[index - 2].at_ms : pause;
        const bool is_gap = pause > minute_ms && pause > 5 * before;
        if (is_gap && points[index].value < 0.8 * points[index - 1].value) first = index;
    }
    while (first < points.size() && points[first].at_ms < restarted_ms) ++first;
    return points.subspan(first);
}

// What a window's minima show.
struct Window {
    double first = 0; // levels by three minima each: at the beginning, half-way, now
    double half = 0;
    double last = 0;
    double largest_step = 0;

    double grown() const { return last - first; }
    double second_half() const { return (last - half) / grown(); }
};

Window look(const Minima& minima) {
    const std::span values = minima.values;
    const std::size_t count = values.size();
    Window window{.first = middle(values.first(3)),
                  .half = middle(values.subspan(count / 2 - 1, 3)),
                  .last = middle(values.last(3))};
    for (std::size_t index = 1; index < count; ++index)
        window.largest_step = std::max(window.largest_step, values[index] - values[index - 1]);
    return window;
}

// Whether a growth matters, goes on, and is none of a few steps.
bool is_growing_on(const Window& window, std::int64_t window_ms, const LeakConfig& config) {
    const double grown = window.grown();
    const double minutes = std::max(1.0, static_cast<double>(window_ms) / minute_ms);
    const double bytes_min = std::max(1.0, 8 / std::sqrt(minutes)) * static_cast<double>(config.bytes_min);
    const double share_min = std::max(1.0, 5 / std::sqrt(minutes)) * config.share_min;
    if (grown < std::max(bytes_min, share_min * window.first)) return false;
    return window.largest_step <= 0.4 * grown && window.second_half() >= 0.4 && window.second_half() <= 0.85;
}

bool is_clear(const Window& window, const statistics::Trend& trend) {
    return trend.slope > 0 && trend.probability / 2 <= chance_max && window.grown() >= 8 * trend.noise;
}

// Where the minima of equal stretches were between the start and the window. Of the highest, two in a row count, since
// a single one may be short of its trough. Those of longer stretches, which are left of what is long ago, are not, and
// show less of a tooth: of them each counts.
struct Territory {
    double low = 0;
    double high = 0;
};
Territory territory_before(Points points, std::int64_t from_ms, std::int64_t to_ms, std::int64_t stretch_ms) {
    if (to_ms - from_ms < 2 * stretch_ms) return {};
    const Minima minima = minima_of(points, from_ms, to_ms, static_cast<std::size_t>((to_ms - from_ms) / stretch_ms));
    if (minima.values.size() < 2) return {};
    Territory territory{.low = minima.values.front(), .high = 0};
    for (std::size_t index = 1; index < minima.values.size(); ++index) {
        territory.low = std::min(territory.low, minima.values[index]);
        const bool is_coarse = minima.at_ms[index] - minima.at_ms[index - 1] >= 2 * static_cast<double>(stretch_ms);
        const double before = is_coarse ? minima.values[index] : minima.values[index - 1];
        territory.high = std::max(territory.high, std::min(before, minima.values[index]));
    }
    territory.low = std::min(territory.low, territory.high);
    return territory;
}

// A quarter more than what it moved by before, and not just the end of the window alone.
bool is_new_ground(const Window& window, const Territory& before) {
    return window.last >= before.high + std::max(0.5 * window.grown(), 0.25 * (before.high - before.low));
}

struct Times {
    std::int64_t warm_ms = 0; // from when on it is known
    std::int64_t from_ms = 0; // the window
    std::int64_t to_ms = 0;
};
struct Sight {
    bool is_seen = false; // there were enough minima to judge
    Window window{};
    std::optional<statistics::Trend> trend{}; // of a growth that is clear, goes on and leads to new ground
};
Result<Sight> look_at(Points points, const Times& times, std::size_t count, const LeakConfig& config) {
    const std::int64_t window_ms = times.to_ms - times.from_ms;
    const Minima minima = minima_of(points, times.from_ms, times.to_ms, count);
    if (minima.values.size() < count * 5 / 6) return Sight{};
    Sight sight{.is_seen = true, .window = look(minima)};
    if (!is_growing_on(sight.window, window_ms, config)) return sight;
    const auto trend =
        PILLION_TRY(statistics::trend(minima.at_ms, minima.values, 0.95, statistics::Correlation::ignored));
    const auto stretch_ms = window_ms / static_cast<std::int64_t>(count);
    if (is_clear(sight.window, trend) &&
        is_new_ground(sight.window, territory_before(points, times.warm_ms, times.from_ms, stretch_ms)))
        sight.trend = trend;
    return sight;
}

// Whether it grew within this time, and most of that early.
bool is_bounded(Points points, std::int64_t from_ms, std::int64_t to_ms, const LeakConfig& config) {
    const Minima minima = minima_of(points, from_ms, to_ms, 12);
    if (minima.values.size() < 10) return false;
    const Window window = look(minima);
    if (window.grown() < std::max(static_cast<double>(config.bytes_min), config.share_min * window.first)) return false;
    if (window.second_half() >= 0.33) return false;
    const auto rest = statistics::median_absolute_deviation(std::span(minima.values).last(6));
    return rest && window.grown() > 4 * *rest;
}

} // namespace

Result<MemoryVerdict> judge_memory(std::span<const SeriesPoint> all, const LeakConfig& config,
                                   std::int64_t restarted_ms) {
    for (const SeriesPoint& point : all)
        if (!(std::isfinite(point.value) && point.value >= 0))
            return fail(ErrorCode::invalid_params, "memory is a number of bytes from 0, not " +
                                                       std::to_string(point.value) + " as at " +
                                                       std::to_string(point.at_ms));
    if (!std::ranges::is_sorted(all, std::less_equal<>{}, &SeriesPoint::at_ms))
        return fail(ErrorCode::invalid_params, "the points of a series ascend in time, each later than the last");
    const Points points = since_start(all, restarted_ms);
    MemoryVerdict verdict;
    if (points.size() < 12) return verdict;
    const std::int64_t begin = points.front().at_ms;
    const std::int64_t end = points.back().at_ms;
    const std::int64_t warm = begin + std::clamp((end - begin) / 5, 15 * second_ms, 10 * minute_ms);
    const std::int64_t known = end - warm;
    int looks = 0;
    double chance = 1;
    std::vector<std::int64_t> windows;
    for (std::int64_t window_ms = minute_ms - 5 * second_ms; window_ms <= std::min(known, 7 * day_ms); window_ms *= 2)
        windows.push_back(window_ms);
    if (!windows.empty() && known <= 7 * day_ms && known > windows.back() * 5 / 4) windows.push_back(known);
    for (const std::int64_t window_ms : windows) {
        for (const std::size_t count : stretches) {
            const Sight sight = PILLION_TRY(look_at(points, {warm, end - window_ms, end}, count, config));
            looks += sight.is_seen;
            if (!sight.trend) continue;
            // It was as clear a while ago: what rises and falls again passes for a moment only.
            const std::int64_t before = end - window_ms / confirmed_part;
            const std::int64_t from = std::max(warm, before - window_ms);
            if (!PILLION_TRY(look_at(points, {warm, from, before}, count, config)).trend) continue;
            // What slows down over a longer time than this window is on its way to a limit.
            const bool slows = (window_ms * 2 <= known && is_bounded(points, end - window_ms * 2, end, config)) ||
                               (window_ms * 4 <= known && is_bounded(points, end - window_ms * 4, end, config));
            if (slows) continue;
            const statistics::Trend& trend = *sight.trend;
            const Window& window = sight.window;
            verdict.course = MemoryCourse::leak;
            verdict.bytes_per_hour = trend.slope * hour_ms;
            verdict.bytes_per_hour_low = trend.slope_interval.low * hour_ms;
            verdict.bytes_per_hour_high = trend.slope_interval.high * hour_ms;
            verdict.grown_bytes = window.grown();
            verdict.level_bytes = window.last;
            verdict.since_ms = end - window_ms;
            verdict.window_ms = window_ms;
            chance = std::min(chance, trend.probability);
        }
    }
    if (looks == 0) return verdict;
    if (verdict.course == MemoryCourse::leak) {
        verdict.confidence = 1 - std::min(1.0, chance * looks);
        return verdict;
    }
    verdict.course = is_bounded(points, warm, end, config) ? MemoryCourse::bounded : MemoryCourse::steady;
    verdict.window_ms = known;
    verdict.since_ms = warm;
    const Minima minima = minima_of(points, warm, end, 12);
    if (minima.values.size() >= 3) {
        verdict.level_bytes = middle(std::span(minima.values).last(3));
        verdict.grown_bytes = verdict.level_bytes - middle(std::span(minima.values).first(3));
    }
    return verdict;
}

} // namespace pillion
