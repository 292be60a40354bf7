#include "ipc/base/pool.h"

#include <catch2/catch.hpp>
#include <thread>

using namespace pillion;

namespace {

char* acquire(BufferPool& pool, std::size_t bytes) { return pool.acquire(bytes); }

} // namespace

TEST_CASE("a block has its class's size and oversize ones their own", "[pool]") {
    BufferPool pool;
    for (const auto& [wanted, given] : {std::pair{1, 1024},
                                        {1024, 1024},
                                        {1025, 8192},
                                        {8192, 8192},
                                        {8193, 65536},
                                        {65536, 65536},
                                        {65537, 65537}}) {
        std::size_t bytes = static_cast<std::size_t>(wanted);
        char* const block = pool.acquire(bytes);
        CHECK(bytes == static_cast<std::size_t>(given));
        block[bytes - 1] = 'x';
        pool.release(block, bytes);
    }
}

TEST_CASE("a released block is given out again, the warmest first", "[pool]") {
    BufferPool pool;
    char* const first = acquire(pool, 100);
    char* const second = acquire(pool, 100);
    pool.release(first, 1024);
    pool.release(second, 1024);
    CHECK(acquire(pool, 1000) == second);
    CHECK(acquire(pool, 1000) == first);
    PoolStats stats = pool.stats(0);
    CHECK(stats.name == "small");
    CHECK(stats.item_bytes == 1024);
    CHECK(stats.hits == 2);
    CHECK(stats.misses == 2);
    CHECK(stats.in_use == 2);
    CHECK(stats.idle == 0);
    CHECK(stats.high_water == 2);
    CHECK(stats.bytes == 2048);
    pool.release(first, 1024);
    pool.release(second, 1024);
    stats = pool.stats(0);
    CHECK(stats.in_use == 0);
    CHECK(stats.idle == 2);
    CHECK(stats.high_water == 2);
    CHECK(stats.bytes == 2048);
}

TEST_CASE("no more than its capacity is kept, and past it the heap serves", "[pool]") {
    BufferPool pool;
    pool.set_capacity(1, 2);
    char* blocks[4];
    for (char*& block : blocks) block = acquire(pool, 8000);
    CHECK(pool.stats(1).in_use == 4);
    for (char* block : blocks) pool.release(block, 8192);
    CHECK(pool.stats(1).idle == 2);
    CHECK(pool.stats(1).high_water == 4);
    CHECK(pool.stats(1).capacity == 2);
    CHECK(pool.stats(0).misses == 0);
}

