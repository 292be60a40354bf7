#include "modules/suggestions/suggestion_text.h"

#include "ipc/base/number_text.h"

#include <array>
#include <cmath>

namespace pillion::suggestion_text {

std::string rounded(double value) {
    const bool is_whole = std::abs(value - std::round(value)) < 0.005 || std::abs(value) >= 1000;
    return formatted(is_whole ? "%.0f" : std::abs(value) >= 10 ? "%.1f" : "%.2f", value);
}

std::string bytes(double value) {
    static constexpr std::array<const char*, 5> units{" B", " KiB", " MiB", " GiB", " TiB"};
    std::size_t unit = 0;
    for (; std::abs(value) >= 1024 && unit + 1 < units.size(); ++unit) value /= 1024;
    return rounded(value) + units[unit];
}

std::string percent(double share) { return rounded(share * 100) + " %"; }

std::string duration(double ms) {
    if (ms < 1000) return rounded(ms) + " ms";
    if (ms < 120'000) return rounded(ms / 1000) + " s";
    if (ms < 7'200'000) return rounded(ms / 60'000) + " min";
    return rounded(ms / 3'600'000) + " h";
}

std::string figure(double value, const std::string& unit) {
    if (unit == "By") return bytes(value);
    if (unit == "1") return percent(value);
    if (unit == "ms") return duration(value);
    if (unit == "s") return duration(value * 1000);
    if (unit == "ns") return duration(value / 1e6);
    return unit.empty() ? rounded(value) : rounded(value) + " " + unit;
}

} // namespace pillion::suggestion_text
