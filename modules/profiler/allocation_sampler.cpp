// Poisson sampling by bytes, as the heap profilers of tcmalloc and Go do it: each thread draws exponential gaps of
// `interval` bytes on average and samples the allocation in which one ends. An allocation of s bytes is so sampled with
// the probability 1 - exp(-s / interval), whatever came before it, and stands for the inverse of that number of its
// kind: sums of bytes and counts are unbiased.
//
// Blocks that were sampled are entered into a table of open addressing that is never larger than half full and in which
// nothing is used twice, so that looking one up needs no lock. It stays mapped for good once it has been used: a thread
// that came late still reads it. What comes late to a recording that has ended is told so by `active`, which is asked
// between two steps of `running`.
#include "modules/profiler/allocation_sampler.h"

#include "ipc/base/allocation_hook.h"
#include "modules/profiler/sample_arena.h"
#include "modules/profiler/stack_walk.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <new>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

namespace pillion {

namespace {

// Words of a sample before its addresses.
constexpr std::size_t bytes_word = 0, freed_word = 1, name_word = 2, head_words = 4;
static_assert(head_words + CpuSampler::frames_max <= SampleArena::words_each_max);

struct Table {
    static constexpr unsigned bits = 16;
    static constexpr std::size_t slots = std::size_t{1} << bits;
    static_assert(slots >= 2 * AllocationSampler::samples_max);

    std::array<std::atomic<std::uintptr_t>, slots> blocks; // 0: free, 1: taken by no block
    std::array<std::uint64_t*, slots> samples;

    static std::size_t slot_of(std::uintptr_t block) {
        return static_cast<std::size_t>(block * 0x9e37'79b9'7f4a'7c15u >> (64 - bits));
    }
};

constinit std::atomic<Table*> table{nullptr};
constinit std::atomic<SampleArena*> active{nullptr};
constinit std::atomic<int> running{0};
constinit std::atomic<std::uint64_t> session{0};
constinit std::atomic<std::int64_t> interval{0};
constinit std::atomic<std::size_t> taken{0};

struct ThreadState {
    std::uint64_t session = 0;
    std::uint64_t random = 0;
    std::int64_t bytes_left = 0; // until the next sample
    bool is_sampling = false;
};
constinit thread_local ThreadState thread_state;

std::int64_t draw_gap(ThreadState& state) {
    state.random ^= state.random >> 12; // xorshift64* (Vigna, 2016)
    state.random ^= state.random << 25;
    state.random ^= state.random >> 27;
    const std::uint64_t number = state.random * 0x2545'f491'4f6c'dd1du;
    const double uniform = (static_cast<double>(number >> 11) + 0.5) * 0x1p-53;
    return static_cast<std::int64_t>(-std::log(uniform) *
                                     static_cast<double>(interval.load(std::memory_order_relaxed)));
}

void begin_session(ThreadState& state, std::uint64_t number) {
    state.session = number;
    if (state.random == 0) {
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        state.random = (reinterpret_cast<std::uintptr_t>(&state) ^ static_cast<std::uint64_t>(now.tv_nsec) << 32) *
                           0x9e37'79b9'7f4a'7c15u |
                       1;
    }
    state.bytes_left = draw_gap(state);
}

void enter(std::uintptr_t block, std::uint64_t* sample) {
    Table& entries = *table.load(std::memory_order_relaxed);
    for (std::size_t slot = Table::slot_of(block);; slot = (slot + 1) % Table::slots) {
        std::uintptr_t none = 0;
        if (!entries.blocks[slot].compare_exchange_strong(none, 1)) continue;
        entries.samples[slot] = sample;
        entries.blocks[slot].store(block, std::memory_order_release);
        return;
    }
}

void take_sample(SampleArena& arena, const void* block, std::size_t bytes, const void* caller) {
    if (taken.fetch_add(1, std::memory_order_relaxed) >= AllocationSampler::samples_max) return arena.drop();
    std::uint64_t words[head_words + CpuSampler::frames_max];
    words[bytes_word] = bytes;
    words[freed_word] = 0;
    char name[16] = {};
    prctl(PR_GET_NAME, name);
    std::memcpy(words + name_word, name, sizeof name);
    const StackWalk walked = walk_own_stack(caller, {words + head_words, CpuSampler::frames_max});
    std::uint64_t* const sample =
        arena.take({.thread = gettid(), .is_cut = walked.is_cut, .words = {words, head_words + walked.depth}});
    if (sample != nullptr) enter(reinterpret_cast<std::uintptr_t>(block), sample);
}

class Sink final : public AllocationSink {
  public:
    void allocated(const void* block, std::size_t bytes, const void* caller) noexcept override {
        ThreadState& state = thread_state;
        if (const std::uint64_t now = session.load(std::memory_order_relaxed); state.session != now)
            begin_session(state, now);
        state.bytes_left -= static_cast<std::int64_t>(bytes);
        if (state.bytes_left >= 0 || state.is_sampling) return;
        state.is_sampling = true;
        state.bytes_left = draw_gap(state);
        running.fetch_add(1);
        if (SampleArena* const arena = active.load()) take_sample(*arena, block, bytes, caller);
        running.fetch_sub(1);
        state.is_sampling = false;
    }

