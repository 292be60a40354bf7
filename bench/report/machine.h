// What a figure was measured on: read once, at the start of a benchmark. Linux only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pillion::bench {

struct Machine {
    std::string processor;
    unsigned cores = 0;
    double memory_gib = 0;
    std::string kernel;
    std::string distribution;
    std::string load_average; // of the last minute, before the benchmark adds its own
};

Machine read_machine();

// The compiler and the flavour of the build this file was compiled in.
std::string_view compiler();
std::string_view optimisation();

// What a program prints on stdout, with an empty stdin; empty if it cannot be run, fails, or
// is silent for 5 s.
std::string output_of(const std::vector<std::string>& arguments);

} // namespace pillion::bench
