// `pillion call METHOD [JSON]`: one request to a Pillion of its own, for scripts and for trying things out.
#pragma once

#include "sidecar/application.h"

#include <string>
#include <string_view>

namespace pillion {

// Prints the result as JSON on stdout, notifications (progress) as they come on stderr; the exit status: 0, 1 with the
// error on stderr, 2 where the configuration is wrong.
int run_one_call(const ApplicationOptions& options, std::string_view method, const std::string& params);

} // namespace pillion
