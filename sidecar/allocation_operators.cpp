// The global operator new and operator delete of the program, all of them: the allocator's malloc and free (mimalloc
// stands in for the C library's), told to whoever samples allocations. Linked into programs by itself, never with a
// sanitizer, which has operators of its own. Every memory of C++ code passes here, that of libraries in C does not.
//
// The small allocations of a start lie side by side in memory of the program's own. From the allocator each size would
// come from a place of its own and touch another page, and a page touched first costs a start more than everything
// else that is done for the allocation. What is freed of this memory is not used again; when it is used up, which
// happens once, the allocator gives everything.
#include "ipc/base/allocation_hook.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

// g++ 12 sees only half of each pair where it inlines.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace {

using pillion::allocation_sink;
using pillion::AllocationSink;

constexpr std::size_t first_memory_bytes = 128 * 1024; // what a start that is only pinged takes, and a little more
constexpr std::size_t first_block_bytes_max = 64 * 1024;
constexpr std::size_t block_alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

alignas(block_alignment) constinit std::byte first_memory[first_memory_bytes]{};
constinit std::atomic<std::size_t> first_memory_used{0};

// Null when the block is too large for what is left.
[[gnu::cold, gnu::noinline]] void* take_first(std::size_t bytes) noexcept {
    const std::size_t rounded = bytes == 0 ? block_alignment : (bytes + block_alignment - 1) & ~(block_alignment - 1);
    if (bytes > first_block_bytes_max) return nullptr;
    const std::size_t at = first_memory_used.fetch_add(rounded, std::memory_order_relaxed);
    return at + rounded <= first_memory_bytes ? first_memory + at : nullptr;
}

bool is_first(const void* block) noexcept {
    return reinterpret_cast<std::uintptr_t>(block) - reinterpret_cast<std::uintptr_t>(first_memory) <
           first_memory_bytes;
}

void give_back(void* block) noexcept {
    if (!is_first(block)) [[likely]]
        std::free(block);
}

// `aligned_alloc` wants whole multiples of the alignment.
void* take(std::size_t bytes, std::size_t alignment) noexcept {
    if (alignment == 0) {
        if (first_memory_used.load(std::memory_order_relaxed) < first_memory_bytes) [[unlikely]]
            if (void* const block = take_first(bytes)) return block;
        return std::malloc(bytes);
    }
    const std::size_t rounded = (bytes + alignment - 1) & ~(alignment - 1);
    return rounded < bytes ? nullptr : std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
}

[[gnu::cold, gnu::noinline]] void* take_or_throw(std::size_t bytes, std::size_t alignment) {
    for (;;) {
        if (void* const block = take(bytes, alignment)) return block;
        const std::new_handler handler = std::get_new_handler();
        if (handler == nullptr) throw std::bad_alloc();
        handler();
    }
}

[[gnu::cold, gnu::noinline]] void* take_or_null(std::size_t bytes, std::size_t alignment) noexcept {
    try {
        return take_or_throw(bytes, alignment);
    } catch (...) { // whatever a handler throws
        return nullptr;
    }
}

enum class Failure { throws, is_null };

template <Failure failure>
void* take_all_the_same(std::size_t bytes, std::size_t alignment) {
    return failure == Failure::throws ? take_or_throw(bytes, alignment) : take_or_null(bytes, alignment);
}

template <Failure failure>
[[gnu::cold, gnu::noinline]] void* allocate_and_tell(AllocationSink& sink, std::size_t bytes, std::size_t alignment,
                                                     const void* caller) {
    void* const block = take_all_the_same<failure>(bytes, alignment);
    if (block != nullptr) sink.allocated(block, bytes, caller);
    return block;
}

[[gnu::cold, gnu::noinline]] void tell_and_release(AllocationSink& sink, void* block) noexcept {
    if (block != nullptr) sink.freed(block);
    give_back(block);
}

template <Failure failure>
[[gnu::always_inline]] inline void* allocate(std::size_t bytes, std::size_t alignment, const void* caller) {
    if (AllocationSink* const sink = allocation_sink.load(std::memory_order_relaxed)) [[unlikely]]
        return allocate_and_tell<failure>(*sink, bytes, alignment, caller);
    if (void* const block = take(bytes, alignment)) [[likely]]
        return block;
    return take_all_the_same<failure>(bytes, alignment);
}

[[gnu::always_inline]] inline void release(void* block) noexcept {
    if (AllocationSink* const sink = allocation_sink.load(std::memory_order_relaxed)) [[unlikely]]
        return tell_and_release(*sink, block);
    give_back(block);
}

constexpr std::size_t number(std::align_val_t alignment) { return static_cast<std::size_t>(alignment); }

} // namespace

#define PILLION_CALLER __builtin_return_address(0)

void* operator new(std::size_t bytes) { return allocate<Failure::throws>(bytes, 0, PILLION_CALLER); }
void* operator new[](std::size_t bytes) { return allocate<Failure::throws>(bytes, 0, PILLION_CALLER); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    return allocate<Failure::is_null>(bytes, 0, PILLION_CALLER);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
    return allocate<Failure::is_null>(bytes, 0, PILLION_CALLER);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return allocate<Failure::throws>(bytes, number(alignment), PILLION_CALLER);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
    return allocate<Failure::throws>(bytes, number(alignment), PILLION_CALLER);
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate<Failure::is_null>(bytes, number(alignment), PILLION_CALLER);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate<Failure::is_null>(bytes, number(alignment), PILLION_CALLER);
}

void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t, const std::nothrow_t&) noexcept { release(block); }
void operator delete[](void* block, std::align_val_t, const std::nothrow_t&) noexcept { release(block); }
