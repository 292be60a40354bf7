#include "requests.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace pillion::bench {

std::vector<std::uint32_t> zipf(std::size_t count, std::size_t keys, double skew, std::uint64_t seed) {
    std::vector<double> sums(keys);
    double sum = 0;
    for (std::size_t i = 0; i < keys; ++i) sums[i] = sum += 1 / std::pow(static_cast<double>(i + 1), skew);
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> chance(0, sum);
    std::vector<std::uint32_t> requests(count);
    for (std::uint32_t& key : requests) {
        const auto found = std::lower_bound(sums.begin(), sums.end() - 1, chance(random));
        key = static_cast<std::uint32_t>(found - sums.begin());
    }
    return requests;
}

std::vector<std::uint32_t> zipf_with_scans(std::size_t count, std::size_t keys, std::size_t scan, std::uint64_t seed) {
    std::vector<std::uint32_t> requests = zipf(count, keys, 0.9, seed);
    auto once = static_cast<std::uint32_t>(keys);
    for (std::size_t begin = scan; begin + scan <= count; begin += 4 * scan) {
        for (std::size_t i = 0; i < scan; ++i) requests[begin + i] = once++;
    }
    return requests;
}

std::vector<std::uint32_t> loop(std::size_t count, std::size_t keys) {
    std::vector<std::uint32_t> requests(count);
    for (std::size_t i = 0; i < count; ++i) requests[i] = static_cast<std::uint32_t>(i % keys);
    return requests;
}

std::vector<std::uint32_t> shifting(std::size_t count, std::size_t keys, std::size_t period, std::uint64_t seed) {
    std::vector<std::uint32_t> requests = zipf(count, keys, 0.9, seed);
    for (std::size_t i = 0; i < count; ++i) {
        requests[i] += static_cast<std::uint32_t>(i * keys / period);
    }
    return requests;
}

} // namespace pillion::bench
