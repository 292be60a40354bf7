// What components do, as time series: loads with their duration, restarts, and whether each is up. Any thread.
#pragma once

#include "modules/components/components.h"
#include "modules/series/series.h"

#include <span>

namespace pillion {

std::span<const SeriesSpec> components_series();
// Called by the sampler.
void read_components_series(const Components& components, Series& series);
// Called as it happens.
void observe_component_change(const ComponentChange& change, Series& series);

} // namespace pillion
