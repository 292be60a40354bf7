// The buckets of one series in all four resolutions. Part of series; guarded by its mutex.
#pragma once

#include "modules/series/series.h"
#include "modules/series/series_block.h"

#include <array>
#include <cstddef>
#include <limits>

namespace pillion {

class SeriesTimeline {
  public:
    // Of the finest resolution; not before the latest one added.
    void add(const SeriesBucket& bucket);
    // Calls visit(bucket) for each bucket of a resolution with an index from `from` on and before `to`, ascending.
    template <class Visitor>
    void visit(std::size_t level, std::int64_t from, std::int64_t to, Visitor visitor) const;
    // Ends the buckets that are still growing, so that all there is stands in blocks.
    void seal();
    // Forgets what is older than each resolution keeps.
    void expire(std::int64_t now_ms);
    // Forgets what would lie after now.
    void drop_future(std::int64_t now_ms);
    // Takes in a block that was kept; false where it is damaged.
    bool insert(std::size_t level, std::int64_t number, std::string_view bytes);
    // Forgets the oldest block of the resolution that takes most; false where there is only one.
    bool drop_oldest();

    std::size_t bytes() const { return bytes_; }
    const std::vector<SeriesBlock>& blocks(std::size_t level) const { return levels_[level].blocks; }

    static constexpr std::int64_t nothing_dirty = std::numeric_limits<std::int64_t>::max();
    std::array<std::int64_t, series_resolutions_count> dirty_from{
        nothing_dirty, nothing_dirty, nothing_dirty, nothing_dirty}; // the first block that is not kept yet

  private:
    struct Level {
        std::vector<SeriesBlock> blocks;
        SeriesBucket open{}; // count 0: none
    };
    void close(std::size_t level);
    void expire(std::size_t level, std::int64_t now_ms);
    void keep(std::size_t level, const SeriesBucket& bucket);
    void rewrite(std::size_t level, SeriesBlock& block, const std::vector<SeriesBucket>& buckets);
    // The buckets of all finer resolutions that are not in a block of this one yet.
    std::vector<SeriesBucket> tail(std::size_t level) const;
    static SeriesBucket coarser(const SeriesBucket& bucket, std::size_t from, std::size_t to);

    std::array<Level, series_resolutions_count> levels_;
    std::size_t bytes_ = 0;
};

template <class Visitor>
void SeriesTimeline::visit(std::size_t level, std::int64_t from, std::int64_t to, Visitor visitor) const {
    const std::int64_t size = series_resolutions[level].block;
    std::vector<SeriesBucket> buckets;
    for (const SeriesBlock& block : levels_[level].blocks) {
        if (block.index < from || block.number * size >= to) continue;
        buckets.clear();
        decode_block(block.number, size, block.bytes, buckets);
        for (const SeriesBucket& bucket : buckets)
            if (bucket.index >= from && bucket.index < to) visitor(bucket);
    }
    for (const SeriesBucket& bucket : tail(level))
        if (bucket.index >= from && bucket.index < to) visitor(bucket);
}

} // namespace pillion
