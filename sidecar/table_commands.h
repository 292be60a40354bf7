// Commands that print a table for people, or JSON: `pillion components`, `alerts` and `cache simulate`. Called once, by
// main; the exit status is theirs.
#pragma once

#include "sidecar/application.h"
#include "sidecar/command_line.h"

namespace pillion {

// What the configuration declares, with what earlier starts let expect.
int list_components(const ApplicationOptions& options, bool as_json);
// What a Pillion on the same data has raised; it may be running.
int list_alerts(const ApplicationOptions& options, const Command& command);
int simulate_cache(const Command& command);

} // namespace pillion
