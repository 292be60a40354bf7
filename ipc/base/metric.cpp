#include "ipc/base/metric.h"

#include <cstdlib>
#include <mutex>
#include <vector>

namespace pillion {

namespace detail {

thread_local constinit CounterCells* counter_cells = nullptr;

namespace {

// Cells of living threads, and what dead ones left. Leaked on purpose: threads may count until the very end.
struct CellRegistry {
    std::mutex mutex;
    std::vector<CounterCells*> living;
    CounterCells retired;
};

CellRegistry& cell_registry() {
    static CellRegistry* const registry = new CellRegistry;
    return *registry;
}

// Folds a thread's cells into `retired` when the thread ends.
struct CellOwner {
    std::unique_ptr<CounterCells> cells = std::make_unique<CounterCells>();
    CellOwner() {
        CellRegistry& registry = cell_registry();
        const std::lock_guard lock(registry.mutex);
        registry.living.push_back(cells.get());
    }
    ~CellOwner() {
        CellRegistry& registry = cell_registry();
        const std::lock_guard lock(registry.mutex);
        for (std::size_t i = 0; i < counters_max; ++i)
            registry.retired.values[i].fetch_add(cells->values[i].load(std::memory_order_relaxed),
                                                 std::memory_order_relaxed);
        std::erase(registry.living, cells.get());
        // What is recorded from here on (by later thread-local destructors) goes to the shared cells.
        counter_cells = &registry.retired;
    }
};

constinit std::atomic<std::size_t> counters_declared{0};
constinit std::atomic<const Counter*> counters_head{nullptr};

std::size_t next_counter_index() {
    const std::size_t index = counters_declared.fetch_add(1);
    if (index >= counters_max) std::abort(); // raise counters_max
    return index;
}

} // namespace

CounterCells* attach_counter_cells() {
    thread_local CellOwner owner;
    counter_cells = owner.cells.get();
    return counter_cells;
}

} // namespace detail

Counter::Counter(std::string_view counter_name, std::string_view counter_help, std::string_view counter_unit)
    : name(counter_name), help(counter_help), unit(counter_unit), index_(detail::next_counter_index()),
      next_(detail::counters_head.load()) {
    while (!detail::counters_head.compare_exchange_weak(next_, this)) {
    }
}

const Counter* Counter::first() { return detail::counters_head.load(); }

std::uint64_t Counter::value() const {
    detail::CellRegistry& registry = detail::cell_registry();
    const std::lock_guard lock(registry.mutex);
    std::uint64_t sum = registry.retired.values[index_].load(std::memory_order_relaxed);
    for (const detail::CounterCells* cells : registry.living)
        sum += cells->values[index_].load(std::memory_order_relaxed);
    return sum;
}

Histogram::~Histogram() { delete cells_.load(); }

Histogram::Cells* Histogram::allocate() {
    Cells* const fresh = new Cells;
    Cells* expected = nullptr;
    if (cells_.compare_exchange_strong(expected, fresh, std::memory_order_acq_rel)) return fresh;
    delete fresh;
    return expected;
}

std::uint64_t Histogram::count() const {
    std::uint64_t count = 0;
    visit([&](std::uint64_t, std::uint64_t, std::uint64_t n) { count += n; });
    return count;
}

std::uint64_t Histogram::percentile(double share) const {
    const std::uint64_t total = count();
    if (total == 0) return 0;
    const double exact = share * static_cast<double>(total);
    const std::uint64_t rank = exact <= 1.0 ? 1 : static_cast<std::uint64_t>(exact + 0.999999);
    std::uint64_t seen = 0;
    std::uint64_t found = 0;
    visit([&](std::uint64_t low, std::uint64_t high, std::uint64_t n) {
        if (seen < rank) found = low + (high - low) / 2;
        seen += n;
    });
    return found;
}

HistogramSummary Histogram::summary() const {
    HistogramSummary summary;
    visit([&](std::uint64_t low, std::uint64_t high, std::uint64_t n) {
        const std::uint64_t middle = low + (high - low) / 2; // at most 0.8 % from any value of the bucket
        if (summary.count == 0) summary.min = middle;
        summary.max = middle;
        summary.count += n;
    });
    if (summary.count == 0) return summary;
    summary.sum = cells_.load(std::memory_order_acquire)->sum.load(std::memory_order_relaxed);
    summary.p50 = percentile(0.50);
    summary.p95 = percentile(0.95);
    summary.p99 = percentile(0.99);
    return summary;
}

void Histogram::merge(const Histogram& other) {
    const Cells* from = other.cells_.load(std::memory_order_acquire);
    if (from == nullptr) return;
    Cells* to = cells_.load(std::memory_order_acquire);
    if (to == nullptr) to = allocate();
    for (std::size_t i = 0; i < buckets; ++i)
        to->counts[i].fetch_add(from->counts[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
    to->sum.fetch_add(from->sum.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

void Histogram::reset() {
    Cells* cells = cells_.load(std::memory_order_acquire);
    if (cells == nullptr) return;
    for (auto& cell : cells->counts) cell.store(0, std::memory_order_relaxed);
    cells->sum.store(0, std::memory_order_relaxed);
}

} // namespace pillion
