// Several answers gathered into one, for the methods that take many. Private to the cache's methods; any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <vector>

namespace pillion {

// Most keys, entries or selections of one request.
inline constexpr std::size_t cache_many_max = 1000;

// Several reads or writes, answered together in the order asked.
template <class Outcome>
struct Gathering {
    std::atomic<std::size_t> waiting;
    std::vector<Outcome> outcomes;
    std::function<void(std::vector<Outcome>)> done;

    Gathering(std::size_t count, std::function<void(std::vector<Outcome>)> when_done)
        : waiting(count + 1), outcomes(count), done(std::move(when_done)) {}
    void leave() {
        if (waiting.fetch_sub(1, std::memory_order_acq_rel) == 1) done(std::move(outcomes));
    }
};

} // namespace pillion
