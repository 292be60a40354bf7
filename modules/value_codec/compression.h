// zstd, opened at the first use. Private to the module; any thread.
#pragma once

#include "ipc/base/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pillion {

// Nothing where it would not save a tenth, or where there is no zstd (told once in the log).
std::optional<std::string> compress(std::string_view plain, int level);
// Exactly `plain_bytes`; -32008 for everything else.
Result<std::string> decompress(std::string_view compressed, std::uint64_t plain_bytes);

} // namespace pillion
