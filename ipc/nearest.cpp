#include "ipc/nearest.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace pillion {

namespace {
constexpr std::size_t word_bytes_max = 64;
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
} // namespace

unsigned spelling_distance(std::string_view a, std::string_view b) {
    if (a.size() > word_bytes_max || b.size() > word_bytes_max) return word_bytes_max;
    std::array<std::array<unsigned, word_bytes_max + 1>, 3> rows{}; // row i uses rows i-1 and i-2
    for (unsigned j = 0; j <= b.size(); ++j) rows[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        auto& row = rows[i % 3];
        const auto& above = rows[(i - 1) % 3];
        row[0] = static_cast<unsigned>(i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const unsigned differs = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + differs});
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = std::min(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a.size() % 3][b.size()];
}

void NearestName::consider(std::string_view candidate) {
    const unsigned distance = spelling_distance(wanted_, candidate);
    const std::size_t longest = std::max(wanted_.size(), candidate.size());
    if (longest > word_bytes_max) return; // a third of a long word is more than their distance
    if (distance > (longest + 2) / 3 || distance >= distance_) return;
    distance_ = distance;
    best_ = candidate;
}

} // namespace pillion