    void freed(const void* block) noexcept override {
        const auto wanted = reinterpret_cast<std::uintptr_t>(block);
        Table& entries = *table.load(std::memory_order_relaxed);
        for (std::size_t slot = Table::slot_of(wanted);; slot = (slot + 1) % Table::slots) {
            const std::uintptr_t found = entries.blocks[slot].load(std::memory_order_acquire);
            if (found == 0) return;
            if (found == wanted) return end_sample(entries, slot, wanted);
        }
    }

  private:
    static void end_sample(Table& entries, std::size_t slot, std::uintptr_t block) {
        running.fetch_add(1);
        if (active.load() != nullptr && entries.blocks[slot].load() == block) {
            std::atomic_ref(entries.samples[slot][freed_word]).store(1, std::memory_order_relaxed);
            entries.blocks[slot].store(1);
        }
        running.fetch_sub(1);
    }
};

class Probe final : public AllocationSink {
  public:
    void allocated(const void*, std::size_t, const void*) noexcept override { was_told.store(true); }
    void freed(const void*) noexcept override {}
    std::atomic<bool> was_told{false};
};

constinit Sink sink;
constinit Probe probe;

bool is_told() {
    probe.was_told.store(false);
    allocation_sink.store(&probe);
    void* volatile const block = ::operator new(1);
    ::operator delete(block);
    allocation_sink.store(nullptr);
    return probe.was_told.load();
}

// Empty; mapped at the first time.
bool clear_table() {
    if (Table* const used = table.load()) return madvise(used, sizeof(Table), MADV_DONTNEED) == 0;
    void* const memory =
        mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return false;
    table.store(static_cast<Table*>(memory)); // all zeros, as the system gives it
    return true;
}

} // namespace

Result<std::unique_ptr<AllocationSampler>> AllocationSampler::create(std::int64_t interval_bytes) {
    if (active.load() != nullptr)
        return fail(ErrorCode::conflict, "allocations of this process are being sampled already");
    if (!is_told())
        return fail(ErrorCode::unavailable, "allocations cannot be sampled in this build: its operator new is not "
                                            "Pillion's own (a build with a sanitizer has another)");
    auto arena = SampleArena::create();
    if (!arena || !clear_table()) return fail(ErrorCode::exhausted, "there is no memory for samples");
    std::unique_ptr<AllocationSampler> sampler(new AllocationSampler(interval_bytes, std::move(arena)));
    interval.store(interval_bytes);
    taken.store(0);
    session.fetch_add(1);
    active.store(sampler->arena_.get());
    allocation_sink.store(&sink);
    return sampler;
}

AllocationSampler::~AllocationSampler() { end(); }

void AllocationSampler::end() {
    if (has_ended_) return;
    has_ended_ = true;
    allocation_sink.store(nullptr);
    active.store(nullptr);
    while (running.load() != 0) sched_yield(); // a sample takes microseconds
}

std::map<std::int32_t, std::string> AllocationSampler::threads() const {
    std::map<std::int32_t, std::string> names;
    for (const ArenaSample& sample : arena_->read()) {
        char name[17] = {};
        std::memcpy(name, sample.words.data() + name_word, 16);
        names[sample.thread] = name;
    }
    return names;
}

std::vector<RawSample> AllocationSampler::read() const {
    std::vector<RawSample> samples;
    for (const ArenaSample& sample : arena_->read()) {
        const auto bytes = static_cast<double>(sample.words[bytes_word]);
        const double stands_for = -1 / std::expm1(-bytes / static_cast<double>(interval_bytes_));
        auto& freed = const_cast<std::uint64_t&>(sample.words[freed_word]);
        const bool is_live = std::atomic_ref(freed).load(std::memory_order_relaxed) == 0;
        samples.push_back({.thread = sample.thread,
                           .is_cut = sample.is_cut,
                           .addresses = sample.words.subspan(head_words),
                           .allocated = {.bytes = bytes * stands_for,
                                         .count = stands_for,
                                         .live_bytes = is_live ? bytes * stands_for : 0,
                                         .live_count = is_live ? stands_for : 0}});
    }
    return samples;
}

} // namespace pillion
