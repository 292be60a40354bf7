// Figures as people read them in a suggestion's text. Pure functions; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace pillion::suggestion_text {

std::string bytes(double value);   // "1.5 MiB"
std::string percent(double share); // "12.5 %"
std::string duration(double ms);   // "90 s"
std::string rounded(double value); // "12.5"; whole numbers without a point
std::string figure(double value, const std::string& unit);

} // namespace pillion::suggestion_text
