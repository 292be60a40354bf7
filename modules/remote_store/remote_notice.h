// Invalidations as text that travels between machines: printable ASCII, since NOTIFY takes no other. Private to this
// module; functions without state, any thread.
#pragma once

#include "modules/cache_entry/cache_entry.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pillion {

// Letters, digits, '-', '_' and '.' as they are, any other byte as %XX.
std::string percent_encode(std::string_view bytes);
std::optional<std::string> percent_decode(std::string_view text);

// `origin` names who tells, so that it can ignore its own words. What would be longer than `bytes_max` is told coarser:
// the whole namespace, or everything.
std::string encode_notice(std::string_view origin, std::string_view app, const TierSelection& selection,
                          std::size_t bytes_max);

struct HeardNotice {
    std::string origin;
    std::string app;
    TierSelection selection;
};
// Nothing for what is no notice.
std::optional<HeardNotice> decode_notice(std::string_view message);

} // namespace pillion
