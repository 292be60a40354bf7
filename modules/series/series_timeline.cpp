// A bucket that is over goes into the last block of its resolution and is merged into the growing bucket of the next
// coarser one. So a value is worked on once, and each resolution costs a tenth or less of the one before.
#include "modules/series/series_timeline.h"

#include <algorithm>

namespace pillion {

namespace {

std::size_t size_of(const SeriesBlock& block) { return sizeof block + block.bytes.capacity(); }

std::int64_t floor_divide(std::int64_t value, std::int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

} // namespace

SeriesBucket SeriesTimeline::coarser(const SeriesBucket& bucket, std::size_t from, std::size_t to) {
    SeriesBucket coarse = bucket;
    coarse.index = floor_divide(bucket.index, series_resolutions[to].step_ms / series_resolutions[from].step_ms);
    return coarse;
}

void SeriesTimeline::add(const SeriesBucket& bucket) {
    SeriesBucket& open = levels_[0].open;
    if (open.count != 0 && open.index != bucket.index) close(0);
    open.index = bucket.index;
    open.merge(bucket);
}

void SeriesTimeline::close(std::size_t level) {
    SeriesBucket over{};
    std::swap(over, levels_[level].open);
    if (over.count == 0) return;
    keep(level, over);
    if (level + 1 == series_resolutions_count) return;
    const SeriesBucket coarse = coarser(over, level, level + 1);
    SeriesBucket& open = levels_[level + 1].open;
    if (open.count != 0 && open.index != coarse.index) close(level + 1);
    open.index = coarse.index;
    open.merge(coarse);
}

void SeriesTimeline::keep(std::size_t level, const SeriesBucket& bucket) {
    auto& blocks = levels_[level].blocks;
    const std::int64_t size = series_resolutions[level].block, number = floor_divide(bucket.index, size);
    dirty_from[level] = std::min(dirty_from[level], number);
    if (blocks.empty() || blocks.back().number < number) {
        if (!blocks.empty()) {
            bytes_ -= size_of(blocks.back());
            blocks.back().bytes.shrink_to_fit();
            bytes_ += size_of(blocks.back());
        }
        expire(level, bucket.index * series_resolutions[level].step_ms);
        blocks.emplace_back(number);
        bytes_ += size_of(blocks.back());
    }
    SeriesBlock& block = blocks.back();
    if (block.bytes.empty() || bucket.index > block.index) {
        bytes_ -= size_of(block);
        block.append(bucket, size);
        bytes_ += size_of(block);
        return;
    }
    // Another run of Pillion ended within this bucket, and its part has been read from the store.
    std::vector<SeriesBucket> buckets;
    decode_block(block.number, size, block.bytes, buckets);
    if (!buckets.empty() && buckets.back().index == bucket.index) buckets.back().merge(bucket);
    rewrite(level, block, buckets);
}

void SeriesTimeline::rewrite(std::size_t level, SeriesBlock& block, const std::vector<SeriesBucket>& buckets) {
    bytes_ -= size_of(block);
    block = SeriesBlock(block.number);
    for (const SeriesBucket& bucket : buckets) block.append(bucket, series_resolutions[level].block);
    bytes_ += size_of(block);
    dirty_from[level] = std::min(dirty_from[level], block.number);
}

void SeriesTimeline::seal() {
    for (std::size_t level = 0; level < series_resolutions_count; ++level) close(level);
}

std::vector<SeriesBucket> SeriesTimeline::tail(std::size_t level) const {
    std::vector<SeriesBucket> buckets;
    for (std::size_t from = level + 1; from-- > 0;) {
        if (levels_[from].open.count == 0) continue;
        SeriesBucket bucket = coarser(levels_[from].open, from, level);
        if (!buckets.empty() && buckets.back().index == bucket.index)
            buckets.back().merge(bucket);
        else
            buckets.push_back(std::move(bucket));
    }
    return buckets;
}

void SeriesTimeline::expire(std::int64_t now_ms) {
    for (std::size_t level = 0; level < series_resolutions_count; ++level) expire(level, now_ms);
}

void SeriesTimeline::expire(std::size_t level, std::int64_t now_ms) {
    auto& blocks = levels_[level].blocks;
    const SeriesResolution& resolution = series_resolutions[level];
    const std::int64_t oldest = (now_ms - resolution.keep_ms) / resolution.step_ms;
    auto kept = blocks.begin();
    for (; kept != blocks.end() && (kept->number + 1) * resolution.block <= oldest; ++kept) bytes_ -= size_of(*kept);
    blocks.erase(blocks.begin(), kept);
}

void SeriesTimeline::drop_future(std::int64_t now_ms) {
    for (std::size_t level = 0; level < series_resolutions_count; ++level) {
        auto& [blocks, open] = levels_[level];
        const std::int64_t now = now_ms / series_resolutions[level].step_ms, size = series_resolutions[level].block;
        if (open.index > now) open = {};
        while (!blocks.empty() && blocks.back().index > now) {
            SeriesBlock& block = blocks.back();
            std::vector<SeriesBucket> buckets;
            if (block.number * size <= now) decode_block(block.number, size, block.bytes, buckets);
            std::erase_if(buckets, [now](const SeriesBucket& bucket) { return bucket.index > now; });
            if (!buckets.empty()) {
                rewrite(level, block, buckets);
                break;
            }
            bytes_ -= size_of(block);
            blocks.pop_back();
        }
    }
}

bool SeriesTimeline::insert(std::size_t level, std::int64_t number, std::string_view bytes) {
    const std::int64_t size = series_resolutions[level].block;
    std::vector<SeriesBucket> buckets;
    if (!decode_block(number, size, bytes, buckets) || buckets.empty()) return false;
    auto& blocks = levels_[level].blocks;
    const auto dirty = dirty_from[level];
    const auto at = std::ranges::lower_bound(blocks, number, {}, &SeriesBlock::number);
    if (at == blocks.end() || at->number != number) {
        SeriesBlock& fresh = *blocks.emplace(at, number);
        bytes_ += size_of(fresh);
        rewrite(level, fresh, buckets);
        dirty_from[level] = dirty; // it is kept already
        return true;
    }
    // Some of this block was measured before history was read.
    std::vector<SeriesBucket> newer, both;
    decode_block(number, size, at->bytes, newer);
    std::ranges::merge(buckets, newer, std::back_inserter(both), {}, &SeriesBucket::index, &SeriesBucket::index);
    std::vector<SeriesBucket> joined;
    for (SeriesBucket& bucket : both)
        if (!joined.empty() && joined.back().index == bucket.index)
            joined.back().merge(bucket);
        else
            joined.push_back(std::move(bucket));
    rewrite(level, *at, joined);
    return true;
}

bool SeriesTimeline::drop_oldest() {
    const auto weight = [](const Level& level) {
        std::size_t bytes = 0;
        for (const SeriesBlock& block : level.blocks) bytes += size_of(block);
        return level.blocks.size() < 2 ? 0 : bytes;
    };
    Level& heaviest = *std::ranges::max_element(levels_, {}, weight);
    if (weight(heaviest) == 0) return false;
    bytes_ -= size_of(heaviest.blocks.front());
    heaviest.blocks.erase(heaviest.blocks.begin());
    return true;
}

} // namespace pillion
