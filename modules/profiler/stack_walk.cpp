// Unwinding by frame pointers: [rbp] is the caller's rbp, [rbp + 8] the return address. The stack is copied in pieces
// with process_vm_readv on ourselves, which reports an unmapped page instead of a fault.
//
// Two places need more. In the first instructions of a function, and at its `ret`, the frame is not there yet or any
// more: the return address then lies at the top of the stack. And code of libraries without frame pointers (libc)
// leaves rbp to its caller or uses it for something else: there the stack is searched upwards for the first word that
// lies in the program's code just behind a call instruction. Such a word may be left over from an earlier call; this is
// a guess, right in nearly all samples.
//
// Third, g++ 12 gives a function that calls nothing no frame at all, -mno-omit-leaf-frame-pointer or not: there words near the top of the
// stack that follow a direct call to a place shortly before the instruction are noted as candidates; whoever knows
// where the function begins tells which is right.
#include "modules/profiler/stack_walk.h"

#include <algorithm>
#include <cstring>
#include <link.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

namespace pillion {

namespace {

#if defined(__x86_64__)

constexpr std::uint64_t stack_bytes_max = std::uint64_t{256} << 20;

// A piece of the stack, copied.
class StackWindow {
  public:
    // The word at this address, if it can be read.
    bool read(std::uint64_t address, std::uint64_t& word) {
        if (address % 8 != 0) return false;
        if (address < begin_ || address + 8 > begin_ + bytes_) {
            begin_ = address;
            bytes_ = copy(address);
        }
        if (bytes_ < 8) return false;
        word = words_[(address - begin_) / 8];
        return true;
    }

  private:
    // Up to the end of the page and then of the next: a copy that meets an unmapped page may give nothing at all.
    std::uint64_t copy(std::uint64_t address) {
        constexpr std::uint64_t page = 4096;
        const std::uint64_t first = page - address % page;
        const iovec local{words_, sizeof words_};
        const iovec remote[2] = {{reinterpret_cast<void*>(address), std::min<std::uint64_t>(first, sizeof words_)},
                                 {reinterpret_cast<void*>(address + first),
                                  first < sizeof words_ ? sizeof words_ - static_cast<std::size_t>(first) : 0}};
        const long n = syscall(SYS_process_vm_readv, getpid(), &local, 1L, remote, 2L, 0L);
        return n > 0 ? static_cast<std::uint64_t>(n) : 0;
    }

    std::uint64_t words_[512];
    std::uint64_t begin_ = 0;
    std::uint64_t bytes_ = 0;
};

bool is_own_code(const StackWalker& walker, std::uint64_t address) {
    return address >= walker.code_begin + 8 && address < walker.code_end;
}

// Whether a call instruction ends here: E8 with a 32-bit displacement, or FF /2 in one of its lengths. For own code
// only.
bool follows_call(std::uint64_t address) {
    const auto* const code = reinterpret_cast<const unsigned char*>(address);
    const auto is_indirect = [code](int back, unsigned mode) {
        return code[-back] == 0xff && (code[-back + 1] & 0x38u) == 0x10u && (code[-back + 1] >> 6) == mode;
    };
    return code[-5] == 0xe8 || is_indirect(2, 3) ||
           (is_indirect(2, 0) && (code[-1] & 7u) != 4 && (code[-1] & 7u) != 5) || is_indirect(3, 1) ||
           (is_indirect(3, 0) && (code[-2] & 7u) == 4) || is_indirect(4, 1) || is_indirect(6, 2) ||
           (is_indirect(6, 0) && (code[-5] & 7u) == 5) || is_indirect(7, 2);
}

// How far above rsp the return address lies while rbp is still, or again, the caller's; -1 where rbp is our own.
int bytes_before_frame(std::uint64_t address) {
    const auto* const code = reinterpret_cast<const unsigned char*>(address);
    constexpr unsigned char endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
    constexpr unsigned char move_frame[] = {0x48, 0x89, 0xe5};
    if (code[0] == 0x55 || code[0] == 0xc3 || std::memcmp(code, endbr64, sizeof endbr64) == 0) return 0;
    if (std::memcmp(code, move_frame, sizeof move_frame) == 0 && code[-1] == 0x55) return 8;
    return -1;
}

std::uint64_t direct_call_target(std::uint64_t return_address) {
    const auto* const code = reinterpret_cast<const unsigned char*>(return_address);
    if (code[-5] != 0xe8) return 0;
    std::int32_t distance = 0;
    std::memcpy(&distance, code - 4, sizeof distance);
    return return_address + static_cast<std::uint64_t>(std::int64_t{distance});
}

struct Registers {
    std::uint64_t pc, stack, frame;
};

// Looks for the program's function that called into a library; true if `registers.frame` then has to be found, too.
bool find_caller(StackWindow& window, const StackWalker& walker, Registers& registers, std::uint64_t& caller) {
    constexpr std::uint64_t search_bytes = 4096;
    const bool frame_is_plausible = registers.frame >= registers.stack && registers.frame % 8 == 0 &&
                                    registers.frame - registers.stack < stack_bytes_max;
    std::uint64_t end = registers.stack + search_bytes;
    if (frame_is_plausible) end = std::min(end, registers.frame + 8);
    std::uint64_t word = 0;
    for (std::uint64_t at = registers.stack; at < end && window.read(at, word); at += 8) {
        if (!is_own_code(walker, word) || !follows_call(word)) continue;
        caller = word;
        if (frame_is_plausible && registers.frame > at) return true;
        // rbp was the library's own: the next frame record is a higher stack address with a return address behind it.
        for (std::uint64_t record = at + 8; record < at + search_bytes; record += 8) {
            std::uint64_t next = 0, back = 0;
            if (!window.read(record, next) || !window.read(record + 8, back)) break;
            if (next <= record || next - record > stack_bytes_max || next % 8 != 0) continue;
            if (!is_own_code(walker, back) || !follows_call(back)) continue;
            registers.frame = record;
            return true;
        }
        registers.frame = 0;
        return true;
    }
    return false;
}

#endif

} // namespace

bool is_call_to(std::uint64_t return_address, std::uint64_t function) {
#if defined(__x86_64__)
    return direct_call_target(return_address) == function;
#else
    return (void)return_address, (void)function, false;
#endif
}

Result<StackWalker> create_stack_walker() {
#if defined(__x86_64__)
    StackWalker walker;
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* data) {
            auto& found = *static_cast<StackWalker*>(data);
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const ElfW(Phdr)& segment = info->dlpi_phdr[i];
                if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
                found.code_begin = info->dlpi_addr + segment.p_vaddr;
                found.code_end = found.code_begin + segment.p_memsz;
                break;
            }
            return 1; // the program is the first
        },
        &walker);
    std::uint64_t word = 1, copy = 0;
    const iovec local{&copy, sizeof copy}, remote{&word, sizeof word};
    if (syscall(SYS_process_vm_readv, getpid(), &local, 1L, &remote, 1L, 0L) != sizeof word || copy != word)
        return fail(ErrorCode::unavailable, "the system does not let this process read its own stacks "
                                            "(process_vm_readv); a seccomp profile may forbid it");
    return walker;
