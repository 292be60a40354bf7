#include "sidecar/owner.h"

#include "modules/process/process_table.h"

#include <cstdint>
#include <cstdlib>
#include <unistd.h>

namespace pillion {

namespace {

// 0 where there is no such process, or the system does not say.
std::uint64_t start_ticks(pid_t pid) {
    process_table::Entry entry;
    return process_table::read(pid, entry) ? entry.start_ticks : 0;
}

} // namespace

std::string own_name() { return std::to_string(getpid()) + ":" + std::to_string(start_ticks(getpid())); }

bool is_alive(const std::string& name) {
    const std::size_t colon = name.find(':');
    if (colon == std::string::npos) return false;
    if (start_ticks(getpid()) == 0) return true;
    return std::to_string(start_ticks(static_cast<pid_t>(std::atol(name.c_str())))) == name.substr(colon + 1);
}

} // namespace pillion
