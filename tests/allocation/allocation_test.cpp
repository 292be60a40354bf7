// Counts what the hot path allocates, by standing in for the global operator new of this test program.
#include "modules/cache/cache_rpc.h"
#include "tests/support/wire_fixture.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>

// g++ 12 sees only half of each pair where it inlines.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace {
std::atomic<std::size_t> allocations{0};
}

void* operator new(std::size_t bytes) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* const block = std::malloc(bytes)) return block;
    throw std::bad_alloc();
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    return std::malloc(bytes);
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }

namespace pillion {

struct TextParams {
    std::string_view text;
};
PILLION_WIRE(TextParams, PILLION_FIELD(text, "Any text."))

namespace {

std::vector<Method> methods() {
    std::vector<Method> methods;
    methods.push_back({.name = "echo", .summary = "", .run = [](Call& call, Buffer& out) -> Result<void> {
                           out.append(call.params());
                           return {};
                       }});
    methods.push_back(
        method("typed", "", Lane::direct, [](const TextParams& params) -> Result<TextParams> { return params; }));
    methods.push_back(method("cached", "", Lane::direct, [](const TextParams& params) -> Result<TextParams> {
                          return params;
                      }).cached(60'000));
    return methods;
}

// Allocations of a message, once everything it needs is warm, while somebody reads the answers.
std::size_t allocations_of(std::string_view message, test::WireFixture& wire) {
    for (int i = 0; i < 20; ++i) wire.ask(message);
    wire.dispatcher->begin_read();
    const std::size_t before = allocations;
    for (int i = 0; i < 100; ++i) {
        wire.dispatcher->receive(message);
        wire.dispatcher->flush([] { return true; });
    }
    return allocations - before;
}

std::size_t allocations_of(std::string_view message) {
    test::WireFixture wire(methods());
    return allocations_of(message, wire);
}

} // namespace

TEST_CASE("a direct request allocates nothing once warm", "[allocation]") {
    CHECK(allocations_of(R"({"jsonrpc":"2.0","id":1,"method":"echo","params":{"text":"hello","list":[1,2,3]}})") == 0);
    CHECK(allocations_of(R"({"jsonrpc":"2.0","id":"an id","method":"typed","params":{"text":"hello"}})") == 0);
    CHECK(allocations_of(R"({"jsonrpc":"2.0","id":1,"method":"typed","params":["by position"]})") == 0);
}

TEST_CASE("a string with escapes allocates nothing once warm", "[allocation]") {
    CHECK(
        allocations_of(
            R"({"jsonrpc":"2.0","id":1,"method":"typed","params":{"text":"a \"quoted\" text that is longer than a short string"}})") ==
        0);
}

TEST_CASE("a batch of direct requests allocates nothing once warm", "[allocation]") {
    CHECK(
        allocations_of(
            R"([{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]},{"jsonrpc":"2.0","id":2,"method":"typed","params":["x"]}])") ==
        0);
}

TEST_CASE("a cache hit allocates nothing once warm", "[allocation]") {
    CHECK(allocations_of(R"({"jsonrpc":"2.0","id":1,"method":"cached","params":{"text":"hello"}})") == 0);
}

TEST_CASE("a hit in the memory of the cache allocates nothing once warm", "[allocation]") {
    ManualClock clock;
    ManualTimers timers{clock};
    SerialExecutor executor{"test", SerialExecutor::Mode::in_place};
    Cache cache({.clock = clock, .timers = timers, .executor = executor});
    CacheLeases leases({}, timers, clock);
    {
        test::WireFixture wire(cache_value_methods(cache, leases));
        const auto put = wire.ask(
            R"({"jsonrpc":"2.0","id":1,"method":"cache.put","params":{"key":"a key","value":{"long":"enough to be no short string"},"tags":["a tag"]}})");
        REQUIRE(put["result"]["stored"] == true);
        const std::string get = R"({"jsonrpc":"2.0","id":1,"method":"cache.get","params":{"key":"a key"}})";
        REQUIRE(wire.ask(get)["result"]["found"] == true);
        CHECK(allocations_of(get, wire) == 0);
        CHECK(allocations_of('[' + get + ',' + get + ']', wire) == 0);
        CHECK(
            allocations_of(
                R"({"jsonrpc":"2.0","id":1,"method":"cache.get","params":{"key":"a key","namespace":"default","load":{"method":"make","params":{"of":"it"}}}})",
                wire) == 0);
    }
    cache.stop();
}

} // namespace pillion
