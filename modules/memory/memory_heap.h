// The process's allocator: mimalloc in the product, the C library's where a sanitizer has taken malloc over. Any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pillion {

struct MemoryHeap {
    std::string allocator;            // "mimalloc" or "libc"
    std::uint64_t committedBytes = 0; // held from the system for the heap
    std::optional<std::uint64_t> committedPeakBytes{};
    std::optional<std::uint64_t> reservedBytes{}; // address space set aside for it
    std::optional<std::uint64_t> usedBytes{};     // handed out to the program
};
MemoryHeap read_heap();

// Gives free memory back to the system: the calling thread's and what ended threads left. `all` looks through
// everything (some milliseconds) instead of what is cheap to give.
enum class Collect : std::uint8_t { cheap, all };
void collect_heap(Collect how);

// The last amount in a line of mimalloc's statistics, such as "  reserved:  32.0 MiB  32.0 MiB  0  32.0 MiB", is the
// current one; `label` is with its colon.
std::optional<std::uint64_t> parse_heap_statistic(std::string_view text, std::string_view label);

} // namespace pillion
