// Return addresses of a thread that a signal has interrupted, or of the caller itself. The former is async-signal-safe:
// no allocation, no lock, and memory is read by a system call that fails where there is none, so that no frame pointer,
// however wrong, can end the process. Any thread, in a signal handler.
#pragma once

#include "ipc/base/error.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace pillion {

// Where the program's own code lies: it keeps frame pointers, libraries need not.
struct StackWalker {
    std::uint64_t code_begin = 0;
    std::uint64_t code_end = 0;
};
// -32005 where stacks cannot be read.
Result<StackWalker> create_stack_walker();

// Set in an address that may be the innermost function's return address: it is if the call before it calls just that
// function (is_call_to). User space never has this bit.
inline constexpr std::uint64_t leaf_candidate_bit = std::uint64_t{1} << 63;
// Whether the instruction that ends at this return address calls the function that begins there. Reads the code before
// it, which must be there.
bool is_call_to(std::uint64_t return_address, std::uint64_t function);

struct StackWalk {
    std::uint8_t depth = 0;
    bool is_cut = false; // there were more frames than room
};
// Addresses innermost first, from a handler's ucontext_t.
StackWalk walk_stack(const void* context, std::span<std::uint64_t> addresses, const StackWalker& walker);

// Addresses of the calling thread, innermost first, from the function on that returns to `caller`. By the unwind
// tables, which are exact for code without frame pointers too, as that of the C++ library is. Allocates nothing; not
// for a signal handler.
StackWalk walk_own_stack(const void* caller, std::span<std::uint64_t> addresses);

} // namespace pillion
