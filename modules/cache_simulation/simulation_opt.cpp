// Unit weights: Belady, "A study of replacement algorithms for a virtual-storage computer", 1966. What is next needed
// last goes; each miss comes in. The entries are kept in a heap by their next use, and an item whose use has come is
// stale.
//
// Other weights, where the optimum is NP-hard: the bound PFOO-L of Berger, Beckmann, Harchol-Balter, "Practical Bounds
// on Optimal Caching with Variable Object Sizes", SIGMETRICS 2018. To hit, an entry must hold its weight from one
// request to the next. All such stays together cannot take more than the capacity times the length of the trace;
// granting the cheapest first, whether or not they fit beside each other, gives at least as many hits as any policy
// has. Bytes are granted by what a byte costs, and the last stay in part.
#include "modules/cache_simulation/simulation_opt.h"

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <utility>

namespace pillion {

namespace {

constexpr std::uint64_t never = UINT64_MAX;

// For each request, when its key is requested again.
std::vector<std::uint64_t> next_uses(const Trace& trace) {
    std::vector<std::uint64_t> next(trace.requests.size(), never);
    std::unordered_map<std::uint64_t, std::uint64_t> upcoming;
    upcoming.reserve(trace.distinctKeys);
    for (std::size_t i = trace.requests.size(); i-- > 0;) {
        auto [at, is_new] = upcoming.try_emplace(trace.requests[i].key, i);
        if (!is_new) next[i] = std::exchange(at->second, i);
    }
    return next;
}

struct Stay {
    double cost;   // weight times length
    double weight; // what its hit is worth
};

double grant(std::vector<Stay>& stays, double budget) {
    std::sort(stays.begin(), stays.end(),
              [](const Stay& a, const Stay& b) { return a.cost * b.weight < b.cost * a.weight; });
    double granted = 0;
    for (const Stay& stay : stays) {
        if (stay.cost > budget) return granted + stay.weight * budget / stay.cost;
        budget -= stay.cost;
        granted += stay.weight;
    }
    return granted;
}

} // namespace

OptimumHits belady_hits(const Trace& trace, std::uint64_t capacity) {
    const std::vector<std::uint64_t> next = next_uses(trace);
    std::unordered_map<std::uint64_t, std::uint64_t> held; // key, next use
    std::priority_queue<std::pair<std::uint64_t, std::uint64_t>> by_next_use;
    std::uint64_t hits = 0;
    for (std::size_t i = 0; i < trace.requests.size(); ++i) {
        const std::uint64_t key = trace.requests[i].key;
        if (held.contains(key)) {
            ++hits;
        } else if (held.size() >= capacity) {
            // An item of the heap that was requested since is stale: its entry has a later one.
            for (;;) {
                const auto [use, victim] = by_next_use.top();
                by_next_use.pop();
                const auto entry = held.find(victim);
                if (entry == held.end() || entry->second != use) continue;
                held.erase(entry);
                break;
            }
        }
        held[key] = next[i];
        by_next_use.emplace(next[i], key);
    }
    const auto count = static_cast<double>(hits);
    return {.requests = count, .bytes = count};
}

OptimumHits hits_bound(const Trace& trace, std::uint64_t capacity) {
    const std::vector<std::uint64_t> next = next_uses(trace);
    std::vector<Stay> by_requests;
    std::vector<Stay> by_bytes;
    for (std::size_t i = 0; i < next.size(); ++i) {
        const std::uint32_t weight = trace.requests[i].weight;
        if (next[i] == never || weight > capacity) continue;
        // What is requested again at another size must be fetched again.
        if (trace.requests[next[i]].weight != weight) continue;
        const double cost = static_cast<double>(weight) * static_cast<double>(next[i] - i);
        by_requests.push_back({.cost = cost, .weight = 1});
        by_bytes.push_back({.cost = cost, .weight = static_cast<double>(weight)});
    }
    const double budget = static_cast<double>(capacity) * static_cast<double>(trace.requests.size());
    return {.requests = grant(by_requests, budget), .bytes = grant(by_bytes, budget)};
}

} // namespace pillion
