// A bucket is told as the difference to the one before: one byte of flags, then the numbers that are not as expected,
// each as a zigzag varint of the difference (whole numbers below 2^53), as a float where it is exact to 1e-7, or as a
// double. The idea is that of Gorilla (Pelkonen et al., VLDB 2015), with bytes in place of bits: most metrics are whole
// numbers, and a block is decoded in one pass. A gauge that stands still takes a byte a second.
#include "modules/series/series_block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace pillion {

namespace {

enum Tag : unsigned { as_expected, difference, single_precision, double_precision };
constexpr unsigned is_after_gap = 1, is_single = 2, has_cells = 16; // bits 2 and 3: the tag of `last`
constexpr double whole_max = 9007199254740992.0;                    // 2^53

bool is_whole(double value) { return std::abs(value) < whole_max && value == std::trunc(value); }

Tag tag_of(double value, double expected) {
    if (value == expected) return as_expected;
    if (is_whole(value) && is_whole(expected)) return difference;
    const double magnitude = std::abs(value);
    if (magnitude < 1e-30 || magnitude > 1e30) return double_precision;
    return is_whole(value) && static_cast<double>(static_cast<float>(value)) != value ? double_precision
                                                                                      : single_precision;
}

void put_varint(std::string& out, std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
    out.push_back(static_cast<char>(value));
}

std::uint64_t zigzag(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}

std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

template <class T>
void put_raw(std::string& out, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof value);
}

void put_number(std::string& out, Tag tag, double value, double expected) {
    if (tag == difference)
        put_varint(out, zigzag(static_cast<std::int64_t>(value) - static_cast<std::int64_t>(expected)));
    else if (tag == single_precision)
        put_raw(out, static_cast<float>(value));
    else if (tag == double_precision)
        put_raw(out, value);
}

// What the reader will take a number for: later numbers are told from it.
double as_read(Tag tag, double value) {
    return tag == single_precision ? static_cast<double>(static_cast<float>(value)) : value;
}

double expected_sum(double last, std::uint64_t count) { return std::trunc(last * static_cast<double>(count)); }

class Reader {
  public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    bool at_end() const { return at_ == bytes_.size(); }
    bool failed() const { return failed_; }
    unsigned byte() {
        if (at_ >= bytes_.size()) return failed_ = true, 0;
        return static_cast<unsigned char>(bytes_[at_++]);
    }
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const unsigned part = byte();
            value |= static_cast<std::uint64_t>(part & 0x7f) << shift;
            if ((part & 0x80) == 0) return value;
        }
        failed_ = true;
        return 0;
    }
    double number(unsigned tag, double expected) {
        double value = expected;
        if (tag == difference) {
            const std::int64_t step = unzigzag(varint());
            if (!is_whole(expected)) return failed_ = true, 0;
            value = expected + static_cast<double>(step);
        } else if (tag == single_precision) {
            value = static_cast<double>(raw<float>());
        } else if (tag == double_precision) {
            value = raw<double>();
        }
        if (!std::isfinite(value)) failed_ = true;
        return value;
    }

  private:
    template <class T>
    T raw() {
        T value{};
        if (bytes_.size() - at_ < sizeof value) return failed_ = true, value;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return value;
    }
    std::string_view bytes_;
    std::size_t at_ = 0;
    bool failed_ = false;
};

void put_cells(std::string& out, const SeriesCells& cells) {
    put_varint(out, cells.size());
    std::uint32_t before = 0;
    for (const auto& [cell, count] : cells) {
        put_varint(out, cell - before);
        put_varint(out, count);
        before = cell;
    }
}

bool read_cells(Reader& in, SeriesCells& cells) {
    constexpr std::uint32_t cells_max = 1u << 18;
    const std::uint64_t size = in.varint();
    std::uint64_t cell = 0;
    for (std::uint64_t i = 0; i < size && !in.failed(); ++i) {
        const std::uint64_t step = in.varint();
        if (step >= cells_max || (i > 0 && step == 0)) return false;
        cell += step;
        if (cell >= cells_max) return false;
        cells.emplace_back(static_cast<std::uint32_t>(cell), in.varint());
    }
    return !in.failed();
}

} // namespace

std::uint32_t series_cell_of(double value) {
    return value > 0 ? static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(value) >> 46) + 1 : 0;
}

double series_cell_low(std::uint32_t cell) {
    return cell == 0 ? 0.0 : std::bit_cast<double>(static_cast<std::uint64_t>(cell - 1) << 46);
}

