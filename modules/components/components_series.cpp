#include "modules/components/components_series.h"

namespace pillion {

namespace {

constexpr SeriesSpec load_duration{"pillion.component.load.duration", "From a load's start until it was ready.", "s",
                                   SeriesKind::histogram};
constexpr SeriesSpec loads{"pillion.component.loads", "Times it was loaded.", "{load}", SeriesKind::counter};
constexpr SeriesSpec uses{"pillion.component.uses", "Times it was asked for.", "{use}", SeriesKind::counter};
constexpr SeriesSpec restarts{"pillion.component.restarts", "Starts after it went down.", "{restart}",
                              SeriesKind::counter};
constexpr SeriesSpec up{"pillion.component.up", "1 while it is ready, 0 while it has failed or is being restarted.",
                        "1", SeriesKind::gauge};

constexpr SeriesSpec all_specs[] = {load_duration, loads, uses, restarts, up};

} // namespace

std::span<const SeriesSpec> components_series() { return all_specs; }

// That a reading is refused, for too many series, is counted by the series themselves.
void read_components_series(const Components& components, Series& series) {
    for (const ComponentInfo& component : components.list()) {
        const SeriesLabels labels{{"component", component.name}};
        const auto put = [&](const SeriesSpec& spec, std::int64_t value) {
            static_cast<void>(series.observe(spec, labels, static_cast<double>(value)));
        };
        put(loads, component.loads);
        put(uses, component.uses);
        put(restarts, component.restarts);
        if (component.state == ComponentState::ready) put(up, 1);
        if (component.state == ComponentState::failed || component.state == ComponentState::restarting) put(up, 0);
    }
}

void observe_component_change(const ComponentChange& change, Series& series) {
    if (change.state == ComponentState::ready && change.loadMs)
        static_cast<void>(series.observe(load_duration, {{"component", change.name}}, *change.loadMs / 1000));
}

} // namespace pillion
