// A sampling profile with names in place of addresses: whose stacks were seen how often. Plain data, and what is
// computed from it: folded stacks and the functions that cost most. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

// A function that was seen. Where a binary has no symbols, `name` is the module and the offset at which the function
// begins, so that samples of one function still add up and a debug file can tell its name.
struct ProfiledFunction {
    std::string name;
    std::string module; // file name of the program or library
    bool has_symbol = false;
};

struct ProfiledThread {
    std::int32_t id = 0;
    std::string name;
    std::uint64_t samples = 0;
};

struct ProfiledStack {
    std::uint32_t thread = 0;          // index into threads
    std::vector<std::uint32_t> frames; // indexes into functions, outermost first
    std::uint64_t samples = 0;
};

struct CpuProfile {
    std::int64_t hz = 0;
    std::int64_t recorded_ms = 0;
    std::vector<ProfiledFunction> functions;
    std::vector<ProfiledThread> threads;
    std::vector<ProfiledStack> stacks; // each once
    std::uint64_t samples = 0;
    std::uint64_t dropped = 0;

    // CPU time that so many samples stand for.
    double cpu_ms(std::uint64_t count) const {
        return hz > 0 ? static_cast<double>(count) * 1000.0 / static_cast<double>(hz) : 0.0;
    }
};

// What one function cost.
struct HotFunction {
    std::uint32_t function = 0; // index into functions
    std::uint64_t self = 0;     // samples in it
    std::uint64_t total = 0;    // samples in it or in what it called; recursion counts once
};
// By own samples, most first; of one thread's name, or of all where it is empty.
std::vector<HotFunction> hot_functions(const CpuProfile& profile, std::string_view thread = {});

// Folded stacks (Brendan Gregg, stackcollapse): one line each, "thread;outermost;...;innermost samples", sorted.
std::string folded_stacks(const CpuProfile& profile);

} // namespace pillion
