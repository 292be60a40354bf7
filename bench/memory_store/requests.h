// Synthetic requests, the same in every run. Functions without state; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pillion::bench {

// Keys 0 .. keys-1, of which key i is requested as often as 1 / (i + 1)^skew.
std::vector<std::uint32_t> zipf(std::size_t count, std::size_t keys, double skew, std::uint64_t seed);
// Zipf, with runs of keys that come only once.
std::vector<std::uint32_t> zipf_with_scans(std::size_t count, std::size_t keys, std::size_t scan, std::uint64_t seed);
std::vector<std::uint32_t> loop(std::size_t count, std::size_t keys);
// Zipf over keys that wander: after `period` requests all of them have become others.
std::vector<std::uint32_t> shifting(std::size_t count, std::size_t keys, std::size_t period, std::uint64_t seed);

} // namespace pillion::bench
