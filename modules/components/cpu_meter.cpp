#include "modules/components/cpu_meter.h"

#include "ipc/base/platform.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

namespace pillion {

namespace {
// Columns of the line "cpu": user nice system idle iowait irq softirq steal; what guests use is in user already.
constexpr std::size_t columns = 8, idle = 3, iowait = 4;
} // namespace

std::optional<double> CpuMeter::look() {
    const auto stat = platform::find_system_text("/proc/stat");
    return stat ? look(*stat) : std::nullopt;
}

std::optional<double> CpuMeter::look(std::string_view stat) {
    if (!stat.starts_with("cpu ")) return std::nullopt;
    const char* at = stat.data() + 4;
    const char* const end = stat.data() + std::min(stat.find('\n'), stat.size());
    std::array<std::uint64_t, columns> ticks{};
    for (std::uint64_t& column : ticks) {
        while (at != end && *at == ' ') ++at;
        const auto [next, error] = std::from_chars(at, end, column);
        if (error != std::errc()) return std::nullopt;
        at = next;
    }
    std::uint64_t total = 0;
    for (const std::uint64_t column : ticks) total += column;
    const std::uint64_t busy = total - ticks[idle] - ticks[iowait];
    const std::uint64_t total_before = std::exchange(total_, total), busy_before = std::exchange(busy_, busy);
    if (!std::exchange(has_looked_, true) || total <= total_before || busy < busy_before) return std::nullopt;
    return 100.0 * static_cast<double>(busy - busy_before) / static_cast<double>(total - total_before);
}

} // namespace pillion
