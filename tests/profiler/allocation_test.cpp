#include "ipc/base/allocation_hook.h"
#include "modules/profiler/allocation_sampler.h"
#include "modules/profiler/flame_graph.h"
#include "modules/profiler/profile_builder.h"
#include "modules/profiler/profiler_rpc.h"
#include "tests/profiler/busy_threads.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

using namespace pillion;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool has_operators = false;
#else
constexpr bool has_operators = true;
#endif

[[gnu::noinline]] char* keep_block(std::size_t bytes) {
    char* const block = new char[bytes];
    asm volatile("" : : "r"(block) : "memory");
    return block;
}

// Through code of the C++ library, which has no frame pointers.
[[gnu::noinline]] std::size_t grow_string(std::size_t bytes) {
    std::string text(bytes, 'x');
    text.append(bytes, 'y');
    asm volatile("" : : "r"(text.data()) : "memory");
    return text.size() + 1;
}

StackProfile profile_of(const AllocationSampler& sampler, std::int64_t interval) {
    StackProfile profile = build_profile(sampler.read(), sampler.threads());
    profile.interval_bytes = interval;
    return profile;
}

Allocated allocated_by(const StackProfile& profile, std::string_view name) {
    for (const HotFunction& hot : hot_functions(profile))
        if (profile.functions[hot.function].name.find(name) != std::string::npos) return hot.total_allocated;
    return {};
}

} // namespace

TEST_CASE("where operator new is not ours, sampling allocations is refused", "[profiler]") {
    const auto sampler = AllocationSampler::create(1024);
    CHECK(sampler.has_value() == has_operators);
    if (!sampler) CHECK(sampler.error().code == ErrorCode::unavailable);
}

TEST_CASE("samples of allocations add up to what was allocated and to what still lives", "[profiler]") {
    if (!has_operators) return;
    // Small, as large as the interval, and larger: each kind is estimated without a bias.
    for (const std::size_t bytes : {std::size_t{48}, std::size_t{4096}, std::size_t{20'000}}) {
        const std::size_t count = (std::size_t{16} << 20) / bytes;
        std::vector<char*> kept;
        kept.reserve(count);
        auto sampler = AllocationSampler::create(4096);
        REQUIRE(sampler);
        for (std::size_t i = 0; i < count; ++i) kept.push_back(keep_block(bytes));
        for (std::size_t i = 0; i < count; ++i)
            if (i % 4 != 0) delete[] std::exchange(kept[i], nullptr);
        (*sampler)->end();
        for (char* const block : kept) delete[] block;
        const Allocated found = allocated_by(profile_of(**sampler, 4096), "keep_block");
        const auto all = static_cast<double>(count);
        INFO(bytes << " bytes: " << found.bytes << " " << found.count << " " << found.live_bytes);
        CHECK(std::abs(found.bytes / (all * static_cast<double>(bytes)) - 1) < 0.15);
        CHECK(std::abs(found.count / all - 1) < 0.15);
        CHECK(std::abs(found.live_bytes / found.bytes - 0.25) < 0.1);
        CHECK(std::abs(found.live_count / found.count - 0.25) < 0.1);
        CHECK((*sampler)->dropped() == 0);
        CHECK(allocation_sink.load() == nullptr);
    }
}

TEST_CASE("stacks of allocations reach through the C++ library to the thread's first function", "[profiler]") {
    if (!has_operators) return;
    auto sampler = AllocationSampler::create(1024);
    REQUIRE(sampler);
    std::thread([] {
        platform::name_thread("grower");
        for (int i = 0; i < 500; ++i) grow_string(3000);
    }).join();
    (*sampler)->end();
    const std::string folded = folded_stacks(profile_of(**sampler, 1024), StackMeasure::allocated_bytes);
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = folded.find("grow_string", at)) != std::string::npos; ++at) {
        const std::size_t line = folded.rfind('\n', at) + 1;
        CHECK(folded.substr(line, 7) == "grower;");
        CHECK(folded.find("[outer frames cut]", line) > folded.find('\n', line));
        ++lines;
    }
    CHECK(lines > 0);
}

TEST_CASE("a flood of allocations is bounded, and what found no room is counted", "[profiler]") {
    if (!has_operators) return;
    auto sampler = AllocationSampler::create(1024);
    REQUIRE(sampler);
    for (std::size_t i = 0; i < AllocationSampler::samples_max + 5000; ++i) delete[] keep_block(64 * 1024);
    (*sampler)->end();
    CHECK((*sampler)->samples() <= AllocationSampler::samples_max);
    CHECK((*sampler)->dropped() >= 5000);
    CHECK(allocated_by(profile_of(**sampler, 1024), "keep_block").live_bytes == 0);
}

TEST_CASE("threads allocate and free each other's blocks while sampling begins and ends", "[profiler]") {
    if (!has_operators) return;
    std::atomic<bool> ends{false};
    std::array<std::atomic<char*>, 64> slots{};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; ++t)
        threads.emplace_back([&, t] {
            for (unsigned i = t; !ends.load(std::memory_order_relaxed); ++i)
                delete[] slots[i * 7 % 64].exchange(keep_block(100 + i % 2000));
        });
    for (int i = 0; i < 30; ++i) {
        auto sampler = AllocationSampler::create(2048);
        REQUIRE(sampler);
        // What is read ends before the first sample that a thread is just writing.
        while ((*sampler)->samples() < 50 || (*sampler)->read().empty()) std::this_thread::yield();
        CHECK_FALSE(AllocationSampler::create(2048).has_value());
        (*sampler)->end();
        const std::uint64_t samples = (*sampler)->samples();
        test::spin_for_a_while(10'000);
        CHECK((*sampler)->samples() == samples);
    }
    ends = true;
    for (std::thread& thread : threads) thread.join();
    for (auto& slot : slots) delete[] slot.load();
}

TEST_CASE("a flame graph of allocations is as wide as their bytes, and leaves out what is not live", "[profiler]") {
    const Allocated gone{.bytes = 3 << 20, .count = 3}, kept{.bytes = 1 << 20, .count = 1, .live_bytes = 1 << 20};
    StackProfile profile{.interval_bytes = 1024,
                         .functions = {{"main", "pillion", true}, {"gone", "pillion", true}, {"kept", "pillion", true}},
                         .threads = {{7, "worker", 4, {}}},
                         .stacks = {{0, {0, 1}, 3, gone}, {0, {0, 2}, 1, kept}},
                         .samples = 4};
    profile.allocated += gone;
    profile.allocated += kept;
    const std::string all = flame_graph(profile, StackMeasure::allocated_bytes);
    CHECK(all.find("gone\n3145728 bytes, 75.0 %") != std::string::npos);
    CHECK(all.find("4.0 MiB allocated") != std::string::npos);
    const std::string live = flame_graph(profile, StackMeasure::live_bytes);
    CHECK(live.find("gone") == std::string::npos);
    CHECK(live.find("kept\n1048576 bytes, 100.0 %") != std::string::npos);
    CHECK(folded_stacks(profile, StackMeasure::live_bytes) == "worker;main;kept 1048576\n");
    CHECK(hot_functions(profile).front().self_allocated.bytes == 3 << 20);
}
