// Metric points: counters, gauges and histograms, declared as constants beside their use and recorded without a lock
// or an allocation.
//
//     const Counter requests{"pillion.rpc.requests", "Requests received", "{request}"};
//     requests.add();
//
// A counter costs one add to a cell that only its thread writes; a reader sums the cells of all threads. A histogram is
// log-linear, as HdrHistogram (Gil Tene): each power of two is cut into 64 buckets, so a reported value is within 0.8 %
// of a recorded one from 1 to 2^42 (1 ns to over an hour). Recording: any thread. Reading: any thread, not a snapshot
// in time across metrics. Metrics live as long as the process.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace pillion {

namespace detail {
inline constexpr std::size_t counters_max = 512;
struct CounterCells {
    std::array<std::atomic<std::uint64_t>, counters_max> values{};
};
extern thread_local constinit CounterCells* counter_cells;
CounterCells* attach_counter_cells();
} // namespace detail

// A monotonic sum.
class Counter {
  public:
    Counter(std::string_view name, std::string_view help, std::string_view unit);
    Counter(const Counter&) = delete;

    void add(std::uint64_t n = 1) const {
        detail::CounterCells* cells = detail::counter_cells;
        if (cells == nullptr) [[unlikely]]
            cells = detail::attach_counter_cells();
        std::atomic<std::uint64_t>& cell = cells->values[index_];
        cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    std::uint64_t value() const;

    const std::string_view name, help, unit;
    // All counters, in no particular order: first().next_ ... nullptr.
    static const Counter* first();
    const Counter* next() const { return next_; }

  private:
    const std::size_t index_;
    const Counter* next_;
};

// What a histogram held when it was read.
struct HistogramSummary {
    std::uint64_t count = 0;
    std::uint64_t sum = 0;
    std::uint64_t min = 0;
    std::uint64_t max = 0;
    std::uint64_t p50 = 0;
    std::uint64_t p95 = 0;
    std::uint64_t p99 = 0;
    double mean() const { return count == 0 ? 0.0 : static_cast<double>(sum) / static_cast<double>(count); }
};

class Histogram {
  public:
    static constexpr unsigned sub_bucket_bits = 6;
    static constexpr unsigned value_bits = 42;
    static constexpr std::uint64_t value_max = (std::uint64_t{1} << value_bits) - 1;
    static constexpr std::size_t buckets =
        (std::size_t{2} << sub_bucket_bits) + (value_bits - sub_bucket_bits - 1) * (std::size_t{1} << sub_bucket_bits);

    Histogram() = default;
    ~Histogram();
    Histogram(const Histogram&) = delete;

    // The first record allocates the buckets (19 KiB); none after it does.
    void record(std::uint64_t value) {
        Cells* cells = cells_.load(std::memory_order_acquire);
        if (cells == nullptr) [[unlikely]]
            cells = allocate();
        if (value > value_max) value = value_max;
        cells->counts[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
        cells->sum.fetch_add(value, std::memory_order_relaxed);
    }

    // The same for a histogram that only one thread records to: without locked instructions.
    void record_as_only_writer(std::uint64_t value) {
        Cells* cells = cells_.load(std::memory_order_acquire);
        if (cells == nullptr) [[unlikely]]
            cells = allocate();
        if (value > value_max) value = value_max;
        const auto add = [](std::atomic<std::uint64_t>& cell, std::uint64_t n) {
            cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
        };
        add(cells->counts[bucket_of(value)], 1);
        add(cells->sum, value);
    }

    std::uint64_t count() const;
    HistogramSummary summary() const;
    // The value below which this share of the recorded ones lies; share in 0..1.
    std::uint64_t percentile(double share) const;
    // Adds the other's counts to this one's.
    void merge(const Histogram& other);
    void reset();

    // Visits (lowest value, highest value, count) of each bucket that is not empty, ascending.
    template <class Visitor>
    void visit(Visitor visitor) const {
        const Cells* cells = cells_.load(std::memory_order_acquire);
        if (cells == nullptr) return;
        for (std::size_t i = 0; i < buckets; ++i)
            if (const std::uint64_t n = cells->counts[i].load(std::memory_order_relaxed))
                visitor(lowest_of(i), lowest_of(i + 1) - 1, n);
    }

    static constexpr std::size_t bucket_of(std::uint64_t value) {
        constexpr std::uint64_t linear = std::uint64_t{2} << sub_bucket_bits;
        if (value < linear) return static_cast<std::size_t>(value);
        const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - sub_bucket_bits - 1;
        return (static_cast<std::size_t>(shift) << sub_bucket_bits) + static_cast<std::size_t>(value >> shift);
    }
    static constexpr std::uint64_t lowest_of(std::size_t bucket) {
        constexpr std::size_t linear = std::size_t{2} << sub_bucket_bits;
        if (bucket < linear) return bucket;
        const std::size_t shift = (bucket >> sub_bucket_bits) - 1;
        return static_cast<std::uint64_t>(bucket - (shift << sub_bucket_bits)) << shift;
    }

  private:
    struct Cells {
        std::array<std::atomic<std::uint64_t>, buckets> counts{};
        std::atomic<std::uint64_t> sum{0};
    };
    Cells* allocate();

    std::atomic<Cells*> cells_{nullptr};
};

} // namespace pillion
