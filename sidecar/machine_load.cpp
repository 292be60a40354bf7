#include "sidecar/machine_load.h"

#include "ipc/base/platform.h"

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace pillion {

std::optional<double> load_per_core() {
    const auto text = platform::find_system_text("/proc/loadavg");
    if (!text) return {};
    return std::strtod(text->c_str(), nullptr) / std::max(1U, std::thread::hardware_concurrency());
}

} // namespace pillion
