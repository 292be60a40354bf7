// Many threads on one cache with a thread of its own: nothing is lost, torn or answered twice.
#include "tests/cache/fake_tier.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

using namespace pillion;

TEST_CASE("threads that write, read and invalidate at once get whole values of their own key", "[cache]") {
    const SystemClock clock;
    ManualClock still;
    ManualTimers timers(still);
    SerialExecutor executor{"test"};
    std::atomic<int> loads{0};
    CacheHost host{.clock = clock, .timers = timers, .executor = executor};
    host.loader = [&](const CacheLoadRequest& request, CacheLoadDone done) {
        ++loads;
        done(CacheLoaded{.bytes = request.key.name + ":loaded"});
    };
    std::atomic<int> wrong{0}, answered{0};
    constexpr int rounds = 4000;
    {
        Cache cache(std::move(host));
        std::vector<std::thread> threads;
        for (int thread = 0; thread < 4; ++thread)
            threads.emplace_back([&, thread] {
                for (int i = 0; i < rounds; ++i) {
                    const std::string key = "k" + std::to_string((i * 7 + thread) % 50);
                    if (i % 5 == 0) {
                        CachePut put;
                        put.key = {key, {}};
                        put.bytes = key + ":" + std::to_string(i) + std::string(static_cast<std::size_t>(i % 300), 'x');
                        if (i % 10 == 0) put.tags.push_back("t");
                        if (i % 500 == 0) put.bytes.append(40'000, 'y'); // by way of the executor
                        cache.put(std::move(put), [&](const Result<CachePutOutcome>&) { ++answered; });
                    } else if (i % 211 == 0) {
                        CacheSelection selection;
                        if (i % 2 == 0)
                            selection.tag = "t";
                        else
                            selection.pattern = "k1*";
                        cache.invalidate(std::move(selection), [&](const Result<CacheInvalidated>&) { ++answered; });
                    } else if (i % 2 == 0) {
                        const std::int64_t now = clock.now_ns();
                        cache.find_hot("default", key, now, false, [&](std::string_view payload) {
                            if (!payload.starts_with(key + ":")) ++wrong;
                        });
                        ++answered;
                    } else {
                        CacheGet get;
                        get.key = {key, {}};
                        get.load = CacheLoad{"make", "{}"};
                        cache.get(std::move(get), [&, key](const Result<CacheRead>& read) {
                            ++answered;
                            if (!read || !read->value || !read->value->bytes.starts_with(key + ":")) ++wrong;
                        });
                    }
                }
            });
        for (std::thread& thread : threads) thread.join();
        executor.stop();
        cache.stop();
    }
    CHECK(wrong == 0);
    CHECK(answered == 4 * rounds);
}
