// Base64 (RFC 4648, 4): bytes as text in JSON and HTTP. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pillion {

std::string base64_encode(std::string_view bytes);
// Absent for what is no base64: another character, a wrong length, bits left over. Padding may be left out.
std::optional<std::string> base64_decode(std::string_view text);

} // namespace pillion
