#include "modules/memory/memory_heap.h"

#include <charconv>

#ifdef PILLION_WITH_MIMALLOC
#include <mimalloc.h>
#else
#include <malloc.h>
#endif

namespace pillion {

std::optional<std::uint64_t> parse_heap_statistic(std::string_view text, std::string_view label) {
    std::size_t at = text.find(label);
    if (at == std::string_view::npos) return std::nullopt;
    std::string_view line = text.substr(at + label.size());
    line = line.substr(0, line.find('\n'));
    std::optional<double> last;
    while (!line.empty()) {
        const std::size_t first = line.find_first_not_of(" \t");
        if (first == std::string_view::npos) break;
        line.remove_prefix(first);
        const std::string_view word = line.substr(0, line.find_first_of(" \t"));
        double number = 0;
        if (std::from_chars(word.data(), word.data() + word.size(), number).ec == std::errc())
            last = number;
        else if (last && word == "KiB")
            *last *= 1024.0;
        else if (last && word == "MiB")
            *last *= 1024.0 * 1024;
        else if (last && word == "GiB")
            *last *= 1024.0 * 1024 * 1024;
        line.remove_prefix(word.size());
    }
    if (!last || *last < 0 || *last > 1e18) return std::nullopt;
    return static_cast<std::uint64_t>(*last);
}

#ifdef PILLION_WITH_MIMALLOC

MemoryHeap read_heap() {
    std::size_t elapsed_ms, user_ms, system_ms, resident, resident_peak, committed, committed_peak, faults;
    mi_process_info(&elapsed_ms, &user_ms, &system_ms, &resident, &resident_peak, &committed, &committed_peak, &faults);
    std::string text;
    mi_stats_print_out([](const char* part, void* out) { *static_cast<std::string*>(out) += part; }, &text);
    return {.allocator = "mimalloc",
            .committedBytes = committed,
            .committedPeakBytes = committed_peak,
            .reservedBytes = parse_heap_statistic(text, "reserved:"),
            .usedBytes{}};
}

void collect_heap(Collect how) { mi_collect(how == Collect::all); }

#else

MemoryHeap read_heap() {
    const struct mallinfo2 info = mallinfo2();
    return {.allocator = "libc",
            .committedBytes = info.arena + info.hblkhd,
            .committedPeakBytes{},
            .reservedBytes{},
            .usedBytes = info.uordblks + info.hblkhd};
}

void collect_heap(Collect how) {
    if (how == Collect::all) malloc_trim(0);
}

#endif

} // namespace pillion
