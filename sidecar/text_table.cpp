#include "sidecar/text_table.h"

#include <algorithm>
#include <cstdio>

namespace pillion {

std::string aligned(const TableRows& rows, std::span<const Align> alignment) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const auto& row : rows)
        for (std::size_t column = 0; column < row.size(); ++column)
            widths[column] = std::max(widths[column], row[column].size());
    std::string text;
    for (const auto& row : rows) {
        for (std::size_t column = 0; column < row.size(); ++column) {
            const std::size_t room = widths[column] - row[column].size();
            const bool is_right = column < alignment.size() && alignment[column] == Align::right;
            if (is_right) text.append(room, ' ');
            text += row[column];
            if (column + 1 < row.size()) text.append((is_right ? 0 : room) + 2, ' ');
        }
        while (text.ends_with(' ')) text.pop_back();
        text += '\n';
    }
    return text;
}

int print_text(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}

} // namespace pillion
