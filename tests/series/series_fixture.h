// Series on a clock that tests move, with a store in a folder of their own where wanted.
#pragma once

#include "modules/series/series.h"
#include "modules/storage/storage.h"
#include "tests/support/temporary_folder.h"

namespace pillion {

inline constexpr SeriesSpec test_counter{"test.requests", "Requests.", "{request}", SeriesKind::counter};
inline constexpr SeriesSpec test_gauge{"test.bytes", "Bytes.", "By", SeriesKind::gauge};
inline constexpr SeriesSpec test_times{"test.time", "Times.", "ms", SeriesKind::histogram};

struct SeriesFixture {
    ManualClock clock;
    ManualTimers timers{clock};
    SeriesLimits limits{};
    Series series{{.clock = clock, .timers = timers}, limits};

    SeriesFixture() = default;
    explicit SeriesFixture(const SeriesLimits& its_limits) : limits(its_limits) {}

    std::vector<SeriesPoint> points(SeriesQuery query) {
        const auto answer = series.query(query);
        if (!answer || answer->lines.empty()) return {};
        return answer->lines[0].points;
    }
    std::optional<double> value(std::string_view name, SeriesFunction function, std::int64_t over_ms,
                                double percentile = 95) {
        const auto value = series.value({.name = std::string(name),
                                         .from_ms = series.now_ms() - over_ms,
                                         .function = function,
                                         .percentile = percentile});
        return value ? *value : std::nullopt;
    }
};

} // namespace pillion
