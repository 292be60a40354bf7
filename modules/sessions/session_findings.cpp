// A series may have changed more than once: what counts is the level it had when the time began against the one it has
// at the end, so that what came and went is none.
#include "modules/sessions/sessions.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace pillion {

namespace {

constexpr double info_share = 0.1;
constexpr double warning_share = 0.25;
constexpr double critical_share = 0.5;

} // namespace

std::vector<SessionDegradation> degradations_of(std::span<const SeriesChange> changes, std::int64_t from_ms) {
    struct Course {
        const SeriesChange* first = nullptr;
        const SeriesChange* last = nullptr;
    };
    std::map<std::pair<std::string, SeriesLabels>, Course> courses;
    for (const SeriesChange& change : changes) {
        if (change.at < from_ms) continue;
        Course& course = courses[{change.metric, change.labels}];
        if (course.first == nullptr) course.first = &change;
        course.last = &change;
    }
    std::vector<SessionDegradation> degradations;
    for (const auto& [series, course] : courses) {
        const auto& [first, last] = course;
        const double share = first->before != 0 ? (last->after - first->before) / std::abs(first->before) : 0;
        // What a rise of this metric means can be told from either of its changes.
        const bool rises_are_worse = (last->after > last->before) == (last->meaning == TrendMeaning::worse);
        const bool is_worse = last->meaning != TrendMeaning::neutral && (share > 0) == rises_are_worse;
        if (!is_worse || std::abs(share) < info_share) continue;
        degradations.push_back({.level = std::abs(share) >= critical_share  ? AlertLevel::critical
                                         : std::abs(share) >= warning_share ? AlertLevel::warning
                                                                            : AlertLevel::info,
                                .metric = series.first,
                                .labels = series.second,
                                .unit = last->unit,
                                .since = first->at,
                                .before = first->before,
                                .now = last->after,
                                .changeShare = share});
    }
    std::ranges::stable_sort(degradations, std::greater<>{}, [](const SessionDegradation& degradation) {
        return std::pair(degradation.level, std::abs(degradation.changeShare));
    });
    return degradations;
}

std::string degradation_key(const SessionDegradation& degradation) {
    std::string key = "sessions.degraded/" + degradation.metric;
    for (const auto& [name, value] : degradation.labels) key += "," + name + "=" + value;
    return key;
}

} // namespace pillion
