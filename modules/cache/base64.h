// Base64 (RFC 4648, standard alphabet) for bytes that travel in JSON. Functions without state; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace pillion {

std::string to_base64(std::string_view bytes);
// Nothing where a letter is foreign or the length cannot be. Padding may be left out.
std::optional<std::string> from_base64(std::string_view text);

} // namespace pillion
