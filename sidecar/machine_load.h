// How busy the machine is, for what waits until it is not. Any thread.
#pragma once

#include <optional>

namespace pillion {

// Tasks that run or wait to, mean of a minute, per core; nothing where the system does not say.
std::optional<double> load_per_core();

} // namespace pillion
