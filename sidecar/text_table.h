// Tables for terminals. Pure; any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace pillion {

using TableRows = std::vector<std::vector<std::string>>;
enum class Align : unsigned char { left, right };

// Columns as wide as their widest cell, two blanks between them; `rows` is not empty and all have as many cells.
// Columns that `alignment` does not name are left.
std::string aligned(const TableRows& rows, std::span<const Align> alignment = {});

// Writes to stdout; the exit status for it.
int print_text(const std::string& text);

} // namespace pillion