TEST_CASE("trimming frees idle blocks and none that is out", "[pool]") {
    BufferPool pool;
    char* const kept = acquire(pool, 10);
    char* blocks[3] = {acquire(pool, 10), acquire(pool, 10), acquire(pool, 60'000)};
    pool.release(blocks[0], 1024);
    pool.release(blocks[1], 1024);
    pool.release(blocks[2], 65536);
    CHECK(pool.trim(1) == 1024);
    CHECK(pool.stats(0).idle == 1);
    CHECK(pool.trim() == 1024 + 65536);
    CHECK(pool.trim() == 0);
    CHECK(pool.stats(0).in_use == 1);
    pool.release(kept, 1024);
}

TEST_CASE("oversize blocks are counted while they are out", "[pool]") {
    BufferPool pool;
    char* const block = acquire(pool, 100'000);
    CHECK(pool.oversize_bytes() == 100'000);
    CHECK(pool.stats(2).in_use == 0);
    pool.release(block, 100'000);
    CHECK(pool.oversize_bytes() == 0);
}

TEST_CASE("several threads can use one pool", "[pool]") {
    BufferPool pool;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&pool] {
            for (int n = 0; n < 2000; ++n) {
                Buffer buffer(pool);
                buffer.append("some bytes");
            }
        });
    for (std::thread& thread : threads) thread.join();
    const PoolStats stats = pool.stats(0);
    CHECK(stats.in_use == 0);
    CHECK(stats.hits + stats.misses == 8000);
    CHECK(stats.high_water <= 4);
}

TEST_CASE("a buffer holds no memory until its first byte", "[pool]") {
    BufferPool pool;
    Buffer buffer(pool);
    buffer.append("");
    CHECK(buffer.capacity() == 0);
    CHECK(buffer.empty());
    CHECK(buffer.view().empty());
    buffer.append('a');
    CHECK(buffer.capacity() == 1024);
    CHECK(pool.stats(0).in_use == 1);
}

TEST_CASE("a buffer grows through the classes and keeps its bytes", "[pool]") {
    BufferPool pool;
    Buffer buffer(pool);
    std::string expected;
    for (int i = 0; i < 50'000; ++i) {
        const std::string piece = std::to_string(i);
        buffer.append(piece);
        buffer.append(',');
        expected += piece + ",";
    }
    CHECK(buffer.view() == expected);
    CHECK(pool.stats(0).in_use == 0);
    CHECK(pool.stats(1).in_use == 0);
    CHECK(pool.stats(2).in_use == 0);
    CHECK(pool.oversize_bytes() == buffer.capacity());
    buffer.reset();
    CHECK(pool.oversize_bytes() == 0);
}

TEST_CASE("a buffer can be written in place, cut and emptied", "[pool]") {
    BufferPool pool;
    Buffer buffer(pool);
    std::memcpy(buffer.prepare(5), "hello", 5);
    CHECK(buffer.empty());
    buffer.commit(5);
    CHECK(buffer.view() == "hello");
    buffer.truncate(2);
    CHECK(buffer.view() == "he");
    buffer.clear();
    CHECK(buffer.empty());
    CHECK(buffer.capacity() == 1024);
    CHECK(buffer.prepare(2000) != nullptr);
    CHECK(buffer.capacity() == 8192);
}

TEST_CASE("a moved buffer leaves nothing behind and frees what it replaces", "[pool]") {
    BufferPool pool;
    Buffer a(pool), b(pool);
    a.append("a");
    b.append("b");
    b = std::move(a);
    CHECK(b.view() == "a");
    CHECK(a.capacity() == 0); // NOLINT: looking at what a move leaves
    CHECK(pool.stats(0).in_use == 1);
    const Buffer c(std::move(b));
    CHECK(c.view() == "a");
    CHECK(pool.stats(0).in_use == 1);
}

TEST_CASE("objects are reused with their capacity, and cleared", "[pool]") {
    ObjectPool<std::string> pool("strings", 2);
    const auto bytes_of = [](const std::string& text) { return text.capacity(); };
    {
        auto handle = pool.acquire();
        REQUIRE(handle);
        handle->assign(1000, 'x');
        CHECK(pool.stats(bytes_of).in_use == 1);
    }
    PoolStats stats = pool.stats(bytes_of);
    CHECK(stats.name == "strings");
    CHECK(stats.idle == 1);
    CHECK(stats.misses == 1);
    CHECK(stats.bytes >= 1000);
    auto again = pool.acquire();
    CHECK(again->empty());
    CHECK(again->capacity() >= 1000);
    CHECK(pool.stats(bytes_of).hits == 1);
}

TEST_CASE("an object pool keeps no more than its capacity", "[pool]") {
    ObjectPool<std::string> pool("strings", 2);
    const auto idle = [&] { return pool.stats([](const std::string&) { return std::size_t{0}; }).idle; };
    {
        auto a = pool.acquire();
        auto b = pool.acquire();
        auto c = pool.acquire();
        CHECK(idle() == 0);
    }
    CHECK(idle() == 2);
    pool.set_capacity(1);
    CHECK(idle() == 1);
    CHECK(pool.trim() == 1);
    CHECK(pool.trim() == 0);
    CHECK(pool.stats([](const std::string&) { return std::size_t{0}; }).high_water == 3);
}

TEST_CASE("a handle that was moved from gives nothing back", "[pool]") {
    ObjectPool<std::string> pool("strings", 4);
    const auto in_use = [&] { return pool.stats([](const std::string&) { return std::size_t{0}; }).in_use; };
    auto a = pool.acquire();
    auto b = pool.acquire();
    CHECK(in_use() == 2);
    b = std::move(a);
    CHECK(in_use() == 1);
    CHECK_FALSE(a); // NOLINT: looking at what a move leaves
    { const auto c = std::move(b); }
    CHECK(in_use() == 0);
}
