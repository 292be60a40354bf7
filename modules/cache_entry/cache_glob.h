// Patterns over keys, as every tier and the cache read them. Any thread.
#pragma once

#include "ipc/base/error.h"

#include <string_view>

namespace pillion {

// Whether the whole text matches the pattern: * any bytes, ? one UTF-8 character, [a-z] [!a-z] one of (or none of) a
// set, \ before a literal one. Time is at most proportional to text times pattern.
bool glob_match(std::string_view pattern, std::string_view text);
// -32602 for a pattern with an open bracket or a backslash at its end.
Result<void> check_glob(std::string_view pattern);

} // namespace pillion
