// Samples lie one behind the other: a header word, published last, then the sample's own words.
#include "modules/profiler/sample_arena.h"

#include <algorithm>
#include <sys/mman.h>

namespace pillion {

namespace {

constexpr std::size_t arena_words = std::size_t{4} << 20; // 32 MiB, of which the system gives what is written to
constexpr std::uint64_t done_bit = std::uint64_t{1} << 63;
constexpr std::uint64_t cut_bit = std::uint64_t{1} << 62;
constexpr unsigned weight_shift = 40, count_shift = 32;
constexpr std::uint32_t weight_max = 0xffff;

} // namespace

std::unique_ptr<SampleArena> SampleArena::create() {
    void* const memory = mmap(nullptr, arena_words * sizeof(std::uint64_t), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    return std::unique_ptr<SampleArena>(new SampleArena(static_cast<std::uint64_t*>(memory)));
}

SampleArena::~SampleArena() { munmap(words_, arena_words * sizeof *words_); }

std::uint64_t* SampleArena::take(const ArenaSample& sample) {
    const std::size_t count = sample.words.size();
    const std::size_t at = used_.fetch_add(count + 1, std::memory_order_relaxed);
    if (at + count + 1 > arena_words) {
        used_.fetch_sub(count + 1, std::memory_order_relaxed);
        drop();
        return nullptr;
    }
    for (std::size_t i = 0; i < count; ++i) words_[at + 1 + i] = sample.words[i];
    const std::uint64_t weight = std::min(sample.weight, weight_max);
    const std::uint64_t header = done_bit | (sample.is_cut ? cut_bit : 0) | weight << weight_shift |
                                 std::uint64_t{count} << count_shift | static_cast<std::uint32_t>(sample.thread);
    std::atomic_ref(words_[at]).store(header, std::memory_order_release);
    samples_.fetch_add(weight, std::memory_order_relaxed);
    return words_ + at + 1;
}

std::vector<ArenaSample> SampleArena::read() const {
    std::vector<ArenaSample> samples;
    for (std::size_t at = 0; at < arena_words;) {
        const std::uint64_t header = std::atomic_ref(words_[at]).load(std::memory_order_acquire);
        if ((header & done_bit) == 0) break; // being written, or the end
        const std::size_t count = header >> count_shift & 0xff;
        samples.push_back({.thread = static_cast<std::int32_t>(header & 0xffff'ffff),
                           .weight = static_cast<std::uint32_t>(header >> weight_shift & weight_max),
                           .is_cut = (header & cut_bit) != 0,
                           .words = {words_ + at + 1, count}});
        at += count + 1;
    }
    return samples;
}

} // namespace pillion
