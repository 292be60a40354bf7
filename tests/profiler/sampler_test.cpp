#include "modules/profiler/profile_builder.h"
#include "modules/profiler/sampler.h"
#include "modules/profiler/stack_walk.h"
#include "tests/profiler/busy_threads.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

using namespace pillion;
using test::BusyThread;

namespace {

// Lets time pass on this thread's own work until it is so.
void work_until(const std::function<bool()>& is_so) {
    while (!is_so()) test::spin_for_a_while(20'000);
}

StackProfile profile_of(const CpuSampler& sampler) { return build_profile(sampler.read(), sampler.threads()); }

const ProfiledFunction* find_function(const StackProfile& profile, std::uint32_t index) {
    return index < profile.functions.size() ? &profile.functions[index] : nullptr;
}

HotFunction hottest_called(const StackProfile& profile, const std::string& name) {
    for (const HotFunction& hot : hot_functions(profile))
        if (profile.functions[hot.function].name == name) return hot;
    return {};
}

} // namespace

TEST_CASE("nothing handles SIGPROF until something is profiled", "[profiler]") {
    // In a process of its own: other tests have profiled in this one.
    const pid_t child = fork();
    if (child == 0) {
        struct sigaction action {};
        sigaction(SIGPROF, nullptr, &action);
        action.sa_handler = SIG_DFL;
        action.sa_flags = 0;
        sigaction(SIGPROF, &action, nullptr);
        const auto sampler = CpuSampler::create(99);
        sigaction(SIGPROF, nullptr, &action);
        _exit(sampler && (action.sa_flags & SA_SIGINFO) != 0 ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a busy function is at the top with nearly all samples, beneath it who called it", "[profiler]") {
    const auto sampler = CpuSampler::create(500);
    REQUIRE(sampler.has_value());
    work_until([&] { return (*sampler)->samples() >= 100; });
    (*sampler)->end();
    const StackProfile profile = profile_of(**sampler);
    const auto hottest = hot_functions(profile);
    REQUIRE(!hottest.empty());
    CHECK(find_function(profile, hottest.front().function)->name == "pillion::test::spin_in_place");
    CHECK(find_function(profile, hottest.front().function)->has_symbol);
    CHECK(hottest.front().self * 10 >= profile.samples * 8);
    if (!test::has_stacks) return;
    const HotFunction caller = hottest_called(profile, "pillion::test::spin_for_a_while");
    CHECK(caller.total * 10 >= profile.samples * 8);
    CHECK(caller.self * 10 < profile.samples * 2);
}

TEST_CASE("time is counted on the thread that spends it", "[profiler]") {
    const BusyThread busy("test-busy");
    const auto sampler = CpuSampler::create(500);
    REQUIRE(sampler.has_value());
    const auto spent = [&] {
        for (const ProfiledThread& thread : profile_of(**sampler).threads)
            if (thread.name == "test-busy") return thread.samples;
        return std::uint64_t{0};
    };
    // The main thread waits meanwhile, as far as it does not look.
    while (spent() < 50) {
        (*sampler)->scan_threads();
        std::this_thread::yield();
    }
    (*sampler)->end();
    const StackProfile profile = profile_of(**sampler);
    for (const ProfiledStack& stack : profile.stacks) {
        if (!test::has_stacks || profile.threads[stack.thread].name != "test-busy") continue;
        CHECK(stack.frames.size() >= 2);
    }
}

TEST_CASE("a thread that begins while we profile is profiled too, under the name it takes", "[profiler]") {
    const auto sampler = CpuSampler::create(500);
    REQUIRE(sampler.has_value());
    const BusyThread late("test-late");
    const auto is_there = [&] {
        for (const ProfiledThread& thread : profile_of(**sampler).threads)
            if (thread.name == "test-late" && thread.samples >= 5) return true;
        return false;
    };
    while (!is_there()) {
        (*sampler)->scan_threads();
        test::spin_for_a_while(2'000'000);
    }
    (*sampler)->end();
    CHECK(is_there());
}

TEST_CASE("work inside a library is laid at the door of the function that called it", "[profiler]") {
    const auto sampler = CpuSampler::create(500);
    REQUIRE(sampler.has_value());
    static char from[1 << 16], to[1 << 16];
    static volatile std::size_t bytes = sizeof from;
    work_until([&] {
        for (int i = 0; i < 200; ++i) {
            std::memcpy(to, from, bytes);
            asm volatile("" ::: "memory");
        }
        return (*sampler)->samples() >= 100;
    });
    (*sampler)->end();
    const StackProfile profile = profile_of(**sampler);
    std::uint64_t in_library = 0, with_caller = 0;
    for (const ProfiledStack& stack : profile.stacks) {
        if (profile.functions[stack.frames.back()].module.find("libc") == std::string::npos) continue;
        in_library += stack.samples;
        if (stack.frames.size() >= 3) with_caller += stack.samples;
    }
    // A sanitizer copies by itself.
    if (test::has_stacks && in_library > 0) CHECK(with_caller * 10 >= in_library * 8);
}

TEST_CASE("threads that begin and end while we profile harm nothing", "[profiler]") {
    const auto sampler = CpuSampler::create(1000);
    REQUIRE(sampler.has_value());
    const BusyThread steady("test-steady");
    for (int round = 0; round < 60; ++round) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 6; ++i)
            threads.emplace_back([] {
                std::string text;
                for (int n = 0; n < 300; ++n) text += std::to_string(test::spin_for_a_while(500));
            });
        (*sampler)->scan_threads();
        for (std::thread& thread : threads) thread.join();
    }
    (*sampler)->end();
    const StackProfile profile = profile_of(**sampler);
    CHECK(profile.samples == (*sampler)->samples());
    CHECK((*sampler)->dropped() == 0);
}

TEST_CASE("a frame pointer that leads nowhere ends a stack and not the process", "[profiler]") {
#if defined(__x86_64__)
    const auto sampler = CpuSampler::create(1000);
    REQUIRE(sampler.has_value());
    const auto spin_with = [](std::uint64_t frame) {
        asm volatile("push %%rbp\n mov %0, %%rbp\n mov $3000000, %%ecx\n 1: dec %%ecx\n jnz 1b\n pop %%rbp\n"
                     :
                     : "r"(frame)
                     : "ecx", "memory", "cc");
    };
    std::uint64_t here = 0;
    const std::uint64_t stack = reinterpret_cast<std::uint64_t>(&here) & ~std::uint64_t{15};
    const std::uint64_t frames[] = {
        0, 1, 8, ~std::uint64_t{0}, ~std::uint64_t{7}, stack, stack + 1, stack + (8u << 20)};
    do
        for (const std::uint64_t frame : frames) spin_with(frame);
    while ((*sampler)->samples() < 50);
    (*sampler)->end();
    CHECK(profile_of(**sampler).samples >= 50);
#endif
}

// Code without frame pointers may push another register before rbp; a profile once read code at what that held.
TEST_CASE("a register's value where the return address was looked for is left out", "[profiler]") {
    const std::uint64_t here = reinterpret_cast<std::uint64_t>(&test::spin_in_place);
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{0x3569}, ~leaf_candidate_bit}) {
        const std::uint64_t addresses[] = {here, value | leaf_candidate_bit};
        const StackProfile profile = build_profile({{.addresses = addresses}}, {});
        REQUIRE(profile.stacks.size() == 1);
        REQUIRE(profile.stacks[0].frames.size() == 1);
        CHECK(profile.functions[profile.stacks[0].frames[0]].name == "pillion::test::spin_in_place");
    }
}

