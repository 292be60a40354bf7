// What a cache would have hit: a trace of requests run through the memory tier's own policies, by the very code of
// the store, and through others for comparison. Functions without state: any thread. Reading a compressed trace
// opens zlib.
//
// A trace is a text file, gzip or plain, of one request a line: a key, or a key and a size in bytes with blanks between
// them; the first line decides which for all.
#pragma once

#include "ipc/base/error.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pillion {

struct TraceRequest {
    std::uint64_t key = 0; // its hash
    std::uint32_t weight = 1;
};

struct Trace {
    std::vector<TraceRequest> requests;
    bool hasSizes = false;
    std::uint64_t distinctKeys = 0;
    std::uint64_t distinctBytes = 0; // sum of the weights of all keys, each as it was last; without sizes, their number
};

// What stands on a line.
enum class TraceLines : std::uint8_t {
    as_the_first, // a key, or a key and a size: as on the first line
    keys,         // the whole line is the key, blanks within it included
    keys_and_sizes,
};

inline constexpr std::uint64_t trace_requests_max = 50'000'000;
inline constexpr std::size_t trace_key_bytes_max = 65'535;

// -32002 where there is no such file, -32602 for what is no trace, with the line.
Result<Trace> read_trace(const std::string& path, TraceLines lines = TraceLines::as_the_first);
// The same of a text in memory, not compressed.
Result<Trace> parse_trace(std::string_view text, TraceLines lines = TraceLines::as_the_first);

struct SimulationResult {
    std::string policy;
    std::uint64_t capacity = 0; // entries, or bytes where the trace has sizes
    double hitRatio = 0;
    double byteHitRatio = 0;
    std::uint64_t requests = 0;
};

struct Simulation {
    std::uint64_t requests = 0;
    std::uint64_t distinctKeys = 0;
    std::uint64_t distinctBytes = 0;
    bool hasSizes = false;
    std::vector<std::uint64_t> capacities{}; // ascending
    std::vector<std::string> policies{};     // in the order of simulation_policies()
    std::vector<SimulationResult> results{}; // by capacity, then by policy
};

struct SimulationOptions {
    std::vector<std::string> policies{};     // empty: all
    std::vector<std::uint64_t> capacities{}; // empty: 1, 2, 5, 10, 20, 40 and 80 percent of what is distinct
    std::function<void(double percentage)> progress{};
    std::function<bool()> is_cancelled{};
};

// Of the store: adaptive, lru, lfu, fifo, random (ttl and priority need what a trace has not). For comparison: arc,
// s3fifo, tinylfu. And opt, which no policy can exceed: Belady's optimum, exact where all entries weigh the same; with
// sizes it is a bound on it (PFOO-L; see simulation_opt.cpp).
std::vector<std::string> simulation_policies();

// -32602 for an unknown policy or a capacity of 0 or above 2^53 - 1, -32800 when cancelled.
Result<Simulation> simulate_trace(const Trace& trace, const SimulationOptions& options = {});

// For terminals: a row for each policy, a column for each capacity, hit ratios in percent.
std::string simulation_table(const Simulation& simulation);
// Hit ratios over capacities as an SVG document.
std::string simulation_plot(const Simulation& simulation, std::string_view title);

} // namespace pillion