#else
    return fail(ErrorCode::unavailable, "stacks can only be walked on x86-64");
#endif
}

StackWalk walk_stack(const void* context, std::span<std::uint64_t> addresses, const StackWalker& walker) {
    StackWalk walk;
#if defined(__x86_64__)
    const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
    Registers registers{static_cast<std::uint64_t>(machine.gregs[REG_RIP]),
                        static_cast<std::uint64_t>(machine.gregs[REG_RSP]),
                        static_cast<std::uint64_t>(machine.gregs[REG_RBP])};
    StackWindow window;
    const auto add = [&](std::uint64_t address) { addresses[walk.depth++] = address; };
    add(registers.pc);
    std::uint64_t word = 0;
    if (!is_own_code(walker, registers.pc)) {
        if (find_caller(window, walker, registers, word)) add(word);
    } else if (const int bytes = bytes_before_frame(registers.pc); bytes >= 0) {
        // Code without frame pointers (the C++ library's) may push another register before rbp.
        if (window.read(registers.stack + static_cast<unsigned>(bytes), word) && (word & leaf_candidate_bit) == 0)
            add(word);
    } else {
        constexpr std::uint64_t search_bytes = 64, function_bytes = 16'384;
        for (std::uint64_t at = registers.stack; at < registers.stack + search_bytes && at < registers.frame; at += 8) {
            if (!window.read(at, word)) break;
            if (!is_own_code(walker, word)) continue;
            const std::uint64_t target = direct_call_target(word);
            if (target != 0 && target <= registers.pc && registers.pc - target < function_bytes)
                add(word | leaf_candidate_bit);
        }
    }
    std::uint64_t lowest = registers.stack;
    std::uint64_t frame = registers.frame;
    while (frame >= lowest && frame - registers.stack < stack_bytes_max) {
        std::uint64_t next = 0, back = 0;
        if (!window.read(frame, next) || !window.read(frame + 8, back)) break;
        if (back == 0 || (back & leaf_candidate_bit) != 0) break; // no address: the frame was none
        if (walk.depth == addresses.size()) {
            walk.is_cut = true;
            break;
        }
        add(back);
        lowest = frame + 16;
        frame = next;
    }
#else
    (void)context, (void)addresses, (void)walker;
#endif
    return walk;
}

StackWalk walk_own_stack(const void* caller, std::span<std::uint64_t> addresses) {
    struct Walk {
        const std::uint64_t caller;
        const std::span<std::uint64_t> addresses;
        StackWalk result{};
    } walk{reinterpret_cast<std::uint64_t>(caller), addresses};
    _Unwind_Backtrace(
        [](_Unwind_Context* context, void* data) {
            Walk& to = *static_cast<Walk*>(data);
            const std::uint64_t address = _Unwind_GetIP(context);
            if (to.result.depth == 0 && address != to.caller) return _URC_NO_REASON;
            if (address == 0) return _URC_END_OF_STACK;
            to.result.is_cut = to.result.depth == to.addresses.size();
            if (to.result.is_cut) return _URC_END_OF_STACK;
            to.addresses[to.result.depth++] = address;
            return _URC_NO_REASON;
        },
        &walk);
    if (walk.result.depth == 0) {
        addresses[walk.result.depth++] = walk.caller;
        walk.result.is_cut = true;
    }
    --addresses.front(); // into the call itself: the innermost is no return address
    return walk.result;
}

} // namespace pillion