TEST_CASE("a deep recursion is cut and says so", "[profiler]") {
    struct Recursion {
        [[gnu::noinline]] static std::uint64_t descend(int depth) {
            const std::uint64_t sum = depth == 0 ? test::spin_in_place(2'000'000) : descend(depth - 1);
            asm volatile("" ::: "memory");
            return sum + 1;
        }
    };
    const auto sampler = CpuSampler::create(500);
    REQUIRE(sampler.has_value());
    while ((*sampler)->samples() < 20) Recursion::descend(300);
    (*sampler)->end();
    const StackProfile profile = profile_of(**sampler);
    const bool says_so =
        std::any_of(profile.functions.begin(), profile.functions.end(),
                    [](const ProfiledFunction& function) { return function.name == "[outer frames cut]"; });
    CHECK((says_so || !test::has_stacks));
    for (const ProfiledStack& stack : profile.stacks) CHECK(stack.frames.size() <= CpuSampler::frames_max + 1);
}

TEST_CASE("a second sampler is refused while one is at work", "[profiler]") {
    const auto first = CpuSampler::create(99);
    REQUIRE(first.has_value());
    const auto second = CpuSampler::create(99);
    REQUIRE(!second.has_value());
    CHECK(second.error().code == ErrorCode::conflict);
    (*first)->end();
    CHECK(CpuSampler::create(99).has_value());
}

TEST_CASE("SIGPROF is not taken from somebody who uses it", "[profiler]") {
    struct sigaction theirs {
    }, before{};
    theirs.sa_handler = [](int) {};
    sigaction(SIGPROF, &theirs, &before);
    const auto sampler = CpuSampler::create(99);
    REQUIRE(!sampler.has_value());
    CHECK(sampler.error().code == ErrorCode::failed_precondition);
    sigaction(SIGPROF, &before, nullptr);
}

TEST_CASE("no sample comes after the end, and a signal under way does no harm", "[profiler]") {
    const auto sampler = CpuSampler::create(1000);
    REQUIRE(sampler.has_value());
    work_until([&] { return (*sampler)->samples() >= 5; });
    (*sampler)->end();
    const std::uint64_t samples = (*sampler)->samples();
    raise(SIGPROF);
    test::spin_for_a_while(20'000'000);
    CHECK((*sampler)->samples() == samples);
    CHECK((*sampler)->read().size() <= samples);
}
