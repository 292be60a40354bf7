// The program's own operator new and operator delete, which this test program is linked with (not with a sanitizer).
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

namespace pillion {

namespace {

struct Block {
    unsigned char* bytes;
    std::size_t size;
    unsigned char mark;
    bool is_whole() const {
        return std::all_of(bytes, bytes + size, [this](unsigned char byte) { return byte == mark; });
    }
};

// More than the memory that the first allocations share, in sizes below and above its largest block.
std::vector<Block> take_blocks(unsigned char mark) {
    std::vector<Block> blocks;
    for (std::size_t size = 0; size <= 80 * 1024; size = size * 3 / 2 + 1)
        for (int count = 0; count < 4; ++count) {
            blocks.push_back({static_cast<unsigned char*>(operator new(size)), size, mark});
            std::memset(blocks.back().bytes, mark, size);
        }
    return blocks;
}

} // namespace

TEST_CASE("blocks are aligned, apart from each other, and freed by any thread", "[allocation]") {
    std::vector<std::vector<Block>> taken(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < taken.size(); ++i)
        threads.emplace_back([&blocks = taken[i], i] { blocks = take_blocks(static_cast<unsigned char>(i + 1)); });
    for (std::thread& thread : threads) thread.join();
    std::vector<std::uintptr_t> addresses;
    for (const auto& blocks : taken)
        for (const Block& block : blocks) {
            addresses.push_back(reinterpret_cast<std::uintptr_t>(block.bytes));
            CHECK(addresses.back() % __STDCPP_DEFAULT_NEW_ALIGNMENT__ == 0);
            CHECK(block.is_whole());
        }
    std::sort(addresses.begin(), addresses.end());
    CHECK(std::adjacent_find(addresses.begin(), addresses.end()) == addresses.end());
    std::thread([&taken] {
        for (const auto& blocks : taken)
            for (const Block& block : blocks) operator delete(block.bytes);
    }).join();
}

TEST_CASE("what asks for more alignment gets it", "[allocation]") {
    for (const std::size_t alignment : {32, 64, 4096}) {
        void* const block = operator new(100, std::align_val_t(alignment));
        CHECK(reinterpret_cast<std::uintptr_t>(block) % alignment == 0);
        operator delete(block, std::align_val_t(alignment));
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // those end the program

TEST_CASE("memory that cannot be had is refused by both kinds of new", "[allocation]") {
    const volatile std::size_t too_many = PTRDIFF_MAX;
    CHECK_THROWS_AS(operator new(too_many), std::bad_alloc);
    CHECK(operator new(too_many, std::nothrow) == nullptr);
}

#endif

} // namespace pillion