void add_cells(SeriesCells& to, const SeriesCells& more) {
    if (more.size() == 1) { // what recording a value does
        const auto at = std::ranges::lower_bound(to, more[0].first, {}, &SeriesCells::value_type::first);
        if (at != to.end() && at->first == more[0].first)
            at->second += more[0].second;
        else
            to.insert(at, more[0]);
        return;
    }
    SeriesCells both;
    both.reserve(to.size() + more.size());
    auto left = to.begin();
    for (const auto& right : more) {
        while (left != to.end() && left->first < right.first) both.push_back(*left++);
        both.push_back(right);
        if (left != to.end() && left->first == right.first) both.back().second += (left++)->second;
    }
    both.insert(both.end(), left, to.end());
    to = std::move(both);
}

void SeriesBucket::merge(const SeriesBucket& later) {
    if (later.count == 0) return;
    if (count == 0) {
        const std::int64_t own = index;
        *this = later;
        index = own;
        return;
    }
    min = std::min(min, later.min);
    max = std::max(max, later.max);
    sum += later.sum;
    last = later.last;
    count += later.count;
    covered_ms += later.covered_ms;
    if (!later.cells.empty()) add_cells(cells, later.cells);
}

void SeriesBlock::append(const SeriesBucket& bucket, std::int64_t buckets_per_block) {
    const std::int64_t before = bytes.empty() ? number * buckets_per_block - 1 : index;
    const bool single = bucket.count == 1 && bucket.min == bucket.last && bucket.max == bucket.last &&
                        bucket.sum == bucket.last && bucket.covered_ms == 0;
    const Tag tag = tag_of(bucket.last, last);
    const bool gap = bucket.index != before + 1;
    bytes.push_back(static_cast<char>((gap ? is_after_gap : 0) | (single ? is_single : 0) | (tag << 2) |
                                      (bucket.cells.empty() ? 0 : has_cells)));
    if (gap) put_varint(bytes, static_cast<std::uint64_t>(bucket.index - before - 2));
    put_number(bytes, tag, bucket.last, last);
    const double value = as_read(tag, bucket.last), rise = value - last;
    if (!single) {
        // Of a counter the sum is the difference of two totals, of a gauge nearly the latest value times the count.
        const double sum_expected = bucket.covered_ms != 0 ? rise : expected_sum(value, bucket.count);
        const Tag min_tag = bucket.min == bucket.last ? as_expected : tag_of(bucket.min, value),
                  max_tag = bucket.max == bucket.last ? as_expected : tag_of(bucket.max, value),
                  sum_tag = tag_of(bucket.sum, sum_expected);
        const auto covered = static_cast<double>(bucket.covered_ms), covered_before = static_cast<double>(covered_ms);
        const Tag covered_tag = tag_of(covered, covered_before);
        bytes.push_back(static_cast<char>(min_tag | (max_tag << 2) | (sum_tag << 4) | (covered_tag << 6)));
        put_varint(bytes, bucket.count);
        put_number(bytes, covered_tag, covered, covered_before);
        put_number(bytes, min_tag, bucket.min, value);
        put_number(bytes, max_tag, bucket.max, value);
        put_number(bytes, sum_tag, bucket.sum, sum_expected);
    }
    if (!bucket.cells.empty()) put_cells(bytes, bucket.cells);
    index = bucket.index;
    last = value;
    covered_ms = bucket.covered_ms;
}

bool decode_block(std::int64_t number, std::int64_t buckets_per_block, std::string_view bytes,
                  std::vector<SeriesBucket>& buckets) {
    Reader in(bytes);
    std::int64_t index = number * buckets_per_block - 1, covered_ms = 0;
    double last = 0;
    while (!in.at_end()) {
        const unsigned flags = in.byte();
        const std::uint64_t gap = (flags & is_after_gap) != 0 ? in.varint() + 1 : 0;
        if (gap > static_cast<std::uint64_t>(buckets_per_block)) return false;
        index += static_cast<std::int64_t>(gap) + 1;
        if (index >= (number + 1) * buckets_per_block) return false;
        SeriesBucket bucket{.index = index};
        const double before = last;
        last = in.number((flags >> 2) & 3, before);
        bucket.min = bucket.max = bucket.sum = bucket.last = last;
        bucket.count = 1;
        if ((flags & is_single) == 0) {
            const unsigned tags = in.byte();
            bucket.count = in.varint();
            const double covered = in.number(tags >> 6, static_cast<double>(covered_ms));
            if (bucket.count == 0 || !(covered >= 0 && covered < 1e15)) return false;
            bucket.covered_ms = static_cast<std::int64_t>(covered);
            bucket.min = in.number(tags & 3, last);
            bucket.max = in.number((tags >> 2) & 3, last);
            bucket.sum =
                in.number((tags >> 4) & 3, bucket.covered_ms != 0 ? last - before : expected_sum(last, bucket.count));
        }
        covered_ms = bucket.covered_ms;
        if ((flags & has_cells) != 0 && !read_cells(in, bucket.cells)) return false;
        if (in.failed()) return false;
        buckets.push_back(std::move(bucket));
    }
    return true;
}

} // namespace pillion
