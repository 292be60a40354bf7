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

// Estimates of what was allocated, from samples.
struct Allocated {
    double bytes = 0;
    double count = 0;
    double live_bytes = 0; // not given back when the recording ended
    double live_count = 0;

    Allocated& operator+=(const Allocated& other) {
        bytes += other.bytes;
        count += other.count;
        live_bytes += other.live_bytes;
        live_count += other.live_count;
        return *this;
    }
};

// What the weight of a stack is.
enum class StackMeasure : std::uint8_t { samples, allocated_bytes, live_bytes };

struct ProfiledThread {
    std::int32_t id = 0;
    std::string name;
    std::uint64_t samples = 0;
    Allocated allocated{};
};

struct ProfiledStack {
    std::uint32_t thread = 0;          // index into threads
    std::vector<std::uint32_t> frames; // indexes into functions, outermost first
    std::uint64_t samples = 0;
    Allocated allocated{};

    std::uint64_t weight(StackMeasure measure) const {
        if (measure == StackMeasure::samples) return samples;
        const double bytes = measure == StackMeasure::live_bytes ? allocated.live_bytes : allocated.bytes;
        return static_cast<std::uint64_t>(bytes + 0.5);
    }
};

struct StackProfile {
    std::int64_t hz = 0;             // of processor time; 0 for allocations
    std::int64_t interval_bytes = 0; // of allocations; 0 for processor time
    std::int64_t recorded_ms = 0;
    std::vector<ProfiledFunction> functions;
    std::vector<ProfiledThread> threads;
    std::vector<ProfiledStack> stacks; // each once
    std::uint64_t samples = 0;
    std::uint64_t dropped = 0;
    Allocated allocated{};

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
    Allocated self_allocated{};
    Allocated total_allocated{};
};
// By own samples, or the bytes that it allocated, most first; of one thread's name, or of all where it is empty.
std::vector<HotFunction> hot_functions(const StackProfile& profile, std::string_view thread = {});

// Folded stacks (Brendan Gregg, stackcollapse): one line each, "thread;outermost;...;innermost weight", sorted; without
// what weighs nothing.
std::string folded_stacks(const StackProfile& profile, StackMeasure measure = StackMeasure::samples);

} // namespace pillion
