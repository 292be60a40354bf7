// config.get, config.set and config.schema, and the event that tells of a change. The methods refer to the
// Configuration, which outlives them; they run on workers.
#pragma once

#include "ipc/event.h"
#include "ipc/method.h"
#include "sidecar/config.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pillion {

struct ConfigGetParams {
    std::optional<std::string> key;
};
PILLION_WIRE(ConfigGetParams,
             PILLION_FIELD(key, "A section (\"ipc\") or one value (\"ipc.workers\"); everything if left out.",
                           at_most(256)))

struct ConfigSetParams {
    std::map<std::string, Json> values;
};
PILLION_WIRE(ConfigSetParams,
             PILLION_FIELD(values, "New values by key (\"log.level\"). All are taken, or none.", between(1, 256)))

struct ConfigSetResult {
    std::vector<std::string> changed;
};
PILLION_WIRE(ConfigSetResult, PILLION_FIELD(changed, "The keys whose value is now another one."))

struct ConfigChanged {
    std::vector<std::string> keys;
};
PILLION_WIRE(ConfigChanged, PILLION_FIELD(keys, "The keys whose value changed."))

inline constexpr Event config_changed =
    event<ConfigChanged>("config.changed", "config", EventKind::change, "Configuration was changed while running.");

// `publish` sends config_changed to its subscribers; it may be empty.
std::vector<Method> config_methods(Configuration& configuration, std::function<void(const ConfigChanged&)> publish);

} // namespace pillion
