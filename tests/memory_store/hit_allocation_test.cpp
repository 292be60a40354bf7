// Counts what hits allocate, by standing in for the global operator new of this test program.
#include "modules/memory_store/memory_store.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

// g++ 12 sees only half of each pair where it inlines.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(void* block) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (block == nullptr) throw std::bad_alloc();
    return block;
}

} // namespace

void* operator new(std::size_t bytes) { return counted(std::malloc(bytes)); }
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return std::malloc(bytes);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    const auto boundary = static_cast<std::size_t>(alignment);
    return counted(std::aligned_alloc(boundary, (bytes + boundary - 1) / boundary * boundary));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return operator new(bytes, alignment); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }
void operator delete(void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::align_val_t) noexcept { std::free(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t, std::align_val_t) noexcept { std::free(block); }

namespace pillion {

namespace {

// Of many hits on all entries, once the first round has warmed what it needs.
std::size_t allocations_of_hits(EvictionPolicy policy, std::uint32_t entries) {
    MemoryStore store({.policy = policy});
    const auto key_of = [](const std::uint32_t& number) {
        return std::string_view(reinterpret_cast<const char*>(&number), sizeof number);
    };
    for (std::uint32_t i = 0; i < entries; ++i) store.put(key_of(i), MemoryStore::hash_of(key_of(i)), "record", 0);
    std::size_t before = 0;
    std::uint64_t hits = 0;
    for (int round = 0; round < 3; ++round) {
        if (round == 1) before = allocations;
        for (std::uint32_t i = 0; i < entries; ++i) {
            const bool is_hit = store.read(key_of(i), MemoryStore::hash_of(key_of(i)), 1'000 * round,
                                           [](std::string_view, const EntryInfo&) {});
            hits += is_hit ? 1 : 0;
        }
    }
    const std::size_t counted = allocations - before;
    CHECK(hits == std::uint64_t{entries} * 3);
    return counted;
}

} // namespace

TEST_CASE("a put is counted as an allocation, so that the count can be trusted", "[memory_store]") {
    MemoryStore store;
    const std::size_t before = allocations;
    store.put("key", MemoryStore::hash_of("key"), "record", 0);
    CHECK(allocations > before);
}

TEST_CASE("a hit allocates nothing once warm", "[memory_store]") {
    // Beyond 16,384 entries the adaptive policy hears of some reads only.
    for (const std::uint32_t entries : {1'000U, 40'000U}) {
        CAPTURE(entries);
        CHECK(allocations_of_hits(EvictionPolicy::adaptive, entries) == 0);
        CHECK(allocations_of_hits(EvictionPolicy::lru, entries) == 0);
    }
    for (const EvictionPolicy policy :
         {EvictionPolicy::fifo, EvictionPolicy::random, EvictionPolicy::ttl, EvictionPolicy::priority}) {
        CAPTURE(eviction_policy_name(policy));
        CHECK(allocations_of_hits(policy, 1'000) == 0);
    }
}

} // namespace pillion
