// Buckets of a series and the blocks in which they are kept compressed. Part of series; guarded by its mutex.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pillion {

// Counts of a log-linear histogram by cell, ascending: 64 cells to each power of two, so that the middle of a cell is
// within 0.8 % of every value in it, for all positive doubles. Cell 0 is the value 0.
using SeriesCells = std::vector<std::pair<std::uint32_t, std::uint64_t>>;
std::uint32_t series_cell_of(double value);
double series_cell_low(std::uint32_t cell);
void add_cells(SeriesCells& to, const SeriesCells& more);

struct SeriesBucket {
    std::int64_t index = 0; // its beginning over the resolution's step
    double min = 0;
    double max = 0;
    double sum = 0; // of a counter: its rise
    double last = 0;
    std::uint64_t count = 0;     // 0: there is no bucket
    std::int64_t covered_ms = 0; // of an observed counter: the monotonic time in which it rose
    SeriesCells cells{};

    // Takes in what came later.
    void merge(const SeriesBucket& later);
};

struct SeriesBlock {
    std::int64_t number = 0; // index of its first bucket over the buckets of a block
    // The latest bucket in it, from which the next is told.
    std::int64_t index = 0;
    double last = 0;
    std::int64_t covered_ms = 0;
    std::string bytes{};

    explicit SeriesBlock(std::int64_t its_number = 0) : number(its_number) {}
    // `bucket` comes after all that are in it.
    void append(const SeriesBucket& bucket, std::int64_t buckets_per_block);
};

// False where the bytes are not those of a block: then `buckets` holds what was readable before.
bool decode_block(std::int64_t number, std::int64_t buckets_per_block, std::string_view bytes,
                  std::vector<SeriesBucket>& buckets);

} // namespace pillion
