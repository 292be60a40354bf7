// Tables for terminals. Pure; any thread.
#pragma once

#include <string>
#include <vector>

namespace pillion {

using TableRows = std::vector<std::vector<std::string>>;

// Columns as wide as their widest cell, two blanks between them; `rows` is not empty and all have as many cells.
std::string aligned(const TableRows& rows);

// Writes to stdout; the exit status for it.
int print_text(const std::string& text);

} // namespace pillion
