// `pillion bench` and its kin: measurements on a terminal, as JSON and as an exit status. Each returns the exit status;
// the main thread, which measures.
#pragma once

#include "sidecar/application.h"
#include "sidecar/command_line.h"

namespace pillion {

int bench_run(const ApplicationOptions& options, const Command& command);
// 0: not slower, 1: slower, 2: it cannot be told, for which a file that cannot be read is a reason too.
int bench_compare(const ApplicationOptions& options, const Command& command);
int bench_list(bool as_json);

} // namespace pillion
