// Words and numbers as people read them, for the report and the chart. Private to the module; pure functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pillion {

// Columns of a terminal that UTF-8 text takes: two for the wide letters of East Asia and pictographs, none for marks
// that combine.
std::size_t columns_of(std::string_view text);
// "0.4 ms", "12 ms", "1.25 s".
std::string duration_text(double ms);

} // namespace pillion
